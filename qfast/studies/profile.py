"""Performance profiles of all configurations, on common thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.errors import InvalidInput
from qfast.stats import Profile, performance_profile
from qfast.studies.select import Metric, Missing, StudyData, common_scores, metric_of, select, undefined_text

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["StudyProfile", "profile_study"]

Floats = NDArray[np.float64]

# By default a profile steps at every score, which is too fine for a table of many configurations.
_MOST_STEPS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class StudyProfile:
    """What `Study.profile` found.

    Parameters
    ----------
    metric : Metric
        What is profiled.
    thresholds : ndarray, float64 (n_thresholds,)
        In the metric's unit, ascending.
    configurations : tuple of int
        Their indices.
    labels : tuple of str
        Their settings in words.
    profiles : tuple of qfast.stats.Profile
        For each, the share of agents that do better than each threshold (above it, or below it where lower is
        better), with a band that holds the whole curve at once.
    level : float
        Confidence level of each band.
    about : str
        How many agents it is about, where it is not about all of them; else empty.
    """

    metric: Metric
    thresholds: Floats
    configurations: tuple[int, ...]
    labels: tuple[str, ...]
    profiles: tuple[Profile, ...]
    level: float
    about: str = ""

    def to_dataframe(self) -> "DataFrame":
        """Give a tidy pandas table: label, threshold, share, low, high."""
        import pandas as pd

        parts = [
            pd.DataFrame({"label": label, "threshold": self.thresholds, "share": p.share, "low": p.low, "high": p.high})
            for label, p in zip(self.labels, self.profiles, strict=True)
        ]
        return pd.concat(parts, ignore_index=True)


def profile_study(
    study: StudyData,
    metric: str | None = None,
    *,
    thresholds: ArrayLike | None = None,
    level: float = 0.95,
    missing: Missing = "keep",
    where: Mapping[str, Any] | None = None,
) -> StudyProfile:
    """Give the share of agents that do better than each of many thresholds, for every configuration.

    Parameters
    ----------
    metric : str, optional
        As in `summary`.
    thresholds : array_like, (n_thresholds,), optional
        In the metric's unit; by default the scores that occur (1,000 quantiles of them where there are more).
    level : float, default 0.95
        Probability that a configuration's band holds its whole curve, in (0, 1).
    missing : {"keep", "drop"}, default "keep"
        What becomes of agents whose score is undefined (NaN).  "keep": they are refused.
        "drop": the answer is about the others alone, and says how many that are.
    where : mapping, optional
        As in `summary`; of a study of several problems, name one here.

    Returns
    -------
    StudyProfile
        ``.to_dataframe()``; ``.profiles`` with a `qfast.stats.Profile` for each configuration.

    Raises
    ------
    InvalidInput
        As in `compare_all`.

    Examples
    --------
    >>> import qfast
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> profile = study.profile(thresholds=[0.0, 0.1])
    >>> [p.share.tolist() for p in profile.profiles]
    [[0.545, 0.105], [0.435, 0.065]]
    """
    asked = metric_of(study, metric)
    chosen = select(study, where, one_problem=True)
    found = common_scores(study, asked, chosen, paired=False, missing=missing)
    undefined = undefined_text(study, asked, chosen)
    if undefined and missing == "keep":
        msg = f"shares of agents above a threshold are not defined: {undefined}"
        raise InvalidInput(msg)
    scores = found.scores
    if thresholds is None:
        tau = np.unique(np.concatenate(scores))
        tau = tau[np.isfinite(tau)] if np.isfinite(tau).any() else np.zeros(1)
        if tau.size > _MOST_STEPS:  # quantiles of what occurs, so that no part of the curve is coarse
            tau = np.unique(np.quantile(tau, np.linspace(0, 1, _MOST_STEPS)))
    else:
        tau = np.sort(np.atleast_1d(np.asarray(thresholds, dtype=np.float64)))
    sign = 1.0 if asked.higher_is_better else -1.0
    profiles = tuple(performance_profile(sign * x, sign * tau, level=level) for x in scores)
    labels = tuple(str(study.labels[i]) for i in chosen)
    return StudyProfile(asked, tau, tuple(chosen), labels, profiles, level, found.about)

"""Performance profiles: the share of agents that do better than each of many thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast import stats
from qfast.errors import InvalidInput
from qfast.stats import Profile
from qfast.studies.select import Missing, StudyData, common_scores, metric_of, refuse_undefined, select
from qfast.studies.texts import Answer, number
from qfast.text import columns, in_percent

__all__ = ["StudyProfile", "profile_study"]

Floats = NDArray[np.float64]

# By default a profile steps at every score, which is too fine for a table of many configurations.
_MOST_STEPS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class StudyProfile(Answer):
    """What `Study.profile` found.

    Parameters
    ----------
    thresholds : ndarray, float64 (n_thresholds,)
        In the metric's unit, ascending.
    configurations, labels : tuple of int, tuple of str
        Their indices, and their settings in words.
    profiles : tuple of qfast.stats.Profile
        For each, the share of agents that do better than each threshold (above it, or below it where lower is
        better), with a band that holds the whole curve at once.
    level : float
        Confidence level of each band.
    about : str
        How many agents it is about, where that is not all of them.
    """

    thresholds: Floats
    configurations: tuple[int, ...]
    labels: tuple[str, ...]
    profiles: tuple[Profile, ...]
    level: float
    about: str = ""

    def __repr__(self) -> str:
        """The shares at a few thresholds."""
        few = np.unique(np.linspace(0, self.thresholds.size - 1, 7).round().astype(int))
        rows = [
            [label, *(in_percent(float(profile.share[i])) for i in few)]
            for label, profile in zip(self.labels, self.profiles, strict=True)
        ]
        better = "above" if self.metric.higher_is_better else "below"
        lines = columns(["configuration", *(number(float(self.thresholds[i])) for i in few)], rows)
        of = f", about {self.about}" if self.about else ""
        head = f"Shares of agents {better} thresholds{of} ({self.heading})"
        return "\n".join([head, *(f"  {line}" for line in lines)])

    def _data(self) -> dict[str, Any]:
        n = self.thresholds.size
        places = {"label": np.repeat(self.labels, n), "threshold": np.tile(self.thresholds, len(self.labels))}
        curves = ("share", "low", "high")
        return places | {name: np.concatenate([getattr(p, name) for p in self.profiles]) for name in curves}


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
    metric, missing, where
        As everywhere in `Study`; undefined scores are refused, or dropped.
    thresholds : array_like, (n_thresholds,), optional
        In the metric's unit; by default the scores that occur (1,000 quantiles of them where there are more).
    level : float, default 0.95
        Probability that a configuration's band holds its whole curve, in (0, 1).

    Returns
    -------
    StudyProfile
        ``.to_dataframe()``; ``.profiles`` with a `qfast.stats.Profile` for each configuration.

    Examples
    --------
    >>> import qfast
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> profile = study.profile(thresholds=[0.0, 0.1])
    >>> [p.share.tolist() for p in profile.profiles]
    [[0.545, 0.105], [0.435, 0.065]]
    """
    asked, chosen = metric_of(study, metric), select(study, where, one_problem=True)
    found = common_scores(study, asked, chosen, paired=False, missing=missing)
    refuse_undefined(study, asked, chosen, "shares of agents above a threshold are", missing)
    if thresholds is None:
        tau = np.unique(np.concatenate(found.scores))
        tau = tau[np.isfinite(tau)] if np.isfinite(tau).any() else np.zeros(1)
        if tau.size > _MOST_STEPS:  # quantiles of what occurs, so that no part of the curve is coarse
            tau = np.unique(np.quantile(tau, np.linspace(0, 1, _MOST_STEPS)))
    else:
        tau = _check_thresholds(thresholds)
    sign = 1.0 if asked.higher_is_better else -1.0
    profiles = tuple(stats.performance_profile(sign * x, sign * tau, level=level) for x in found.scores)
    labels = tuple(study.labels[i] for i in chosen)
    return StudyProfile(tau, tuple(chosen), labels, profiles, level, found.about, metric=asked)


def _check_thresholds(thresholds: ArrayLike) -> Floats:
    try:
        found = np.sort(np.atleast_1d(np.asarray(thresholds, dtype=np.float64)))
    except (TypeError, ValueError):
        found = np.empty((0, 0))
    if found.ndim != 1 or not np.isfinite(found).all():
        msg = f"thresholds={thresholds!r:.60} is no list of finite numbers; use for example thresholds=[0.0, 0.5]"
        raise InvalidInput(msg)
    return found

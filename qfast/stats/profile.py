"""Performance profiles: the share of agents above every threshold at once."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.stats._check import Floats, Missing, check_finite, check_missing, check_open_unit, check_scores
from qfast.stats.undefined import about, defined

__all__ = ["Profile", "performance_profile"]


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Share of agents above each threshold, with a band that holds the whole curve.

    Parameters
    ----------
    thresholds : ndarray, float64 (n_thresholds,)
        In the unit of the scores, as given.
    share, low, high : ndarray, float64 (n_thresholds,)
        Share of agents with a score above the threshold, and the ends of its band, in [0, 1].
    n : int
        Number of agents whose score is defined: ``share`` is about them.
    level : float
        Probability that the band holds the true profile at all thresholds at once.
    method : str
        How the band was made.
    n_undefined : int
        Agents that ran and have no score.  The band holds whatever theirs are, unless they were dropped.
    """

    thresholds: Floats
    share: Floats
    low: Floats
    high: Floats
    n: int
    level: float
    method: str
    n_undefined: int = 0


def performance_profile(
    scores: ArrayLike, thresholds: ArrayLike | None = None, *, level: float = 0.95, missing: Missing = "keep"
) -> Profile:
    r"""Share of agents that score above a threshold, for many thresholds (a run-score distribution).

    .. math:: \hat F(\tau) = \frac1n\sum_i [x_i > \tau], \qquad \hat F(\tau) \pm \sqrt{\ln(2/(1-\text{level}))/2n}

    as defined by Agarwal et al. (NeurIPS 2021, section 4.2).  They bootstrap each threshold by itself; the band
    here is the one of Dvoretzky, Kiefer and Wolfowitz with Massart's constant (Annals of Probability 18
    (1990) 1269-1283): it holds the whole curve at once, for every distribution and every *n*.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    thresholds : array_like, (n_thresholds,), optional
        Where to evaluate the profile; by default at every distinct finite score, which is where it steps.
    level : float, default 0.95
        Simultaneous confidence level in (0, 1).
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` the band holds whatever the undefined scores (nan) are; ``"drop"`` leaves them out.

    Returns
    -------
    Profile
        See there.

    Raises
    ------
    InvalidInput
        If scores are not numbers, thresholds not finite ones, or level is outside (0, 1).

    Examples
    --------
    >>> performance_profile([1.0, 2.0, 2.0, 6.0], [0.0, 1.0, 2.0, 6.0]).share.tolist()
    [1.0, 0.75, 0.25, 0.0]
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    keep, known = check_missing(missing), np.sort(defined(x))
    n, lost = known.size, x.size - known.size
    tau = np.unique(known[np.isfinite(known)]) if thresholds is None else check_finite(thresholds, "thresholds")
    above = n - np.searchsorted(known, tau, side="right")
    unknown = lost if keep else 0
    # Shares of all agents, with the undefined ones below every threshold, and above.
    low, high = above / max(n + unknown, 1), (above + unknown) / max(n + unknown, 1)
    half = math.sqrt(math.log(2 / (1 - level)) / (2 * max(n + unknown, 1)))
    method = "Dvoretzky-Kiefer-Wolfowitz-Massart, simultaneous"
    if lost:
        method += "; whatever the undefined scores are" if keep else f"; {about(n, lost)}"
    return Profile(
        thresholds=tau,
        share=above / n if n else np.full(tau.size, np.nan),
        low=np.maximum(low - half, 0.0),
        high=np.minimum(high + half, 1.0),
        n=n,
        level=level,
        method=method,
        n_undefined=lost,
    )

"""What ranks alone give: quantiles, shares, tolerance intervals, profiles; exact for every distribution and number.

Infinite scores are ranked as any others, and undefined ones may be anything: the intervals hold all the same.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.stats._check import Floats, Missing, check_finite, check_hits, check_open_unit, check_scores, stats
from qfast.stats.interval import Estimate, ToleranceInterval, around, exact_share, not_defined, noted
from qfast.stats.scores import NO_SCORES, WHATEVER, in_range, ranked

__all__ = ["Profile", "estimate_quantile", "estimate_share", "performance_profile", "tolerance_interval"]


def estimate_quantile(scores: ArrayLike, p: float, *, level: float = 0.95, missing: Missing = "keep") -> Estimate:
    r"""Quantile over agents with an interval between two order statistics (``p=0.5``: the median).

    The number of agents at or below the true quantile is binomial whatever the distribution, so that
    [x_(l), x_(u)] with *l*, *u* from Binomial(n, p) holds it with at least the level, for every *n* and with
    ties too (W. J. Conover, *Practical Nonparametric Statistics*, 3rd ed., section 3.2;
    ``scipy.stats.quantile_test``).

    Parameters
    ----------
    scores : array_like, (n_agents,)
        This and the others as everywhere in :mod:`qfast.stats`.
    p : float
        Which quantile, in (0, 1).
    level : float, default 0.95
        Half of the rest lies on either side.

    Returns
    -------
    Estimate
        Linear between neighbouring agents.  The ends are scores of agents, or infinite where there are too few agents
        on that side.

    Examples
    --------
    >>> print(estimate_quantile(range(1, 101), 0.5))
    50.5 [40, 61] (95 %, order statistics)
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    p, found = check_open_unit(p, "p", 0.5), ranked(x, missing)
    if found.known.size == 0:
        return not_defined(NO_SCORES, level)
    value = _quantile_of(found.known, p)
    if math.isnan(value):
        return not_defined("not defined: it lies between -inf and inf", level)
    # The ranks of the ends: those of the scores 1, 2, ..., n; nan where no order statistic lies far enough out.
    ranks = stats.quantile_test(np.arange(1, found.n + 1), q=1, p=p).confidence_interval(level)
    few = math.isnan(ranks.low) or math.isnan(ranks.high)
    low = -math.inf if math.isnan(ranks.low) else float(found.lowest[int(ranks.low) - 1])
    high = math.inf if math.isnan(ranks.high) else float(found.highest[int(ranks.high) - 1])
    method = f"order statistics; {found.n} agents are too few for both ends" if few else "order statistics"
    return noted(around(value, low, high, level, method), found.note)


def _quantile_of(x: Floats, p: float) -> float:
    """Quantile of sorted scores, linear between neighbours; infinite scores stay infinite, nan between both."""
    place = p * (x.size - 1)
    below = min(int(place), x.size - 1)
    low, high = float(x[below]), float(x[min(below + 1, x.size - 1)])
    if low == high or place == below:
        return low
    if math.isinf(low) or math.isinf(high):
        return low + high
    unit, (pair,) = in_range(x[below : below + 2])
    return float(np.quantile(pair, place - below)) * unit


def estimate_share(successes: int, n: int, *, level: float = 0.95, undefined: int = 0) -> Estimate:
    """Share of agents for which something holds, with the exact interval of Clopper and Pearson.

    It holds the truth at least as often as its level says, for every share and every number of agents, and does not
    collapse when none or all succeed (Biometrika 26 (1934) 404-413; ``scipy.stats.binomtest``).

    Parameters
    ----------
    successes : int
        Agents for which it holds, in 0..n.
    n : int
        Agents of which it is known, at least 1.
    level : float, default 0.95
        As everywhere in :mod:`qfast.stats`.
    undefined : int, default 0
        Further agents of which it is not known: the interval holds whatever they did.

    Returns
    -------
    Estimate
        The share and its interval, both in [0, 1].

    Raises
    ------
    InvalidInput
        If these are not whole numbers with 0 <= successes <= n and n >= 1.

    Examples
    --------
    >>> print(estimate_share(10_000, 10_000))
    1 [0.999631, 1] (95 %, Clopper-Pearson)
    """
    hits, agents, unknown = check_hits(successes, n, undefined)
    level = check_open_unit(level, "level", 0.95)
    low, high = (exact_share(k, agents + unknown, level)[end] for end, k in enumerate((hits, hits + unknown)))
    return noted(around(hits / agents, low, high, level, "Clopper-Pearson"), WHATEVER if unknown else "")


def tolerance_interval(
    scores: ArrayLike, *, content: float = 0.9, confidence: float = 0.95, missing: Missing = "keep"
) -> ToleranceInterval:
    r"""Range that holds at least ``content`` of all agents with probability ``confidence``, for any distribution.

    The range [x_(r), x_(n+1-r)] holds a share of the population that follows Beta(n + 1 - 2r, 2r) when scores
    are continuous, and at least that when they are not; *r* is the largest for which the share exceeds
    ``content`` with the confidence asked (S. S. Wilks, "Determination of sample sizes for setting tolerance
    limits", Annals of Mathematical Statistics 12 (1941) 91-96).

    Parameters
    ----------
    scores : array_like, (n_agents,)
        This and ``missing`` as everywhere in :mod:`qfast.stats`.
    content, confidence : float, default 0.9 and 0.95
        Share of the population, and the probability that the range holds it, in (0, 1).

    Returns
    -------
    ToleranceInterval
        Its ends are scores of agents; infinite where the agents are too few (46 for 0.9 and 0.95).

    Examples
    --------
    >>> print(tolerance_interval(range(1, 101)))
    [2, 99] holds at least 90 % of the agents, with confidence 95 % (order statistics, Wilks 1941)
    """
    x, content = check_scores(scores), check_open_unit(content, "content", 0.9)
    confidence, found = check_open_unit(confidence, "confidence", 0.95), ranked(x, missing)
    # P(share >= content) = P(Binomial(n, content) <= n - 2r), see the reference.
    r = int(found.n - stats.binom.ppf(confidence, found.n, content)) // 2 if found.n else 0
    if r == 0:
        why = f"unbounded: {found.n} agents are too few"
        return ToleranceInterval(-math.inf, math.inf, content, confidence, why)
    method = f"order statistics, Wilks 1941{'; ' if found.note else ''}{found.note}"
    return ToleranceInterval(float(found.lowest[r - 1]), float(found.highest[-r]), content, confidence, method)


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Share of agents above each threshold, with a band that holds the whole curve.

    Parameters
    ----------
    thresholds, share, low, high : ndarray, float64 (n_thresholds,)
        The thresholds as given, in the unit of the scores; the share of agents with a score above each, and the ends
        of its band, in [0, 1].
    n, n_undefined : int
        Agents whose score is defined, which ``share`` is about, and those without one.  The band holds whatever the
        scores of these are, unless they were dropped.
    level : float
        Probability that the band holds the true profile at all thresholds at once.
    method : str
        How the band was made.
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
        This and ``level`` and ``missing`` as everywhere in :mod:`qfast.stats`.
    thresholds : array_like, (n_thresholds,), optional
        Where to evaluate the profile, finite; by default at every distinct finite score, which is where it steps.

    Examples
    --------
    >>> performance_profile([1.0, 2.0, 2.0, 6.0], [0.0, 1.0, 2.0, 6.0]).share.tolist()
    [1.0, 0.75, 0.25, 0.0]
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    found = ranked(x, missing)
    known, n = found.known, found.known.size
    tau = np.unique(known[np.isfinite(known)]) if thresholds is None else check_finite(thresholds, "thresholds")

    def above(ordered: Floats) -> Floats:
        return np.asarray((ordered.size - np.searchsorted(ordered, tau, "right")) / max(ordered.size, 1))

    half = math.sqrt(math.log(2 / (1 - level)) / (2 * max(found.n, 1)))
    method = "Dvoretzky-Kiefer-Wolfowitz-Massart, simultaneous"
    return Profile(
        thresholds=tau,
        share=above(known) if n else np.full(tau.size, np.nan),
        low=np.maximum(above(found.lowest) - half, 0.0),
        high=np.minimum(above(found.highest) + half, 1.0),
        n=n,
        level=level,
        method=f"{method}{'; ' if found.note else ''}{found.note}",
        n_undefined=x.size - n,
    )

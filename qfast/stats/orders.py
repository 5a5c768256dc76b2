"""What ranks alone give: quantiles, shares and tolerance intervals, exact for every distribution and number of agents.

Infinite scores are ranked as any others, and undefined ones may be anything: the intervals hold all the same.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Missing, check_count, check_missing, check_open_unit, check_scores
from qfast.stats._scipy import stats
from qfast.stats.interval import Estimate, Interval, ToleranceInterval, not_defined
from qfast.stats.ranges import in_range
from qfast.stats.shapes import exact_share
from qfast.stats.undefined import about, defined, fill

__all__ = ["estimate_quantile", "estimate_share", "tolerance_interval"]


def estimate_quantile(scores: ArrayLike, p: float, *, level: float = 0.95, missing: Missing = "keep") -> Estimate:
    r"""Quantile over agents with an interval between two order statistics (``p=0.5``: the median).

    The number of agents at or below the true quantile is binomial whatever the distribution, so that
    [x_(l), x_(u)] with *l*, *u* from Binomial(n, p) holds it with at least the level, for every *n* and with
    ties too (W. J. Conover, *Practical Nonparametric Statistics*, 3rd ed., section 3.2;
    ``scipy.stats.quantile_test``).

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    p : float
        Which quantile, in (0, 1).
    level : float, default 0.95
        Confidence level in (0, 1); half of the rest on either side.
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` the quantile is that of the defined scores, and its interval holds whatever the
        undefined ones (nan) are; ``"drop"`` leaves them out.

    Returns
    -------
    Estimate
        The quantile (linear between neighbouring agents) and its interval, whose ends are scores of agents,
        or infinite where there are too few agents on that side.

    Raises
    ------
    InvalidInput
        If scores are not numbers, one an agent, or p or level is outside (0, 1).

    Examples
    --------
    >>> print(estimate_quantile(range(1, 101), 0.5))
    50.5 [40, 61] (95 %, order statistics)
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    p, keep = check_open_unit(p, "p", 0.5), check_missing(missing)
    known = np.sort(defined(x))
    lost = x.size - known.size
    if known.size == 0:
        return not_defined("not defined: no agent has a defined score", level)
    lowest, highest = (np.sort(fill(x, end)) for end in (-math.inf, math.inf)) if lost and keep else (known, known)
    value = _quantile_of(known, p)
    # The ranks of the ends: those of the scores 1, 2, ..., n.
    n = lowest.size
    found = stats.quantile_test(np.arange(1, n + 1), q=1, p=p).confidence_interval(level)
    # SciPy says nan where no order statistic lies far enough out.
    few = math.isnan(found.low) or math.isnan(found.high)
    low = -math.inf if math.isnan(found.low) else float(lowest[int(found.low) - 1])
    high = math.inf if math.isnan(found.high) else float(highest[int(found.high) - 1])
    method = f"order statistics; {n} agents are too few for both ends" if few else "order statistics"
    if lost:
        method += "; whatever the undefined scores are" if keep else f"; {about(known.size, lost)}"
    interval = Interval(min(low, value), max(high, value), level, method) if value == value else None  # noqa: PLR0124
    if interval is None:
        return not_defined("not defined: it lies between -inf and inf", level)
    return Estimate(value, interval)


def _quantile_of(x: Floats, p: float) -> float:
    """Quantile of sorted scores, linear between neighbours; infinite scores stay infinite."""
    place = p * (x.size - 1)
    below = min(int(place), x.size - 1)
    low, high = float(x[below]), float(x[min(below + 1, x.size - 1)])
    if low == high or place == below:
        return low
    if math.isinf(low) or math.isinf(high):
        return low + high
    pair, unit = in_range(x[below : below + 2])
    return float(np.quantile(pair, place - below)) * unit


def estimate_share(successes: int, n: int, *, level: float = 0.95, undefined: int = 0) -> Estimate:
    """Share of agents for which something holds, with the exact interval of Clopper and Pearson.

    It holds the truth at least as often as its level says, for every share and every number of agents, and does not
    collapse when none or all succeed (C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404-413;
    ``scipy.stats.binomtest``).

    Parameters
    ----------
    successes : int
        Agents for which it holds, in 0..n.
    n : int
        Agents of which it is known, at least 1.
    level : float, default 0.95
        Confidence level in (0, 1).
    undefined : int, default 0
        Further agents of which it is not known: the interval holds whatever they did.

    Returns
    -------
    Estimate
        The share and its interval, both in [0, 1].

    Raises
    ------
    InvalidInput
        If the counts are not whole numbers with 0 <= successes <= n and n >= 1, or level is outside (0, 1).

    Examples
    --------
    >>> print(estimate_share(10_000, 10_000))
    1 [0.999631, 1] (95 %, Clopper-Pearson)
    """
    agents = check_count(n, "n")
    hits = check_count(successes, "successes", at_least=0)
    level = check_open_unit(level, "level", 0.95)
    if hits > agents:
        raise InvalidInput(f"successes={hits} is above n={agents}; count the successes among the n agents")
    unknown = check_count(undefined, "undefined", at_least=0)
    low, high = (exact_share(k, agents + unknown, level)[end] for end, k in enumerate((hits, hits + unknown)))
    method = "Clopper-Pearson; whatever the undefined scores are" if unknown else "Clopper-Pearson"
    share = hits / agents
    return Estimate(share, Interval(min(low, share), max(high, share), level, method))


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
        One number an agent, any unit.
    content : float, default 0.9
        Share of the population, in (0, 1).
    confidence : float, default 0.95
        Probability that the range holds it, in (0, 1).
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` the range holds whatever the undefined scores (nan) are; ``"drop"`` leaves them out.

    Returns
    -------
    ToleranceInterval
        Its ends are scores of agents; infinite where the agents are too few (46 for 0.9 and 0.95).

    Raises
    ------
    InvalidInput
        If scores are not numbers, one an agent, or content or confidence is outside (0, 1).

    Examples
    --------
    >>> print(tolerance_interval(range(1, 101)))
    [2, 99] holds at least 90 % of the agents, with confidence 95 % (order statistics, Wilks 1941)
    """
    x = check_scores(scores)
    content = check_open_unit(content, "content", 0.9)
    confidence = check_open_unit(confidence, "confidence", 0.95)
    known = defined(x)
    lost = x.size - known.size
    keep = check_missing(missing) and lost > 0
    lowest, highest = (np.sort(fill(x, end)) for end in (-math.inf, math.inf)) if keep else 2 * (np.sort(known),)
    # P(share >= content) = P(Binomial(n, content) <= n - 2r), see the reference.
    n = lowest.size
    r = int(n - stats.binom.ppf(confidence, n, content)) // 2 if n else 0
    if r == 0:
        why = f"unbounded: {n} agents are too few"
        return ToleranceInterval(-math.inf, math.inf, content, confidence, why)
    method = "order statistics, Wilks 1941"
    if lost:
        method += "; whatever the undefined scores are" if keep else f"; {about(known.size, lost)}"
    return ToleranceInterval(float(lowest[r - 1]), float(highest[-r]), content, confidence, method)

"""One number about one population of agents, with its confidence interval.

Two kinds of numbers live here.  The mean, the interquartile mean and a share say where a population is; the
standard deviation, the quantiles and the tolerance interval say how far its agents lie apart.  Every one is
estimated from finitely many agents, so every one has an interval, and that interval is not the spread.

Where the agents cannot support the level asked (one agent for a mean, three for a 95 % interval of the
median) the interval is unbounded and says so, instead of being narrower than it may be.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Missing, check_count, check_missing, check_open_unit, check_scores
from qfast.stats._scipy import special, stats
from qfast.stats.interval import Estimate, Interval, ToleranceInterval, not_defined
from qfast.stats.ranges import check_bounds, in_range, power_of_two, rescaled
from qfast.stats.shapes import (
    TIED,
    all_equal,
    anderson,
    exact_share,
    hall,
    heavy_tails,
    iqm_band,
    skew_caution,
    skew_of_mean,
    ties_at_quartiles,
    two_values,
)
from qfast.stats.undefined import about, defined, fill, no_mean

__all__ = [
    "estimate_iqm",
    "estimate_mean",
    "estimate_quantile",
    "estimate_share",
    "estimate_std",
    "tolerance_interval",
]


def spread(scores: Floats, axis: int = -1) -> Floats:
    """Sample standard deviation (divisor n - 1), exactly 0 where all scores are equal.

    Rounding of the mean would otherwise turn equal scores such as 0.1 into a spread of 1e-17, and a
    ratio to it into nonsense.
    """
    equal = scores.max(axis=axis) == scores.min(axis=axis)
    return np.where(equal, 0.0, scores.std(axis=axis, ddof=1) if scores.shape[axis] > 1 else np.nan)


def mean_of(scores: Floats) -> float:
    """Arithmetic mean, exact where all scores are equal."""
    return float(scores[0]) if scores.min() == scores.max() else float(scores.mean())


def mean_rounding(*populations: Floats) -> float:
    """What rounding of the scores and of their sums can make of equal means: some units in the last place."""
    return 16 * float(np.finfo(np.float64).eps) * max(float(np.abs(x).mean()) for x in populations)


def _unbounded(level: float, why: str, *, low: float = -math.inf) -> Interval:
    return Interval(low, math.inf, level, f"unbounded: {why}")


def _noted(estimate: Estimate, note: str) -> Estimate:
    """Say in the interval's method how many agents the estimate is about."""
    return replace(estimate, interval=replace(estimate.interval, method=f"{estimate.interval.method}; {note}"))


# Scores, level and the unit of the scores to an estimate.
_Of: TypeAlias = Callable[[Floats, float, float], Estimate]


def _of_finite(
    scores: ArrayLike,
    level: float,
    missing: Missing,
    of: _Of,
    *,
    at_least: int = 1,
) -> Estimate:
    """An estimate that needs finite scores: of those that are defined, in a range that cannot overflow."""
    x, level = check_scores(scores, at_least=at_least), check_open_unit(level, "level", 0.95)
    reason, instead = no_mean(x, keep=check_missing(missing))
    if reason:
        return not_defined(reason, level, instead)
    known = defined(x)
    if known.size < at_least:
        return not_defined(f"not defined: {known.size} agents have a defined score, {at_least} are needed", level)
    scaled, unit = in_range(known)
    estimate = rescaled(of(scaled, level, unit), unit)
    return _noted(estimate, about(known.size, x.size - known.size)) if known.size < x.size else estimate


def estimate_mean(
    scores: ArrayLike, *, level: float = 0.95, bounds: tuple[float, float] | None = None, missing: Missing = "keep"
) -> Estimate:
    r"""Mean over agents with Student's t interval.

    .. math:: \bar x \pm t_{n-1,\,(1+\text{level})/2}\; s/\sqrt{n}

    Exact for normal scores.  Where skewness shows, *t* is transformed for it [1]_ and the interval is not symmetric.
    Scores of two values only (0 and 1, or the bounds) get the exact interval of Clopper and Pearson, others with
    known bounds the one of Anderson [2]_, which is exact for every number of agents and wide.  Where the skew is too
    strong for the number of agents, or the agents too few to show one, ``interval.caution`` says so.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    level : float, default 0.95
        Confidence level in (0, 1).
    bounds : (float, float), optional
        Numbers that no score can lie outside of, by the problem's definition, not by what was seen.
    missing : {"keep", "drop"}, default "keep"
        Undefined scores (nan) might be anything, so that with ``"keep"`` no mean is defined; ``"drop"`` leaves
        them out, and the result says so.

    Returns
    -------
    Estimate
        The mean, in the unit of the scores, and its interval; not defined where scores are infinite.  Equal
        scores have an interval within the bounds only: nothing is known of agents that were not seen.

    Raises
    ------
    InvalidInput
        If scores are not numbers, one an agent, a score lies outside the bounds, or level is outside (0, 1).

    References
    ----------
    .. [1] P. Hall, "On the removal of skewness by transformation", Journal of the Royal Statistical Society B 54
       (1992) 221-228.
    .. [2] T. W. Anderson, "Confidence limits for the expected value of an arbitrary bounded random variable with a
       continuous distribution function", Bulletin of the International Statistical Institute 43 (1969) 249-251.

    Examples
    --------
    >>> import numpy as np
    >>> print(estimate_mean([4.0, 5.0, 6.0, 5.0, 3.0, 5.0, 4.0, 6.0, 5.0, 7.0]))
    5 [4.17398, 5.82602] (95 %, Student's t)
    >>> estimate_mean([4.0, 5.0, 6.0, 5.0]).caution
    'fewer than 10 agents cannot show a skew, which would make it too narrow'
    >>> print(estimate_mean([1.0] * 20, bounds=(0.0, 1.0)))
    1 [0.831567, 1] (95 %, Clopper-Pearson, two values)
    >>> print(estimate_mean([0.0, 1.0, np.inf]))
    not defined: 33 % of the agents have an infinite score; use the median, quantiles or the probability of improvement
    """
    if np.asarray(scores).dtype == np.bool_:
        bounds = (0.0, 1.0)
    if bounds is not None:
        bounds = check_bounds(bounds, scores)

    def of(x: Floats, level: float, unit: float) -> Estimate:
        return _mean(x, level, None if bounds is None else (bounds[0] / unit, bounds[1] / unit))

    return _of_finite(scores, level, missing, of)


def _mean(x: Floats, level: float, bounds: tuple[float, float] | None) -> Estimate:
    mean, n = mean_of(x), x.size
    values = two_values(x, bounds)
    if values is not None:
        low, high = exact_share(int((x == values[1]).sum()), n, level)
        low, high = (values[0] * (1 - end) + values[1] * end for end in (low, high))
        return _around(mean, low, high, level, "Clopper-Pearson, two values")
    s = float(spread(x)) if n > 1 else 0.0
    if s == 0.0 and bounds is not None:
        others = exact_share(0, n, level)[1]
        low, high = (mean * (1 - others) + bound * others for bound in bounds)
        return _around(mean, low, high, level, f"within the bounds; {all_equal(n, level)}")
    if bounds is not None:
        low, high = anderson(x, bounds, level)
        return _around(mean, low, high, level, "within the bounds (Anderson 1969)")
    if n == 1:
        return Estimate(mean, _unbounded(level, "one agent shows no spread"))
    if s == 0.0:
        return Estimate(mean, _unbounded(level, all_equal(n, level)))
    skew, quantile = skew_of_mean(x), float(special.stdtrit(n - 1, (1 + level) / 2))
    low, high, method = hall(mean, s / math.sqrt(n), skew, quantile)
    return Estimate(mean, Interval(low, high, level, method, skew_caution(skew, n, corrected=True)))


def _around(value: float, low: float, high: float, level: float, method: str, caution: str = "") -> Estimate:
    """An estimate whose interval holds it in spite of rounding."""
    return Estimate(value, Interval(min(low, value), max(high, value), level, method, caution))


def estimate_std(scores: ArrayLike, *, level: float = 0.95, missing: Missing = "keep") -> Estimate:
    r"""Standard deviation over agents (the spread) with Bonett's interval, which allows for non-normal scores.

    The textbook's :math:`\chi^2` interval is wrong for any number of agents unless the scores are normal.
    Bonett [1]_ puts the estimated kurtosis in its place: with :math:`c = n/(n-z)` and
    :math:`\bar\gamma_4 = n\sum(x_i-m)^4/(\sum(x_i-\bar x)^2)^2`, *m* a trimmed mean,

    .. math:: \exp\bigl(\ln(c\,s^2) \pm z\,c\,\sqrt{(\bar\gamma_4-(n-3)/n)/(n-1)}\bigr)^{1/2}

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    level : float, default 0.95
        Confidence level in (0, 1).
    missing : {"keep", "drop"}, default "keep"
        As in :func:`estimate_mean`.

    Returns
    -------
    Estimate
        The sample standard deviation (divisor n - 1) and its interval; unbounded below five agents and
        where all scores are equal, not defined where scores are infinite.

    Raises
    ------
    InvalidInput
        If scores are not at least two numbers, one an agent, or level is outside (0, 1).

    References
    ----------
    .. [1] D. G. Bonett, "Approximate confidence interval for standard deviation of nonnormal distributions",
       Computational Statistics & Data Analysis 50 (2006) 775-782.

    Examples
    --------
    >>> print(estimate_std([4.0, 5.0, 6.0, 5.0, 3.0, 5.0, 8.0, 6.0, 4.0, 7.0]))
    1.49443 [0.961095, 2.89021] (95 %, Bonett 2006, kurtosis estimated)
    """
    return _of_finite(scores, level, missing, _std, at_least=2)


def _std(x: Floats, level: float, _unit: float) -> Estimate:
    n, s = x.size, float(spread(x))
    if s == 0.0:
        return Estimate(s, _unbounded(level, all_equal(n, level), low=0.0))
    values = two_values(x)
    if values is not None:
        # s^2 = p (1 - p) (high - low)^2 is largest at 1/2.
        low, high = exact_share(int((x == values[1]).sum()), n, level)
        nearest = min(max(0.5, low), high)
        least, most = min(low * (1 - low), high * (1 - high)), nearest * (1 - nearest)
        low, high = ((values[1] - values[0]) * math.sqrt(part) for part in (least, most))
        return _around(s, low, high, level, "Clopper-Pearson, two values")
    z = float(stats.norm.isf((1 - level) / 2))
    if n < 5 or n <= z:
        return Estimate(s, _unbounded(level, f"{n} agents are too few", low=0.0))
    # In units of s: fourth powers of large scores would overflow.
    scaled = (x - x.mean()) / s
    centre = stats.trim_mean(scaled, 1 / (2 * math.sqrt(n - 4)))
    kurtosis = n * float(((scaled - centre) ** 4).sum()) / (n - 1) ** 2
    c = n / (n - z)
    log_error = z * c * math.sqrt((kurtosis - (n - 3) / n) / (n - 1))
    low, high = (s * math.exp((math.log(c) + sign * log_error) / 2) for sign in (-1, 1))
    caution = heavy_tails(kurtosis, scaled)
    return Estimate(s, Interval(low, high, level, "Bonett 2006, kurtosis estimated", caution))


def estimate_iqm(scores: ArrayLike, *, level: float = 0.95, missing: Missing = "keep") -> Estimate:
    r"""Interquartile mean: the mean of the middle half of the agents, with the interval of Tukey and McLaughlin.

    With :math:`g=\lfloor n/4\rfloor` agents cut from either end and :math:`s_w` the standard deviation of the
    winsorised scores [1]_:

    .. math:: \bar x_{\mathrm{IQM}} \pm t_{n-2g-1}\; s_w / (\tfrac12\sqrt n)

    The IQM is the aggregate of Agarwal et al. [2]_, who bootstrap its interval; the closed form agrees in
    the limit of many agents and costs nothing at 10,000.  Both need a distribution without a jump or a gap
    at its quartiles.  Where many agents share a score there, the interval comes from Kolmogorov's band around the
    distribution function, or from order statistics of the quartiles, which hold always and are wider.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    level : float, default 0.95
        Confidence level in (0, 1).
    missing : {"keep", "drop"}, default "keep"
        As in :func:`estimate_mean`.

    Returns
    -------
    Estimate
        The interquartile mean and its interval; not defined where a quarter of the scores or more are infinite on
        one side.

    Raises
    ------
    InvalidInput
        If scores are not numbers, one an agent, or level is outside (0, 1).

    References
    ----------
    .. [1] J. W. Tukey, D. H. McLaughlin, "Less vulnerable confidence and significance procedures for location
       based on a single sample: trimming/winsorization 1", Sankhya A 25 (1963) 331-352.
    .. [2] R. Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice",
       NeurIPS 2021, section 4.3.

    Examples
    --------
    >>> estimate_iqm([0.0, 4.0, 5.0, 5.0, 6.0, 6.0, 7.0, 100.0]).value
    5.5
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    known = np.sort(defined(x))
    lost = x.size - known.size
    middle = known[known.size // 4 : known.size - known.size // 4]
    # Infinite scores are cut, unless they reach into the middle half.
    finite = np.isfinite(middle).all()
    reason, instead = no_mean(np.where(np.isinf(x), 0.0, x) if finite else x, keep=check_missing(missing))
    if reason:
        return not_defined(reason, level, instead)
    unit = power_of_two(known[np.isfinite(known)])
    estimate = rescaled(_iqm(known / unit, level), unit)
    return _noted(estimate, about(known.size, lost)) if lost else estimate


def _iqm(x: Floats, level: float) -> Estimate:
    n = x.size
    cut = n // 4
    middle = x[cut : n - cut]
    iqm = mean_of(middle)
    if n == 1:
        return Estimate(iqm, _unbounded(level, "one agent shows no spread"))
    error = float(spread(np.clip(x, middle[0], middle[-1]))) / (0.5 * math.sqrt(n))
    tied = error == 0.0 or ties_at_quartiles(x)
    band = iqm_band(x, level) if tied else None
    if band is not None:
        return _around(iqm, band[0], band[1], level, band[2])
    if error == 0.0:
        return Estimate(iqm, _unbounded(level, "the middle half of few agents have one score"))
    half = float(special.stdtrit(n - 2 * cut - 1, (1 + level) / 2)) * error
    caution = TIED if tied else skew_caution(0.0, n)
    return Estimate(iqm, Interval(iqm - half, iqm + half, level, "Tukey-McLaughlin trimmed t", caution))


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
    return float(np.quantile(x[below : below + 2], place - below))


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
    return _around(hits / agents, low, high, level, method)


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

"""Mean, interquartile mean and standard deviation over agents, each with its confidence interval.

Where the agents cannot support the level asked the interval is unbounded or carries a caution, instead of being
narrower than it may be.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from qfast.stats._check import Floats, Missing, check_bounds, check_open_unit, check_scores, special, stats
from qfast.stats.interval import Estimate, Interval, all_equal, around, exact_share, not_defined, noted, unbounded, z_of
from qfast.stats.scores import (
    heavy_tails,
    in_range,
    known_of,
    no_mean,
    rescaled,
    skew_caution,
    skew_of_mean,
    two_values,
)

__all__ = ["estimate_iqm", "estimate_mean", "estimate_std", "mean_of", "mean_rounding", "spread"]

# The skewness that the mean itself may have for Student's t.
_SKEW_OF_T = 0.1
_TIED = "ties at a quartile and few agents: it holds less often than its level says"


def spread(scores: Floats) -> float:
    """Sample standard deviation (divisor n - 1), exactly 0 where all scores are equal, in spite of rounding."""
    return 0.0 if scores.max() == scores.min() else float(scores.std(ddof=1))


def mean_of(scores: Floats) -> float:
    """Arithmetic mean, exact where all scores are equal; sums that no float can hold do no harm."""
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        return float(scores[0])
    unit, (scaled,) = in_range(scores)
    mean = float(scaled.mean()) * unit
    return mean if unit == 1.0 else min(max(mean, low), high)


def mean_rounding(*populations: Floats) -> float:
    """What rounding of the scores and of their sums can make of equal means: some units in the last place."""
    return 16 * float(np.finfo(np.float64).eps) * max(float(np.abs(x).mean()) for x in populations)


def _of_finite(
    scores: ArrayLike,
    level: float,
    missing: Missing,
    of: Callable[[Floats, float, float], Estimate],
    *,
    at_least: int = 1,
) -> Estimate:
    """An estimate that needs finite scores, from those that are defined, the level and the unit they come in."""
    x, level = check_scores(scores, at_least=at_least), check_open_unit(level, "level", 0.95)
    reason, instead = no_mean(x, missing)
    if reason:
        return not_defined(reason, level, instead)
    known, note = known_of(x)
    if known.size < at_least:
        return not_defined(f"not defined: {known.size} agents have a defined score, {at_least} are needed", level)
    unit, (scaled,) = in_range(known)
    return noted(rescaled(of(scaled, level, unit), unit), note)


def estimate_mean(
    scores: ArrayLike, *, level: float = 0.95, bounds: tuple[float, float] | None = None, missing: Missing = "keep"
) -> Estimate:
    r"""Mean over agents with Student's t interval.

    .. math:: \bar x \pm t_{n-1,\,(1+\text{level})/2}\; s/\sqrt{n}

    Exact for normal scores.  Where skewness shows, *t* is transformed for it [1]_ and the interval is not symmetric.
    Scores of two values only (0 and 1, or the bounds) get the exact interval of Clopper and Pearson, others with
    known bounds the one of Anderson [2]_, which is exact for every number of agents and wide.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent; ``level`` and ``missing`` as everywhere in :mod:`qfast.stats`.
    bounds : (float, float), optional
        Numbers that no score can lie outside of, by the problem's definition, not by what was seen.

    Returns
    -------
    Estimate
        ``interval.caution`` says where the skew is too strong for the number of agents, or the agents are too few to
        show one.  Equal scores have an interval within the bounds only: nothing is known of agents that were not seen.

    Raises
    ------
    InvalidInput
        As everywhere, or if a score lies outside the bounds.

    References
    ----------
    .. [1] P. Hall, "On the removal of skewness by transformation", Journal of the Royal Statistical Society B 54
       (1992) 221-228.
    .. [2] T. W. Anderson, "Confidence limits for the expected value of an arbitrary bounded random variable with a
       continuous distribution function", Bulletin of the International Statistical Institute 43 (1969) 249-251.

    Examples
    --------
    >>> print(estimate_mean([4.0, 5.0, 6.0, 5.0, 3.0, 5.0, 4.0, 6.0, 5.0, 7.0]))
    5 [4.17398, 5.82602] (95 %, Student's t)
    >>> estimate_mean([4.0, 5.0, 6.0, 5.0]).caution
    'fewer than 10 agents cannot show a skew, which would make it too narrow'
    >>> print(estimate_mean([1.0] * 20, bounds=(0.0, 1.0)))
    1 [0.831567, 1] (95 %, Clopper-Pearson, two values)
    >>> print(estimate_mean([0.0, 1.0, float("inf")]))
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
    mean, n, s = mean_of(x), x.size, spread(x)
    values = two_values(x, bounds)
    if values is not None:
        low, high = exact_share(int((x == values[1]).sum()), n, level)
        low, high = (values[0] * (1 - end) + values[1] * end for end in (low, high))
        return around(mean, low, high, level, "Clopper-Pearson, two values")
    if s == 0.0 and bounds is not None:
        others = exact_share(0, n, level)[1]
        low, high = (mean * (1 - others) + bound * others for bound in bounds)
        return around(mean, low, high, level, f"within the bounds; {all_equal(n, level)}")
    if bounds is not None:
        return around(mean, *_anderson(x, bounds, level), level, "within the bounds (Anderson 1969)")
    if s == 0.0:
        return unbounded(mean, level, "one agent shows no spread" if n == 1 else all_equal(n, level))
    skew, quantile = skew_of_mean(x), float(special.stdtrit(n - 1, (1 + level) / 2))
    low, high, method = _hall(mean, s / math.sqrt(n), skew, quantile)
    return Estimate(mean, Interval(low, high, level, method, skew_caution(skew, n, "mean")))


def estimate_std(scores: ArrayLike, *, level: float = 0.95, missing: Missing = "keep") -> Estimate:
    r"""Standard deviation over agents (the spread) with Bonett's interval, which allows for non-normal scores.

    The textbook's :math:`\chi^2` interval is wrong for any number of agents unless the scores are normal.
    Bonett (Computational Statistics & Data Analysis 50 (2006) 775-782) puts the estimated kurtosis in its place: with
    :math:`c = n/(n-z)` and :math:`\bar\gamma_4 = n\sum(x_i-m)^4/(\sum(x_i-\bar x)^2)^2`, *m* a trimmed mean,

    .. math:: \exp\bigl(\ln(c\,s^2) \pm z\,c\,\sqrt{(\bar\gamma_4-(n-3)/n)/(n-1)}\bigr)^{1/2}

    Parameters
    ----------
    scores : array_like, (n_agents,)
        At least two; the rest as everywhere in :mod:`qfast.stats`.

    Returns
    -------
    Estimate
        With divisor n - 1; the interval is unbounded below five agents and where all scores are equal.

    Examples
    --------
    >>> print(estimate_std([4.0, 5.0, 6.0, 5.0, 3.0, 5.0, 8.0, 6.0, 4.0, 7.0]))
    1.49443 [0.961095, 2.89021] (95 %, Bonett 2006, kurtosis estimated)
    """
    return _of_finite(scores, level, missing, _std, at_least=2)


def _std(x: Floats, level: float, _unit: float) -> Estimate:
    n, s = x.size, spread(x)
    if s == 0.0:
        return unbounded(s, level, all_equal(n, level), low=0.0)
    values = two_values(x)
    if values is not None:
        # s^2 = p (1 - p) (high - low)^2 is largest at 1/2.
        low, high = exact_share(int((x == values[1]).sum()), n, level)
        nearest = min(max(0.5, low), high)
        least, most = min(low * (1 - low), high * (1 - high)), nearest * (1 - nearest)
        low, high = ((values[1] - values[0]) * math.sqrt(part) for part in (least, most))
        return around(s, low, high, level, "Clopper-Pearson, two values")
    z = z_of(level)
    if n < 5 or n <= z:
        return unbounded(s, level, f"{n} agents are too few", low=0.0)
    # In units of s: fourth powers of large scores would overflow.
    scaled = (x - x.mean()) / s
    centre = stats.trim_mean(scaled, 1 / (2 * math.sqrt(n - 4)))
    kurtosis = n * float(((scaled - centre) ** 4).sum()) / (n - 1) ** 2
    c = n / (n - z)
    # Rounding of a spread that is rounding itself may take a hair too much.
    log_error = z * c * math.sqrt(max(kurtosis - (n - 3) / n, 0.0) / (n - 1))
    low, high = (s * math.exp((math.log(c) + sign * log_error) / 2) for sign in (-1, 1))
    caution = heavy_tails(kurtosis, scaled)
    return Estimate(s, Interval(low, high, level, "Bonett 2006, kurtosis estimated", caution))


def estimate_iqm(scores: ArrayLike, *, level: float = 0.95, missing: Missing = "keep") -> Estimate:
    r"""Interquartile mean: the mean of the middle half of the agents, with the interval of Tukey and McLaughlin.

    With :math:`g=\lfloor n/4\rfloor` agents cut from either end and :math:`s_w` the standard deviation of the
    winsorised scores (Sankhya A 25 (1963) 331-352):

    .. math:: \bar x_{\mathrm{IQM}} \pm t_{n-2g-1}\; s_w / (\tfrac12\sqrt n)

    The IQM is the aggregate of Agarwal et al. (NeurIPS 2021, section 4.3), who bootstrap its interval; the closed form
    agrees in the limit of many agents and costs nothing at 10,000.  Both need a distribution without a jump or a gap
    at its quartiles.  Where many agents share a score there, the interval comes from Kolmogorov's band around the
    distribution function, or from order statistics of the quartiles, which hold always and are wider.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        This and the others as everywhere in :mod:`qfast.stats`.

    Returns
    -------
    Estimate
        Infinite scores are cut; not defined where they are a quarter or more on one side.

    Examples
    --------
    >>> estimate_iqm([0.0, 4.0, 5.0, 5.0, 6.0, 6.0, 7.0, 100.0]).value
    5.5
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    known, note = known_of(x)
    known = np.sort(known)
    middle = known[known.size // 4 : known.size - known.size // 4]
    # Infinite scores are cut, unless they reach into the middle half.
    finite = np.isfinite(middle).all()
    reason, instead = no_mean(np.where(np.isinf(x), 0.0, x) if finite else x, missing)
    if reason:
        return not_defined(reason, level, instead)
    unit, (scaled,) = in_range(known)
    return noted(rescaled(_iqm(scaled, level), unit), note)


def _iqm(x: Floats, level: float) -> Estimate:
    n = x.size
    cut = n // 4
    middle = x[cut : n - cut]
    iqm = mean_of(middle)
    if n == 1:
        return unbounded(iqm, level, "one agent shows no spread")
    error = spread(np.clip(x, middle[0], middle[-1])) / (0.5 * math.sqrt(n))
    tied = error == 0.0 or _ties_at_quartiles(x)
    band = _iqm_band(x, level) if tied else None
    if band is not None:
        return around(iqm, band[0], band[1], level, band[2])
    if error == 0.0:
        return unbounded(iqm, level, "the middle half of few agents have one score")
    half = float(special.stdtrit(n - 2 * cut - 1, (1 + level) / 2)) * error
    caution = _TIED if tied else skew_caution(0.0, n)
    return Estimate(iqm, Interval(iqm - half, iqm + half, level, "Tukey-McLaughlin trimmed t", caution))


def _hall(centre: float, error: float, skew: float, quantile: float) -> tuple[float, float, str]:
    """Ends of an interval for a mean with that standard error and skewness, and the method's name: Hall (1992).

    t + c t^2 / 3 + c^2 t^3 / 27 + c / 6 is nearly symmetric for a mean of skewness c; it is turned around here.
    """
    if abs(skew) <= _SKEW_OF_T:
        return centre - quantile * error, centre + quantile * error, "Student's t"
    low, high = (centre - error * 3 / skew * (math.cbrt(1 + skew * (q - skew / 6)) - 1) for q in (quantile, -quantile))
    return min(low, centre), max(high, centre), "Student's t, transformed for skewness (Hall 1992)"


def _weights(n: int, start: float, stop: float) -> Floats:
    """How much of each of n sorted scores lies between two shares of the agents, (n,)."""
    return np.diff(np.clip(np.arange(n + 1) / n, start, stop))


def _anderson(x: Floats, bounds: tuple[float, float], level: float) -> tuple[float, float]:
    """Ends for the mean of bounded scores, exact for every n: Anderson 1969.

    At worst, the share of the agents by which a one-sided band is wide moves from one end to the other bound.
    """
    x = np.sort(x)
    band = float(stats.ksone.isf((1 - level) / 2, x.size))
    weights = _weights(x.size, band, 1.0)
    return bounds[0] * band + float(weights @ x[::-1]), bounds[1] * band + float(weights @ x)


def _ties_at_quartiles(x: Floats) -> bool:
    """Whether many agents (scores sorted) share a score that begins or ends near a quartile: the IQM jumps there."""
    starts = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1]]))
    counts = np.diff(np.concatenate([starts, [x.size]]))
    many = counts >= max(2, 0.05 * x.size)
    edges = np.concatenate([starts[many], starts[many] + counts[many]]) / x.size
    near = 5 * math.sqrt(0.1875 / x.size)
    inner = edges[(edges > 0) & (edges < 1)]
    return bool(many.any()) and (x.size < 30 or bool((np.minimum(abs(inner - 0.25), abs(inner - 0.75)) < near).any()))


def _iqm_band(x: Floats, level: float) -> tuple[float, float, str] | None:
    """Ends for the IQM of sorted scores that hold for every distribution, and the method; None for too few agents.

    From Kolmogorov's band around the distribution function, or, where that is too wide, from order statistics.
    """
    n = x.size
    band = float(stats.kstwo.isf(1 - level, n))
    if band < 0.25:
        low, high = (_mean_between(x, 0.25 + shift, 0.75 + shift) for shift in (-band, band))
        return low, high, "many ties: Kolmogorov's band"
    rank = int(stats.binom.ppf((1 - level) / 2, n, 0.25))
    # The largest rank with at most that probability below it.
    while rank > 0 and stats.binom.cdf(rank - 1, n, 0.25) > (1 - level) / 2:
        rank -= 1
    if rank < 1:
        return None
    return float(x[rank - 1]), float(x[n - rank]), "many ties: order statistics of the quartiles"


def _mean_between(x: Floats, start: float, stop: float) -> float:
    """Mean of the quantiles from one share of the agents to another (scores sorted), exact where they are equal."""
    weights = _weights(x.size, start, stop)
    inside = weights > 0
    part = x[inside]
    return float(part[0]) if part[0] == part[-1] else float(weights[inside] @ part) / (stop - start)

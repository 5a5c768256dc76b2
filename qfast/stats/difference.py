"""How far two populations lie apart by their means: difference, its test, and effect size."""

import math

import numpy as np
from numpy.typing import ArrayLike

from qfast.stats._check import Floats, Missing, check_open_unit
from qfast.stats._scipy import special, stats
from qfast.stats.estimates import mean_of, mean_rounding, spread
from qfast.stats.interval import Estimate, Interval, not_defined
from qfast.stats.ranges import power_of_two, rescaled
from qfast.stats.shapes import (
    SKEW_OF_EFFECT,
    all_equal,
    exact_share,
    skew_caution,
    skew_of_mean,
    two_values,
)
from qfast.stats.undefined import check_pair, no_mean_of_pair

__all__ = ["effect_size", "exact_p_of_separation", "mean_difference", "t_test_name"]


def t_test_name(*, paired: bool) -> str:
    """Name of the test of equal means."""
    return "paired t-test" if paired else "Welch's t-test"


def exact_p_of_separation(n_a: int, n_b: int) -> float:
    """Two-sided permutation p-value where no agent of one population reaches the other: 2 / C(n_a + n_b, n_a)."""
    ways = special.gammaln(n_a + n_b + 1) - special.gammaln(n_a + 1) - special.gammaln(n_b + 1)
    return min(1.0, 2 * math.exp(-float(ways)))


def mean_difference(
    x: Floats, y: Floats, *, paired: bool, level: float, bounds: tuple[float, float] | None = None
) -> tuple[Estimate, float, str]:
    """Estimate of mean(x) - mean(y), two of either at least and all finite, with a test's p-value and name.

    Welch's or the paired t-test, as in SciPy; written out because ``scipy.stats.ttest_ind`` warns of precision loss
    where a population has no spread, which a population of learners that all found the optimum has.  Exact where a
    t-test knows no spread or there are two values only.
    """
    unit = power_of_two(x, y)
    if unit != 1.0:
        bounds = None if bounds is None else (bounds[0] / unit, bounds[1] / unit)
    a, b = (x, y) if unit == 1.0 else (x / unit, y / unit)
    estimate, p_value, test = _difference(a, b, paired=paired, level=level, bounds=bounds)
    return rescaled(estimate, unit), p_value, test


def _difference(
    x: Floats, y: Floats, *, paired: bool, level: float, bounds: tuple[float, float] | None
) -> tuple[Estimate, float, str]:
    values = two_values(np.concatenate([x, y]), bounds)
    no_spread = x.min() == x.max() and y.min() == y.max()
    if values is not None and (not no_spread or values == (0.0, 1.0) or bounds is not None):
        of = _two_valued_pairs if paired else _two_valued
        return of(x, y, values, level)
    if paired:
        d = x - y
        difference, variance, freedom = mean_of(d), float(spread(d)) ** 2 / d.size, d.size - 1.0
        name, skew = "Student's t of the pairs", skew_of_mean(d)
    else:
        parts = float(spread(x)) ** 2 / x.size, float(spread(y)) ** 2 / y.size
        difference, variance, name = mean_of(x) - mean_of(y), sum(parts), "Welch's t"
        # Shares of the variance: their squares cannot vanish together.
        first, second = (part / variance if variance else 0.5 for part in parts)
        freedom = 1 / (first**2 / (x.size - 1) + second**2 / (y.size - 1))
        skew = skew_of_mean(x, y)
    if variance == 0.0:
        return _without_spread(difference, x.size, y.size, paired=paired, level=level)
    if abs(difference) <= mean_rounding(x, y):
        difference = 0.0
    error = math.sqrt(variance)
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error
    p_value = 2 * float(special.stdtr(freedom, -abs(difference) / error))
    caution = skew_caution(skew, min(x.size, y.size))
    if not paired and not all(parts):
        flat, n = ("b", y.size) if parts[0] else ("a", x.size)
        caution = f"all {n:,} scores of {flat} are equal: its own spread is not known"
    interval = Interval(difference - half, difference + half, level, name, caution)
    return Estimate(difference, interval), p_value, t_test_name(paired=paired)


def _without_spread(
    difference: float, n_a: int, n_b: int, *, paired: bool, level: float
) -> tuple[Estimate, float, str]:
    if paired:
        why, test = all_equal(n_a, level, "pairs have this difference"), "exact sign-flip test of the pairs"
        p_value = 2.0 ** (1 - n_a)
    else:
        why, test = "neither population shows a spread", "exact permutation test"
        p_value = exact_p_of_separation(n_a, n_b)
    interval = Interval(-math.inf, math.inf, level, f"unbounded: {why}")
    return Estimate(difference, interval), p_value if difference else 1.0, test


def _two_valued(x: Floats, y: Floats, values: tuple[float, float], level: float) -> tuple[Estimate, float, str]:
    """Two shares: Fisher's test; the interval adds the exact ones of both shares in squares (MOVER)."""
    low, high = values
    hits = int((x == high).sum()), int((y == high).sum())
    p, q = hits[0] / x.size, hits[1] / y.size
    (p_low, p_high), (q_low, q_high) = exact_share(hits[0], x.size, level), exact_share(hits[1], y.size, level)
    below, above = math.hypot(p - p_low, q_high - q), math.hypot(p_high - p, q - q_low)
    ends = [(high - low) * end for end in (max(p - q - below, -1.0), p - q, min(p - q + above, 1.0))]
    table = [[hits[0], x.size - hits[0]], [hits[1], y.size - hits[1]]]
    p_value = min(1.0, float(stats.fisher_exact(table).pvalue))
    interval = Interval(ends[0], ends[2], level, "two values: Clopper-Pearson of each, added in squares")
    return Estimate(ends[1], interval), p_value, "Fisher's exact test"


def _two_valued_pairs(x: Floats, y: Floats, values: tuple[float, float], level: float) -> tuple[Estimate, float, str]:
    """Pairs that differ or not: McNemar's exact test; the interval is that of wins against losses."""
    width, wins, losses = values[1] - values[0], int((x > y).sum()), int((x < y).sum())
    chance = wins_and_ties(wins, x.size - wins - losses, x.size, level)
    low, high = ((2 * end - 1) * width for end in (chance.interval.low, chance.interval.high))
    value = (wins - losses) / x.size * width
    interval = Interval(min(low, value), max(high, value), level, "two values: Wilson of wins and losses")
    return Estimate(value, interval), sign_test(wins, losses), "McNemar's exact test"


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p-value of wins against losses, ties left out."""
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def wins_and_ties(wins: int, ties: int, n: int, level: float) -> Estimate:
    """Probability of a win, ties counted half, from n pairs: Wilson's interval with the variance of such a win."""
    p = (wins + ties / 2) / n
    c = float(stats.norm.isf((1 - level) / 2)) ** 2 / n
    # Solves (p - P)^2 = c (P (1 - P) - q / 4) for P with q = ties / (n + z^2); the radicand is never
    # negative, and never zero, so that the interval does not collapse even if all pairs are ties.
    centre, half = 2 * p + c, math.sqrt(c * (4 * p * (1 - p) - ties / n + c))
    low, high = ((centre + sign * half) / (2 * (1 + c)) for sign in (-1, 1))
    return Estimate(p, Interval(min(max(low, 0.0), p), max(min(high, 1.0), p), level, "same seed; Wilson, ties half"))


def effect_size(
    a: ArrayLike, b: ArrayLike, *, paired: bool = False, level: float = 0.95, missing: Missing = "keep"
) -> Estimate:
    r"""Cohen's d with the average variance of both populations.

    .. math:: d = \frac{\bar a-\bar b}{\sqrt{(s_a^2+s_b^2)/2}}

    It measures how far the populations lie apart in units of the spread over agents, so that it does not
    depend on whether agents were paired; only its interval does.  The interval is the delta method's, with
    the fourth moments of the scores in place of those of a normal distribution (the estimator and its
    variance for normal scores: D. G. Bonett, Psychological Methods 13 (2008) 99-109).

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        Scores of two populations, at least two agents each.
    paired : bool, default False
        Whether agent i of both shared its random numbers.
    level : float, default 0.95
        Confidence level in (0, 1).
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` there is no effect size where scores are undefined (nan); ``"drop"`` leaves them out.

    Returns
    -------
    Estimate
        d, positive where a has the higher mean; not defined where no population has a spread, or scores are infinite.

    Raises
    ------
    InvalidInput
        If scores are not numbers, sizes differ though paired, or level is outside (0, 1).

    Examples
    --------
    >>> round(effect_size([2.0, 4.0, 6.0], [1.0, 3.0, 5.0]).value, 6)
    0.5
    """
    pair = check_pair(a, b, paired=paired, missing=missing)
    level = check_open_unit(level, "level", 0.95)
    reason, instead = no_mean_of_pair(pair)
    if reason:
        return not_defined(reason, level, instead)
    unit = power_of_two(pair.a, pair.b)
    x, y = (pair.a, pair.b) if unit == 1.0 else (pair.a / unit, pair.b / unit)
    difference = mean_of(x) - mean_of(y)
    sigma = math.sqrt((float(spread(x)) ** 2 + float(spread(y)) ** 2) / 2)
    if sigma == 0.0:
        return not_defined("not defined: no spread over agents to divide by", level)
    d = difference / sigma
    # Influence of each agent on d: on the mean in the numerator and on its variance in the denominator.
    u, v = (x - x.mean()) / sigma, (y - y.mean()) / sigma
    influence_a = u - d / 4 * (u**2 - u.var())
    influence_b = -v - d / 4 * (v**2 - v.var())
    if paired:
        variance = float((influence_a + influence_b).var(ddof=1)) / x.size
    else:
        variance = float(influence_a.var(ddof=1)) / x.size + float(influence_b.var(ddof=1)) / y.size
    method = "Cohen's d, average variance; delta method"
    if pair.lost:
        method += f"; {pair.about}"
    half = float(stats.norm.isf((1 - level) / 2)) * math.sqrt(variance)
    skew = max(abs(skew_of_mean(x)), abs(skew_of_mean(y)))
    caution = skew_caution(skew, min(x.size, y.size), SKEW_OF_EFFECT)
    return Estimate(d, Interval(d - half, d + half, level, method, caution))

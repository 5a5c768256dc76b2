"""How far two populations lie apart: difference of means, effect size, probability of improvement, with their tests."""

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qfast.stats._check import Floats, Missing, check_open_unit, special, stats
from qfast.stats.estimates import mean_of, mean_rounding, spread
from qfast.stats.interval import (
    Estimate,
    Interval,
    all_equal,
    around,
    exact_share,
    not_defined,
    noted,
    share_interval,
    unbounded,
    z_of,
)
from qfast.stats.scores import (
    WHATEVER,
    Pair,
    check_pair,
    fill,
    in_range,
    no_mean_of_pair,
    rescaled,
    skew_caution,
    skew_of_mean,
    two_values,
)

__all__ = [
    "RankAnswer", "effect_of_pair", "effect_size", "exact_p_of_separation", "mean_difference",
    "probability_of_improvement", "rank_answer", "t_test_name", "wins_and_ties",
]  # fmt: skip

# Up to this many ways to deal the agents out, the p-value of the rank test is counted.
_MOST_WAYS = 1000


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

    SciPy's tests written out: ``scipy.stats.ttest_ind`` warns where a population has no spread, as one in which all
    agents found the optimum.  Exact where a t-test knows no spread or there are two values only.
    """
    unit, (a, b) = in_range(x, y)
    bounds = None if bounds is None else (bounds[0] / unit, bounds[1] / unit)
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
        difference, variance, freedom = mean_of(d), spread(d) ** 2 / d.size, d.size - 1.0
        name, skew = "Student's t of the pairs", skew_of_mean(d)
    else:
        parts = spread(x) ** 2 / x.size, spread(y) ** 2 / y.size
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
    return unbounded(difference, level, why), p_value if difference else 1.0, test


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
    estimate = around(value, low, high, level, "two values: Wilson of wins and losses")
    return estimate, _sign_test(wins, losses), "McNemar's exact test"


def _sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p-value of wins against losses, ties left out."""
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def wins_and_ties(wins: int, ties: int, n: int, level: float) -> Estimate:
    """Probability of a win, ties counted half, from n pairs."""
    p = (wins + ties / 2) / n
    low, high = share_interval(p, n, level, ties)
    return Estimate(p, Interval(float(low), float(high), level, "same seed; Wilson, ties half"))


def effect_size(
    a: ArrayLike, b: ArrayLike, *, paired: bool = False, level: float = 0.95, missing: Missing = "keep"
) -> Estimate:
    r"""Cohen's d with the average variance of both populations.

    .. math:: d = \frac{\bar a-\bar b}{\sqrt{(s_a^2+s_b^2)/2}}

    In units of the spread over agents, so that d does not depend on whether agents were paired; its interval does.
    That is the delta method's, with the fourth moments of the scores in place of those of a normal distribution (the
    estimator and its variance for normal scores: D. G. Bonett, Psychological Methods 13 (2008) 99-109).

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        At least two agents each; the rest as everywhere in :mod:`qfast.stats`.

    Returns
    -------
    Estimate
        d, positive where a has the higher mean; not defined where no population has a spread.

    Examples
    --------
    >>> round(effect_size([2.0, 4.0, 6.0], [1.0, 3.0, 5.0]).value, 6)
    0.5
    """
    pair = check_pair(a, b, paired=paired, missing=missing)
    return effect_of_pair(pair, check_open_unit(level, "level", 0.95))


def effect_of_pair(pair: Pair, level: float) -> Estimate:
    """Cohen's d of two populations that have been checked."""
    reason, instead = no_mean_of_pair(pair)
    if reason:
        return not_defined(reason, level, instead)
    _, (x, y) = in_range(pair.a, pair.b)
    difference = mean_of(x) - mean_of(y)
    sigma = math.sqrt((spread(x) ** 2 + spread(y) ** 2) / 2)
    if sigma == 0.0:
        return not_defined("not defined: no spread over agents to divide by", level)
    d = difference / sigma
    # Influence of each agent on d: on the mean in the numerator and on its variance in the denominator.
    u, v = (x - x.mean()) / sigma, (y - y.mean()) / sigma
    influence_a = u - d / 4 * (u**2 - u.var())
    influence_b = -v - d / 4 * (v**2 - v.var())
    if pair.paired:
        variance = float((influence_a + influence_b).var(ddof=1)) / x.size
    else:
        variance = float(influence_a.var(ddof=1)) / x.size + float(influence_b.var(ddof=1)) / y.size
    half = z_of(level) * math.sqrt(variance)
    skew = max(abs(skew_of_mean(x)), abs(skew_of_mean(y)))
    caution = skew_caution(skew, min(x.size, y.size), "effect size")
    interval = Interval(d - half, d + half, level, "Cohen's d, average variance; delta method", caution)
    return noted(Estimate(d, interval), pair.about)


class RankAnswer(NamedTuple):
    """Probability that a does better, and its test."""

    chance: Estimate
    p_value: float
    test: str


def probability_of_improvement(
    a: ArrayLike,
    b: ArrayLike,
    *,
    paired: bool = False,
    higher_is_better: bool = True,
    level: float = 0.95,
    missing: Missing = "keep",
) -> Estimate:
    r"""Probability that an agent of a does better than an agent of b, a tie counted half.

    .. math:: P(A > B) + \tfrac12 P(A = B)

    Not paired, *A* and *B* are independent: the estimate is the Mann-Whitney statistic over
    :math:`n_a n_b` (Agarwal et al., NeurIPS 2021, section 4.3).  Its standard error comes from the
    placements of DeLong, DeLong and Clarke-Pearson (Biometrics 44 (1988) 837-845), the degrees of freedom
    from Brunner and Munzel (Biometrical Journal 42 (2000) 17-25), and the interval is made on the logit
    scale, so that it stays in [0, 1].  When no agent of one population reaches the other, that error is
    zero; then the far end is :math:`(\alpha/2)^{1/\min(n_a,n_b)}` from 1, because the same would have to
    hold for that many disjoint pairs.

    Paired, *A* and *B* shared their random numbers, which is another quantity: the share of seeds on which
    a wins.  Its interval is Wilson's score interval with the variance :math:`p(1-p)-q/4` of a win that
    counts 1, a tie 1/2 (*q*: the share of ties, shrunk to :math:`n_{ties}/(n+z^2)`).

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        At least two agents each; the rest as everywhere in :mod:`qfast.stats`.
    paired : bool, default False
        Compare agent i of a with agent i of b only.
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` the interval reaches from the case in which all undefined scores make a worse to the one in
        which all make it better.

    Returns
    -------
    Estimate
        Of the agents whose score is defined, with its interval, in [0, 1].  Infinite scores are ranked as any others.

    Examples
    --------
    >>> probability_of_improvement([1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 2.0, 2.0]).value
    0.6875
    >>> probability_of_improvement([1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 2.0, 2.0], paired=True).value
    0.75
    """
    pair = check_pair(a, b, paired=paired, missing=missing)
    level = check_open_unit(level, "level", 0.95)
    return rank_answer(pair, higher_is_better=higher_is_better, level=level, tested=False).chance


def rank_answer(pair: Pair, *, higher_is_better: bool, level: float, tested: bool = True) -> RankAnswer:
    """Who does better by ranks, for all agents or those whose score is defined; p is nan where no test is asked for."""
    sign = 1.0 if higher_is_better else -1.0
    of = _same_seed if pair.paired else _independent
    test = "sign test" if pair.paired else "Brunner-Munzel test"
    if min(pair.a.size, pair.b.size) < (1 if pair.paired else 2):
        return RankAnswer(not_defined("not defined: too few agents have a defined score", level), 1.0, test)
    chance, p_value = of(sign * pair.a, sign * pair.b, level, tested=tested and not pair.bounded)
    if not pair.lost:
        return RankAnswer(chance, p_value, test)
    if not pair.bounded:
        return RankAnswer(noted(chance, pair.about), p_value, test)
    worst, p_worst = of(fill(sign * pair.all_a, -math.inf), fill(sign * pair.all_b, math.inf), level, tested=tested)
    best, p_best = of(fill(sign * pair.all_a, math.inf), fill(sign * pair.all_b, -math.inf), level, tested=tested)
    low, high, method = worst.interval.low, best.interval.high, chance.interval.method
    one_side = (worst.value - 0.5) * (best.value - 0.5) > 0
    bounds = around(chance.value, low, high, level, f"{method}; {WHATEVER}")
    return RankAnswer(bounds, max(p_worst, p_best) if one_side else 1.0, test)


def _same_seed(x: Floats, y: Floats, level: float, *, tested: bool) -> tuple[Estimate, float]:
    wins, losses = int((x > y).sum()), int((x < y).sum())
    return wins_and_ties(wins, x.size - wins - losses, x.size, level), _sign_test(wins, losses) if tested else math.nan


def _independent(x: Floats, y: Floats, level: float, *, tested: bool) -> tuple[Estimate, float]:
    placed_x, placed_y = _placements(x, y), 1 - _placements(y, x)
    p = float(placed_x.mean())
    tail = (1 - level) / 2
    far = tail ** (1 / min(x.size, y.size))
    if p in (0.0, 1.0):
        low, high = (0.0, 1 - far) if p == 0.0 else (far, 1.0)
        method = "independent agents; exact bound for separated populations"
        return Estimate(p, Interval(low, high, level, method)), exact_p_of_separation(x.size, y.size)
    parts = float(placed_x.var(ddof=1)) / x.size, float(placed_y.var(ddof=1)) / y.size
    variance = sum(parts)
    if variance == 0.0:
        # All of a tie with all of b: nothing is known but that ties are common, as in the case above.
        return Estimate(p, Interval(far / 2, 1 - far / 2, level, "independent agents; exact bound for all ties")), 1.0
    freedom = variance**2 / (parts[0] ** 2 / (x.size - 1) + parts[1] ** 2 / (y.size - 1))
    half = -float(special.stdtrit(freedom, tail)) * math.sqrt(variance) / (p * (1 - p))
    logit = math.log(p / (1 - p))
    # expit is written with tanh, which does not overflow.
    low, high = ((1 + math.tanh((logit + sign * half) / 2)) / 2 for sign in (-1, 1))
    estimate = Estimate(p, Interval(low, high, level, "independent agents; DeLong, logit, Brunner-Munzel df"))
    if not tested:
        return estimate, math.nan
    if math.comb(x.size + y.size, x.size) <= _MOST_WAYS:
        return estimate, _counted_p_value(x, y)
    p_value = 2 * float(special.stdtr(freedom, -abs(p - 0.5) / math.sqrt(variance)))
    return estimate, max(p_value, exact_p_of_separation(x.size, y.size))


def _counted_p_value(x: Floats, y: Floats) -> float:
    """Two-sided p-value of Brunner and Munzel's statistic over all ways to deal the agents out to two groups."""
    scores = np.concatenate([x, y])
    everyone = np.arange(scores.size)

    def statistic(first: tuple[int, ...]) -> float:
        chosen = np.isin(everyone, first)
        placed_x, placed_y = _placements(scores[chosen], scores[~chosen]), _placements(scores[~chosen], scores[chosen])
        gap = abs(float(placed_x.mean()) - 0.5)
        variance = float(placed_x.var(ddof=1)) / placed_x.size + float(placed_y.var(ddof=1)) / placed_y.size
        return gap / math.sqrt(variance) if variance else math.inf if gap else 0.0

    found = statistic(tuple(range(x.size)))
    ways = [statistic(first) for first in itertools.combinations(range(scores.size), x.size)]
    return sum(other >= found * (1 - 1e-12) for other in ways) / len(ways)


def _placements(x: Floats, y: Floats) -> Floats:
    """For each of x, the share of y below it plus half the share equal to it."""
    y = np.sort(y)
    below, up_to = np.searchsorted(y, x, side="left"), np.searchsorted(y, x, side="right")
    return (below + up_to) / (2 * y.size)

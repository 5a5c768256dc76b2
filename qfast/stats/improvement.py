"""Probability that an agent of one population does better than one of another, and the rank tests that go with it."""

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qfast.stats._check import Floats, Missing, check_open_unit
from qfast.stats._scipy import special
from qfast.stats.difference import exact_p_of_separation, sign_test, wins_and_ties
from qfast.stats.interval import Estimate, Interval, not_defined
from qfast.stats.undefined import Pair, check_pair, fill

__all__ = ["RankAnswer", "placements", "probability_of_improvement", "rank_answer"]

# Up to this many ways to deal the agents out, the p-value of the rank test is counted.
_MOST_WAYS = 1000


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
        Scores of two populations, at least two agents each.
    paired : bool, default False
        Compare agent i of a with agent i of b only.
    higher_is_better : bool, default True
        False for outcomes such as regret.
    level : float, default 0.95
        Confidence level in (0, 1).
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` the interval holds whatever the undefined scores (nan) are: it reaches from the case in
        which all of them make a worse to the one in which all make it better.  ``"drop"`` leaves them out.

    Returns
    -------
    Estimate
        The probability, of the agents whose score is defined, and its interval, in [0, 1].  Infinite scores are
        ranked as any others.

    Raises
    ------
    InvalidInput
        If scores are not numbers, sizes differ though paired, or level is outside (0, 1).

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
    interval = chance.interval
    if not pair.bounded:
        method = f"{interval.method}; {pair.about}"
        return RankAnswer(Estimate(chance.value, Interval(interval.low, interval.high, level, method)), p_value, test)
    worst_fill = fill(sign * pair.all_a, -math.inf), fill(sign * pair.all_b, math.inf)
    best_fill = fill(sign * pair.all_a, math.inf), fill(sign * pair.all_b, -math.inf)
    worst, p_worst = of(*worst_fill, level, tested=tested)
    best, p_best = of(*best_fill, level, tested=tested)
    method = f"{interval.method}; whatever the undefined scores are"
    bounds = Interval(min(worst.interval.low, chance.value), max(best.interval.high, chance.value), level, method)
    one_side = (worst.value - 0.5) * (best.value - 0.5) > 0
    return RankAnswer(Estimate(chance.value, bounds), max(p_worst, p_best) if one_side else 1.0, test)


def _same_seed(x: Floats, y: Floats, level: float, *, tested: bool) -> tuple[Estimate, float]:
    wins, losses = int((x > y).sum()), int((x < y).sum())
    return wins_and_ties(wins, x.size - wins - losses, x.size, level), sign_test(wins, losses) if tested else math.nan


def _independent(x: Floats, y: Floats, level: float, *, tested: bool) -> tuple[Estimate, float]:
    placed_x, placed_y = placements(x, y), 1 - placements(y, x)
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
        placed_x, placed_y = placements(scores[chosen], scores[~chosen]), placements(scores[~chosen], scores[chosen])
        gap = abs(float(placed_x.mean()) - 0.5)
        variance = float(placed_x.var(ddof=1)) / placed_x.size + float(placed_y.var(ddof=1)) / placed_y.size
        return gap / math.sqrt(variance) if variance else math.inf if gap else 0.0

    found = statistic(tuple(range(x.size)))
    ways = [statistic(first) for first in itertools.combinations(range(scores.size), x.size)]
    return sum(other >= found * (1 - 1e-12) for other in ways) / len(ways)


def placements(x: Floats, y: Floats) -> Floats:
    """For each of x, the share of y below it plus half the share equal to it."""
    y = np.sort(y)
    below, up_to = np.searchsorted(y, x, side="left"), np.searchsorted(y, x, side="right")
    return (below + up_to) / (2 * y.size)

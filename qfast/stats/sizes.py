"""How many agents a question needs, from a population that has been run."""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.stats._check import (
    Floats,
    Missing,
    check_half_width,
    check_missing,
    check_open_unit,
    check_scores,
    check_share,
    special,
    stats,
)
from qfast.stats.difference import exact_p_of_separation, t_test_name
from qfast.stats.estimates import estimate_std, mean_of, spread
from qfast.stats.interval import exact_share, z_of
from qfast.stats.orders import estimate_share
from qfast.stats.scores import (
    NO_SCORES,
    TOO_FEW,
    check_pair,
    in_range,
    known_of,
    no_mean,
    no_mean_of_pair,
    skew_caution,
    skew_of_mean,
)
from qfast.text import seeds_text

__all__ = [
    "SeedsNeeded", "p_without_spread", "seeds_for_power", "seeds_for_width", "standardised_difference", "welch_power",
]  # fmt: skip

# Beyond this no one trains; it bounds the search and stays far from where floats lose whole numbers.
_MOST = 2**50


@dataclass(frozen=True, slots=True)
class SeedsNeeded:
    """How many agents are needed, and of what.

    Parameters
    ----------
    n, n_low, n_high : int or None
        The smallest number of agents of each configuration that is enough, and the range that comes from the
        populations at hand being finite themselves; None if no number is (or more than 2**50).
    target, method : str
        What is reached with ``n`` agents, and how that was computed.
    n_defined, n_undefined : int
        Agents at hand that it was computed from, and those without a score.
    reason, caution : str
        Why there is no such number, and why the range may be too narrow; else empty.
    """

    n: int | None
    n_low: int | None
    n_high: int | None
    target: str
    method: str
    n_defined: int = 0
    n_undefined: int = 0
    reason: str = ""
    caution: str = ""

    @property
    def defined(self) -> bool:
        """Whether the question has an answer; ``reason`` says why not."""
        return not self.reason

    def __str__(self) -> str:
        """Name the number, its range, what it is for and how it was computed."""
        if self.reason:
            return f"the number of agents for {self.target} is {self.reason}"
        caution = f"; {self.caution}" if self.caution else ""
        n, low, high = ("no number of" if m is None else f"{m:,}" for m in (self.n, self.n_low, self.n_high))
        return f"{n} agents ({low} to {high}) for {self.target} ({self.method}{caution})"


def _smallest(enough: Callable[[int], bool], start: int) -> int | None:
    """Smallest n >= start with enough(n), for a condition that stays true once it is."""
    high = start
    while not enough(high):
        high *= 2
        if high > _MOST:
            return None
    below = range(max(start, high // 2), high)
    return below.start + bisect_left(below, True, key=enough)


def _agents_for_mean(std: float, half_width: float, level: float) -> int | None:
    def enough(n: int) -> bool:
        return float(special.stdtrit(n - 1, (1 + level) / 2)) * std / math.sqrt(n) <= half_width

    return None if math.isinf(std) else _smallest(enough, 2)


def _agents_for_share(share: float, half_width: float, level: float) -> int | None:
    def enough(n: int) -> bool:
        # Half the width of Clopper and Pearson's interval, if that share of n agents were a whole number.
        low, high = exact_share(share * n, n, level)
        return (high - low) / 2 <= half_width

    return _smallest(enough, 1)


def seeds_for_width(
    scores: ArrayLike, half_width: float, *, quantity: str = "mean", level: float = 0.95, missing: Missing = "keep"
) -> SeedsNeeded:
    r"""Number of agents for which an interval is as narrow as asked.

    For the mean, the smallest *n* with :math:`t_{n-1}\,s/\sqrt n \le` ``half_width``, *s* the standard
    deviation of the population at hand; for a share, the same with Clopper and Pearson's interval at the share at hand.
    The next experiment has a spread of its own, so that about half of them come out narrower and half wider.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        A population that was run, at least two agents; 0, 1 or boolean for a share.
    half_width : float
        Half the width of the interval, in the unit of the scores, above 0.
    quantity : {"mean", "share"}, default "mean"
        What the interval is for.
    level : float, default 0.95
        Its confidence level; this and ``missing`` as everywhere in :mod:`qfast.stats`.

    Returns
    -------
    SeedsNeeded
        ``n_low`` and ``n_high`` use the ends of the interval of *s* (of the share) at the same level.

    Examples
    --------
    >>> seeds_for_width([0, 1] * 5000, 0.01, quantity="share").n
    9701
    >>> seeds_for_width([0.0, 2.0] * 5000, 0.1).n
    387
    """
    x, level = check_scores(scores, at_least=2), check_open_unit(level, "level", 0.95)
    width = check_half_width(half_width)
    target = f"a half-width of {width:g} of the {quantity} at {100 * level:g} %"
    keep, (known, note) = check_missing(missing), known_of(x)
    lost, of_share = x.size - known.size, check_share(quantity, known)
    if of_share:
        reason = "" if known.size else NO_SCORES
    else:
        reason = no_mean(x, missing)[0] or (TOO_FEW if known.size < 2 else "")
    method = "Clopper-Pearson at the share" if of_share else "Student's t at the spread"
    method = f"{method} of the population{f'; {note}' if note and not keep else ''}"
    if reason:
        return SeedsNeeded(None, None, None, target, method, known.size, lost, reason)
    if not of_share:
        unit, (scaled,) = in_range(known)
        std = estimate_std(scaled, level=level)
        stds = (std.value, std.interval.low, std.interval.high)
        n, low, high = (_agents_for_mean(s, width / unit, level) for s in stds)
        return SeedsNeeded(n, low, high, target, method, known.size, lost, caution=std.caution)
    share = estimate_share(int(known.sum()), known.size, level=level, undefined=lost if keep else 0)
    ends = share.interval.low, share.interval.high
    # The width is largest at 1/2: the share of the interval nearest to it needs the most agents.
    nearest, farthest = min(max(0.5, ends[0]), ends[1]), max(ends, key=lambda p: abs(p - 0.5))
    n, low, high = (_agents_for_share(p, width, level) for p in (share.value, farthest, nearest))
    return SeedsNeeded(n, low, high, target, method, known.size, lost)


def welch_power(difference: float, variances: tuple[float, float], n: int, alpha: float) -> float:
    """Power of the two-sided Welch test with n agents of each for normal scores (noncentral t).

    It counts significance in the direction of a positive difference only.
    """
    total = variances[0] + variances[1]
    freedom = (n - 1) * total**2 / (variances[0] ** 2 + variances[1] ** 2)
    return _power_of_t(difference / math.sqrt(total / n), freedom, alpha)


def _power_of_t(noncentrality: float, freedom: float, alpha: float) -> float:
    critical = float(special.stdtrit(freedom, 1 - alpha / 2))
    # SciPy 1.13 divides by zero on its way to the right number.
    with np.errstate(divide="ignore"):
        return float(stats.nct.sf(critical, freedom, noncentrality))


def seeds_for_power(
    a: ArrayLike,
    b: ArrayLike,
    *,
    paired: bool = False,
    power: float = 0.8,
    alpha: float = 0.05,
    missing: Missing = "keep",
) -> SeedsNeeded:
    r"""Number of agents of each configuration to tell two populations apart.

    The smallest *n* for which Welch's t-test (paired: the paired t-test) at level ``alpha`` finds the
    difference of means, in the right direction, with probability ``power``; by the noncentral *t* with
    noncentrality :math:`(\bar a-\bar b)/\sqrt{(s_a^2+s_b^2)/n}`.  That is exact for normal scores of equal
    spread; where a small *n* comes out and scores are far from normal, ``misranking(a, b, [n]).missed``
    says what the test really misses.

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        Populations that were run, at least two agents each; the rest as everywhere in :mod:`qfast.stats`.
    paired : bool, default False
        Whether agents i of both will share their random numbers; those of experiments elsewhere do not.
    power, alpha : float, default 0.8 and 0.05
        Probability to find the difference, and level of the two-sided test, in (0, 1).

    Returns
    -------
    SeedsNeeded
        ``n`` is None if both means are equal.  ``n_low`` and ``n_high`` belong to the ends of the 95 %
        interval of the standardised difference of the populations (``n_high`` is None if it contains 0).

    Examples
    --------
    A difference of half a standard deviation needs 64 a group for a power of 0.8 (J. Cohen, *Statistical
    Power Analysis for the Behavioral Sciences*, 2nd ed., table 2.4.1).

    >>> import numpy as np
    >>> scores = np.random.default_rng(7).normal(size=10_000)
    >>> scores = (scores - scores.mean()) / scores.std(ddof=1)
    >>> seeds_for_power(scores + 0.5, scores, paired=False).n
    64
    """
    pair = check_pair(a, b, paired=paired, missing=missing)
    power, alpha = check_open_unit(power, "power", 0.8), check_open_unit(alpha, "alpha", 0.05)
    seeds = seeds_text(paired=paired)
    target = f"{t_test_name(paired=paired)} at {alpha:g} to find the difference with power {power:g}"
    method = f"noncentral t at the means and spreads of the populations; {seeds}"
    if pair.lost and not pair.keep:
        method += f"; {pair.about}"
    reason, _ = no_mean_of_pair(pair)
    if reason:
        return SeedsNeeded(None, None, None, target, method, pair.n, pair.lost, reason)
    _, (x, y) = in_range(pair.a, pair.b)
    effect = standardised_difference(x, y, paired=paired)
    if math.isinf(effect[0]):
        # No test finds anything in fewer seeds than it takes for chance to be ruled out.
        n = _smallest(lambda k: p_without_spread(k, paired=paired) < alpha, 2)
        return SeedsNeeded(n, n, None, target, f"exact test without spread; {seeds}", pair.n, pair.lost)
    # Ends of the 95 % interval of the standardised difference, by their distance from 0.
    size, half = abs(effect[0]), z_of(0.95) * effect[1]

    # Only the ratio of the variances matters: the difference comes in units of their root sum.
    parts = spread(x) ** 2, spread(y) ** 2
    total = sum(parts)
    ratio = (parts[0] / total, parts[1] / total) if total else (0.5, 0.5)

    def found(size: float, n: int) -> float:
        return _power_of_t(size * math.sqrt(n), n - 1, alpha) if paired else welch_power(size, ratio, n, alpha)

    def needed(size: float) -> int | None:
        return _smallest(lambda n: found(size, n) >= power, 2) if size else None

    skew = max(abs(skew_of_mean(population)) for population in ((x - y,) if paired else (x, y)))
    caution = skew_caution(skew, min(x.size, y.size), "effect size")
    return SeedsNeeded(
        needed(size), needed(size + half), needed(max(size - half, 0.0)), target, method, pair.n, pair.lost,
        caution=caution,
    )  # fmt: skip


def p_without_spread(k: int, *, paired: bool) -> float:
    """Smallest p-value that k seeds of each can have, where no seed differs from another."""
    return 2.0 ** (1 - k) if paired else exact_p_of_separation(k, k)


def standardised_difference(x: Floats, y: Floats, *, paired: bool) -> tuple[float, float]:
    """Mean difference over the standard deviation of one difference, and the standard error of that ratio.

    ``misranking`` and the power of tests depend on the populations through this number.
    """
    difference = mean_of(x) - mean_of(y)
    sigma = spread(x - y) if paired else math.hypot(spread(x), spread(y))
    if sigma == 0.0:
        return (math.copysign(math.inf, difference) if difference else 0.0), 0.0
    delta = difference / sigma
    if paired:
        d = (x - y - difference) / sigma
        return delta, float((d - delta / 2 * (d**2 - d.var())).std(ddof=1)) / math.sqrt(x.size)
    u, v = (x - x.mean()) / sigma, (y - y.mean()) / sigma
    part_a, part_b = u - delta / 2 * (u**2 - u.var()), v + delta / 2 * (v**2 - v.var())
    return delta, math.sqrt(float(part_a.var(ddof=1)) / x.size + float(part_b.var(ddof=1)) / y.size)

"""What scores may be: infinite, undefined, so large that their squares leave float64, skew, or of two values only.

An infinite score is known to ranks, shares and quantiles, and not to means.  An undefined one (nan) might be anything:
what can be bounded is given with both extremes, and what cannot is not defined.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Missing, check_missing, check_scores
from qfast.stats.interval import Estimate, not_defined
from qfast.text import in_percent

__all__ = [
    "NO_SCORES", "TOO_FEW", "WHATEVER", "Pair", "Ranked", "about", "check_pair", "defined", "fill", "heavy_tails",
    "in_range", "known_of", "no_mean", "no_mean_of_pair", "power_of_two", "ranked", "rescaled", "skew_caution",
    "skew_of_mean", "third", "two_values",
]  # fmt: skip

NO_SCORES = "not defined: no agent has a defined score"
TOO_FEW = "not defined: fewer than two agents have a defined score"
WHATEVER = "whatever the undefined scores are"

_INSTEAD = "use the median, quantiles or the probability of improvement"
_DROP = "(missing='drop' answers for the others alone)"
# Fourth powers, and sums of a million of them, stay far inside float64 between these.
_LARGE, _SMALL = 2.0**200, 2.0**-200

# Below this many agents neither a skew nor a tail can be seen.
_FEW = 10
_FEW_AGENTS = f"fewer than {_FEW} agents cannot show a skew, which would make it too narrow"
_SKEWED = "strong skew for so few agents: it holds less often than its level says"
_HEAVY = "heavy tails for so few agents: it holds less often than its level says"

# The skewness that a mean itself may have: corrected for it, in a difference, and in an effect size, which depends on
# fourth moments, too.
_MOST_SKEW = {"mean": 0.25, "difference": 0.2, "effect size": 0.13}


def defined(x: Floats) -> Floats:
    """The scores that exist, infinite ones among them."""
    undefined = np.isnan(x)
    return x[~undefined] if undefined.any() else x


def fill(x: Floats, value: float) -> Floats:
    """Undefined scores replaced by one extreme."""
    return np.where(np.isnan(x), value, x)


def about(n: int, n_undefined: int, what: str = "agents whose score is defined") -> str:
    """Say how many agents an answer is about; empty where it is about all."""
    return f"about the {n:,} of {n + n_undefined:,} {what}" if n_undefined else ""


class Ranked(NamedTuple):
    """Sorted scores: those that exist; all, with the undefined ones at either extreme where they are kept."""

    known: Floats
    lowest: Floats
    highest: Floats
    note: str

    @property
    def n(self) -> int:
        """Agents that the answer is about."""
        return self.lowest.size


def ranked(x: Floats, missing: Missing) -> Ranked:
    """Sort scores for an answer by ranks; `note` says what became of the undefined ones."""
    keep, (known, note) = check_missing(missing), known_of(np.sort(x))
    if not (note and keep):
        return Ranked(known, known, known, note)
    return Ranked(known, np.sort(fill(x, -math.inf)), np.sort(fill(x, math.inf)), WHATEVER)


def known_of(x: Floats) -> tuple[Floats, str]:
    """The scores that exist, and how many agents that is where it is not all."""
    known = defined(x)
    return known, about(known.size, x.size - known.size)


def no_mean(x: Floats, missing: Missing) -> tuple[str, str]:
    """Why a mean of these scores is not defined, and what to use instead; two empty texts where it is."""
    keep, undefined = check_missing(missing), int(np.isnan(x).sum())
    if undefined and (keep or undefined == x.size):
        return f"not defined: {in_percent(undefined / x.size)} of the agents have an undefined score {_DROP}", ""
    infinite = int(np.isinf(x).sum())
    if infinite:
        share = in_percent(infinite / (x.size - undefined))
        return f"not defined: {share} of the agents have an infinite score", _INSTEAD
    return "", ""


class Pair(NamedTuple):
    """Two populations: all scores, and those that exist (of pairs: where both do)."""

    all_a: Floats
    all_b: Floats
    a: Floats
    b: Floats
    keep: bool
    paired: bool

    @property
    def undefined(self) -> tuple[int, int]:
        """How many agents of either have no score, or are left out because their partner has none."""
        return self.all_a.size - self.a.size, self.all_b.size - self.b.size

    @property
    def n(self) -> int:
        """Agents of both whose score is defined; of pairs, pairs in which both are."""
        return self.a.size if self.paired else self.a.size + self.b.size

    @property
    def lost(self) -> int:
        """Agents of both that have no score; of pairs, pairs in which one has none."""
        return self.undefined[0] if self.paired else sum(self.undefined)

    @property
    def about(self) -> str:
        """How many agents an answer without the others is about; empty where it is about all."""
        what = "pairs of agents whose scores are defined" if self.paired else "agents whose score is defined"
        return about(self.n, self.lost, what)

    @property
    def bounded(self) -> bool:
        """Whether undefined scores have to be thought of as anything."""
        return self.keep and any(self.undefined)


def check_pair(a: ArrayLike, b: ArrayLike, *, paired: bool, missing: Missing = "keep") -> Pair:
    """Two populations with at least two agents each, of equal size if they are paired."""
    keep = check_missing(missing)
    x, y = check_scores(a, "a", at_least=2), check_scores(b, "b", at_least=2)
    if not paired:
        return Pair(x, y, defined(x), defined(y), keep, paired)
    if x.size != y.size:
        raise InvalidInput(
            f"a has {x.size} agents and b {y.size}, but paired=True needs agent i in both; "
            "run them with equal n_agents and one seed, or use paired=False"
        )
    known = ~(np.isnan(x) | np.isnan(y))
    return Pair(x, y, x[known], y[known], keep, paired)


def no_mean_of_pair(pair: Pair) -> tuple[str, str]:
    """Why a difference of means is not defined, and what to use instead; two empty texts where it is."""
    shares = [lost / x.size for lost, x in zip(pair.undefined, (pair.all_a, pair.all_b), strict=True)]
    if pair.bounded:
        who = f"{in_percent(shares[0])} of the pairs of agents" if pair.paired else _of_both(shares)
        return f"not defined: {who} have an undefined score {_DROP}", ""
    if min(pair.a.size, pair.b.size) < 2:
        return TOO_FEW, ""
    shares = [float(np.isinf(x).mean()) for x in (pair.a, pair.b)]
    if any(shares):
        return f"not defined: {_of_both(shares)} have an infinite score", _INSTEAD
    return "", ""


def _of_both(shares: list[float]) -> str:
    parts = [f"{in_percent(share)} of the agents of {name}" for share, name in zip(shares, "ab", strict=True) if share]
    return " and ".join(parts)


def power_of_two(*populations: Floats) -> float:
    """A power of two by which scores are divided, exactly, where their squares would overflow; else 1."""
    largest = max((max(float(x.max()), -float(x.min())) for x in populations), default=0.0)
    if math.isinf(largest):
        largest = max(float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) for x in populations)
    if largest == 0.0 or _SMALL < largest < _LARGE:
        return 1.0
    # One less than would be needed for 1: the power itself must be a float.
    return math.ldexp(1.0, min(max(math.frexp(largest)[1], -1021), 1023))


def in_range(*populations: Floats) -> tuple[float, list[Floats]]:
    """Give a unit in which the powers of scores are floats, and the populations in it."""
    unit = power_of_two(*populations)
    return unit, [x if unit == 1.0 else x / unit for x in populations]


def rescaled(estimate: Estimate, unit: float) -> Estimate:
    """An estimate back in the unit of the scores: infinite ends and no value where no float can hold them."""
    if unit == 1.0 or not estimate.defined:
        return estimate
    value, low, high = (number * unit for number in (estimate.value, estimate.interval.low, estimate.interval.high))
    if math.isinf(value) and math.isfinite(estimate.value):
        reason = "not defined: it is beyond the range of float64"
        return not_defined(reason, estimate.interval.level, "divide the scores by a large number")
    return replace(estimate, value=value, interval=replace(estimate.interval, low=low, high=high))


def two_values(x: Floats, bounds: tuple[float, float] | None = None) -> tuple[float, float] | None:
    """The two scores of a population that has no others: yes or no, the bounds, or each seen again and again."""
    low, high = float(x.min()), float(x.max())
    if bounds is not None:
        return bounds if ((x == bounds[0]) | (x == bounds[1])).all() else None
    at_high = int((x == high).sum())
    if low == high or at_high + int((x == low).sum()) < x.size:
        return None
    seen_twice = 2 <= at_high <= x.size - 2
    return (low, high) if seen_twice or (low, high) == (0.0, 1.0) else None


def third(x: Floats) -> float:
    """Third central moment."""
    return float(((x - x.mean()) ** 3).mean())


def skew_of_mean(*populations: Floats) -> float:
    """Skewness of the mean's own distribution, or of a difference of two means; 0 where no score differs."""
    error = math.sqrt(sum(float(x.var()) / x.size for x in populations))
    if error == 0.0:
        return 0.0
    # In units of the error: cubes of very small scores would vanish.
    parts = [third((x - x.mean()) / error) / x.size**2 for x in populations]
    return parts[0] - sum(parts[1:])


def skew_caution(skew: float, n: int, of: str = "difference") -> str:
    """Words of warning where a mean has more skewness than its interval stands; else empty."""
    if n < _FEW:
        return _FEW_AGENTS
    return _SKEWED if abs(skew) > _MOST_SKEW[of] else ""


def heavy_tails(kurtosis: float, scaled: Floats) -> str:
    """Words of warning where the interval of a standard deviation fails; else empty.

    A kurtosis that grows with the number of agents, or hangs on one of them, does not settle.
    """
    n = scaled.size
    if n < _FEW:
        return _FEW_AGENTS.replace("a skew", "a heavy tail")
    fourths = scaled**4
    one_agent = n >= 100 and float(fourths.max()) > 0.35 * float(fourths.sum())
    return _HEAVY if one_agent or kurtosis > max(3.7, 0.38 * math.sqrt(n)) else ""

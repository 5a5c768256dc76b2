"""What the shape of scores does to intervals: skew, heavy tails, ties and two values; and the words that warn of it.

The rules were set by simulation: where one is silent, nominal 95 % are at least 93 % in most studies (README.md).
"""

import math

import numpy as np

from qfast.stats._check import Floats, special, stats
from qfast.stats.words import percent

__all__ = [
    "SKEW_OF_EFFECT", "SKEW_OF_HALL", "TIED", "all_equal", "anderson", "exact_share", "hall", "heavy_tails",
    "iqm_band", "normal_quantile", "share_interval", "skew_caution", "skew_of_mean", "third", "ties_at_quartiles",
    "two_values",
]  # fmt: skip

# Below this many agents neither a skew nor a tail can be seen.
_FEW = 10
FEW_AGENTS = f"fewer than {_FEW} agents cannot show a skew, which would make it too narrow"
SKEWED = "strong skew for so few agents: it holds less often than its level says"
HEAVY = "heavy tails for so few agents: it holds less often than its level says"
TIED = "ties at a quartile and few agents: it holds less often than its level says"

# The skewness that the mean itself may have: up to the first, Student's t holds; beyond the second, nothing does.
_SKEW_OF_T, SKEW_OF_HALL = 0.1, 0.25
# Without a correction for skewness, and for effect sizes, which depend on fourth moments, too.
SKEW_OF_WELCH, SKEW_OF_EFFECT = 0.2, 0.13


def normal_quantile(level: float) -> float:
    """Half the width, in standard errors, of a two-sided interval of the normal distribution."""
    return float(stats.norm.isf((1 - level) / 2))


def exact_share(hits: float, n: float, level: float) -> tuple[float, float]:
    """Ends of the interval of Clopper and Pearson: exact for every n, never of width zero."""
    tail = (1 - level) / 2
    low = 0.0 if hits <= 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits >= n else float(special.betaincinv(hits + 1, n - hits, 1 - tail))
    return low, high


def share_interval(
    share: Floats | float, n: int, level: float = 0.95, ties: Floats | float = 0.0
) -> tuple[Floats, Floats]:
    """Ends of Wilson's interval (1927) for shares of n agents, of which so many ties count one half.

    Solves (p - P)^2 = c (P (1 - P) - q / 4) for P with q = ties / (n + z^2); its width is never zero.
    """
    p = np.asarray(share, dtype=np.float64)
    c = normal_quantile(level) ** 2 / n
    centre, half = 2 * p + c, np.sqrt(c * (4 * p * (1 - p) - ties / n + c))
    low, high = ((centre + sign * half) / (2 * (1 + c)) for sign in (-1, 1))
    return np.minimum(np.maximum(low, 0.0), p), np.maximum(np.minimum(high, 1.0), p)


def all_equal(n: int, level: float, what: str = "agents have this score") -> str:
    """What n equal scores do say."""
    others = percent(exact_share(0, n, level)[1], 1)
    return f"all {n:,} {what}; at {100 * level:g} % at most {others} of the population have another"


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


def skew_caution(skew: float, n: int, most: float = SKEW_OF_WELCH) -> str:
    """Words of warning where a mean has more than that skewness, so that an interval fails; else empty."""
    if n < _FEW:
        return FEW_AGENTS
    return SKEWED if abs(skew) > most else ""


def hall(centre: float, error: float, skew: float, quantile: float) -> tuple[float, float, str]:
    """Ends of an interval for a mean with that standard error and skewness, and the method's name: Hall (1992).

    t + c t^2 / 3 + c^2 t^3 / 27 + c / 6 is nearly symmetric for a mean of skewness c; it is turned around here.
    """
    if abs(skew) <= _SKEW_OF_T:
        return centre - quantile * error, centre + quantile * error, "Student's t"
    low, high = (centre - error * 3 / skew * (math.cbrt(1 + skew * (q - skew / 6)) - 1) for q in (quantile, -quantile))
    return min(low, centre), max(high, centre), "Student's t, transformed for skewness (Hall 1992)"


def heavy_tails(kurtosis: float, scaled: Floats) -> str:
    """Words of warning where the interval of a standard deviation fails; else empty.

    A kurtosis that grows with the number of agents, or hangs on one of them, does not settle.
    """
    n = scaled.size
    if n < _FEW:
        return FEW_AGENTS.replace("a skew", "a heavy tail")
    fourths = scaled**4
    one_agent = n >= 100 and float(fourths.max()) > 0.35 * float(fourths.sum())
    return HEAVY if one_agent or kurtosis > max(3.7, 0.38 * math.sqrt(n)) else ""


def _weights(n: int, start: float, stop: float) -> Floats:
    """How much of each of n sorted scores lies between two shares of the agents, (n,)."""
    return np.diff(np.clip(np.arange(n + 1) / n, start, stop))


def anderson(x: Floats, bounds: tuple[float, float], level: float) -> tuple[float, float]:
    """Ends for the mean of bounded scores, exact for every n: Anderson 1969.

    At worst, the share of the agents by which a one-sided band is wide moves from one end to the other bound.
    """
    x = np.sort(x)
    band = float(stats.ksone.isf((1 - level) / 2, x.size))
    weights = _weights(x.size, band, 1.0)
    return bounds[0] * band + float(weights @ x[::-1]), bounds[1] * band + float(weights @ x)


def ties_at_quartiles(x: Floats) -> bool:
    """Whether many agents (scores sorted) share a score that begins or ends near a quartile: the IQM jumps there."""
    starts = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1]]))
    counts = np.diff(np.concatenate([starts, [x.size]]))
    many = counts >= max(2, 0.05 * x.size)
    edges = np.concatenate([starts[many], starts[many] + counts[many]]) / x.size
    near = 5 * math.sqrt(0.1875 / x.size)
    inner = edges[(edges > 0) & (edges < 1)]
    return bool(many.any()) and (x.size < 30 or bool((np.minimum(abs(inner - 0.25), abs(inner - 0.75)) < near).any()))


def iqm_band(x: Floats, level: float) -> tuple[float, float, str] | None:
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

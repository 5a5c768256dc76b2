"""Numbers that say how sure they are: an interval names its level and the way it was made."""

import math
from dataclasses import dataclass, replace

import numpy as np

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, special, stats
from qfast.text import in_percent

__all__ = [
    "Estimate",
    "Interval",
    "ToleranceInterval",
    "all_equal",
    "around",
    "exact_share",
    "not_defined",
    "noted",
    "share_interval",
    "unbounded",
    "z_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval: it holds the true value in a share ``level`` of all studies.

    It is about the uncertainty of one number and shrinks with the number of agents.  The spread over agents is a
    property of the learner and does not: a standard deviation, quantiles and a :class:`ToleranceInterval` describe it.

    Parameters
    ----------
    low, high : float
        The ends, both included.  ``-inf`` or ``inf`` where the agents are too few for the level asked.
    level : float
        Confidence level in (0, 1).
    method : str
        How the ends were found.
    caution : str, default ""
        Why the scores give reason to think that it holds the truth less often than its level says; else empty.

    Raises
    ------
    InvalidInput
        If an end is not a number or ``low`` is above ``high``.

    Examples
    --------
    >>> interval = Interval(1.5, 2.5, 0.95, "Student's t")
    >>> interval.half_width, 2.0 in interval
    (0.5, True)
    >>> print(interval)
    [1.5, 2.5] (95 %, Student's t)
    """

    low: float
    high: float
    level: float
    method: str
    caution: str = ""

    def __post_init__(self) -> None:
        """Refuse ends that are not numbers in order."""
        if not self.low <= self.high:
            raise InvalidInput(f"low={self.low} is not at most high={self.high}; give the smaller end first")

    @property
    def half_width(self) -> float:
        """Half the distance between the ends."""
        return math.inf if math.isinf(self.low) or math.isinf(self.high) else (self.high - self.low) / 2

    def __contains__(self, value: float) -> bool:
        """Whether a value lies between the ends, both included."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        """Print the ends with what they stand for."""
        caution = f"; {self.caution}" if self.caution else ""
        return f"[{self.low:.6g}, {self.high:.6g}] ({100 * self.level:g} %, {self.method}{caution})"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number estimated from agents, and how well it is known.

    Parameters
    ----------
    value : float
        In the unit of the scores; nan where it is not defined.
    interval : Interval
        Its confidence interval; from ``-inf`` to ``inf`` where the number is not defined.
    reason, instead : str, default ""
        Why it is not defined, and what to use instead; empty where it is.

    Examples
    --------
    >>> print(Estimate(2.0, Interval(1.5, 2.5, 0.95, "Student's t")))
    2 [1.5, 2.5] (95 %, Student's t)
    >>> print(not_defined("not defined: 12 % of the agents have an infinite score", 0.95, "use the median"))
    not defined: 12 % of the agents have an infinite score; use the median
    """

    value: float
    interval: Interval
    reason: str = ""
    instead: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is such a number; ``reason`` says why not."""
        return not self.reason

    @property
    def caution(self) -> str:
        """Why the interval may be too narrow; empty where nothing speaks for it."""
        return self.interval.caution

    def reason_for(self, noun: str) -> str:
        """Say the reason of a quantity that has a name, such as ``"regret"``.

        Examples
        --------
        >>> not_defined("not defined: 12 % of the agents have an infinite score", 0.95).reason_for("regret")
        'not defined: 12 % of the agents have infinite regret'
        """
        text = self.reason
        for kind in ("infinite", "undefined"):
            text = text.replace(f"an {kind} score", f"{kind} {noun}")
        return text

    def __str__(self) -> str:
        """Print the number with its interval, or why there is none and what to use instead."""
        if self.reason:
            return f"{self.reason}; {self.instead}" if self.instead else self.reason
        return f"{self.value:.6g} {self.interval}"


def not_defined(reason: str, level: float, instead: str = "") -> Estimate:
    """Make the estimate of a number that does not exist."""
    return Estimate(math.nan, Interval(-math.inf, math.inf, level, "not defined"), reason, instead)


def unbounded(value: float, level: float, why: str, *, low: float = -math.inf) -> Estimate:
    """Make an estimate of which nothing else is known."""
    return Estimate(value, Interval(low, math.inf, level, f"unbounded: {why}"))


def around(value: float, low: float, high: float, level: float, method: str) -> Estimate:
    """Make an estimate whose interval holds it in spite of rounding."""
    return Estimate(value, Interval(min(low, value), max(high, value), level, method))


def noted(estimate: Estimate, note: str) -> Estimate:
    """Append to an estimate's method, such as how many agents it is about; an empty note changes nothing."""
    if not (note and estimate.defined):
        return estimate
    return replace(estimate, interval=replace(estimate.interval, method=f"{estimate.interval.method}; {note}"))


@dataclass(frozen=True, slots=True)
class ToleranceInterval:
    """A range that holds at least a share ``content`` of all agents, with confidence ``confidence``.

    It is about the spread over agents, present and future, and does not shrink to a point as agents are added.

    Parameters
    ----------
    low, high : float
        The ends, both included, in the unit of the scores; ``-inf`` and ``inf`` where the agents are too few.
    content, confidence : float
        Share of the population between the ends, and the probability, over studies, that it lies there, in (0, 1).
    method : str
        How the ends were found.

    Examples
    --------
    >>> interval = ToleranceInterval(0.0, 6.0, 0.9, 0.95, "order statistics")
    >>> 5.0 in interval
    True
    >>> print(interval)
    [0, 6] holds at least 90 % of the agents, with confidence 95 % (order statistics)
    """

    low: float
    high: float
    content: float
    confidence: float
    method: str

    def __contains__(self, value: float) -> bool:
        """Whether a value lies between the ends, both included."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        """Print the ends with what they stand for."""
        return (
            f"[{self.low:.6g}, {self.high:.6g}] holds at least {100 * self.content:g} % of the agents, "
            f"with confidence {100 * self.confidence:g} % ({self.method})"
        )


def z_of(level: float) -> float:
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
    c = z_of(level) ** 2 / n
    centre, half = 2 * p + c, np.sqrt(c * (4 * p * (1 - p) - ties / n + c))
    low, high = ((centre + sign * half) / (2 * (1 + c)) for sign in (-1, 1))
    return np.minimum(np.maximum(low, 0.0), p), np.maximum(np.minimum(high, 1.0), p)


def all_equal(n: int, level: float, what: str = "agents have this score") -> str:
    """What n equal scores do say."""
    others = in_percent(exact_share(0, n, level)[1], 1)
    return f"all {n:,} {what}; at {100 * level:g} % at most {others} of the population have another"

"""Numbers that say how sure they are: an interval names its level and the way it was made."""

import math
from dataclasses import dataclass

from qfast.errors import InvalidInput

__all__ = ["Estimate", "Interval", "ToleranceInterval"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval: it holds the true value in a share ``level`` of all studies.

    It speaks about the *uncertainty* of one number (a mean, a median, a share) and shrinks with the number
    of agents.  The *spread* over agents is a property of the learner and does not; it is described by a
    standard deviation, by quantiles and by a :class:`ToleranceInterval`.

    Parameters
    ----------
    low, high : float
        The ends, both included.  ``-inf`` or ``inf`` where the agents are too few for the level asked.
    level : float
        Confidence level in (0, 1).
    method : str
        How the ends were found.

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
        return f"[{self.low:.6g}, {self.high:.6g}] ({100 * self.level:g} %, {self.method})"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number estimated from agents, and how well it is known.

    Parameters
    ----------
    value : float
        The estimate, in the unit of the scores.
    interval : Interval
        Its confidence interval.

    Examples
    --------
    >>> print(Estimate(2.0, Interval(1.5, 2.5, 0.95, "Student's t")))
    2 [1.5, 2.5] (95 %, Student's t)
    """

    value: float
    interval: Interval

    def __str__(self) -> str:
        """Print the ends with what they stand for."""
        return f"{self.value:.6g} {self.interval}"


@dataclass(frozen=True, slots=True)
class ToleranceInterval:
    """A range that holds at least a share ``content`` of all agents, with confidence ``confidence``.

    This is a statement about the spread over agents, present and future; it does not shrink to a point as
    agents are added.

    Parameters
    ----------
    low, high : float
        The ends, both included, in the unit of the scores; ``-inf`` and ``inf`` where the agents are too few.
    content : float
        Share of the population that lies between the ends, in (0, 1).
    confidence : float
        Probability, over studies, that at least ``content`` lies there, in (0, 1).
    method : str
        How the ends were found.

    Examples
    --------
    >>> interval = ToleranceInterval(0.0, 6.0, 0.9, 0.95, "order statistics")
    >>> 5.0 in interval
    True
    >>> print(interval)
    [0, 6] holds 90 % of agents (confidence 95 %, order statistics)
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
            f"[{self.low:.6g}, {self.high:.6g}] holds {100 * self.content:g} % of agents "
            f"(confidence {100 * self.confidence:g} %, {self.method})"
        )

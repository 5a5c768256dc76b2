"""What all answers share, and their numbers as text: as many digits as the interval allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qfast.stats import Estimate

if TYPE_CHECKING:
    from pandas import DataFrame

    from qfast.studies.metrics import Metric

__all__ = [
    "UNDEFINED", "Answer", "about_agents", "joined", "number", "plus_minus", "several",
    "size_of", "with_interval",
]  # fmt: skip

_MOST_DIGITS = 6
_ROUNDING = 1e-12  # an error that is a smaller share of its number is rounding

#: What stands in place of a number that does not exist.
UNDEFINED = "not defined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a study answers about the agents' scores in a metric."""

    metric: "Metric"

    @property
    def heading(self) -> str:
        """By what configurations are judged, in a line."""
        return f"{self.metric.axis}; {self.metric.direction}"

    def _data(self) -> Any:
        """The numbers as pandas takes them: columns, or a mapping a row."""
        raise NotImplementedError

    def to_dataframe(self) -> "DataFrame":
        """Give the numbers as a pandas table."""
        import pandas as pd

        return pd.DataFrame(self._data())


def number(value: float, error: float | None = None, *, time: bool = False) -> str:
    """A number, with two digits of its error where one is given; an infinite time is never.

    >>> number(5.12345, 0.0041), number(1234567.0), number(float("inf")), number(0.1)
    ('5.1235', '1,234,567', 'inf', '0.1')
    >>> number(float("inf"), time=True)
    'never'
    """
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "-inf" if value < 0 else "never" if time else "inf"
    if error is None or not math.isfinite(error) or error <= _ROUNDING * abs(value):
        text = f"{value:,.0f}" if abs(value) >= 1e5 and value == round(value) else f"{value:.6g}"
        return "0" if text == "-0" else text
    digits = min(max(1 - math.floor(math.log10(error)), 0), _MOST_DIGITS)
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def with_interval(estimate: Estimate, *, time: bool = False, after: float | None = None) -> str:
    """An estimate with the ends of its interval; one that is only known to lie between two numbers, as both.

    >>> from qfast.stats import Estimate, Interval, estimate_mean
    >>> with_interval(estimate_mean([4.0, 5.0, 6.0, 5.0]))
    '5.0 [3.7, 6.3]'
    >>> with_interval(Estimate(150.0, Interval(50.0, 200.0, 0.95, "")), after=100.0)
    'between 100 and 150 [50, 200]'
    """
    if not estimate.defined:
        return UNDEFINED
    interval = estimate.interval
    finite = math.isfinite(interval.half_width)
    error = interval.half_width if finite else None
    low, high = (number(end, error) for end in (interval.low, interval.high))
    value = number(estimate.value, error, time=time)
    if after is not None and after < estimate.value:
        error = None if float(after).is_integer() or not finite else interval.half_width / 10
        value = f"between {number(after, error, time=time)} and {number(estimate.value, error, time=time)}"
    return f"{value} [{low}, {high}]"


def plus_minus(estimate: Estimate) -> str:
    """An estimate with half the width of its interval; with both ends where it is not symmetric.

    >>> from qfast.stats import estimate_mean
    >>> plus_minus(estimate_mean([4.0, 5.0, 6.0, 5.0]))
    '5.0 ± 1.3'
    """
    interval = estimate.interval
    error = interval.half_width
    lopsided = abs((interval.low + interval.high) / 2 - estimate.value) > 0.01 * error
    if not estimate.defined or not math.isfinite(error) or lopsided:
        return with_interval(estimate)
    exact = error <= _ROUNDING * abs(estimate.value)
    return f"{number(estimate.value, error)} ± {'0' if exact else number(error, error)}"


def size_of(difference: Estimate) -> str:
    """A difference in the direction that it has, with the ends of its interval.

    >>> from qfast.stats import Interval
    >>> size_of(Estimate(-3.0, Interval(-4.0, 1.0, 0.95, "")))
    '3.0 [-1.0, 4.0]'
    """
    turn, error = 1 if difference.value >= 0 else -1, difference.interval.half_width
    low, high = sorted(turn * end for end in (difference.interval.low, difference.interval.high))
    return f"{number(abs(difference.value), error)} [{number(low, error)}, {number(high, error)}]"


def about_agents(n: int, undefined: int) -> str:
    """How many agents a number is about: both numbers, whenever it is not about all of them.

    >>> about_agents(1000, 0), about_agents(1000, 120)
    ('1,000', '880 of 1,000')
    """
    return f"{n - undefined:,} of {n:,}" if undefined else f"{n:,}"


def joined(*texts: str) -> str:
    """Those texts that say something, one after the other."""
    return "; ".join(filter(None, texts))


def several(labels: Sequence[str]) -> str:
    """Two of several labels, and how many more there are."""
    return "; ".join(labels[:2]) + (f" and {len(labels) - 2:,} more" if len(labels) > 2 else "")

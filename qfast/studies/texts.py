"""Numbers and tables as text: as many digits as the interval allows."""

import math
from collections.abc import Sequence

from qfast.stats import Estimate
from qfast.stats.words import p_text, percent

__all__ = ["UNDEFINED", "about_agents", "columns", "number", "p_text", "percent", "plus_minus", "with_interval"]

_MOST_DIGITS = 6
_ROUNDING = 1e-12  # an error that is a smaller share of its number is rounding

#: What stands in place of a number that does not exist.
UNDEFINED = "not defined"


def number(value: float, error: float | None = None, *, time: bool = False) -> str:
    """A number, with two digits of its error where one is given; an infinite time is never.

    Examples
    --------
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

    Examples
    --------
    >>> from qfast.stats import estimate_mean
    >>> with_interval(estimate_mean([4.0, 5.0, 6.0, 5.0]))
    '5.0 [3.7, 6.3]'
    >>> from qfast.stats import Estimate, Interval
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

    Examples
    --------
    >>> from qfast.stats import estimate_mean
    >>> plus_minus(estimate_mean([4.0, 5.0, 6.0, 5.0]))
    '5.0 ± 1.3'
    """
    if not estimate.defined:
        return UNDEFINED
    interval = estimate.interval
    error = interval.half_width
    if not math.isfinite(error):
        return with_interval(estimate)
    if abs((interval.low + interval.high) / 2 - estimate.value) > 0.01 * error:
        return with_interval(estimate)
    exact = error <= _ROUNDING * abs(estimate.value)
    return f"{number(estimate.value, error)} ± {'0' if exact else number(error, error)}"


def about_agents(n: int, undefined: int) -> str:
    """How many agents a number is about: both numbers, whenever it is not about all of them.

    Examples
    --------
    >>> about_agents(1000, 0), about_agents(1000, 120)
    ('1,000', '880 of 1,000')
    """
    return f"{n - undefined:,} of {n:,}" if undefined else f"{n:,}"


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    r"""Lines of a table: the first column to the left, the others to the right.

    Examples
    --------
    >>> print("\n".join(columns(["name", "n"], [["a", "10"], ["bc", "9"]])))
    name   n
    a     10
    bc     9
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return lines

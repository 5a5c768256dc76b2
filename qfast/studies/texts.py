"""Numbers and tables as text: as many digits as the interval allows."""

import math
from collections.abc import Sequence

from qfast.stats import Estimate

__all__ = ["columns", "number", "p_text", "percent", "plus_minus", "with_interval"]

_MOST_DIGITS = 6


def number(value: float, error: float | None = None) -> str:
    """A number, with two digits of its error where one is given.

    Examples
    --------
    >>> number(5.12345, 0.0041), number(1234567.0), number(float("inf")), number(0.1)
    ('5.1235', '1,234,567', 'never', '0.1')
    """
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "never" if value > 0 else "-inf"
    if error is None or not math.isfinite(error) or error <= 0:
        text = f"{value:,.0f}" if abs(value) >= 1e5 and value == round(value) else f"{value:.6g}"
        return "0" if text == "-0" else text
    digits = min(max(1 - math.floor(math.log10(error)), 0), _MOST_DIGITS)
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def percent(share: float, digits: int | None = None) -> str:
    """A share in percent: ``0`` and ``100`` only where they are exact.

    Examples
    --------
    >>> percent(0.25), percent(0.99999), percent(0.00002), percent(1.0), percent(0.0312)
    ('25 %', '> 99.9 %', '< 0.1 %', '100 %', '3.1 %')
    """
    if digits is None:
        digits = 0 if share in (0.0, 1.0) or 0.0995 <= share <= 0.9005 else 1
    least = 10.0**-digits
    if 0 < 100 * share < least / 2:
        return f"< {least:g} %"
    if 0 < 100 * (1 - share) < least / 2:
        return f"> {100 - least:g} %"
    return f"{100 * share:.{digits}f} %"


def p_text(p: float) -> str:
    """A p-value, with its sign of relation.

    Examples
    --------
    >>> p_text(0.0312), p_text(0.0)
    ('= 0.031', '< 1e-15')
    """
    return "< 1e-15" if p < 1e-15 else f"= {p:.2g}"


def with_interval(estimate: Estimate) -> str:
    """An estimate with the ends of its interval.

    Examples
    --------
    >>> from qfast.stats import estimate_mean
    >>> with_interval(estimate_mean([4.0, 5.0, 6.0, 5.0]))
    '5.0 [3.7, 6.3]'
    """
    interval = estimate.interval
    error = interval.half_width
    if not math.isfinite(error):
        ends = ("-inf" if math.isinf(interval.low) else number(interval.low), number(interval.high))
        ends = (ends[0], "inf" if ends[1] == "never" else ends[1])
        return f"{number(estimate.value)} [{ends[0]}, {ends[1]}]"
    return f"{number(estimate.value, error)} [{number(interval.low, error)}, {number(interval.high, error)}]"


def plus_minus(estimate: Estimate) -> str:
    """An estimate with half the width of its interval, for intervals that are symmetric.

    Examples
    --------
    >>> from qfast.stats import estimate_mean
    >>> plus_minus(estimate_mean([4.0, 5.0, 6.0, 5.0]))
    '5.0 ± 1.3'
    """
    error = estimate.interval.half_width
    if not math.isfinite(error):
        return f"{number(estimate.value)} ± ?"
    return f"{number(estimate.value, error)} ± {number(error, error) if error else '0'}"


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

"""How texts on the command line become numbers, rates, and the values of ``--vary``."""

import argparse
from math import exp, log
from typing import TYPE_CHECKING, Any, Final

from qfast.errors import InvalidInput
from qfast.model.settings import SETTINGS

if TYPE_CHECKING:
    from qfast.model.rates import Shape

#: Settings by the names that options have.
_NAMES: Final = {setting.option.replace("-", "_"): setting.name for setting in SETTINGS.values()}
_MOST: Final = 10_000  # values of one range; a typing error must not fill the memory


def whole(text: str) -> int:
    """Read a whole number; ``1e6`` and ``1_000_000`` are welcome.

    >>> whole("1e6"), whole("10_000")
    (1000000, 10000)
    """
    for read in (int, _whole_float):
        try:
            return read(text)
        except (ValueError, OverflowError):
            pass
    raise argparse.ArgumentTypeError(f"{_quoted(text)} is not a whole number; give one such as 1000")


def _whole_float(text: str) -> int:
    value = float(text)
    if not value.is_integer():
        raise ValueError
    return int(value)


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{_quoted(text)} is not a number; give one such as 0.9") from None


def rate(text: str) -> "float | Shape":
    """Read a rate: a number, or ``START:STOP``, or ``START:STOP:SHAPE``.

    >>> rate("0.1"), rate("1:0.01:exponential")
    (0.1, exponential(1, 0.01))
    """
    first, *rest = text.split(":")
    shape = rest[1] if len(rest) > 1 else "linear"
    try:
        start, stop = float(first), float(rest[0] if rest else first)
        usable = len(rest) <= 2 and shape in ("linear", "exponential")
    except ValueError:
        usable = False
    if not usable:
        msg = f"{_quoted(text)} is no rate; give a number such as 0.1, or START:STOP, or START:STOP:exponential"
        raise argparse.ArgumentTypeError(msg)
    if not rest:
        return start
    from qfast.model import rates  # with NumPy

    try:
        return rates.linear(start, stop) if shape == "linear" else rates.exponential(start, stop)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def vary(text: str) -> tuple[str, list[Any]]:
    """Read ``name=value,value,…``: the setting as `qfast.study` calls it, and its values.

    >>> vary("alpha=0.1,0.5"), vary("epsilon=0.1:0.3:3")
    (('alpha', [0.1, 0.5]), ('epsilon', [0.1, 0.2, 0.3]))
    """
    name, equals, listed = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        msg = f"{text[:60]!r} is no setting with values; give for example alpha=0.05,0.1,0.5"
        raise argparse.ArgumentTypeError(msg)
    name = _NAMES.get(name, name)
    tokens = [token.strip() for token in listed.split(",")]
    if "" in tokens:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} has an empty value; give for example {name}=0.05,0.1,0.5")
    return name, [value for token in tokens for value in _values(name, token)]


def _values(name: str, token: str) -> list[Any]:
    """The values that one part between commas stands for."""
    if token.lower() == "none":
        return [None]
    if name in SETTINGS and SETTINGS[name].kind == "choice":
        return [token]
    parts = token.split(":")
    if len(parts) >= 3 and parts[2].isdigit():
        return _range(token, parts)
    try:
        value = rate(token)
    except argparse.ArgumentTypeError as error:
        if isinstance(error.__cause__, InvalidInput):
            raise
        if ":" in token or token[:1] in "0123456789.+-":
            raise argparse.ArgumentTypeError(
                f"{token[:60]!r} is no value; give a number, START:STOP:COUNT for evenly spaced ones "
                "(START:STOP:COUNT:log on a log scale), or START:STOP for a rate that changes over the episodes"
            ) from None
        return [token]  # a word; `qfast.study` knows whether it may be one
    return [int(value) if name == "n" and isinstance(value, float) and value.is_integer() else value]


def _range(token: str, parts: list[str]) -> list[float]:
    """Evenly spaced values, both ends among them; rounded to 12 digits, so that 0.1 is 0.1."""
    try:
        start, stop, count = float(parts[0]), float(parts[1]), int(parts[2])
    except ValueError:
        start, stop, count = 0.0, 0.0, 0
    on_log = parts[3:] == ["log"]
    if not 1 <= count <= _MOST or (parts[3:] and not on_log) or (on_log and min(start, stop) <= 0):
        msg = f"{token[:60]!r} is no range; give START:STOP:COUNT such as 0.01:0.3:5, or with :log and ends above 0"
        raise argparse.ArgumentTypeError(msg)
    if count == 1:
        return [start]
    shares = [i / (count - 1) for i in range(count)]
    if on_log:
        spaced = [exp(log(start) + (log(stop) - log(start)) * share) for share in shares]
    else:
        spaced = [start + (stop - start) * share for share in shares]
    return [float(f"{value:.12g}") for value in spaced]


def precision(text: str) -> float | dict[str, float]:
    """Read ``HALF-WIDTH`` or ``METRIC=HALF-WIDTH``, as `qfast.study` takes it.

    >>> precision("optimal=0.01"), precision("0.05")
    ({'optimal': 0.01}, 0.05)
    """
    name, equals, value = text.rpartition("=")
    try:
        return {name.strip(): float(value)} if equals else float(value)
    except ValueError:
        msg = f"{text[:60]!r} is no half-width; give a number such as 0.05, or a metric's as in optimal=0.01"
        raise argparse.ArgumentTypeError(msg) from None


def _quoted(text: str) -> str:
    """Quote what was given, cut to a length that fits into a message."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")

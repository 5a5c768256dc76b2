"""What ``--vary`` says: a setting and its values."""

import argparse
from typing import TYPE_CHECKING, Any, Final

from qfast.cli.options import Ramp, given, rate
from qfast.model.settings import SETTINGS

if TYPE_CHECKING:
    from qfast.model.rates import Shape

__all__ = ["Range", "precision", "values_of", "vary"]

#: Settings by the names that options have.
_NAMES: Final = {setting.option.replace("-", "_"): setting.name for setting in SETTINGS.values()}
_WORDS: Final = tuple(setting.name for setting in SETTINGS.values() if setting.kind == "choice")
_MOST: Final = 10_000  # values of one range; a typing error must not fill the memory


class Range:
    """Evenly spaced values, as START:STOP:COUNT or START:STOP:COUNT:log says."""

    def __init__(self, start: float, stop: float, count: int, *, log: bool) -> None:
        self.start, self.stop, self.count, self.log = start, stop, count, log

    def values(self) -> list[float]:
        """The values, both ends among them; rounded to 12 digits, so that 0.1 is 0.1."""
        from math import exp
        from math import log as ln

        if self.count == 1:
            return [self.start]
        shares = [i / (self.count - 1) for i in range(self.count)]
        if self.log:
            middle = [exp(ln(self.start) + (ln(self.stop) - ln(self.start)) * share) for share in shares]
        else:
            middle = [self.start + (self.stop - self.start) * share for share in shares]
        return [float(f"{value:.12g}") for value in middle]


def vary(text: str) -> tuple[str, list[Any]]:
    """Read ``name=value,value,…``.

    Returns
    -------
    tuple of str and list
        The setting as `qfast.study` calls it, and its values: numbers, words, None, `Ramp` and `Range`.

    Examples
    --------
    >>> vary("alpha=0.1,0.5")
    ('alpha', [0.1, 0.5])
    >>> vary("rule=q_learning,sarsa")
    ('rule', ['q_learning', 'sarsa'])
    """
    name, equals, listed = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        msg = f"{text[:60]!r} is no setting with values; give for example alpha=0.05,0.1,0.5"
        raise argparse.ArgumentTypeError(msg)
    name = _NAMES.get(name, name)
    tokens = [token.strip() for token in listed.split(",")]
    if "" in tokens:
        msg = f"{text[:60]!r} has an empty value; give for example {name}=0.05,0.1,0.5"
        raise argparse.ArgumentTypeError(msg)
    return name, [_value(name, token) for token in tokens]


def _value(name: str, token: str) -> Any:
    if token.lower() == "none":
        return None
    if name in _WORDS:
        return token
    parts = token.split(":")
    if len(parts) >= 3 and parts[2].isdigit():
        return _range(token, parts)
    try:
        value = rate(token)
    except argparse.ArgumentTypeError:
        if ":" in token or token[:1] in "0123456789.+-":
            msg = (
                f"{token[:60]!r} is no value; give a number, START:STOP:COUNT for evenly spaced ones "
                "(START:STOP:COUNT:log on a log scale), or START:STOP for a rate that changes over the episodes"
            )
            raise argparse.ArgumentTypeError(msg) from None
        return token  # a word; `qfast.study` knows whether it may be one
    return int(value) if name == "n" and isinstance(value, float) and value.is_integer() else value


def _range(token: str, parts: list[str]) -> Range:
    try:
        start, stop, count = float(parts[0]), float(parts[1]), int(parts[2])
    except ValueError:
        start, stop, count = 0.0, 0.0, 0
    log = parts[3:] == ["log"]
    if not 1 <= count <= _MOST or (parts[3:] and not log) or (log and min(start, stop) <= 0):
        msg = f"{token[:60]!r} is no range; give START:STOP:COUNT such as 0.01:0.3:5, or with :log and ends above 0"
        raise argparse.ArgumentTypeError(msg)
    return Range(start, stop, count, log=log)


def values_of(values: list[Any]) -> list[Any]:
    """Turn what `vary` read into values for `qfast.study`.

    Examples
    --------
    >>> values_of(vary("epsilon=0.1:0.3:3")[1])
    [0.1, 0.2, 0.3]
    """
    made: list[Any] = []
    for value in values:
        schedule: float | Shape | None
        if isinstance(value, Range):
            made += value.values()
        elif isinstance(value, Ramp):
            schedule = given(value)
            made.append(schedule)
        else:
            made.append(value)
    return made


def precision(text: str) -> tuple[str | None, float]:
    """Read ``HALF-WIDTH`` or ``METRIC=HALF-WIDTH``.

    Examples
    --------
    >>> precision("optimal=0.01"), precision("0.05")
    (('optimal', 0.01), (None, 0.05))
    """
    name, equals, value = text.rpartition("=")
    try:
        return (name.strip() if equals else None), float(value)
    except ValueError:
        msg = f"{text[:60]!r} is no half-width; give a number such as 0.05, or a metric's as in optimal=0.01"
        raise argparse.ArgumentTypeError(msg) from None

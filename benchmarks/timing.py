"""Measuring side by side: contenders take turns, and what is reported is a ratio with its spread.

On a machine that other people use, the time of one run says little, and two runs a minute apart say different things.
A round runs every contender once, one after the other, so that what disturbs one disturbs its neighbours; a ratio is
taken within a round, and its median over the rounds is reported, with the lowest and the highest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

__all__ = ["Ratio", "at_least", "interleave", "ratio", "touch"]


@dataclass(frozen=True)
class Ratio:
    """A number with its spread.

    Attributes
    ----------
    middle : float
        Median over the rounds.
    low, high : float
        Lowest and highest round.  With five rounds the true median lies between them 15 times of 16, with nine 255
        times of 256, if rounds are independent.
    rounds : int
        How many there were.
    """

    middle: float
    low: float
    high: float
    rounds: int = 1

    @classmethod
    def of(cls, values: Iterable[float]) -> Ratio:
        """Summarise one value a round."""
        values = sorted(values)
        return cls(median(values), values[0], values[-1], len(values))

    def agrees(self, other: Ratio) -> bool:
        """Whether the two spreads have a value in common."""
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        """Format like ``12.3 (11.9-12.8)``."""
        return f"{self.middle:.3g} ({self.low:.3g}-{self.high:.3g})"


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """Divide round by round.

    >>> print(ratio([20.0, 24.0, 22.0], [2.0, 2.0, 2.0]))
    11 (10-12)
    """
    return Ratio.of(a / b for a, b in zip(numerator, denominator, strict=True))


def touch(size: int) -> None:
    """Write to `size` bytes of memory and give them back.

    A virtual machine may have lent its free memory to others, and gets it back page by page, at a cost that is several
    times that of training with it.  Whoever is measured first after a pause would pay for all that come behind.
    """
    np.empty(size, np.uint8).fill(1)


def interleave(
    contenders: Mapping[str, Callable[[], float]], rounds: int, *, memory: int = 0
) -> dict[str, list[float]]:
    """Run every contender once a round, in an order that turns by one each round; what each returned, by round.

    Before each of them `memory` bytes are touched; give the most that one of them needs.

    >>> turn = iter(range(4))
    >>> interleave({"a": lambda: next(turn), "b": lambda: next(turn)}, 2)
    {'a': [0, 3], 'b': [1, 2]}
    """
    names = list(contenders)
    found: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        first = i % max(1, len(names))
        for name in names[first:] + names[:first]:
            if memory:
                touch(memory)
            found[name].append(contenders[name]())
    return found


def at_least(seconds: float, measure: Callable[[], tuple[int, float]]) -> float:
    """Repeat until `seconds` were measured: total of the first numbers over total of the second (steps a second)."""
    steps, total = measure()
    while total < seconds:
        more, took = measure()
        steps, total = steps + more, total + took
    return steps / total

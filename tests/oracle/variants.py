"""Which compiled variants the oracle is compared with: a pairwise covering design.

The options that select a variant have far more combinations than can be compiled in a test run (2 to 3 s each).  The
design below holds every value of every option, and every pair of values of two options, at least once: a mistake that
needs one option alone, or two together, is met.  Everything that is not compiled in is chosen by hypothesis.
"""

from dataclasses import dataclass, fields
from itertools import combinations, product

import numpy as np

OPTIONS = {
    "n_actions": (1, 2, 3, 4, 5, 6, 9),  # one load brings 2 or 4 columns: whole rows, rests of 1 to 3, and several loads
    "outcomes": ("one", "equal", "alias"),
    "ties": ("random", "first", "last"),
    "record": (None, "returns", "summary"),
    "lanes": ((64, 64), (32, 32), (16, 48)),  # lanes in one vector, lanes in flight
    "dtype": ("float32", "float64"),
    "several_starts": (False, True),
    "limited": (False, True),
    "masked": (False, True),
    "alpha_schedule": (False, True),
    "epsilon_schedule": (False, True),
}


@dataclass(frozen=True)
class Variant:
    """One row of the design."""

    n_actions: int
    outcomes: str
    ties: str
    record: str | None
    lanes: tuple[int, int]
    dtype: str
    several_starts: bool
    limited: bool
    masked: bool
    alpha_schedule: bool
    epsilon_schedule: bool

    def __str__(self):
        values = [getattr(self, field.name) for field in fields(self)]
        flags = [field.name for field, value in zip(fields(self), values, strict=True) if value is True]
        plain = [str(value) for value in values if not isinstance(value, (bool, tuple))]
        return "-".join([*plain, "x".join(map(str, self.lanes)), *flags])


def pairwise(options, *, tries=300, seed=5):
    """Rows of values, one of each option, in which every pair of values of two options occurs.

    Greedy (Cohen et al. 1997): begin a row with a pair that is still missing, fill it up at random many times, and
    keep the row that brings the most missing pairs.
    """
    rng = np.random.default_rng(seed)
    names = list(options)
    missing = {
        ((x, u), (y, v)) for x, y in combinations(names, 2) for u, v in product(options[x], options[y])
    }  # fmt: skip
    rows = []
    while missing:
        begin = dict(min(missing, key=str))
        candidates = [{name: options[name][rng.integers(len(options[name]))] for name in names} | begin
                      for _ in range(tries)]  # fmt: skip
        best = max(candidates, key=lambda row: len(pairs(row) & missing))
        missing -= pairs(best)
        rows.append(best)
    return rows


def pairs(row):
    """The pairs of values that a row holds."""
    return set(combinations(row.items(), 2))


VARIANTS = [Variant(**row) for row in pairwise(OPTIONS)]

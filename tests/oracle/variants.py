"""Which compiled variants the oracle is compared with: a pairwise covering design.

The options that select a variant have far more combinations than can be compiled in a test run (2 to 4 s each).  The
design below holds every value of every option, and every pair of values of two options that can be had together, at
least once: a mistake that needs one option alone, or two together, is met.  Everything that is not compiled in (n,
lambda, temperature, rates for each agent, limits …) is chosen by hypothesis.  `any_variants` draws from all
combinations, for a longer search.
"""

from dataclasses import dataclass, fields
from itertools import combinations, product

import numpy as np

OPTIONS = {
    # The rule, and how far an update reaches: one step, several steps, or along traces.
    "learner": (
        "q_learning", "sarsa", "expected_sarsa", "double_q_learning", "article",
        "q_learning-steps", "sarsa-steps", "expected_sarsa-steps",
        "q_learning-accumulating", "q_learning-replacing", "sarsa-accumulating", "sarsa-replacing",
    ),
    "explore": ("epsilon_greedy", "softmax", "ucb"),
    "n_actions": (1, 2, 3, 4, 5, 6, 9),  # one load brings 2 or 4 columns: whole rows, rests of 1 to 3, several
    "alpha": ("number", "by_episode", "by_visits"),
    "outcomes": ("one", "few", "equal", "alias"),  # few: one a pair, at most 16 pairs, which are kept in registers
    "ties": ("random", "first", "last"),
    "record": (None, "returns", "summary"),
    "lanes": ((64, 64), (32, 32), (16, 48)),  # lanes in one vector, lanes in flight
    "dtype": ("float32", "float64"),
    "several_starts": (False, True),
    "limited": (False, True),
    "masked": (False, True),
    "explore_schedule": (False, True),  # of epsilon or of the temperature
    "lambda_schedule": (False, True),
}  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """One row of the design."""

    learner: str = "q_learning"
    explore: str = "epsilon_greedy"
    n_actions: int = 3
    alpha: str = "number"
    outcomes: str = "one"
    ties: str = "random"
    record: str | None = "returns"
    lanes: tuple[int, int] = (64, 64)
    dtype: str = "float64"
    several_starts: bool = False
    limited: bool = True
    masked: bool = False
    explore_schedule: bool = False
    lambda_schedule: bool = False

    def __str__(self):
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        flags = [name for name, value in values.items() if value is True]
        plain = [str(value) for value in values.values() if not isinstance(value, (bool, tuple))]
        return "-".join([*plain, "x".join(map(str, self.lanes)), *flags])

    @property
    def rule(self):
        return self.learner.partition("-")[0]

    @property
    def reach(self):
        """Nothing, "steps", "accumulating" or "replacing"."""
        return self.learner.partition("-")[2]

    @property
    def traces(self):
        return self.reach if self.reach in ("accumulating", "replacing") else None


def possible(row):
    """Whether the options of a row, or of a part of one, can be had together."""
    learner, explore = row.get("learner", ""), row.get("explore")
    traces = learner.endswith(("accumulating", "replacing"))
    return not (
        (learner.startswith("expected_sarsa") and explore == "ucb")
        or (row.get("explore_schedule") and explore == "ucb")
        or (row.get("lambda_schedule") and learner and not traces)
        or (row.get("outcomes") == "few" and row.get("n_actions", 1) * (2 + row.get("several_starts", False)) > 16)
    )


def pairs(row):
    """The pairs of values that a row holds, and one kind of triples.

    For a learner the number of actions counts as one load's (1, 2), odd or even: twelve times seven rows would be many.
    One-step SARSA's last update of an episode is made at its end or in the next episode's first step, which depends on
    the starts and on the step size: of it, all triples with those two.
    """
    found = set(combinations(row.items(), 2))
    if {"learner", "n_actions"} <= row.keys():
        found.discard((("learner", row["learner"]), ("n_actions", row["n_actions"])))
        found.add((("learner", row["learner"]), ("loads", "one" if row["n_actions"] <= 2 else row["n_actions"] % 2)))
    if row.get("learner") == "sarsa" and {"alpha", "several_starts"} <= row.keys():
        found.add(tuple((name, row[name]) for name in ("learner", "alpha", "several_starts")))
    return found


def wanted_pairs(options):
    """All that there can be of what `pairs` finds."""
    names = [*combinations(options, 2), ("learner", "alpha", "several_starts")]
    rows = (
        dict(zip(some, values, strict=True)) for some in names for values in product(*(options[name] for name in some))
    )
    return {pair for row in rows if possible(row) for pair in pairs(row)}


def pairwise(options, *, tries=120, seed=10):
    """Rows of values, one of each option, in which every possible pair of values of two options occurs.

    Greedy (Cohen et al. 1997): begin a row with a pair that is still missing, fill it up at random many times, and
    keep the row that brings the most missing pairs.
    """
    rng = np.random.default_rng(seed)
    missing = wanted_pairs(options)
    rows = []
    while missing:
        begin = dict(min(missing, key=str))
        begin.pop("loads", None)
        candidates = [any_row(options, rng) | begin for _ in range(tries)]
        best = max(filter(possible, candidates), key=lambda row: len(pairs(row) & missing), default={})
        missing -= pairs(best)
        rows += [best] if best else []
    return rows


def any_row(options, rng):
    """One value of each option, at random."""
    return {name: values[rng.integers(len(values))] for name, values in options.items()}


def any_variants(count, seed):
    """Variants from all combinations that there can be."""
    rng = np.random.default_rng(seed)
    rows = []
    while len(rows) < count:
        row = any_row(OPTIONS, rng)
        rows += [Variant(**row)] if possible(row) else []
    return rows


VARIANTS = [Variant(**row) for row in pairwise(OPTIONS)]

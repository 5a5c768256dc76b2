"""Which compiled variants the oracle is compared with: covering designs.

The options that select a variant have far more combinations than can be compiled in a test run (2 to 4 s each), so the
normal run takes `VARIANTS`, forty rows in which everything occurs together that the kernel's source asks for together
(`met_in_source`): a mistake that needs one option alone, or two that meet in a function, is found.  `pairs_design`,
for a longer search, holds every pair of values of any two options, and `any_variants` draws from all combinations.
Everything that is not compiled in (n, lambda, temperature, rates for each agent, limits …) is chosen by hypothesis.
"""

import math
import sys
from collections import Counter
from dataclasses import asdict, dataclass, fields
from functools import cache
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
#: What the kernel's source asks for together, option by option; `lanes` goes with each.
MEETINGS = (
    ("explore", "ties", "masked", "loads", "dtype"),  # explore.py: which action
    ("rule", "explore", "ties", "masked", "loads", "dtype"),  # rules.py: what is bootstrapped
    ("draws_word", "outcomes", "several_starts"),  # environment.py: which words are drawn
    ("outcomes", "loads", "dtype"),  # environment.py: where an outcome stands
    ("rule", "reach", "alpha", "limited", "several_starts"),  # step.py, loop.py: when a pair is updated
    ("reach", "masked", "loads", "dtype"),  # backups.py: rows that change meanwhile
    ("explore", "alpha", "dtype"),  # visits are counted for either
    ("reach", "record", "limited"),  # steps are counted for each
    ("reach", "record", "alpha", "explore_schedule", "lambda_schedule"),  # loop.py: what the end of an episode sets
    ("explore", "explore_schedule"),
)


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


def _loads(n_actions):
    """How a row is read: by one load, or with an odd or an even rest."""
    return "one" if n_actions <= 2 else n_actions % 2


def pairs(row):
    """The pairs of values of options that a row, or a part of one, holds; for `PAIRS`.

    For a learner the number of actions counts as one load's (1, 2), odd or even: twelve times seven rows would be many.
    One-step SARSA's last update of an episode is made at its end or in the next episode's first step, which depends on
    the starts and on the step size: of it, all triples with those two.
    """
    found = set(combinations(row.items(), 2))
    if {"learner", "n_actions"} <= row.keys():
        found.discard((("learner", row["learner"]), ("n_actions", row["n_actions"])))
        found.add((("learner", row["learner"]), ("loads", _loads(row["n_actions"]))))
    return found | _sarsa(row)


def met_in_source(row):
    """What of a whole row the kernel's source asks for together; for `VARIANTS`.

    A learner is a rule and a reach: rules know nothing of what lies further back, and `backups.py` nothing of rules.
    What both decide is when the last updates of an episode are made, which depends on its limit, and on whether the
    rule is on-policy.  Of the number of actions only the way in which a row is read matters to others, and every number
    is there in both element types.
    """
    rule, _, reach = row["learner"].partition("-")
    row = row | {"rule": rule, "reach": reach, "on_policy": rule == "sarsa", "loads": _loads(row["n_actions"])}
    row["draws_word"] = rule in ("double_q_learning", "article")  # of its own
    together = {pair for names in MEETINGS for pair in combinations(names, 2)}
    together |= {("lanes", name) for names in MEETINGS for name in names}
    together |= {("reach", "on_policy", "limited"), ("n_actions", "dtype")}
    if row["learner"] == "expected_sarsa":  # a formula for each way to explore, with and without a mask
        together.add(("learner", "explore", "masked"))
    if row["limited"] and row["masked"]:  # where every episode has an end, Q holds anything at times
        together |= {("limited", "masked", name) for name in ("rule", "reach", "explore", "ties")}
    return {tuple((name, row[name]) for name in names) for names in together} | _sarsa(row)


def _sarsa(row):
    names = ("learner", "alpha", "several_starts")
    waits = row.get("learner") == "sarsa" and row.keys() >= set(names)
    return {tuple((name, row[name]) for name in names)} if waits else set()


def wanted_pairs(options):
    """All that there can be of what `pairs` finds."""
    names = [*combinations(options, 2), ("learner", "alpha", "several_starts")]
    rows = (
        dict(zip(some, values, strict=True)) for some in names for values in product(*(options[name] for name in some))
    )
    return {pair for row in rows if possible(row) for pair in pairs(row)}


@cache
def wanted_in_source():
    """All that there can be of what `met_in_source` finds: in many rows at random, each is there many times."""
    return set().union(*(met_in_source(asdict(variant)) for variant in any_variants(4_000, seed=0)))


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


def anneal(rows, wanted, rng, moves=300_000):
    """Change one value of one row at a time until as much as possible of what is wanted is there; how much is not."""
    rows, names = [dict(row) for row in rows], list(OPTIONS)
    held = [met_in_source(row) & wanted for row in rows]
    count = Counter(pair for one in held for pair in one)
    for move in range(moves):
        if all(count[pair] for pair in wanted):
            break
        i, name = rng.integers(len(rows)), names[rng.integers(len(names))]
        row = rows[i] | {name: OPTIONS[name][rng.integers(len(OPTIONS[name]))]}
        if row == rows[i] or not possible(row):
            continue
        new = met_in_source(row) & wanted
        gone, come = held[i] - new, new - held[i]
        # Triples are harder to come by than pairs.
        worse = sum(len(pair) - 1 for pair in gone if count[pair] == 1)
        worse -= sum(len(pair) - 1 for pair in come if count[pair] == 0)
        if worse <= 0 or rng.random() < math.exp(-worse / max(0.08, 0.35 * (1 - move / moves))):
            rows[i], held[i] = row, new
            count.subtract(gone)
            count.update(come)
    return rows, sum(not count[pair] for pair in wanted)


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


def _evaluated():
    """Variants of the house that other tests evaluate, and few others, with every way to act and to be answered."""
    names = ("outcomes", "ties", "lanes", "dtype", "several_starts", "masked")

    def held(variants):
        return {(name, getattr(variant, name)) for variant in variants for name in names}

    chosen = [HOUSE[i] for i in (0, 7, 9, 13)]
    wanted = {(name, value) for name in names for value in OPTIONS[name]}
    while not held(chosen) >= wanted:
        chosen.append(max(VARIANTS, key=lambda variant: len(held([*chosen, variant]) & wanted)))
    return chosen


@cache
def pairs_design():
    """Variants that hold every pair of values of any two options."""
    return [Variant(**row) for row in pairwise(OPTIONS)]


#: The design of the normal run, in the order of `OPTIONS` (the element type by its bits, flags as 0 and 1): first the
#: house's rows, which other tests train on as well.  Where something new is to be met, ``python -m oracle.variants``
#: looks for other rows; add one if it finds none.  One has eight lanes, which long traces get.
_HOUSE = (
    ("q_learning", "epsilon_greedy", 2, "number", "few", "random", "summary", (64, 64), 32, 0, 0, 0, 0, 0),
    ("q_learning", "epsilon_greedy", 2, "number", "few", "random", "summary", (64, 64), 32, 0, 0, 0, 1, 0),
    ("q_learning", "epsilon_greedy", 2, "number", "few", "random", None, (64, 64), 32, 0, 0, 0, 0, 0),
    ("article", "epsilon_greedy", 2, "number", "few", "first", "returns", (64, 64), 32, 0, 0, 0, 0, 0),
    ("q_learning-steps", "epsilon_greedy", 2, "number", "few", "random", "returns", (64, 64), 32, 0, 0, 0, 0, 0),
    ("q_learning", "epsilon_greedy", 4, "number", "one", "random", "summary", (64, 64), 32, 0, 1, 0, 0, 0),
    ("q_learning", "epsilon_greedy", 4, "number", "alias", "random", "returns", (64, 64), 32, 0, 1, 0, 0, 0),
    ("q_learning", "epsilon_greedy", 5, "by_episode", "alias", "random", "returns", (32, 32), 64, 1, 1, 1, 1, 0),
    ("q_learning", "epsilon_greedy", 2, "by_visits", "equal", "random", "summary", (32, 32), 64, 1, 0, 0, 0, 0),
    ("double_q_learning", "epsilon_greedy", 3, "by_visits", "alias", "first", "returns", (32, 32), 64, 1, 1, 1, 0, 0),
    ("sarsa", "epsilon_greedy", 2, "by_visits", "equal", "last", "summary", (64, 64), 32, 1, 0, 0, 1, 0),
    ("expected_sarsa", "epsilon_greedy", 3, "by_visits", "alias", "random", "returns", (32, 32), 64, 1, 1, 1, 0, 0),
    ("sarsa-accumulating", "ucb", 2, "by_visits", "few", "random", "summary", (64, 64), 32, 0, 1, 0, 0, 0),
    ("sarsa-accumulating", "epsilon_greedy", 3, "number", "one", "random", "returns", (64, 64), 32, 0, 1, 1, 0, 0),
    ("q_learning", "epsilon_greedy", 2, "by_episode", "few", "last", None, (32, 32), 64, 0, 1, 0, 1, 0),
    ("q_learning", "softmax", 2, "number", "few", "random", "returns", (64, 64), 32, 0, 1, 0, 1, 0),
    ("q_learning", "epsilon_greedy", 4, "number", "one", "random", "returns", (32, 32), 64, 0, 1, 0, 0, 0),
    ("sarsa-steps", "epsilon_greedy", 2, "number", "few", "first", "returns", (32, 32), 64, 0, 1, 1, 0, 0),
    ("q_learning", "epsilon_greedy", 2, "number", "few", "first", None, (64, 64), 32, 0, 0, 0, 0, 0),
)
_OTHERS = (
    ("q_learning-accumulating", "epsilon_greedy", 1, "by_episode", "one", "random", None, (32, 32), 32, 1, 1, 1, 0, 1),
    ("double_q_learning", "softmax", 2, "number", "alias", "random", None, (16, 48), 32, 0, 0, 0, 1, 0),
    ("q_learning-replacing", "ucb", 4, "by_episode", "one", "first", "summary", (16, 48), 32, 1, 1, 1, 0, 0),
    ("sarsa", "ucb", 5, "by_visits", "one", "last", None, (64, 64), 64, 0, 0, 1, 0, 0),
    ("sarsa-replacing", "epsilon_greedy", 3, "by_visits", "equal", "last", "summary", (16, 48), 64, 0, 1, 1, 0, 1),
    ("sarsa-replacing", "ucb", 9, "number", "equal", "last", None, (32, 32), 64, 0, 0, 1, 0, 1),
    ("sarsa", "ucb", 6, "number", "one", "last", None, (64, 64), 64, 0, 0, 1, 0, 0),
    ("q_learning-accumulating", "ucb", 3, "by_episode", "one", "last", None, (8, 8), 32, 0, 0, 1, 0, 0),
    ("article", "softmax", 5, "by_episode", "equal", "last", "returns", (32, 32), 64, 0, 1, 1, 1, 0),
    ("expected_sarsa", "softmax", 6, "number", "few", "last", None, (16, 48), 64, 0, 0, 0, 1, 0),
    ("sarsa", "epsilon_greedy", 1, "number", "few", "random", "returns", (32, 32), 64, 1, 0, 1, 1, 0),
    ("expected_sarsa", "epsilon_greedy", 9, "by_episode", "one", "first", "returns", (16, 48), 32, 0, 1, 0, 1, 0),
    ("double_q_learning", "ucb", 4, "by_episode", "alias", "last", None, (64, 64), 32, 0, 0, 1, 0, 0),
    ("article", "ucb", 6, "by_visits", "one", "random", None, (16, 48), 32, 1, 0, 1, 0, 0),
    ("sarsa-steps", "softmax", 6, "by_episode", "equal", "first", "summary", (32, 32), 64, 0, 0, 0, 1, 0),
    ("sarsa", "softmax", 6, "by_episode", "one", "last", "summary", (64, 64), 32, 1, 1, 0, 0, 0),
    ("expected_sarsa-steps", "softmax", 5, "by_visits", "few", "random", None, (16, 48), 32, 1, 1, 0, 0, 0),
    ("q_learning-replacing", "softmax", 2, "by_visits", "alias", "first", "returns", (64, 64), 32, 0, 0, 0, 1, 1),
    ("sarsa-accumulating", "epsilon_greedy", 6, "by_visits", "alias", "random", "returns", (16, 48), 64, 0, 0, 0, 1, 1),
    ("expected_sarsa", "softmax", 2, "by_visits", "few", "random", None, (64, 64), 64, 1, 0, 1, 0, 0),
    ("sarsa", "softmax", 2, "by_episode", "few", "last", "returns", (32, 32), 32, 0, 1, 1, 1, 0),
)


def _variants(rows):
    return [Variant(*row[:8], f"float{row[8]}", *map(bool, row[9:])) for row in rows]


HOUSE, VARIANTS = _variants(_HOUSE), _variants(_HOUSE + _OTHERS)
#: Whose agents are evaluated: a variant of its own for all that acting takes.
EVALUATED = _evaluated()


def search(seed=0):
    """Look for rows beside those of the house that hold all that is wanted; print them, and what they lack."""
    held = set().union(*(met_in_source(asdict(variant)) for variant in HOUSE))
    begin = [asdict(variant) for variant in VARIANTS[len(HOUSE) :]]
    rows, missing = anneal(begin, wanted_in_source() - held, np.random.default_rng(seed))
    for row in rows:
        short = row | {"dtype": int(row["dtype"][-2:])}
        values = [int(value) if isinstance(value, bool) else value for value in short.values()]
        sys.stdout.write(f"    {(*values,)!r},\n".replace("'", '"'))
    sys.stdout.write(f"missing: {missing}\n")


if __name__ == "__main__":
    search()

"""Rows of outcomes turned into the lookup tables of an MDP: merged, or spread into equally likely ones.

A row is what can happen in one state after one action, as Gymnasium writes it: a list of
``(probability, next state, reward, terminated)``. The kernel draws fastest when all K outcomes of a table are
equally likely, because it then needs no threshold: it takes outcome ``floor(u K)``. So the tables are made as follows.

1. Outcomes of probability 0 are dropped. Outcomes that agree in next state, reward *and* flag are merged; the same
   next state with another reward or flag stays an outcome of its own.
2. If every row, merged or else as it was given, consists of n equally likely outcomes, and the least common multiple
   of all these n is at most 8 (or at most the longest row), each row is repeated up to that multiple: K outcomes of
   probability 1/K each. FrozenLake's slippery ice comes out as K = 3, its deterministic rows thrice the same.
3. Otherwise the merged rows are padded up to the longest with outcomes of probability 0.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.model.mdp import MDP

__all__ = ["Outcome", "Tables", "merged_row", "tables_of_rows"]

# Rounding in sums such as (1 - 1/3) / 2 is smaller, and no probability that anybody types comes closer.
_SAME_PROBABILITY = 1e-12

# A row of 8 outcomes fills one cache line with packed 64-bit entries.
_MAX_SPREAD = 8

Outcome = tuple[float, int, float, bool]
"""Probability, next state, reward, terminated."""


class Tables(NamedTuple):
    """The four tables of an MDP, each of shape (n_states, n_actions, n_outcomes)."""

    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    probability: NDArray[np.float64]

    def mdp(self, **options: Any) -> MDP:
        """Make the problem; the options are those of `qfast.MDP`."""
        return MDP(self.next_state, self.reward, terminated=self.terminated, probability=self.probability, **options)


def merged_row(row: Sequence[Outcome]) -> list[Outcome]:
    """Add up outcomes that agree in next state, reward and flag; drop those of probability 0.

    >>> merged_row([(0.5, 1, 0.0, False), (0.25, 1, 0.0, False), (0.25, 1, 5.0, False), (0.0, 2, 0.0, True)])
    [(0.75, 1, 0.0, False), (0.25, 1, 5.0, False)]
    """
    total: dict[tuple[int, float, bool], float] = {}
    for probability, next_state, reward, terminated in row:
        if probability > 0:
            key = (next_state, reward, terminated)
            total[key] = total.get(key, 0.0) + probability
    if len(total) == 1:  # certain, whatever rounding did to the sum
        return [(1.0, *key) for key in total]
    return [(probability, *key) for key, probability in total.items()]


def _equally_likely(row: Sequence[Outcome]) -> list[Outcome] | None:
    """Give the outcomes with exactly equal probabilities, or None if they are not equally likely."""
    kept = [outcome for outcome in row if outcome[0] > 0]
    share = 1.0 / len(kept)
    if any(abs(outcome[0] - share) > _SAME_PROBABILITY for outcome in kept):
        return None
    return [(share, *outcome[1:]) for outcome in kept]


def tables_of_rows(rows: Sequence[Sequence[Sequence[Outcome]]]) -> Tables:
    """Turn rows[s][a] of outcomes, each with one of positive probability, into tables, by the rules above.

    >>> certain, coin = [(1.0, 0, 1.0, True)], [(0.5, 0, 0.0, False), (0.5, 0, 1.0, True)]
    >>> tables_of_rows([[certain, coin]]).probability.tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    """
    merged = [[merged_row(row) for row in actions] for actions in rows]
    if max(len(row) for actions in merged for row in actions) > 1:
        for candidates in (merged, rows):
            spread = _spread(candidates)
            if spread is not None:
                return _filled(spread)
    return _filled(merged)


def _spread(rows: Sequence[Sequence[Sequence[Outcome]]]) -> list[list[list[Outcome]]] | None:
    """Repeat equally likely rows up to one common length, or give None where that is not possible or too long."""
    even: list[list[list[Outcome]]] = []
    lengths: set[int] = set()
    for actions in rows:
        even.append([])
        for row in actions:
            equal = _equally_likely(row)
            if equal is None:
                return None
            even[-1].append(equal)
            lengths.add(len(equal))
    n_outcomes = math.lcm(*lengths)
    if n_outcomes > max(_MAX_SPREAD, *lengths):
        return None
    return [
        [[(1.0 / n_outcomes, *outcome[1:]) for outcome in row] * (n_outcomes // len(row)) for row in actions]
        for actions in even
    ]


def _filled(rows: Sequence[Sequence[Sequence[Outcome]]]) -> Tables:
    """Write rows into arrays; short rows are padded with their last outcome at probability 0."""
    n_outcomes = max(len(row) for actions in rows for row in actions)
    flat = [
        outcome
        for actions in rows
        for row in actions
        for outcome in (*row, *[(0.0, *row[-1][1:])] * (n_outcomes - len(row)))
    ]
    probability, next_state, reward, terminated = zip(*flat, strict=True)
    shape = (len(rows), len(rows[0]), n_outcomes)
    return Tables(
        np.array(next_state, dtype=np.int64).reshape(shape),
        np.array(reward, dtype=np.float64).reshape(shape),
        np.array(terminated, dtype=np.bool_).reshape(shape),
        np.array(probability, dtype=np.float64).reshape(shape),
    )

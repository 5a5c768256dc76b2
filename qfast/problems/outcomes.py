"""Outcomes turned into the lookup tables of an MDP: merged, or spread into equally likely ones.

A row is what can happen in one state after one action, as Gymnasium writes it: a list of
``(probability, next state, reward, terminated)``. The kernel draws fastest when all K outcomes of a table are
equally likely, because it then needs no threshold: it takes outcome ``floor(u K)``. So the tables are made as follows.

1. Outcomes of probability 0 are dropped. Outcomes that agree in next state, reward *and* flag are merged; the same
   next state with another reward or flag stays an outcome of its own.
2. If every row, merged or else as it was given, consists of n equally likely outcomes, and the least common multiple
   of all these n is at most 8 (or at most the longest row), each row is repeated up to that multiple: K outcomes of
   probability 1/K each. FrozenLake's slippery ice comes out as K = 3, its deterministic rows thrice the same.
3. Otherwise the merged rows are padded up to the longest with outcomes of probability 0.

All of it is arithmetic on flat arrays: nothing of size S x S is ever made, and 10,000 states take milliseconds.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP

__all__ = ["Outcome", "Outcomes", "Tables", "tables_of_rows"]

# Rounding in sums such as (1 - 1/3) / 2 is smaller, and no probability that anybody types comes closer.
_SAME_PROBABILITY: Final = 1e-12

# A row of 8 outcomes fills one cache line with packed 64-bit entries.
_MAX_SPREAD: Final = 8

# Entries of each of the four tables: 7 GB in all, and as much again while they are made.
_MOST_ENTRIES: Final = 2**28

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


class Outcomes(NamedTuple):
    """Outcomes of all rows one after the other, each array of shape (n,); `pair` is state * n_actions + action."""

    pair: NDArray[np.int64]
    probability: NDArray[np.float64]
    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]

    @classmethod
    def of(
        cls, pair: ArrayLike, probability: ArrayLike, next_state: ArrayLike, reward: ArrayLike, terminated: ArrayLike
    ) -> "Outcomes":
        """Turn lists or arrays into outcomes of the right dtypes."""
        return cls(
            np.asarray(pair, dtype=np.int64),
            np.asarray(probability, dtype=np.float64),
            np.asarray(next_state, dtype=np.int64),
            np.asarray(reward, dtype=np.float64),
            np.asarray(terminated, dtype=np.bool_),
        )

    def taken(self, index: NDArray[Any]) -> "Outcomes":
        """Choose outcomes by their numbers or by marks."""
        return Outcomes(*(array[index] for array in self))

    def followed_by(self, other: "Outcomes") -> "Outcomes":
        """Put others behind."""
        return Outcomes.of(*(np.concatenate(both) for both in zip(self, other, strict=True)))

    def merged(self) -> "Outcomes":
        """Add up outcomes of a row that agree in next state, reward and flag, each where the first one stood."""
        place = self.pair * (1 + self.next_state.max(initial=0)) + self.next_state
        if np.all(place[1:] > place[:-1]):  # each next state but once and in order, as matrices give them
            return self._certain()
        order = np.lexsort((self.terminated, self.reward, self.next_state, self.pair))
        keys = [array[order] for array in (self.pair, self.next_state, self.reward, self.terminated)]
        fresh = np.ones(order.size, dtype=np.bool_)
        fresh[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
        group = np.empty(order.size, dtype=np.int64)
        group[order] = np.cumsum(fresh) - 1
        total = np.bincount(group, weights=self.probability).astype(np.float64)  # adds in the order of the outcomes
        first = order[fresh]  # sorting is stable, so the first of a group is its first one
        by_place = np.argsort(first, kind="stable")
        return self.taken(first[by_place])._replace(probability=total[by_place])._certain()

    def _certain(self) -> "Outcomes":
        """Give what is alone in its row the probability 1, whatever rounding did to the sum."""
        alone = np.bincount(self.pair)[self.pair] == 1
        return self._replace(probability=np.where(alone, 1.0, self.probability))

    def tables(self, n_states: int, n_actions: int) -> Tables:
        """Make the tables by the rules above; every row must hold an outcome of positive probability."""
        n_pairs = n_states * n_actions
        given = self.taken(self.probability > 0)
        if np.any(given.pair[1:] < given.pair[:-1]):
            given = given.taken(np.argsort(given.pair, kind="stable"))
        merged = given.merged()
        lengths = np.bincount(merged.pair, minlength=n_pairs)
        longest = int(lengths.max())
        if n_pairs * longest > _MOST_ENTRIES:
            s, a = divmod(int(lengths.argmax()), n_actions)
            raise InvalidInput(
                f"state {s} and action {a} have {longest:,} outcomes, so that the tables would hold {n_states:,} * "
                f"{n_actions:,} * {longest:,} entries; a table is for problems with few outcomes of each action"
            )
        if longest > 1:
            for candidates in (merged, given):
                spread = candidates._spread(n_pairs)
                if spread is not None:
                    return spread._filled(n_states, n_actions)
        return merged._filled(n_states, n_actions)

    def _spread(self, n_pairs: int) -> "Outcomes | None":
        """Repeat equally likely rows up to one common length, or give None where that is not possible or too long."""
        lengths = np.bincount(self.pair, minlength=n_pairs)
        if np.any(np.abs(self.probability - 1.0 / lengths[self.pair]) > _SAME_PROBABILITY):
            return None
        different = np.unique(lengths).tolist()
        n_outcomes = math.lcm(*different)
        if n_outcomes > max(_MAX_SPREAD, *different):
            return None
        first = np.repeat(np.cumsum(lengths) - lengths, n_outcomes)
        place = np.tile(np.arange(n_outcomes), n_pairs) % np.repeat(lengths, n_outcomes)
        repeated = self.taken(first + place)
        return repeated._replace(probability=np.full(repeated.pair.size, 1.0 / n_outcomes))

    def _filled(self, n_states: int, n_actions: int) -> Tables:
        """Write rows into arrays; short rows are padded with their last outcome at probability 0."""
        lengths = np.bincount(self.pair, minlength=n_states * n_actions)
        shape = (n_states, n_actions, int(lengths.max()))
        first = np.cumsum(lengths) - lengths
        place = first[:, None] + np.minimum(np.arange(shape[2]), lengths[:, None] - 1)
        padding = np.arange(shape[2]) >= lengths[:, None]
        full = self.taken(place.ravel())
        return Tables(
            full.next_state.reshape(shape),
            full.reward.reshape(shape),
            full.terminated.reshape(shape),
            np.where(padding.ravel(), 0.0, full.probability).reshape(shape),
        )


def tables_of_rows(rows: Sequence[Sequence[Sequence[Outcome]]]) -> Tables:
    """Turn rows[s][a] of outcomes, each with one of positive probability, into tables, by the rules above.

    >>> certain, coin = [(1.0, 0, 1.0, True)], [(0.5, 0, 0.0, False), (0.5, 0, 1.0, True)]
    >>> tables_of_rows([[certain, coin]]).probability.tolist()
    [[[0.5, 0.5], [0.5, 0.5]]]
    """
    n_actions = len(rows[0])
    by_pair = [row for actions in rows for row in actions]
    pair = np.repeat(np.arange(len(by_pair)), [len(row) for row in by_pair])
    columns = zip(*(outcome for row in by_pair for outcome in row), strict=True)
    return Outcomes.of(pair, *columns).tables(len(rows), n_actions)

"""Which states can be reached from which: a search over the edges of a lookup table, NumPy only.

A plain frontier search costs one round of NumPy calls a level, which is slow on a long corridor (one state a
level); a plain Python stack costs one round of bytecode an edge, which is slow on a wide table. The search below
switches between the two by the size of the frontier, so that 100,000 states take well under a second either way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Edges", "reach", "terminal_starts"]

# Below this many frontier states a Python loop beats a round of NumPy calls (about 10 microseconds).
_SMALL_FRONTIER = 32


@dataclass(frozen=True, eq=False)
class Edges:
    """Directed edges between states, grouped by the state they leave (compressed sparse rows)."""

    first: NDArray[np.int64]  # (n_states + 1,): the edges that leave s are target[first[s] : first[s + 1]]
    target: NDArray[np.int64]  # (n_edges,)

    @classmethod
    def from_pairs(cls, source: NDArray[np.int64], target: NDArray[np.int64], *, n_states: int) -> "Edges":
        """Group the edges ``source[i] -> target[i]`` by their source."""
        first = np.zeros(n_states + 1, dtype=np.int64)
        np.cumsum(np.bincount(source, minlength=n_states), out=first[1:])
        return cls(first, target[np.argsort(source, kind="stable")])

    @classmethod
    def of(cls, next_state: NDArray[np.int64], chosen: NDArray[np.bool_], *, backwards: bool = False) -> "Edges":
        """Turn the chosen outcomes of a lookup table (S, A, K) into edges; `backwards` turns every edge around."""
        n_states = next_state.shape[0]
        source = np.repeat(np.arange(n_states), chosen.reshape(n_states, -1).sum(axis=1))
        target = next_state[chosen]
        if backwards:
            source, target = target, source
        return cls.from_pairs(source, target, n_states=n_states)


def reach(edges: Edges, seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark every state that can be reached from a seed along the edges, the seeds (n_states,) included."""
    marks = bytearray(seeds.astype(np.uint8).tobytes())
    seen = np.frombuffer(marks, dtype=np.bool_)  # the same memory: fast one by one as bytes, fast in bulk as array
    frontier: list[int] = np.flatnonzero(seeds).tolist()
    first, target = edges.first, edges.target
    while frontier:
        fresh: list[int] = []
        if len(frontier) < _SMALL_FRONTIER:
            for state in frontier:
                for entered in target[first[state] : first[state + 1]].tolist():
                    if not marks[entered]:
                        marks[entered] = 1
                        fresh.append(entered)
        else:
            states = np.asarray(frontier)
            counts = first[states + 1] - first[states]
            # Positions of all edges of all frontier states, one after the other.
            offsets = np.repeat(first[states] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
            entered_by_edge = target[offsets + np.arange(offsets.size)]
            unseen = np.unique(entered_by_edge[~seen[entered_by_edge]])
            seen[unseen] = True
            fresh = unseen.tolist()
        frontier = fresh
    return seen.copy()


def terminal_starts(
    next_state: NDArray[np.int64],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    possible: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Mark the states (S,) in which no episode can sensibly begin, because they are ends.

    Every possible outcome there is a terminated transition to the state itself, and it either pays nothing or the
    state is entered by a terminated outcome from elsewhere.  The second half spares bandits, whose only states have
    terminated transitions to themselves that pay something.
    """
    to_itself = terminated & (next_state == np.arange(next_state.shape[0])[:, None, None])
    stuck = np.all(to_itself | ~possible, axis=(1, 2)) & np.any(possible, axis=(1, 2))
    pays = np.any((reward != 0) & possible, axis=(1, 2))
    entered = np.zeros(next_state.shape[0], dtype=np.bool_)
    entered[next_state[possible & terminated & ~to_itself]] = True
    marks: NDArray[np.bool_] = stuck & (entered | ~pays)
    return marks

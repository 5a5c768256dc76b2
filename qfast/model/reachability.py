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
    """Directed edges between states, grouped by the state they leave (compressed sparse rows).

    Attributes
    ----------
    first : ndarray of int64, shape (n_states + 1,)
        The edges that leave state ``s`` are ``target[first[s]:first[s + 1]]``.
    target : ndarray of int64, shape (n_edges,)
        The states that the edges enter.
    """

    first: NDArray[np.int64]
    target: NDArray[np.int64]

    @classmethod
    def from_pairs(cls, source: NDArray[np.int64], target: NDArray[np.int64], *, n_states: int) -> "Edges":
        """Group the edges ``source[i] -> target[i]`` by their source.

        Parameters
        ----------
        source, target : ndarray of int64, shape (n_edges,)
            States in [0, n_states).
        n_states : int
            Number of states.

        Returns
        -------
        Edges
            The same edges, sorted by source.

        Examples
        --------
        >>> import numpy as np
        >>> Edges.from_pairs(np.array([1, 0]), np.array([2, 1]), n_states=3).target
        array([1, 2])
        """
        first = np.zeros(n_states + 1, dtype=np.int64)
        np.cumsum(np.bincount(source, minlength=n_states), out=first[1:])
        return cls(first, target[np.argsort(source, kind="stable")])

    @classmethod
    def of(cls, next_state: NDArray[np.int64], chosen: NDArray[np.bool_], *, backwards: bool = False) -> "Edges":
        """Turn the chosen outcomes of a lookup table into edges.

        Parameters
        ----------
        next_state : ndarray of int64, shape (n_states, n_actions, n_outcomes)
            The state that each outcome leads to.
        chosen : ndarray of bool, same shape
            The outcomes to follow.
        backwards : bool, default False
            Whether to turn every edge around.

        Returns
        -------
        Edges
            One edge for each chosen outcome.

        Examples
        --------
        >>> import numpy as np
        >>> Edges.of(np.array([[[1]], [[1]]]), np.array([[[True]], [[False]]])).first
        array([0, 1, 1])
        """
        n_states = next_state.shape[0]
        source = np.repeat(np.arange(n_states), chosen.reshape(n_states, -1).sum(axis=1))
        target = next_state[chosen]
        if backwards:
            source, target = target, source
        return cls.from_pairs(source, target, n_states=n_states)


def reach(edges: Edges, seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark every state that can be reached from a seed along the edges, the seeds included.

    Parameters
    ----------
    edges : Edges
        The edges to follow.
    seeds : ndarray of bool, shape (n_states,)
        Where the search begins.

    Returns
    -------
    ndarray of bool, shape (n_states,)
        True where a state is a seed or can be reached from one.

    Examples
    --------
    >>> import numpy as np
    >>> edges = Edges.from_pairs(np.array([0, 2]), np.array([1, 0]), n_states=3)
    >>> reach(edges, np.array([True, False, False]))
    array([ True,  True, False])
    """
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
    """Mark the states in which no episode can sensibly begin, because they are ends.

    Every possible outcome there is a terminated transition to the state itself, and it either pays nothing or the
    state is entered by a terminated outcome from elsewhere. The second half spares bandits, whose only states have
    terminated transitions to themselves that pay something.

    Parameters
    ----------
    next_state, reward, terminated : ndarray, shape (n_states, n_actions, n_outcomes)
        The tables of an MDP.
    possible : ndarray of bool, same shape
        The outcomes of positive probability of allowed actions.

    Returns
    -------
    ndarray of bool, shape (n_states,)
        True where a state is an end.

    Examples
    --------
    >>> import numpy as np
    >>> yes = np.array([[[True]]])
    >>> terminal_starts(np.array([[[0]]]), np.array([[[0.0]]]), yes, yes)
    array([ True])
    >>> terminal_starts(np.array([[[0]]]), np.array([[[2.0]]]), yes, yes)
    array([False])
    """
    to_itself = terminated & (next_state == np.arange(next_state.shape[0])[:, None, None])
    stuck = np.all(to_itself | ~possible, axis=(1, 2)) & np.any(possible, axis=(1, 2))
    pays = np.any((reward != 0) & possible, axis=(1, 2))
    entered = np.zeros(next_state.shape[0], dtype=np.bool_)
    entered[next_state[possible & terminated & ~to_itself]] = True
    marks: NDArray[np.bool_] = stuck & (entered | ~pays)
    return marks

"""A problem as the kernel's measuring functions want it: the states in which agents act, and how to eliminate them."""

import heapq
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.exact import success_outcomes
from qfast.kernel.policies import Acting, Program
from qfast.model.mdp import MDP

__all__ = ["Moves", "make_acting", "make_program", "mask_dtype", "ordered_moves", "pack_actions", "unpack_actions"]

# Where each pair can lead is kept as bits up to this size, 64 MiB; beyond, agents are followed one by one.
_MOST_WORDS: Final = 2**23
# More states, or more multiplications for a policy, than this are left to SciPy's sparse solvers.
_MOST_STATES: Final = 1024
_MOST_PRODUCTS: Final = 2**18


def mask_dtype(n_actions: int) -> np.dtype[Any]:
    """Pick the smallest word that has a bit for each action; from 32 actions on there are several words."""
    return np.dtype(np.uint8 if n_actions <= 8 else np.uint16 if n_actions <= 16 else np.uint32)


def pack_actions(chosen: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Turn sets of actions (..., A) into words of 32 bits (..., ceil(A / 32)), the first action lowest.

    Examples
    --------
    >>> import numpy as np
    >>> pack_actions(np.array([[True, False, True]])).tolist()
    [[5]]
    """
    n_actions = chosen.shape[-1]
    words = -(-n_actions // 32)
    padded = np.zeros((*chosen.shape[:-1], 32 * words), np.uint32)
    padded[..., :n_actions] = chosen
    bits = padded.reshape(*chosen.shape[:-1], words, 32) << np.arange(32, dtype=np.uint32)
    packed: NDArray[np.uint32] = np.bitwise_or.reduce(bits, axis=-1)
    return packed


def unpack_actions(words: NDArray[Any], n_actions: int) -> NDArray[np.bool_]:
    """Turn words (..., n_words) back into sets of actions (..., A).

    Examples
    --------
    >>> import numpy as np
    >>> unpack_actions(np.array([5], np.uint8), 3).tolist()
    [True, False, True]
    """
    action = np.arange(n_actions)
    chosen: NDArray[np.bool_] = (words[..., action // 32].astype(np.uint32) >> (action % 32).astype(np.uint32)) & 1 == 1
    return chosen


@dataclass(frozen=True, eq=False)
class Moves:
    """What each pair of a state and an action leads to, among the D states in which an agent can act.

    Attributes
    ----------
    states : ndarray of int64, shape (D,)
        Their numbers in the MDP, in the order in which they are eliminated.
    allowed : ndarray of bool, shape (D, A)
    pair, onward : ndarray of int64, shape (n,)
        Pairs d * A + a in increasing order, and where they lead without an end; each combination once.
    probability : ndarray of float64, shape (n,)
    reward, success : ndarray of float64, shape (D, A)
        Expected reward of a step, and its probability of success (see `qfast.exact.success_outcomes`).
    start : ndarray of int64, shape (starts,)
        Where episodes begin, by their numbers among the D.
    start_probability : ndarray of float64, shape (starts,)
    """

    states: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    pair: NDArray[np.int64]
    onward: NDArray[np.int64]
    probability: NDArray[np.float64]
    reward: NDArray[np.float64]
    success: NDArray[np.float64]
    start: NDArray[np.int64]
    start_probability: NDArray[np.float64]

    @classmethod
    def of(cls, mdp: MDP, states: NDArray[np.int64]) -> "Moves":
        """Restrict an MDP to its decision states, in a given order."""
        number = np.full(mdp.n_states, -1)
        number[states] = np.arange(states.size)
        allowed = np.ones((states.size, mdp.n_actions), np.bool_) if mdp.allowed is None else mdp.allowed[states]
        # As in `qfast.exact`: rows may miss 1 by what MDP accepts.
        probability = mdp.probability[states] / mdp.probability[states].sum(axis=2, keepdims=True)
        goes_on = (probability > 0.0) & ~mdp.terminated[states] & allowed[:, :, None]
        d, a, _ = np.nonzero(goes_on)
        key = (d * mdp.n_actions + a) * states.size + number[mdp.next_state[states][goes_on]]
        key, first = np.unique(key, return_inverse=True)
        starts = np.flatnonzero(mdp.start)
        return cls(
            states=states,
            allowed=allowed,
            pair=key // states.size,
            onward=key % states.size,
            probability=np.bincount(first, probability[goes_on], key.size).astype(np.float64),
            reward=np.where(allowed, (probability * mdp.reward[states]).sum(axis=2), 0.0),
            success=np.where(success_outcomes(mdp)[states], probability, 0.0).sum(axis=2),
            start=number[starts],
            start_probability=mdp.start[starts] / mdp.start[starts].sum(),
        )


def _groups(sorted_keys: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Where each of n keys begins in a sorted list of them, and where the last one ends."""
    return np.searchsorted(sorted_keys, np.arange(n + 1)).astype(np.int64)


def make_acting(moves: Moves, optimal: NDArray[np.bool_]) -> Acting:
    """Bring a problem into the form that `behaviours` reads; `onward` is empty where that would be too large.

    Parameters
    ----------
    moves : Moves
    optimal : ndarray of bool, shape (groups, S, A)
        The optimal actions, by each group's truth.
    """
    n_pairs, size = moves.allowed.size, moves.states.size
    fits = n_pairs * -(-size // 64) <= _MOST_WORDS
    return Acting(
        state=moves.states.astype(np.int32),
        allowed=pack_actions(moves.allowed).reshape(-1),
        start=_bits(np.zeros(moves.start.size, np.int64), moves.start, 1, size),
        onward=_bits(moves.pair, moves.onward, n_pairs, size) if fits else np.empty(0, np.uint64),
        optimal=pack_actions(optimal[:, moves.states]).reshape(-1),
    )


def _bits(row: NDArray[np.int64], member: NDArray[np.int64], n: int, size: int) -> NDArray[np.uint64]:
    """Turn pairs (set, member) into n sets of numbers below `size`: words of 64 bits, all words of a set together."""
    words = -(-size // 64)
    sets = np.zeros(n * words, np.uint64)
    np.bitwise_or.at(sets, row * words + member // 64, np.uint64(1) << (member % 64).astype(np.uint64))
    return sets


def _elimination_order(moves: Moves) -> tuple[list[int], list[list[int]], list[list[int]]] | None:
    """Find an order that keeps fill-in low: next the state with the fewest ways through it (Markowitz 1957).

    Returns
    -------
    order : list of int
        The D states.
    before, after : list of list of int
        For each of them in that order, the states not yet eliminated that lead to it and that it leads to.
    None
        If the elimination would take too long.
    """
    n = moves.states.size
    if n > _MOST_STATES:
        return None
    into: list[set[int]] = [set() for _ in range(n)]
    out: list[set[int]] = [set() for _ in range(n)]
    for i, j in zip((moves.pair // moves.allowed.shape[1]).tolist(), moves.onward.tolist(), strict=True):
        if i != j:
            out[i].add(j)
            into[j].add(i)
    queue = [(len(into[k]) * len(out[k]), k) for k in range(n)]
    heapq.heapify(queue)
    gone: set[int] = set()
    order, before, after, products = [], [], [], 0
    while queue:
        ways, k = heapq.heappop(queue)
        if k in gone or ways != len(into[k]) * len(out[k]):
            continue  # it was entered again when it changed
        products += ways
        if products > _MOST_PRODUCTS:
            return None
        gone.add(k)
        order.append(k)
        before.append(sorted(into[k]))
        after.append(sorted(out[k]))
        for i in into[k]:
            out[i] |= out[k]
            out[i] -= {i, k}
        for j in out[k]:
            into[j] |= into[k]
            into[j] -= {j, k}
        for i in into[k] | out[k]:
            heapq.heappush(queue, (len(into[i]) * len(out[i]), i))
    return order, before, after


def ordered_moves(mdp: MDP) -> tuple[Moves, Program | None]:
    """Bring an MDP's decision states into an order that suits elimination; without a program where it has too many."""
    states = np.flatnonzero(mdp.decision_states)
    moves = Moves.of(mdp, states)
    found = _elimination_order(moves)
    if found is None:
        return moves, None
    order, before, after = found
    turn = dict(zip(order, range(len(order)), strict=True))
    moves = Moves.of(mdp, states[order])
    later_before, later_after = ([[turn[i] for i in part] for part in parts] for parts in (before, after))
    return moves, make_program(moves, later_before, later_after)


def make_program(moves: Moves, before: list[list[int]], after: list[list[int]]) -> Program:
    """Write down the elimination, entry by entry.

    Parameters
    ----------
    moves : Moves
        With the states in the order of elimination.
    before, after : list of list of int
        For each state, the later ones that lead to it and that it leads to when its turn comes.
    """
    n = moves.states.size
    entries: dict[tuple[int, int], int] = {}

    def place(i: int, j: int) -> int:
        return entries.setdefault((i, j), len(entries))

    n_actions = moves.allowed.shape[1]
    source, action = np.divmod(moves.pair, n_actions)
    order = np.lexsort((action, moves.onward, source))
    rows, way_first = np.unique((source * n + moves.onward)[order], return_index=True)
    direct = [place(i, j) for i, j in zip((rows // n).tolist(), (rows % n).tolist(), strict=True)]
    n_direct = len(entries)
    diagonal = []
    for k in range(n):  # entries that are used together lie together
        diagonal.append(place(k, k))
        for j in after[k]:
            place(k, j)
        for i in before[k]:
            place(i, k)

    def ends(lists: list[list[int]]) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum([len(part) for part in lists])]).astype(np.int64)

    def short(values: Any) -> NDArray[np.int32]:
        return np.array(values, np.int32)

    below = [(i, place(i, k)) for k in range(n) for i in before[k]]
    right = [(j, place(k, j)) for k in range(n) for j in after[k]]
    fill = [place(i, j) for k in range(n) for i in before[k] for j in after[k]]
    return Program(
        row_first=_groups(rows // n, n),
        row_column=short(rows % n),
        row_entry=short(direct),
        way_first=np.append(way_first, order.size),
        way_action=short(action[order]),
        way_probability=moves.probability[order],
        diagonal=short(diagonal),
        below_first=ends(before),
        below_row=short([i for i, _ in below]),
        below_entry=short([entry for _, entry in below]),
        right_first=ends(after),
        right_column=short([j for j, _ in right]),
        right_entry=short([entry for _, entry in right]),
        fill_first=np.concatenate([[0], np.cumsum([len(b) * len(a) for b, a in zip(before, after, strict=True)])]),
        fill=short(fill),
        gain=moves.reward.reshape(-1),
        start=moves.start.astype(np.int32),
        start_probability=moves.start_probability,
        n_entries=len(entries),
        n_direct=n_direct,
        n_gains=1,
        n_actions=n_actions,
    )

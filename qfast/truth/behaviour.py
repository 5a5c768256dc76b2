"""What agents do greedily where it matters: the actions in the states that they meet, and which agents do the same.

This is the one place that says when two agents have the same greedy policy: when they take the same actions, by the
run's tie rule, in every state that they meet from the start.  No exact solution is needed for it.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.exact import success_outcomes
from qfast.exact.policies import distinct_rows
from qfast.kernel.policies import FIRST, LAST, RANDOM, Acting, Seen, behaviours
from qfast.kernel.spec import Shape
from qfast.model.learner import take_tied
from qfast.model.mdp import MDP
from qfast.model.reachability import Edges, reach

if TYPE_CHECKING:
    from qfast.run import Run

__all__ = [
    "Behaviour", "Moves", "Policies", "behave", "distinct_masks", "distinct_policies", "flat", "greedy_sets",
    "make_acting", "no_masks", "pack_actions", "unpack_actions",
]  # fmt: skip

_ANY: Final = Shape(n_actions=1, lanes=8, width=8)
_TIES: Final = {"random": RANDOM, "first": FIRST, "last": LAST}
_PILE: Final = 2**26  # bytes of masks that are looked at together
# Where each pair can lead is kept as bits up to this size, 64 MiB; beyond, agents are followed one by one.
_MOST_WORDS: Final = 2**23


def mask_dtype(n_actions: int) -> np.dtype[Any]:
    """Pick the smallest word that has a bit for each action; from 32 actions on there are several words."""
    return np.dtype(np.uint8 if n_actions <= 8 else np.uint16 if n_actions <= 16 else np.uint32)


def pack_actions(chosen: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Turn sets of actions (..., A) into words of 32 bits (..., ceil(A / 32)), the first action lowest."""
    n_actions = chosen.shape[-1]
    words = -(-n_actions // 32)
    padded = np.zeros((*chosen.shape[:-1], 32 * words), np.uint32)
    padded[..., :n_actions] = chosen
    bits = padded.reshape(*chosen.shape[:-1], words, 32) << np.arange(32, dtype=np.uint32)
    packed: NDArray[np.uint32] = np.bitwise_or.reduce(bits, axis=-1)
    return packed


def unpack_actions(words: NDArray[Any], n_actions: int) -> NDArray[np.bool_]:
    """Turn words (..., n_words) back into sets of actions (..., A)."""
    action = np.arange(n_actions)
    chosen: NDArray[np.bool_] = (words[..., action // 32].astype(np.uint32) >> (action % 32).astype(np.uint32)) & 1 == 1
    return chosen


@dataclass(frozen=True, eq=False)
class Moves:
    """What each pair of a state and an action leads to, among the D states in which an agent can act."""

    states: NDArray[np.int64]  # (D,), their numbers in the MDP, in the order in which they are eliminated
    allowed: NDArray[np.bool_]  # (D, A)
    pair: NDArray[np.int64]  # (n,), pairs d * A + a in increasing order
    onward: NDArray[np.int64]  # (n,), where they lead without an end; each combination once
    probability: NDArray[np.float64]  # (n,)
    reward: NDArray[np.float64]  # (D, A), expected reward of a step
    success: NDArray[np.float64]  # (D, A), its probability of success (see `qfast.exact.success_outcomes`)
    start: NDArray[np.int64]  # (starts,), where episodes begin, by their numbers among the D
    start_probability: NDArray[np.float64]  # (starts,)

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


def make_acting(moves: Moves, optimal: NDArray[np.bool_]) -> Acting:
    """Bring a problem into the form that `behaviours` reads; `onward` is empty where that would be too large.

    The optimal actions (groups, S, A) are those by each group's truth.
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


class Behaviour(NamedTuple):
    """What n agents do where it matters, in the D decision states."""

    masks: NDArray[Any]  # (n, D, words): bits of the greedy actions; 0 in states that the agent does not meet
    is_optimal: NDArray[np.bool_]  # (n,), whether all of them are optimal
    changed: NDArray[np.bool_]  # (n,), whether they differ from an earlier behaviour


class Policies(NamedTuple):
    """The distinct greedy policies of a run, n of them, the most frequent first, then by their first agent."""

    masks: NDArray[Any]  # (n, D, words)
    states: NDArray[np.int64]  # (D,), the decision states, in the order of `masks`
    agents: NDArray[np.int64]  # (n,), how many agents have each, and the position of the first one
    example: NDArray[np.int64]
    is_optimal: NDArray[np.bool_]  # (n,), as in `Behaviour`, by the truth that was given
    policy_of: NDArray[np.int64]  # (n_agents,)

    def sets(self, run: "Run") -> NDArray[np.bool_]:
        """The policies as sets of actions, shape (n, S, A)."""
        return _sets(run, self.states, self.masks)


def flat(array: NDArray[Any]) -> NDArray[Any]:
    """Give all elements in one row, as kernels take them."""
    return np.ascontiguousarray(array).reshape(-1)


def no_masks(moves: Moves, count: int) -> NDArray[Any]:
    """Masks of agents about which nothing is known, shape (count, D, words)."""
    n_actions = moves.allowed.shape[1]
    return np.zeros((count, moves.states.size, -(-n_actions // 32)), mask_dtype(n_actions))


def behave(
    moves: Moves, acting: Acting, ties: str, q: NDArray[Any], group: NDArray[np.int64], masks: NDArray[Any]
) -> Behaviour:
    """Find what agents (n, S, A) do greedily from the start on; `masks` is compared with and overwritten."""
    n = len(q)
    if not acting.onward.size:
        return _one_by_one(moves, acting, ties, q, group, masks)
    is_optimal, changed = np.zeros(n, np.uint8), np.zeros(n, np.uint8)
    met, to_do = np.zeros(acting.start.size, np.uint64), np.zeros(acting.start.size, np.uint64)
    fresh = np.zeros(masks.shape[1] * masks.shape[2], masks.dtype)
    seen = Seen(flat(q), group, masks.reshape(-1), is_optimal, changed, met, to_do, fresh)
    behaviours(replace(_ANY, n_actions=moves.allowed.shape[1]), acting, seen, _TIES[ties])
    return Behaviour(masks, is_optimal.view(np.bool_), changed.view(np.bool_))


def _one_by_one(
    moves: Moves, acting: Acting, ties: str, q: NDArray[Any], group: NDArray[np.int64], masks: NDArray[Any]
) -> Behaviour:
    """The same where the problem is too large for sets of states as bits: along each agent's own edges."""
    n_states, n_actions = moves.allowed.shape
    optimal = acting.optimal.reshape(-1, n_states, masks.shape[2])
    starts = np.zeros(n_states, np.bool_)
    starts[moves.start] = True
    is_optimal, changed = np.zeros(len(q), np.bool_), np.zeros(len(q), np.bool_)
    for agent in range(len(q)):
        rows = q[agent][moves.states]
        chosen = take_tied(rows == np.fmax.reduce(rows, axis=1, keepdims=True), ties)
        lost = ~chosen.any(axis=1)  # NaN: no action is better than any other
        chosen[lost] = moves.allowed[lost]
        taken = chosen.reshape(-1)[moves.pair]
        edges = Edges.from_pairs(moves.pair[taken] // n_actions, moves.onward[taken], n_states=n_states)
        chosen &= reach(edges, starts)[:, None]
        mask = pack_actions(chosen)
        is_optimal[agent] = not (mask & ~optimal[group[agent]]).any()
        changed[agent] = (mask != masks[agent]).any()
        masks[agent] = mask
    return Behaviour(masks, is_optimal, changed)


def distinct_masks(masks: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct ones of n masks, an example of each, which of them each is, and how many are like each."""
    example, which, count = distinct_rows(masks)
    return masks[example], example, which, count


def distinct_policies(run: "Run", moves: Moves | None = None, acting: Acting | None = None) -> Policies:
    """Tell the greedy policies of a run's agents apart, by a `Judge`'s moves and acting, or without any truth."""
    if moves is None or acting is None:
        moves, acting = _without_truth(run)
    each = max(1, moves.states.size * -(-run.mdp.n_actions // 32) * mask_dtype(run.mdp.n_actions).itemsize)
    step = max(1, _PILE // each)
    masks, example, fine, index, count, known = [], [], [], [], [], 0
    for begin in range(0, run.n_agents, step):
        q = run.q[begin : begin + step]
        seen = behave(moves, acting, run.ties, q, np.zeros(len(q), np.int64), no_masks(moves, len(q)))
        kinds, first, which, alike = distinct_masks(seen.masks)
        masks.append(kinds)
        example.append(begin + first)
        fine.append(seen.is_optimal[first])
        index.append(known + which)
        count.append(alike)
        known += len(kinds)
    found, first, which, _ = distinct_masks(np.concatenate(masks))
    agents = np.zeros(len(found), np.int64)
    np.add.at(agents, which, np.concatenate(count))
    examples = np.concatenate(example)[first]
    order = np.lexsort((examples, -agents))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    return Policies(
        masks=found[order], states=moves.states, agents=agents[order], example=examples[order],
        is_optimal=np.concatenate(fine)[first][order], policy_of=place[which[np.concatenate(index)]],
    )  # fmt: skip


def greedy_sets(run: "Run", agent: int) -> NDArray[np.bool_]:
    """One agent's greedy policy as sets of actions, shape (S, A); none in states that it does not meet."""
    moves, acting = _without_truth(run)
    seen = behave(moves, acting, run.ties, run.q[agent : agent + 1], np.zeros(1, np.int64), no_masks(moves, 1))
    chosen: NDArray[np.bool_] = _sets(run, moves.states, seen.masks)[0]
    return chosen


def _without_truth(run: "Run") -> tuple[Moves, Acting]:
    mdp = run.mdp
    moves = Moves.of(mdp, np.flatnonzero(mdp.decision_states))
    return moves, make_acting(moves, np.zeros((1, mdp.n_states, mdp.n_actions), np.bool_))


def _sets(run: "Run", states: NDArray[np.int64], masks: NDArray[Any]) -> NDArray[np.bool_]:
    chosen = np.zeros((len(masks), run.mdp.n_states, run.mdp.n_actions), np.bool_)
    chosen[:, states] = unpack_actions(masks, run.mdp.n_actions)
    return chosen

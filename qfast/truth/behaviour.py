"""What agents do greedily where it matters: the actions in the states that they meet, and which agents do the same.

This is the one place that says when two agents have the same greedy policy: when they take the same actions, by the
run's tie rule, in every state that they meet from the start.  No exact solution is needed for it.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.kernel.policies import FIRST, LAST, RANDOM, Acting, Seen, behaviours
from qfast.kernel.spec import Shape
from qfast.model.learner import take_tied
from qfast.model.reachability import Edges, reach
from qfast.truth.moves import Moves, make_acting, mask_dtype, pack_actions, unpack_actions

if TYPE_CHECKING:
    from qfast.run import Run

__all__ = ["Behaviour", "Policies", "behave", "distinct_masks", "distinct_policies", "flat", "greedy_sets", "no_masks"]

_ANY: Final = Shape(n_actions=1, lanes=8, width=8)
_TIES: Final = {"random": RANDOM, "first": FIRST, "last": LAST}
_PILE: Final = 2**26  # bytes of masks that are looked at together


class Behaviour(NamedTuple):
    """What n agents do where it matters.

    Attributes
    ----------
    masks : ndarray of unsigned int, shape (n, D, words)
        Bits of the greedy actions in the D decision states; 0 in states that the agent does not meet.
    is_optimal, changed : ndarray of bool, shape (n,)
        Whether all of them are optimal, and whether they differ from an earlier behaviour.
    """

    masks: NDArray[Any]
    is_optimal: NDArray[np.bool_]
    changed: NDArray[np.bool_]


class Policies(NamedTuple):
    """The distinct greedy policies of a run, n of them, the most frequent first, then by their first agent.

    Attributes
    ----------
    masks : ndarray of unsigned int, shape (n, D, words)
    states : ndarray of int64, shape (D,)
        The decision states, in the order of `masks`.
    agents, example : ndarray of int64, shape (n,)
        How many agents have each, and the position of the first one.
    is_optimal : ndarray of bool, shape (n,)
        As in `Behaviour`, by the truth that was given.
    policy_of : ndarray of int64, shape (n_agents,)
    """

    masks: NDArray[Any]
    states: NDArray[np.int64]
    agents: NDArray[np.int64]
    example: NDArray[np.int64]
    is_optimal: NDArray[np.bool_]
    policy_of: NDArray[np.int64]

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
    rows = np.ascontiguousarray(masks).reshape(len(masks), -1)
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).reshape(-1)
    _, first, index, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return masks[first], first, index.reshape(-1), count


def distinct_policies(run: "Run", moves: Moves | None = None, acting: Acting | None = None) -> Policies:
    """Tell the greedy policies of a run's agents apart.

    Parameters
    ----------
    run : Run
    moves, acting : Moves and Acting, optional
        Those of a `Judge`, with one truth for all agents; without them nothing is known to be optimal.
    """
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

"""Policies as `qfast.exact` takes them: checked, told apart, and where they lead from the start."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import array_of, first_at, whole
from qfast.errors import InvalidInput
from qfast.exact.chains import Bools, Floats, Ints, csgraph, sparse
from qfast.exact.model import acting_states, build_model, in_parts
from qfast.model.mdp import MDP, check_mdp

__all__ = [
    "canonical_policies", "check_limit", "check_policies", "check_policy", "distinct_policies", "distinct_rows",
    "reached_states",
]  # fmt: skip

#: Rows of all chains that are worked on at once: with a handful of outcomes some tens of megabytes.
ROWS = 1_000_000
# Rows of a stochastic policy may miss 1 by what single precision does to a softmax over many actions.
_ROW_SUM_TOLERANCE = 1e-6


def check_limit(limit: int | None, mdp: MDP) -> int:
    """Return the number of steps an episode may take; None stands for the MDP's own limit."""
    fix = "give a limit in steps such as 100"
    if limit is None and mdp.max_episode_steps is None:
        raise InvalidInput(f"limit=None, and the MDP has no max_episode_steps either; {fix}")
    return whole("limit", mdp.max_episode_steps if limit is None else limit, fix=fix)


def _numbers(name: str, value: ArrayLike) -> NDArray[Any]:
    array = array_of(name, value, "biuf", "give actions (integers) or probabilities of actions (floats)")
    if array.dtype.kind == "b":
        raise InvalidInput(
            f"{name} has dtype bool; give one action for each state, as run.policy() does, or probabilities of actions "
            "(what the sets of actions of run.policies() are worth, run.census() tells)"
        )
    return array


def check_policies(policies: ArrayLike, mdp: MDP, acting: Bools, *, name: str = "policies") -> Ints:
    """Return deterministic policies as int64 (n_policies, n_states).

    Actions matter where `acting` says so; elsewhere (terminal states) any number is accepted, and made 0.
    """
    array, last = _numbers(name, policies), mdp.n_actions - 1
    if array.dtype.kind == "f":
        raise InvalidInput(f"{name} has dtype {array.dtype}; actions are integers in [0, {last}], one for each state")
    if array.ndim != 2 or array.shape[1] != mdp.n_states:
        raise InvalidInput(
            f"{name} has shape {array.shape}; it must be (n_policies, n_states) with n_states={mdp.n_states}"
        )
    chosen = np.where(acting, array, 0).astype(np.int64)
    outside = (chosen < 0) | (chosen > last)
    if outside.any():
        row, state = first_at(outside)
        raise InvalidInput(
            f"{name} takes action {chosen[row, state]} in state {mdp.state_names[state]!r}, outside [0, {last}]; "
            "give an action of the MDP"
        )
    if mdp.allowed is not None:
        masked = ~mdp.allowed[np.arange(mdp.n_states), chosen] & acting
        if masked.any():
            row, state = first_at(masked)
            raise InvalidInput(
                f"{name} takes action {mdp.action_names[chosen[row, state]]!r} in state {mdp.state_names[state]!r}, "
                f"which is not allowed there; choose one of the actions in mdp.allowed[{state}]"
            )
    return chosen


def check_policy(policy: ArrayLike, mdp: MDP, acting: Bools) -> Floats:
    """Return one policy, given as actions (n_states,) or probabilities (n_states, n_actions), as probabilities.

    Rows are divided by their sums; rows of states in which nobody acts are set to 0.
    """
    array = _numbers("policy", policy)
    shape = (mdp.n_states, mdp.n_actions)
    if array.shape == (mdp.n_states,):
        certain: Floats = np.eye(mdp.n_actions)[check_policies(array[None], mdp, acting, name="policy")[0]]
        certain[~acting] = 0.0
        return certain
    if array.shape != shape:
        raise InvalidInput(
            f"policy has shape {array.shape}; give an action for each state, ({mdp.n_states},), or a probability "
            f"for each state and action, {shape} (for several policies at once: evaluate_policies)"
        )
    rows = np.where(acting[:, None], array, 0.0).astype(np.float64)
    bad = ~(np.isfinite(rows) & (rows >= 0.0))
    if bad.any():
        state, action = first_at(bad)
        raise InvalidInput(
            f"policy[{state}, {action}]={rows[state, action]} is not a probability; give numbers in [0, 1]"
        )
    off = (np.abs(rows.sum(axis=1) - 1.0) > _ROW_SUM_TOLERANCE) & acting
    if off.any():
        (state,) = first_at(off)
        raise InvalidInput(f"policy[{state}] sums to {rows[state].sum():.9g}, not 1; divide each row by its sum")
    if mdp.allowed is not None and (rows[~mdp.allowed] > 0.0).any():
        state, action = first_at((rows > 0.0) & ~mdp.allowed)
        raise InvalidInput(
            f"policy[{state}, {action}]={rows[state, action]}, but the action is not allowed there; set it to 0"
        )
    rows[acting] /= rows[acting].sum(axis=1, keepdims=True)
    return rows


def distinct_rows(rows: NDArray[Any]) -> tuple[Ints, Ints, Ints]:
    """Tell rows (n, …) apart: an example of each distinct one, which of them each is, and how many are like each.

    Rows are compared as strings of bytes, which is about ten times as fast as comparing columns one after the other;
    those of up to 8 bytes as numbers, which is ten times as fast again.
    """
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    size = flat.itemsize * flat.shape[1]
    keys: NDArray[Any] = flat.view(np.dtype((np.void, size))).ravel() if size > 8 else np.zeros(len(rows), np.uint64)
    if size <= 8:
        keys.view(np.uint8).reshape(-1, 8)[:, :size] = flat.view(np.uint8)
    _, example, which, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return example, which.reshape(-1).astype(np.int64), count


def distinct_policies(actions: Ints) -> tuple[Ints, Ints]:
    """Return the distinct ones of policies (n, n_states), and for each policy which of them it is."""
    small = actions.astype(np.int16) if actions.size and actions.max() < 2**15 else actions
    example, which, _ = distinct_rows(small)
    return actions[example], which


def reached_states(mdp: MDP, policies: ArrayLike) -> Bools:
    """Mark the states that each policy can meet from the start.

    Parameters
    ----------
    mdp : MDP
    policies : array_like of int, shape (n_policies, n_states)
        An action for each state.

    Returns
    -------
    ndarray of bool, shape (n_policies, n_states)
        True for starts and for what can follow with positive probability, terminal states left out.

    Raises
    ------
    InvalidInput
        For a wrong shape, or an action that does not exist or is not allowed.

    Examples
    --------
    >>> from qfast.exact import reached_states
    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP([[1, 2], [2, 2], [2, 2]], [[0, 0]] * 3, terminated=[[False, True], [True, True], [True, True]])
    >>> reached_states(mdp, [[0, 0, 0], [1, 0, 0]])
    array([[ True,  True, False],
           [ True, False, False]])
    """
    check_mdp(mdp)
    acting = acting_states(mdp)
    return _reached(mdp, check_policies(policies, mdp, acting), acting)


def canonical_policies(mdp: MDP, policies: ArrayLike) -> Ints:
    """Replace every action that a policy never takes from the start, so that equal behaviour is equal rows.

    Parameters
    ----------
    mdp : MDP
    policies : array_like of int, shape (n_policies, n_states)
        An action for each state.

    Returns
    -------
    ndarray of int64, shape (n_policies, n_states)
        The first allowed action in states that the policy does not reach from the start (0 where none is allowed, and
        in terminal states); unchanged elsewhere. Values and success from the start stay the same.

    Raises
    ------
    InvalidInput
        For a wrong shape, or an action that does not exist or is not allowed.

    Examples
    --------
    >>> from qfast.exact import canonical_policies
    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP([[1, 2], [2, 2], [2, 2]], [[0, 0]] * 3, terminated=[[False, True], [True, True], [True, True]])
    >>> canonical_policies(mdp, [[0, 1, 1], [1, 1, 1]])
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    check_mdp(mdp)
    acting = acting_states(mdp)
    actions = check_policies(policies, mdp, acting)
    first = np.zeros(mdp.n_states, dtype=np.int64) if mdp.allowed is None else mdp.allowed.argmax(axis=1)
    chosen: Ints = np.where(_reached(mdp, actions, acting), actions, first)
    return chosen


def _reached(mdp: MDP, actions: Ints, acting: Bools) -> Bools:
    distinct, which = distinct_policies(actions)
    model = build_model(mdp, acting)
    starts = np.flatnonzero(mdp.start[model.states])
    marks = np.zeros((distinct.shape[0], mdp.n_states), dtype=np.bool_)
    for part in in_parts(len(distinct), model.n_states, ROWS):
        edges = model.follow(distinct[part][:, model.states]).transition
        n_blocks, n = len(distinct[part]), edges.shape[0]
        # One more node with an edge to every start of every block: a single search finds everything.
        seeds = (np.arange(n_blocks)[:, None] * model.n_states + starts).ravel()
        indices = np.concatenate([edges.indices, seeds])
        first = np.concatenate([edges.indptr, [edges.indptr[-1] + seeds.size]])
        graph = sparse.csr_array((np.ones(indices.size), indices, first), shape=(n + 1, n + 1))
        order = csgraph.breadth_first_order(graph, n, directed=True, return_predecessors=False)
        reached = np.zeros(n + 1, dtype=np.bool_)
        reached[order] = True
        marks[part][:, model.states] = reached[:n].reshape(n_blocks, model.n_states)
    return marks[which]

"""Exact values of given policies: one at a time, or thousands at once."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.exact.chains import Chain, settle
from qfast.exact.checks import Bools, Floats, Ints, check_fraction, check_mdp, check_policies, check_policy
from qfast.exact.linear import chain_sum
from qfast.exact.model import Model, acting_states, build_model
from qfast.exact.results import PolicyValue, PolicyValues, start_value
from qfast.exact.scipy_extra import csgraph, sparse
from qfast.model.mdp import MDP

__all__ = [
    "canonical_policies",
    "distinct_rows",
    "evaluate_policies",
    "evaluate_policy",
    "reached_states",
    "side_by_side",
]

# Rows of all chains that are worked on at once: with a handful of outcomes some tens of megabytes.
_ROWS = 1_000_000


def evaluate_policy(mdp: MDP, policy: ArrayLike, gamma: float) -> PolicyValue:
    r"""Compute the exact value of one policy.

    .. math:: V = r_\pi + \gamma P_\pi V

    (Sutton & Barto 2018, equation 4.4), as a sparse linear system.

    Parameters
    ----------
    mdp : MDP
        The problem.
    policy : array_like of int, shape (n_states,), or of float, shape (n_states, n_actions)
        An action for each state, or the probability of each action. Rows of terminal states are ignored.
    gamma : float
        Discount factor in [0, 1].

    Returns
    -------
    PolicyValue
        Values of states and of actions, with an error bound.

    Raises
    ------
    InvalidInput
        For a wrong shape, an action that does not exist or is not allowed, probabilities that do not sum to 1, gamma
        outside [0, 1]; with ``gamma=1`` if from the start the rewards add up without bound, or never settle.
    MissingExtra
        If SciPy is not installed.

    Examples
    --------
    A step costs 1, and the end is reached with probability 1/2.

    >>> from qfast.exact import evaluate_policy
    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP([[[0, 1]], [[1, 1]]], [[[-1, -1]], [[0, 0]]], terminated=[[[False, True]], [[True, True]]])
    >>> evaluate_policy(mdp, [0, 0], 1.0).v
    array([-2.,  0.])
    """
    check_mdp(mdp)
    gamma = check_fraction("gamma", gamma, "use a discount factor such as 0.9")
    acting = acting_states(mdp)
    rows = check_policy(policy, mdp, acting)
    model = build_model(mdp, acting)
    chain = model.mix(rows[model.states])
    values, bound = _value(model, chain, gamma, 1)
    v = model.scatter(values)
    if not np.isfinite(start_value(mdp, v)):
        first = int(np.flatnonzero((mdp.start > 0.0) & ~np.isfinite(v))[0])
        what = "never settles" if np.isnan(v[first]) else f"is {v[first]}"
        raise InvalidInput(
            f"gamma=1.0: from state {mdp.state_names[first]!r} the sum of rewards under this policy {what}, because "
            f"its episodes need not end; use gamma below 1 such as 0.99, or finite_horizon with a limit"
        )
    q = model.scatter(model.action_values(values, gamma))
    for array in (q, v):
        array.setflags(write=False)
    return PolicyValue(v=v, q=q, gamma=gamma, error_bound=bound, mdp=mdp)


def evaluate_policies(mdp: MDP, policies: ArrayLike, gamma: float) -> PolicyValues:
    """Compute the exact values of many deterministic policies; equal ones are computed once.

    Parameters
    ----------
    mdp : MDP
        The problem.
    policies : array_like of int, shape (n_policies, n_states)
        An action for each state. Columns of terminal states are ignored. A population of agents has few distinct
        policies once actions that do not matter are made equal: see `canonical_policies`.
    gamma : float
        Discount factor in [0, 1]. With 1, entries are infinite or NaN where the sum of rewards is.

    Returns
    -------
    PolicyValues
        Values of all states and of the start under each policy.

    Raises
    ------
    InvalidInput
        For a wrong shape, an action that does not exist or is not allowed, or gamma outside [0, 1].
    MissingExtra
        If SciPy is not installed.

    Examples
    --------
    >>> from qfast.exact import evaluate_policies
    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP([[0, 1], [1, 1]], [[-1, 10], [0, 0]], terminated=[[False, True], [True, True]])
    >>> evaluate_policies(mdp, [[0, 0], [1, 0]], 0.5).start_value
    array([-2., 10.])
    >>> evaluate_policies(mdp, [[0, 0], [1, 0]], 1.0).start_value
    array([-inf,  10.])
    """
    check_mdp(mdp)
    gamma = check_fraction("gamma", gamma, "use a discount factor such as 0.9")
    acting = acting_states(mdp)
    actions = check_policies(policies, mdp, acting)
    distinct, which = distinct_rows(actions)
    model = build_model(mdp, acting)
    values = np.zeros((distinct.shape[0], mdp.n_states))
    bound = 0.0
    for part, _, chain in side_by_side(model, distinct[:, model.states]):
        found, part_bound = _value(model, chain, gamma, part.stop - part.start)
        values[part][:, model.states] = found.reshape(-1, model.n_states)
        bound = max(bound, part_bound)
    starts = np.flatnonzero(mdp.start)
    weight = mdp.start[starts] / mdp.start[starts].sum()
    with np.errstate(invalid="ignore"):  # infinities of both signs make a NaN, as they should
        at_start = values[:, starts] @ weight
    v = values[which]
    result = at_start[which]
    for array in (v, result):
        array.setflags(write=False)
    return PolicyValues(v=v, start_value=result, gamma=gamma, error_bound=bound)


def reached_states(mdp: MDP, policies: ArrayLike) -> Bools:
    """Mark the states that each policy can meet from the start.

    Parameters
    ----------
    mdp : MDP
        The problem.
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
    MissingExtra
        If SciPy is not installed.

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
        The problem.
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
    MissingExtra
        If SciPy is not installed.

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


def distinct_rows(rows: Ints) -> tuple[Ints, Ints]:
    """Return the distinct rows of (n, m) integers, and for each row which of them it is.

    Rows are compared as strings of bytes, which is about ten times as fast as comparing columns one after the other.
    """
    small = np.ascontiguousarray(rows, dtype=np.int16 if rows.size and rows.max() < 2**15 else np.int64)
    keys = small.view(np.dtype((np.void, small.dtype.itemsize * small.shape[1]))).ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], which.reshape(-1).astype(np.int64)


def side_by_side(model: Model, actions: Ints) -> Iterator[tuple[slice, Ints, Chain]]:
    """Yield the chains of policies (n_policies, n), as one block-diagonal chain for as many as fit in memory."""
    n = model.n_states
    count = max(1, _ROWS // n)
    here = np.arange(n) * model.n_actions
    for begin in range(0, actions.shape[0], count):
        part = slice(begin, min(begin + count, actions.shape[0]))
        row = (here + actions[part]).ravel()
        block = model.transition[row]
        shift = np.repeat(np.arange(part.stop - part.start), np.diff(block.indptr[::n])) * n
        size = row.size
        chain = Chain(
            sparse.csr_array((block.data, block.indices + shift, block.indptr), shape=(size, size)),
            model.reward.ravel()[row],
            model.low.ravel()[row],
            model.high.ravel()[row],
            model.ending.ravel()[row],
        )
        yield part, row, chain


def _value(model: Model, chain: Chain, gamma: float, n_blocks: int) -> tuple[Floats, float]:
    """Solve the chain (n_blocks side by side), infinities and NaN included; with a bound of the error."""
    limit = np.zeros(chain.n_states)
    if gamma == 1.0:
        limit, quiet = settle(chain)
        chain = chain.stop_in(quiet | (limit != 0.0))
    values = chain_sum(chain.transition, chain.reward, gamma, n_blocks=n_blocks)
    size = float(np.abs(values).max(initial=0.0)) + float(np.abs(chain.reward).max(initial=0.0))
    residual = float(np.abs(chain.reward + gamma * (chain.transition @ values) - values).max(initial=0.0))
    residual += model.rounding * size
    # (I - gamma P)^-1 is bounded by the expected (discounted) number of steps.
    factor = 1.0 / (1.0 - gamma) if gamma < 1.0 else _most_steps(chain, n_blocks)
    values[limit != 0.0] = limit[limit != 0.0]
    return values, residual * factor


def _most_steps(chain: Chain, n_blocks: int) -> float:
    """Bound the expected number of steps until the end, over all states."""
    steps = chain_sum(chain.transition, np.ones(chain.n_states), 1.0, n_blocks=n_blocks)
    certain = float((steps - chain.transition @ steps).min(initial=1.0))
    return float(steps.max(initial=0.0)) / certain if certain > 0.0 else np.inf


def _reached(mdp: MDP, actions: Ints, acting: Bools) -> Bools:
    distinct, which = distinct_rows(actions)
    model = build_model(mdp, acting)
    starts = np.flatnonzero(mdp.start[model.states])
    marks = np.zeros((distinct.shape[0], mdp.n_states), dtype=np.bool_)
    for part, _, chain in side_by_side(model, distinct[:, model.states]):
        n_blocks, n = part.stop - part.start, chain.n_states
        # One more node with an edge to every start of every block: a single search finds everything.
        seeds = (np.arange(n_blocks)[:, None] * model.n_states + starts).ravel()
        edges = chain.transition
        indices = np.concatenate([edges.indices, seeds])
        first = np.concatenate([edges.indptr, [edges.indptr[-1] + seeds.size]])
        graph = sparse.csr_array((np.ones(indices.size), indices, first), shape=(n + 1, n + 1))
        order = csgraph.breadth_first_order(graph, n, directed=True, return_predecessors=False)
        reached = np.zeros(n + 1, dtype=np.bool_)
        reached[order] = True
        marks[part][:, model.states] = reached[:n].reshape(n_blocks, model.n_states)
    return marks[which]

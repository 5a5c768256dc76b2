r"""What given policies are worth, for ever or within an episode limit, and the best that a limit lets reach.

Without a limit, :math:`V = r_\pi + \gamma P_\pi V` (Sutton & Barto 2018, equation 4.4) is a sparse linear system.
With h steps left,

.. math:: V_h(s) = \max_a \sum_k p_k \bigl[r_k + (1 - \text{terminated}_k) V_{h-1}(s'_k)\bigr], \qquad V_0 = 0

(Puterman 1994, section 4.5). The probability of success is the same recursion with a reward of 1 for success alone.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import flag, number
from qfast.errors import InvalidInput
from qfast.exact.chains import Bools, Chain, Floats, settled_sum, steps_to_end
from qfast.exact.model import Model, acting_states, build_model, in_parts
from qfast.exact.policies import ROWS, canonical_policies, check_limit, check_policies, check_policy, distinct_policies
from qfast.exact.results import FiniteHorizon, PolicyValue, PolicyValues, WithinLimit, start_value
from qfast.model.mdp import MDP, check_mdp

__all__ = [
    "check_gamma", "evaluate_policies", "evaluate_policy", "evaluate_within_limit", "finite_horizon",
    "success_outcomes",
]  # fmt: skip

# What is left of an episode's probability when following it further changes no digit.
_ENDED = 1e-18


def check_gamma(gamma: Any) -> float:
    """Return a discount factor as float."""
    return number("gamma", gamma, "[0, 1]", "use a discount factor such as 0.9")


def evaluate_policy(mdp: MDP, policy: ArrayLike, gamma: float) -> PolicyValue:
    r"""Compute the exact value of one policy, :math:`V = r_\pi + \gamma P_\pi V` (Sutton & Barto 2018, eq. 4.4).

    Parameters
    ----------
    mdp : MDP
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
    gamma = check_gamma(gamma)
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
    return PolicyValue(v=v, q=q, gamma=gamma, error_bound=bound, mdp=mdp)


def evaluate_policies(mdp: MDP, policies: ArrayLike, gamma: float) -> PolicyValues:
    """Compute the exact values of many deterministic policies; equal ones are computed once.

    Parameters
    ----------
    mdp : MDP
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
    gamma = check_gamma(gamma)
    acting = acting_states(mdp)
    actions = check_policies(policies, mdp, acting)
    distinct, which = distinct_policies(actions)
    model = build_model(mdp, acting)
    values = np.zeros((distinct.shape[0], mdp.n_states))
    bound = 0.0
    for part in in_parts(len(distinct), model.n_states, ROWS):
        chain = model.follow(distinct[part][:, model.states])
        found, part_bound = _value(model, chain, gamma, part.stop - part.start)
        values[part][:, model.states] = found.reshape(-1, model.n_states)
        bound = max(bound, part_bound)
    starts = np.flatnonzero(mdp.start)
    weight = mdp.start[starts] / mdp.start[starts].sum()
    with np.errstate(invalid="ignore"):  # infinities of both signs make a NaN, as they should
        at_start = values[:, starts] @ weight
    return PolicyValues(v=values[which], start_value=at_start[which], gamma=gamma, error_bound=bound)


def _value(model: Model, chain: Chain, gamma: float, n_blocks: int) -> tuple[Floats, float]:
    """Solve n_blocks chains side by side, infinities and NaN included; with a bound of the error."""
    values, chain, limit = settled_sum(chain, gamma, n_blocks)
    size = float(np.abs(values).max(initial=0.0)) + float(np.abs(chain.reward).max(initial=0.0))
    residual = float(np.abs(chain.reward + gamma * (chain.transition @ values) - values).max(initial=0.0))
    residual += model.rounding * size
    # (I - gamma P)^-1 is bounded by the expected (discounted) number of steps.
    factor = 1.0 / (1.0 - gamma) if gamma < 1.0 else np.inf
    if gamma == 1.0:
        most, certain = steps_to_end(chain, n_blocks)
        factor = most / certain if certain > 0.0 else np.inf
    return np.where(limit != 0.0, limit, values), residual * factor


def success_outcomes(mdp: MDP) -> Bools:
    """Mark the outcomes that count as success.

    An episode is a success if it ends by a terminated outcome whose reward is the largest among all terminated
    outcomes that an agent can meet. (So at a corridor's goal, on the last tile of a frozen lake and not in a hole, and
    wherever all ends pay the same, at every end.)

    Parameters
    ----------
    mdp : MDP

    Returns
    -------
    ndarray of bool, shape (n_states, n_actions, n_outcomes)
        All False where no episode can end by itself.

    Examples
    --------
    >>> from qfast.exact import success_outcomes
    >>> from qfast.model.mdp import MDP
    >>> lake = MDP([[1, 2], [1, 1], [2, 2]], [[0, 1], [0, 0], [0, 0]], terminated=[[True] * 2] * 3)
    >>> success_outcomes(lake)[0, :, 0]
    array([False,  True])
    """
    check_mdp(mdp)
    ends = mdp._possible & mdp.terminated
    met = ends & mdp.decision_states[:, None, None]
    if not met.any():
        return met
    success: Bools = ends & (mdp.reward == mdp.reward[met].max())
    return success


def finite_horizon(
    mdp: MDP, limit: int | None = None, *, policy: ArrayLike | None = None, keep_actions: bool = False
) -> FiniteHorizon:
    """Compute the best undiscounted return and the best probability of success within an episode limit.

    Time limits move the optimum: the best policy may hurry, or give up, by the steps that are left. A stationary
    policy, such as the one of `solve`, reaches at most as much.

    Parameters
    ----------
    mdp : MDP
    limit : int, optional
        Steps an episode may take, at least 1; by default the MDP's ``max_episode_steps``.
    policy : array_like of int, shape (n_states,), or of float, shape (n_states, n_actions), optional
        A stationary policy to follow within the limit as well, for example ``solve(mdp, gamma).policy``.
    keep_actions : bool, default False
        Whether to keep the best actions for each step: ``limit * n_states`` numbers for each of the two objectives.

    Returns
    -------
    FiniteHorizon
        Both optima, from the start and from every state; success as `success_outcomes` defines it.

    Raises
    ------
    InvalidInput
        For a limit below 1 or none at all, or a policy that does not fit.

    Examples
    --------
    A corridor of two cells; the goal is two steps away.

    >>> from qfast.exact import finite_horizon
    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP([[0, 1], [0, 2], [2, 2]], [[0, 1], [-1, 2], [0, 0]],
    ...           terminated=[[False, False], [False, True], [True, True]])
    >>> finite_horizon(mdp, 2, policy=[0, 0, 0])
    FiniteHorizon: 2 steps
      best return     3
      best success    1.000000
      policy return   0
      policy success  0.000000
    """
    keep_actions = flag("keep_actions", keep_actions)
    check_mdp(mdp)
    limit = check_limit(limit, mdp)
    acting = acting_states(mdp)
    rows = None if policy is None else check_policy(policy, mdp, acting)
    model = build_model(mdp, acting)
    success = _success_probability(model)
    best_return, return_actions = _backward(model, model.reward, limit, keep_actions)
    best_success, success_actions = _backward(model, success, limit, keep_actions)
    reached = None if rows is None else _follow(model, rows[model.states], success, limit)
    return FiniteHorizon(
        limit=limit,
        best_return=start_value(mdp, best_return),
        best_success=start_value(mdp, best_success),
        return_by_state=best_return,
        success_by_state=best_success,
        policy_return=None if reached is None else reached[0],
        policy_success=None if reached is None else reached[1],
        return_actions=return_actions,
        success_actions=success_actions,
        mdp=mdp,
    )


def evaluate_within_limit(mdp: MDP, policies: ArrayLike, limit: int | None = None) -> WithinLimit:
    """Compute what many deterministic stationary policies reach within an episode limit; equal ones once.

    Parameters
    ----------
    mdp : MDP
    policies : array_like of int, shape (n_policies, n_states)
        An action for each state. Columns of terminal states are ignored.
    limit : int, optional
        Steps an episode may take, at least 1; by default the MDP's ``max_episode_steps``.

    Returns
    -------
    WithinLimit
        Expected undiscounted return and probability of success of each, from the start.

    Raises
    ------
    InvalidInput
        For a limit below 1 or none at all, or policies that do not fit.

    Examples
    --------
    >>> from qfast.exact import evaluate_within_limit
    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP([[0, 1], [1, 1]], [[-1, 10], [0, 0]], terminated=[[False, True], [True, True]])
    >>> found = evaluate_within_limit(mdp, [[0, 0], [1, 0]], 3)
    >>> found.expected_return, found.success
    (array([-3., 10.]), array([0., 1.]))
    """
    check_mdp(mdp)
    limit = check_limit(limit, mdp)
    acting = acting_states(mdp)
    check_policies(policies, mdp, acting)
    distinct, which = distinct_policies(canonical_policies(mdp, policies))
    model = build_model(mdp, acting)
    success = _success_probability(model)
    totals = np.zeros((2, distinct.shape[0]))
    for part in in_parts(len(distinct), model.n_states, ROWS):
        actions = distinct[part][:, model.states]
        chain = model.follow(actions)
        gains = np.stack([chain.reward, success[np.arange(model.n_states), actions].ravel()])
        met = _visits(model, chain, len(actions), limit, ended=_ENDED)
        totals[:, part] = (gains * met).reshape(2, len(actions), model.n_states).sum(axis=2)
    expected, succeeded = totals[0][which], np.clip(totals[1][which], 0.0, 1.0)
    return WithinLimit(limit=limit, expected_return=expected, success=succeeded)


def _visits(model: Model, chain: Chain, n_blocks: int, limit: int, *, ended: float = 0.0) -> Floats:
    """How often each state of the chains side by side is met within a limit; at probability `ended` all is over."""
    forward: Any = chain.transition.T.tocsr()
    here = np.tile(model.mdp.start[model.states] / model.mdp.start.sum(), n_blocks)
    met = np.zeros_like(here)
    for _ in range(limit):
        met += here
        here = forward @ here
        if here.max() <= ended:
            break
    return met


def _success_probability(model: Model) -> Floats:
    """Probability that a step is a success, shape (n, n_actions)."""
    mdp = model.mdp
    probability = mdp.probability[model.states]
    wins = np.where(success_outcomes(mdp)[model.states], probability, 0.0).sum(axis=2)
    share: Floats = wins / probability.sum(axis=2)
    return share


def _backward(model: Model, gain: Floats, limit: int, keep_actions: bool) -> tuple[Floats, NDArray[np.int32] | None]:
    """Backward induction with a gain (n, n_actions) a step; values over all states, and the actions of each step."""
    values = np.zeros(model.n_states)
    actions = np.zeros((limit, model.mdp.n_states), dtype=np.int32) if keep_actions else None
    forbidden = ~model.allowed
    for step in range(limit - 1, -1, -1):
        q = gain + (model.transition @ values).reshape(gain.shape)
        q[forbidden] = -np.inf
        values = q.max(axis=1)
        if actions is not None:
            actions[step, model.states] = q.argmax(axis=1)
    return model.scatter(values), actions


def _follow(model: Model, rows: Floats, success: Floats, limit: int) -> tuple[float, float]:
    """Expected return and probability of success of one stochastic policy (n, n_actions) from the start."""
    chain = model.mix(rows)
    met = _visits(model, chain, 1, limit)
    return float(met @ chain.reward), float(min(met @ (rows * success).sum(axis=1), 1.0))

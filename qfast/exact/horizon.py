r"""What can be reached within an episode limit: backward induction, and stationary policies step by step.

With h steps left,

.. math:: V_h(s) = \max_a \sum_k p_k \bigl[r_k + (1 - \text{terminated}_k) V_{h-1}(s'_k)\bigr], \qquad V_0 = 0

(Puterman 1994, section 4.5). The probability of success is the same recursion with a reward of 1 for success alone.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import flag
from qfast.exact.checks import Bools, Floats, check_limit, check_mdp, check_policies, check_policy
from qfast.exact.evaluation import canonical_policies, distinct_rows, side_by_side
from qfast.exact.model import Model, acting_states, build_model
from qfast.exact.results import FiniteHorizon, WithinLimit, start_value
from qfast.model.mdp import MDP

__all__ = ["evaluate_within_limit", "finite_horizon", "success_outcomes"]

# What is left of an episode's probability when following it further changes no digit.
_ENDED = 1e-18


def success_outcomes(mdp: MDP) -> Bools:
    """Mark the outcomes that count as success.

    An episode is a success if it ends by a terminated outcome whose reward is the largest among all terminated
    outcomes that an agent can meet. (So at a corridor's goal, on the last tile of a frozen lake and not in a hole, and
    wherever all ends pay the same, at every end.)

    Parameters
    ----------
    mdp : MDP
        The problem.

    Returns
    -------
    ndarray of bool, shape (n_states, n_actions, n_outcomes)
        All False where no episode can end by itself.

    Raises
    ------
    InvalidInput
        If ``mdp`` is no MDP.

    Examples
    --------
    >>> from qfast.exact import success_outcomes
    >>> from qfast.model.mdp import MDP
    >>> lake = MDP([[1, 2], [1, 1], [2, 2]], [[0, 1], [0, 0], [0, 0]], terminated=[[True] * 2] * 3)
    >>> success_outcomes(lake)[0, :, 0]
    array([False,  True])
    """
    check_mdp(mdp)
    ends = mdp.terminated & (mdp.probability > 0.0)
    if mdp.allowed is not None:
        ends &= mdp.allowed[:, :, None]
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
        The problem.
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
    MissingExtra
        If SciPy is not installed.

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
        The problem.
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
    MissingExtra
        If SciPy is not installed.

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
    distinct, which = distinct_rows(canonical_policies(mdp, policies))
    model = build_model(mdp, acting)
    success = _success_probability(model).ravel()
    starts = mdp.start[model.states] / mdp.start.sum()
    totals = np.zeros((2, distinct.shape[0]))
    for part, row, chain in side_by_side(model, distinct[:, model.states]):
        forward = chain.transition.T.tocsr()
        here = np.tile(starts, part.stop - part.start)
        gains = np.stack([chain.reward, success[row]])
        met = np.zeros_like(here)  # expected number of visits
        for _ in range(limit):
            met += here
            here = forward @ here
            if here.max() <= _ENDED:
                break
        totals[:, part] = (gains * met).reshape(2, part.stop - part.start, model.n_states).sum(axis=2)
    expected, succeeded = totals[0][which], np.clip(totals[1][which], 0.0, 1.0)
    for array in (expected, succeeded):
        array.setflags(write=False)
    return WithinLimit(limit=limit, expected_return=expected, success=succeeded)


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
    full = model.scatter(values)
    full.setflags(write=False)
    return full, actions


def _follow(model: Model, rows: Floats, success: Floats, limit: int) -> tuple[float, float]:
    """Expected return and probability of success of one stochastic policy (n, n_actions) from the start."""
    chain = model.mix(rows)
    forward: Any = chain.transition.T.tocsr()
    here = model.mdp.start[model.states] / model.mdp.start.sum()
    met = np.zeros_like(here)
    for _ in range(limit):
        met += here
        here = forward @ here
    return float(met @ chain.reward), float(min(met @ (rows * success).sum(axis=1), 1.0))

"""Optimal values and epsilon-greedy-optimal values of an MDP."""

import numpy as np

from qfast.arguments import number
from qfast.errors import InvalidInput
from qfast.exact.chains import Bools, Floats
from qfast.exact.evaluation import check_gamma
from qfast.exact.iteration import FixedPoint, UnboundedError, solve_discounted, solve_episodic
from qfast.exact.model import Model, acting_states, build_model
from qfast.exact.results import Solution
from qfast.model.mdp import MDP, check_mdp

__all__ = ["best_actions", "soft_fixed_point", "solve"]


def solve(mdp: MDP, gamma: float, *, tolerance: float = 1e-10, tie_tolerance: float = 1e-9) -> Solution:
    r"""Compute Q*, V* and all optimal actions.

    .. math:: Q^*(s, a) = \sum_k p_k \bigl[r_k + \gamma (1 - \text{terminated}_k) \max_{a'} Q^*(s'_k, a')\bigr]

    (Sutton & Barto 2018, equation 3.20), by policy iteration with inexact evaluations (Puterman 1994, section 6.5).
    Episode limits do not enter: see `finite_horizon` for what can be reached within one.

    Parameters
    ----------
    mdp : MDP
    gamma : float
        Discount factor in [0, 1]. With 1 the value is the supremum over all policies whose sum of rewards settles:
        those that end with probability 1, and those that stay for ever where every reward is 0.
    tolerance : float, default 1e-10
        Largest error allowed in Q with ``gamma < 1``, as a share of its largest absolute value, in (0, 1). What was
        reached is in ``error_bound``. With ``gamma=1`` iteration goes on until no action is better.
    tie_tolerance : float, default 1e-9
        Actions within this share of the best one's value (and within twice the error bound) count as optimal, too,
        in (0, 1).

    Returns
    -------
    Solution
        Values of all states that are not terminal, reachable or not. With ``gamma=1``, if the value of some
        unreachable state is infinite or undefined, the rows of all unreachable states are NaN.

    Raises
    ------
    InvalidInput
        For a value out of range; with ``gamma=1`` if the value of a state that an agent can meet is infinite or
        undefined.

    Notes
    -----
    With ``gamma=1`` an action can be optimal and yet not be one to repeat for ever, such as waiting where waiting
    costs nothing; ``Solution.policy`` is a policy that also ends.

    Examples
    --------
    A corridor of two cells and a goal that pays 2; a step forward pays 1, one back takes it away.

    >>> from qfast.exact import solve
    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP(
    ...     [[0, 1], [0, 2], [2, 2]],
    ...     [[0, 1], [-1, 2], [0, 0]],
    ...     terminated=[[False, False], [False, True], [True, True]],
    ...     action_names=("left", "right"),
    ... )
    >>> solution = solve(mdp, 0.9)
    >>> solution.q.round(4)
    array([[2.52, 2.8 ],
           [1.52, 2.  ],
           [0.  , 0.  ]])
    >>> solution.policy[:2]
    array([1, 1])
    """
    return _solve(mdp, gamma, 0.0, tolerance, tie_tolerance)


def soft_fixed_point(
    mdp: MDP, gamma: float, epsilon: float, *, tolerance: float = 1e-10, tie_tolerance: float = 1e-9
) -> Solution:
    r"""Compute the epsilon-greedy-optimal values, to which SARSA and Expected SARSA converge with a fixed epsilon.

    .. math::

        Q(s, a) = \sum_k p_k \bigl[r_k + \gamma (1 - \text{terminated}_k) \sum_{a'} \pi_\varepsilon(a' | s'_k)
        Q(s'_k, a')\bigr], \qquad
        \pi_\varepsilon(a | s) = \frac{\varepsilon}{A(s)} + (1 - \varepsilon) \frac{[a \in G(s)]}{|G(s)|}

    where ``G(s)`` are the greedy actions in Q itself and ``A(s)`` is the number of allowed ones: the random action
    includes the greedy one, and P(greedy) = 1 - epsilon + epsilon / A is shared among ties. How ties are shared does
    not change the values, since tied actions have the same Q; hence the sum over actions is
    ``(1 - epsilon) * max + epsilon * mean``, a contraction with modulus gamma, whose fixed point is unique (Sutton &
    Barto 2018, section 5.4: the best that an epsilon-soft policy can do).

    Parameters
    ----------
    mdp : MDP
    gamma : float
        Discount factor in [0, 1].
    epsilon : float
        Probability of a random action, in [0, 1]; 0 gives Q*, 1 the values of uniformly random behaviour.
    tolerance, tie_tolerance : float
        As in `solve`.

    Returns
    -------
    Solution
        ``optimal_actions`` are the greedy ones; `Solution.probabilities` gives the policy.

    Raises
    ------
    InvalidInput
        For a value out of range; with ``gamma=1`` if exploration can lead where no episode ends, unless every reward
        there is 0.

    Examples
    --------
    >>> from qfast.exact import soft_fixed_point
    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP([[0, 1], [1, 1]], [[-1, 10], [0, 0]], terminated=[[False, True], [True, True]])
    >>> soft_fixed_point(mdp, 1.0, 0.5).q[0].round(12)  # left: -1 + 0.75 * 10 + 0.25 * left
    array([ 8.66666667, 10.        ])
    """
    return _solve(mdp, gamma, epsilon, tolerance, tie_tolerance)


def best_actions(q: Floats, allowed: Bools | None, tie_tolerance: float, error_bound: float) -> Bools:
    """Mark the actions within the tolerance of the best in each state.

    Parameters
    ----------
    q : ndarray of float64, shape (..., n_actions)
        Action values; minus infinity where an action is not allowed.
    allowed : ndarray of bool, shape (..., n_actions), or None
        Which actions may be taken; None for all.
    tie_tolerance : float
        Share of the best value.
    error_bound : float
        Bound of the error in ``q``, in units of reward.

    Returns
    -------
    ndarray of bool, shape (..., n_actions)
        ``q >= max - (tie_tolerance * abs(max) + 2 * error_bound)`` and allowed.

    Examples
    --------
    >>> import numpy as np
    >>> best_actions(np.array([1.0, 1.0 - 1e-12, 0.5]), None, 1e-9, 0.0)
    array([ True,  True, False])
    """
    best = q.max(axis=-1, keepdims=True)
    slack = np.where(np.isfinite(best), tie_tolerance * np.abs(best), 0.0) + 2.0 * error_bound
    close: Bools = q >= best - slack
    return close if allowed is None else close & allowed


def _solve(mdp: MDP, gamma: float, epsilon: float, tolerance: float, tie_tolerance: float) -> Solution:
    check_mdp(mdp)
    gamma = check_gamma(gamma)
    epsilon = number("epsilon", epsilon, "[0, 1]", "use a probability of exploring such as 0.1")
    tolerance = number("tolerance", tolerance, "(0, 1)", "use a share such as 1e-10")
    tie_tolerance = number("tie_tolerance", tie_tolerance, "(0, 1)", "use a share such as 1e-9")
    acting = acting_states(mdp)
    model = build_model(mdp, acting)
    unknown = np.zeros(mdp.n_states, dtype=np.bool_)
    if gamma < 1.0:
        found = solve_discounted(model, gamma, epsilon, tolerance)
    else:
        model, found = _undiscounted(model, epsilon)
        unknown[acting] = True
        unknown[model.states] = False

    q = model.scatter(found.q)
    if mdp.allowed is not None:
        q[~mdp.allowed & acting[:, None]] = -np.inf
    v = model.scatter(model.backup(found.q, epsilon))
    q[unknown], v[unknown] = np.nan, np.nan
    best = best_actions(q, mdp.allowed, tie_tolerance, found.error_bound)
    policy = np.zeros(mdp.n_states, dtype=np.int64)
    policy[model.states] = found.actions
    return Solution(
        q=q,
        v=v,
        optimal_actions=best,
        policy=policy,
        gamma=gamma,
        epsilon=epsilon,
        error_bound=found.error_bound,
        tie_tolerance=tie_tolerance,
        n_rounds=found.n_rounds,
        mdp=mdp,
    )


def _undiscounted(model: Model, epsilon: float) -> tuple[Model, FixedPoint]:
    """Solve for gamma = 1, without the states that no agent can meet where these have no value."""
    try:
        return model, solve_episodic(model, epsilon)
    except UnboundedError as trouble:
        mdp = model.mdp
        met = trouble.states & model.decision
        if not met.any() and not model.decision.all():
            reachable = build_model(mdp, mdp.decision_states)
            return _undiscounted(reachable, epsilon)
        state = int(model.states[np.flatnonzero(met if met.any() else trouble.states)[0]])
        others = int(met.sum()) - 1
        more = f" (and {others} more)" if others > 0 else ""
        raise InvalidInput(
            f"gamma=1.0: the value of state {mdp.state_names[state]!r}{more} is infinite or undefined, because "
            f"{trouble.reason}; use gamma below 1 such as 0.99, or finite_horizon with a limit"
        ) from None

"""What the functions of `qfast.exact` return: frozen values, each with a description on one screen."""

from dataclasses import dataclass

import numpy as np

from qfast.exact.chains import Bools, Floats, Ints
from qfast.model.mdp import MDP

__all__ = ["FiniteHorizon", "PolicyValue", "PolicyValues", "Result", "Solution", "WithinLimit", "start_value"]

# Tables up to this size are printed in full.
_MAX_STATES = 16
_MAX_ACTIONS = 8


class Result:
    """What all have in common: their arrays are read-only."""

    def __post_init__(self) -> None:
        """Freeze them."""
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)


@dataclass(frozen=True, eq=False, repr=False)
class Solution(Result):
    """Optimal action values, or with ``epsilon`` above 0 the epsilon-greedy-optimal ones.

    Attributes
    ----------
    q : ndarray of float64, shape (n_states, n_actions)
        Q*(s, a), in units of reward. Terminal states hold 0, actions that are not allowed minus infinity.
    v : ndarray of float64, shape (n_states,)
        Value of each state: ``(1 - epsilon) * max + epsilon * mean`` of ``q`` over the allowed actions.
    optimal_actions : ndarray of bool, shape (n_states, n_actions)
        All actions that are best in each state: ``q >= max - (tie_tolerance * abs(max) + 2 * error_bound)``. In
        terminal states every allowed action.
    policy : ndarray of int64, shape (n_states,)
        One best policy; with ``gamma=1`` one whose episodes end. 0 in terminal states.
    gamma : float
        Discount factor.
    epsilon : float
        Exploration; 0 for the optimal values.
    error_bound : float
        No entry of ``q`` or ``v`` is further from the truth than this, in units of reward. With ``gamma=1`` this
        takes loops that gain less than a share of 1e-12 of the largest value a round for loops that gain nothing.
    tie_tolerance : float
        See ``optimal_actions``.
    n_rounds : int
        Rounds of policy iteration.
    mdp : MDP
    """

    q: Floats
    v: Floats
    optimal_actions: Bools
    policy: Ints
    gamma: float
    epsilon: float
    error_bound: float
    tie_tolerance: float
    n_rounds: int
    mdp: MDP

    @property
    def start_value(self) -> float:
        """Value of the start distribution."""
        return start_value(self.mdp, self.v)

    def probabilities(self) -> Floats:
        """Give the epsilon-greedy policy: P(a) = epsilon / A, plus (1 - epsilon) shared among the best actions.

        Returns
        -------
        ndarray of float64, shape (n_states, n_actions)
            Rows sum to 1; actions that are not allowed have probability 0. Where nothing is known to be best (the
            NaN of unreachable states), all allowed actions are equally probable.

        Examples
        --------
        >>> from qfast.exact import soft_fixed_point
        >>> from qfast.model.mdp import MDP
        >>> bandit = MDP([[1, 1], [1, 1]], [[0, 1], [0, 0]], terminated=[[True, True], [True, True]])
        >>> soft_fixed_point(bandit, 0.9, 0.1).probabilities()[0]
        array([0.05, 0.95])
        """
        allowed = np.ones(self.q.shape, dtype=np.bool_) if self.mdp.allowed is None else self.mdp.allowed
        best = np.where(self.optimal_actions.any(axis=1, keepdims=True), self.optimal_actions, allowed)
        random, greedy = (rows / np.maximum(rows.sum(axis=1, keepdims=True), 1) for rows in (allowed, best))
        probabilities: Floats = self.epsilon * random + (1.0 - self.epsilon) * greedy
        return probabilities

    def __repr__(self) -> str:
        """Describe the solution on one screen, with the table of a small problem."""
        kind = "optimal values" if self.epsilon == 0.0 else f"epsilon-greedy-optimal values, epsilon={self.epsilon:g}"
        shared = int((self.optimal_actions[self.mdp.decision_states].sum(axis=1) > 1).sum())
        lines = [
            f"Solution: {kind}, gamma={self.gamma:g}",
            f"  start     value {self.start_value:.10g}",
            f"  error     at most {self.error_bound:.1e} (after {self.n_rounds} rounds)",
            f"  states    {self.mdp.n_states}, {shared} of them with more than one best action",
        ]
        return "\n".join(lines + _table(self.mdp, self.q, self.optimal_actions))


@dataclass(frozen=True, eq=False, repr=False)
class PolicyValue(Result):
    """Exact value of one policy.

    Attributes
    ----------
    v : ndarray of float64, shape (n_states,)
        Value of each state under the policy, in units of reward; 0 in terminal states. With ``gamma=1`` states that
        the policy does not reach from the start may hold infinities, or NaN where the sum of rewards never settles.
    q : ndarray of float64, shape (n_states, n_actions)
        Value of taking an action once and following the policy then; minus infinity where it is not allowed.
    gamma : float
        Discount factor.
    error_bound : float
        No finite entry of ``v`` or ``q`` is further from the truth than this, in units of reward.
    mdp : MDP
    """

    v: Floats
    q: Floats
    gamma: float
    error_bound: float
    mdp: MDP

    @property
    def start_value(self) -> float:
        """Value of the start distribution."""
        return start_value(self.mdp, self.v)

    def __repr__(self) -> str:
        """Describe the value on one screen, with the table of a small problem."""
        lines = [
            f"PolicyValue: gamma={self.gamma:g}",
            f"  start     value {self.start_value:.10g}",
            f"  error     at most {self.error_bound:.1e}",
        ]
        return "\n".join(lines + _table(self.mdp, self.q, None))


@dataclass(frozen=True, eq=False, repr=False)
class PolicyValues(Result):
    """Exact values of many deterministic policies.

    Attributes
    ----------
    v : ndarray of float64, shape (n_policies, n_states)
        Value of each state under each policy, in units of reward; 0 in terminal states. With ``gamma=1`` an entry is
        infinite where rewards add up without bound, and NaN where their sum never settles.
    start_value : ndarray of float64, shape (n_policies,)
        Value of the start distribution under each policy.
    gamma : float
        Discount factor.
    error_bound : float
        No finite entry of ``v`` is further from the truth than this, in units of reward.
    """

    v: Floats
    start_value: Floats
    gamma: float
    error_bound: float

    def __repr__(self) -> str:
        """Describe the values in a few lines."""
        return "\n".join(
            [
                f"PolicyValues: {self.start_value.size} policies, gamma={self.gamma:g}",
                f"  start     value {self.start_value.min():.6g} to {self.start_value.max():.6g}",
                f"  error     at most {self.error_bound:.1e}",
            ]
        )


@dataclass(frozen=True, eq=False, repr=False)
class WithinLimit(Result):
    """What stationary policies reach within an episode limit, from the start.

    Attributes
    ----------
    limit : int
        Steps an episode may take.
    expected_return : ndarray of float64, shape (n_policies,)
        Expected undiscounted return.
    success : ndarray of float64, shape (n_policies,)
        Probability of success, in [0, 1].
    """

    limit: int
    expected_return: Floats
    success: Floats

    def __repr__(self) -> str:
        """Describe the values in a few lines."""
        return "\n".join(
            [
                f"WithinLimit: {self.success.size} policies, {self.limit} steps",
                f"  return    {self.expected_return.min():.6g} to {self.expected_return.max():.6g}",
                f"  success   {self.success.min():.4f} to {self.success.max():.4f}",
            ]
        )


@dataclass(frozen=True, eq=False, repr=False)
class FiniteHorizon(Result):
    """The best that can be reached within an episode limit, and what one stationary policy reaches.

    The two bests belong to different policies in general, and both may choose by the steps that are left.

    Attributes
    ----------
    limit : int
        Steps an episode may take.
    best_return : float
        Largest expected undiscounted return from the start, in units of reward.
    best_success : float
        Largest probability of success from the start.
    return_by_state, success_by_state : ndarray of float64, shape (n_states,)
        The same from each state, with all steps left; 0 in terminal states.
    policy_return, policy_success : float or None
        What the given stationary policy reaches from the start; None without one.
    return_actions, success_actions : ndarray of int32, shape (limit, n_states), or None
        A best action in step t (from 0) of an episode; None unless asked for.
    mdp : MDP
    """

    limit: int
    best_return: float
    best_success: float
    return_by_state: Floats
    success_by_state: Floats
    policy_return: float | None
    policy_success: float | None
    return_actions: np.ndarray[tuple[int, int], np.dtype[np.int32]] | None
    success_actions: np.ndarray[tuple[int, int], np.dtype[np.int32]] | None
    mdp: MDP

    def __repr__(self) -> str:
        """Describe the result in a few lines."""
        lines = [
            f"FiniteHorizon: {self.limit} steps",
            f"  best return     {self.best_return:.10g}",
            f"  best success    {self.best_success:.6f}",
        ]
        if self.policy_return is not None and self.policy_success is not None:
            lines += [f"  policy return   {self.policy_return:.10g}", f"  policy success  {self.policy_success:.6f}"]
        return "\n".join(lines)


def start_value(mdp: MDP, values: Floats) -> float:
    """Mean of values (n_states,) over the start distribution; states that are no starts do not count."""
    starts = mdp.start > 0.0
    weight = mdp.start[starts]
    with np.errstate(invalid="ignore"):  # infinities of both signs make a NaN, as they should
        return float((weight / weight.sum()) @ values[starts])


def _table(mdp: MDP, q: Floats, best: Bools | None) -> list[str]:
    """Rows of Q with a star at each best action, for small problems."""
    if mdp.n_states > _MAX_STATES or mdp.n_actions > _MAX_ACTIONS:
        return []
    side = max(len("state"), *(len(name) for name in mdp.state_names))
    lines = [f"  {'state':<{side}} " + " ".join(f"{name:>11}" for name in mdp.action_names)]
    for state, name in enumerate(mdp.state_names):
        if mdp.terminal_states[state]:
            lines.append(f"  {name:<{side}} {'terminal':>11}")
            continue
        stars = best[state] if best is not None else np.zeros(mdp.n_actions, dtype=np.bool_)
        cells = " ".join(f"{value:>10.6g}{'*' if star else ' '}" for value, star in zip(q[state], stars, strict=True))
        lines.append(f"  {name:<{side}} {cells}".rstrip())
    return lines

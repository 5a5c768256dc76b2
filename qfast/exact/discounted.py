r"""Policy iteration for gamma < 1, with evaluations that are only as exact as the current round can use.

The operator

.. math:: (TV)(s) = (1-\varepsilon) \max_a Q_V(s, a) + \varepsilon \operatorname{mean}_a Q_V(s, a)

is a contraction with modulus gamma in the supremum norm (epsilon = 0: Bellman's; Puterman 1994, section 6.2; its
epsilon-soft form: Sutton & Barto 2018, section 5.4), so that for any V

.. math:: \|Q_V - Q^*\|_\infty \le \gamma \|V - V^*\|_\infty \le \frac{\gamma}{1-\gamma} \|TV - V\|_\infty .

That bound is measured in every round and decides when to stop; how V was found does not enter.
"""

from dataclasses import dataclass

import numpy as np

from qfast.exact.chains import Chain
from qfast.exact.checks import Floats, Ints
from qfast.exact.linear import chain_sum
from qfast.exact.model import Model

__all__ = ["FixedPoint", "greedy_chain", "solve_discounted", "sweeps_a_round"]

# Rounds without progress after which float64 has given what it can.
_PATIENCE = 4
_MAX_ROUNDS = 10_000


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """What an iteration found, over the n valued states of a model.

    Attributes
    ----------
    q : ndarray of float64, shape (n, n_actions)
        Action values; minus infinity where an action is not allowed.
    actions : ndarray of int64, shape (n,)
        A policy that has these values.
    error_bound : float
        Bound of the largest error in ``q``, in units of reward, rounding included.
    n_rounds : int
        Rounds of policy iteration.
    """

    q: Floats
    actions: Ints
    error_bound: float
    n_rounds: int


def sweeps_a_round(model: Model) -> int:
    """Greedy sweeps between two evaluations: they carry a reward one state further each, evaluations do not.

    On a corridor with its only reward at the end policy iteration alone needs a round for each state.
    """
    return int(np.clip(4_000_000 // max(model.reward.size, 1), 5, 50))


def greedy_chain(model: Model, actions: Ints, epsilon: float) -> Chain:
    """Return the chain of a policy that takes the given actions (n,), or, with epsilon, any allowed one."""
    if epsilon == 0.0:
        return model.follow(actions)
    probabilities = epsilon * model.uniform()
    probabilities[np.arange(actions.size), actions] += 1.0 - epsilon
    return model.mix(probabilities)


def solve_discounted(model: Model, gamma: float, epsilon: float, tolerance: float) -> FixedPoint:
    """Find the fixed point for ``gamma`` in [0, 1).

    Parameters
    ----------
    model : Model
        The problem in matrix form.
    gamma, epsilon : float
        Discount factor in [0, 1) and exploration in [0, 1].
    tolerance : float
        Largest error allowed in Q, as a share of its largest absolute value.

    Returns
    -------
    FixedPoint
        With ``error_bound`` above the tolerance only where float64 cannot do better.
    """
    values = np.zeros(model.n_states)
    actions = np.zeros(model.n_states, dtype=np.int64)
    n_sweeps = sweeps_a_round(model)
    best: FixedPoint | None = None
    stalled = 0
    for n_rounds in range(1, _MAX_ROUNDS + 1):
        for _ in range(n_sweeps):
            now = _sweep(model, gamma, epsilon, values, actions)
            values, actions = now.swept, now.actions
            if now.bound <= tolerance * now.size:
                break
        reached = now.bound <= tolerance * now.size
        # An exact evaluation of a policy that is best already gives the last digits, at little cost.
        goal = 0.0 if reached else 0.25 * tolerance * now.size * (1.0 - gamma)
        if now.changed and not reached:
            # While the policy still changes, its exact value is not worth having; two more digits a round are.
            goal = max(goal, 0.01 * now.residual)
        chain = greedy_chain(model, actions, epsilon)
        values = chain_sum(chain.transition, chain.reward, gamma, start=values, atol=goal)
        if reached:
            last = _sweep(model, gamma, epsilon, values, actions)
            now = last if last.bound < now.bound else now
        before = np.inf if best is None else best.error_bound
        if best is None or now.bound < before:
            best = FixedPoint(now.q, now.actions, now.bound, n_rounds)
        # Far above rounding a slow round is no reason to stop: a reward may be on its way through a long corridor.
        stalled = stalled + 1 if now.bound <= 1e3 * now.least_bound and best.error_bound > 0.5 * before else 0
        if reached or stalled >= _PATIENCE:
            break
    assert best is not None
    return best


@dataclass(frozen=True, eq=False)
class _Sweep:
    """One sweep over all pairs, and what it tells about the values that it started from."""

    q: Floats
    swept: Floats
    actions: Ints
    changed: bool
    residual: float
    size: float
    bound: float
    least_bound: float


def _sweep(model: Model, gamma: float, epsilon: float, values: Floats, actions: Ints) -> _Sweep:
    here = np.arange(model.n_states)
    q = model.action_values(values, gamma)
    swept = model.backup(q, epsilon)
    # An action is exchanged for a better one only: among equals the policy must not wander.
    greedy = q.argmax(axis=1)
    better = q[here, greedy] > q[here, actions]
    residual = float(np.abs(swept - values).max(initial=0.0))
    size = max(float(np.abs(swept).max(initial=0.0)), float(np.abs(model.reward).max(initial=0.0)))
    # Rounding acts like a residual of its own, in the sweep that made Q and in the one that measured it.
    rounding = model.rounding * size
    factor = gamma / (1.0 - gamma)
    return _Sweep(
        q=q,
        swept=swept,
        actions=np.where(better, greedy, actions),
        changed=bool(better.any()),
        residual=residual,
        size=size,
        bound=rounding + factor * (residual + rounding),
        least_bound=rounding + factor * rounding,
    )

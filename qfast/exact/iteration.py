r"""Policy iteration: optimal values, and epsilon-greedy-optimal ones, of the valued states of a model.

For gamma < 1 the operator

.. math:: (TV)(s) = (1-\varepsilon) \max_a Q_V(s, a) + \varepsilon \operatorname{mean}_a Q_V(s, a)

is a contraction with modulus gamma in the supremum norm (epsilon = 0: Bellman's; Puterman 1994, section 6.2; its
epsilon-soft form: Sutton & Barto 2018, section 5.4), so that for any V

.. math:: \|Q_V - Q^*\|_\infty \le \gamma \|V - V^*\|_\infty \le \frac{\gamma}{1-\gamma} \|TV - V\|_\infty .

That bound is measured in every round and decides when to stop; how V was found does not enter.

For gamma = 1 Bellman's equation has many solutions as soon as a loop costs nothing, and none where a loop pays.
What is computed is the supremum over all policies whose sum of rewards settles: those that end with probability 1,
and those that stay for ever where every reward is 0 (which is worth 0). It is found by policy iteration that

- starts from a policy that ends: the best one for a discount of nearly 1, and where that does not end, one that leads
  to an end by a shortest way (`ending_policy`); and
- exchanges an action only for one that is better.

Then every policy on the way ends, too: if an exchange closed a loop that is never left, the rewards in that loop
would have a positive mean, and the value would be infinite, which is an error. Where no exchange is left, V satisfies
Bellman's equation and bounds every other policy that ends (Bertsekas & Tsitsiklis 1991, "An analysis of stochastic
shortest path problems", propositions 1 to 3; Bertsekas & Yu 2016 for loops of zero cost).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from qfast.exact.chains import (
    Bools,
    Chain,
    Floats,
    Ints,
    backward_search,
    can_reach,
    chain_sum,
    csgraph,
    settle,
    sparse,
    steps_to_end,
)
from qfast.exact.model import Model

__all__ = ["FixedPoint", "UnboundedError", "solve_discounted", "solve_episodic"]

# Rounds of gamma < 1 without progress after which float64 has given what it can.
_PATIENCE = 4
_MAX_ROUNDS = 10_000
# With gamma = 1 an action is better if it gains more than this share of the largest value: far above rounding.
_GAIN = 1e-12
# The discount whose best policy that iteration starts from. A way that merely ends can take 10^16 steps on average.
_NEARLY_ONE = 0.9999
_ROUGHLY = 1e-6


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """What an iteration found, over the n valued states of a model."""

    q: Floats  # (n, n_actions); minus infinity where an action is not allowed
    actions: Ints  # (n,), a policy that has these values
    error_bound: float  # of the largest error in q, in units of reward, rounding included
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
    """Find the fixed point for gamma < 1, to an error of `tolerance` times the largest |Q|, if float64 can do it."""
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


class UnboundedError(Exception):
    """The value of some of the valued states (n,) is infinite or undefined; the reason follows on “from state …”."""

    def __init__(self, states: Bools, reason: str) -> None:
        super().__init__(reason)
        self.states, self.reason = states, reason


@dataclass(frozen=True, eq=False)
class _Rest:
    """Where an agent can stay for ever with every reward 0: (n,) flags, and the action that does it."""

    states: Bools
    actions: Ints


def _resting_states(model: Model) -> _Rest:
    """Find the maximal end components of the actions that pay nothing and cannot end the episode.

    Decomposition by strongly connected components, repeated after removing the actions that leave their component
    (de Alfaro 1997, "Formal verification of probabilistic systems", section 3.3).
    """
    n, n_actions = model.n_states, model.n_actions
    usable = model.allowed & ~model.ending & (model.low == 0.0) & (model.high == 0.0)
    usable = usable.ravel()
    pair = np.repeat(np.arange(n * n_actions), np.diff(model.transition.indptr))
    target = model.transition.indices
    by_target = np.argsort(target, kind="stable")
    first = np.searchsorted(target[by_target], np.arange(n + 1))
    while True:
        _drop_dead_ends(usable, pair[by_target], first, n_actions)
        if not usable.any():
            break
        edges = usable[pair]
        graph = _graph(pair[edges] // n_actions, target[edges], n)
        _, label = csgraph.connected_components(graph, directed=True, connection="strong")
        leaving = edges & (label[pair // n_actions] != label[target])
        if not leaving.any():
            break
        usable[pair[leaving]] = False
    choice = usable.reshape(n, n_actions)
    return _Rest(choice.any(axis=1), choice.argmax(axis=1))


def _drop_dead_ends(usable: Bools, pair: Ints, first: Ints, n_actions: int) -> None:
    """Drop, in place, actions that can lead to a state without a usable action, and so on backwards.

    ``pair[first[t]:first[t + 1]]`` are the pairs of state and action that can lead to state ``t``. Left to the
    components alone, a hole in a large grid would cost a search of the whole graph for each step away from it.
    """
    n_usable = usable.reshape(-1, n_actions).sum(axis=1)
    dead = np.flatnonzero(n_usable == 0)
    while dead.size:
        length = first[dead + 1] - first[dead]
        shift = np.repeat(first[dead] - np.cumsum(length) + length, length)
        entering = np.unique(pair[shift + np.arange(shift.size)])
        entering = entering[usable[entering]]
        usable[entering] = False
        state = entering // n_actions
        np.subtract.at(n_usable, state, 1)
        dead = np.unique(state[n_usable[state] == 0])


def _graph(source: Ints, target: Ints, n: int) -> Any:
    return sparse.csr_array(sparse.coo_array((np.ones(source.size), (source, target)), shape=(n, n)))


def ending_policy(model: Model, rest: Bools) -> tuple[Ints, Bools]:
    """Find a policy (n,) that leads to an end, or to rest, by a shortest way, and where there is a way.

    It is 0 elsewhere; if all states have a way, it always ends.
    """
    pair = np.repeat(np.arange(model.reward.size), np.diff(model.transition.indptr))
    state, target = pair // model.n_actions, model.transition.indices.astype(np.int64)
    ending = rest | model.ending.any(axis=1)
    possible, step = backward_search(_graph(state, target, model.n_states), ending)
    actions = model.ending.argmax(axis=1)
    # On a shortest way: an action that can lead to the next state on it.
    onward = (step[state] == target) & ~ending[state]
    actions[state[onward]] = pair[onward] % model.n_actions
    return actions, possible


def _first_policy(model: Model, rest: Bools) -> tuple[Ints, Bools, Bools]:
    """Give a policy that ends or comes to rest, where it rests, and where there is a way to do so; each (n,)."""
    actions = solve_discounted(model, _NEARLY_ONE, 0.0, _ROUGHLY).actions
    chain = model.follow(actions)
    endless = can_reach(chain.transition, ~can_reach(chain.transition, chain.ending))
    if not endless.any():
        return actions, np.zeros_like(rest), ~endless
    onward, possible = ending_policy(model, rest | ~endless)
    return np.where(endless, onward, actions), rest & endless, possible


def solve_episodic(model: Model, epsilon: float) -> FixedPoint:
    """Find the fixed point for gamma = 1, whose policy ends or comes to rest with probability 1; or UnboundedError."""
    here = np.arange(model.n_states)
    if epsilon == 0.0:
        rest = _resting_states(model)
        actions, resting, possible = _first_policy(model, rest.states)
        if not possible.all():
            raise UnboundedError(~possible, "no end can be reached from there, and the rewards go on for ever")
    else:
        # Every allowed action is taken now and then, so that all policies share one graph.
        limit, quiet = settle(model.mix(model.uniform()))
        if (limit != 0.0).any():
            raise UnboundedError(
                limit != 0.0, "exploration can lead where no episode ends, and the rewards there go on"
            )
        rest = _Rest(quiet, np.zeros(model.n_states, dtype=np.int64))
        actions, resting = solve_discounted(model, _NEARLY_ONE, epsilon, _ROUGHLY).actions, quiet
    values = np.zeros(model.n_states)
    for n_rounds in range(1, _MAX_ROUNDS + 1):
        chain = greedy_chain(model, actions, epsilon).stop_in(resting)
        values = chain_sum(chain.transition, chain.reward, 1.0, start=values)
        if n_rounds == 1 and (tired := rest.states & (values < 0.0)).any():  # resting is better, and values only grow
            resting = resting | tired
            continue
        before = actions.copy(), resting.copy()
        q = model.action_values(values, 1.0)
        for sweep in range(sweeps_a_round(model)):
            if sweep > 0:
                q = model.action_values(values, 1.0)
            greedy = q.argmax(axis=1)
            held, top = np.where(resting, 0.0, q[here, actions]), q[here, greedy]
            better = top > held + _GAIN * _size(model, values)
            if not better.any():
                break
            actions, resting = np.where(better, greedy, actions), resting & ~better
            taken = np.where(better, top, held)
            values = taken if epsilon == 0.0 else model.backup(q, epsilon) + (1.0 - epsilon) * (taken - q.max(axis=1))
        if epsilon == 0.0:
            actions, resting = _without_loops(model, (actions, resting), before)
        if (actions == before[0]).all() and (resting == before[1]).all():
            bound = _bound(model, chain, values, q, epsilon, resting)
            if not bound <= _size(model, values):
                lost = np.ones(model.n_states, dtype=np.bool_)
                raise UnboundedError(lost, "episodes take too many steps to add up their rewards in float64")
            return FixedPoint(q, np.where(resting, rest.actions, actions), bound, n_rounds)
    msg = f"policy iteration did not end within {_MAX_ROUNDS} rounds"  # not seen; would be a defect, not bad input
    raise ArithmeticError(msg)


def _size(model: Model, values: Floats) -> float:
    return max(float(np.abs(values).max(initial=0.0)), float(np.abs(model.reward).max(initial=0.0)))


def _without_loops(model: Model, new: tuple[Ints, Bools], old: tuple[Ints, Bools]) -> tuple[Ints, Bools]:
    """Take back exchanges that closed a loop of zero mean, which only rounding can cause; one that pays is an error."""
    actions, resting = new
    while True:
        chain = model.follow(actions).stop_in(resting)
        stuck = ~can_reach(chain.transition, chain.ending)
        if not stuck.any():
            return actions, resting
        limit, _ = settle(chain)
        if (limit == np.inf).any():
            raise UnboundedError(limit == np.inf, "a policy can go round for ever and is paid for it")
        actions, resting = np.where(stuck, old[0], actions), np.where(stuck, old[1], resting)


def _bound(model: Model, chain: Chain, values: Floats, q: Floats, epsilon: float, resting: Bools) -> float:
    """Bound the error: what is left of Bellman's equation, times the expected number of steps to the end."""
    swept = np.where(resting, values, model.backup(q, epsilon))
    rounding = model.rounding * _size(model, values)
    residual = float(np.abs(swept - values).max(initial=0.0)) + rounding
    most, certain = steps_to_end(chain)
    return rounding + residual * most / certain if certain > 0.0 else np.inf

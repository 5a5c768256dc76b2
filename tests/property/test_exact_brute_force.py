"""Dynamic programming against every policy of small random problems, one after the other, in plain loops.

The oracle shares nothing with `qfast.exact`: dense matrices built from the lookup tables outcome by outcome, the
textbook's linear system for each deterministic policy, and for gamma = 1 the long run of each chain.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from qfast.errors import InvalidInput
from qfast.exact import evaluate_policies, evaluate_within_limit, finite_horizon, soft_fixed_point, solve
from qfast.model.mdp import MDP

SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def mdps(draw: st.DrawFn) -> MDP:
    """Small problems with all that matters: ends, masks, padding, several starts, ties, loops that pay nothing."""
    n_states, n_actions, n_outcomes = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    shape = (n_states, n_actions, n_outcomes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rewards = draw(st.sampled_from([(0, 0, 1), (-1, 0), (-2, -1, 0, 1), (-1, 1), (-1,), (0,)]))
    ends = draw(st.sampled_from([0.1, 0.3, 0.6]))
    probability = rng.choice([0.0, 1.0, 2.0], size=shape) + np.eye(1, n_outcomes)
    try:
        mdp = MDP(
            rng.integers(0, n_states, shape),
            rng.choice(rewards, size=shape),
            terminated=rng.random(shape) < ends,
            probability=probability / probability.sum(axis=2, keepdims=True),
            allowed=(rng.random(shape[:2]) < 0.7) | (np.arange(n_actions) == rng.integers(n_actions)),
            start=rng.dirichlet(np.ones(n_states)),  # every state can be met
        )
    except InvalidInput:  # a start that is terminal
        reject()
    assert mdp.decision_states.all()
    return mdp


def actions(mdp: MDP, state: int) -> list[int]:
    return [a for a in range(mdp.n_actions) if mdp.allowed is None or mdp.allowed[state, a]]


def every_policy(mdp: MDP) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(actions(mdp, s) for s in range(mdp.n_states)))


def outcomes(mdp: MDP, state: int, action: int) -> Iterator[tuple[float, int, float, bool]]:
    for k in range(mdp.n_outcomes):
        at = state, action, k
        if mdp.probability[at] > 0:
            yield float(mdp.probability[at]), int(mdp.next_state[at]), float(mdp.reward[at]), bool(mdp.terminated[at])


def chain(mdp: MDP, policy: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    matrix, reward = np.zeros((mdp.n_states, mdp.n_states)), np.zeros(mdp.n_states)
    for s, a in enumerate(policy):
        for p, entered, r, ended in outcomes(mdp, s, a):
            reward[s] += p * r
            matrix[s, entered] += 0.0 if ended else p
    return matrix, reward


def action_value(mdp: MDP, state: int, action: int, gamma: float, values: np.ndarray) -> float:
    return sum(p * (r + (0.0 if ended else gamma * values[n])) for p, n, r, ended in outcomes(mdp, state, action))


def undiscounted(mdp: MDP, policy: tuple[int, ...]) -> np.ndarray:
    """Value of each state, infinite or NaN where it is, from where the chain is after very many steps."""
    matrix, reward = chain(mdp, policy)
    late = np.linalg.matrix_power((np.eye(mdp.n_states) + matrix) / 2, 2**24)  # lazy, so that nothing oscillates
    values = np.zeros(mdp.n_states)
    recurrent = [s for s in range(mdp.n_states) if late[:, s].max() > 1e-9]
    busy = {s for s in recurrent if any(r != 0 for _, _, r, _ in outcomes(mdp, s, policy[s]))}
    for s in range(mdp.n_states):
        classes = {
            t: late[t] @ reward
            for t in recurrent
            if late[s, t] > 1e-9 and busy & {u for u in recurrent if late[t, u] > 1e-9}
        }
        signs = {0.0 if abs(gain) < 1e-9 else np.sign(gain) for gain in classes.values()}
        if signs:
            values[s] = np.inf * signs.pop() if len(signs) == 1 and 0.0 not in signs else np.nan
    finite = np.isfinite(values) & ~np.isin(np.arange(mdp.n_states), recurrent)
    inner = np.ix_(finite, finite)
    values[finite] = np.linalg.solve(np.eye(int(finite.sum())) - matrix[inner], reward[finite])
    return values


@SETTINGS
@given(mdp=mdps(), gamma=st.sampled_from([0.0, 0.5, 0.9, 0.99]))
def test_optimal_values_are_the_best_of_all_policies(mdp: MDP, gamma: float) -> None:
    policies = list(every_policy(mdp))
    table = []
    for policy in policies:
        matrix, reward = chain(mdp, policy)
        table.append(np.linalg.solve(np.eye(mdp.n_states) - gamma * matrix, reward))
    best = np.max(table, axis=0)
    solution = solve(mdp, gamma)
    slack = solution.error_bound + 1e-11
    np.testing.assert_allclose(solution.v, best, rtol=0, atol=slack)
    for s, a in itertools.product(range(mdp.n_states), range(mdp.n_actions)):
        if a not in actions(mdp, s):
            assert solution.q[s, a] == -np.inf
            assert not solution.optimal_actions[s, a]
            continue
        q = action_value(mdp, s, a, gamma, best)
        assert solution.q[s, a] == pytest.approx(q, abs=slack)
        assert solution.optimal_actions[s, a] == (q >= best[s] - 1e-8)
    np.testing.assert_allclose(evaluate_policies(mdp, policies, gamma).v, table, rtol=0, atol=1e-11)


@SETTINGS
@given(mdp=mdps())
def test_undiscounted_values_of_every_policy(mdp: MDP) -> None:
    policies = list(every_policy(mdp))
    expected = np.array([undiscounted(mdp, policy) for policy in policies])
    found = evaluate_policies(mdp, policies, 1.0).v
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@SETTINGS
@given(mdp=mdps())
def test_undiscounted_optimum_is_the_best_that_settles(mdp: MDP) -> None:
    table = np.array([undiscounted(mdp, policy) for policy in every_policy(mdp)])
    settles = np.where(np.isnan(table), -np.inf, table)
    best = settles.max(axis=0)
    if not np.isfinite(best).all():
        with pytest.raises(InvalidInput, match=r"gamma=1\.0: the value of state"):
            solve(mdp, 1.0)
        return
    solution = solve(mdp, 1.0)
    np.testing.assert_allclose(solution.v, best, rtol=0, atol=solution.error_bound + 1e-9)
    own = undiscounted(mdp, tuple(solution.policy.tolist()))
    np.testing.assert_allclose(own, best, rtol=0, atol=solution.error_bound + 1e-9)


@settings(SETTINGS, max_examples=40)
@given(mdp=mdps(), gamma=st.sampled_from([0.0, 0.7, 0.9]), epsilon=st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_soft_values_by_plain_iteration(mdp: MDP, gamma: float, epsilon: float) -> None:
    """Q = r + gamma E[sum of pi(a | s') Q(s', a)] with the greedy probability shared among ties, 250 times."""
    q = np.full((mdp.n_states, mdp.n_actions), -np.inf)
    for s in range(mdp.n_states):
        q[s, actions(mdp, s)] = 0.0
    for _ in range(250):
        values = np.zeros(mdp.n_states)
        for s in range(mdp.n_states):
            open_ = actions(mdp, s)
            greedy = [a for a in open_ if q[s, a] == max(q[s, b] for b in open_)]
            for a in open_:
                pi = epsilon / len(open_) + ((1.0 - epsilon) / len(greedy) if a in greedy else 0.0)
                values[s] += pi * q[s, a]
        for s in range(mdp.n_states):
            for a in actions(mdp, s):
                q[s, a] = action_value(mdp, s, a, gamma, values)
    solution = soft_fixed_point(mdp, gamma, epsilon)
    np.testing.assert_allclose(solution.q, q, rtol=0, atol=solution.error_bound + 1e-10)


@SETTINGS
@given(mdp=mdps(), epsilon=st.sampled_from([0.1, 1.0]))
def test_soft_values_without_discount_bound_every_soft_policy(mdp: MDP, epsilon: float) -> None:
    """The best mixture of a deterministic policy with random actions; all of them enumerated."""
    best = np.full(mdp.n_states, -np.inf)
    uniform = np.zeros((mdp.n_states, mdp.n_actions))
    for s in range(mdp.n_states):
        uniform[s, actions(mdp, s)] = 1.0 / len(actions(mdp, s))
    parts = [chain(mdp, (a,) * mdp.n_states) for a in range(mdp.n_actions)]
    matrix = sum(uniform[:, [a]] * part[0] for a, part in enumerate(parts))
    stays = np.flatnonzero(np.linalg.matrix_power(matrix, 2**24).max(axis=0) > 1e-9)
    if any(r != 0 for s in stays for a in actions(mdp, s) for _, _, r, _ in outcomes(mdp, s, a)):
        with pytest.raises(InvalidInput, match="exploration can lead where no episode ends"):
            soft_fixed_point(mdp, 1.0, epsilon)
        return
    solution = soft_fixed_point(mdp, 1.0, epsilon)
    for policy in every_policy(mdp):
        rows = epsilon * uniform + (1.0 - epsilon) * np.eye(mdp.n_actions)[list(policy)]
        matrix = sum(rows[:, [a]] * part[0] for a, part in enumerate(parts))
        reward = sum(rows[:, a] * part[1] for a, part in enumerate(parts))
        # Where the chain stays nothing is paid: there the system is singular, and the value 0.
        moving = np.setdiff1d(np.arange(mdp.n_states), stays)
        values = np.zeros(mdp.n_states)
        values[moving] = np.linalg.solve(np.eye(moving.size) - matrix[np.ix_(moving, moving)], reward[moving])
        best = np.maximum(best, values)
    np.testing.assert_allclose(solution.v, best, rtol=0, atol=solution.error_bound + 1e-8)


@SETTINGS
@given(mdp=mdps(), limit=st.integers(1, 4))
def test_finite_horizon_by_recursion_over_all_actions(mdp: MDP, limit: int) -> None:
    ends = [r for s in range(mdp.n_states) for a in actions(mdp, s) for _, _, r, ended in outcomes(mdp, s, a) if ended]
    prize = max(ends, default=np.nan)

    def best(state: int, left: int, *, success: bool) -> float:
        if left == 0:
            return 0.0
        return max(
            sum(
                p
                * (
                    (float(ended and r == prize) if success else r)
                    + (0.0 if ended else best(n, left - 1, success=success))
                )
                for p, n, r, ended in outcomes(mdp, state, action)
            )
            for action in actions(mdp, state)
        )

    found = finite_horizon(mdp, limit)
    returns = [best(s, limit, success=False) for s in range(mdp.n_states)]
    success = [best(s, limit, success=True) for s in range(mdp.n_states)]
    np.testing.assert_allclose(found.return_by_state, returns, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.success_by_state, success, rtol=0, atol=1e-12)
    assert (found.best_return, found.best_success) == pytest.approx((mdp.start @ returns, mdp.start @ success))
    every = evaluate_within_limit(mdp, list(every_policy(mdp)), limit)
    assert every.expected_return.max() <= found.best_return + 1e-12
    assert every.success.max() <= found.best_success + 1e-12

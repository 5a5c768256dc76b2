"""Values of given policies: one, thousands, stochastic ones; reached states; what is refused."""

import numpy as np
import pytest

from qfast.errors import InvalidInput
from qfast.exact import (
    canonical_policies,
    evaluate_policies,
    evaluate_policy,
    reached_states,
    solve,
)
from qfast.exact.policies import distinct_policies
from qfast.model.mdp import MDP


def random_mdp(seed: int, n_states: int = 12, n_outcomes: int = 2, *, ends: float = 0.15) -> MDP:
    rng = np.random.default_rng(seed)
    shape = (n_states, 3, n_outcomes)
    return MDP(
        rng.integers(0, n_states, shape),
        rng.normal(size=shape),
        terminated=rng.random(shape) < ends,
        probability=rng.dirichlet(np.ones(n_outcomes), shape[:2]),
        start=rng.dirichlet(np.ones(n_states)),
    )


def plain_value(mdp: MDP, policy: np.ndarray, gamma: float) -> np.ndarray:
    """V of a deterministic policy by the dense textbook system, written out in loops."""
    system, right = np.eye(mdp.n_states), np.zeros(mdp.n_states)
    for s in np.flatnonzero(~mdp.terminal_states):
        for k in range(mdp.n_outcomes):
            p = mdp.probability[s, policy[s], k]
            right[s] += p * mdp.reward[s, policy[s], k]
            if not mdp.terminated[s, policy[s], k]:
                system[s, mdp.next_state[s, policy[s], k]] -= gamma * p
    return np.asarray(np.linalg.solve(system, right))


@pytest.mark.parametrize(("n_states", "n_outcomes"), [(12, 1), (12, 3), (150, 1), (150, 2)])
@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_many_at_once_are_one_by_one(n_states: int, n_outcomes: int, gamma: float) -> None:
    """Each way to solve: path doubling, dense blocks, sparse blocks; with repeated policies."""
    mdp = random_mdp(1, n_states, n_outcomes)
    rng = np.random.default_rng(2)
    policies = rng.integers(0, 3, (7, n_states))[[0, 1, 2, 1, 3, 4, 5, 6, 0]]
    values = evaluate_policies(mdp, policies, gamma)
    for policy, found in zip(policies, values.v, strict=True):
        expected = plain_value(mdp, policy, gamma)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)
        np.testing.assert_allclose(evaluate_policy(mdp, policy, gamma).v, expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(values.start_value, values.v @ mdp.start, rtol=0, atol=1e-12)
    assert values.error_bound < 1e-10


def test_undiscounted_values_of_policies_that_end() -> None:
    mdp = random_mdp(4, 60, 3, ends=0.3)
    policies = np.random.default_rng(5).integers(0, 3, (20, 60))
    expected = [plain_value(mdp, policy, 1.0) for policy in policies]
    values = evaluate_policies(mdp, policies, 1.0)
    np.testing.assert_allclose(values.v, expected, rtol=0, atol=1e-10)
    assert np.abs(values.v - expected).max() <= values.error_bound + 1e-12


def test_more_policies_than_fit_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mdp = random_mdp(6)
    policies = np.random.default_rng(7).integers(0, 3, (50, 12))
    whole = evaluate_policies(mdp, policies, 0.95), reached_states(mdp, policies)
    for module in ("evaluation", "policies"):
        monkeypatch.setattr(f"qfast.exact.{module}.ROWS", 100)
    monkeypatch.setattr("qfast.exact.chains._DENSE_NUMBERS", 300)
    parts = evaluate_policies(mdp, policies, 0.95), reached_states(mdp, policies)
    np.testing.assert_allclose(parts[0].v, whole[0].v, rtol=1e-13)
    np.testing.assert_array_equal(parts[1], whole[1])


def test_a_stochastic_policy_is_the_mixture_of_its_actions() -> None:
    """By hand: with probability x the episode ends with 4, otherwise it costs 1 and goes on."""
    mdp = MDP([[0, 1], [1, 1]], [[-1, 4], [0, 0]], terminated=[[False, True], [True, True]])
    for x in (0.25, 1.0):
        value = evaluate_policy(mdp, [[1.0 - x, x], [0.0, 0.0]], 0.5)
        expected = (4.0 * x - (1.0 - x)) / (1.0 - 0.5 * (1.0 - x))
        assert value.v.tolist() == pytest.approx([expected, 0.0])
        assert value.q[0].tolist() == pytest.approx([-1.0 + 0.5 * expected, 4.0])
        assert value.start_value == pytest.approx(expected)


def test_one_hot_rows_are_the_same_as_actions() -> None:
    mdp = random_mdp(8)
    policy = np.random.default_rng(9).integers(0, 3, 12)
    rows = np.eye(3, dtype=np.float32)[policy]
    np.testing.assert_array_equal(evaluate_policy(mdp, policy, 0.9).v, evaluate_policy(mdp, rows, 0.9).v)


def test_no_policy_is_better_than_the_optimal_one() -> None:
    mdp = random_mdp(10)
    best = solve(mdp, 0.9)
    own = evaluate_policy(mdp, best.policy, 0.9)
    np.testing.assert_allclose(own.v, best.v, rtol=0, atol=1e-10)
    np.testing.assert_allclose(own.q, best.q, rtol=0, atol=1e-10)
    others = evaluate_policies(mdp, np.random.default_rng(11).integers(0, 3, (200, 12)), 0.9)
    assert (others.v <= best.v + 1e-10).all()


def test_masked_actions_have_no_value() -> None:
    mdp = MDP([[0, 1], [1, 1]], [[-1, 4], [0, 0]], terminated=[[False, True], [True, True]], allowed=[[0, 1], [1, 1]])
    value = evaluate_policy(mdp, [1, 0], 0.9)
    assert value.q.tolist() == [[-np.inf, 4.0], [0.0, 0.0]]
    with pytest.raises(InvalidInput, match=r"policy takes action '0' in state '0', which is not allowed there"):
        evaluate_policy(mdp, [0, 0], 0.9)
    with pytest.raises(InvalidInput, match=r"policy\[0, 0\]=0\.5, but the action is not allowed there"):
        evaluate_policy(mdp, [[0.5, 0.5], [1, 0]], 0.9)


def test_reached_states_and_canonical_policies() -> None:
    """0 leads to 1 or 2, both lead to the end 3; an action of a state that is not met does not matter."""
    mdp = MDP(
        [[1, 2], [3, 3], [3, 3], [3, 3]],
        [[0, 0], [1, 2], [3, 4], [0, 0]],
        terminated=[[False, False], [True, True], [True, True], [True, True]],
    )
    policies = [[0, 1, 0, 0], [0, 1, 1, 1], [1, 1, 1, 0]]
    assert reached_states(mdp, policies).tolist() == [[True, True, False, False]] * 2 + [[True, False, True, False]]
    canonical = canonical_policies(mdp, policies)
    assert canonical.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]]
    before, after = (evaluate_policies(mdp, p, 0.9).start_value for p in (policies, canonical))
    assert before.tolist() == after.tolist() == pytest.approx([1.8, 1.8, 3.6])


def test_every_start_and_every_outcome_is_reached() -> None:
    mdp = MDP(
        [[[1, 2]], [[3, 3]], [[3, 3]], [[3, 3]], [[3, 3]]],
        np.zeros((5, 1, 2)),
        terminated=np.arange(5)[:, None, None].repeat(2, axis=2) > 0,
        probability=[[[1, 0]], [[1, 0]], [[1, 0]], [[1, 0]], [[1, 0]]],
        start=[0.5, 0, 0, 0, 0.5],
    )
    assert reached_states(mdp, [[0] * 5]).tolist() == [[True, True, False, False, True]]


def test_canonical_policies_take_an_allowed_action() -> None:
    mdp = MDP(
        [[1, 2], [2, 2], [2, 2]],
        np.zeros((3, 2)),
        terminated=[[0, 1], [1, 1], [1, 1]],
        allowed=[[1, 1], [0, 1], [1, 1]],
    )
    assert canonical_policies(mdp, [[1, 1, 1]]).tolist() == [[1, 1, 0]]


def test_distinct_policies() -> None:
    for rows in (np.array([[3, 1], [2, 9], [3, 1], [0, 0]]), np.array([[70_000, 1], [2, 9], [70_000, 1]])):
        distinct, which = distinct_policies(rows)
        assert distinct.shape[0] == rows.shape[0] - 1
        np.testing.assert_array_equal(distinct[which], rows)


def test_descriptions() -> None:
    mdp = random_mdp(12)
    policy = np.zeros(12, dtype=int)
    assert "start     value" in repr(evaluate_policy(mdp, policy, 0.9))
    assert "2 policies, gamma=0.9" in repr(evaluate_policies(mdp, [policy, policy], 0.9))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ([0, 1], r"policy has shape \(2,\)"),
        ([[0, 1]], r"policy has shape \(1, 2\); give an action for each state, \(12,\)"),
        ([0] * 11 + [3], r"action 3 in state '11', outside \[0, 2\]"),
        ([-1] + [0] * 11, r"action -1 in state '0'"),
        ([0.0] * 12, "policy has dtype float64; actions are integers"),
        (["up"] * 12, "policy has dtype <U2"),
        ([[0.5, 0.6, 0.0]] * 12, r"policy\[0\] sums to 1\.1, not 1"),
        ([[1.5, -0.5, 0.0]] * 12, r"policy\[0, 1\]=-0\.5 is not a probability"),
        ([[np.nan, 0.5, 0.5]] * 12, r"policy\[0, 0\]=nan is not a probability"),
        ([[0], [1, 2]], "policy is not a rectangular array"),
    ],
)
def test_bad_policies_are_refused(policy: object, message: str) -> None:
    mdp = random_mdp(13, ends=0.0)
    with pytest.raises(InvalidInput, match=message):
        evaluate_policy(mdp, policy, 0.9)  # type: ignore[arg-type]


def test_many_policies_need_two_axes() -> None:
    with pytest.raises(InvalidInput, match=r"policies has shape \(12,\); it must be \(n_policies, n_states\)"):
        evaluate_policies(random_mdp(14), np.zeros(12, dtype=int), 0.9)

"""gamma = 1: where the sum of rewards is finite, what it is, and a clear error where it is not."""

import numpy as np
import pytest

from qfast.errors import InvalidInput
from qfast.exact import evaluate_policies, evaluate_policy, finite_horizon, soft_fixed_point, solve
from qfast.exact.iteration import _without_loops
from qfast.exact.model import acting_states, build_model
from qfast.model.mdp import MDP
from qfast.problems import corridor, grid


def line(reward: list[list[float]], *, end: int = -1) -> MDP:
    """States in a row, back and forward; forward from the last but one ends in the last."""
    n = len(reward)
    here = np.arange(n)
    next_state = np.stack([np.maximum(here - 1, 0), np.minimum(here + 1, n - 1)], axis=1)
    terminated = np.zeros((n, 2), dtype=bool)
    terminated[n - 2, 1], terminated[end] = True, True
    return MDP(next_state, reward, terminated=terminated)


def test_the_articles_corridor_without_discount() -> None:
    """Forward 1, back -1: every loop sums to zero, and Bellman's equation alone has many solutions."""
    solution = solve(line([[0, 1], [-1, 1], [-1, 1], [-1, 2], [0, 0]]), 1.0)
    np.testing.assert_allclose(solution.q, [[5, 5], [4, 4], [3, 3], [2, 2], [0, 0]], rtol=0, atol=1e-11)
    assert solution.policy.tolist() == [1, 1, 1, 1, 0]  # not one of the equally valued ways to walk on for ever


def test_gridworld_of_random_moves_as_published() -> None:
    """Sutton & Barto 2018, figure 4.1: -1 a step, random policy, ends in two corners; and its optimal values."""
    cells = np.arange(16)
    row, column = np.divmod(cells, 4)
    moves = [
        np.maximum(row - 1, 0) * 4 + column,
        np.minimum(row + 1, 3) * 4 + column,
        row * 4 + np.maximum(column - 1, 0),
        row * 4 + np.minimum(column + 1, 3),
    ]
    next_state = np.stack(moves, axis=1)
    mdp = MDP(next_state, -np.ones((16, 4)), terminated=np.isin(next_state, [0, 15]), start=5)
    value = evaluate_policy(mdp, np.full((16, 4), 0.25), 1.0)
    published = [[0, -14, -20, -22], [-14, -18, -20, -20], [-20, -20, -18, -14], [-22, -20, -14, 0]]
    np.testing.assert_allclose(value.v.reshape(4, 4), published, rtol=0, atol=1e-10)
    assert soft_fixed_point(mdp, 1.0, 1.0).v == pytest.approx(value.v, abs=1e-10)
    steps = [[0, -1, -2, -3], [-1, -2, -3, -2], [-2, -3, -2, -1], [-3, -2, -1, 0]]
    np.testing.assert_allclose(solve(mdp, 1.0).v.reshape(4, 4), steps, rtol=0, atol=1e-12)


def test_random_walk_as_published() -> None:
    """Sutton & Barto 2018, example 6.2: values 1/6 to 5/6."""
    here = np.arange(7)
    next_state = np.stack([np.maximum(here - 1, 0), np.minimum(here + 1, 6)], axis=1)[:, None, :]
    ends = np.isin(next_state, [0, 6])
    mdp = MDP(next_state, 1.0 * (next_state == 6), terminated=ends, start=3)
    np.testing.assert_allclose(solve(mdp, 1.0).v[1:6], np.arange(1, 6) / 6, rtol=0, atol=1e-13)


def test_waiting_for_nothing_beats_losing() -> None:
    """Stay for ever at no cost (worth 0), or end at a loss."""
    mdp = MDP([[0, 1], [1, 1]], [[0, -1], [0, 0]], terminated=[[False, True], [True, True]])
    solution = solve(mdp, 1.0)
    assert solution.q[0].tolist() == [0.0, -1.0]
    assert solution.policy[0] == 0
    assert solution.optimal_actions[0].tolist() == [True, False]


def test_waiting_for_nothing_does_not_hide_a_win() -> None:
    """Staying is as good by its Q, but the policy given must take the way that ends."""
    mdp = MDP([[0, 1], [0, 2], [2, 2]], [[0, 0], [0, 1], [0, 0]], terminated=[[False] * 2, [False, True], [True] * 2])
    solution = solve(mdp, 1.0)
    assert solution.q.tolist() == [[1, 1], [1, 1], [0, 0]]
    assert solution.policy[:2].tolist() == [1, 1]
    assert evaluate_policy(mdp, solution.policy, 1.0).v[0] == 1.0


def test_a_hole_without_a_flag_is_worth_nothing() -> None:
    """An absorbing state that pays nothing needs no terminated flag."""
    mdp = MDP([[1, 2], [1, 1], [2, 2]], [[0, 3], [0, 0], [0, 0]], terminated=np.zeros((3, 2), dtype=bool))
    assert solve(mdp, 1.0).v.tolist() == [3, 0, 0]
    assert soft_fixed_point(mdp, 1.0, 0.5).v.tolist() == [2.25, 0, 0]


def test_loops_that_pay_are_refused() -> None:
    mdp = line([[0.25, 0], [0, 0], [0, 1], [0, 0]])
    with pytest.raises(InvalidInput, match=r"gamma=1\.0: the value of state '0' .* paid for it; use gamma below 1"):
        solve(mdp, 1.0)
    assert solve(mdp, 0.9).v[0] == pytest.approx(2.5)


def test_a_loop_that_pays_only_over_two_steps_is_refused() -> None:
    mdp = MDP(
        [[1, 2], [0, 0], [2, 2]], [[-1, 5], [1.5, 1.5], [0, 0]], terminated=[[False, True], [False] * 2, [True] * 2]
    )
    with pytest.raises(InvalidInput, match="infinite or undefined"):
        solve(mdp, 1.0)


def test_endless_cost_is_refused_and_names_the_state() -> None:
    mdp = MDP(
        [[1, 2], [1, 1], [2, 2]],
        [[-1, -1], [-1, -1], [0, 0]],
        terminated=[[False, True], [False, False], [True, True]],
        state_names=("door", "trap", "out"),
    )
    with pytest.raises(InvalidInput, match="state 'trap' is infinite or undefined, because no end can be reached"):
        solve(mdp, 1.0)
    with pytest.raises(InvalidInput, match="exploration can lead where no episode ends"):
        soft_fixed_point(mdp, 1.0, 0.1)
    assert solve(mdp, 0.5).v.tolist() == [-1.0, -2.0, 0.0]


def test_an_end_that_is_only_likely_is_refused() -> None:
    """Half of the episodes fall into a loop that costs for ever."""
    mdp = MDP(
        [[[1, 2]], [[1, 1]], [[2, 2]]],
        [[[0, 1]], [[-1, -1]], [[0, 0]]],
        terminated=[[[False, True]], [[False] * 2], [[True] * 2]],
    )
    with pytest.raises(InvalidInput, match=r"state '1' .* because no end can be reached"):
        solve(mdp, 1.0)


def test_unreachable_trouble_is_no_trouble() -> None:
    """State 2 cannot be met and pays for ever: its row is NaN, the rest is solved."""
    mdp = MDP([[0, 1], [1, 1], [2, 0]], [[-1, 4], [0, 0], [1, 1]], terminated=[[False, True], [True] * 2, [False] * 2])
    solution = solve(mdp, 1.0)
    assert solution.v[:2].tolist() == [4.0, 0.0]
    assert np.isnan(solution.q[2]).all()
    assert np.isnan(solution.v[2])
    assert not solution.optimal_actions[2].any()


def test_slow_episodes_keep_their_precision() -> None:
    """A fair walk over n = 200 cells pays -1 a step: s (n - s) steps from s, 10,000 in the middle."""
    n = 200
    here = np.arange(n + 1)
    next_state = np.stack([np.maximum(here - 1, 0), np.minimum(here + 1, n)], axis=1)[:, None, :]
    mdp = MDP(next_state, -np.ones(next_state.shape), terminated=np.isin(next_state, [0, n]), start=n // 2)
    solution = solve(mdp, 1.0)
    error = np.abs(solution.v - np.where(mdp.terminal_states, 0, -here * (n - here))).max()
    assert error <= solution.error_bound < 1e-4


def test_a_sparse_reward_travels_down_a_long_corridor() -> None:
    n = 3_000
    reward = np.zeros((n, 2))
    reward[n - 2, 1] = 1.0
    for gamma in (0.999, 1.0):
        solution = solve(line(reward.tolist()), gamma)
        assert solution.start_value == pytest.approx(gamma ** (n - 2), rel=1e-9)
        assert (solution.policy[:-1] == 1).all()


def test_policies_that_never_end_are_named_by_their_infinity() -> None:
    mdp = line([[0, -1], [-1, -1], [1, 2], [0, 0]])
    policies = [[1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0]]
    values = evaluate_policies(mdp, policies, 1.0)
    # forward: -1, -1, 2; wait at the wall: 0; between 0 and 1: -2 a round; 1 and 2: -1 and 1 in turns for ever.
    np.testing.assert_array_equal(values.start_value, [0.0, 0.0, -np.inf, 0.0, 0.0])
    np.testing.assert_array_equal(
        values.v,
        [[0, 1, 2, 0], [0, -1, 0, 0], [-np.inf, -np.inf, -np.inf, 0], [0, np.nan, np.nan, 0], [0, 1, 2, 0]],
    )
    with pytest.raises(InvalidInput, match="from state '0' the sum of rewards under this policy is -inf"):
        evaluate_policy(mdp, policies[2], 1.0)
    assert np.isnan(evaluate_policy(mdp, policies[3], 1.0).v[1])  # not met from the start


def test_both_infinities_are_undefined() -> None:
    """A coin decides between a loop that pays and one that costs."""
    mdp = MDP(
        [[[1, 2]], [[1, 1]], [[2, 2]]], [[[0, 0]], [[1, 1]], [[-1, -1]]], terminated=np.zeros((3, 1, 2), dtype=bool)
    )
    values = evaluate_policies(mdp, [[0, 0, 0]], 1.0).v[0]
    np.testing.assert_array_equal(values, [np.nan, np.inf, -np.inf])
    with pytest.raises(InvalidInput, match="never settles"):
        evaluate_policy(mdp, [0, 0, 0], 1.0)


def test_exchanges_that_rounding_suggests_are_taken_back() -> None:
    """Forward 1, back -1: going to and fro gains nothing, so the way that ends is kept; other exchanges stay."""
    mdp = line([[0, 1], [-1, 1], [-1, 1], [-1, 2], [0, 0]])
    model = build_model(mdp, acting_states(mdp))
    awake = np.zeros(4, dtype=bool)
    forward, looping = np.array([1, 1, 1, 1]), np.array([1, 0, 1, 1])
    actions, resting = _without_loops(model, (looping, awake), (forward, awake))
    assert actions.tolist() == [1, 1, 1, 1]
    assert not resting.any()


def test_a_large_slippery_grid_without_discount() -> None:
    """A way that merely can lead to the end takes 10^16 steps here: the answer was rounding, and its bound infinite."""
    rng = np.random.default_rng(0)
    rows = ["".join("#" if wall else "." for wall in row) for row in rng.random((70, 70)) < 0.15]
    rows[0], rows[-1] = "S" + rows[0][1:], rows[-1][:-1] + "G"
    mdp = grid(rows, step_reward=-1.0, slip=0.2)
    solution = solve(mdp, 1.0)
    assert solution.error_bound < 1e-8
    assert solution.start_value == pytest.approx(finite_horizon(mdp, 600).best_return, abs=1e-6)
    soft = soft_fixed_point(mdp, 1.0, 0.2)
    assert soft.error_bound < 1e-7
    assert soft.start_value == pytest.approx(evaluate_policy(mdp, soft.probabilities(), 1.0).start_value, abs=1e-7)


def test_a_long_way_is_not_found_one_step_a_round() -> None:
    """The corridor's first cell can be rested in for nothing, which was where half of all cells went first."""
    solution = solve(corridor(20_000), 1.0)
    assert solution.start_value == 20_000.0
    assert solution.n_rounds == 1
    assert soft_fixed_point(corridor(20_000), 1.0, 0.1).start_value == pytest.approx(20_000, abs=1e-5)


def test_what_is_lost_in_rounding_is_refused() -> None:
    """A walk of 60 steps, each of which fails nine times in ten and leads back to the start: 10^60 steps."""
    n = 60
    next_state = np.stack([np.arange(1, n + 1), np.zeros(n, dtype=int)], axis=1)[:, None, :]
    ends = np.zeros(next_state.shape, dtype=bool)
    next_state[-1, 0, 0], ends[-1, 0, 0] = 0, True
    chance = np.full(next_state.shape, [0.1, 0.9])
    mdp = MDP(next_state, -np.ones(next_state.shape), terminated=ends, probability=chance)
    with pytest.raises(InvalidInput, match="episodes take too many steps to add up their rewards in float64"):
        solve(mdp, 1.0)
    assert solve(mdp, 0.9).start_value == pytest.approx(-10.0)

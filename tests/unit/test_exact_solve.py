"""Optimal and epsilon-greedy-optimal values against hand computation, books, and an independent library."""

import importlib
import sys

import numpy as np
import pytest

from qfast.errors import InvalidInput, MissingExtra
from qfast.exact import best_actions, evaluate_policy, soft_fixed_point, solve
from qfast.model.mdp import MDP


def corridor(length: int = 5) -> MDP:
    """The article's corridor: forward +1, back -1, against the wall 0, the last step 2 and the end."""
    here = np.arange(length)
    next_state = np.stack([np.maximum(here - 1, 0), np.minimum(here + 1, length - 1)], axis=1)
    reward = np.tile([-1.0, 1.0], (length, 1))
    terminated = np.zeros((length, 2), dtype=bool)
    reward[0, 0], reward[length - 2, 1], reward[length - 1] = 0.0, 2.0, 0.0
    terminated[length - 2, 1], terminated[length - 1] = True, True
    next_state[length - 1] = length - 1
    return MDP(next_state, reward, terminated=terminated, action_names=("left", "right"))


def gambler(head: float = 0.4) -> MDP:
    """Sutton & Barto 2018, example 4.3: capital 1 to 99, action a stakes a + 1; the goal of 100 pays 1."""
    capital, stake = np.arange(101), np.arange(1, 51)
    after = np.stack([capital[:, None] + stake, capital[:, None] - stake], axis=2)
    allowed = (stake <= np.minimum(capital, 100 - capital)[:, None]) & (capital[:, None] > 0)
    next_state = np.where(allowed[:, :, None], after, 0)
    return MDP(
        next_state,
        1.0 * (next_state == 100),
        terminated=(next_state == 100) | (next_state == 0),
        probability=np.broadcast_to([head, 1.0 - head], next_state.shape),
        allowed=allowed,
        start=50,
    )


def five_by_five() -> MDP:
    """Sutton & Barto 2018, example 3.5: off the grid -1, from A to A' +10, from B to B' +5; it never ends."""
    next_state, reward = np.zeros((25, 4), dtype=int), np.zeros((25, 4))
    for row in range(5):
        for column in range(5):
            for action, (down, right) in enumerate([(-1, 0), (1, 0), (0, -1), (0, 1)]):
                y, x, pay = row + down, column + right, 0.0
                if not (0 <= y < 5 and 0 <= x < 5):
                    y, x, pay = row, column, -1.0
                if (row, column) == (0, 1):
                    y, x, pay = 4, 1, 10.0
                if (row, column) == (0, 3):
                    y, x, pay = 2, 3, 5.0
                next_state[row * 5 + column, action], reward[row * 5 + column, action] = y * 5 + x, pay
    return MDP(next_state, reward, terminated=np.zeros((25, 4), dtype=bool))


def random_mdp(seed: int, n_states: int = 40, n_actions: int = 3, n_outcomes: int = 3) -> MDP:
    rng = np.random.default_rng(seed)
    shape = (n_states, n_actions, n_outcomes)
    return MDP(
        rng.integers(0, n_states, shape),
        rng.normal(size=shape),
        terminated=rng.random(shape) < 0.1,
        probability=rng.dirichlet(np.ones(n_outcomes), shape[:2]),
        allowed=(rng.random(shape[:2]) < 0.8) | (np.arange(n_actions) == 0),
        start=rng.dirichlet(np.ones(n_states)),
    )


def test_the_articles_corridor_by_hand() -> None:
    solution = solve(corridor(), 0.9)
    expected = [[3.7512, 4.168], [2.7512, 3.52], [2.168, 2.8], [1.52, 2.0], [0.0, 0.0]]
    np.testing.assert_allclose(solution.q, expected, rtol=0, atol=1e-12)
    assert solution.v.tolist() == solution.q.max(axis=1).tolist()
    assert solution.optimal_actions.tolist() == [[False, True]] * 4 + [[True, True]]
    assert solution.policy.tolist() == [1, 1, 1, 1, 0]
    assert solution.start_value == pytest.approx(4.168, abs=1e-12)
    assert solution.error_bound < 1e-11


def test_discount_zero_leaves_the_rewards() -> None:
    solution = solve(random_mdp(0), 0.0)
    mdp = solution.mdp
    reward = np.where(mdp.allowed, (mdp.probability * mdp.reward).sum(axis=2), -np.inf)
    np.testing.assert_allclose(solution.q, reward, rtol=1e-12)


def test_five_by_five_gridworld_as_published() -> None:
    """Sutton & Barto 2018, figure 3.5 (optimal values and actions, gamma 0.9)."""
    solution = solve(five_by_five(), 0.9)
    published = [
        [22.0, 24.4, 22.0, 19.4, 17.5],
        [19.8, 22.0, 19.8, 17.8, 16.0],
        [17.8, 19.8, 17.8, 16.0, 14.4],
        [16.0, 17.8, 16.0, 14.4, 13.0],
        [14.4, 16.0, 14.4, 13.0, 11.7],
    ]
    assert solution.v.reshape(5, 5).round(1).tolist() == published
    # From A every action is best; in the corner below A' north and east are equally good.
    assert solution.optimal_actions[1].all()
    assert solution.optimal_actions[20].tolist() == [True, False, False, True]
    assert solution.v[1] == pytest.approx(10.0 / (1.0 - 0.9**5), abs=1e-10)


def test_gamblers_problem_as_published() -> None:
    """Sutton & Barto 2018, example 4.3 and figure 4.3: bold play is optimal; undiscounted, with masked stakes."""
    solution = solve(gambler(), 1.0)
    assert solution.v[[25, 50, 75]] == pytest.approx([0.16, 0.4, 0.64], abs=1e-12)
    assert solution.optimal_actions[50, 49]
    assert np.flatnonzero(solution.optimal_actions[51])[0] == 0  # stake 1: the spike beside the middle
    assert solution.q[10, 10:].max() == -np.inf
    assert not solution.optimal_actions[10, 10:].any()


def test_unfair_coin_reaches_a_certain_win_one_unit_at_a_time() -> None:
    """With head probability p above 1/2 timid play is optimal: (1 - r^s) / (1 - r^100), r = (1 - p) / p."""
    ratio = 0.45 / 0.55
    expected = (1.0 - ratio ** np.arange(1, 100)) / (1.0 - ratio**100)
    np.testing.assert_allclose(solve(gambler(0.55), 1.0).v[1:100], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("gamma", [0.3, 0.99, 0.99999])
@pytest.mark.parametrize("epsilon", [0.0, 0.2])
def test_bound_holds_and_tolerance_is_kept(gamma: float, epsilon: float) -> None:
    mdp = random_mdp(7, n_states=600)
    loose = soft_fixed_point(mdp, gamma, epsilon, tolerance=1e-3)
    tight = soft_fixed_point(mdp, gamma, epsilon, tolerance=1e-12)
    assert loose.error_bound <= 1e-3 * np.abs(tight.v).max() * 1.01
    finite = np.isfinite(tight.q)
    gap = np.abs(np.where(finite, loose.q, 0.0) - np.where(finite, tight.q, 0.0)).max()
    assert gap <= loose.error_bound + tight.error_bound


def test_all_ties_are_found_and_no_more() -> None:
    """Two ways round an obstacle of equal length and one that is longer by a step."""
    tied = MDP(
        [[1, 2, 3], [4, 4, 4], [4, 4, 4], [1, 1, 1], [4, 4, 4]],
        [[-1, -1, -1], [0.3, 0.3, 0.3], [0.1 + 0.2, 0, 0], [-1, -1, -1], [0, 0, 0]],
        terminated=np.arange(5)[:, None].repeat(3, axis=1) % 3 != 0,
    )
    solution = solve(tied, 0.9)
    assert 0.1 + 0.2 != 0.3
    assert solution.optimal_actions[0].tolist() == [True, True, False]


def test_tie_rule_is_the_stated_one() -> None:
    q = np.array([[10.0, 9.99, 9.0, -np.inf], [-1.0, -1.0 - 5e-4, -2.0, -3.0]])
    assert best_actions(q, None, 1e-3, 0.0).tolist() == [[True, True, False, False], [True, True, False, False]]
    assert best_actions(q, None, 1e-4, 0.0).tolist() == [[True, False, False, False], [True, False, False, False]]
    assert best_actions(q, None, 1e-4, 0.5)[0].tolist() == [True, True, True, False]
    assert not best_actions(q, q < 9.995, 1e-3, 0.0)[0, 0]


def test_unreachable_states_are_valued_too() -> None:
    mdp = MDP([[2], [0], [2]], [[1.0], [5.0], [0.0]], terminated=[[True], [False], [True]])
    assert mdp.decision_states.tolist() == [True, False, False]
    assert solve(mdp, 0.5).v.tolist() == [1.0, 5.5, 0.0]


def test_terminated_belongs_to_the_outcome() -> None:
    """The same state is entered with and without an end; only the latter bootstraps."""
    mdp = MDP(
        [[1, 1], [2, 2], [2, 2]], [[0, 0], [7, 7], [0, 0]], terminated=[[False, True], [True, True], [True, True]]
    )
    assert solve(mdp, 0.5).q[0].tolist() == [3.5, 0.0]


def test_soft_values_by_hand() -> None:
    """S -> left: -1 and stay, right: 10 and end; V = 0.75 * 10 + 0.25 * (-1 + V * gamma) with epsilon 0.5."""
    mdp = MDP([[0, 1], [1, 1]], [[-1, 10], [0, 0]], terminated=[[False, True], [True, True]])
    for gamma in (0.9, 1.0):
        value = (7.5 - 0.25) / (1.0 - 0.25 * gamma)
        solution = soft_fixed_point(mdp, gamma, 0.5)
        np.testing.assert_allclose(solution.q[0], [-1.0 + gamma * value, 10.0], rtol=1e-12)
        assert solution.v[0] == pytest.approx(value, rel=1e-12)
        assert solution.probabilities()[0].tolist() == [0.25, 0.75]


@pytest.mark.parametrize("gamma", [0.6, 0.95])
def test_soft_fixed_point_is_its_own_policys_value(gamma: float) -> None:
    """P(greedy) = 1 - epsilon + epsilon / A over allowed actions: evaluated by the other code path."""
    mdp = random_mdp(3)
    for epsilon in (0.0, 0.1, 1.0):
        soft = soft_fixed_point(mdp, gamma, epsilon)
        value = evaluate_policy(mdp, soft.probabilities(), gamma)
        np.testing.assert_allclose(soft.v, value.v, rtol=0, atol=1e-10)
        np.testing.assert_allclose(soft.q, value.q, rtol=0, atol=1e-10)


def test_ties_share_the_greedy_probability() -> None:
    mdp = MDP([[1] * 3] * 2, [[4, 4, 1], [0] * 3], terminated=[[True] * 3] * 2, allowed=None)
    assert soft_fixed_point(mdp, 0.9, 0.3).probabilities()[0] == pytest.approx([0.45, 0.45, 0.1])
    masked = MDP([[1] * 3] * 2, [[4, 4, 1], [0] * 3], terminated=[[True] * 3] * 2, allowed=[[1, 0, 1], [1, 1, 1]])
    assert soft_fixed_point(masked, 0.9, 0.3).probabilities()[0] == pytest.approx([0.85, 0.0, 0.15])


def test_exploring_beside_a_cliff_is_worth_less_and_moves_the_policy() -> None:
    """Short way along an edge or long way round: the greedy choice depends on epsilon (SARSA's and Q's paths)."""
    # 0 start, 1 beside the cliff, 2 and 3 the detour, 4 the end; action 1 slips off the cliff in state 1.
    next_state = [[1, 2], [4, 4], [3, 3], [4, 4], [4, 4]]
    reward = [[-1, -1], [-1, -100], [-1, -1], [-1, -1], [0, 0]]
    terminated = [[False, False], [True, True], [False, False], [True, True], [True, True]]
    mdp = MDP(next_state, reward, terminated=terminated)
    assert solve(mdp, 1.0).policy[0] == 0
    assert soft_fixed_point(mdp, 1.0, 0.1).policy[0] == 1


def test_results_are_read_only_and_described() -> None:
    solution = solve(corridor(), 0.9)
    for array in (solution.q, solution.v, solution.optimal_actions, solution.policy):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    text = repr(solution)
    assert "value 4.168" in text
    assert "4.168*" in text
    assert "terminal" in text
    assert len(repr(solve(five_by_five(), 0.9)).splitlines()) < 24
    assert "epsilon=0.1" in repr(soft_fixed_point(corridor(), 0.9, 0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": 1.5}, r"gamma=1\.5 is outside \[0, 1\]"),
        ({"gamma": float("nan")}, "gamma=nan is outside"),
        ({"gamma": "0.9"}, r"gamma='0.9' is not a number in \[0, 1\]"),
        ({"gamma": True}, "gamma=True is not a number"),
        ({"gamma": 0.9, "epsilon": -0.1}, r"epsilon=-0\.1 is outside \[0, 1\]"),
        ({"gamma": 0.9, "tolerance": 0.0}, r"tolerance=0\.0 is outside \(0, 1\)"),
        ({"gamma": 0.9, "tie_tolerance": 2}, r"tie_tolerance=2 is outside \(0, 1\)"),
        ({"mdp": [[0]], "gamma": 0.9}, "mdp is a list, not an MDP"),
    ],
)
def test_bad_input_is_refused(options: dict[str, object], message: str) -> None:
    arguments = {"mdp": corridor(), "epsilon": 0.1, **options}
    with pytest.raises(InvalidInput, match=message):
        soft_fixed_point(**arguments)  # type: ignore[arg-type]


def test_missing_scipy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("qfast.exact")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtra, match=r'pip install "qfast\[study\]"'):
        importlib.import_module("qfast.exact")

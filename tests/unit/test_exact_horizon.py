"""What can be reached within an episode limit."""

import itertools

import numpy as np
import pytest

from qfast.errors import InvalidInput
from qfast.exact import evaluate_within_limit, finite_horizon, solve, success_outcomes
from qfast.model.mdp import MDP


def corridor() -> MDP:
    """The article's corridor of five states; the goal is four steps away."""
    return MDP(
        [[0, 1], [0, 2], [1, 3], [2, 4], [4, 4]],
        [[0, 1], [-1, 1], [-1, 1], [-1, 2], [0, 0]],
        terminated=[[False, False]] * 3 + [[False, True], [True, True]],
    )


def gamble() -> MDP:
    """State 0: a sure small end (1), or a step on; state 1: 5 with probability 0.3, else back to state 0."""
    return MDP(
        [[[2, 2], [1, 1]], [[2, 0], [2, 2]], [[2, 2], [2, 2]]],
        [[[1, 1], [0, 0]], [[5, 0], [0, 0]], [[0, 0], [0, 0]]],
        terminated=[[[True, True], [False, False]], [[True, False], [True, True]], [[True] * 2] * 2],
        probability=[[[1, 0], [1, 0]], [[0.3, 0.7], [1, 0]], [[1, 0], [1, 0]]],
    )


def test_the_corridor_by_hand() -> None:
    for limit, best in [(1, 1), (2, 2), (3, 3), (4, 5), (20, 5)]:
        found = finite_horizon(corridor(), limit, policy=[1, 1, 1, 1, 0])
        assert (found.best_return, found.best_success) == (best, float(limit >= 4))
        assert (found.policy_return, found.policy_success) == (best, float(limit >= 4))
    assert finite_horizon(corridor(), 2).return_by_state.tolist() == [2, 2, 3, 2, 0]


def test_the_best_policy_depends_on_the_steps_left() -> None:
    """Without a limit the gamble is worth 5; with two steps left 1.5, with one step left the sure 1."""
    assert solve(gamble(), 1.0).start_value == pytest.approx(5.0)
    stationary = solve(gamble(), 1.0).policy
    assert stationary.tolist() == [1, 0, 0]
    one, two, three = (finite_horizon(gamble(), n, policy=stationary, keep_actions=True) for n in (1, 2, 3))
    assert [one.best_return, two.best_return] == pytest.approx([1.0, 1.5])
    # Three steps: the gamble, and where it fails the sure end.
    assert three.best_return == pytest.approx(0.3 * 5 + 0.7 * 1)
    assert three.policy_return == pytest.approx(1.5)
    assert three.return_actions is not None
    assert three.return_actions[:, 0].tolist() == [1, 1, 0]
    assert three.best_success == three.policy_success == pytest.approx(0.3)
    assert finite_horizon(gamble(), 4).best_success == pytest.approx(1.0 - 0.7**2)


def test_success_is_the_best_paid_end_that_can_be_met() -> None:
    wins = success_outcomes(gamble())
    assert np.argwhere(wins).tolist() == [[1, 0, 0]]  # not the sure 1, and not state 2's own rows
    endless = MDP([[0]], [[1.0]], terminated=[[False]], max_episode_steps=5)
    assert not success_outcomes(endless).any()
    found = finite_horizon(endless, policy=[0])
    assert (found.limit, found.best_return, found.best_success, found.policy_success) == (5, 5.0, 0.0, 0.0)
    # An end that pays more but is not allowed, impossible, or out of reach does not set the standard.
    mdp = MDP(
        [[[1, 1], [1, 1]], [[1, 1], [1, 1]], [[1, 1], [1, 1]]],
        [[[1, 8], [9, 9]], [[0, 0], [0, 0]], [[7, 7], [7, 7]]],
        terminated=np.ones((3, 2, 2), dtype=bool),
        probability=np.broadcast_to([1.0, 0.0], (3, 2, 2)),
        allowed=[[True, False], [True, True], [True, True]],
    )
    assert finite_horizon(mdp, 1).best_success == 1.0


def test_frozen_lake_as_known() -> None:
    """Slippery 4x4: 14/17 without a limit; 0.7442 within 100 steps, of which the stationary optimum reaches 0.7402.

    The first is the exact solution of the linear system; the others are checked by a matrix power below.
    """
    rows = ["SFFF", "FHFH", "FFFH", "HFFG"]
    cells = "".join(rows)
    next_state = np.zeros((16, 4, 3), dtype=int)
    for s, a, k in itertools.product(range(16), range(4), range(3)):
        move = [(0, -1), (1, 0), (0, 1), (-1, 0)][(a + k - 1) % 4]
        row, column = min(max(s // 4 + move[0], 0), 3), min(max(s % 4 + move[1], 0), 3)
        next_state[s, a, k] = s if cells[s] in "HG" else row * 4 + column
    ends = np.isin(next_state, [i for i, c in enumerate(cells) if c in "HG"])
    goal = (next_state == 15) & (np.arange(16) != 15)[:, None, None]
    mdp = MDP(next_state, goal.astype(float), terminated=ends, max_episode_steps=100)
    assert solve(mdp, 1.0).start_value == pytest.approx(14 / 17, abs=1e-12)
    policy = solve(mdp, 0.99).policy
    found = finite_horizon(mdp, policy=policy)
    assert found.best_return == pytest.approx(0.7442, abs=5e-5)
    chain = np.zeros((16, 16))
    for s, k in itertools.product(range(16), range(3)):
        chain[s, next_state[s, policy[s], k]] += 1 / 3
    expected = np.linalg.matrix_power(chain, 100)[0, 15]
    assert found.policy_return == found.policy_success == pytest.approx(expected, abs=1e-12)
    assert found.best_return >= found.policy_return


def random_mdp(seed: int, n_states: int = 8) -> MDP:
    rng = np.random.default_rng(seed)
    shape = (n_states, 2, 3)
    return MDP(
        rng.integers(0, n_states, shape),
        rng.integers(-2, 3, shape),
        terminated=rng.random(shape) < 0.2,
        probability=rng.dirichlet(np.ones(3), shape[:2]),
        start=rng.dirichlet(np.ones(n_states)),
        max_episode_steps=7,
    )


def test_many_stationary_policies_step_by_step() -> None:
    mdp = random_mdp(1)
    wins = success_outcomes(mdp)
    policies = np.random.default_rng(2).integers(0, 2, (30, 8))[np.random.default_rng(3).integers(0, 30, 60)]
    found = evaluate_within_limit(mdp, policies)
    assert found.limit == 7
    for policy, expected_return, success in zip(policies, found.expected_return, found.success, strict=True):
        value, chance = np.zeros(8), np.zeros(8)
        for _ in range(7):
            new_value, new_chance = np.zeros(8), np.zeros(8)
            for s, k in itertools.product(np.flatnonzero(~mdp.terminal_states), range(3)):
                at = s, policy[s], k
                onward = 0.0 if mdp.terminated[at] else 1.0
                new_value[s] += mdp.probability[at] * (mdp.reward[at] + onward * value[mdp.next_state[at]])
                new_chance[s] += mdp.probability[at] * (wins[at] + onward * chance[mdp.next_state[at]])
            value, chance = new_value, new_chance
        assert (expected_return, success) == pytest.approx((mdp.start @ value, mdp.start @ chance), abs=1e-12)
        one = finite_horizon(mdp, policy=policy)
        assert (one.policy_return, one.policy_success) == pytest.approx((expected_return, success), abs=1e-12)
        assert one.best_return >= expected_return - 1e-12
        assert one.best_success >= success - 1e-12


def test_a_long_limit_is_no_limit() -> None:
    mdp = random_mdp(4)
    costly = MDP(
        mdp.next_state, mdp.reward - 3.0, terminated=mdp.terminated, probability=mdp.probability, start=mdp.start
    )
    unlimited = solve(costly, 1.0)
    limited = finite_horizon(costly, 2_000, policy=unlimited.policy)
    np.testing.assert_allclose(limited.return_by_state, unlimited.v, rtol=0, atol=1e-9)
    assert limited.policy_return == pytest.approx(unlimited.start_value, abs=1e-9)


def test_descriptions() -> None:
    text = repr(finite_horizon(corridor(), 4, policy=[1] * 5))
    assert "best return     5" in text
    assert "policy success  1.000000" in text
    assert "policy" not in repr(finite_horizon(corridor(), 4))
    assert "1 policies, 4 steps" in repr(evaluate_within_limit(corridor(), [[1] * 5], 4))


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (None, "limit=None, and the MDP has no max_episode_steps"),
        (0, "limit=0 is not a whole number of at least 1"),
        (2.5, "limit=2.5 is not"),
        (True, "limit=True is not"),
    ],
)
def test_bad_limits_are_refused(limit: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        finite_horizon(corridor(), limit)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=message):
        evaluate_within_limit(corridor(), [[0] * 5], limit)  # type: ignore[arg-type]

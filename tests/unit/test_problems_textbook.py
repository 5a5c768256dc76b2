"""The textbook problems: shapes by hand, and values by a small value iteration of this file's own."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems import (
    blocking_maze,
    chain,
    cliff_walking,
    corridor,
    dyna_maze,
    four_rooms,
    frozen_lake,
    garnet,
    maximisation_bias,
    random_walk,
    river_swim,
    shortcut_maze,
    taxi,
    windy_gridworld,
)


def optimal_q(mdp: MDP, gamma: float, *, sweeps: int = 100_000) -> NDArray[np.float64]:
    """Value iteration until nothing changes by 1e-12; masked actions have the value minus infinity."""
    v = np.zeros(mdp.n_states)
    for _ in range(sweeps):
        q = (mdp.probability * (mdp.reward + gamma * ~mdp.terminated * v[mdp.next_state])).sum(axis=2)
        if mdp.allowed is not None:
            q[~mdp.allowed] = -np.inf
        new = np.where(mdp.decision_states, q.max(axis=1), 0.0)
        if np.abs(new - v).max() < 1e-12:
            return q
        v = new
    pytest.fail("value iteration does not settle")


def start_value(mdp: MDP, gamma: float = 1.0) -> float:
    return float(mdp.start @ np.where(mdp.decision_states, optimal_q(mdp, gamma).max(axis=1), 0.0))


def test_corridor_is_the_article_s() -> None:
    mdp = corridor()
    assert mdp.next_state[:, :, 0].tolist() == [[0, 1], [0, 2], [1, 3], [2, 4], [4, 4]]
    assert mdp.reward[:, :, 0].tolist() == [[0, 1], [-1, 1], [-1, 1], [-1, 2], [0, 0]]
    assert mdp.terminated[:, :, 0].tolist() == [[False, False]] * 3 + [[False, True], [True, True]]
    assert (mdp.action_names, mdp.state_names, mdp.layout) == (("-1", "1"), ("0", "1", "2", "3", "4"), ("S...G",))
    assert (mdp.start_state, mdp.max_episode_steps, mdp.is_deterministic) == (0, None, True)


def test_corridor_s_true_values() -> None:
    q = optimal_q(corridor(), 0.9)
    assert q[:4, 1] == pytest.approx([4.168, 3.52, 2.8, 2.0])
    assert q[:4, 0] == pytest.approx([0.9 * 4.168, -1 + 0.9 * 4.168, -1 + 0.9 * 3.52, -1 + 0.9 * 2.8])


def test_corridor_s_rewards_can_be_set() -> None:
    mdp = corridor(3, goal=10, forward=-2, back=-3, stay=-4, max_episode_steps=8)
    assert mdp.reward[:, :, 0].tolist() == [[-4, -2], [-3, 10], [0, 0]]
    assert mdp.max_episode_steps == 8
    assert corridor(2).reward[0].ravel().tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: corridor(1), "length=1 is not a whole number of at least 2"),
        (lambda: corridor(2.5), "length=2.5 is not a whole number"),
        (lambda: corridor(goal=float("nan")), "goal=nan is not finite"),
        (lambda: random_walk(4), "n_states=4 is even"),
        (lambda: chain(1), "n_states=1 is not a whole number of at least 2"),
        (lambda: chain(slip=2), r"slip=2 is outside \[0, 1\]"),
        (lambda: chain(max_episode_steps=None).check_ends(), "no outcome that ends the episode"),
        (lambda: river_swim(2), "n_states=2 is not a whole number of at least 3"),
        (lambda: windy_gridworld(moves="queen"), "moves='queen' is unknown; use one of 'four', 'king'"),
        (lambda: frozen_lake("5x5"), "desc='5x5' is unknown; use one of '4x4', '8x8'"),
        (lambda: frozen_lake(slip=-0.1), "slip=-0.1 is outside"),
        (lambda: four_rooms(goal=(0, 0)), r"goal=\(0, 0\) is a wall"),
        (lambda: four_rooms(start=(7, 9)), r"start=\(7, 9\) is the goal"),
        (lambda: four_rooms(goal=(13, 0)), r"goal=\(13, 0\) is outside"),
        (lambda: four_rooms(goal="east"), "goal='east' is no cell"),
        (lambda: four_rooms(slip=1.1), "slip=1.1 is outside"),
        (lambda: maximisation_bias(1), "n_actions=1 is not a whole number of at least 2"),
        (lambda: garnet(3, 2, 4), "branching=4 is above n_states=3"),
        (lambda: garnet(seed=-1), "seed=-1 is not a whole number of at least 0"),
        (lambda: garnet(reward_std=-1.0), "is negative"),
    ],
)
def test_bad_options(build: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        build()


@pytest.mark.parametrize(
    ("mdp", "value"),
    [
        (cliff_walking(), -13.0),
        (windy_gridworld(), -15.0),
        (windy_gridworld(moves="king"), -7.0),
        (windy_gridworld(moves="king_and_stay"), -7.0),
        (frozen_lake(), 14 / 17),
        (frozen_lake(slip=0.0), 1.0),
        (frozen_lake("8x8"), 1.0),
        (taxi(), 7.93),
        (maximisation_bias(), 0.0),
    ],
)
def test_known_optimal_returns(mdp: MDP, value: float) -> None:
    assert start_value(mdp) == pytest.approx(value, abs=1e-6 if value != 7.93 else 5e-3)


@pytest.mark.parametrize(("mdp", "value"), [(frozen_lake(), 0.74), (frozen_lake("8x8", max_episode_steps=200), 0.91)])
def test_known_optimal_success_within_the_limit(mdp: MDP, value: float) -> None:
    v = np.zeros(mdp.n_states)
    assert mdp.max_episode_steps is not None
    for _ in range(mdp.max_episode_steps):
        v = (mdp.probability * (mdp.reward + ~mdp.terminated * v[mdp.next_state])).sum(axis=2).max(axis=1)
    assert v[0] == pytest.approx(value, abs=5e-3)


@pytest.mark.parametrize(
    ("mdp", "n_states", "steps"),
    [
        (dyna_maze(), 47, 14),
        (blocking_maze(), 46, 10),
        (blocking_maze(after=True), 46, 16),
        (shortcut_maze(), 46, 16),
        (shortcut_maze(after=True), 47, 10),
        (four_rooms(slip=0.0), 104, 14),
    ],
)
def test_mazes_have_their_shortest_ways(mdp: MDP, n_states: int, steps: int) -> None:
    assert mdp.n_states == n_states
    assert mdp.is_deterministic
    assert start_value(mdp, 0.95) == pytest.approx(0.95 ** (steps - 1))


def test_windy_gridworld_by_hand() -> None:
    mdp = windy_gridworld()
    name = {n: s for s, n in enumerate(mdp.state_names)}
    left, down, right, up = range(4)
    for cell, action, entered in [
        ("3,0", left, "3,0"),
        ("3,3", right, "2,4"),  # the wind of the column left, 1
        ("3,6", right, "1,7"),  # 2
        ("4,8", left, "3,7"),  # 1, into the goal
        ("1,7", down, "0,7"),
        ("0,6", up, "0,6"),
        ("6,9", down, "6,9"),
    ]:
        assert mdp.next_state[name[cell], action, 0] == name[entered]
    assert mdp.terminated[name["4,8"], left, 0]
    ways_in = {
        (mdp.state_names[s], a) for s, a, _ in np.argwhere(mdp.terminated).tolist() if mdp.state_names[s] != "3,7"
    }
    assert ways_in == {("4,8", left), ("4,7", down), ("5,6", right), ("6,7", up)}


def test_stochastic_wind_is_equally_likely_and_spares_calm_columns() -> None:
    mdp = windy_gridworld(moves="king", stochastic_wind=True)
    name = {n: s for s, n in enumerate(mdp.state_names)}
    assert np.all(mdp.probability == 1 / 3)
    assert mdp.next_state[name["4,8"], 0].tolist() == [name["4,7"], name["3,7"], name["2,7"]]
    assert len(set(mdp.next_state[name["3,0"], 2].tolist())) == 1


def test_random_walk_values() -> None:
    assert optimal_q(random_walk(), 1.0)[1:6, 0] == pytest.approx(np.arange(1, 6) / 6)
    nineteen = random_walk(19, left=-1)
    assert optimal_q(nineteen, 1.0)[1:20, 0] == pytest.approx(np.arange(-9, 10) / 10)
    assert (nineteen.start_state, nineteen.terminal_states.nonzero()[0].tolist()) == (10, [0, 20])


def test_chain_and_river_swim_are_worth_the_patience() -> None:
    patient = optimal_q(chain(), 0.99)
    assert np.all(patient[:, 0] > patient[:, 1])
    swim = optimal_q(river_swim(), 0.95)
    assert np.all(swim[:, 1] > swim[:, 0])
    assert chain(slip=0.0).is_deterministic
    assert chain(slip=1.0).next_state[2, 0].tolist() == [0]


def test_river_swim_rows() -> None:
    mdp = river_swim()
    assert mdp.probability[:, 1].tolist() == [[0, 0.7, 0.3]] + [[0.1, 0.6, 0.3]] * 4 + [[0.7, 0.3, 0]]
    assert mdp.next_state[5, 1].tolist() == [4, 5, 5]
    assert mdp.reward[5, 1, 1] == 10_000
    assert mdp.reward.sum() == 10_000 + 3 * 5
    assert mdp.start.tolist() == [0, 0.5, 0.5, 0, 0, 0]


def test_maximisation_bias_rewards() -> None:
    mdp = maximisation_bias(7, mean=-0.3, std=2.0, n_outcomes=32)
    q = optimal_q(mdp, 1.0)
    assert q[0, :2] == pytest.approx([-0.3, 0.0])
    assert q[1] == pytest.approx(np.full(7, -0.3))
    assert mdp.reward[1, 3].std() == pytest.approx(2.0, rel=0.01)
    assert mdp.terminal_states.tolist() == [False, False, True]


def test_four_rooms_slip_and_starts() -> None:
    mdp = four_rooms()
    centre = mdp.state_names.index("2,2")
    by_state = {
        mdp.state_names[s]: p for s, p in zip(mdp.next_state[centre, 0], mdp.probability[centre, 0], strict=True)
    }
    assert by_state == pytest.approx({"2,1": 2 / 3, "3,2": 1 / 9, "2,3": 1 / 9, "1,2": 1 / 9})
    assert mdp.state_names[62] == "7,9"
    assert mdp.terminal_states.nonzero()[0].tolist() == [62]
    anywhere = four_rooms(start=None)
    assert anywhere.start_state is None
    assert (anywhere.start > 0).sum() == 103
    assert anywhere.start[62] == 0


def test_taxi_states() -> None:
    mdp = taxi()
    assert (mdp.start > 0).sum() == 300
    assert mdp.decision_states.sum() == 400
    assert mdp.terminal_states.nonzero()[0].tolist() == [0, 85, 410, 475]


def test_garnet_is_seeded_and_has_its_shape() -> None:
    mdp = garnet(50, 3, 5, seed=4)
    assert (mdp.n_states, mdp.n_actions, mdp.n_outcomes) == (50, 3, 5)
    assert np.all(np.diff(np.sort(mdp.next_state, axis=2), axis=2) > 0)  # next states of a row differ
    assert garnet(50, 3, 5, seed=4) == mdp
    assert garnet(50, 3, 5, seed=5) != mdp
    assert garnet(5, 2, 5).n_outcomes == 5
    assert garnet(5, 2, 1).is_deterministic


def test_garnet_next_states_are_uniform() -> None:
    # 3,000 rows of 2 out of 6: each state is expected 1,000 times with standard deviation below 26; 6 sigma are
    # exceeded by chance less than once in 10^8.
    mdp = garnet(6, 500, 2, seed=11)
    counts = np.bincount(mdp.next_state.ravel(), minlength=6)
    assert np.abs(counts - 1000).max() < 6 * 26
    cuts = mdp.probability[:, :, 0]  # uniform on [0, 1]: standard error of the mean 0.289 / sqrt(3000) = 0.0053
    assert abs(cuts.mean() - 0.5) < 6 * 0.0053
    assert abs(mdp.reward[:, :, 0].std() - 1.0) < 6 / np.sqrt(2 * 3000)

"""Environments with continuous states as tables of cells."""

import numpy as np
import pytest

import qfast
from qfast.errors import Interrupted, InvalidInput
from qfast.problems.environments.discretise import Cells

gym = pytest.importorskip("gymnasium")
spaces = gym.spaces


class Sliding(gym.Env):
    """A point on the line from 0 to 4: one unit left or right; the end is beyond 3.5, and pays where it is."""

    def __init__(self):
        self.observation_space = spaces.Box(0, 4, (1,), np.float64)
        self.action_space = spaces.Discrete(2)
        self.state = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = self.np_random.random(1)
        return self.state.copy(), {}

    def step(self, action):
        self.state = np.clip(self.state + (1 if action else -1), 0, 4)
        end = bool(self.state[0] > 3.5)
        return self.state.copy(), float(self.state[0]) if end else 0.0, end, False, {}


def cut(env, bins, **options):
    return qfast.discretise(env, bins, **{"samples": 200, "progress": False, "max_episode_steps": 50, **options})


def test_cells_of_a_line():
    table = cut(Sliding, 4)
    assert table.states == ((0,), (1,), (2,), (3,))
    assert table.name == "Sliding in 4 cells"
    assert table.start_state == 0
    assert (table.counts == 200).all()
    assert table.next_state[1, 1, table.probability[1, 1] > 0].tolist() == [2]
    # From the third cell, 2 to 3, one step right ends in half of all points, and pays 3.75 on average.
    ends = table.terminated[2, 1]
    share = table.probability[2, 1][ends].sum()
    assert abs(share - 0.5) < 5 * np.sqrt(0.25 / 200)
    assert table.reward[2, 1][ends][0] == pytest.approx(3.75, abs=5 * 0.5 / np.sqrt(12 * 100))
    assert cut(Sliding, 4) == table
    assert cut(Sliding, 4, seed=1) != table


def test_edges_and_what_lies_beyond_them():
    env = Sliding()
    env.reset(seed=0)
    cells = Cells(env, [[1.0, 2.0, 2.5, 3.0]])
    for x, cell in ((0.0, 0), (1.0, 0), (1.99, 0), (2.0, 1), (2.6, 2), (3.0, 2), (4.0, 2)):
        env.state = np.array([x])
        assert cells.label(env) == (cell,), x
    points = cells.points((1,), 100, np.random.default_rng(0))
    assert points.shape == (100, 1)
    assert points.min() >= 2.0
    assert points.max() <= 2.5


def test_a_finer_table_promises_what_the_environment_keeps():
    bins = 40
    table = cut(Sliding, bins, samples=50)
    best = qfast.exact.solve(table, 0.99)
    seen = qfast.replay(best, Sliding, bins=bins, episodes=200, progress=False)
    assert seen.success_of().value > 0
    assert seen.promised_returns[0] == pytest.approx(seen.returns.mean(), abs=0.15)
    assert not seen.lost.any()


def test_mountain_car_is_climbed():
    table = qfast.discretise("MountainCar-v0", 30, samples=20, progress=False)
    assert table.max_episode_steps == 200
    best = qfast.exact.solve(table, 0.99)
    seen = qfast.replay(best, "MountainCar-v0", bins=30, episodes=10, progress=False)
    assert -200 < seen.returns.mean() < seen.promised_returns[0]  # coarse cells promise too much, and -200 is nothing


def test_cart_pole_warns_of_nothing():
    bins = [[-2.4, 0, 2.4], [-3, 0, 3], np.linspace(-0.21, 0.21, 5), [-2, -0.5, 0.5, 2]]
    table = qfast.discretise("CartPole-v1", bins, samples=10, progress=False)
    assert table.max_episode_steps == 500
    assert table.terminated[table.decision_states].any()


class Secretive(Sliding):
    """Its state is not all there is."""

    n = 0

    def step(self, action):
        self.n += 1
        self.state = self.state + 0.01 * self.n
        return super().step(action)


@pytest.mark.parametrize(
    ("env", "bins", "options", "message"),
    [
        ("CartPole-v1", 6, {}, r"bins\[1\]=6, but nothing says from where to where variable 1 goes \(-inf to inf\)"),
        ("CartPole-v1", [3, 3], {}, "bins is a list; give a number of cells, or for each of the 4 variables"),
        ("MountainCar-v0", 0, {}, r"bins\[0\]=0 is not a whole number of at least 1"),
        ("MountainCar-v0", [[0, 1, 1], 3], {}, r"bins\[0\] is no list of two or more increasing edges"),
        ("MountainCar-v0", "ten", {}, "bins is 'ten'; give"),
        ("FrozenLake-v1", 3, {}, "FrozenLakeEnv has no attribute `state` as classic control has"),
        ("Pendulum-v1", 3, {}, "action space Box.* is none that a table can list"),
        (Secretive, 3, {}, "one step from one state led to two states"),
        (Sliding, 3, {"get_state": lambda env: env.unwrapped.state}, "belong together"),
        (
            Sliding, 3, {"get_state": lambda env: env.unwrapped.state, "set_state": lambda env, point: None},
            "does not hold|set_state does not set|led to two states",
        ),
        (Sliding, 100, {"max_states": 10}, "more than max_states=10 cells"),
        (Sliding, 3, {"samples": 0}, "samples=0"),
    ],
)  # fmt: skip
def test_what_is_refused(env, bins, options, message):
    with pytest.raises(InvalidInput, match=message):
        cut(env, bins, **options)


def test_ctrl_c():
    def stop(event):
        if event.done > 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"stopped; \d+ cells were done"):
        cut(Sliding, 1000, samples=500, progress=stop)

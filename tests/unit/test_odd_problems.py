"""Problems in odd forms: what would be a wrong table, or no end, is refused in one sentence or read as it is meant."""

import random
from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest

import qfast
from qfast.errors import InvalidInput

RNG = np.random.default_rng(1)
P, R = RNG.dirichlet(np.ones(3), size=(3, 3)), RNG.normal(size=(3, 3))


def values(mdp):
    return qfast.exact.solve(mdp, 0.9).v


def test_axes_count_for_lists_as_well():
    expected = values(qfast.from_matrices(P, R, axes="SAS"))
    np.testing.assert_array_equal(values(qfast.from_matrices(list(P), R, axes="SAS")), expected)
    sparse = [pytest.importorskip("scipy.sparse").csr_array(matrix) for matrix in P]
    np.testing.assert_array_equal(values(qfast.from_matrices(sparse, R, axes="SAS")), expected)


def test_marks_that_are_no_booleans():
    even = np.full((2, 4, 4), 0.25)
    with pytest.raises(InvalidInput, match="terminal names 0 twice; name each state once, or give marks as booleans"):
        qfast.from_matrices(even, np.zeros((4, 2)), terminal=np.array([0, 0, 0, 1]), start=2)


def test_no_way_is_minus_infinity_too():
    ways = np.array([[-1, 0, 5], [-1, -1, 100], [-1, -1, -1]], float)
    rooms = [qfast.from_graph(np.where(ways == -1, mark, ways), goal=2) for mark in (-1, -np.inf)]
    assert values(rooms[0]).tolist() == values(rooms[1]).tolist() == [90.0, 100.0, 0.0]


def test_what_cannot_happen_names_no_state():
    def step(state, action):
        return [(1.0, state + 1, -1.0, state == 2), (0.0, state + 100, 5.0, False)]

    assert qfast.from_step(step, 0, [0]).states == (0, 1, 2, 3)
    table = {0: {0: [(1.0, 0, 3.0, True), (0.0, 9, 1.0, False)]}}
    assert qfast.from_P(table).n_states == 1


def test_numbers_that_are_too_large():
    with pytest.raises(InvalidInput, match=r"a_indices.* makes 1,000,000,001 actions"):
        qfast.from_matrices(np.eye(3), np.zeros(3), s_indices=[0, 1, 2], a_indices=[0, 0, 10**9])
    with pytest.raises(InvalidInput, match="reward"):
        qfast.from_step(lambda state, _: (state, 10**400, True), 0, [0])


gymnasium = pytest.importorskip("gymnasium")


class Masked(gymnasium.Env):
    """Shows a mask in which nothing is allowed."""

    observation_space, action_space = gymnasium.spaces.Discrete(6), gymnasium.spaces.Discrete(2)

    def __init__(self, size=6):
        self.size = size

    def reset(self, *, seed=None, options=None):
        return 0, {"action_mask": [0, 0]}

    def step(self, action):
        return 0, 0.0, True, False, {}


def test_a_start_that_allows_nothing():
    with pytest.raises(InvalidInput, match="allows no action in any state that episodes begin in"):
        qfast.from_env(Masked, max_episode_steps=50, progress=False)


class Needy(Masked):
    def __init__(self, size):
        raise ValueError(f"no size {size}")


def test_a_class_that_cannot_be_made():
    with pytest.raises(InvalidInput, match=r"env, a class, raised TypeError: .*size"):
        qfast.from_env(Needy, progress=False)


class Slots:
    __slots__ = ("rng",)

    def __init__(self):
        self.rng = random.Random(0)


@dataclass(slots=True)
class Data:
    rng: random.Random


class Coin(gymnasium.Env):
    """Pays 1 or 0 by a stream that is hidden in something."""

    observation_space, action_space = gymnasium.spaces.Discrete(3), gymnasium.spaces.Discrete(2)

    def __init__(self, hidden):
        self.hidden = hidden

    def reset(self, *, seed=None, options=None):
        self.state = 0
        return 0, {}

    def step(self, action):
        self.state += 1
        rng = self.hidden[0] if isinstance(self.hidden, deque) else self.hidden.rng
        return self.state, float(rng.random() < 0.5), self.state == 2, False, {}


@pytest.mark.parametrize("hide", [Slots, lambda: Data(random.Random(0)), lambda: deque([random.Random(0)])])
def test_streams_are_found_wherever_they_are(hide):
    mdp = qfast.from_env(lambda: Coin(hide()), samples=400, max_episode_steps=50, progress=False)
    assert not mdp.is_deterministic
    mean = (mdp.probability * mdp.reward).sum(axis=2)[mdp.decision_states]
    assert (abs(mean - 0.5) < 0.12).all()

"""Environments as people write them, small ones, for the tests of what looks into environments."""

import copy
import random
import threading

import gymnasium as gym
import numpy as np
from gymnasium import spaces

MOVES = ((0, 1), (1, 0), (0, -1), (-1, 0))


class DictGrid(gym.Env):
    """A square with an agent and a target; the observation is a Dict of two arrays."""

    def __init__(self, size=4, *, fixed_target=None, slip=0.0):
        self.size, self.fixed_target, self.slip = size, fixed_target, slip
        cell = spaces.Box(0, size - 1, (2,), np.int64)
        self.observation_space = spaces.Dict({"target": cell, "agent": cell})
        self.action_space = spaces.Discrete(4)

    def _seen(self):
        return {"target": self._target.copy(), "agent": self._agent.copy()}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._agent = self.np_random.integers(0, self.size, 2)
        self._target = self._agent
        if self.fixed_target is not None:
            self._agent, self._target = np.array([0, 0]), np.array(self.fixed_target)
        while (self._agent == self._target).all():
            self._target = self.np_random.integers(0, self.size, 2)
        return self._seen(), {}

    def step(self, action):
        if self.slip and self.np_random.random() < self.slip:
            action = self.np_random.integers(4)
        self._agent = np.clip(self._agent + MOVES[int(action)], 0, self.size - 1)
        done = bool((self._agent == self._target).all())
        return self._seen(), 1.0 if done else -0.1, done, False, {}


class Line(gym.Env):
    """Cells 0 … n-1 in a row, both ways; the end is the last cell. What other environments here begin with."""

    n = 6

    def __init__(self):
        self.observation_space = spaces.Discrete(self.n)
        self.action_space = spaces.Discrete(2)
        self.at = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self.at, {}

    def step(self, action):
        self.at = min(max(self.at + (1 if action == 1 else -1), 0), self.n - 1)
        done = self.at == self.n - 1
        return self.at, float(done), done, False, {}


class Keyed(Line):
    """The door at the end opens only for who was at cell 0 with action 0, where the key lies; nobody sees it."""

    def reset(self, *, seed=None, options=None):
        self.has_key = False
        return super().reset(seed=seed)

    def step(self, action):
        if self.at == 0 and action == 0:
            self.has_key = True
        if self.at == self.n - 2 and action == 1 and not self.has_key:
            return self.at, 0.0, False, False, {}
        return super().step(action)


class Fading(Line):
    """The reward of the goal fades with the steps taken, as MiniGrid's does."""

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return super().reset(seed=seed)

    def step(self, action):
        self.count += 1
        at, reward, done, _, info = super().step(action)
        return at, reward * (1 - 0.9 * self.count / 100), done, self.count >= 100, info


class Rounding(Line):
    """Pays the difference of two sums, which rounding makes depend on the way."""

    def reset(self, *, seed=None, options=None):
        self.total = 0.0
        return super().reset(seed=seed)

    def step(self, action):
        before = self.total
        at, reward, done, _, info = super().step(action)
        self.total += 0.1 + reward
        return at, self.total - before, done, False, info


class SharedCopy(Line):
    """Copies share the place with their original, as those of environments that wrap a library do."""

    def __init__(self):
        super().__init__()
        self.place = [0]

    def __deepcopy__(self, memo):
        new = copy.copy(self)
        memo[id(self)] = new
        return new  # `place` is the same list

    def reset(self, *, seed=None, options=None):
        self.place[0] = 0
        return super().reset(seed=seed)

    def step(self, action):
        self.at = self.place[0]
        result = super().step(action)
        self.place[0] = self.at
        return result


class ForgetfulCopy(Line):
    """Copies forget how far they are, from cell 4 on: the first places are copied well."""

    n = 12

    def __deepcopy__(self, memo):
        new = type(self)()
        new.at = self.at if self.at < 4 else 0
        new._np_random = copy.deepcopy(self._np_random, memo)
        return new


class NoCopy(Line):
    """Holds what cannot be copied."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class NoWayBack(NoCopy):
    """Can be neither copied nor replayed: it draws where no seed reaches."""

    def __init__(self):
        super().__init__()
        self.secret = random.SystemRandom()

    def step(self, action):
        return super().step(self.secret.randrange(2))


class Slippery(Line):
    """A step slips with probability 0.2; the numbers come from `source`."""

    def __init__(self, source="own"):
        super().__init__()
        self.source = source
        self.mine = random.Random(1)

    def step(self, action):
        u = {
            "own": self.np_random.random,
            "random": random.random,
            "numpy": np.random.random,
            "attribute": self.mine.random,
        }[self.source]()
        return super().step(1 - action if u < 0.2 else action)


class Counting(Line):
    """The observation counts the steps: there is no end of states."""

    def step(self, action):
        self.at += 1
        return self.at, 0.0, False, False, {}


class Round(Line):
    """Goes round for ever."""

    def step(self, action):
        self.at = (self.at + (1 if action == 1 else -1)) % self.n
        return self.at, float(self.at == 0), False, False, {}


class Impatient(Round):
    """Truncates by itself after some steps, counted where nobody sees it."""

    def __init__(self, patience=20):
        super().__init__()
        self.patience = patience

    def reset(self, *, seed=None, options=None):
        self.left = self.patience
        return super().reset(seed=seed)

    def step(self, action):
        self.left -= 1
        at, reward, *_ = super().step(action)
        return at, reward, False, self.left <= 0, {}


class Moody(Impatient):
    """Truncates after as many steps as it has gone right."""

    def step(self, action):
        self.left += action == 0
        return super().step(action)


class Days(gym.Env):
    """A price a day; the day is seen, and after the last one the environment truncates and has no more prices."""

    prices = (1.0, 3.0, 2.0, 5.0, 4.0)

    def __init__(self):
        self.observation_space = spaces.MultiDiscrete([6, 2])
        self.action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.day, self.has = 0, 1
        return np.array([0, 1]), {}

    def step(self, action):
        reward = self.prices[self.day] * (action == 1 and self.has)
        self.has = int(self.has and action != 1)
        self.day += 1
        return np.array([self.day, self.has]), reward, False, self.day == len(self.prices), {}


class Masked(Line):
    """The ends have one way only, and the other raises."""

    def _mask(self):
        return {"action_mask": np.array([self.at > 0, True], np.int8)}

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0], self._mask()

    def step(self, action):
        if not self._mask()["action_mask"][action]:
            raise ValueError("this way is a wall")
        at, reward, done, _, _ = super().step(action)
        return at, reward, done, False, self._mask()


class Boxes(gym.Env):
    """Three lamps, each switched by one part of a composed action; all on is the end."""

    def __init__(self, action_space):
        self.action_space = action_space
        self.observation_space = spaces.MultiBinary(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.lamps = np.zeros(3, np.int8)
        return self.lamps.copy(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        flat = np.concatenate([np.atleast_1d(np.asarray(part)).ravel() for part in np.atleast_1d(action)]) \
            if not isinstance(action, tuple) else np.concatenate([np.atleast_1d(part).ravel() for part in action])
        self.lamps = (self.lamps + flat[:3]) % 2
        done = bool(self.lamps.all())
        return self.lamps.copy(), float(done), done, False, {}


class FaceDown(Line):
    """A coin is thrown at the reset and lies covered; action 0 peeps at cell 0 without a word, action 1 bets on it."""

    def reset(self, *, seed=None, options=None):
        at = super().reset(seed=seed)
        self.coin = int(self.np_random.integers(2))
        return at

    def step(self, action):
        if action == 0:
            self.at = 1 - self.at
            return self.at, 0.0, False, False, {}
        return self.at, 2.0 * self.coin - 1, True, False, {}


class Settable(NoCopy):
    """Its place can be read and set; it cannot be copied."""

    def get(self):
        return {"at": self.at}

    def set(self, value):
        self.at = value["at"]

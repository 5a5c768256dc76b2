"""Problems that the command line gets from environments and from Python files."""

import json

import pytest

FILE = """
import gymnasium, numpy as np, qfast
from gymnasium import spaces
from beside import SIZE

class Room(gymnasium.Env):
    observation_space = spaces.Dict({"agent": spaces.MultiDiscrete([9, 9])})
    action_space = spaces.Discrete(2)

    def __init__(self, size=SIZE, slip=0.0):
        self.size, self.slip = size, slip

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = np.zeros(2, int)
        return {"agent": self.at.copy()}, {}

    def step(self, action):
        if self.slip and self.np_random.random() < self.slip:
            action = 1 - action
        self.at[action] = min(self.at[action] + 1, self.size - 1)
        done = bool((self.at == self.size - 1).all())
        return {"agent": self.at.copy()}, float(done), done, False, {}

def shop(rooms=3):
    return qfast.from_step(lambda s, a: (s + a, float(a), s + a == rooms), 0, [0, 1])

ready = qfast.corridor(7)
"""


@pytest.fixture(autouse=True)
def file(tmp_path):
    pytest.importorskip("gymnasium")
    (tmp_path / "beside.py").write_text("SIZE = 3\n")
    (tmp_path / "my_env.py").write_text(FILE)
    (tmp_path / "bad.py").write_text("x = 1\ny = x / 0\n")


def described(command, *arguments):
    done = command("problems", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "name", "n_states"),
    [
        (["my_env.py:Room"], "Room", 9),
        (["my_env.py:Room", "--env", "size=4"], "Room", 16),
        (["my_env.py:shop"], "shop", 4),
        (["my_env.py:shop", "--env", "rooms=5"], "shop", 6),
        (["my_env.py:ready"], "corridor", 7),
        (["FrozenLake-v1", "--env", "map_name=8x8", "--env", "is_slippery=False"], "FrozenLake-v1", 64),
    ],
)
def test_what_a_name_means(command, arguments, name, n_states):
    told = described(command, *arguments)
    assert told["name"] == name
    assert told["n_states"] == n_states


def test_agents_learn_in_an_environment_of_the_users(command):
    done = command("train", "my_env.py:Room", "--env", "size=2", "--agents", 64, "--episodes", 50, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["problem"]["states"][0] == [["agent", [0, 0]]]


def test_agents_act_where_they_learned(command):
    command("train", "my_env.py:Room", "--env", "size=2", "--agents", 64, "--episodes", 50, "--out", "room.npz")
    where = ("my_env.py:Room", "--env", "size=2", "--episodes", 5)
    done = command("replay", "room.npz", *where)
    assert done.stdout.startswith("Replay of 10 agents, 5 episodes each, at most 16 steps\n"), done.stderr
    told = json.loads(command("replay", "room.npz", *where, "--agent", 3, "--json").stdout)
    assert told["agents"] == [3]
    assert told["returns"] == told["promised_returns"] == [1.0]
    lost = json.loads(command("replay", "room.npz", "my_env.py:Room", "--agent", 3, "--json").stdout)
    assert lost["lost"] == [1.0]  # a larger room, whose states the table does not know
    assert "Gymnasium cannot make 'Room'" in command("replay", "room.npz").stderr


def test_random_environments_need_samples(command):
    done = command("problems", "my_env.py:Room", "--env", "slip=0.2")
    assert done.returncode == 2
    assert "Room is random" in done.stderr
    sampled = described(command, "my_env.py:Room", "--env", "slip=0.2", "--samples", 50)
    assert sampled["n_states"] == 9


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["my_env.py"], "my_env.py may make several problems; name what to learn, as in my_env.py:Room (it has Room, "),
        (["my_env.py:Rooms"], "my_env.py has no Rooms; name what to learn"),
        (["no.py:Room"], "there is no file no.py in "),
        (["bad.py:x"], "bad.py raised ZeroDivisionError in line 2: division by zero; mend the file"),
        (["my_env.py:ready", "--env", "n=3"], "my_env.py:ready is there already, and takes no options"),
        (["my_env.py:Room", "--env", "sloop=0.2"], "unexpected keyword argument 'sloop'"),
        (["corridor", "--env", "size=3"], "'corridor' takes no options of an environment (size)"),
        (["my_env.py:Room", "--env", "size"], "'size' is no option of an environment; give one as key=value"),
        (["CartPole-v1"], "use qfast.discretise(env, bins)"),
    ],
)
def test_what_cannot_be(command, arguments, told):
    done = command("problems", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr

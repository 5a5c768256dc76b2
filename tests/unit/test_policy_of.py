"""A learned policy as a dict from the user's states to the user's actions."""

from typing import Any

import numpy as np
import pytest
from made_runs import made_run

import qfast

ROOMS = [("A", 0), ("B", 0), ("B", 1), "out", "nowhere"]
TABLES: dict[str, Any] = {
    "next_state": [[1, 0], [2, 0], [3, 1], [3, 3], [4, 4]],
    "reward": [[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]],
    "terminated": [[0, 0], [0, 0], [1, 0], [1, 1], [1, 1]],
}


def rooms(q: Any, **settings: Any) -> qfast.Run:
    return made_run(qfast.MDP(**TABLES, states=ROOMS, actions=["go", None], max_episode_steps=50), q, **settings)


def test_states_and_actions_are_the_users_own() -> None:
    policy = rooms([[[1, 0], [0, 1], [1, 0], [5, 9], [9, 5]]]).policy_of(0)
    assert policy == {("A", 0): "go", ("B", 0): None, ("B", 1): "go"}  # neither the end nor what is never reached
    assert list(policy) == ROOMS[:3]


def test_numbers_are_python_s() -> None:
    policy = qfast.train(n_agents=2, episodes=100, seed=0, progress=False).policy_of(-1)
    assert {type(value) for pair in policy.items() for value in pair} == {int}


@pytest.mark.parametrize(("ties", "action"), [("first", "go"), ("last", None), ("random", "go")])
def test_ties(ties: str, action: Any) -> None:
    assert set(rooms(np.zeros((2, 5, 2)), ties=ties).policy_of(1).values()) == {action}


def test_it_is_the_policy_of_that_agent(tmp_path: Any) -> None:
    run = rooms(np.random.default_rng(0).random((40, 5, 2)))
    loaded = qfast.load(run.save(tmp_path / "run.npz"))
    for agent in (0, 17, 39):
        mine = [loaded.mdp.actions.index(action) for action in loaded.policy_of(agent).values()]
        assert np.array_equal(mine, run.policy()[agent, :3])


def test_what_cannot_be() -> None:
    with pytest.raises(qfast.InvalidInput, match="agent=3 does not exist"):
        rooms(np.zeros((3, 5, 2))).policy_of(3)
    with pytest.raises(qfast.InvalidInput, match="was not kept"):
        qfast.train(n_agents=3, episodes=2, keep_q=False, progress=False).policy_of(0)

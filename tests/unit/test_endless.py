"""Agents that explore no more, in problems whose episodes have no limit: refused, or warned of."""

import warnings

import numpy as np
import pytest

from qfast import corridor, exponential, linear
from qfast.errors import InvalidInput, MissingLimitWarning
from qfast.model.learner import make_learner
from qfast.training_checks import check_problem

CORRIDOR = corridor()  # its largest reward is 2


def check(mdp=CORRIDOR, **settings):
    check_problem(mdp, make_learner(n_agents=3, episodes=10, **settings))


def softmax(temperature):
    return {"explore": "softmax", "temperature": temperature}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 0.0}, "epsilon=0 without max_episode_steps may go round in circles .* at least 1e-7"),
        ({"epsilon": 1e-9}, "may go round in circles"),
        ({"epsilon": [0.1, 0.0, 0.1]}, "may go round in circles"),
        ({"epsilon": linear(0.0, 0.1)}, "may go round in circles"),
        ({"explore": "greedy"}, "may go round in circles"),
        ({"explore": "ucb", "c": 0.0}, "c=0 without max_episode_steps"),
        (softmax(1e-4), r"temperature=0\.0001 without max_episode_steps .* a temperature of at least 0\.0002"),
        (softmax([1.0, 1e-6, 1.0]), "may go round in circles"),
        (softmax(linear(1e-5, 1.0)), "may go round in circles"),
    ],
)
def test_agents_that_never_explore_are_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        check(**settings)
    check(CORRIDOR.with_limit(100), **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": linear(0.5, 0.0)}, "epsilon reaches 0 in episode 9, and there is no max_episode_steps"),
        (softmax(exponential(1.0, 1e-6)), "temperature reaches less than 0.0002, .* in episode 6, and there is no"),
    ],
)
def test_agents_that_stop_exploring_are_warned_of(settings, message):
    with pytest.warns(MissingLimitWarning, match=message):
        check(**settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(CORRIDOR.with_limit(100), **settings)


@pytest.mark.parametrize("settings", [{"epsilon": 1e-6}, softmax(2.1e-4), softmax(np.full(3, 0.01))])
def test_little_exploration_is_enough(settings):
    check(**settings)

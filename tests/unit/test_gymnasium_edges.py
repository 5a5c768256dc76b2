"""Gymnasium's odd environments: what fails, what is wrapped, and maps that are none."""

import pytest

import qfast
from qfast.errors import InvalidInput

gym = pytest.importorskip("gymnasium")
lake = gym.make("FrozenLake-v1")
TimeLimitOfGymnasium = gym.wrappers.TimeLimit


@pytest.mark.parametrize(
    "error", [IndexError, AssertionError, NameError, RuntimeError, ZeroDivisionError, OSError, KeyError, StopIteration]
)
def test_whatever_a_constructor_raises(error):
    def fail(**_):
        raise error("the text")

    gym.register("QfastFails-v0", fail)
    try:
        with pytest.raises(InvalidInput, match=r"Gymnasium cannot make 'QfastFails-v0', size=3: .*the text"):
            qfast.from_gymnasium("QfastFails-v0", size=3)
    finally:
        del gym.registry["QfastFails-v0"]


def test_the_smallest_of_nested_limits_holds():
    wrap = TimeLimitOfGymnasium
    assert qfast.from_gymnasium(wrap(wrap(lake.unwrapped, 50), 30)).max_episode_steps == 30
    assert qfast.from_gymnasium(wrap(wrap(lake.unwrapped, 30), 50)).max_episode_steps == 30
    assert qfast.from_gymnasium(wrap(lake, 1000)).max_episode_steps == 100  # the registered one is inside
    assert qfast.from_gymnasium(wrap(lake, 1000), max_episode_steps=500).max_episode_steps == 500


class TimeLimit(gym.Wrapper):
    """A user's own, which changes rewards."""

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward - 0.5, *rest


class Stricter(TimeLimitOfGymnasium):
    """A user's own kind of limit."""


@pytest.mark.parametrize("wrapper", [TimeLimit, lambda env: Stricter(env, 3)])
def test_a_wrapper_of_the_users_own_is_not_harmless_by_its_name(wrapper):
    with pytest.raises(InvalidInput, match=r"is wrapped in .*(called TimeLimit|Stricter), whose effect"):
        qfast.from_gymnasium(wrapper(lake))


@pytest.mark.parametrize(
    ("desc", "message"),
    [
        (["FF", "FG"], "has no S, so that no episode can begin"),
        (["SF", "#G"], "has the letter '#', which has no meaning there"),
        (["SF", "xG"], "has the letter 'x'"),
        (["SF", "HGF"], "is no rectangle of letters"),
        ([], "is no rectangle of letters"),
        ("SFFG", "is no rectangle of letters"),
        (3, "is no rectangle of letters"),
    ],
)
def test_maps_of_the_lake(desc, message):
    with pytest.raises(InvalidInput, match=message):
        qfast.from_gymnasium("FrozenLake-v1", desc=desc)


def test_maps_of_an_environment_that_exists():
    good = gym.make("FrozenLake-v1", desc=["SF", "FG"])
    assert qfast.from_gymnasium(good).layout == ("SF", "FG")
    odd = gym.make("FrozenLake-v1", desc=["S#", "FG"])
    with pytest.raises(InvalidInput, match="has the letter '#'"):
        qfast.from_gymnasium(odd)

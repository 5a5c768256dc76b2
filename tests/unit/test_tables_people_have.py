"""Tables P as people write them: names, ends left out, flags as numbers, rewards apart, old environments."""

import types

import gymnasium
import numpy as np
import pytest

from qfast.errors import InvalidInput
from qfast.exact import solve
from qfast.problems import from_gymnasium, from_P, frozen_lake

GO, STAY = [(1.0, 1, 1.0, True)], [(1.0, 0, 0.0, False)]
WANTED = from_P({0: {0: GO, 1: STAY}, 1: {0: [(1.0, 1, 0.0, True)], 1: [(1.0, 1, 0.0, True)]}})


@pytest.mark.parametrize(
    "table",
    [
        {0: {0: GO, 1: STAY}, 1: {}},
        {0: {0: GO, 1: STAY}, 1: []},
        {0: {0: GO, 1: STAY}, 1: None},
        {0: {0: GO, 1: STAY}},
        [[GO, STAY]],
        [[GO, STAY], [[], None]],
        {0: [GO, STAY], 1: {0: [], 1: None}},
        {1: {}, 0: {1: STAY, 0: GO}},
        {0: {0: [(1.0, 1, 1.0, 1)], 1: [(1.0, 0, 0.0, 0)]}},
        {0: {0: [(1.0, 1.0, 1, True)], 1: [(1, 0.0, 0, False)]}, 1: {}},
        {0: {0: np.array([[1.0, 1, 1.0, 1]]), 1: np.array([1.0, 0, 0.0, 0])}, 1: {}},
        {0: {0: (1.0, 1, 1.0, True), 1: (1.0, 0, 0.0, False)}, 1: {}},
        np.array([[[[1.0, 1, 1.0, 1]], [[1.0, 0, 0.0, 0]]]]),
        {np.int64(0): {np.int64(0): [(np.float32(1), np.int32(1), np.float64(1), np.bool_(True))], 1: STAY}},
    ],
)
def test_the_same_problem(table):
    assert from_P(table) == WANTED


def test_a_mask_is_only_where_a_state_has_other_actions():
    assert WANTED.allowed is None
    mdp = from_P({0: {0: GO, 1: STAY}, 2: {1: [(1.0, 0, 0.0, False)]}, 1: {}}, start=2)
    assert np.argwhere(~mdp.allowed).tolist() == [[2, 0]]


@pytest.mark.parametrize("nowhere", [-1, None, 0, -1.0])
def test_a_terminated_outcome_may_lead_nowhere(nowhere):
    mdp = from_P({0: {0: [(1.0, nowhere, 1.0, True)], 1: STAY}})
    assert (mdp.n_states, mdp.next_state[0].tolist(), mdp.terminated[0].tolist()) == (1, [[0], [0]], [[True], [False]])
    assert solve(mdp, 0.9).start_value == 1.0


def test_names():
    house = {
        "hall": {"go": [(0.9, "out", 1.0, True), (0.1, "hall", 0.0, False)], "wait": [(1.0, "hall", 0.0, False)]},
        "kitchen": {"go": [(1.0, "hall", 0.0, False)]},
    }
    mdp = from_P(house, start="kitchen")
    assert (mdp.states, mdp.actions) == (("hall", "kitchen", "out"), ("go", "wait"))
    assert mdp.start_state == mdp.index("kitchen")
    assert mdp.allowed.tolist() == [[True, True], [True, False], [True, True]]
    assert from_P(house).start_state == 0
    both = from_P(house, start={"hall": 0.25, "kitchen": 0.75})
    assert both.start.tolist() == from_P(house, start=[0.25, 0.75]).start.tolist() == [0.25, 0.75, 0]
    assert from_P(house, state_names=["H", "K"]).state_names == ("H", "K", "out")
    tuples = {(0, 0): {"e": [(1.0, (0, 1), 0.0, False)]}, (0, 1): {"e": [(1.0, (0, 2), 1.0, True)]}}
    assert from_P(tuples).states == ((0, 0), (0, 1), (0, 2))


def test_numbers_are_in_order_and_may_have_gaps():
    mdp = from_P({3: {1: [(1.0, 1, 0.0, False)]}, 1: {2: [(1.0, 2, 5.0, True)]}})
    assert (mdp.states, mdp.actions) == ((1, 2, 3), (1, 2))
    assert (mdp.start_state, mdp.next_state[2, 0, 0]) == (0, 0)


SHARES = {"s": {"a": {"s": 0.5, "t": 0.5}, "b": {"t": 1.0}}, "t": {}}


@pytest.mark.parametrize(
    ("rewards", "value"),
    [
        ({"s": {"a": {"t": 5.0, "s": -1.0}, "b": {"t": 1.0}}}, 4.0),
        ({"s": {"a": {"t": 5.0}}}, 5.0),  # what is left out is 0
        ({"s": {"a": 2.0, "b": 1.0}}, 4.0),
        ({"s": {"b": 3.0}}, 3.0),
        ({"s": -1.0}, -1.0),
        ([-1.0, 0.0], -1.0),
        (np.array([[2.0, 1.0], [0.0, 0.0]]), 4.0),
        (-1, -1.0),
    ],
)
def test_rewards_apart(rewards, value):
    mdp = from_P(SHARES, rewards)
    assert mdp.terminal_states.tolist() == [False, True]
    assert solve(mdp, 1.0).start_value == pytest.approx(value)


def test_rewards_apart_with_numbers_and_arrays():
    shares = [[[0.5, 0.5], [0.0, 1.0]], [[0, 1], [0, 1]]]
    mdp = from_P(shares, [[[-1, 5], [0, 1]], [[0, 0], [0, 0]]], terminal=1)
    assert mdp.reward[0].tolist() == [[-1, 5], [1, 1]]
    assert solve(mdp, 1.0).start_value == pytest.approx(4)
    assert from_P({0: {0: {0: 0.5, 1: 0.5}, 1: {1: 1.0}}, 1: {}}, [[[-1, 5], [0, 1]]]) == mdp


def test_terminal_states_by_name():
    mdp = from_P({"a": {"on": [(1.0, "b", 1.0, False)]}, "b": {"on": [(1.0, "a", 1.0, False)]}}, terminal="b")
    assert mdp.terminated[0, 0].all()
    assert solve(mdp, 1.0).start_value == 1.0


@pytest.mark.parametrize(
    ("table", "rewards", "options", "message"),
    [
        (SHARES, None, {}, r"P\['s'\]\['a'\] is a dict, as {next state: probability}; give the rewards too"),
        (SHARES, {"x": {}}, {}, "R names the state 'x', which P does not have; it has 's', 't'"),
        (SHARES, {"s": {"c": 1.0}}, {}, r"R\['s'\] names 'c', which is no action; P has 'a', 'b'"),
        (SHARES, {"s": {"a": {"t": "much"}}}, {}, "give a number"),
        (SHARES, {"s": {"a": {"z": 1.0}}}, {}, r"R\['s'\]\['a'\] names 'z', which is no state of P; it has 's', 't'"),
        ({0: {0: GO}}, {0: 1.0}, {}, "holds outcomes, which have their rewards with them; leave R out"),
        (np.array(3), None, {}, "P is an array of shape .*, not a dict or a list"),
        (SHARES, [[1.0]], {}, "R has nothing for 's', 'b', 't'"),
        ({"s": {"a": {"s": 0.5}}}, 0, {}, "sum to 0.5"),
        ({"s": {"a": {"z": 1.0}}}, 0, {}, "leads to 'z', which is no state of P .*with {} if it is terminal"),
        ({"s": {"a": [0.5, 0.5]}}, 0, {}, r"has shape \(2,\); with R give"),
        ({0: {0: GO}}, None, {"start": 7}, "start=7 is no state; give one of 0, 1"),
        ({0: {0: GO}}, None, {"start": [0.5, 0.5]}, r"start gives 0.5 to terminal states \(1: .*set start to 0 there"),
        ({0: {0: GO}}, None, {"start": {0: 0.5, 9: 0.5}}, "start names 9, which is no state"),
        ({0: {0: GO}}, None, {"start": {0: "all"}}, "the probability 'all'; give a number"),
        ({0: {0: GO}}, None, {"terminal": "x"}, "terminal names 'x', which is no state"),
        (None, None, {}, "P is None, not a dict or a list"),
        ("text", None, {}, "P is 'text', not a dict or a list"),
        (np.zeros((2, 2, 2)), None, {}, "use qfast.from_matrices"),
    ],
)
def test_what_is_refused(table, rewards, options, message):
    with pytest.raises(InvalidInput, match=message):
        from_P(table, rewards, **options)


def test_starts_that_cover_ends_are_told_what_to_do():
    table = gymnasium.make("FrozenLake-v1").unwrapped.P
    with pytest.raises(InvalidInput, match=r"start gives 0.3125 to terminal states \(5, 7, 11, 12, 15: .*divide it by"):
        from_P(table, start=np.ones(16) / 16)


def test_from_gymnasium_with_another_start():
    lake = from_gymnasium("FrozenLake-v1", start=6)
    assert lake.start_state == 6
    assert lake.name == "FrozenLake-v1"
    spread = from_gymnasium("FrozenLake-v1", start={0: 0.5, 14: 0.5})
    assert np.flatnonzero(spread.start).tolist() == [0, 14]
    with pytest.raises(InvalidInput, match="start=99 is no state"):
        from_gymnasium("FrozenLake-v1", start=99)


def test_environments_of_gym():
    inner = gymnasium.make("FrozenLake-v1").unwrapped
    old = types.SimpleNamespace(P=inner.P, isd=inner.initial_state_distrib, nS=16, nA=4)
    with pytest.warns(UserWarning, match="has no limit"):
        mdp = from_gymnasium(old)
    assert np.array_equal(mdp.next_state, frozen_lake().next_state)
    assert mdp.start_state == 0
    old.unwrapped = old
    assert from_gymnasium(old, max_episode_steps=100).max_episode_steps == 100
    assert from_P(inner.P, start=old.isd).start_state == 0
    wrapped = types.SimpleNamespace(unwrapped=old)
    with pytest.raises(InvalidInput, match=r"is wrapped, .* give env\.unwrapped"):
        from_gymnasium(wrapped, max_episode_steps=5)
    del old.isd
    with pytest.raises(InvalidInput, match="no isd; say where episodes begin: start="):
        from_gymnasium(old, max_episode_steps=5)
    assert from_gymnasium(old, start=2, max_episode_steps=5).start_state == 2

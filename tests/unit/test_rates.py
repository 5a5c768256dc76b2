"""Rates: numbers, rows of numbers, and schedules, as arrays and in words."""

import numpy as np
import pytest
from oracle import population

import qfast
from qfast.errors import InvalidInput
from qfast.model.rates import Rate, as_rate, by_episode, by_visits, constant, exponential, linear, per_agent


def over(schedule, episodes):
    return schedule.over(episodes).values


# --- what they are ----------------------------------------------------------------------------------------------------


def test_a_straight_line_meets_both_ends():
    assert over(linear(1.0, 0.0), 5).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert over(linear(0.2, 0.8), 3).tolist() == pytest.approx([0.2, 0.5, 0.8])
    assert over(linear(0.3, 0.9), 1).tolist() == [0.3]


def test_an_exponential_shrinks_by_the_same_factor():
    values = over(exponential(1.0, 0.001), 31)
    assert (values[0], values[-1]) == (1.0, 0.001)
    np.testing.assert_allclose(values[1:] / values[:-1], 10**-0.1, rtol=1e-12)
    assert over(exponential(0.5, 0.1), 1).tolist() == [0.5]


def test_step_sizes_by_visits():
    n = np.arange(1, 2**16 + 1)
    np.testing.assert_allclose(by_visits().values, 1 / n, rtol=1e-15)
    np.testing.assert_allclose(by_visits(power=0.75).values, n**-0.75, rtol=1e-15)
    np.testing.assert_allclose(by_visits(power=1).values, 1 / n, rtol=1e-15)
    np.testing.assert_allclose(by_visits(c=3).values, 3 / (3 + n), rtol=1e-15)
    assert by_visits([0.5, 0.25]).values.tolist() == [0.5, 0.25]
    assert all(rate.kind == "visit" for rate in (by_visits(), by_visits(power=2), by_visits(c=1), by_visits([1])))


def test_rows_keep_their_numbers():
    assert per_agent([0.1, 0.2]).values.tolist() == by_episode((0.1, 0.2)).values.tolist() == [0.1, 0.2]
    assert per_agent(np.array([1, 0])).values.dtype == np.float64
    assert constant(np.float32(0.5)).values.shape == ()


def test_the_values_cannot_be_changed():
    given = np.array([0.1, 0.2])
    rate = per_agent(given)
    with pytest.raises(ValueError, match="read-only"):
        rate.values[0] = 1
    given[0] = 0.9
    assert rate.values[0] == 0.1


def test_rates_are_equal_by_what_they_are():
    assert constant(0.5) == constant(0.5)
    assert hash(constant(0.5)) == hash(constant(0.5))
    assert linear(1, 0).over(3) == by_episode([1, 0.5, 0])
    assert by_episode([1, 0.5, 0]) != per_agent([1, 0.5, 0])
    assert constant(0.5) != 0.5


# --- in words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (constant(0.1), "0.1"),
        (per_agent([0.1, 0.3, 0.2]), "per_agent(3 values from 0.1 to 0.3)"),
        (by_episode([0.5, 0.9, 0.1]), "by_episode(3 values from 0.5 to 0.1)"),
        (linear(1, 0.01), "linear(1, 0.01)"),
        (linear(1, 0.01).over(7), "linear(1, 0.01)"),
        (exponential(1, 0.01).over(7), "exponential(1, 0.01)"),
        (by_visits(), "by_visits(1/n)"),
        (by_visits(power=0.8), "by_visits(1/n^0.8)"),
        (by_visits(c=10), "by_visits(10/(10+n))"),
        (by_visits([0.5, 0.1]), "by_visits(2 values from 0.5 to 0.1)"),
    ],
)
def test_a_rate_says_how_it_was_made(rate, text):
    assert repr(rate) == text


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [per_agent, by_episode, by_visits])
@pytest.mark.parametrize("values", [[], [[0.1]], 0.1, "0.1", ["a"], [0.1, [0.2]], [None], [True]], ids=repr)
def test_rows_are_one_row_of_numbers(make, values):
    with pytest.raises(InvalidInput, match="must be"):
        make(values)


@pytest.mark.parametrize("value", [[0.1], "0.1", None, [[1]]], ids=repr)
def test_a_constant_is_one_number(value):
    with pytest.raises(InvalidInput, match="must be"):
        constant(value)


@pytest.mark.parametrize("make", [linear, exponential])
@pytest.mark.parametrize("ends", [(np.nan, 0.1), (0.1, np.inf), ("a", 0.1), (0.1, None), ([0.1], 0.2)], ids=repr)
def test_the_ends_of_a_schedule_are_finite_numbers(make, ends):
    with pytest.raises(InvalidInput, match="the ends of a schedule must be"):
        make(*ends)


@pytest.mark.parametrize("ends", [(0.0, 0.1), (0.1, 0.0), (-1.0, 0.5)])
def test_no_constant_factor_leads_to_zero_or_through_it(ends):
    with pytest.raises(InvalidInput, match=r"exponential\(.*must begin and end above 0; use linear"):
        exponential(*ends)


@pytest.mark.parametrize("options", [{"power": 0}, {"power": -1}, {"c": 0}, {"c": -2.0}, {"power": np.nan}], ids=repr)
def test_formulas_by_visits_need_numbers_above_zero(options):
    name = next(iter(options))
    with pytest.raises(InvalidInput, match=f"{name}|finite"):
        by_visits(**options)


@pytest.mark.parametrize(
    "options", [{"power": 1, "c": 1}, {"values": [0.1], "c": 1}, {"values": [0.1], "power": 1, "c": 1}], ids=repr
)
def test_one_formula_at_a_time(options):
    with pytest.raises(InvalidInput, match="give one of them, or none for 1/n"):
        by_visits(**options)


def test_messages_name_value_range_and_place():
    def make(value, **options):
        return as_rate(value, "speed", n_agents=3, episodes=4, low=0, high=1, schedule=True, **options)

    with pytest.raises(InvalidInput, match=r"speed=1.5 is outside \[0, 1\]; use a value such as 0.1"):
        make(1.5)
    with pytest.raises(InvalidInput, match=r"speed=-0.1 for agent 2 is outside"):
        make([0, 1, -0.1])
    with pytest.raises(InvalidInput, match=r"speed=nan in episode 1 is outside"):
        make([0, np.nan, 1, 1])
    with pytest.raises(
        InvalidInput, match=r"speed has shape \(5,\); give a number, or an array of shape \(3,\) .* \(4,\)"
    ):
        make([0.1] * 5)
    with pytest.raises(InvalidInput, match=r"speed=by_visits\(1/n\) cannot change with visits"):
        make(by_visits())
    assert make(by_visits(), visits=True).kind == "visit"


# --- what they do -----------------------------------------------------------------------------------------------------


def test_a_rate_for_some_agents():
    assert per_agent([0.1, 0.2, 0.3]).for_agents(1, 2, np.float64).tolist() == [0.2, 0.3]
    assert constant(0.5).for_agents(7, 2, np.float32).tolist() == [0.5, 0.5]
    assert linear(1, 0).over(3).for_agents(0, 2, np.float64).tolist() == [1, 1]  # at the first episode
    assert per_agent([0.1, 0.2, 0.3]).first(2) == per_agent([0.1, 0.2])
    assert by_episode([0.1, 0.2, 0.3]).first(2) == by_episode([0.1, 0.2, 0.3])
    assert Rate("agent", np.array([0.3, 0.1]), "").lowest == 0.1


def test_each_episode_has_its_own_value():
    # Rewards of 1 in every step: the first episode learns nothing, the second everything, the third forgets half.
    bandit = qfast.MDP([[1], [1]], [[1.0], [0.0]], terminated=[[True], [True]], max_episode_steps=9)
    settings = {"n_agents": 2, "seed": 0, "dtype": "float64", "ties": "first", "progress": False, "initial_q": -3.0}
    learned = [
        population.train(bandit, episodes=k, alpha=by_episode([0.0, 1.0, 0.5][:k]), **settings).q[0, 0, 0]
        for k in (1, 2, 3)
    ]
    assert learned == [-3.0, 1.0, 1.0]

"""Settings that are unknown, out of range, or contradict each other are refused by name before anything is computed.

Each message names the value, says what is wrong, and offers what would do.
"""

import numpy as np
import pytest

import qfast
from qfast.errors import InvalidInput
from qfast.model.learner import make_learner
from qfast.model.settings import SETTINGS

RULES, EXPLORE, TIES, TRACES = (SETTINGS[name].choices for name in ("rule", "explore", "ties", "traces"))

N_AGENTS, EPISODES = 7, 5


def make(**settings):
    return make_learner(n_agents=N_AGENTS, episodes=EPISODES, **settings)


def refused(settings, *words):
    """The message with which `train` refuses settings; it holds all the words."""
    with pytest.raises(InvalidInput) as caught:
        qfast.train(n_agents=N_AGENTS, episodes=EPISODES, progress=False, **settings)
    message = str(caught.value)
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"
    assert "\n" not in message
    assert ";" in message, f"no fix is offered in: {message}"


# --- unknown names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "choices"), [("rule", RULES), ("explore", EXPLORE), ("ties", TIES), ("traces", TRACES)]
)
@pytest.mark.parametrize("value", ["watkins", "", 3, ["first"], "Random"], ids=repr)
def test_unknown_names_list_what_exists(name, choices, value):
    refused({name: value}, f"{name}={value!r}", "unknown", *map(repr, choices))


@pytest.mark.parametrize("value", ["float16", "int64", object, "real", None.__class__, 7], ids=repr)
def test_element_types_other_than_the_two_are_refused(value):
    refused({"dtype": value}, "dtype=", "'float32', 'float64'")


@pytest.mark.parametrize("value", ["float32", np.float32, np.dtype("f4")], ids=repr)
def test_element_types_may_be_written_in_several_ways(value):
    assert make(dtype=value).dtype == np.float32


def test_names_can_all_be_had():
    for rule in RULES:
        for explore in EXPLORE:
            if (rule, explore) != ("expected_sarsa", "ucb"):
                learner = make(rule=rule, explore=explore)
                assert (learner.rule, learner.explore) == (rule, explore)


# --- contradictions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["double_q_learning", "article"])
def test_several_steps_need_a_rule_that_has_them(rule):
    refused({"rule": rule, "n": 3}, "n=3", f"rule={rule!r}", "'q_learning'", "'sarsa'", "'expected_sarsa'")


@pytest.mark.parametrize("rule", ["expected_sarsa", "double_q_learning", "article"])
def test_traces_need_a_rule_that_has_them(rule):
    refused({"rule": rule, "traces": "replacing", "lambda_": 0.9}, "traces='replacing'", f"rule={rule!r}", "'sarsa'")


def test_traces_and_several_steps_exclude_each_other():
    refused({"n": 2, "traces": "accumulating", "lambda_": 0.9}, "n=2", "traces='accumulating'")


@pytest.mark.parametrize("rule", ["q_learning", "sarsa", "double_q_learning"])
def test_lambda_needs_traces(rule):
    refused({"lambda_": 0.9, "rule": rule}, "lambda_=0.9", "without traces", "traces='replacing'")
    refused({"lambda_": [0.9] * EPISODES}, "lambda_=", "without traces")


def test_traces_need_lambda():
    refused({"traces": "accumulating"}, "traces='accumulating'", "lambda_", "lambda_=0.9")


def test_a_cutoff_needs_traces():
    refused({"trace_cutoff": 0.01}, "trace_cutoff=0.01", "without traces")


def test_expected_sarsa_needs_probabilities():
    refused({"rule": "expected_sarsa", "explore": "ucb"}, "'expected_sarsa'", "'ucb'", "explore='epsilon_greedy'")


@pytest.mark.parametrize("explore", EXPLORE)
@pytest.mark.parametrize(
    ("name", "value", "home"),
    [("epsilon", 0.2, "epsilon_greedy"), ("temperature", 2.0, "softmax"), ("c", 1.5, "ucb")],
)
def test_each_way_to_explore_takes_its_own_rate_alone(explore, name, value, home):
    if explore == home:
        assert getattr(make(explore=explore, **{name: value}), name).values == value
    else:
        refused({"explore": explore, name: value}, f"{name}={value}", f"explore={explore!r}", f"explore={home!r}")


def test_the_default_of_epsilon_contradicts_nothing():
    for explore in ("greedy", "softmax", "ucb"):
        assert make(explore=explore).epsilon.values == 0.0
    assert make().epsilon.values == 0.1


def test_the_articles_rule_needs_actions_whose_names_are_numbers():
    grid = qfast.grid("S.G", max_episode_steps=20)
    with pytest.raises(InvalidInput, match=r"rule='article' .*left.*action_names"):
        qfast.train(grid, rule="article", n_agents=2, episodes=2, progress=False)


# --- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1, 1.0, 2.5, "2", True, None, np.nan], ids=repr)
def test_n_is_a_whole_number_of_at_least_one(n):
    refused({"n": n}, f"n={n!r}", "whole number", "n=1")


@pytest.mark.parametrize("n", [1, 3, np.int32(4)], ids=repr)
def test_n_may_be_any_whole_number(n):
    assert make(n=n).n == int(n)


@pytest.mark.parametrize("cutoff", [-0.1, 1.0, np.nan, np.inf, "0.1", None, True], ids=repr)
def test_the_cutoff_is_below_one(cutoff):
    refused(
        {"traces": "replacing", "lambda_": 0.9, "trace_cutoff": cutoff}, f"trace_cutoff={cutoff!r}", "[0, 1)", "use 0"
    )


TRACED = {"traces": "replacing", "lambda_": 0.5}
RANGES = [
    ({}, "alpha", 0.0, 1.0), ({}, "gamma", 0.0, 1.0), ({}, "epsilon", 0.0, 1.0), (TRACED, "lambda_", 0.0, 1.0),
    ({"explore": "softmax"}, "temperature", 1e-6, 1e12), ({"explore": "ucb"}, "c", 0.0, 1e6),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "name", "low", "high"), RANGES, ids=lambda x: x if isinstance(x, str) else "")
def test_rates_stay_in_their_range(settings, name, low, high):
    for value in (low, high):
        assert getattr(make(**settings | {name: value}), name).values == value
    for value in (np.nextafter(low, -1), np.nextafter(high, np.inf), np.nan, np.inf, -1):
        refused(settings | {name: value}, f"{name}={float(value)!r}", f"outside [{low:g}, {high:g}]")
    by_agent = np.full(N_AGENTS, high)
    by_agent[4] = -0.5
    refused(settings | {name: by_agent}, f"{name}=-0.5", "agent 4")


@pytest.mark.parametrize(("settings", "name", "low", "high"), RANGES, ids=lambda x: x if isinstance(x, str) else "")
@pytest.mark.parametrize("value", ["0.1", [[0.1]], [0.1], [], {}, [0.1, "a"]], ids=repr)
def test_rates_are_numbers_of_a_shape_that_fits(settings, name, low, high, value):
    refused(settings | {name: value}, name)


@pytest.mark.parametrize(("settings", "name"), [(settings, name) for settings, name, *_ in RANGES])
def test_what_may_change_with_the_episode(settings, name):
    schedule = qfast.linear(0.5, 0.25)
    if name in ("gamma", "c"):
        refused(settings | {name: schedule}, name, "cannot change with the episode")
        refused(settings | {name: [0.1] * EPISODES}, name, f"({N_AGENTS},)")
    else:
        assert getattr(make(**settings | {name: schedule}), name).kind == "episode"
        assert getattr(make(**settings | {name: [0.5] * EPISODES}), name).kind == "episode"
    assert getattr(make(**settings | {name: [0.5] * N_AGENTS}), name).kind == "agent"


@pytest.mark.parametrize(("settings", "name"), [(settings, name) for settings, name, *_ in RANGES])
def test_only_the_step_size_changes_with_visits(settings, name):
    if name == "alpha":
        assert make(alpha=qfast.by_visits()).alpha.kind == "visit"
    else:
        refused(settings | {name: qfast.by_visits()}, name, "only alpha can")


def test_a_row_that_fits_agents_and_episodes_must_say_which():
    with pytest.raises(InvalidInput, match=r"alpha has 4 values, .* qfast.per_agent\(…\) or qfast.by_episode\(…\)"):
        make_learner(n_agents=4, episodes=4, alpha=[0.1] * 4)
    assert make_learner(n_agents=4, episodes=4, alpha=qfast.by_episode([0.1] * 4)).alpha.kind == "episode"
    assert make_learner(n_agents=4, episodes=4, alpha=qfast.per_agent([0.1] * 4)).alpha.kind == "agent"


def test_schedules_have_a_value_for_each_episode():
    refused({"epsilon": qfast.by_episode([0.1] * 4)}, "epsilon has 4 values for 5 episodes")
    refused({"alpha": qfast.per_agent([0.1] * 8)}, "alpha has 8 values for 7 agents")
    refused({"alpha": qfast.by_episode([0.1, 0.1, 2.0, 0.1, 0.1])}, "alpha=2.0 in episode 2", "[0, 1]")
    refused({"alpha": qfast.by_visits([0.1, 1.5])}, "alpha=1.5 at visit 2", "[0, 1]")


def test_initial_values_fit_the_element_type():
    assert make(initial_q=1e30).initial_q.values == 1e30
    refused({"initial_q": 3e38}, "initial_q=3e+38")
    assert make(initial_q=3e38, dtype="float64").initial_q.values == 3e38
    refused({"initial_q": np.inf}, "initial_q=inf")
    refused({"initial_q": qfast.linear(0, 1)}, "initial_q", "cannot change with the episode")


# --- resuming ---------------------------------------------------------------------------------------------------------


def test_resuming_refuses_what_the_learner_does_not_have():
    run = qfast.train(n_agents=3, episodes=4, seed=0, progress=False)
    for settings in ({"temperature": 2.0}, {"lambda_": 0.5}):
        with pytest.raises(InvalidInput, match=next(iter(settings))):
            qfast.resume(run, episodes=2, progress=False, **settings)


def test_resuming_asks_for_the_rest_of_each_schedule():
    run = qfast.train(n_agents=3, episodes=4, seed=0, epsilon=qfast.linear(0.5, 0.1), progress=False)
    with pytest.raises(InvalidInput, match=r"epsilon=linear\(0.5, 0.1\) ended with episode 4; give epsilon="):
        qfast.resume(run, episodes=2, progress=False)
    assert qfast.resume(run, episodes=2, epsilon=0.1, progress=False).episodes == 6


# --- what a learner says of itself ------------------------------------------------------------------------------------


def test_a_learner_names_what_has_a_meaning_for_it():
    learner = make(rule="sarsa", n=4, explore="softmax", temperature=0.5, alpha=qfast.by_visits(power=0.8))
    words = learner.words()
    assert learner.options()["n"] == 4
    assert words["rule"].startswith("sarsa")
    assert words["temperature"] == "0.5"
    assert words["alpha"] == "by_visits(1/n^0.8)"
    assert not {"epsilon", "c", "lambda_", "traces"} & set(words)
    words = make(traces="replacing", lambda_=qfast.linear(0.9, 0.0)).words()
    assert words["traces"] == "replacing"
    assert words["lambda_"] == "linear(0.9, 0)"


def test_a_run_remembers_its_learner_through_a_file(tmp_path):
    settings = {"rule": "sarsa", "traces": "accumulating", "lambda_": 0.5, "explore": "ucb", "c": 1.5}
    run = qfast.train(
        qfast.corridor(max_episode_steps=9), n_agents=3, episodes=4, alpha=qfast.by_visits(c=2.0), seed=0,
        progress=False, trace_cutoff=0.25, **settings,
    )  # fmt: skip
    again = qfast.load(run.save(tmp_path / "run.npz"))
    assert again.learner == run.learner
    assert again.learner.options() == run.learner.options()
    np.testing.assert_array_equal(again.visits, run.visits)

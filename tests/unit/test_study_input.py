"""Studies refuse what they cannot do, before any work."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import qfast
from qfast import Metric
from qfast.errors import InvalidInput
from qfast.model.settings import DEFAULTS
from qfast.studies.design import make_design
from qfast.studies.settings import decode, encode

HIGH = {"higher_is_better": True}
LAKE = qfast.problems.frozen_lake("4x4", slip=0.0)


@pytest.fixture
def no_work(monkeypatch):
    """Fail if anything is trained."""

    def trained(*_args, **_options):
        pytest.fail("agents were trained")

    monkeypatch.setattr("qfast.studies.job.scheduler", trained)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"vary": {"speed": [1]}}, "'speed' cannot vary; what can is alpha, gamma"),
        ({"vary": {"problem": ["a"]}}, "several problems give mdp="),
        ({"vary": {"alpha": []}}, "alpha is an empty list"),
        ({"vary": {"alpha": [0.1, 0.10]}}, "alpha holds 0.1 twice"),
        ({"vary": {"n": [1, 1.0]}}, "n holds"),
        ({"vary": {"alpha": 0.1}}, "is not a list of values"),
        ({"vary": {"rule": "sarsa"}}, "is not a list of values"),
        ({"vary": {"alpha": qfast.linear(1, 0)}}, "is not a list of values"),
        ({"vary": {"alpha": {0.1: 1}}}, "is not a list of values"),
        ({"vary": 7}, "vary=7 is not a mapping"),
        ({"vary": []}, "is not a mapping"),
        ({"vary": {"alpha": [0.1, 2]}}, r"alpha=2.0 is outside \[0, 1\].*in the configuration alpha=2"),
        ({"vary": {"alpha": ["fast"]}}, "alpha must be numbers"),
        ({"vary": {"rule": ["q_learning", "dqn"]}}, "rule='dqn' is unknown"),
        ({"vary": {"epsilon": [0.1, 0.2], "explore": ["epsilon_greedy", "ucb"]}}, "epsilon has no meaning.*own"),
        ({"vary": {"temperature": [1, 2]}}, "temperature has no meaning with explore='epsilon_greedy'; add"),
        ({"vary": {"lambda_": [0.5, 0.9]}}, "lambda_ has no meaning"),
        ({"vary": {"alpha": [0.1]}, "c": 2.0}, "c=2.0 has no meaning in any configuration"),
        ({"vary": {"explore": ["softmax", "ucb"]}, "epsilon": 0.2}, "epsilon=0.2 has no meaning in any"),
        ({"vary": {"rule": ["double_q_learning"], "n": [1, 2]}}, "n=2 has no meaning for rule"),
        ({"vary": [{"alpha": [0.1]}, {"alpha": [0.1], "epsilon": [0.1]}]}, "twice"),
        ({"mdp": {}}, "holds no problem"),
        ({"mdp": "corridor"}, "not an MDP; use qfast.problems.resolve"),
        ({"mdp": {"a": 1}}, "is not a name and an MDP"),
        ({"mdp": {"": LAKE}}, "is not a name and an MDP"),
        ({"n_agents": 0}, "n_agents=0"),
        ({"episodes": 2.5}, "episodes=2.5"),
        ({"first_agent": -1}, "first_agent=-1"),
        ({"threads": 0}, "threads=0"),
        ({"paired": "yes"}, "paired='yes'"),
        ({"seed": -1}, "seed=-1"),
        ({"checkpoints": "often"}, "checkpoints='often'"),
        ({"checkpoints": 400}, "checkpoints=400"),
        ({"curves": "some"}, "curves='some'"),
        ({"curves": 0.5}, "curves=0.5"),
        ({"metrics": ["speed"]}, "'speed' is unknown; use auc"),
        ({"metrics": []}, "names nothing to measure"),
        ({"metrics": {"failures": len}}, r"'failures' is a function.*which direction is good; use qfast.Metric"),
        ({"metrics": [len]}, "'len' is a function.*which direction is good"),
        ({"metrics": len}, "'len' is a function.*which direction is good"),
        ({"metrics": [Metric(lambda block: block.agents, **HIGH)]}, "has no name"),
        ({"metrics": [Metric(name="mine", **HIGH)]}, "'mine' has no function"),
        ({"metrics": {"x": 1}}, "is no metric"),
        ({"metrics": {"auc": Metric(len, **HIGH)}}, "'auc' is there twice"),
        ({"metrics": {"label": Metric(len, **HIGH)}}, "already names something else"),
        ({"metrics": {"alpha": Metric(len, **HIGH)}}, "already names something else"),
        ({"metrics": {"two words": Metric(len, **HIGH)}}, "cannot be a name"),
        ({"precision": -1}, "half_width=-1"),
        ({"precision": "fine"}, "is no half-width"),
        ({"precision": True}, "is no half-width"),
        ({"precision": {"speed": 1}}, "'speed' is no metric of this study"),
        ({"precision": {"auc": 1, "regret": 1}}, "must name one metric"),
        ({"precision": {"first_optimal": 1}}, "first_optimal is a time that may never come"),
        ({"n_agents": 10**12}, "are free; what would fit: .*n_agents="),
    ],
)
def test_bad_input_is_refused_before_any_work(no_work, options, told):
    settings = {"mdp": LAKE, "vary": {"alpha": [0.1, 0.5]}, "episodes": 300, "progress": False} | options
    with pytest.raises(InvalidInput, match=told):
        qfast.study(**settings)


def test_functions_must_reach_other_processes(no_work):
    with ProcessPoolExecutor(1) as pool, pytest.raises(InvalidInput, match="cannot be sent to another process"):
        qfast.study(vary={}, metrics={"mine": Metric(lambda block: block.q[:, 0, 0], **HIGH)}, executor=pool)


def test_what_cannot_be_solved_is_told(no_work):
    endless = qfast.MDP([[0, 1], [1, 1]], [[1.0, 0], [0, 0]], terminated=[[False, True], [True, True]])
    with pytest.raises(InvalidInput, match="leave the truth out"):
        qfast.study(endless.with_limit(10), vary={}, gamma=1.0)


def design(vary, **fixed):
    return make_design(LAKE, vary, DEFAULTS | fixed, n_agents=10, episodes=3)


def test_fixed_settings_go_where_they_have_a_meaning():
    made = design({"explore": ["epsilon_greedy", "softmax"]}, epsilon=0.3, temperature=2.0)
    assert [float(c.learner.epsilon.values) for c in made.configurations] == [0.3, 0.0]
    assert [float(c.learner.temperature.values) for c in made.configurations] == [1.0, 2.0]
    assert made.fixed["epsilon"] == 0.3


def test_traces_may_come_and_go():
    made = design({"traces": [None, "replacing"]}, lambda_=0.9)
    assert [c.label for c in made.configurations] == ["traces=none", "traces=replacing"]
    assert [c.learner.traces for c in made.configurations] == [None, "replacing"]


def test_rows_of_numbers_get_labels_of_their_own():
    rows = [[0.3, 0.2, 0.1], [0.3, 0.1, 0.1]]
    made = design({"epsilon": [qfast.by_episode(row) for row in rows]})
    labels = [c.label for c in made.configurations]
    assert labels[0].endswith("(no. 1)")
    assert labels[1].endswith("(no. 2)")
    assert made.configurations[1].learner.epsilon.values.tolist() == rows[1]
    assert design({"epsilon": rows}).configurations[1].learner.epsilon.values.tolist() == rows[1]


@pytest.mark.parametrize(
    "value",
    [0.1, 3, "sarsa", None, qfast.linear(1, 0.5), qfast.exponential(1, 0.5), qfast.by_visits(power=0.8),
     qfast.by_episode([0.3, 0.1])],
)  # fmt: skip
def test_values_survive_json(value):
    assert decode(encode(value)) == value


def test_arrays_survive_json():
    for size in (3, 5000):
        array = np.linspace(0, 1, size)
        np.testing.assert_array_equal(decode(encode(array)), array)

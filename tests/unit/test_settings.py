"""The table of settings is the only one: signatures, options, studies and files say what it says."""

import inspect
from dataclasses import fields

import pytest

import qfast
from qfast.cli.app import build_parser
from qfast.model.learner import Learner, make_learner
from qfast.model.settings import DEFAULTS, RATES, SETTINGS, settings_in


@pytest.mark.parametrize("function", [qfast.train, qfast.study], ids=["train", "study"])
def test_signatures_have_every_setting_with_its_default(function):
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in SETTINGS if name in parameters} == DEFAULTS
    assert parameters["epsilon"].default is DEFAULTS["epsilon"]


def test_resume_takes_the_rates_that_can_be_new():
    parameters = inspect.signature(qfast.resume).parameters
    assert {name for name in SETTINGS if name in parameters} == {s.name for s in SETTINGS.values() if s.resumable}


def test_a_learner_has_a_field_for_every_setting():
    assert {field.name for field in fields(Learner)} == set(SETTINGS)


@pytest.mark.parametrize("command", [["train"], ["study"]], ids=" ".join)
def test_the_command_line_has_an_option_for_every_setting(command):
    # Options are read one by one: what goes with what is checked later.
    parsed = build_parser().parse_args([*command, *(f"--{s.option}={_example(s)}" for s in SETTINGS.values())])
    assert settings_in(vars(parsed)).keys() == SETTINGS.keys()
    assert None not in settings_in(vars(parsed)).values()


def _example(setting):
    return setting.choices[0] if setting.choices else "1"


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if setting.goes_with])
def test_a_setting_is_refused_where_it_has_no_meaning_and_taken_where_it_has(name):
    setting = SETTINGS[name]
    condition, values = setting.goes_with
    value = 0.5 * (setting.low + min(setting.high, 2.0))
    other = {"explore": "greedy", "traces": None}[condition]
    with pytest.raises(qfast.InvalidInput, match=rf"{name}=.* has no meaning with.*{condition}='{values[0]}'"):
        make_learner(n_agents=2, episodes=3, **{name: value, condition: other})
    beside = {condition: values[0]} | ({"lambda_": 0.3} if condition == "traces" else {})
    learner = make_learner(n_agents=2, episodes=3, **beside | {name: value})
    kept = getattr(learner, name)
    assert (float(kept.values) if name in RATES else kept) == value
    assert (name in learner.shown) == (name in RATES)


def test_a_learner_is_made_again_from_what_it_was_given():
    learner = make_learner(n_agents=2, episodes=3, explore="softmax", temperature=2.0, traces="replacing", lambda_=0.5)
    again = make_learner(n_agents=2, episodes=3, **learner.given())
    assert again == learner
    assert "epsilon" not in learner.given()


def test_an_unknown_setting_is_no_setting():
    with pytest.raises(TypeError, match="'alfa' is no setting"):
        make_learner(n_agents=1, episodes=1, alfa=0.1)

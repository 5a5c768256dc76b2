"""Calls that do not fit: one InvalidInput of one line, which names the value, the rule and what would do."""

import errno
import inspect
import pickle

import numpy as np
import pytest

import qfast
from qfast.errors import BadFile, InvalidInput
from qfast.exact import evaluate_policies, finite_horizon, solve
from qfast.storage.work_folder import WorkFolder

MDP = qfast.corridor()


@pytest.fixture(scope="module")
def run():
    return qfast.train(n_agents=3, episodes=5, seed=0, progress=False)


def told(call, *args, **options):
    """The one line that a call is answered with."""
    with pytest.raises(InvalidInput) as caught:
        call(*args, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("learning_rate", "use alpha, the step size"),
        ("lr", "use alpha, the step size"),
        ("discount", "use gamma"),
        ("discount_factor", "use gamma"),
        ("n_episodes", "use episodes"),
        ("num_episodes", "use episodes"),
        ("epsilon_decay", "use epsilon, which takes a schedule: epsilon=qfast.linear(1.0, 0.05)"),
        ("alpha_decay", "use alpha, which takes a schedule"),
        ("n_seeds", "use n_agents: each agent is a seed of its own"),
        ("num_agents", "use n_agents"),
        ("random_state", "use seed"),
        ("env", "use mdp, the first argument: qfast.from_gymnasium(env) makes one"),
        ("max_steps", "use the problem's own limit: mdp.with_limit(200)"),
        ("lam", "use lambda_"),
        ("n_jobs", "use threads"),
        ("episode", "did you mean episodes?"),
        ("colour", "it has mdp, "),
    ],
)
@pytest.mark.parametrize("call", [qfast.train, qfast.study])
def test_the_fields_other_names_are_pointed_to_the_right_one(call, name, meant):
    given = {} if call is qfast.train else {"vary": {"alpha": [0.1, 0.5]}}
    text = told(call, **given, **{name: 1})
    assert text.startswith(f"{call.__name__}() has no argument {name}; {meant}")


def test_what_cannot_vary_is_pointed_to_what_can():
    assert told(qfast.study, vary={"learning_rate": [0.1]}) == (
        "vary: 'learning_rate' cannot vary; use alpha, the step size"
    )
    assert "what can is alpha, gamma" in told(qfast.study, vary={"colour": [1]})


def test_arguments_without_names_and_missing_ones():
    assert told(qfast.train, MDP, 1000) == (
        "train(mdp, …) got 2 arguments without a name; name all others, as in n_agents=…"
    )
    assert told(qfast.study) == "study() needs vary; give vary=…"
    assert told(qfast.rollout) == "rollout() needs run; give run=…"
    assert told(qfast.train, MDP, mdp=MDP) == "train() got mdp twice; give it once"


def test_warnings_point_to_the_callers_line():
    with pytest.warns(qfast.MissingLimitWarning) as caught:
        qfast.train(n_agents=1, episodes=3, epsilon=[0.5, 0.1, 0.0], seed=0, progress=False)
    assert caught[0].filename == __file__


def test_sets_of_actions_in_place_of_a_policy(run):
    policies, _ = run.policies()
    assert "run.census() tells" in told(evaluate_policies, MDP, policies[:, :, 0], 0.9)


def test_signatures_stay_and_functions_travel():
    parameters = inspect.signature(qfast.train).parameters
    assert list(parameters)[:3] == ["mdp", "n_agents", "episodes"]
    assert all(p.kind is not p.VAR_KEYWORD for p in parameters.values())
    assert pickle.loads(pickle.dumps(qfast.train)) is qfast.train


def test_what_is_no_problem_is_told_how_to_become_one(run):
    gym = pytest.importorskip("gymnasium")
    assert told(qfast.train, "FrozenLake-v1").endswith("not an MDP; use qfast.from_gymnasium('FrozenLake-v1')")
    assert told(qfast.train, "corridor").endswith("use qfast.problems.resolve('corridor')")
    assert told(qfast.train, "x.npz").endswith("use qfast.MDP.load('x.npz')")
    assert "use qfast.from_gymnasium(env)" in told(qfast.train, gym.make("FrozenLake-v1"))
    assert told(qfast.train, run) == "mdp is a Run, not an MDP; use its .mdp"
    assert told(solve, {0: {}}, 0.9).startswith("mdp is a dict, not an MDP; use qfast.from_P(P)")
    for function in (finite_horizon, lambda mdp: evaluate_policies(mdp, [[0]], 0.9)):
        assert "not an MDP" in told(function, "FrozenLake-v1")
    assert "first" in told(qfast.arrows, [1] * 5, MDP)
    assert "not an MDP" in told(qfast.arrows, run, [1] * 5)


def test_what_is_no_run_is_told_how_to_become_one(run):
    pytest.importorskip("matplotlib")
    plots, truth = qfast.plots, qfast.truth
    for function in (
        qfast.resume, qfast.rollout, qfast.evaluate, plots.learning_curve, plots.share_optimal, plots.value_map,
        plots.disagreement_map, plots.q_distribution, plots.census_bars, truth.census, truth.regret, truth.error,
        truth.is_optimal, truth.first_optimal,
    ):  # fmt: skip
        assert "is an MDP, not a Run; train agents on it first: qfast.train(mdp)" in told(function, MDP)
        assert "use qfast.load('run.npz')" in told(function, "run.npz")
    assert "no colour of matplotlib" in told(plots.learning_curve, run, color="loud")
    assert "ax is a Run, not matplotlib axes" in told(plots.learning_curve, run, ax=run)


def test_pictures_of_studies_ask_for_studies(run):
    pytest.importorskip("matplotlib")
    plots = qfast.plots
    for function in (
        plots.study_curves, plots.study_share_optimal, plots.sensitivity, plots.sensitivity_map,
        plots.score_distribution,
    ):  # fmt: skip
        assert "not a Study; use what qfast.study" in told(function, run)
    assert "not an AllComparisons" in told(plots.improvement, run)
    for function in (plots.misranking_curve, plots.named_shares):
        assert "not a StudyMisranking" in told(function, run)
    assert "not a StudyProfile" in told(plots.performance_profiles, run)


ODD = [object(), [], [[1], [1, 2]], {}, 1j, b"x", np.zeros(0), np.array([[1.0, np.nan]]), MDP]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_odd_types_are_refused_everywhere(run, odd):
    census = run.census()
    for call in (
        lambda: qfast.train(alpha=odd), lambda: qfast.train(n_agents=odd), lambda: qfast.train(rule=odd),
        lambda: qfast.train(threads=odd), lambda: qfast.train(dtype=odd), lambda: qfast.train(out=odd),
        lambda: qfast.evaluate(run, goal_reward=odd), lambda: qfast.rollout(run, max_steps=odd),
        lambda: run.table(odd), lambda: run.error(weight=odd), lambda: run.regret(gamma=odd),
        lambda: census.table(odd), lambda: census.actions(odd), lambda: census.arrows(0, ascii_only=odd),
        lambda: qfast.arrows(MDP, [1] * 5, ascii_only=odd), lambda: qfast.linear(odd, 1),
        lambda: MDP.with_limit(odd), lambda: qfast.problems.taxi(rainy=odd), lambda: finite_horizon(MDP, odd),
        lambda: run.save(odd), lambda: MDP.save(odd), lambda: qfast.load(odd), lambda: qfast.MDP.load(odd),
        lambda: qfast.load_study(odd), lambda: qfast.problems.chain(n_states=odd),
    ):  # fmt: skip
        told(call)


@pytest.mark.parametrize("odd", [[[1], [1, 2]], [], object(), {}])
def test_odd_settings_of_a_study_are_refused(odd):
    for name in ("alpha", "epsilon", "rule", "explore", "traces", "n", "dtype", "seed", "out"):
        if name == "seed" and isinstance(odd, list):
            continue  # no entropy at all, and rows of rows, are seeds like any other for NumPy
        told(qfast.study, vary={"gamma": [0.5, 0.9]}, n_agents=2, episodes=2, progress=False, **{name: odd})


def test_no_dtype_is_not_a_silent_float64():
    assert "use one of 'float32', 'float64'" in told(qfast.train, dtype=None)
    assert "use one of 'float32', 'float64'" in told(qfast.study, vary={"alpha": [0.1, 0.5]}, dtype=None)
    assert "cannot seed a run" in told(qfast.train, seed=np.array("x"))


def test_numbers_beyond_any_table_are_refused():
    assert "above 2,147,483,647" in told(qfast.problems.chain, n_states=10**30)
    assert "above 2,147,483,647" in told(finite_horizon, MDP, 10**30)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"threads": 0}, "use None for as many as processors"),
        ({"gamma": -1}, "use a value such as 0.9"),
        ({"alpha": 2}, "use a value such as 0.1"),
        ({"initial_q": float("inf")}, "use a value such as 0"),
        ({"traces": "replacing", "lambda_": 2}, "use a value such as 0.9"),
        ({"explore": "ucb", "c": -1}, "use a value such as 2"),
        ({"explore": "softmax", "temperature": -1}, "use a value such as 1"),
        ({"n_agents": 0}, "use a number such as 10,000"),
        ({"first_agent": -1}, "use a number such as 0"),
    ],
)
def test_advice_can_be_followed(options, advice):
    assert told(qfast.train, **options).endswith(advice)


def test_an_impossible_action_is_no_infinite_reward():
    assert "allowed=" in told(qfast.MDP, [[0, 0]], [[1.0, -np.inf]], terminated=[[True, True]])
    assert "allowed=" not in told(qfast.MDP, [[0, 0]], [[1.0, np.inf]], terminated=[[True, True]])
    table = {0: {0: [(1.0, 0, 1.0, True)], 1: [(1.0, 0, -np.inf, True)]}}
    assert "leave an action that is impossible out of P" in told(qfast.from_P, table)


def test_folders_in_place_of_files(run, tmp_path):
    WorkFolder(tmp_path / "study", kind="study", work={}).close()
    with pytest.raises(BadFile, match=r"holds no run \(.*study.*\); qfast\.load_study reads a study"):
        qfast.load(tmp_path / "study")
    with pytest.raises(BadFile, match="is a folder without a run"):
        qfast.load(tmp_path)
    with pytest.raises(BadFile, match="is a folder, no file of an MDP"):
        qfast.MDP.load(tmp_path)
    qfast.train(n_agents=2, episodes=2, seed=0, out=tmp_path / "run", progress=False)
    with pytest.raises(BadFile, match=r"holds a run, not a study; use qfast\.load$"):
        qfast.load_study(tmp_path / "run")
    for save in (run.save, MDP.save):
        assert "is a folder; name a file in it" in told(save, tmp_path)


def test_a_folder_that_may_not_be_written_to_is_refused_before_training(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    text = told(qfast.train, n_agents=10**6, episodes=10**6, out=tmp_path / "x.npz", keep_q=False, progress=False)
    assert "cannot be written (Permission denied); name a folder that you may write to" in text


@pytest.mark.parametrize("bad", ["\x1b[31m", "a\nb", "\x00", "\x9b", "\u202e", "\u2028", "\ud800", "\x7f"])
def test_names_hold_no_control_characters(bad):
    tables = {"next_state": [[0, 0]], "reward": [[1.0, 1.0]], "terminated": [[True, True]]}
    for part in ("state_names", "action_names", "layout"):
        names = {"state_names": [bad], "action_names": ["ok", bad], "layout": [bad]}[part]
        if part == "layout" and bad == "a\nb":
            continue
        text = told(qfast.MDP, **tables, **{part: names})
        assert "with the control character U+" in text
        assert text.isprintable()
    text = told(qfast.study, {f"a{bad}b": MDP, "b": MDP}, vary={"alpha": [0.1]})
    assert "control character" in text
    assert text.isprintable()


def test_names_in_any_script_are_welcome():
    names = ["Zürich", "東京", "می‌خواهم", "👩‍🚀", "a b"]
    mdp = qfast.MDP([[0] * 5], [[1.0] * 5], terminated=[[True] * 5], action_names=names)
    assert list(mdp.action_names) == names


def test_control_characters_in_a_file_are_refused(tmp_path):
    arrays = MDP.to_arrays() | {"state_names": np.array(["\x1b[2J", "1", "2", "3", "4"])}
    with pytest.raises(InvalidInput, match="control character U\\+001B"):
        qfast.MDP.from_arrays(arrays)

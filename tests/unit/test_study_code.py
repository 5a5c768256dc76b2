"""What a study says about making it again is Python that runs, and gives the same numbers."""

import html
import json
import re

import numpy as np
import pytest

import qfast
from qfast.studies.describe import _value, problem_code
from qfast.studies.settings import encode

LAKE = qfast.problems.frozen_lake("4x4", slip=0.0)
SMALL = {"n_agents": 64, "episodes": 20, "progress": False}


def run(code, folder, monkeypatch):
    """Execute a program in a folder; give the study that it makes."""
    monkeypatch.chdir(folder)
    names = {}
    exec(compile(code, "<page>", "exec"), names)
    return names["study"]


STUDIES = {
    "corridor": {"mdp": None, "vary": {"alpha": [0.1, 0.5]}, "seed": 1},
    "known": {"mdp": qfast.problems.frozen_lake(), "vary": {"ties": ["random"]}, "seed": [1, 2], "gamma": 0.99},
    "own limit": {"mdp": {"cliff": qfast.problems.cliff_walking().with_limit(30)}, "vary": {}, "seed": 2**70},
    "written": {
        "mdp": LAKE, "vary": {"epsilon": [0.1, qfast.linear(0.9, 0.1)]}, "seed": 3, "paired": False, "first_agent": 5,
    },
    "several": {
        "mdp": {"a": LAKE, "b c": qfast.corridor()}, "vary": {"alpha": [0.5]},
        "seed": np.random.SeedSequence(5, pool_size=8),
    },
    "rates": {
        "mdp": LAKE, "seed": 4, "checkpoints": [5, 20], "curves": False, "metrics": ["auc", "optimal"],
        "vary": [{"epsilon": [[0.5] * 20, qfast.linear(0.9, 0.1)]}, {"n": [1]}],
        "initial_q": np.linspace(0, 1, 64),
    },
    "many numbers": {"mdp": LAKE, "vary": {"epsilon": [qfast.by_episode(np.geomspace(1, 0.01, 20)), 0.1]}, "seed": 0},
    "precise": {"mdp": LAKE, "vary": {"alpha": [0.5]}, "seed": 6, "precision": {"optimal": 0.4}},
}  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_the_command_makes_the_study_again(name, tmp_path, monkeypatch):
    made = qfast.study(**(SMALL | STUDIES[name]))
    again = run(made.dataset.attrs["command"], tmp_path, monkeypatch)
    assert again.dataset.equals(made.dataset)
    assert again.dataset.attrs["command"] == made.dataset.attrs["command"]


def test_every_rate_is_written_as_code():
    visits = (qfast.by_visits(), qfast.by_visits(power=0.8), qfast.by_visits([0.5, 0.25]))
    for rate in (*visits, qfast.exponential(1, 0.1)):
        made = eval(_value(json.loads(json.dumps(encode(rate)))), {"qfast": qfast})
        assert encode(made) == encode(rate)


def test_a_page_prints_what_runs(tmp_path, monkeypatch):
    made = qfast.study(LAKE, vary={"alpha": [0.1, 0.5]}, seed=0, **SMALL)
    page = made.report(tmp_path / "page.html", rerun=False).read_text("utf-8")
    section = page[page.index('id="reproduce"') :]
    code = html.unescape(re.search(r"<pre><code>(.*?)</code></pre>", section, re.DOTALL)[1])
    assert run(code, tmp_path, monkeypatch).dataset.equals(made.dataset)


def test_a_large_problem_is_loaded_from_the_file_that_was_saved(tmp_path, monkeypatch):
    maze = qfast.grid("\n".join(["S" + "." * 14, *["." * 15] * 8, "." * 14 + "G"]), max_episode_steps=50)
    made = qfast.study({"my maze": maze}, vary={}, seed=0, metrics=["auc"], checkpoints=None, **SMALL)
    code = made.dataset.attrs["command"]
    (told,) = re.findall(r"# (.*) writes this file", code)
    monkeypatch.chdir(tmp_path)
    exec(told, {"study": made})
    assert run(code, tmp_path, monkeypatch).dataset.equals(made.dataset)


def test_functions_are_left_out_and_that_is_said(tmp_path, monkeypatch):
    own = qfast.Metric(lambda block: block.returns[:, 0], "first", higher_is_better=True)
    made = qfast.study(LAKE, vary={"alpha": [0.1]}, seed=0, metrics=["auc", own], **SMALL)
    code = made.dataset.attrs["command"]
    assert "functions are not kept: metrics={…} with your own first" in code
    np.testing.assert_array_equal(run(code, tmp_path, monkeypatch).scores("auc"), made.scores("auc"))


def test_gymnasiums_own_problems_are_known():
    pytest.importorskip("gymnasium")
    for name in ("FrozenLake8x8-v1", "CliffWalkingSlippery-v1"):
        mdp = qfast.from_gymnasium(name, max_episode_steps=70)
        code, note = problem_code("lake", mdp)
        assert eval(code, {"qfast": qfast}) == mdp
        assert not note
        assert "max_episode_steps=70" in code


@pytest.mark.parametrize("name", qfast.problems.names())
def test_every_problem_of_qfasts_own_is_known(name):
    mdp = qfast.problems.resolve(name)
    code, note = problem_code("problem", mdp)
    assert eval(code, {"qfast": qfast}) == mdp
    assert not note
    assert len(code) < 80

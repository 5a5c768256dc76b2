"""``qfast study``: from the shell to numbers, and on after an interruption."""

import json
import re
import signal
import sys

import numpy as np
import pytest

import qfast
from qfast.cli.app import run
from qfast.cli.options import precision, vary

SMALL = ("study", "--vary", "alpha=0.1,0.5", "--agents", 70, "--episodes", 40, "--seed", 5)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("alpha=0.1", ("alpha", [0.1])),
        ("alpha = 0.1, 0.5", ("alpha", [0.1, 0.5])),
        ("lambda=0.9", ("lambda_", [0.9])),
        ("initial-q=-1,1e3", ("initial_q", [-1.0, 1000.0])),
        ("n=1,2", ("n", [1, 2])),
        ("rule=sarsa,q_learning", ("rule", ["sarsa", "q_learning"])),
        ("traces=none,replacing", ("traces", [None, "replacing"])),
        ("epsilon=0.1:0.3:3", ("epsilon", [0.1, 0.2, 0.3])),
        ("epsilon=0.3:0.1:1", ("epsilon", [0.3])),
        ("epsilon=0.001:0.1:3:log,0.5", ("epsilon", [0.001, 0.01, 0.1, 0.5])),
        ("speed=fast", ("speed", ["fast"])),
    ],
)
def test_vary(text, meant):
    assert vary(text) == meant


def test_schedules_vary():
    assert [repr(value) for value in vary("epsilon=0.5:0.01,1:0.1:exponential")[1]] == [
        "linear(0.5, 0.01)",
        "exponential(1, 0.1)",
    ]


def test_precision():
    assert precision("optimal=0.01") == {"optimal": 0.01}
    assert precision("0.05") == 0.05


def test_a_table_for_people(command):
    done = command(*SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Study of 2 configurations, 70 agents each, 40 episodes\n")
    study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=70, episodes=40, seed=5, progress=False)
    steps = study.scores("steps", 1)
    row = rf"^alpha=0.5 +{steps.mean():.5g} ± \S+ +{steps.std(ddof=1):.3g} +100 %$"
    assert re.search(row, done.stdout, re.MULTILINE)
    assert "seed 5; paired" in done.stdout
    assert "not kept; --out DIR keeps it" in done.stdout


def test_out_save_and_json(command, tmp_path):
    told = json.loads(command(*SMALL, "--out", "here", "--save", "study.nc", "--json").stdout)
    shown = command("show", "here")
    assert "here holds a study, not a run; `qfast plot here` and `qfast report here` show it" in shown.stderr
    kept, saved = qfast.load_study(tmp_path / "here"), qfast.load_study(tmp_path / "study.nc")
    assert kept.dataset.equals(saved.dataset)
    assert told["out"] == "here"
    assert [one["values"] for one in told["configurations"]] == [{"alpha": 0.1}, {"alpha": 0.5}]
    assert told["configurations"][1]["metrics"]["steps"]["mean"] == pytest.approx(kept.scores("steps", 1).mean())
    words = "qfast study --vary alpha=0.1,0.5 --agents 70 --episodes 40 --seed 5"
    assert saved.dataset.attrs["shell"] == told["command"]
    assert saved.dataset.attrs["command"] == told["python"]
    assert told["python"].startswith("import qfast\n\nproblem = qfast.corridor()\n")
    assert told["command"].startswith(words)
    again = command(*SMALL[:-2], "--out", "here", "--json")  # without --seed: that of the folder
    assert json.loads(again.stdout)["configurations"] == told["configurations"]
    assert json.loads(again.stdout)["command"].endswith("--seed 5")


def test_several_problems_unpaired_and_precise(command, tmp_path):
    qfast.corridor().save(tmp_path / "other.npz")
    options = ("--unpaired", "--agents", 9_000, "--episodes", 9, "--precision", "steps=50", "--json")
    told = json.loads(command("study", "corridor", "other.npz", *options).stdout)
    assert [one["label"] for one in told["configurations"]] == ["problem=corridor", "problem=other.npz"]
    assert [one["agents"] for one in told["configurations"]] == [1024, 1024]
    assert told["paired"] is False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--vary", "alpha"], "is no setting with values"),
        (["--vary", "alpha=0.1,,0.2"], "has an empty value"),
        (["--vary", "alpha=0.1x"], "is no value"),
        (["--vary", "alpha=0:1:3:log"], "is no range"),
        (["--vary", "alpha=0:1:99999999999"], "is no range"),
        (["--vary", "alpha=0.1", "--vary", "alpha=0.2"], "alpha is there twice"),
        (["--vary", "speed=1,2"], "'speed' cannot vary; what can is alpha"),
        (["--vary", "alpha=0.1,0.1"], "alpha holds 0.1 twice"),
        (["corridor", "corridor"], "'corridor' is there twice"),
        (["nowhere"], "problem 'nowhere' is unknown"),
        (["--precision", "fine"], "is no half-width"),
        (["--precision", "speed=1"], "'speed' is no metric"),
        (["--report"], "--report without a FILE goes into the folder of --out"),
        (["--save", "study.csv"], "has no ending of a study's file"),
        (["--out", "taken"], "is a file"),
        (["--out", "-"], "--out - names no file"),
        (["--out", "full"], "full is a folder of something else"),
    ],
)
def test_bad_input_is_one_line(capsys, monkeypatch, tmp_path, arguments, told):
    (tmp_path / "taken").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert run(["study", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("qfast: error: ")
    assert told in said.err
    assert said.err.count("\n") == 1


def test_another_study_is_refused(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run([*map(str, SMALL), "--out", "here"]) == 0
    assert run([*map(str, SMALL[:-1]), "6", "--out", "here"]) == 2
    assert "begun with seed.entropy=5, not 6" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Unix signals")
def test_an_interrupted_study_goes_on(start, command, tmp_path):
    long = ("study", "--vary", "alpha=0.1,0.5", "--agents", 4_096, "--episodes", 20_000, "--seed", 3, "--out", "here")
    started = start(*long, "--threads", 1)
    started.read(lambda text: re.search(r"[1-9][\d,]*/8,192 agents", text))
    started.process.send_signal(signal.SIGINT)
    started.process.communicate(timeout=60)
    assert started.process.returncode == -signal.SIGINT
    assert re.search(r"interrupted; [01] of 2 configurations \(\S+ agents\) were complete; it is kept", started.read())
    assert list((tmp_path / "here").glob("piece-*"))
    manifest = json.loads((tmp_path / "here" / "work.json").read_text())["work"]
    assert manifest["seed"]["entropy"] == 3
    with np.load(next((tmp_path / "here").glob("piece-*"))) as piece:
        assert piece["table"][0, :2].tolist() == [0, 0]

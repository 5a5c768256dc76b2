"""Every way to be wrong: one line on standard error, status 2, nothing on standard output, no traceback."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import qfast

WRONG_ARGUMENTS = {
    "unknown command": ("fly", ["invalid choice", "fly"]),
    "unknown option": ("train --speed 3", ["--speed"]),
    "abbreviated option": ("train --agent 3", ["--agent", "did you mean --agents?"]),
    "the field's name": ("train --learning-rate 0.1", ["--learning-rate", "use --alpha, the step size"]),
    "the field's other name": ("train --n-seeds=5", ["--n-seeds", "use --agents: each agent is a seed of its own"]),
    "a decay": ("train --epsilon-decay 0.9", ["--epsilon-decay", "use --epsilon 1:0.05"]),
    "an option of a problem": ("train --env FrozenLake-v1", ["--env", "use PROBLEM, its name"]),
    "a limit": ("train --max-episode-steps 5", ["use --max-steps"]),
    "no value": ("train --agents", ["--agents", "expected one argument"]),
    "no file": ("show", ["RUN"]),
    "no episodes to resume": ("resume run.npz", ["--episodes"]),
    "no number": ("train --agents ten", ["--agents", "'ten' is not a whole number"]),
    "a fraction of an agent": ("train --agents 1.5", ["--agents", "'1.5' is not a whole number"]),
    "infinitely many agents": ("train --agents inf", ["--agents", "whole number"]),
    "a very long number": (f"train --agents {'x' * 5000}", ["--agents", "..."]),
    "a gamma that is no number": ("train --gamma much", ["--gamma", "not a number"]),
    "no rate": ("train --alpha high", ["--alpha", "START:STOP"]),
    "no shape": ("train --epsilon 1:0:cubic", ["--epsilon", "START:STOP:exponential"]),
    "a rate in four parts": ("train --epsilon 1:0:linear:3", ["--epsilon"]),
    "unknown ties": ("train --ties middle", ["--ties", "invalid choice", "middle"]),
    "unknown dtype": ("train --dtype int8", ["--dtype", "float64"]),
    "unknown record": ("train --record all", ["--record", "summary"]),
}

WRONG_VALUES = {
    "no agents": ("train --agents 0", ["n_agents=0", "at least 1"]),
    "no episodes": ("train --episodes 0", ["episodes=0", "at least 1"]),
    "a large alpha": ("train --alpha 1.5", ["alpha=1.5", "outside [0, 1]"]),
    "no alpha": ("train --alpha nan", ["alpha=nan"]),
    "a large schedule": ("train --epsilon 2:0.1", ["epsilon=2.0", "outside [0, 1]"]),
    "a schedule to zero": ("train --alpha 1:0:exponential", ["exponential(1.0, 0.0)", "linear"]),
    "a negative gamma": ("train --gamma -0.1", ["gamma=-0.1", "outside [0, 1]"]),
    "an infinite start": ("train --initial-q inf", ["initial_q=inf"]),
    "no threads": ("train --threads 0", ["threads=0"]),
    "a negative seed": ("train --seed -1", ["seed", "-1"]),
    "a negative agent": ("train --first-agent -1", ["first_agent=-1"]),
    "no steps": ("train --max-steps 0", ["max_episode_steps=0"]),
    "an unknown problem": ("train nowhere", ["nowhere", "corridor", "FrozenLake-v1"]),
    "a misspelt problem": ("train coridor", ["did you mean 'corridor'"]),
    "too many agents": ("train --agents 1e13", ["n_agents=10,000,000,000,000", "GB"]),
    "a missing file": ("show missing.npz", ["missing.npz", "No such file"]),
    "a file of something else": ("show text.npz", ["text.npz"]),
    "half a file": ("show half.npz", ["half.npz", "truncated"]),
    "a foreign file": ("show foreign.npz", ["foreign.npz", "not written by qfast"]),
    "a problem in place of a run": ("rollout mdp.npz", ["mdp.npz", "'mdp'"]),
    "a run in place of a problem": ("train run.npz", ["run.npz", "'run'"]),
    "a folder in place of a run": ("show folder", ["folder", "is a folder without a run"]),
    "a bad grid": ("train bad.txt", ["bad.txt", "row"]),
    "a grid that is no text": ("train bytes.txt", ["bytes.txt", "no text"]),
    "an agent too many": ("show run.npz --agent 50", ["agent=50", "50 agents"]),
    "an agent too many in a rollout": ("rollout run.npz --agent 50", ["agent=50"]),
    "a rollout without steps": ("rollout run.npz --max-steps 0", ["max_steps=0"]),
    "nothing to resume": ("resume run.npz --episodes 0", ["episodes=0"]),
}

WRONG_OUT = {
    "no such folder": ("none/run.npz", "cannot be written"),
    "a folder": ("folder", "is a folder"),
    "a folder by its slash": ("new/", "is a folder"),
    "a long name": ("x" * 300, "cannot be written"),
    "below a file": ("text.npz/run.npz", "cannot be written"),
    "the problem": ("maze.txt", "problem's own file"),
    "standard output": ("-", "--out - names no file"),
}


def complains(done, *words):
    """Check the form of a complaint, and that it names what it should."""
    __tracebackhide__ = True
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("qfast: error: ")
    assert done.stderr.endswith("\n")
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture
def files(tmp_path, run_file):
    whole = run_file.read_bytes()
    (tmp_path / "run.npz").write_bytes(whole)
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "bad.txt").write_text("S.?\n..G\n")
    (tmp_path / "maze.txt").write_text("S.\n.G\n")
    (tmp_path / "bytes.txt").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "foreign.npz", x=np.arange(3))
    qfast.corridor().save(tmp_path / "mdp.npz")
    return tmp_path


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_arguments(command, name):
    arguments, words = WRONG_ARGUMENTS[name]
    complains(command(*arguments.split()), *words, "--help")


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_values_and_files(command, files, name):
    arguments, words = WRONG_VALUES[name]
    complains(command(*arguments.split()), *words)


@pytest.mark.parametrize("name", WRONG_OUT)
def test_out_is_refused_before_training(command, files, name):
    out, words = WRONG_OUT[name]
    before = {path: path.stat().st_mtime_ns for path in files.rglob("*")}
    # Training this would take days: an answer shows that nothing was trained.
    complains(command("train", "maze.txt", "--episodes", "1e9", "--record", "none", "--out", out), "--out", words)
    assert {path: path.stat().st_mtime_ns for path in files.rglob("*")} == before


@pytest.mark.skipif(sys.platform == "win32", reason="devices are files on Unix")
def test_out_never_replaces_a_device(command, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for out in ("/dev/null", "pipe"):
        complains(command("train", "--episodes", "1e9", "--record", "none", "--out", out), "device or a pipe")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody may write")
def test_out_where_nobody_may_write(command):
    complains(command("train", "--episodes", "1e9", "--record", "none", "--out", "/proc/run.npz"), "cannot be written")


def test_out_that_cannot_fit_on_the_disk(command, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    complains(command("train", "--episodes", "1e9", "--record", "none", "--out", "run.npz"), "1e-07 GB are free")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", [None, "1"])
@pytest.mark.parametrize("arguments", [["show"], ["rollout", "--json"]])  # less and more than a buffer
def test_a_full_disk_behind_standard_output(command, run_file, arguments, unbuffered):
    with Path("/dev/full").open("w") as full:
        done = command(*arguments, run_file, stdout=full, env={"PYTHONUNBUFFERED": unbuffered})
    assert done.returncode == 2
    assert done.stderr == "qfast: error: No space left on device\n"


def test_without_gymnasium(command, without):
    done = command("train", "FrozenLake-v1", env={"PYTHONPATH": without("gymnasium")})
    complains(done, "qfast[gym]")


def test_problems_that_gymnasium_has_no_table_of(command):
    pytest.importorskip("gymnasium")
    complains(command("train", "CartPole-v1"), "CartPole-v1", "no table P")
    complains(command("train", "NoSuchThing-v0"), "NoSuchThing")


def test_a_defect_is_one_line_too(command, without):
    path = without("gymnasium", "ZeroDivisionError('planted')")
    done = command("train", "FrozenLake-v1", env={"PYTHONPATH": path})
    assert done.returncode == 70
    told = "defect in qfast, please report it: ZeroDivisionError: planted (-v shows where)"
    assert done.stderr == f"qfast: error: {told}\n"
    assert "Traceback" in command("-v", "train", "FrozenLake-v1", env={"PYTHONPATH": path}).stderr


def test_a_warning_made_an_error_is_one_line_too(command):
    pytest.importorskip("gymnasium")
    warned = {"PYTHONWARNINGS": "error::UserWarning"}
    complains(command("train", "CliffWalking-v1", "--episodes", 1, env=warned), "has no limit")


def test_an_error_leaves_the_file_of_an_earlier_run(command, files):
    before = (files / "run.npz").read_bytes()
    assert command("train", "--alpha", "7", "--out", "run.npz").returncode == 2
    assert (files / "run.npz").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs a Unix shell")
def test_closed_streams(command, run_file, make_environment, tmp_path):
    shell = f'"{sys.executable}" -m qfast show "{run_file}" '
    for closing, status in (("1>&-", 2), ("2>&-", 0), ("1>&- 2>&-", 2)):
        done = subprocess.run(
            ["sh", "-c", shell + closing],
            env=make_environment(), capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == status
        assert done.stderr in ("", "qfast: error: standard output is closed\n")
        assert ("error" in done.stderr) == (closing == "1>&-")


def test_control_characters_in_names_of_files_do_not_reach_the_terminal(command, tmp_path):
    name = "\x1b[31mred\u202e.npz"
    complains(command("show", name), r"\x1b[31mred\u202e.npz: No such file")
    (tmp_path / "\x1b[2Jmaze").write_text("S...G\n")
    done = command("train", "\x1b[2Jmaze", "--agents", 2, "--episodes", 3, "--max-steps", 50, "--out", name)
    assert done.returncode == 0, done.stderr
    assert r"Q-learning on \x1b[2Jmaze" in done.stdout
    assert r"saved in \x1b[31mred\u202e.npz" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert (tmp_path / name).is_file()

"""Ctrl-C, SIGTERM and closed pipes: quick, silent where it should be, and with what is complete."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import qfast

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix signals")

# Minutes of work for one thread, in blocks of a fraction of a second.
LONG = ("train", "--agents", 2_000_000, "--episodes", 5_000, "--threads", 1, "--seed", 3)
SOME_DONE = re.compile(r"[1-9][\d,]*/2,000,000 agents")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_complete_is_saved(start, tmp_path, number):
    started = start(*LONG, "--out", "run.npz")
    started.read(SOME_DONE.search)
    started.process.send_signal(number)
    output, _ = started.process.communicate(timeout=30)
    assert started.process.returncode == -number  # which a shell shows as 130 or 143
    assert output == b""
    said = re.search(r"([\d,]+) agents are complete and saved in run.npz; the same command goes on", started.read())
    run = qfast.load(tmp_path / "run.npz")
    assert run.n_agents == int(said[1].replace(",", ""))
    same = qfast.train(n_agents=64, episodes=5_000, seed=3, record=None, progress=False)
    np.testing.assert_array_equal(run.q[:64], same.q)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.npz", "run.npz.parts"]
    again = start(*LONG, "--out", "run.npz")
    again.read(lambda text: any(int(n.split("/")[0].replace(",", "")) > run.n_agents for n in SOME_DONE.findall(text)))
    again.process.send_signal(number)
    again.process.communicate(timeout=30)
    assert qfast.load(tmp_path / "run.npz").n_agents > run.n_agents  # the file follows


def test_without_out_nothing_is_saved_and_said_so(start, tmp_path):
    started = start(*LONG)
    started.read(SOME_DONE.search)
    started.process.send_signal(signal.SIGINT)
    started.process.communicate(timeout=30)
    assert started.process.returncode == -signal.SIGINT
    assert re.search(r"complete but not saved \(--out FILE would keep them\)", started.read())
    assert list(tmp_path.iterdir()) == []


def test_before_anything_is_complete(start, tmp_path):
    started = start(
        "train", "--agents", 64, "--episodes", 100_000_000, "--threads", 1, "--record", "none", "--out", "run.npz"
    )
    started.read(lambda text: "0/64 agents" in text)
    started.process.send_signal(signal.SIGINT)
    started.process.communicate(timeout=30)
    assert started.process.returncode == -signal.SIGINT
    assert "interrupted before any agent was complete; nothing is saved" in started.read()
    assert list(tmp_path.iterdir()) == []


def test_the_terminal_is_left_as_it_was(start):
    started = start(*LONG)
    started.read(SOME_DONE.search)
    started.process.send_signal(signal.SIGINT)
    started.process.communicate(timeout=30)
    seen = started.read()
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l")  # the cursor is shown again
    assert "Traceback" not in seen


def test_while_compiling(start, tmp_path):
    started = start("train", "--agents", 100, env={"NUMBA_CACHE_DIR": tmp_path / "cache"})
    started.read(lambda text: "compiling" in text)
    started.process.send_signal(signal.SIGINT)
    started.process.communicate(timeout=30)
    assert started.process.returncode == -signal.SIGINT
    assert "Traceback" not in started.read()


def test_signals_that_the_shell_ignores(start, tmp_path):
    # As for a job in the background of a script: Ctrl-C is for others, SIGTERM still keeps what is complete.
    started = start(*LONG, "--out", "run.npz", prefix=("sh", "-c", 'trap "" INT; exec "$@"', "sh"))
    seen = started.read(SOME_DONE.search)
    started.process.send_signal(signal.SIGINT)
    count = SOME_DONE.search(seen)[0]
    started.read(lambda text: set(SOME_DONE.findall(text)) > {count})  # it goes on
    assert started.process.poll() is None
    started.process.send_signal(signal.SIGTERM)
    started.process.communicate(timeout=30)
    assert started.process.returncode == -signal.SIGTERM
    assert qfast.load(tmp_path / "run.npz").n_agents >= 64


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_shell_loop_ends_at_ctrl_c(start):
    # A shell goes on after a command that exits with status 130, but not after one that died of SIGINT.
    started = start(*LONG, prefix=("bash", "-c", 'for i in 1 2 3; do "$@"; done; echo went on', "bash"))
    started.read(SOME_DONE.search)
    os.killpg(started.process.pid, signal.SIGINT)
    output, _ = started.process.communicate(timeout=30)
    assert started.process.returncode == -signal.SIGINT
    assert output == b""
    assert started.read().count("qfast: interrupted") == 1


@pytest.mark.parametrize("unbuffered", [None, "1"])
@pytest.mark.parametrize("arguments", [["show"], ["show", "--json"], ["rollout", "--json"]])
def test_a_closed_pipe_is_silent(command, closed_pipe, run_file, arguments, unbuffered):
    done = command(*arguments, run_file, stdout=closed_pipe, env={"PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")  # which a shell shows as 141


def test_a_closed_pipe_loses_no_result(command, closed_pipe, tmp_path):
    done = command("train", "--agents", 5, "--episodes", 9, "--out", "run.npz", stdout=closed_pipe)
    assert done.returncode == -signal.SIGPIPE
    assert qfast.load(tmp_path / "run.npz").n_agents == 5


def test_head_gets_its_line(run_file, make_environment):
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m qfast show "{run_file}" --json | head -1'],
        env=make_environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_json_after_a_pipe(run_file, make_environment):
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m qfast show "{run_file}" --json | cat'],
        env=make_environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout)["seed"] == 1

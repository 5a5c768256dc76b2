"""Ctrl-C and SIGTERM at random moments, and many trainings at once."""

import random
import signal
import sys
import time

import pytest

import qfast
from faults.runs import assert_same

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix signals")

SETTINGS = {"n_agents": 30_000, "episodes": 200, "seed": 6, "progress": False}
COMMAND = "import sys; from qfast.cli import main; sys.exit(main())"
WORDS = ("train", "--agents", 30_000, "--episodes", 200, "--threads", 1, "--seed", 6, "--out", "run.npz")


@pytest.mark.parametrize("moments", [3, pytest.param(40, marks=pytest.mark.long)])
def test_the_command_line_stopped_at_random_moments(script, tmp_path, moments):
    # From before Python has begun to after the result is saved.
    rng = random.Random(moments)
    for _ in range(moments):
        number = rng.choice([signal.SIGINT, signal.SIGTERM])
        process = script(COMMAND, *WORDS, wait=False)
        time.sleep(rng.uniform(0.3, 2.5))
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        if process.returncode == 0:
            assert said == ""
            break
        assert process.returncode == -number  # which a shell shows as 130 or 143
        # Before qfast's own code runs, it is Python that dies, in its own way.
        assert "qfast: interrupted" in said or "site-packages" in said or "KeyboardInterrupt" in said or said == ""
    done = script(COMMAND, *WORDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same(qfast.load(tmp_path / "run.npz"), qfast.train(**SETTINGS))
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


MANY = """
import threading, qfast
settings = dict(episodes=60, progress=False)
wrong = []
def train(seed):
    for n in (1, 65, 700):
        alone = qfast.train(n_agents=n, seed=seed, threads=1, **settings)
        wrong.append(not (qfast.train(n_agents=n, seed=seed, threads=3, **settings).q == alone.q).all())
threads = [threading.Thread(target=train, args=(seed,)) for seed in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(wrong), any(wrong))
"""


def test_many_threads_in_many_processes(script):
    processes = [script(MANY, wait=False) for _ in range(2)]
    for process in processes:
        said, complained = process.communicate(timeout=120)
        assert (said, complained) == ("18 False\n", "")

"""Killed, and started again: the same bits as if nothing had happened."""

import os
import random
import shutil
import signal
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import house
import numpy as np
import pytest
from oracle.digests import rich, rich_mdp
from oracle.kernels import kernel_with

import qfast
from faults.runs import RUN, assert_same
from qfast.engine.journal import Collector

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix signals")

# What is complete is written down, and said so, after every 64 agents.  Before more of them than the second argument
# says are complete, it waits to be killed: what is met under way is under way on any machine.
TRAIN = f"""
import signal, sys, qfast, qfast.engine.journal
from oracle.kernels import kernel_with
from qfast.engine.journal import Collector
from qfast.engine.journal import Journal
take, commit = Collector.take, Journal.commit
def take_some(collector, block):
    if collector.n_agents + block.n_agents > int(sys.argv[2]):
        signal.pause()
    take(collector, block)
def say(journal, done):
    commit(journal, done)
    print(done.n_agents, flush=True)
Collector.take, Journal.commit, qfast.engine.journal.COMMIT_SECONDS = take_some, say, 0.0
with kernel_with(block=64):
    qfast.train(**{RUN}, out=sys.argv[1], threads=1)
print("complete")
"""


def done(folder):
    """How many agents a folder vouches for."""
    return max((int(path.stem[5:]) for path in folder.glob("done-*.npz")), default=0)


@pytest.mark.parametrize("name", ["run.npz", "folder"])
def test_the_main_process_is_killed_again_and_again(script, tmp_path, name):
    folder = tmp_path / (f"{name}.parts" if name == "run.npz" else name)
    moments, seen = random.Random(name), [0]
    for most in (1_000, 2_000):
        process = script(TRAIN, name, most, wait=False)
        first = int(process.stdout.readline())
        time.sleep(moments.uniform(0, 0.1))  # at any moment of the work that follows, or when it waits
        process.kill()
        process.wait()
        seen.append(done(folder))
        assert seen[-2] < first <= seen[-1] <= most
    finished = script(TRAIN, name, RUN["n_agents"])
    assert finished.stdout.endswith("\ncomplete\n"), finished.stderr
    assert int(finished.stdout.split()[0]) > seen[-1]
    run = qfast.load(tmp_path / name)
    assert_same(run, qfast.train(**RUN))
    assert run.seconds > 0
    assert not list(tmp_path.rglob("done-*"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.fixture
def stopped_at(monkeypatch):
    """Train with ``out`` until some agents are complete, as a Ctrl-C leaves it."""

    def train(out, agents=500, **settings):
        take = Collector.take

        def interrupt(keeping, block):
            take(keeping, block)
            if keeping.n_agents >= agents:
                signal.raise_signal(signal.SIGINT)

        options = RUN | {"threads": 1, "out": out} | settings
        mdp = options.pop("mdp", None)
        monkeypatch.setattr(Collector, "take", interrupt)
        with pytest.raises(qfast.Interrupted) as caught, kernel_with(block=64):
            qfast.train(mdp, **options)
        monkeypatch.undo()
        return caught.value.run

    return train


SETTINGS = {
    "returns": {"record": "returns"},
    "nothing": {"record": None},
    "two tables and visits": {
        "mdp": house.chances(masked=True), "rule": "double_q_learning", "alpha": qfast.by_visits(), "ties": "first",
        "dtype": "float64", "record": "returns",
    },
    "checkpoints": {"checkpoints": [0, 50], "checkpoint_q": True},
    "summary alone": {"keep_q": False},
    "returns alone": {"keep_q": False, "record": "returns"},
    "everything": {"mdp": rich_mdp(), **rich()},
}


@pytest.mark.parametrize("out", ["run.npz", "folder"])
@pytest.mark.parametrize("name", SETTINGS)
def test_an_interrupted_training_goes_on(tmp_path, stopped_at, name, out):
    settings = RUN | {"n_agents": 200} | SETTINGS[name]
    part = stopped_at(tmp_path / out, 100, **settings)
    assert 100 <= part.n_agents < 200
    plan = dict(settings)
    mdp = plan.pop("mdp", None)
    expected = qfast.train(mdp, **plan)
    run = qfast.train(mdp, **plan, out=tmp_path / out)
    for one in (run, qfast.load(tmp_path / out), qfast.train(mdp, **plan, out=tmp_path / out)):
        assert_same(one, expected)
        if expected.checkpoints is not None:
            for column in ("regret", "optimal", "error_sup", "error_rms", "q"):
                np.testing.assert_array_equal(getattr(one.checkpoints, column), getattr(expected.checkpoints, column))
    if isinstance(run.q, np.ndarray):
        evaluated = [qfast.evaluate(each, episodes=3, progress=False).returns for each in (run, expected)]
        np.testing.assert_array_equal(*evaluated)
        first = qfast.train(mdp, **(plan | first_of(plan, part.n_agents)))
        np.testing.assert_array_equal(first.q, part.q)
    assert [path.name for path in tmp_path.iterdir()] == [out]


def first_of(settings, count):
    """The same settings for the first agents."""
    rates = {k: v.first(count) for k, v in settings.items() if isinstance(v, qfast.Rate)}
    return {"n_agents": count} | rates


def test_without_a_seed_it_goes_on_with_its_own(tmp_path, stopped_at):
    part = stopped_at(tmp_path / "a.npz", seed=None)
    run = qfast.train(**RUN | {"seed": None}, out=tmp_path / "a.npz")
    assert run.seed == part.seed
    assert_same(run, qfast.train(**RUN | {"seed": run.seed}))
    again = qfast.train(**RUN | {"seed": None}, out=tmp_path / "a.npz")  # the file is complete: a new run
    assert again.seed != run.seed


def test_a_complete_run_is_read_not_trained_again(tmp_path):
    run = qfast.train(**RUN, out=tmp_path / "a.npz")
    before = (tmp_path / "a.npz").stat().st_mtime_ns
    again = qfast.train(**RUN, out=tmp_path / "a.npz")
    assert (again.seconds, (tmp_path / "a.npz").stat().st_mtime_ns) == (run.seconds, before)
    assert_same(again, run)
    other = qfast.train(**RUN | {"seed": 5}, out=tmp_path / "a.npz")  # as Run.save would, it replaces the file
    assert_same(qfast.load(tmp_path / "a.npz"), other)


OTHER = {
    "seed": ({"seed": 5}, "seed.entropy=4, not 5"),
    "agents": ({"n_agents": 3_001}, "agents=3000, not 3001"),
    "rate": ({"alpha": 0.2}, 'alpha="0.1", not "0.2"'),
    "digits of a rate": ({"gamma": 0.9 + 1e-12}, "values_of_rates="),
    "problem": ({"mdp": qfast.corridor(6)}, "problem="),
    "record": ({"record": None}, 'record="summary", not null'),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_runs_folder_is_refused_before_any_work(tmp_path, stopped_at, name):
    stopped_at(tmp_path / "folder")
    stopped_at(tmp_path / "a.npz")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    changes, words = OTHER[name]
    for out in ("folder", "a.npz"):
        with pytest.raises(qfast.InvalidInput, match="holds a training that was begun with") as caught:
            qfast.train(**RUN | changes, out=tmp_path / out)
        assert words in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (3, "no name of a file"), ("no/where.npz", "there is no folder"), ("taken", "something else"),
        ("dir.npz", "name a file"),
    ],
)
def test_places_that_cannot_be(tmp_path, monkeypatch, out, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").touch()
    (tmp_path / "dir.npz").mkdir()
    with pytest.raises(qfast.InvalidInput, match=words):
        qfast.train(**RUN, out=out)


def test_two_at_once_in_one_place(tmp_path, script):
    process = script(TRAIN, "folder", 1_000, wait=False)
    assert int(process.stdout.readline()) == 64
    with pytest.raises(qfast.InvalidInput, match="in use by another process"):
        qfast.train(**RUN, out=tmp_path / "folder")
    process.kill()


def test_every_damage_is_noticed_or_harmless(tmp_path, stopped_at):
    rng = np.random.default_rng(2)
    expected = qfast.train(**RUN | {"n_agents": 400, "record": "returns"})
    settings = RUN | {"n_agents": 400, "record": "returns"}
    stopped_at(tmp_path / "whole", 200, n_agents=400, record="returns")
    paths = sorted(path for path in (tmp_path / "whole").iterdir() if path.name != "lock")
    told = []
    for i in range(6 * len(paths)):
        shutil.copytree(tmp_path / "whole", tmp_path / "copy")
        path = tmp_path / "copy" / paths[i % len(paths)].name
        content = bytearray(path.read_bytes())
        if i % 3 == 0:
            content = content[: rng.integers(len(content))]
        else:
            content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                assert_same(qfast.train(**settings, out=tmp_path / "copy"), expected)
                told.append([str(warning.category.__name__) for warning in caught])
            except qfast.BadFile as error:
                told.append("BadFile" if "remove" in str(error) else str(error))
        shutil.rmtree(tmp_path / "copy")
    assert "BadFile" in told
    assert ["DamagedPartWarning"] in told
    assert {str(kind) for kind in told} <= {"BadFile", "['DamagedPartWarning']", "[]"}


def test_a_finished_folder_is_checked_when_it_is_read(tmp_path):
    run = qfast.train(**RUN, out=tmp_path / "folder")
    path = tmp_path / "folder" / "q.npy"
    whole = path.read_bytes()
    for content, words in ((whole[:-4], "truncated"), (whole[:-1] + b"!", "checksum"), (whole + b"!", "checksum")):
        path.write_bytes(content)
        with pytest.raises(qfast.BadFile, match=words):
            qfast.load(tmp_path / "folder")
    path.unlink()
    with pytest.raises(qfast.BadFile, match="missing"):
        qfast.load(tmp_path / "folder")
    path.write_bytes(whole)
    assert_same(qfast.load(tmp_path / "folder"), run)
    np.testing.assert_array_equal(np.load(path), run.q)  # NumPy alone reads it


def test_unfinished_folders_are_no_runs(tmp_path, stopped_at):
    stopped_at(tmp_path / "folder")
    with pytest.raises(qfast.BadFile, match="an unfinished training; start it again"):
        qfast.load(tmp_path / "folder")


# --- workers ----------------------------------------------------------------------------------------------------------


def test_process_pools_and_a_worker_that_is_killed(tmp_path, at_first):
    big = RUN | {"n_agents": 60_000}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        at_first(lambda: next(iter(pool._processes.values())).kill())
        with pytest.raises(qfast.Unfinished, match=r"BrokenProcessPool: .*of 60,000 agents were complete") as caught:
            qfast.train(**big, executor=pool, out=tmp_path / "a.npz")
    part = caught.value.run
    assert 0 < part.n_agents < 60_000
    assert "start again with the same settings to go on from there" in str(caught.value)
    expected = qfast.train(**big)
    assert_same(part, qfast.train(**big | {"n_agents": part.n_agents}))
    assert_same(qfast.train(**big, out=tmp_path / "a.npz"), expected)  # another executor goes on


# --- fork after threads -----------------------------------------------------------------------------------------------

FORK = """
import os, sys, threading, qfast
settings = dict(n_agents=2000, episodes=50, seed=1, progress=False)
expected = qfast.train(**settings).q.tobytes()
wrong = []
def train():
    for _ in range(20):
        wrong.append(qfast.train(**settings).q.tobytes() != expected)
threads = [threading.Thread(target=train) for _ in range(2)]
for thread in threads: thread.start()
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        os._exit(qfast.train(**settings).q.tobytes() != expected)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
for thread in threads: thread.join()
print(codes, any(wrong))
"""


#: Python 3.11 has a lock around what is computed once of a problem.
LOCKED = """
import os, signal, threading, qfast
from functools import cached_property
settings = dict(n_agents=64, episodes=5, seed=1, progress=False)
qfast.train(**settings)
computing, gone_on = threading.Event(), threading.Event()
found = vars(qfast.MDP)["decision_states"]
compute = found.func
def slowly(mdp):
    if threading.current_thread() is not threading.main_thread():
        computing.set()
        gone_on.wait()
    return compute(mdp)
found.func = slowly
thread = threading.Thread(target=lambda: qfast.corridor().decision_states)
thread.start()
computing.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    qfast.train(**settings)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
gone_on.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_a_thread_looks_at_a_problem(script):
    assert script(LOCKED).stdout == "0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_threads_are_training(script):
    assert script(FORK, timeout=60).stdout == "[0, 0, 0, 0] False\n"

"""Ctrl-C and death while a finished run is being saved: nothing of it is lost."""

import os
import signal
import sys

import pytest

import qfast
import qfast.studies.folder
from faults.runs import RUN, assert_same
from qfast.destination import Destination

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix signals")


@pytest.fixture(scope="module")
def expected():
    return qfast.train(**RUN)


@pytest.fixture
def ctrl_c_at(monkeypatch):
    """Raise SIGINT within a function, once."""

    def at(where, name):
        usual = getattr(where, name)

        def stop(*arguments, **options):
            monkeypatch.setattr(where, name, usual)
            signal.raise_signal(signal.SIGINT)
            return usual(*arguments, **options)

        monkeypatch.setattr(where, name, stop)

    return at


@pytest.mark.parametrize("out", ["run.npz", "folder"])
def test_ctrl_c_while_the_run_is_saved(tmp_path, ctrl_c_at, expected, out):
    ctrl_c_at(qfast.Run, "about")
    with pytest.raises(qfast.Interrupted, match=r"all 3,000 agents are complete and are kept in .*go on") as caught:
        qfast.train(**RUN, out=tmp_path / out)
    assert_same(caught.value.run, expected)
    trained = []
    run = qfast.train(**RUN | {"progress": lambda event: trained.append(event.agents_done)}, out=tmp_path / out)
    assert set(trained[1:]) == {3_000}  # all were there already; the first event tells of compiling
    assert_same(run, expected)
    assert [path.name for path in tmp_path.iterdir()] == [out]


def test_ctrl_c_while_it_is_tidied_up(tmp_path, ctrl_c_at, expected):
    ctrl_c_at(Destination, "tidy_up")
    with pytest.raises(qfast.Interrupted, match=r"all 3,000 agents are complete and saved in .*run\.npz") as caught:
        qfast.train(**RUN, out=tmp_path / "run.npz")
    for run in (caught.value.run, qfast.load(tmp_path / "run.npz")):
        assert_same(run, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


KILLED = f"""
import os, signal, sys, qfast
from qfast.engine.journal import Journal
Journal.remove = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
qfast.train(**{RUN}, out="run.npz")
"""


def test_what_is_left_of_a_complete_run_stands_in_nobodys_way(tmp_path, script, expected):
    assert script(KILLED).returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.npz", "run.npz.parts"]
    other = qfast.train(**RUN | {"seed": 5}, out=tmp_path / "run.npz")  # neither refused nor gone on with
    assert_same(qfast.load(tmp_path / "run.npz"), other)
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


COMMAND = """
import signal, sys, qfast
from qfast.cli import main
usual = qfast.Run.to_arrays
def stop(*arguments, **options):
    qfast.Run.to_arrays = usual
    signal.raise_signal(signal.SIGINT)
qfast.Run.to_arrays = stop
sys.exit(main())
"""


def test_the_command_line_says_what_is_saved(tmp_path, script, expected):
    done = script(COMMAND, "train", "--agents", 3000, "--episodes", 100, "--seed", 4, "--out", "run.npz")
    assert done.returncode == -signal.SIGINT
    assert done.stderr.endswith(
        "qfast: interrupted; 3,000 agents are complete and saved in run.npz; the same command goes on from there\n"
    )
    assert_same(qfast.load(tmp_path / "run.npz"), expected)
    half = qfast.train(**RUN | {"episodes": 40}).save(tmp_path / "half.npz")
    done = script(COMMAND, "resume", half, "--episodes", 60, "--out", "more.npz")
    assert done.returncode == -signal.SIGINT
    assert "interrupted while 3,000 agents are complete and being saved; more.npz is not written" in done.stderr
    assert not (tmp_path / "more.npz").exists()


def test_a_study_that_is_stopped_while_its_last_piece_is_written(tmp_path, ctrl_c_at, monkeypatch):
    monkeypatch.setattr(qfast.studies.folder, "_INTERVAL", 1e9)  # its only one, on a slow machine too
    settings = {"vary": {"alpha": [0.1, 0.5]}, "n_agents": 64, "episodes": 100, "seed": 1, "progress": False}
    ctrl_c_at(qfast.studies.folder, "_pack")
    with pytest.raises(qfast.Interrupted, match=r"2 of 2 configurations \(128 agents\) .* goes on") as caught:
        qfast.study(out=tmp_path, **settings)
    expected = qfast.study(**settings).dataset
    for study in (caught.value.study, qfast.load_study(tmp_path), qfast.study(out=tmp_path, **settings)):
        assert study.dataset.equals(expected)


def test_ctrl_c_between_training_and_saving(tmp_path, ctrl_c_at, expected):
    from qfast import execution

    for out in (None, tmp_path / "run.npz"):
        ctrl_c_at(execution, "_as_run")
        with pytest.raises(qfast.Interrupted, match="stopped; 3,000 of 3,000 agents were complete") as caught:
            qfast.train(**RUN, out=out)
        assert_same(caught.value.run, expected)
    assert_same(qfast.train(**RUN, out=tmp_path / "run.npz"), expected)


@pytest.mark.parametrize("phase", ["compiling", "last", "done"])
@pytest.mark.parametrize("call", ["train", "evaluate", "study"])
def test_ctrl_c_at_the_edges_is_not_lost(call, phase, expected):
    def press(event):
        last = event.phase == "training" and event.agents_done == event.n_agents
        if event.phase == phase or (phase == "last" and last):
            signal.raise_signal(signal.SIGINT)

    calls = {
        "train": lambda: qfast.train(**RUN | {"progress": press}),
        "evaluate": lambda: qfast.evaluate(expected, episodes=2, progress=press),
        "study": lambda: qfast.study(vary={"alpha": [0.1]}, n_agents=64, episodes=20, seed=0, progress=press),
    }
    with pytest.raises(qfast.Interrupted) as caught:
        calls[call]()
    if call == "train" and phase != "compiling":
        assert_same(caught.value.run, expected)
    if call == "study" and phase != "compiling":
        assert caught.value.study.dataset["agents_run"].values.tolist() == [64]


# --- locks ------------------------------------------------------------------------------------------------------------

ORPHANS = f"""
import os, signal, sys, time, qfast, qfast.engine.journal, qfast.engine.journal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
qfast.engine.journal.COMMIT_SECONDS = 0.05
pool = ProcessPoolExecutor(2, mp_context=get_context("fork"))
def die(*_):
    print(*pool._processes, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
qfast.engine.journal.Collector.take = die
qfast.train(**{RUN | {"n_agents": 60_000}}, executor=pool, out="run.npz")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_workers_that_outlive_the_main_process_hold_no_lock(tmp_path, script, until):
    died = script(ORPHANS, wait=False)
    workers = [int(number) for number in died.stdout.readline().split()]
    try:
        died.wait(timeout=60)
        assert died.returncode == -signal.SIGKILL
        assert len(workers) == 2
        for worker in workers:
            os.kill(worker, 0)  # they are still there
        run = qfast.train(**RUN | {"n_agents": 60_000}, out=tmp_path / "run.npz")
        assert run.n_agents == 60_000
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)

"""Executors that die without a word are noticed: nobody waits for ever."""

import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import pytest

import qfast
from faults.runs import RUN, assert_same
from qfast.engine import executors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix processes")


class Dying(ProcessPoolExecutor):
    """A pool whose workers do one task, and that starts no other one as often as told."""

    refusals = 0

    def _adjust_process_count(self):
        if self.refusals:
            self.refusals -= 1
        else:
            super()._adjust_process_count()


def dying(workers=1):
    return Dying(workers, mp_context=get_context("spawn"), max_tasks_per_child=1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(executors, "_PATIENCE", 0.3)


def test_a_pool_without_a_worker_is_asked_for_one():
    with dying() as pool:
        lost = []

        def watch(event):
            if event.agents_done and not lost:
                lost.append(True)
                pool.refusals = 1  # the worker that has done its task is not replaced

        run = qfast.train(**RUN | {"progress": watch}, executor=pool)
    assert lost
    assert_same(run, qfast.train(**RUN))


@pytest.mark.parametrize("kind", ["training", "study"])
def test_a_pool_that_gets_no_worker_is_given_up(kind):
    pool = dying()
    try:
        pool.submit(int).result()
        pool.refusals = 10**9
        if kind == "training":
            with pytest.raises(qfast.Unfinished, match="none of the pool's processes is alive; 0 of 3,000 agents"):
                qfast.train(**RUN, executor=pool)
        else:
            with pytest.raises(qfast.Unfinished, match="none of the pool's processes is alive; 0 of 2 config"):
                qfast.study(vary={"alpha": [0.1, 0.2]}, **RUN, checkpoints=None, metrics=["auc"], executor=pool)
    finally:
        pool.refusals = 0
        pool.submit(int).result()  # a worker again, so that the pool can be shut down
        pool.shutdown()


def test_a_pool_whose_manager_died():
    class Manager:
        def is_alive(self):
            return False

    class Pool(ThreadPoolExecutor):
        _executor_manager_thread = Manager()

        def submit(self, *_, **__):
            return Future()

    with pytest.raises(qfast.Unfinished, match="BrokenProcessPool: the thread that looks after"):
        qfast.train(**RUN, executor=Pool(1))


def test_others_are_left_alone():
    with ThreadPoolExecutor(1) as pool:
        executors.Pulse(pool).check()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        watched = executors.Pulse(pool)
        watched.check()  # nothing was submitted yet
        assert pool.submit(int).result() == 0
        for _ in range(3):
            watched.check()
    pool._executor_manager_thread = threading.Thread()  # which does not run
    with pytest.raises(BrokenProcessPool, match="died"):
        watched.check()

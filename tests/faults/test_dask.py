"""A cluster: the same bits, little on the wire, and what happens when parts of it die."""

import os
import re
import signal
import threading

import pytest
from processes import ROOT

import qfast
from faults.runs import RUN, assert_same, same_everywhere
from qfast.engine.executors import count_workers

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1",
            silence_logs="CRITICAL",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


def test_the_same_bits(cluster):
    same_everywhere(cluster.get_executor())


def test_a_study_has_the_same_bits(cluster):
    settings = {"vary": {"alpha": [0.1, 0.5, 0.9]}, "n_agents": 200, "episodes": 100, "seed": 3, "progress": False}
    lake = qfast.problems.frozen_lake("4x4", slip=0.0)  # as in the tests of studies
    there = qfast.study(lake, **settings, executor=cluster.get_executor()).dataset
    assert there.drop_attrs().identical(qfast.study(lake, **settings).dataset.drop_attrs())


BIG, LONG = RUN | {"n_agents": 40_000}, RUN | {"n_agents": 4_000_000}


@pytest.fixture(scope="module")
def expected():
    return qfast.train(**BIG, keep_q=False)


def test_a_worker_that_is_killed(cluster, expected, at_first):
    def kill():
        os.kill(next(iter(cluster.run(os.getpid).values())), signal.SIGKILL)

    at_first(kill)
    assert_same(qfast.train(**BIG, executor=cluster.get_executor(), keep_q=False), expected)


def test_workers_that_come_and_go(cluster, expected, until, at_first):
    executor, local = cluster.get_executor(), cluster.cluster
    until(lambda: count_workers(executor) == 2)
    at_first(lambda: local.scale(3))
    assert_same(qfast.train(**BIG, executor=executor, keep_q=False), expected)
    until(lambda: count_workers(executor) == 3)
    at_first(lambda: local.scale(2))
    assert_same(qfast.train(**BIG, executor=executor, keep_q=False), expected)


@pytest.mark.parametrize("how", ["closed", "cut"])
def test_a_lost_connection(cluster, expected, tmp_path, how, at_first):
    client = distributed.Client(cluster.scheduler.address, set_as_default=False)

    def lose():
        if how == "closed":
            threading.Thread(target=client.close).start()
        else:
            client.loop.add_callback(client.scheduler_comm.comm.abort)

    at_first(lose)
    with pytest.raises(qfast.Unfinished, match=r"of 4,000,000 agents were complete and are kept in") as caught:
        qfast.train(**LONG, executor=client.get_executor(), keep_q=False, out=tmp_path / "folder")
    part = caught.value.run
    assert_same(part, qfast.train(**BIG | {"n_agents": part.n_agents}, keep_q=False))
    client.close()


def test_ctrl_c_lets_go_of_the_cluster_at_once(cluster, at_first):
    at_first(lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(qfast.Interrupted) as caught:
        qfast.train(**LONG, executor=cluster.get_executor(), keep_q=False)
    assert caught.value.run.n_agents >= 64
    assert_same(qfast.train(**RUN, executor=cluster.get_executor()), qfast.train(**RUN))  # and it is free again


PAGE = re.compile(r"<!-- run by a test -->\n```python\n(.*?)```", re.DOTALL)


def test_the_example_in_readme_runs(script, tmp_path):
    page = PAGE.search((ROOT / "README.md").read_text("utf-8"))
    if page is None:
        pytest.skip("README has no example of a cluster")
    (tmp_path / "example.py").write_text(page[1], "utf-8")
    done = script("import runpy; runpy.run_path('example.py', run_name='__main__')")
    assert done.returncode == 0, done.stderr
    assert "100,000 agents, 4." in done.stdout
    assert qfast.load(tmp_path / "corridor").n_agents == 100_000

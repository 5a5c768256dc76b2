"""Any executor: what crosses the wire is small, and only so much is under way."""

import pickle
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from oracle.digests import plain, rich, rich_mdp

import qfast
from faults.runs import RUN, assert_same
from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.blocks import Block
from qfast.engine.curve import SummaryBuilder
from qfast.engine.executors import count_workers
from qfast.engine.moments import Tree, combine_moments
from qfast.engine.plan import make_plan
from qfast.engine.scheduler import scheduler
from qfast.model.learner import make_learner


class Wire(Executor):
    """Runs everything at once, and weighs what would have been sent."""

    def __init__(self):
        self.sent, self.received = [], []

    def submit(self, function, /, *arguments, **options):
        self.sent.append(len(pickle.dumps((function, arguments, options))))
        future = Future()
        result = pickle.dumps(pickle.loads(pickle.dumps(function))(*pickle.loads(pickle.dumps(arguments)), **options))
        self.received.append(len(result))
        future.set_result(pickle.loads(result))
        return future


def test_what_crosses_the_wire_is_small():
    wire = Wire()
    alpha = qfast.per_agent(np.linspace(0.1, 0.5, 20_000))  # 160 kB
    settings = RUN | {"n_agents": 20_000, "alpha": alpha}
    run = qfast.train(**settings, executor=wire, keep_q=False)
    assert_same(run, qfast.train(**settings))
    assert max(wire.sent) < 200_000  # a task's own rates at most
    assert sum(wire.sent) < 160_000 + 10_000 * len(wire.sent)
    assert max(wire.received) < 100_000  # one summary, not one a block
    assert len(wire.sent) < 20_000 / 512


def test_values_of_single_agents_are_cut_for_checks_too():
    settings = RUN | {"n_agents": 300, "gamma": qfast.per_agent(np.repeat([0.5, 0.9, 0.95], 100)), "checkpoints": 3}
    expected, wired = qfast.train(**settings), qfast.train(**settings, executor=Wire())
    assert_same(wired, expected)
    for column in ("regret", "optimal", "error_sup", "error_rms"):
        np.testing.assert_array_equal(getattr(wired.checkpoints, column), getattr(expected.checkpoints, column))


def test_every_kind_of_record_and_evaluation():
    for record in ("returns", "summary"):
        settings = rich(record=record)
        run = qfast.train(rich_mdp(), **settings, executor=Wire())
        assert_same(run, qfast.train(rich_mdp(), **settings))
    settings = plain(record=None)
    assert_same(qfast.train(**settings, executor=Wire()), qfast.train(**settings))
    half = qfast.train(**plain(episodes=40), executor=Wire())
    assert_same(qfast.resume(half, episodes=60, executor=Wire(), progress=False), qfast.train(**plain()))
    scores = [qfast.evaluate(run, episodes=5, executor=each, progress=False).returns for each in (None, Wire())]
    np.testing.assert_array_equal(*scores)


class Pretending(Executor):
    """Gives what `run_task` would, without training; counts what is under way."""

    def __init__(self, plan, workers):
        self.plan, self._max_workers, self.under_way, self.most, self.tasks = plan, workers, 0, 0, 0

    def submit(self, _function, _plans, pieces):
        self.tasks += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        outer = self

        class Counted(Future):
            def result(self, timeout=None):
                outer.under_way -= 1
                return super().result(timeout)

        future = Counted()
        results = []
        for piece in pieces:
            n, records = piece.count, AgentArrays.empty(self.plan, piece.count, records_only=True)
            results.append((Block(piece.first, n, n, 0, np.ones(n, np.int64), records, None), 1e-6 * n))
        future.set_result(results)
        return future


class Counter:
    """A ledger that only counts."""

    n_agents = n_steps = 0
    seconds = 0.0


def test_a_hundred_million_agents_are_no_more_than_a_few_tasks():
    learner = make_learner(n_agents=10**8, episodes=100)
    plan = make_plan(
        qfast.corridor(), learner, np.random.SeedSequence(0), first_agent=0, episodes=100, record=None, keep_q=False
    )
    executor = Pretending(plan, 64)
    with scheduler([plan], Counter(), 10**8, threads=None, executor=executor, progress=False) as work:
        places = [(block.first, block.n_agents) for _, block in work.run([(0, 0, 10**8)])]
    assert sum(count for _, count in places) == 10**8
    assert all(a + n == b for (a, n), (b, _) in pairwise(places))
    assert executor.most <= 2 * 64 + 2
    assert executor.tasks < 5_000


def test_a_study_of_many_small_configurations_is_a_few_tasks_of_a_second():
    learner = make_learner(n_agents=1_000, episodes=100)
    plans = [
        make_plan(
            qfast.corridor(), learner, np.random.SeedSequence(seed), first_agent=0, episodes=100, record=None,
            keep_q=False,
        )
        for seed in range(2_000)
    ]  # fmt: skip
    executor = Pretending(plans[0], 2)
    with scheduler(plans, Counter(), 2_000_000, threads=None, executor=executor, progress=False) as work:
        places = [(number, block.first) for number, block in work.run([(i, 0, 1_000) for i in range(2_000)])]
    assert places == sorted(places)
    assert {number for number, _ in places} == set(range(2_000))
    # Two seconds of work for two workers: a few single blocks, then tasks of at most a second that become shorter
    # towards the end, down to a block each.
    assert executor.tasks < 60


def test_summaries_are_the_same_in_whatever_order_they_are_merged():
    rng = np.random.default_rng(0)
    returns, lengths = rng.normal(size=(1_000, 7)), rng.integers(1, 99, (1_000, 7)).astype(np.int32)

    def builder(order, size=64):
        whole = SummaryBuilder(7)
        for first in order:
            part = SummaryBuilder(7)
            part.add(0, first, returns[first : first + size], lengths[first : first + size])
            whole.merge(pickle.loads(pickle.dumps(part)))
        return whole.curve().to_arrays("")

    expected = builder(range(0, 1_000, 64))
    for seed in range(5):
        found = builder(np.random.default_rng(seed).permutation(range(0, 1_000, 64)).tolist())
        assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)
    found = builder(range(0, 1_000, 320), 320)
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)


def test_summaries_of_more_agents_than_32_bits_can_count():
    part = SummaryBuilder(2)
    part.add(0, 0, np.ones((64, 2), np.float32), np.ones((64, 2), np.int32))
    whole = SummaryBuilder(2)
    for doubling in range(28):  # the same agents again and again, under other numbers
        other = pickle.loads(pickle.dumps(whole if doubling else part))
        if doubling:
            for window in other.returns + other.lengths:
                ((level, first, n, moments),) = window.moments.nodes()  # a full tree is one node
                window.moments = Tree(combine_moments)
                window.moments.insert(first + n, n, moments, level)
        whole.merge(other)
    assert whole.n_agents == 64 * 2**27 > 2**32
    curve = whole.curve()
    assert whole.returns[0].bins.counts.sum(axis=0).tolist() == [whole.n_agents] * 2
    assert curve.returns.quantiles.tolist() == [[1.0, 1.0]] * 5
    assert (curve.returns.mean == 1).all()


def test_workers_are_counted():
    with ThreadPoolExecutor(5) as pool:
        assert count_workers(pool) == 5
    assert count_workers(Wire()) >= 1


def test_an_executor_that_was_shut_down():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(qfast.Unfinished, match="cannot schedule new futures after shutdown; 0 of 3,000 agents"):
        qfast.train(**RUN, executor=pool)


@pytest.mark.parametrize("workers", [None, 2])
def test_what_a_reporter_raises_is_no_failure_of_the_workers(workers):
    def report(event):
        if event.phase == "training":
            raise ZeroDivisionError("mine")

    executor = None if workers is None else ThreadPoolExecutor(workers)
    with pytest.raises(ZeroDivisionError, match="mine"):
        qfast.train(**RUN | {"progress": report}, executor=executor)


class Breaking(Executor):
    """Does two tasks at once, and then takes no more."""

    _max_workers = 1

    def __init__(self):
        self.left = 2

    def submit(self, function, /, *arguments, **options):
        if not self.left:
            raise OSError("submit broke")
        self.left -= 1
        future = Future()
        future.set_result(function(*arguments, **options))
        return future


def test_what_was_done_before_an_executor_broke_counts():
    with pytest.raises(qfast.Unfinished, match=r"submit broke; [1-9].* of 3,000 agents were complete") as caught:
        qfast.train(**RUN, executor=Breaking())
    run = qfast.train(**RUN)
    with pytest.raises(qfast.Unfinished, match=r"submit broke; [1-9].* of 3,000 agents were evaluated"):
        qfast.evaluate(run, episodes=2, executor=Breaking(), progress=False)
    part = caught.value.run
    assert_same(part, qfast.train(**RUN | {"n_agents": part.n_agents}))


def test_functions_of_the_users_own_on_a_pool_of_threads():
    metric = qfast.Metric(lambda block: block.q[:, 0, 0], "first", higher_is_better=True)
    settings = {"vary": {"alpha": [0.1, 0.2]}, "n_agents": 128, "episodes": 20, "seed": 0, "progress": False}
    with ThreadPoolExecutor(2) as pool:
        there = qfast.study(metrics=["auc", metric], executor=pool, **settings).dataset
    assert there.equals(qfast.study(metrics=["auc", metric], **settings).dataset)

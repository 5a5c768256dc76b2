"""Blocks of agents on somebody else's executor: process pools, clusters.

What crosses the wire is small.  The plan goes out once where the executor can keep it (Dask), else with every task,
pickled once; values of single agents are cut to the task's own.  Back come the agents' tables, if they are kept, and
one summary a task.  A task is a batch of blocks that takes about a second, and only so many are under way that every
worker has the next one at hand: neither this process nor a scheduler ever holds more, whatever the number of agents.
"""

import hashlib
import pickle
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.blocks import Block, block_size, run_block
from qfast.engine.curve import SummaryBuilder
from qfast.engine.machine import default_threads
from qfast.engine.plan import Plan
from qfast.engine.pulse import Pulse, dask_client
from qfast.errors import Unfinished
from qfast.model.rates import Rate
from qfast.model.settings import RATES

__all__ = ["AgentValues", "WorkersFailed", "count_workers", "cut_plan", "run_batch", "run_batches"]

#: Seconds that a task should take: long beside what a scheduler needs for it, short beside what a dead worker loses.
_TASK_SECONDS: Final = 1.0
#: Most bytes of agents in a task.
_TASK_BYTES: Final = 2**26
#: Seconds between two questions to a cluster how many workers it has.
_RECOUNT: Final = 2.0
#: Plans that a worker remembers.
_PLANS_KEPT: Final = 4


class WorkersFailed(Unfinished):
    """The executor could not finish its blocks."""


@dataclass(frozen=True, eq=False)
class AgentValues:
    """The values of single agents that belong to a part of a run.

    Attributes
    ----------
    first : int
        The agent that they begin with.
    rates : dict of str to ndarray
        Values of the rates that differ from agent to agent, by name.
    checks : ndarray or None
        What the checks need to know of them.
    """

    first: int
    rates: dict[str, NDArray[np.float64]]
    checks: NDArray[Any] | None

    def join(self, plan: Plan) -> Plan:
        """Put the values into the plan that they were cut out of."""
        rates: dict[str, Any] = {
            name: Rate("agent", values, "per agent") for name, values in self.rates.items()
        }
        checks = plan.checks if plan.checks is None or self.checks is None else plan.checks.joined(self.checks)
        return replace(plan, learner=replace(plan.learner, **rates), checks=checks, begin=self.first)


def cut_plan(plan: Plan) -> tuple[Plan, Callable[[int, int], AgentValues]]:
    """Divide a plan into what all agents share, and what cuts the rest to some of them.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    shared : Plan
        Small, whatever the number of agents.
    cut : callable
        Takes the first agent and how many, and gives a `AgentValues`.
    """
    single = {name: rate.values for name in RATES if (rate := getattr(plan.learner, name)).kind == "agent"}
    none: dict[str, Any] = {name: Rate("agent", values[:0], "…") for name, values in single.items()}
    checks, group = (None, None) if plan.checks is None else plan.checks.split()

    def cut(first: int, count: int) -> AgentValues:
        part = slice(first, first + count)
        rates = {name: values[part].copy() for name, values in single.items()}
        return AgentValues(first, rates, None if group is None else group[part].copy())

    return replace(plan, learner=replace(plan.learner, **none), checks=checks), cut


@dataclass(frozen=True, eq=False)
class _Packed:
    """A plan as it travels with a task; each worker unpacks it once."""

    digest: str
    content: bytes


_PLANS: OrderedDict[str, Plan] = OrderedDict()
_PLANS_LOCK = threading.Lock()


def _unpack(packed: "_Packed | Plan") -> Plan:
    if isinstance(packed, Plan):
        return packed
    with _PLANS_LOCK:
        plan = _PLANS.get(packed.digest)
        if plan is None:
            plan = pickle.loads(packed.content)  # noqa: S301 - from this run's own main process
            _PLANS[packed.digest] = plan
            while len(_PLANS) > _PLANS_KEPT:
                _PLANS.popitem(last=False)
        return plan


@dataclass
class TaskResult:
    """What comes back: a block, and how long it took."""

    block: Block
    seconds: float


def run_batch(
    packed: "_Packed | Plan",
    cut: AgentValues,
    count: int,
    size: int,
    before: AgentArrays | None = None,
    *,
    keep: bool = True,
) -> TaskResult:
    """Train a batch of agents, block by block, on a worker.

    Parameters
    ----------
    packed : Plan
        What all agents share.
    cut : AgentValues
        What belongs to these.
    count, size : int
        Agents in all, and in a block.
    before : AgentArrays, optional
        The agents as an earlier training left them.
    keep : bool
        Whether their Q comes back.
    """
    began = time.perf_counter()
    plan = cut.join(_unpack(packed))
    memory = AgentArrays.empty(plan, count, records_only=not keep)
    summary = SummaryBuilder(plan.episodes) if plan.record == "summary" else None
    steps, n_diverged = np.empty(count, np.int64), 0
    for at in range(0, count, size):
        n = min(size, count - at)
        old = None if before is None else before.part(at, n)
        if keep:
            block = run_block(plan, cut.first + at, n, old, memory.part(at, n))
        else:
            block = run_block(plan, cut.first + at, n, old)
            if block.memory is not None:
                memory.put(at, block.memory, count=n, records_only=True)
        steps[at : at + n] = block.steps
        n_diverged += block.n_diverged
        if summary is not None and block.summary is not None:
            summary.merge(block.summary)
    block = Block(cut.first, memory, summary, count, int(steps.sum()), n_diverged, steps)
    return TaskResult(block, time.perf_counter() - began)


def count_workers(executor: Executor) -> int:
    """Count the tasks that an executor can run at once; where it does not say, this machine's processors.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(3) as pool:
    ...     count_workers(pool)
    3
    """
    client = dask_client(executor)
    if client is not None:
        return max(1, sum(map(int, client.nthreads().values())))
    workers = getattr(executor, "_max_workers", None)  # of both pools of the standard library, and of many others
    return workers if isinstance(workers, int) and workers > 0 else default_threads()


@dataclass
class _Batches:
    """How large the next task is, and how many may be under way."""

    executor: Executor
    plan: Plan
    n_agents: int
    keep: bool
    workers: int = 1
    _counted: float = -np.inf
    _agent_seconds: float = field(default=0.0)  # as the workers have measured it

    def recount(self) -> None:
        """See whether workers came or went."""
        if time.monotonic() >= self._counted + _RECOUNT:
            self.workers = count_workers(self.executor)
            self._counted = time.monotonic()

    def learn(self, done: TaskResult) -> None:
        """Take the time that a task took; the first ones contain the compiler's."""
        each = done.seconds / done.block.n_agents
        self._agent_seconds = each if not self._agent_seconds else min(2 * self._agent_seconds, each)

    def size(self, first: int, block: int) -> int:
        """How many agents the task that begins with ``first`` has: whole blocks, but for the run's last."""
        left = self.n_agents - first
        fair = -(-left // (2 * self.workers))  # the end should come for all workers at once
        wanted = _TASK_SECONDS / self._agent_seconds if self._agent_seconds else block
        spec, checks = self.plan.spec, self.plan.checks
        tables = spec.n_tables + spec.counts_visits if self.keep else 0
        tables += len(checks.episodes) if checks is not None and checks.keep_q else 0
        row = self.plan.shape[0] * self.plan.shape[1] * self.plan.learner.dtype.itemsize * tables + 32
        row += self.plan.episodes * 12 if self.plan.record == "returns" else 0
        agents = min(wanted, fair, _TASK_BYTES // row)
        return min(left, max(1, int(agents) // block) * block)


def run_batches(
    plan: Plan,
    n_agents: int,
    executor: Executor,
    *,
    begin: int = 0,
    before: AgentArrays | None = None,
    keep: bool = True,
    size: int | None = None,
    tick: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Block]:
    """Run a plan's agents from ``begin`` on in batches, on any executor, and give them in the order of their agents.

    At most two tasks a worker and two more are under way or waiting to be taken.  ``tick`` is called ten times a
    second while waiting; it ends early when ``stopped`` answers True.

    Yields
    ------
    Block
        With memory of its own: all of it, or, unless ``keep``, what was recorded alone.

    Raises
    ------
    WorkersFailed
        If a task fails or is lost, with the executor's own error as its cause.
    """
    shared, cut = cut_plan(plan)
    batches = _Batches(executor, plan, n_agents, keep)
    pending: deque[Future[TaskResult]] = deque()
    first, pulse = begin, Pulse(executor)
    try:
        try:
            batches.recount()
            handle = _hand_out(executor, shared)
            block = size or block_size(plan, n_agents, batches.workers)
        except Exception as error:
            raise _failure(error) from error
        while first < n_agents or pending:
            try:
                batches.recount()
                while first < n_agents and len(pending) < 2 * batches.workers + 2:
                    count = batches.size(first, block)
                    old = None if before is None else before.part(first, count)
                    pending.append(_submit(executor, handle, cut(first, count), count, block, old, keep=keep))
                    first += count
                while not pending[0].done():
                    wait([pending[0]], timeout=0.1)
                    tick()
                    if stopped():
                        return
                    pulse.check()
                done = pending.popleft().result()
            except (Exception, CancelledError) as error:
                raise _failure(error) from error
            batches.learn(done)
            yield done.block
            if stopped():
                return
    finally:
        for future in pending:
            future.cancel()


def _hand_out(executor: Executor, plan: Plan) -> Any:
    """Bring the plan to the workers: as a future on Dask, which every task names; else as bytes in every task."""
    content = pickle.dumps(plan, protocol=pickle.HIGHEST_PROTOCOL)
    packed = _Packed(hashlib.sha256(content).hexdigest(), content)
    client = dask_client(executor)
    # A task, not scattered data: the scheduler can make it again when the worker that holds it dies.
    return packed if client is None else client.submit(_unpack, packed, key=f"qfast-plan-{packed.digest}")


def _submit(
    executor: Executor, handle: Any, cut: AgentValues, count: int, block: int, old: AgentArrays | None, *, keep: bool
) -> "Future[TaskResult]":
    # Dask would make a key out of all arguments, and take two equal tasks for one.
    options: dict[str, Any] = {} if dask_client(executor) is None else {"pure": False}
    return executor.submit(run_batch, handle, cut, count, block, old, keep=keep, **options)


def _failure(error: BaseException) -> WorkersFailed:
    text = " ".join(str(error).split())
    name = type(error).__name__
    return WorkersFailed(f"{name}: {text:.200}" if text else name)

"""One scheduler for trainings, evaluations and studies: pieces of plans, on threads or on any executor.

A piece of work is a plan and some of its agents.  On threads it is a block.  On an executor a task is as many pieces as
take about a second, measured, and a plan travels to the workers once (Dask) or once a task (process pools); values of
single agents are cut to the piece.  Only so many tasks are under way that every worker has the next one at hand:
neither this process nor a cluster's scheduler ever holds more, whatever the number of agents.
"""

import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.blocks import BlockStopped, block_size, compile_plan, run_piece
from qfast.engine.executors import Pulse, count_workers, hand_out, is_dask, unpack
from qfast.engine.machine import default_threads
from qfast.engine.plan import AgentValues, Plan
from qfast.errors import InvalidInput, Unfinished
from qfast.progress import Progress, Reporter, default_reporter

__all__ = ["Ledger", "Scheduler", "Stretch", "WorkersFailed", "ctrl_c", "run_task", "scheduler"]

#: Seconds that a task should take: long beside what a scheduler needs for it, short beside what a dead worker loses.
_TASK_SECONDS: Final = 1.0
#: Most bytes of what a task gives.
_TASK_BYTES: Final = 2**26
#: Seconds between two questions to a cluster how many workers it has.
_RECOUNT: Final = 2.0


class WorkersFailed(Unfinished):
    """The executor could not finish its pieces."""


class Ledger(Protocol):
    """What has come in: agents that are complete, and the steps and seconds that they took, of earlier calls too."""

    seconds: float

    @property
    def n_agents(self) -> int:
        """Agents that are complete."""

    @property
    def n_steps(self) -> int:
        """Steps that they took."""


#: Agents of a plan that are to be trained: the plan's number, the first agent, and the one behind the last.
Stretch = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class _Piece:
    """Agents of a plan, as a worker gets them."""

    key: str
    first: int
    count: int
    size: int  # of its blocks
    own: AgentValues
    before: AgentArrays | None


def run_task(plans: dict[str, Any], pieces: list[_Piece]) -> list[tuple[Any, float]]:
    """Train pieces on a worker; give what each plan keeps of them, and the seconds that each took."""
    results = []
    for piece in pieces:
        began = time.perf_counter()
        plan = unpack(plans[piece.key])
        found = run_piece(plan, piece.first, piece.count, piece.size, piece.own, piece.before)
        results.append((found, time.perf_counter() - began))
    return results


@contextmanager
def ctrl_c(stop: NDArray[np.int64]) -> Iterator[None]:
    """Turn the first Ctrl-C into a flag, so that it never tears a half-merged result; a second one works as usual."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return

    def note(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGINT, usual)
        stop[0] = 1

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def scheduler(
    plans: Sequence[Plan],
    ledger: Ledger,
    n_agents: int,
    *,
    threads: int | None,
    executor: Executor | None,
    progress: bool | Reporter | None,
) -> Iterator["Scheduler"]:
    """Be ready to run pieces of plans; the ledger is to have `n_agents` in the end.

    Within the context the first Ctrl-C sets ``stopped``.
    """
    with default_reporter(progress) as report:
        made = Scheduler(plans, ledger, n_agents, threads=threads, executor=executor, report=report)
        try:
            with ctrl_c(made.stop):
                report(Progress("compiling", ledger.n_agents, n_agents, 0, 0.0))
                yield made
        finally:
            made.close()


class Scheduler:
    """Runs pieces of plans; made by `scheduler`."""

    def __init__(
        self,
        plans: Sequence[Plan],
        ledger: Ledger,
        n_agents: int,
        *,
        threads: int | None,
        executor: Executor | None,
        report: Reporter,
    ) -> None:
        self.stop = np.zeros(1, np.int64)
        self._plans, self._ledger, self._n_agents, self._report = plans, ledger, n_agents, report
        self._executor = executor
        self._threads: ThreadPoolExecutor | None = None
        self._workers = 1 if executor is not None else threads or default_threads()
        if executor is None:
            self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="qfast")
        self._pulse = None if executor is None else Pulse(executor)
        self._counted = -np.inf
        self._handles: dict[int, tuple[str, Any]] = {}
        self._sizes: dict[int, int] = {}
        self._cost: dict[int, float] = {}  # seconds an agent, as the workers have measured it
        self._lock, self._running_steps = threading.Lock(), 0
        self._compiled: set[Any] = set()
        self._steps_before, self._seconds_before = ledger.n_steps, ledger.seconds
        self._began = time.perf_counter()

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return bool(self.stop[0])

    def close(self) -> None:
        """Whatever ends the work ends the blocks under way."""
        self.stop[0] = 1
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
        self._look_at_clock()

    def finish(self) -> None:
        """Report that everything is complete."""
        ledger = self._ledger
        self._look_at_clock()
        self._report(Progress("done", ledger.n_agents, self._n_agents, ledger.n_steps, ledger.seconds))

    def _look_at_clock(self) -> None:
        self._ledger.seconds = self._seconds_before + time.perf_counter() - self._began

    def _tick(self) -> None:
        ledger = self._ledger
        self._look_at_clock()
        steps = max(self._steps_before + self._running_steps, ledger.n_steps)
        self._report(Progress("training", ledger.n_agents, self._n_agents, steps, ledger.seconds))

    def _add_steps(self, steps: int) -> None:
        with self._lock:
            self._running_steps += steps

    def run(
        self, stretches: Sequence[Stretch], *, before: AgentArrays | None = None, into: AgentArrays | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Run agents, and give each piece's plan and what it keeps, in the order asked for, until stopped.

        With `before` agents go on; threads write into `into`.  What comes in must be put into the ledger.  Raises
        WorkersFailed if a task fails or is lost on the executor, with the executor's own error as its cause.
        """
        if self.stopped:
            return
        self._compile(stretches)
        queue = deque(list(stretch) for stretch in stretches if stretch[1] < stretch[2])
        pending: deque[tuple[list[Stretch], Future[Any]]] = deque()
        last = {number: end for number, _, end in stretches}
        try:
            broken: WorkersFailed | None = None
            while True:
                try:
                    with self._failing():
                        if broken is None:
                            self._submit_ahead(queue, pending, before, into)
                except WorkersFailed as error:  # what is done already still counts
                    broken = error
                if broken is not None and not (pending and pending[0][1].done()):
                    raise broken
                if not pending:
                    return
                pieces, future = pending[0]
                while not future.done():  # a wait without end would not notice Ctrl-C on every system
                    wait([future], timeout=0.1)
                    self._tick()
                    if self.stopped:
                        return
                    if self._pulse is not None:
                        with self._failing():
                            self._pulse.check()
                pending.popleft()
                with self._failing():
                    results = future.result()
                    if len(results) != len(pieces):
                        raise ValueError(f"a task of {len(pieces)} pieces gave {len(results)} results")
                for (number, begin, end), (result, seconds) in zip(pieces, results, strict=True):
                    self._learn(number, seconds / max(1, end - begin))
                    if end == last[number]:
                        self._handles.pop(number, None)  # a cluster may forget the plan
                    self._look_at_clock()
                    yield number, result
                    self._tick()
                    if self.stopped:
                        return
        except BlockStopped:
            return
        finally:
            for _, future in pending:
                future.cancel()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Say of whatever goes wrong on an executor that its workers failed, but for what a user's metric gave."""
        try:
            yield
        except (Exception, CancelledError) as error:
            if self._executor is None or isinstance(error, (InvalidInput, BlockStopped)):
                raise
            raise _failure(error) from error

    def _compile(self, stretches: Sequence[Stretch]) -> None:
        """Compile what is needed here and is not yet; it takes none of the seconds."""
        began = time.perf_counter()
        for number in [number for number, begin, end in stretches if begin < end and self._executor is None]:
            plan = self._plans[number]
            if plan.spec not in self._compiled:
                compile_plan(plan)
                self._compiled.add(plan.spec)
        self._began += time.perf_counter() - began

    def _submit_ahead(
        self,
        queue: deque[list[int]],
        pending: deque[tuple[list[Stretch], "Future[Any]"]],
        before: AgentArrays | None,
        into: AgentArrays | None,
    ) -> None:
        """Keep every worker busy."""
        if self._executor is not None and time.monotonic() >= self._counted + _RECOUNT:
            self._workers, self._counted = count_workers(self._executor), time.monotonic()
        ahead = 4 * self._workers if self._executor is None else 2 * self._workers + 2
        while len(pending) < ahead and (pieces := self._next(queue)):
            submit = self._submit_here if self._executor is None else self._submit_there
            pending.append((pieces, submit(pieces, before, into)))

    def _submit_here(
        self, pieces: list[Stretch], before: AgentArrays | None, into: AgentArrays | None
    ) -> "Future[Any]":
        assert self._threads is not None
        ((number, begin, end),) = pieces
        old, place = (None if arrays is None else arrays.part(begin, end - begin) for arrays in (before, into))
        return self._threads.submit(self._run_here, self._plans[number], begin, end - begin, old, place)

    def _run_here(
        self, plan: Plan, first: int, count: int, before: AgentArrays | None, into: AgentArrays | None
    ) -> list[tuple[Any, float]]:
        found = run_piece(plan, first, count, 0, None, before, into, self.stop, self._add_steps)
        return [(found, 0.0)]

    def _submit_there(
        self, pieces: list[Stretch], before: AgentArrays | None, _into: AgentArrays | None
    ) -> "Future[Any]":
        assert self._executor is not None
        plans, work = {}, []
        for number, begin, end in pieces:
            plan, count = self._plans[number], end - begin
            if number not in self._handles:
                self._handles[number] = hand_out(self._executor, plan)
            key, plans[key] = self._handles[number]
            own = plan.agent_values(begin, count)
            old = None if before is None else before.part(begin, count)
            work.append(_Piece(key, begin, count, self._size(number), own, old))
        # Dask would make a key out of all arguments, and take two equal tasks for one.
        options: dict[str, Any] = {"pure": False} if is_dask(self._executor) else {}
        return self._executor.submit(run_task, plans, work, **options)

    def _size(self, number: int) -> int:
        """Agents in a block of a plan."""
        if number not in self._sizes:
            self._sizes[number] = block_size(self._plans[number], self._n_agents, self._workers)
        return self._sizes[number]

    def _learn(self, number: int, seconds: float) -> None:
        """Take the seconds that an agent took; the first ones contain the compiler's."""
        known = self._cost.get(number)
        self._cost[number] = seconds if known is None else min(2 * known, seconds)

    def _next(self, queue: deque[list[int]]) -> list[Stretch]:
        """The next task: one block on threads, pieces of about a second on an executor; they leave the queue."""
        pieces: list[Stretch] = []
        # Of plans not met before; the median, since the first ones took the compiler's time as well.
        usual = float(np.median(list(self._cost.values()))) if self._cost and self._executor is not None else 0.0
        costs = {number: max(self._cost.get(number, usual), 1e-12) for number, _, _ in queue} if usual else {}
        # The end should come for all workers at once.
        left = sum((end - begin) * costs[number] for number, begin, end in queue) if usual else 0.0
        seconds, room = min(_TASK_SECONDS, left / (2 * self._workers)), _TASK_BYTES
        while queue:
            number, begin, end = queue[0]
            size, bytes_ = self._size(number), _bytes_per_agent(self._plans[number])
            blocks = max(1, int(min(seconds / (size * costs[number]), room / (size * bytes_)))) if usual else 1
            until = min(end, (begin // size + blocks) * size)  # blocks end at multiples of their size
            take = until - begin
            if pieces and (take * costs[number] > 1.2 * seconds or take * bytes_ > room):
                break
            pieces.append((number, begin, until))
            queue[0][1] = until
            if until == end:
                queue.popleft()
            if not usual:
                break
            seconds, room = seconds - take * costs[number], room - take * bytes_
            if seconds <= 0 or room <= 0:
                break
        return pieces


def _bytes_per_agent(plan: Plan) -> int:
    """What comes back of an agent."""
    if plan.reducer is not None:
        return 32 + plan.reducer.bytes_per_agent
    return 32 + AgentArrays.row_bytes(plan, records_only=not plan.keep_q)


def _failure(error: BaseException) -> WorkersFailed:
    text = " ".join(str(error).split())
    name = type(error).__name__
    return WorkersFailed(f"{name}: {text:.200}" if text else name)

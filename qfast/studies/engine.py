"""The engine of a study: the blocks of all configurations, streamed through one executor."""

import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.blocks import in_order
from qfast.engine.curve import LEVELS
from qfast.engine.footprint import worker_bytes
from qfast.engine.machine import default_threads
from qfast.engine.moments import LEAF
from qfast.engine.progress import Progress, Reporter, default_reporter
from qfast.engine.pulse import Pulse
from qfast.engine.remote import count_workers
from qfast.errors import InvalidInput
from qfast.execution import ctrl_c
from qfast.studies.folder import Folder
from qfast.studies.part import Task, run_part
from qfast.studies.precision import Goal, looks
from qfast.studies.totals import Totals

__all__ = ["check_picklable", "execute"]

_MOST: Final = 4096  # agents in a block: each call of the kernel costs 50 us in Python
_Q: Final = 2**24  # bytes of Q in a block
_RECORDS: Final = 2**22  # records of episodes that are kept of a block at a time
_LARGEST_INDEX: Final = 2**31 - 1


@dataclass
class _Steps:
    """Steps done by blocks that are not complete yet, counted by several threads."""

    total: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, steps: int) -> None:
        with self._lock:
            self.total += steps


def check_picklable(tasks: Sequence[Task], executor: Executor | None) -> None:
    """Refuse functions that another process could not get.

    Raises
    ------
    InvalidInput
        If a metric's function cannot be pickled and the executor is no thread pool.
    """
    if executor is None or isinstance(executor, ThreadPoolExecutor):
        return
    for metric in tasks[0].metrics:
        try:
            pickle.dumps(metric.function)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            msg = (
                f"metrics: {metric.name} cannot be sent to another process ({error}); "
                "define it at the top of a module, or use threads"
            )
            raise InvalidInput(msg) from error


def block_size(task: Task, n_agents: int, n_configurations: int, threads: int) -> int:
    """Agents in a block: a power of 2, few enough to keep all threads busy and the records in the cache."""
    plan = task.plan
    share = n_agents * n_configurations // (4 * threads)
    kept = _RECORDS // (plan.episodes if task.wanted.keep else 1)
    pairs = plan.shape[0] * plan.shape[1] * plan.spec.n_tables
    fitting = min(_LARGEST_INDEX // pairs, _Q // (pairs * plan.learner.dtype.itemsize))
    most = max(LEAF, min(share, kept, fitting, _MOST))
    return 1 << most.bit_length() - 1


def execute(
    tasks: Sequence[Task],
    totals: Totals,
    *,
    goal: Goal | None,
    paired: bool,
    folder: Folder | None,
    threads: int | None,
    executor: Executor | None,
    progress: bool | Reporter | None,
) -> bool:
    """Train what is missing in the totals.

    Parameters
    ----------
    tasks : sequence of Task
        One a configuration.
    totals : Totals
        What there is already; the rest is put in.
    goal : Goal or None
        When a configuration, or with ``paired`` all of them, has enough agents.
    paired : bool
    folder : Folder or None
        Where to write what is complete.
    threads, executor, progress
        As in `qfast.train`.

    Returns
    -------
    bool
        Whether Ctrl-C cut it short.
    """
    workers = threads or (default_threads() if executor is None else count_workers(executor))
    stop, steps = np.zeros(1, np.int64), _Steps()
    pulse = None if executor is None else Pulse(executor)
    local: dict[str, Any] = {} if executor is not None else {"stop": stop, "report": steps.add}
    n_agents = totals.n_agents
    everything = n_agents * len(tasks)
    done_before, steps_before, seconds_before = int(totals.done.sum()), int(totals.n_steps.sum()), totals.seconds
    with default_reporter(progress) as report:
        report(Progress("compiling", done_before, everything, 0, 0.0))
        if executor is None and len(totals.finished) < len(tasks):
            _compile(tasks)
        began = time.perf_counter()

        def tick() -> None:
            if pulse is not None:
                pulse.check()
            totals.seconds = seconds_before + time.perf_counter() - began
            done = max(steps.total, int(totals.n_steps.sum()) - steps_before)
            seconds = time.perf_counter() - began
            report(Progress("training", int(totals.done.sum()), everything, done, seconds))

        pool = executor or ThreadPoolExecutor(workers, thread_name_prefix="qfast")
        try:
            with ctrl_c(stop):
                rounds = [n_agents] if goal is None else looks(n_agents)
                for until in rounds:
                    active = [c for c in range(len(tasks)) if c not in totals.finished and totals.done[c] < until]
                    blocks = list(_blocks(tasks, totals, active, until, workers))
                    calls = (partial(pool.submit, run_part, tasks[c], first, n, **local) for c, first, n in blocks)
                    parts = in_order(calls, ahead=8 * workers, tick=tick, stopped=lambda: bool(stop[0]))
                    for (number, _, _), part in zip(blocks, parts, strict=False):
                        totals.add(number, part)
                        if goal is None and totals.done[number] == n_agents:
                            totals.finish(number)
                        if folder is not None:
                            folder.add(number, part)
                            folder.flush(totals, totals.seconds)
                        tick()
                    if stop[0]:
                        break
                    for number in _enough(totals, goal, until, paired=paired):
                        totals.finish(number)
                        if folder is not None:
                            folder.finish(number, totals)
        finally:
            stop[0] = 1  # whatever ends the study ends the blocks under way
            if executor is None:
                pool.shutdown(wait=True, cancel_futures=True)
            totals.seconds = seconds_before + time.perf_counter() - began
            if folder is not None:
                folder.flush(totals, totals.seconds, now=True)
        complete = len(totals.finished) == len(tasks)
        if complete:
            done = int(totals.n_steps.sum()) - steps_before
            report(Progress("done", int(totals.done.sum()), everything, done, time.perf_counter() - began))
    return not complete


def _compile(tasks: Sequence[Task]) -> None:
    """Compile each variant once, or load it from numba's cache, by training no agent."""
    seen = set()
    for task in tasks:
        if task.plan.spec not in seen:
            seen.add(task.plan.spec)
            run_part(task, 0, 0)


def _blocks(
    tasks: Sequence[Task], totals: Totals, active: Sequence[int], until: int, workers: int
) -> Iterator[tuple[int, int, int]]:
    """The blocks that are missing up to a number of agents: configuration, first agent, agents."""
    for number in active:
        size = block_size(tasks[number], totals.n_agents, len(tasks), workers)
        begin = int(totals.done[number])
        while begin < until:
            # The first block ends where the size says, so that the others are whole nodes of the tree.
            end = min(until, begin // size * size + size)
            yield number, begin, end - begin
            begin = end


def _enough(totals: Totals, goal: Goal | None, until: int, *, paired: bool) -> list[int]:
    """After a round: the configurations that have enough agents; if they are paired, all of them or none."""
    numbers = [c for c in range(len(totals.done)) if c not in totals.finished]
    if goal is None or until >= totals.n_agents:
        return numbers
    narrow = [c for c in numbers if _is_narrow(goal, totals.scores(goal.metric, c, until))]
    return narrow if not paired or len(narrow) == len(numbers) else []


def _is_narrow(goal: Goal, scores: NDArray[np.float64]) -> bool:
    """Whether an interval is narrow enough; what is infinite or undefined for some agents has no mean, and never is."""
    return bool(np.isfinite(scores).all()) and goal.rule.look(scores).narrow_enough


def memory_needed(tasks: Sequence[Task], n_agents: int, *, all_open: bool, workers: int, here: bool = True) -> int:
    """Bytes that a study takes: what is kept of all agents, what is open, and the blocks under way.

    With `all_open` no configuration is summed up before the end; blocks of `here` run in this process.
    """
    task = tasks[0]
    size = block_size(task, n_agents, len(tasks), workers)
    blocks = len(tasks) * -(-n_agents // size)
    running = min(workers, blocks)
    quantiles, episodes = len(task.wanted.quantile_episodes), task.plan.episodes * task.wanted.curves
    real = task.plan.learner.dtype.itemsize
    # Twice: the totals, and the dataset made of them.
    curves = 2 * 8 * (2 * episodes + len(LEVELS) * quantiles + 2 * len(task.checkpoints))
    kept = len(tasks) * (8 * len(task.metrics) * n_agents + curves)
    nodes = 1 + (n_agents // size).bit_count()
    returns = quantiles * n_agents * real
    summing_up = returns + 4 * n_agents * bool(quantiles)
    under_way = (len(tasks) if all_open else 1) * (returns + 16 * episodes * nodes) + summing_up
    waiting = min(blocks - running, max(1, workers // 2))
    part = size * (8 * len(task.metrics) + quantiles * real) + 16 * episodes
    block = max(_block_bytes(task, n_agents, min(size, n_agents)) for task in tasks)
    return kept + under_way + waiting * part + running * (part + block) * here


def _block_bytes(task: Task, n_agents: int, size: int) -> int:
    """What a block takes while it is trained and measured."""
    plan, wanted = task.plan, task.wanted
    need = worker_bytes(plan, n_agents, size) + size * AgentArrays.row_bytes(plan)
    # Moments of each leaf by stretch, and joined.
    need += 2 * 16 * plan.episodes * -(-size // LEAF) * wanted.curves
    if wanted.keep:
        need += 2 * size * plan.episodes * (plan.learner.dtype.itemsize + 4)
    return need

"""Blocks of agents: the unit of work, and how an executor is kept busy with them.

`run_block` is a pure function of a `Plan` and the agents' numbers; threads, processes and clusters all run the same.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import AgentArrays, mean_table
from qfast.engine.curve import LEAF, SummaryBuilder, windows
from qfast.engine.divergence import diverged_agents
from qfast.engine.plan import Plan
from qfast.engine.tables import explore_threshold
from qfast.kernel.loop import train_block
from qfast.kernel.state import Agents, make_lanes
from qfast.model.seeding import agent_streams, next_words

__all__ = ["Block", "BlockStopped", "block_size", "compile_plan", "in_order", "run_block", "run_blocks"]

#: Steps a lane between two reports of progress: about 50 ms.
SLICE: Final = 200_000
_LARGEST_INDEX: Final = 2**31 - 1
_MOST_BYTES: Final = 2**26  # of a block's tables: several blocks are under way at a time

Result = TypeVar("Result")


class BlockStopped(Exception):
    """The block was asked to stop before it was complete."""


@dataclass
class Block:
    """The result of a block.

    Attributes
    ----------
    first : int
        Number of its first agent within the run.
    memory : AgentArrays or None
        None where the agents' arrays were written in place.
    summary : SummaryBuilder, another recorder, or None
    n_agents, n_steps, n_diverged : int
    steps : ndarray of int64, shape (n,)
        Steps of each agent.
    """

    first: int
    memory: AgentArrays | None
    summary: Any
    n_agents: int
    n_steps: int
    n_diverged: int
    steps: NDArray[np.int64]


def block_size(plan: Plan, n_agents: int, threads: int) -> int:
    """Agents in a block: a multiple of 64, few enough to keep all threads busy and the records in the cache.

    Examples
    --------
    Large tables make small blocks, since the kernel's indices are 32 bits wide.
    """
    # A block costs a quarter of a millisecond by itself, as much as 40 agents of the corridor take.
    share = max(-(-n_agents // (4 * threads)), min(256, -(-n_agents // threads)))
    records = 2**19 // max(1, min(plan.episodes, 2048)) if plan.record == "summary" else 2**14
    table = plan.shape[0] * plan.shape[1] * plan.spec.n_tables
    fitting = min(_LARGEST_INDEX // table, _MOST_BYTES // (table * plan.learner.dtype.itemsize))
    return max(LEAF, min(share, records, fitting, 1024) // LEAF * LEAF)


def compile_plan(plan: Plan) -> None:
    """Compile the plan's variant, or load it from numba's cache, by training no agent."""
    run_block(replace(plan, record="returns" if plan.record == "summary" else plan.record), 0, 0)
    if plan.record == "summary":
        SummaryBuilder(1).add(0, 0, np.zeros((1, 1), plan.learner.dtype), np.zeros((1, 1), np.int32))


def _begin(plan: Plan, first: int, memory: AgentArrays) -> None:
    """Put new agents at the beginning of their first episode."""
    count = len(memory.state)
    initial = plan.learner.initial_q.for_agents(first - plan.begin, count, memory.q.dtype)
    memory.q[...] = initial.reshape(count, *(1,) * (memory.q.ndim - 1))
    memory.visits[...] = 0
    if plan.forbidden is not None:
        memory.q[:, plan.forbidden] = -np.inf
    memory.rng[...] = agent_streams(plan.seed, plan.first_agent + first, count)
    tables = plan.tables
    column = np.zeros(count, np.int64)
    if plan.spec.draws_start:
        rng = memory.rng.copy()
        product = next_words(rng).astype(np.uint64) * np.uint64(tables.starts.size)
        memory.rng[...] = rng
        column = (product >> np.uint64(32)).astype(np.int64)
        if tables.start_alias.size:
            part = (product & np.uint64(2**32 - 1)).astype(np.uint32)
            own = part < tables.start_alias[2 * column]
            column = np.where(own, column, tables.start_alias[2 * column + 1])
    memory.state[...] = tables.starts[column]


def run_block(
    plan: Plan,
    first: int,
    count: int,
    before: AgentArrays | None = None,
    into: AgentArrays | None = None,
    stop: NDArray[np.int64] | None = None,
    report: Callable[[int], None] | None = None,
    keep: bool = True,
) -> Block:
    """Train the agents ``first`` … ``first + count - 1`` of a run.

    Parameters
    ----------
    plan : Plan
    first, count : int
        ``first`` is a multiple of 64.
    before : AgentArrays, optional
        The agents as an earlier training left them, or their Q alone; new ones by default.
    into : AgentArrays, optional
        Where to write, instead of memory of the block's own.
    stop : ndarray of int64, shape (1,), optional
        Watched by the kernel: when another thread makes it other than 0, the block ends at once.
    report : callable, optional
        Told the agent-steps done since the last time.
    keep : bool
        Whether what the agents have learned is part of the result.

    Returns
    -------
    Block

    Raises
    ------
    BlockStopped
        If ``stop`` was set before the block was complete.
    """
    memory = AgentArrays.empty(plan, count) if into is None else into
    if before is None or not before.state.size:
        _begin(plan, first, memory)
    else:
        memory.rng[...], memory.state[...], memory.visits[...] = before.rng, before.state, before.visits
    if before is not None:
        memory.q[...] = before.q
    learner, dtype, at = plan.learner, plan.learner.dtype, first - plan.begin
    # Views of a larger array may have gaps: these three go in and out by copies.
    rng, score = np.ascontiguousarray(memory.rng), np.zeros(memory.score.shape)
    stop = np.zeros(1, np.int64) if stop is None else stop
    in_cache = plan.record == "summary"
    summary = (plan.recorder or SummaryBuilder)(plan.episodes) if in_cache else None
    stretches = list(plan.stretches or windows(plan.episodes)) if in_cache else [(0, plan.episodes)]
    buffer = (np.empty(0, dtype), np.empty(0, np.int32))
    if in_cache:
        longest = count * max(end - begin for begin, end in stretches)
        buffer = (np.empty(longest, dtype), np.empty(longest if plan.spec.records_lengths else 0, np.int32))
    agents = Agents(
        q=memory.q.reshape(-1), visits=memory.visits.reshape(-1), rng=rng.reshape(-1), state=memory.state,
        episode=np.zeros(count, np.int64), alpha=learner.alpha.for_agents(at, count, dtype),
        gamma=learner.gamma.for_agents(at, count, dtype),
        explore=explore_threshold(learner.epsilon.for_agents(at, count, np.float64)),
        temperature=(1 / learner.temperature.for_agents(at, count, np.float64)).astype(np.float32),
        trace_decay=learner.lambda_.for_agents(at, count, dtype),
        confidence=learner.c.for_agents(at, count, np.float32), returns=memory.returns.reshape(-1),
        lengths=memory.lengths.reshape(-1), steps=np.zeros(count, np.int64), rests=np.zeros(count, np.int64),
        score=score.reshape(-1),
    )  # fmt: skip
    lanes = make_lanes(plan.spec, learner.n, plan.shape[0] * plan.shape[1])
    check = _checker(plan, first, memory)
    check(0)
    for window, (begin, end) in enumerate(stretches):
        if in_cache:
            returns, lengths = (array[: count * (end - begin)] for array in buffer)
            agents = agents._replace(returns=returns, lengths=lengths)
        for until in _stops(plan, begin, end):
            unfinished = 1
            while unfinished:
                before_it = int((agents.steps - agents.rests).sum())
                unfinished = train_block(plan.spec, plan.tables, agents, lanes, begin, until, SLICE, stop)
                if stop[0]:
                    raise BlockStopped
                if report is not None:
                    report(int((agents.steps - agents.rests).sum()) - before_it)
            check(until)
        if summary is not None:
            shape = (count, end - begin)
            recorded = lengths.reshape(shape if plan.spec.records_lengths else (count, 0))
            summary.add(window, first, returns.reshape(shape), recorded)
    memory.rng[...], memory.score[...] = rng, score
    steps = agents.steps - agents.rests
    n_diverged = int(diverged_agents(memory.q, plan.forbidden).sum()) if plan.spec.learns else 0
    if not keep:
        memory = memory.records()
    return Block(first, memory if into is None else None, summary, count, int(steps.sum()), n_diverged, steps)


def _stops(plan: Plan, begin: int, end: int) -> list[int]:
    """The checkpoints within a stretch of episodes, and its end."""
    checkpoints = () if plan.checks is None else plan.checks.episodes
    return [*(episode for episode in checkpoints if begin < episode < end), end]


def _checker(plan: Plan, first: int, memory: AgentArrays) -> Callable[[int], None]:
    """What to call after so many episodes: it measures a block's agents if that is a checkpoint."""
    checks = plan.checks
    if checks is None:
        return lambda _episode: None
    measure = checks.watch(first - plan.begin, memory.checks)

    def check(episode: int) -> None:
        if episode in checks.episodes:
            column = checks.episodes.index(episode)
            q = memory.q if memory.q.ndim == 3 else mean_table(memory.q)
            measure(column, q)
            if checks.keep_q:
                memory.kept[:, column] = q

    return check


def run_blocks(
    plan: Plan,
    n_agents: int,
    executor: Executor,
    *,
    size: int,
    ahead: int,
    begin: int = 0,
    before: AgentArrays | None = None,
    into: AgentArrays | None = None,
    stop: NDArray[np.int64] | None = None,
    report: Callable[[int], None] | None = None,
    keep: bool = True,
    tick: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Block]:
    """Run the blocks of a run from agent ``begin`` on, and give them in the order of their agents.

    At most ``ahead`` blocks are under way or waiting to be taken, so memory stays bounded and the executor's queue
    short.  ``into``, ``stop`` and ``report`` are for executors that share this process's memory; ``keep`` is
    `run_block`'s.  ``tick`` is called ten times a second while waiting; the blocks end early when ``stopped`` answers
    True.

    Yields
    ------
    Block
    """
    local = {"into": into, "stop": stop, "report": report}

    def calls() -> Iterator[Callable[[], Future[Block]]]:
        for first in range(begin, n_agents, size):
            count = min(size, n_agents - first)
            arguments: dict[str, Any] = {k: v for k, v in local.items() if v is not None}
            if not keep:
                arguments["keep"] = False
            if into is not None:
                arguments["into"] = into.part(first, count)
            if before is not None:
                arguments["before"] = before.part(first, count)
            yield partial(executor.submit, run_block, plan, first, count, **arguments)

    yield from in_order(calls(), ahead=ahead, tick=tick, stopped=stopped)


def in_order(
    calls: Iterator[Callable[[], "Future[Result]"]],
    *,
    ahead: int,
    tick: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Result]:
    """Submit calls to an executor and give their results in the order of the calls; see `run_blocks`.

    Yields
    ------
    object
        What each call's future gives.
    """
    pending: deque[Future[Result]] = deque()
    try:
        while True:
            while len(pending) < ahead and (submit := next(calls, None)) is not None:
                pending.append(submit())
            if not pending:
                return
            while not pending[0].done():  # a wait without end would not notice Ctrl-C on every system
                wait([pending[0]], timeout=0.1)
                tick()
                if stopped():
                    return
            try:
                result = pending.popleft().result()
            except BlockStopped:
                return
            yield result
            if stopped():
                return
    finally:
        for future in pending:
            future.cancel()

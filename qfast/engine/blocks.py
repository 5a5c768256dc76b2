"""Blocks of agents, the unit of work: `run_block` is a pure function of a plan and the agents' numbers.

Threads, processes and clusters all run `run_piece`, which is one block or several.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import AgentArrays, diverged_agents, mean_table
from qfast.engine.curve import LEAF
from qfast.engine.plan import AgentValues, Plan
from qfast.engine.tables import explore_threshold
from qfast.kernel.loop import train_block
from qfast.kernel.state import Agents, make_lanes
from qfast.model.seeding import agent_streams, next_words

__all__ = ["Block", "BlockStopped", "block_size", "compile_plan", "run_block", "run_piece"]

#: Steps a lane between two reports of progress: about 50 ms.
SLICE: Final = 200_000
_LARGEST_INDEX: Final = 2**31 - 1
_MOST_BYTES: Final = 2**26  # of a block's tables: several blocks are under way at a time
_MOST_RECORDS: Final = 2**19  # of a block and a stretch of episodes: they stay in the cache
_MOST_AGENTS: Final = 1024


class BlockStopped(Exception):
    """The block was asked to stop before it was complete."""


@dataclass
class Block:
    """Agents of a plan in a row, trained.  `arrays` is None where they were written in place."""

    first: int
    n_agents: int
    n_steps: int
    n_diverged: int
    steps: NDArray[np.int64]  # of each agent
    arrays: AgentArrays | None
    recorder: Any

    def merge(self, other: "Block") -> None:
        """Put in the agents that come next; `arrays` and `steps` stay what they are."""
        self.n_agents += other.n_agents
        self.n_steps += other.n_steps
        self.n_diverged += other.n_diverged
        if self.recorder is not None:
            self.recorder.merge(other.recorder)


def block_size(plan: Plan, n_agents: int, threads: int) -> int:
    """Agents in a block, a multiple of 64; few enough to keep all threads busy with `n_agents` of all plans.

    Few enough, too, for 32-bit indices and for the cache.
    """
    # A block costs a quarter of a millisecond by itself, as much as 40 agents of the corridor take.
    share = max(-(-n_agents // (4 * threads)), min(256, -(-n_agents // threads)))
    longest = max(end - begin for begin, end in plan.stretches)
    records = _MOST_RECORDS // longest if plan.record == "summary" else _MOST_AGENTS
    table = plan.shape[0] * plan.shape[1] * plan.spec.n_tables
    fitting = min(_LARGEST_INDEX // table, _MOST_BYTES // (table * plan.learner.dtype.itemsize))
    most = _MOST_AGENTS if plan.reducer is None else plan.reducer.most_agents
    agents = max(LEAF, min(share, records, fitting, most))
    # What is reduced is a whole node of the tree of moments; other blocks are as large as they may be: 7 % faster.
    return agents // LEAF * LEAF if plan.reducer is None else 1 << agents.bit_length() - 1


def compile_plan(plan: Plan) -> None:
    """Compile the plan's variant, or load it from numba's cache, by training no agent."""
    run_piece(plan, 0, 0)


def _begin(plan: Plan, first: int, arrays: AgentArrays, initial: NDArray[Any]) -> None:
    """Put new agents, whose Q begins with `initial` (n,) or (n, S, A), at the beginning of their first episode."""
    count = len(arrays.state)
    arrays.q[...] = initial.reshape(*initial.shape, *(1,) * (arrays.q.ndim - initial.ndim))
    arrays.visits[...] = 0
    if plan.forbidden is not None:
        arrays.q[:, plan.forbidden] = -np.inf
    arrays.rng[...] = agent_streams(plan.seed, plan.first_agent + first, count)
    tables = plan.tables
    column = np.zeros(count, np.int64)
    if plan.spec.draws_start:
        rng = arrays.rng.copy()
        product = next_words(rng).astype(np.uint64) * np.uint64(tables.starts.size)
        arrays.rng[...] = rng
        column = (product >> np.uint64(32)).astype(np.int64)
        if tables.start_alias.size:
            part = (product & np.uint64(2**32 - 1)).astype(np.uint32)
            own = part < tables.start_alias[2 * column]
            column = np.where(own, column, tables.start_alias[2 * column + 1])
    arrays.state[...] = tables.starts[column]


def run_block(
    plan: Plan,
    first: int,
    count: int,
    own: AgentValues | None = None,
    before: AgentArrays | None = None,
    into: AgentArrays | None = None,
    stop: NDArray[np.int64] | None = None,
    report: Callable[[int], None] | None = None,
) -> Block:
    """Train the agents ``first`` (a multiple of 64) … ``first + count - 1`` of a plan.

    They go on from `before`, or begin anew; `into` is where to write, `stop` (1,) is watched by the kernel, and
    `report` told the steps done since the last time.  Raises BlockStopped if `stop` was set before the end.
    """
    arrays = AgentArrays.empty(plan, count) if into is None else into
    own = plan.agent_values(first, count) if own is None else own
    learner, dtype = plan.learner, plan.learner.dtype

    def rate(name: str, kind: Any) -> NDArray[Any]:
        return own.rates[name].astype(kind) if name in own.rates else getattr(learner, name).for_agents(0, count, kind)

    if before is None or not before.state.size:
        _begin(plan, first, arrays, rate("initial_q", dtype))
    else:
        arrays.rng[...], arrays.state[...], arrays.visits[...] = before.rng, before.state, before.visits
    if before is not None:
        arrays.q[...] = before.q
    # Views of a larger array may have gaps: these three go in and out by copies.
    rng, score = np.ascontiguousarray(arrays.rng), np.zeros(arrays.score.shape)
    stop = np.zeros(1, np.int64) if stop is None else stop
    recorder, stretches = plan.recorder(), plan.stretches
    longest = 0 if recorder is None else count * max(end - begin for begin, end in stretches)
    buffer = (np.empty(longest, dtype), np.empty(longest if plan.spec.records_lengths else 0, np.int32))
    agents = Agents(
        q=arrays.q.reshape(-1), visits=arrays.visits.reshape(-1), rng=rng.reshape(-1), state=arrays.state,
        episode=np.zeros(count, np.int64), alpha=rate("alpha", dtype), gamma=rate("gamma", dtype),
        explore=explore_threshold(rate("epsilon", np.float64)),
        temperature=(1 / rate("temperature", np.float64)).astype(np.float32), trace_decay=rate("lambda_", dtype),
        confidence=rate("c", np.float32), returns=arrays.returns.reshape(-1), lengths=arrays.lengths.reshape(-1),
        steps=np.zeros(count, np.int64), rests=np.zeros(count, np.int64), score=score.reshape(-1),
    )  # fmt: skip
    lanes = make_lanes(plan.spec, learner.n, plan.shape[0] * plan.shape[1])
    measure = _measuring(plan, own, arrays)
    measure(0)
    for number, (begin, end) in enumerate(stretches):
        if recorder is not None:
            returns, lengths = (array[: count * (end - begin)] for array in buffer)
            agents = agents._replace(returns=returns, lengths=lengths)
        for until in (*(episode for episode in plan.checkpoints if begin < episode < end), end):
            unfinished = 1
            while unfinished:
                before_it = int((agents.steps - agents.rests).sum())
                unfinished = train_block(plan.spec, plan.tables, agents, lanes, begin, until, SLICE, stop)
                if stop[0]:
                    raise BlockStopped
                if report is not None:
                    report(int((agents.steps - agents.rests).sum()) - before_it)
            measure(until)
        if recorder is not None:
            shape = (count, end - begin)
            recorded = lengths.reshape(shape if plan.spec.records_lengths else (count, 0))
            recorder.add(number, first, returns.reshape(shape), recorded)
    arrays.rng[...], arrays.score[...] = rng, score
    steps = agents.steps - agents.rests
    n_diverged = int(diverged_agents(arrays.q, plan.forbidden).sum()) if plan.spec.learns else 0
    return Block(first, count, int(steps.sum()), n_diverged, steps, arrays if into is None else None, recorder)


def _measuring(plan: Plan, own: AgentValues, arrays: AgentArrays) -> Callable[[int], None]:
    """What to call after so many episodes: it measures a block's agents if that is a checkpoint."""
    measurer = plan.measurer
    if measurer is None:
        return lambda _episode: None
    measure = measurer.begin(own.group, arrays.measures)

    def measure_at(episode: int) -> None:
        if episode in measurer.episodes:
            column = measurer.episodes.index(episode)
            q = arrays.q if arrays.q.ndim == 3 else mean_table(arrays.q)
            measure(column, q)
            if measurer.keep_q:
                arrays.kept[:, column] = q

    return measure_at


def run_piece(
    plan: Plan,
    first: int,
    count: int,
    size: int = 0,
    own: AgentValues | None = None,
    before: AgentArrays | None = None,
    into: AgentArrays | None = None,
    stop: NDArray[np.int64] | None = None,
    report: Callable[[int], None] | None = None,
) -> Any:
    """Train agents in blocks of `size` (all at once by default), and put together what the plan keeps of them."""
    size, kept = size or max(1, count), None
    own = plan.agent_values(first, count) if own is None else own
    whole = into
    if whole is None and plan.reducer is None and count > size:
        whole = AgentArrays.empty(plan, count, records_only=not plan.keep_q)
    for at in range(0, max(1, count), size):
        n = min(size, count - at)
        old, place = (None if arrays is None else arrays.part(at, n) for arrays in (before, whole))
        written = place is not None and plan.keep_q
        block = run_block(plan, first + at, n, own.part(at, n), old, place if written else None, stop, report)
        if plan.reducer is not None:
            found = plan.reducer.reduce(plan, block)
        else:
            found = block
            if place is not None and block.arrays is not None:
                place.put(0, block.arrays, count=n, records_only=True)
            elif block.arrays is not None and not plan.keep_q:
                block.arrays = block.arrays.records()
        if kept is None:
            kept = found
        else:
            kept.merge(found)
    if whole is not None and into is None:
        assert isinstance(kept, Block)
        kept.arrays = whole
    return kept

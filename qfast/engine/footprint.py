"""What a training takes of memory, added up from the shapes of what is allocated before anything is.

What depends on the course of the training is bounded where that is cheap, and guessed where it is not: how long
episodes are without a limit, how many different returns there are, how many finished blocks wait for an unfinished
one.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.bins import MOST, count_type
from qfast.engine.curve import LEAF, WINDOW
from qfast.engine.plan import Plan
from qfast.kernel.state import lanes_bytes

__all__ = ["Footprint", "memory_needed", "worker_bytes"]

_LONGEST: Final = 12  # without a limit: steps of the longest episodes, for each state
_LOOKED_AT: Final = 2**14  # outcomes of a problem that are looked at to guess its returns, at most
_PILE: Final = 2**24  # bytes of policies that wait to be valued, at most
_WORKER: Final = 2**20  # a thread's own, and what the allocator does not give back


@dataclass(frozen=True)
class Footprint:
    """How a training is run, as far as memory depends on it."""

    workers: int
    size: int
    keep_q: bool = True
    on_disk: bool = False
    saved: bool = False
    elsewhere: bool = False


def memory_needed(plan: Plan, n_agents: int, how: Footprint) -> int:
    """Bytes that a training takes beside what is there before it."""
    size = min(how.size, n_agents)
    blocks = -(-n_agents // how.size)
    running = min(how.workers, blocks)
    waiting = min(blocks - running, max(1, how.workers // 2))
    whole, records = AgentArrays.row_bytes(plan), AgentArrays.row_bytes(plan, records_only=True)
    # Columns of checkpoints are copied out of the file; of those in memory `optimal` is.
    need = n_agents * len(plan.checkpoints) * (33 if how.on_disk else 1)
    if not how.on_disk:
        need += n_agents * (whole if how.keep_q else records)
        if how.keep_q and plan.spec.n_tables == 2:
            need += n_agents * table_bytes(plan)  # the mean of the two
    if how.elsewhere or not how.keep_q or how.on_disk:
        left = whole if how.keep_q else records
        need += size * ((0 if how.elsewhere else running * whole) + waiting * left)
    summary = 0
    if plan.record == "summary":
        summary = summary_bytes(plan, n_agents, n_agents)
        need += summary * (2 if how.saved else 1) + 160 * plan.episodes  # the finished curve
        need += waiting * summary_bytes(plan, n_agents, size)
    if not how.elsewhere:
        need += running * worker_bytes(plan, n_agents, size)
    return int(need)


def table_bytes(plan: Plan) -> int:
    """Bytes of one table of Q."""
    return math.prod(plan.shape) * plan.learner.dtype.itemsize


def worker_bytes(plan: Plan, n_agents: int, size: int) -> int:
    """What running a block takes, beside the arrays of its agents that are kept."""
    pairs, n_step = math.prod(plan.shape), plan.learner.n
    steps = plan.tables.limit if plan.spec.limited else None
    need = _WORKER + 200 * size + lanes_bytes(plan.spec, n_step, pairs, size, plan.episodes, steps)
    if plan.learner.initial_q.values.ndim == 3:
        need += size * table_bytes(plan)  # its part, in the element type
    if plan.record == "summary":
        longest = max(end - begin for begin, end in plan.stretches)
        need += size * longest * (plan.learner.dtype.itemsize + 4 * plan.spec.records_lengths)
        if plan.reducer is None:
            need += summary_bytes(plan, n_agents, size)
    if plan.measurer is not None:
        # Results by column, the policies that changed and, joined, once more.
        need += size * len(plan.checkpoints) * 32
        words = plan.shape[0] * -(-plan.shape[1] // 32) * (1 if plan.shape[1] <= 8 else 4)
        need += 2 * min(_PILE, size * len(plan.checkpoints) * words) + size * words
        if plan.spec.n_tables == 2:
            need += size * table_bytes(plan)
    return need


def summary_bytes(plan: Plan, n_agents: int, size: int) -> int:
    """What a `SummaryBuilder` of `size` agents holds, of a run of `n_agents`."""
    counts = sum(min(bins, max(64, size)) if size < n_agents else bins for bins in filled_bins(plan, size))
    nodes = 1 + (size // LEAF).bit_count()
    return plan.episodes * (counts * count_type(size).itemsize + 2 * 16 * nodes)


def filled_bins(plan: Plan, n_agents: int) -> tuple[int, int]:
    """How many bins the returns and the lengths of so many agents will fill, about."""
    tables, records = plan.tables, n_agents * min(plan.episodes, WINDOW)
    longest = min(tables.limit if plan.spec.limited else _LONGEST * plan.shape[0], 2**31)
    each = plan.shape[1] * tables.n_outcomes  # outcomes of a state
    count = plan.shape[0] * each
    model, some = tables.model.reshape(-1, 2), np.arange(0, count, 1 + count // _LOOKED_AT)
    after, rewards = model[some, 0], tables.reward[some] if tables.reward.size else model[some, 1].view(np.float32)
    state = some // each
    # Nobody acts in a state in which episodes have ended.
    acts = ~np.isin(state, -1 - after[after < 0])
    after, rewards = after[acts], rewards[acts].astype(np.float64)
    paid = (rewards != 0) & np.isfinite(rewards)  # what cannot occur may not fit
    if (paid & (after >= 0)).any():
        returns = _returns(rewards[paid], longest, records)
    else:  # only the last step is paid
        returns = np.unique(rewards[after < 0]).size + 1
    return _at_most(returns, records), _at_most(_whole(longest), records)


def _returns(rewards: NDArray[np.float64], longest: int, records: int) -> int:
    """Bins of sums of such rewards over the longest episodes."""
    unit = float(np.abs(rewards).min())
    sizes = [float(side.sum()) / rewards.size for side in (rewards[rewards > 0], -rewards[rewards < 0]) if side.size]
    multiples = rewards / unit
    if (np.abs(multiples - multiples.round()) < 1e-6).all():
        return sum(_whole(int(min(size / unit * longest, 1e18))) for size in sizes)
    # From the largest return down to the smallest, which lies near 0 where returns may have either sign.
    least = unit if len(sizes) == 1 else unit / records
    return sum(int(128 * math.log2(max(2.0, size * longest / least))) for size in sizes)


def _whole(largest: int) -> int:
    """Bins of the whole numbers up to one."""
    return largest + 1 if largest < 256 else 256 + int(128 * math.log2(largest / 256))


def _at_most(bins: int, records: int) -> int:
    bins = min(bins, records)
    while bins > MOST:
        bins //= 2
    return max(1, bins)

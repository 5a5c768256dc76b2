"""A block of agents of one configuration: trained, measured, and reduced to what a study keeps.

`run_part` is a pure function of a `Task` and the agents' numbers, as `qfast.engine.blocks.run_block` is of a plan.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import mean_table
from qfast.engine.blocks import run_block
from qfast.engine.moments import LEAF, Moments, Tree, add_sums, combine_moments
from qfast.engine.plan import Plan
from qfast.errors import InvalidInput
from qfast.studies.metrics import AgentBlock, Metric

__all__ = ["Part", "Records", "Task", "run_part"]

# Columns of what is measured at a checkpoint; see `qfast.studies.measure`.
REGRET, OPTIMAL, GREEDY_RETURN = 0, 1, 2


@dataclass(frozen=True)
class Wanted:
    """What is to be made of the records of episodes.

    Attributes
    ----------
    last : int
        Episodes at the end whose mean return is the final return.
    curves : bool
        Whether moments over agents are kept for each episode.
    quantile_episodes : tuple of int
        The episodes, from 0, whose returns are kept for quantiles over agents.
    keep : bool
        Whether everything is kept, for metrics of the user's own.
    """

    last: int
    curves: bool
    quantile_episodes: tuple[int, ...]
    keep: bool


@dataclass(frozen=True)
class Task:
    """What all blocks of a configuration have in common; picklable, if the metrics' functions are.

    Attributes
    ----------
    plan : Plan
    wanted : Wanted
    metrics : tuple of Metric
    checkpoints : tuple of int
        Those that count for curves and the first optimal episode: all that the plan checks, or all but the end.
    settings : dict
        As in `AgentBlock`.
    mdp : MDP
    """

    plan: Plan
    wanted: Wanted
    metrics: tuple[Metric, ...]
    checkpoints: tuple[int, ...]
    settings: dict[str, Any]
    mdp: Any


@dataclass
class Part:
    """What is kept of some agents in a row.

    Attributes
    ----------
    first, n : int
        Number of the first agent within its configuration, and how many they are.
    metrics : ndarray of float64, shape (metrics, n)
    n_steps, n_diverged : int
    curve : Tree of moments
        Of the returns over agents, shape (episodes,) each.
    returns : ndarray, shape (quantile episodes, n)
        Returns of the episodes that quantiles are made for.
    checks : Tree of sums
        Sums of regrets, and agents that are optimal, over agents: shape (2, checkpoints).
    """

    first: int
    n: int
    metrics: NDArray[np.float64]
    n_steps: int
    returns: NDArray[Any]
    n_diverged: int = 0
    curve: Tree[Moments] = field(default_factory=lambda: Tree(combine_moments))
    checks: Tree[NDArray[np.float64]] = field(default_factory=lambda: Tree(add_sums))


class Records:
    """Takes a block's records a stretch of episodes at a time, and keeps what is wanted; a `Recorder`.

    Parameters
    ----------
    episodes : int
    wanted : Wanted
    stretches : tuple of (int, int)
        As in `qfast.engine.plan.Plan`.
    """

    def __init__(self, episodes: int, wanted: Wanted, stretches: tuple[tuple[int, int], ...]) -> None:
        self._episodes, self._wanted, self._stretches = episodes, wanted, stretches
        self.kept: list[tuple[NDArray[Any], NDArray[np.int32]]] = []
        self._first = self._n = 0
        self._returns: list[NDArray[Any]] = []
        self._moments: list[NDArray[np.float64]] = []
        self._sums = np.zeros((2, 0))

    def add(self, window: int, first: int, returns: NDArray[Any], lengths: NDArray[np.int32]) -> None:
        """Take the records (agents, episodes) of a stretch of episodes."""
        from qfast.kernel import summarize

        wanted, (begin, end) = self._wanted, self._stretches[window]
        n, episodes = len(returns), end - begin
        if window == 0:
            self._first, self._n = first, n
            self._sums = np.zeros((2, n))
        leaves = -(-n // LEAF) if wanted.curves else 0
        moments, values = np.empty((2, leaves * episodes)), returns.reshape(-1)
        side_by_side = summarize.SIDE_BY_SIDE
        records = summarize.Records(values, self._sums[0], moments[0], moments[1], np.empty(side_by_side.width))
        summarize.add_rows(side_by_side, records, episodes, 0)
        if wanted.curves:
            summarize.leaf_moments(side_by_side, records, episodes, LEAF)
            self._moments.append(moments.reshape(2, leaves, episodes))
        tail = max(self._episodes - wanted.last - begin, 0)
        if tail < episodes:
            summarize.add_rows(side_by_side, records._replace(totals=self._sums[1]), episodes, tail)
        here = [episode - begin for episode in wanted.quantile_episodes if begin <= episode < end]
        self._returns.append(np.ascontiguousarray(returns[:, here].T))
        if wanted.keep:
            self.kept.append((returns.copy(), lengths.copy()))

    def totals(self) -> NDArray[np.float64]:
        """Sums over episodes of the returns, of all and of the last ones, shape (2, n)."""
        return self._sums

    def curve(self) -> Tree[Moments]:
        """The moments over agents of all episodes."""
        from qfast.kernel.summarize import combine_leaves

        tree: Tree[Moments] = Tree(combine_moments)
        if not self._moments:
            return tree
        mean, squares = np.concatenate(self._moments, axis=2)
        level, n = 0, LEAF
        # As long as all nodes are full and come in pairs, their tree's level can be combined at once.
        while self._n % (2 * n) == 0 and self._first % (2 * n) == 0 and len(mean):
            combine_leaves(mean, squares, n)
            mean, squares = mean[: len(mean) // 2], squares[: len(squares) // 2]
            level, n = level + 1, 2 * n
        if not self._n:  # compile what an empty block would leave out
            combine_leaves(mean, squares, n)
        for i in range(len(mean)):
            tree.insert(self._first + i * n, min(n, self._n - i * n), (mean[i].copy(), squares[i].copy()), level)
        return tree

    def at_quantiles(self) -> NDArray[Any]:
        """The returns of the quantiles' episodes, shape (K, n)."""
        return np.concatenate(self._returns)


def run_part(
    task: Task,
    first: int,
    count: int,
    stop: NDArray[np.int64] | None = None,
    report: Callable[[int], None] | None = None,
) -> Part:
    """Train and measure the agents ``first`` … ``first + count - 1`` of a configuration.

    Parameters
    ----------
    task : Task
    first, count : int
        ``first`` is a multiple of 64.
    stop, report
        As in `qfast.engine.blocks.run_block`.

    Returns
    -------
    Part

    Raises
    ------
    BlockStopped
        If ``stop`` was set before the block was complete.
    InvalidInput
        If a metric of the user's own does not give a number for each agent.
    """
    block = run_block(task.plan, first, count, stop=stop, report=report)
    records, memory = block.summary, block.memory
    if not isinstance(records, Records) or memory is None:
        msg = f"the plan of a study records {task.plan.record!r} into {type(records).__name__}"
        raise TypeError(msg)
    measured = _measured(task, records, block.steps, memory.checks)
    own = [metric for metric in task.metrics if metric.function is not None]
    if own:
        seen = AgentBlock(
            q=memory.q if memory.q.ndim == 3 else mean_table(memory.q),
            returns=np.concatenate([returns for returns, _ in records.kept], axis=1),
            lengths=np.concatenate([lengths for _, lengths in records.kept], axis=1),
            agents=task.plan.first_agent + np.arange(first, first + count), settings=task.settings, mdp=task.mdp,
        )  # fmt: skip
        measured |= {metric.name: _measure(metric, seen, count) for metric in own if count}
    part = Part(
        first, count, np.array([measured.get(metric.name, np.zeros(count)) for metric in task.metrics]),
        block.n_steps, records.at_quantiles(), block.n_diverged, records.curve(),
    )  # fmt: skip
    if task.checkpoints:
        sums = memory.checks[:, : len(task.checkpoints), :2].transpose(2, 1, 0)
        for i in range(0, count, LEAF):
            part.checks.insert(first + i, min(LEAF, count - i), sums[:, :, i : i + LEAF].sum(axis=2))
    return part


def _measured(
    task: Task, records: Records, steps: NDArray[np.int64], checks: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """The metrics that are built in, by name; only those of the truth if that is known."""
    total, last = records.totals()
    used = steps.astype(np.float64)
    measured = {"auc": total / task.plan.episodes, "final_return": last / task.wanted.last, "steps": used}
    if task.plan.checks is not None:
        end = checks[:, -1]
        measured |= {"regret": end[:, REGRET], "optimal": end[:, OPTIMAL], "greedy_return": end[:, GREEDY_RETURN]}
        if task.checkpoints:
            optimal = checks[:, : len(task.checkpoints), OPTIMAL] == 1.0
            measured["first_optimal"] = _first_optimal(optimal, np.array(task.checkpoints))
    return measured


def _first_optimal(optimal: NDArray[np.bool_], when: NDArray[np.int64]) -> NDArray[np.float64]:
    """The first checkpoint from which on each agent stayed optimal; inf where there is none."""
    lasting = np.logical_and.accumulate(optimal[:, ::-1], axis=1).sum(axis=1)
    return np.where(lasting > 0, when[np.minimum(when.size - lasting, when.size - 1)], np.inf)


def _measure(metric: Metric, seen: AgentBlock, count: int) -> NDArray[np.float64]:
    """Call a function of the user's, and check what it gives."""
    assert metric.function is not None
    try:
        values = np.asarray(metric.function(seen))
    except Exception as error:
        msg = f"metrics: the function of {metric.name} raised {type(error).__name__}: {error}; mend it, or leave it out"
        raise InvalidInput(msg) from error
    if values.shape != (count,) or values.dtype.kind not in "biuf":
        msg = (
            f"metrics: {metric.name} gave shape {values.shape} of {values.dtype} for {count} agents; "
            f"return one number for each of them, shape ({count},)"
        )
        raise InvalidInput(msg)
    values = values.astype(np.float64)
    episodes = seen.returns.shape[1]
    wrong, rule = np.zeros(count, np.bool_), ""
    if metric.is_bool:
        wrong, rule = ~(np.isin(values, (0.0, 1.0)) | np.isnan(values)), "neither 0 nor 1, which is_bool=True promises"
    elif metric.is_time:
        wrong = (values < 0) | ((values > episodes) & ~np.isposinf(values))
        rule = f"no time within {episodes:,} episodes"
    if wrong.any():
        msg = f"metrics: {metric.name} gave {values[wrong][0]:g}, which is {rule}; mend the function, or leave that out"
        raise InvalidInput(msg)
    return values

"""A block of agents of one configuration, reduced to what a study keeps of it; and what has come in so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import mean_table
from qfast.engine.blocks import Block
from qfast.engine.curve import LEVELS
from qfast.engine.moments import LEAF, Moments, Tree, add_sums, combine_moments
from qfast.engine.plan import Plan
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.studies.metrics import AgentBlock, Metric
from qfast.truth.checkpoints import first_lasting

__all__ = ["Curves", "MeasuredBlock", "PartialCurves", "Reduction", "Totals", "quantiles_of"]

Floats = NDArray[np.float64]

_MOST_AGENTS: Final = 4096  # in a block: each call of the kernel costs 50 us in Python
_MOST_RECORDS: Final = 2**22  # that are kept of a block at a time


@dataclass
class MeasuredBlock:
    """What a study keeps of some agents of a configuration in a row."""

    first: int  # within the configuration
    n_agents: int
    metrics: Floats  # (metrics, n)
    n_steps: int
    returns: NDArray[Any]  # (quantile episodes, n), of the episodes that quantiles are made for
    n_diverged: int = 0
    curve: Tree[Moments] = field(default_factory=lambda: Tree(combine_moments))  # of returns over agents, (episodes,)
    measures: Tree[Floats] = field(default_factory=lambda: Tree(add_sums))  # regrets and optimal agents, (2, C)

    def merge(self, other: "MeasuredBlock") -> None:
        """Put in the agents that come next."""
        self.n_agents += other.n_agents
        self.n_steps += other.n_steps
        self.n_diverged += other.n_diverged
        self.metrics = np.concatenate([self.metrics, other.metrics], axis=1)
        self.returns = np.concatenate([self.returns, other.returns], axis=1)
        self.curve.merge(other.curve)
        self.measures.merge(other.measures)


@dataclass(frozen=True, eq=False)
class Reduction:
    """What a study keeps of a block; a `qfast.engine.plan.Reducer`, picklable if the metrics' functions are.

    The mean return of the `last` episodes is the final one; `curves` says whether moments over agents are kept for
    each episode, and `quantile_episodes` (from 0) whose returns are kept.  `checkpoints` are those that count for
    curves and the first optimal episode: all that the plan has, or all but the end.
    """

    episodes: int
    last: int
    curves: bool
    quantile_episodes: tuple[int, ...]
    stretches: tuple[tuple[int, int], ...]
    metrics: tuple[Metric, ...]
    checkpoints: tuple[int, ...]
    settings: dict[str, Any]  # as `AgentBlock` has them
    mdp: MDP | None  # for metrics of the user's own

    @property
    def own(self) -> list[Metric]:
        """The metrics that are functions of the user's."""
        return [metric for metric in self.metrics if metric.function is not None]

    @property
    def most_agents(self) -> int:
        """Agents in a block, at most."""
        return min(_MOST_AGENTS, _MOST_RECORDS // self.episodes) if self.own else _MOST_AGENTS

    @property
    def bytes_per_agent(self) -> int:
        """What is kept of an agent."""
        return 8 * (len(self.metrics) + len(self.quantile_episodes))

    def recorder(self) -> "ReturnSums":
        """A new recorder, for one block."""
        return ReturnSums(self)

    def reduce(self, plan: Plan, block: Block) -> MeasuredBlock:
        """Measure a block of agents, and keep nothing else of it."""
        sums, arrays, n = block.recorder, block.arrays, block.n_agents
        assert isinstance(sums, ReturnSums)
        assert arrays is not None
        total, last = sums.totals()
        used = block.steps.astype(np.float64)
        measured = {"auc": total / self.episodes, "final_return": last / self.last, "steps": used}
        if plan.measurer is not None:
            at = {name: arrays.measures[:, :, i] for i, name in enumerate(plan.measurer.measures)}
            measured |= {name: at[name][:, -1] for name in ("regret", "optimal", "greedy_return")}
            if self.checkpoints:
                optimal = at["optimal"][:, : len(self.checkpoints)] == 1.0
                measured["first_optimal"] = first_lasting(optimal, np.array(self.checkpoints))
        if self.own and n:
            assert self.mdp is not None
            seen = AgentBlock(
                q=arrays.q if arrays.q.ndim == 3 else mean_table(arrays.q),
                returns=np.concatenate([returns for returns, _ in sums.kept], axis=1),
                lengths=np.concatenate([lengths for _, lengths in sums.kept], axis=1),
                agents=plan.first_agent + np.arange(block.first, block.first + n), settings=self.settings,
                mdp=self.mdp,
            )  # fmt: skip
            measured |= {metric.name: _measure(metric, seen, n) for metric in self.own}
        kept = MeasuredBlock(
            block.first, n, np.array([measured.get(metric.name, np.zeros(n)) for metric in self.metrics]),
            block.n_steps, sums.at_quantiles(), block.n_diverged, sums.curve(),
        )  # fmt: skip
        if self.checkpoints:
            sums_of = [at[name][:, : len(self.checkpoints)].T for name in ("regret", "optimal")]  # (C, n) each
            for i in range(0, n, LEAF):
                leaf = np.stack([values[:, i : i + LEAF].sum(axis=1) for values in sums_of])
                kept.measures.insert(block.first + i, min(LEAF, n - i), leaf)
        return kept


class ReturnSums:
    """Sums up a block's returns a stretch of episodes at a time; a `qfast.engine.plan.Recorder`."""

    def __init__(self, wanted: Reduction) -> None:
        self._wanted, self._stretches = wanted, wanted.stretches
        self.kept: list[tuple[NDArray[Any], NDArray[np.int32]]] = []
        self._first = self._n = 0
        self._returns: list[NDArray[Any]] = []
        self._moments: list[Floats] = []
        self._sums = np.zeros((2, 0))

    def add(self, stretch: int, first: int, returns: NDArray[Any], lengths: NDArray[np.int32]) -> None:
        """Take the records (agents, episodes) of a stretch of episodes."""
        from qfast.kernel import summarize

        wanted, (begin, end) = self._wanted, self._stretches[stretch]
        n, episodes = len(returns), end - begin
        if stretch == 0:
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
        tail = max(wanted.episodes - wanted.last - begin, 0)
        if tail < episodes:
            summarize.add_rows(side_by_side, records._replace(totals=self._sums[1]), episodes, tail)
        here = [episode - begin for episode in wanted.quantile_episodes if begin <= episode < end]
        self._returns.append(np.ascontiguousarray(returns[:, here].T))
        if wanted.own:
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


def _measure(metric: Metric, seen: AgentBlock, count: int) -> NDArray[np.float64]:
    """Call a function of the user's, and check what it gives."""
    assert metric.function is not None
    try:
        found = metric.function(seen)
        values = np.asarray(np.ma.filled(found.astype(float), np.nan) if np.ma.isMaskedArray(found) else found)
    except Exception as error:
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        msg = f"metrics: the function of {metric.name} raised {told}; mend it, or leave it out"
        raise InvalidInput(msg) from error
    if values.shape != (count,) or values.dtype.kind not in "biuf":
        raise InvalidInput(
            f"metrics: {metric.name} gave shape {values.shape} of {values.dtype} for {count} agents; "
            f"return one number for each of them, shape ({count},)"
        )
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


@dataclass(frozen=True)
class Curves:
    """The curves of one configuration; those that are not kept have no elements."""

    return_mean: Floats  # (episodes,)
    return_std: Floats
    return_quantile: Floats  # (levels, quantile episodes)
    share_optimal: Floats  # (checkpoints,)
    regret_mean: Floats

    def unknown(self) -> "Curves":
        """Curves of the same shapes that are NaN."""
        return Curves(**{part.name: np.full_like(getattr(self, part.name), np.nan) for part in fields(Curves)})


@dataclass
class PartialCurves:
    """What has come in of a configuration that is not complete."""

    curve: Tree[Moments] = field(default_factory=lambda: Tree(combine_moments))
    measures: Tree[Floats] = field(default_factory=lambda: Tree(add_sums))
    returns: list[NDArray[Any]] = field(default_factory=list)

    def add(self, block: MeasuredBlock) -> None:
        """Put in the agents that come next."""
        self.curve.merge(block.curve)
        self.measures.merge(block.measures)
        self.returns.append(block.returns)

    def curves(self, n_quantiles: int) -> Curves:
        """Sum up what has come in."""
        nothing = np.zeros(0)
        mean = std = share = regret = nothing
        if any(True for _ in self.curve.nodes()):
            n, (mean, squares) = self.curve.total()
            std = np.sqrt(squares / (n - 1)) if n > 1 else np.full_like(mean, np.nan)
        if any(True for _ in self.measures.nodes()):
            n, (regrets, optimal) = self.measures.total()
            share, regret = optimal / n, regrets / n
        quantiles = np.zeros((len(LEVELS), 0))
        if n_quantiles and self.returns:
            quantiles = quantiles_of(np.concatenate(self.returns, axis=1), LEVELS)
        return Curves(mean, std, quantiles, share, regret)


def quantiles_of(values: NDArray[Any], levels: Sequence[float]) -> Floats:
    """The smallest values (levels, K) that given shares of the agents do not exceed, of values (K, n)."""
    n = values.shape[1]
    ranks = [max(1, int(np.ceil(level * n - 1e-9))) - 1 for level in levels]
    if values.dtype != np.float32:
        return np.partition(values, sorted(set(ranks)), axis=1)[:, ranks].T.astype(np.float64)
    from qfast.kernel.summarize import select_ranks

    found = np.empty((len(ranks), len(values)), np.uint32)
    # One key more: the kernel writes each key before it knows whether it is one.
    counts, keys = np.zeros(2**16, np.int32), np.empty(n + 1, np.uint32)
    select_ranks(np.ascontiguousarray(values).view(np.uint32), np.array(ranks), counts, keys, found)
    return found.view(np.float32).astype(np.float64)


class Totals:
    """Everything that has come in, the ledger of a study; blocks of a configuration come in the order of its agents."""

    def __init__(self, n_metrics: int, n_configurations: int, n_agents: int, n_quantiles: int) -> None:
        self.most_agents, self._n_quantiles = n_agents, n_quantiles  # agents that a configuration may have
        self.metrics = np.full((n_metrics, n_configurations, n_agents), np.nan)
        self.done = np.zeros(n_configurations, np.int64)
        self.steps = np.zeros(n_configurations, np.int64)
        self.n_diverged = np.zeros(n_configurations, np.int64)
        self.open: dict[int, PartialCurves] = {}
        self.finished: dict[int, Curves] = {}
        self.seconds = 0.0

    @property
    def n_agents(self) -> int:
        """Agents that are complete, of all configurations."""
        return int(self.done.sum())

    @property
    def n_steps(self) -> int:
        """Steps that they took."""
        return int(self.steps.sum())

    def add(self, number: int, block: MeasuredBlock) -> None:
        """Put in the agents of a configuration that come next."""
        self.put(number, block)
        self.open.setdefault(number, PartialCurves()).add(block)

    def put(self, number: int, block: MeasuredBlock) -> None:
        """Put in metrics and counts alone."""
        end = block.first + block.n_agents
        self.metrics[:, number, block.first : end] = block.metrics
        self.done[number] = end
        self.steps[number] += block.n_steps
        self.n_diverged[number] += block.n_diverged

    def finish(self, number: int) -> None:
        """Sum a configuration up: no more of its agents will come."""
        if number not in self.finished:
            self.finished[number] = self.open.pop(number, PartialCurves()).curves(self._n_quantiles)

    def forget(self, number: int) -> None:
        """Take a configuration out again."""
        self.metrics[:, number] = np.nan
        self.done[number] = self.steps[number] = self.n_diverged[number] = 0
        self.open.pop(number, None)

    def scores(self, metric: int, number: int, n: int) -> Floats:
        """One metric of a configuration's first n agents."""
        scores: Floats = self.metrics[metric, number, :n]
        return scores

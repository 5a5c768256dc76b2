"""What has come in of a study: metrics of every agent, and curves of every configuration."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.engine.curve import LEVELS
from qfast.engine.moments import Moments, Tree, add_sums, combine_moments
from qfast.studies.reduce import MeasuredBlock

__all__ = ["Curves", "PartialCurves", "Totals", "quantiles_of"]

Floats = NDArray[np.float64]

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

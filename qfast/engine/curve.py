"""The learning curve of a population: a running summary over agents for each episode.

Memory does not grow with the number of agents, and the result has the same bits whatever the blocks were and in
whatever order they came: counts, minima and maxima do not depend on order, and moments are combined along a binary
tree over the agents' numbers whose leaves are 64 agents (Chan, Golub & LeVeque 1979 combine two of them).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.bins import Bins
from qfast.engine.moments import LEAF, Moments, Tree, combine_moments

__all__ = ["LEAF", "LEVELS", "WINDOW", "Curve", "Summary", "SummaryBuilder", "windows"]

#: Quantiles that a curve holds.
LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Episodes that are recorded before they are summed up.
WINDOW: Final = 2048


@dataclass(frozen=True, eq=False)
class Summary:
    """One quantity over the agents of a run, for each episode.

    Attributes
    ----------
    mean, std : ndarray of float64, shape (episodes,)
        Mean, and standard deviation over agents (with n - 1; NaN for one agent).  The standard deviation is the
        spread of the agents, not the error of the mean, which is ``std / sqrt(n_agents)``.
    min, max : ndarray of float64, shape (episodes,)
    quantiles : ndarray of float64, shape (5, episodes)
        The smallest values that 5, 25, 50, 75 and 95 % of the agents do not exceed, cut to 8 significant bits
        towards zero: exact for whole numbers up to 256, at most 0.8 % too near to zero otherwise.  Values that are
        very many, as those of continuous rewards on both sides of zero, are cut to fewer bits, so that 2,048
        different ones remain in each stretch of 2,048 episodes: to 7 or 6 as a rule (1.6 or 3.1 %), never to fewer
        than 3 (25 %).
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    quantiles: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence["Summary"]) -> "Summary":
        """Put stretches of episodes behind each other."""
        return cls(**{
            field.name: np.concatenate([getattr(part, field.name) for part in parts], axis=-1) for field in fields(cls)
        })  # fmt: skip

    @property
    def median(self) -> NDArray[np.float64]:
        """The middle quantile, shape (episodes,)."""
        return np.asarray(self.quantiles[LEVELS.index(0.5)])


@dataclass(frozen=True, eq=False)
class Curve:
    """The learning curve of a population of agents.

    Attributes
    ----------
    n_agents : int
        Agents summed up.
    returns : Summary
        Undiscounted sum of rewards of each episode.
    lengths : Summary
        Steps of each episode.
    levels : tuple of float
        The levels of the quantiles.
    """

    n_agents: int
    returns: Summary
    lengths: Summary
    levels: tuple[float, ...] = LEVELS

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return int(self.returns.mean.size)

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Everything as named arrays, as files need it."""
        arrays: dict[str, NDArray[Any]] = {f"{prefix}n_agents": np.asarray(self.n_agents)}
        for name in ("returns", "lengths"):
            for field in fields(Summary):
                arrays[f"{prefix}{name}_{field.name}"] = getattr(getattr(self, name), field.name)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], prefix: str) -> "Curve":
        """Make a curve from what `to_arrays` gave."""
        parts = {
            name: Summary(**{field.name: arrays[f"{prefix}{name}_{field.name}"] for field in fields(Summary)})
            for name in ("returns", "lengths")
        }
        return cls(int(arrays[f"{prefix}n_agents"]), parts["returns"], parts["lengths"])

    def extended(self, other: "Curve") -> "Curve":
        """Put the curve of further episodes of the same agents behind this one."""
        returns, lengths = Summary.joined([self.returns, other.returns]), Summary.joined([self.lengths, other.lengths])
        return Curve(self.n_agents, returns, lengths)


class _Window:
    """One quantity over a stretch of episodes, built up from blocks of agents."""

    def __init__(self, episodes: int) -> None:
        self.low = np.full(episodes, np.inf)
        self.high = np.full(episodes, -np.inf)
        self.bins = Bins(episodes)
        self.moments: Tree[Moments] = Tree(combine_moments)

    def add(self, first: int, values: NDArray[Any]) -> None:
        """Add the agents from number ``first`` on, a multiple of LEAF; values (n, episodes)."""
        from qfast.kernel.summarize import add_moments, extremes

        for begin in range(0, len(values), LEAF):
            leaf = values[begin : begin + LEAF]
            mean, squares = np.empty_like(self.low), np.empty_like(self.low)
            add_moments(leaf, mean, squares)
            self.moments.insert(first + begin, len(leaf), (mean, squares))
        extremes(values, self.low, self.high)
        self.bins.add(values)

    def merge(self, other: "_Window") -> None:
        """Add the agents of another block."""
        np.minimum(self.low, other.low, out=self.low)
        np.maximum(self.high, other.high, out=self.high)
        self.moments.merge(other.moments)
        self.bins.merge(other.bins)

    def summary(self) -> Summary:
        """Sum up what has been added."""
        n, (mean, squares) = self.moments.total()
        std = np.sqrt(squares / (n - 1)) if n > 1 else np.full_like(mean, np.nan)
        return Summary(mean, std, self.low, self.high, self.bins.quantiles(LEVELS))


class SummaryBuilder:
    """A curve in the making: takes blocks of agents in any order, and other builders."""

    def __init__(self, episodes: int) -> None:
        self._stretches = list(windows(episodes))
        self.returns = [_Window(end - begin) for begin, end in self._stretches]
        self.lengths = [_Window(end - begin) for begin, end in self._stretches]
        self.n_agents = 0

    def add(self, window: int, first: int, returns: NDArray[Any], lengths: NDArray[Any]) -> None:
        """Add one window's records (agents, episodes) of the agents from number ``first``, a multiple of LEAF."""
        self.returns[window].add(first, returns)
        self.lengths[window].add(first, lengths)
        if window == 0:
            self.n_agents += len(returns)

    def merge(self, other: "SummaryBuilder") -> None:
        """Add the agents of another builder."""
        for mine, theirs in zip(self.returns + self.lengths, other.returns + other.lengths, strict=True):
            mine.merge(theirs)
        self.n_agents += other.n_agents

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as named arrays, so that a training's folder can hold it, and back, bit for bit."""
        arrays: dict[str, NDArray[Any]] = {"summed_up": np.asarray(self.n_agents)}
        for name in ("returns", "lengths"):
            for number, window in enumerate(getattr(self, name)):
                window.bins.settle()
                order = np.argsort(window.bins.boxes)
                nodes = sorted(window.moments.nodes(), key=lambda node: node[:2])
                episodes = window.low.size
                parts = {
                    "low": window.low,
                    "high": window.high,
                    "bins": window.bins.boxes[order],
                    "counts": window.bins.counts[order],
                    "dropped": np.asarray(window.bins.dropped),
                    "nodes": np.array([place for *place, _ in nodes], np.int64).reshape(-1, 3),
                    "means": np.array([mean for *_, (mean, _) in nodes]).reshape(-1, episodes),
                    "squares": np.array([squares for *_, (_, squares) in nodes]).reshape(-1, episodes),
                }
                arrays |= {f"{name}_{number}_{part}": array for part, array in parts.items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], episodes: int) -> "SummaryBuilder":
        """Make one of what `to_arrays` gave; a KeyError or ValueError says that the arrays do not fit together."""
        builder = cls(episodes)
        builder.n_agents = int(arrays["summed_up"])
        for name in ("returns", "lengths"):
            for number, (begin, end) in enumerate(windows(episodes)):
                keys = ("low", "high", "bins", "counts", "dropped", "nodes")
                part = {key: arrays[f"{name}_{number}_{key}"] for key in keys}
                means, squares = (arrays[f"{name}_{number}_{key}"] for key in ("means", "squares"))
                if part["low"].shape != (end - begin,) or means.shape != (len(part["nodes"]), end - begin):
                    raise ValueError(f"{name} of shape {part['low'].shape} for {end - begin} episodes")
                window = getattr(builder, name)[number]
                window.low, window.high, bins = part["low"], part["high"], window.bins
                bins.boxes, bins.counts = part["bins"], part["counts"]
                bins.dropped, bins.n_agents = int(part["dropped"]), builder.n_agents
                for i, (level, first, n) in enumerate(part["nodes"].tolist()):
                    window.moments.insert(first, n, (means[i], squares[i]), level)
        return builder

    def curve(self) -> Curve:
        """Sum up what has been added so far."""
        returns, lengths = (
            Summary.joined([stretch.summary() for stretch in stretches]) for stretches in (self.returns, self.lengths)
        )
        return Curve(self.n_agents, returns, lengths)


def windows(episodes: int) -> Iterator[tuple[int, int]]:
    """Divide episodes into stretches of at most WINDOW: (begin, end) pairs."""
    for begin in range(0, episodes, WINDOW):
        yield begin, min(begin + WINDOW, episodes)

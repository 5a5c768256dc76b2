"""The arrays of agents, of a block or of a whole run; and which of them have diverged."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.plan import Plan
from qfast.errors import DivergedWarning, warn_caller
from qfast.kernel.memory import SLACK
from qfast.model.learner import Learner

__all__ = ["RECORDED", "AgentArrays", "diverged_agents", "mean_table", "warn_of_divergence", "why_diverged"]

#: What is recorded of agents, besides what they have learned and what they need to go on.
RECORDED: Final = ("returns", "lengths", "score", "measures")

_AT_ONCE: Final = 2**22  # values of Q that are looked at together


@dataclass
class AgentArrays:
    """What is kept of agents: of a block, or of a whole run.

    Q and visits have room for SLACK elements behind them, which the kernel's loads may touch.  `measures` holds what
    was measured at the checkpoints, in the order of the plan's ``measurer.measures``, and `kept` Q there.
    """

    q: NDArray[Any]  # (n, S, A), or (n, S, A, 2) with two tables
    visits: NDArray[np.int32]  # of pairs, (n, S, A), or (n, 0, 0) where that does not matter
    rng: NDArray[np.uint32]  # (4, n)
    state: NDArray[np.int32]  # (n,)
    returns: NDArray[Any]  # (n, episodes) or (n, 0)
    lengths: NDArray[np.int32]  # the same
    score: NDArray[np.float64]  # (3, n) or (3, 0): sums of returns, successes and lengths
    measures: NDArray[np.float64]  # (n, checkpoints, measures)
    kept: NDArray[Any]  # (n, checkpoints or 0, S, A)

    @staticmethod
    def shapes(plan: Plan, n: int, *, records_only: bool = False) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Shape and element type of each array for n agents, or of what is recorded of them alone."""
        recorded = plan.episodes if plan.record == "returns" else 0
        tables = (2,) if plan.spec.n_tables == 2 else ()
        counted = plan.shape if plan.spec.counts_visits else (0, 0)
        checkpoints, measurer = len(plan.checkpoints), plan.measurer
        measures = 0 if measurer is None else len(measurer.measures)
        kept = checkpoints if measurer is not None and measurer.keep_q else 0
        here, real = 0 if records_only else n, plan.learner.dtype
        return {
            "q": ((here, *plan.shape, *tables), real), "visits": ((here, *counted), np.int32),
            "rng": ((4, here), np.uint32), "state": ((here,), np.int32),
            "returns": ((n, recorded), real), "lengths": ((n, recorded), np.int32),
            "score": ((3, n if plan.record == "score" else 0), np.float64),
            "measures": ((n, checkpoints, measures), np.float64), "kept": ((here, kept, *plan.shape), real),
        }  # fmt: skip

    @classmethod
    def empty(cls, plan: Plan, n: int, *, records_only: bool = False) -> "AgentArrays":
        """Allocate memory for n agents, or only for what is recorded of them."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, (shape, kind) in cls.shapes(plan, n, records_only=records_only).items():
            if name in ("q", "visits"):
                arrays[name] = _with_slack(shape, kind)
            elif name == "measures":  # each of them in one piece, so that none has to be copied out
                arrays[name] = np.empty((shape[2], *shape[:2]), kind).transpose(1, 2, 0)
            else:
                arrays[name] = (np.zeros if name == "score" else np.empty)(shape, kind)
        return cls(**arrays)

    @classmethod
    def row_bytes(cls, plan: Plan, *, records_only: bool = False) -> int:
        """Bytes that an agent takes."""
        shapes = cls.shapes(plan, 1, records_only=records_only).values()
        return sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in shapes)

    @classmethod
    def learned(
        cls, q: NDArray[Any], visits: Any = None, rng: Any = None, state: Any = None
    ) -> "AgentArrays":
        """Agents as an earlier training left them, or their Q alone."""
        n, pairs = len(q), (0,) * 3
        return cls(
            q, np.empty((n, 0, 0), np.int32) if visits is None else visits,
            np.empty((4, 0), np.uint32) if rng is None else rng, np.empty(0, np.int32) if state is None else state,
            np.empty((n, 0)), np.empty((n, 0), np.int32), np.empty((3, 0)), np.empty((n, 0, 0)), np.empty((n, *pairs)),
        )  # fmt: skip

    def records(self) -> "AgentArrays":
        """What was recorded, without what the agents have learned."""
        gone = {
            name: np.empty([size if axis else 0 for axis, size in enumerate(array.shape)], array.dtype)
            for name, array in vars(self).items()
            if name not in RECORDED
        }
        return replace(self, **gone | {"rng": np.empty((4, 0), np.uint32)})

    def part(self, first: int, count: int) -> "AgentArrays":
        """Give views of the agents ``first`` … ``first + count - 1``."""
        end = first + count
        return AgentArrays(
            self.q[first:end], self.visits[first:end], self.rng[:, first:end], self.state[first:end],
            self.returns[first:end], self.lengths[first:end], self.score[:, first:end],
            self.measures[first:end], self.kept[first:end],
        )  # fmt: skip

    def put(self, first: int, block: "AgentArrays", *, count: int | None = None, records_only: bool = False) -> None:
        """Copy a block's agents, or only what was recorded of them, to their place."""
        part = self.part(first, len(block.state) if count is None else count)
        for array in fields(AgentArrays):
            if not records_only or array.name in RECORDED:
                getattr(part, array.name)[...] = getattr(block, array.name)


def _with_slack(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    size = math.prod(shape)
    return np.empty(size + SLACK, dtype)[:size].reshape(shape)


def mean_table(q: NDArray[Any]) -> NDArray[Any]:
    """The mean of two tables (n, S, A, 2), on which an agent that has two acts; shape (n, S, A)."""
    with np.errstate(invalid="ignore"):  # tables that have diverged to either side
        mean: NDArray[Any] = (q[..., 0] + q[..., 1]) * q.dtype.type(0.5)
    return mean


def diverged_agents(q: NDArray[Any], forbidden: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Tell which agents' Q (n, S, A) or (n, S, A, 2) holds inf or NaN, forbidden pairs aside; shape (n,)."""
    found = np.zeros(len(q), np.bool_)
    step = max(1, _AT_ONCE // max(1, q[:1].size))
    for first in range(0, len(q), step):
        finite = np.isfinite(q[first : first + step])
        if forbidden is not None:
            finite[:, forbidden] = True
        found[first : first + step] = ~finite.reshape(len(finite), -1).all(axis=1)
    return found


def why_diverged(learner: Learner) -> str:
    """Why Q of a learner may grow without end, and what to do."""
    why = f"their Q grew beyond what {learner.dtype.name} holds, to inf or NaN"
    larger = " or dtype='float64'" if learner.dtype == np.float32 else ""
    if learner.traces:
        why += f", as {learner.traces} traces make it where a pair's traces times alpha exceed 1"
        return f"{why}; use a smaller alpha or lambda_"
    return f"{why}; use a smaller alpha, smaller rewards{larger}"


def warn_of_divergence(n_diverged: int, n_agents: int, learner: Learner) -> None:
    """Warn the caller of `qfast.train` or `qfast.resume`, if agents have diverged."""
    if n_diverged:
        have = "1 of 1 agent has" if n_agents == 1 else f"{n_diverged:,} of {n_agents:,} agents have"
        text = f"{have} diverged: {why_diverged(learner)} (run.diverged tells which)"
        warn_caller(text, DivergedWarning)

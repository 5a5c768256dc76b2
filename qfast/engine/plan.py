"""What the agents of a run have in common, ready for the kernel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.kernel.spec import Spec
from qfast.kernel.state import Tables
from qfast.model.learner import Learner

__all__ = ["Checks", "Plan", "Recorder"]


class Checks(Protocol):
    """What has to be measured at checkpoints; see `qfast.truth.checkpoints`."""

    @property
    def episodes(self) -> tuple[int, ...]:
        """The checkpoints, counted from the beginning of this training; 0 is before the first episode."""

    @property
    def keep_q(self) -> bool:
        """Whether Q is kept as well."""

    def watch(self, first: int, out: NDArray[np.float64]) -> Callable[[int, NDArray[Any]], None]:
        """Begin with agents: give what measures their Q (n, S, A) at each checkpoint in turn, into (n, C, 4)."""

    def split(self) -> "tuple[Checks, NDArray[Any] | None]":
        """Tell apart what all agents share and the values of single ones, if there are any."""

    def joined(self, of_agents: NDArray[Any] | None) -> "Checks":
        """Put values of single agents back."""


class Recorder(Protocol):
    """What sums up the records of a block's agents, a stretch of episodes at a time."""

    def add(self, window: int, first: int, returns: NDArray[Any], lengths: NDArray[np.int32]) -> None:
        """Take the records (agents, episodes) of the agents from number ``first`` on; lengths only if recorded."""


@dataclass(frozen=True)
class Plan:
    """Everything that the agents of a run have in common, ready for the kernel; small, and picklable.

    Attributes
    ----------
    spec : Spec
        The variant of the kernel.
    tables : Tables
        The problem and the schedules.
    learner : Learner
    seed : numpy.random.SeedSequence
    first_agent : int
        Number of the run's first agent; the numbers below count from it.
    shape : tuple of int
        (states, actions).
    episodes : int
        Episodes that each agent has to go.
    record : {None, "returns", "summary", "score"}
        "summary": records go to a recorder, a stretch of episodes at a time, and are not kept.
    forbidden : ndarray of bool, shape (S, A), or None
        Pairs whose Q is -inf.
    checks : Checks or None
        What is measured on the way.
    recorder : callable or None
        Makes what takes the records with ``record="summary"``, from the number of episodes; by default a
        `SummaryBuilder`.
    stretches : tuple of (int, int), or None
        The stretches of episodes, each from its first one up to before its end, that a recorder is given one by one.
    begin : int
        The agent that the learner's and the checks' values of single agents begin with: 0, unless they were cut to a
        part of the run.
    """

    spec: Spec
    tables: Tables
    learner: Learner
    seed: SeedSequence
    first_agent: int
    shape: tuple[int, int]
    episodes: int
    record: str | None
    forbidden: NDArray[np.bool_] | None
    checks: Checks | None = None
    recorder: Callable[[int], Recorder] | None = None
    stretches: tuple[tuple[int, int], ...] | None = None
    begin: int = 0

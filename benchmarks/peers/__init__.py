"""What people use instead of qfast, each written as its own best self.

Every peer is a module with ``train(workload, n_agents, seed) -> PeerResult`` and nothing in common with the others
but the lookup arrays of `benchmarks.workloads`.  Import a peer through `PEERS`: the modules load what they measure.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import Workload


@dataclass(frozen=True, eq=False)
class PeerResult:
    """What a peer learned and what it took.

    Attributes
    ----------
    q : ndarray of float32 or float64, shape (n_agents, S, A)
        Possibly a view into a larger array.
    agent_steps : int
        Environment steps, each with its Q update, of all agents together.
    seconds : float
        Wall time of the training, from allocating Q to having it; without compilation and start-up.
    compile_seconds : float
        Wall time of compiling (a smallest possible first call); 0 for a peer that compiles nothing.
    """

    q: NDArray[np.floating]
    agent_steps: int
    seconds: float
    compile_seconds: float = 0.0

    @property
    def steps_per_second(self) -> float:
        """Agent-steps per second of training, without compilation."""
        return self.agent_steps / self.seconds


@dataclass(frozen=True)
class Peer:
    """One peer: its name in tables, what it needs and what it can do.

    Attributes
    ----------
    name : str
        The module in this package.
    title : str
        A few words for tables and figures.
    needs : tuple of str
        Modules that must be importable.
    workloads : tuple of str or None
        Names of the workloads it can train; None for all.
    min_agents : int
        Fewer agents would measure the overhead of Python's calls and not the peer.
    max_agents : int or None
        More agents would only repeat the same loop: one agent after another tells the speed already.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    workloads: tuple[str, ...] | None = None
    min_agents: int = 1
    max_agents: int | None = None

    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed here; empty if the peer can run."""
        return tuple(name for name in self.needs if find_spec(name) is None)

    def can_train(self, workload: Workload) -> bool:
        """Whether the peer is written for this workload."""
        return self.workloads is None or workload.name in self.workloads

    def n_agents(self, workload: Workload, *, quick: bool = False, scale: float = 1.0) -> int:
        """Say how many agents to time: the workload's number times `scale`, within bounds; a few if `quick`."""
        suggested = workload.quick_agents if quick else max(round(scale * workload.n_agents), self.min_agents)
        return max(1, suggested if self.max_agents is None else min(suggested, self.max_agents))

    def train(self, workload: Workload, n_agents: int, seed: int) -> PeerResult:
        """Import the peer and train `n_agents` agents with the workload's settings."""
        train: Callable[[Workload, int, int], PeerResult] = import_module(f"{__name__}.{self.name}").train
        return train(workload, n_agents, seed)

    def check(self, workload: Workload, result: PeerResult) -> dict[str, float]:
        """Hold the result against the known answer; raises `benchmarks.workloads.WrongAnswer`."""
        check: Callable[[Workload, NDArray[np.floating], int], dict[str, float]]
        check = import_module(f"{__name__}.{self.name}").check
        return check(workload, result.q, result.agent_steps)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("plain_numba", "plain numba", needs=("numba",)),
        Peer("jax_batched", "JAX, batched", needs=("jax",)),
        Peer("numpy_batched", "NumPy, batched", min_agents=1_024),
        Peer("gymnasium_loop", "Gymnasium loop", needs=("gymnasium",), max_agents=1),
        Peer("python_article", "the article in Python", workloads=("W1",), max_agents=50),
    )
}


def pin_to_one_core() -> None:
    """Keep this process, and every thread it starts from now on, on one core (Linux; elsewhere a word on stderr).

    Call it before JAX or numba start their threads: XLA sizes its pool by the cores it may use.
    """
    os.environ["NUMBA_NUM_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    else:
        print("cannot pin to one core here: JAX may use several", file=sys.stderr)

"""What is kept of the blocks of a run as they come in: in memory, in a folder, or summed up and dropped."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from qfast.engine.agent_arrays import RECORDED, AgentArrays, mean_table
from qfast.engine.blocks import Block
from qfast.engine.curve import SummaryBuilder
from qfast.engine.journal import Done, Journal
from qfast.engine.plan import Plan
from qfast.errors import QfastError

__all__ = ["CannotSave", "Collector"]


class CannotSave(QfastError):
    """What is complete cannot be written: the disk is full, or was taken away."""


class Collector:
    """What has come in, in the order of the agents.

    Parameters
    ----------
    plan : Plan
    n_agents : int
    keep_q : bool
        Whether what the agents have learned is kept.
    store : Journal, optional
        The training's folder.  What it has is taken up.
    on_disk : bool
        Whether arrays of agents stay in that folder, so that memory does not grow with the agents.

    Attributes
    ----------
    memory : AgentArrays
        The agents, as far as they are kept in memory.
    into : AgentArrays or None
        Where blocks that share this process's memory may write at once.
    """

    def __init__(
        self, plan: Plan, n_agents: int, *, keep_q: bool = True, store: Journal | None = None, on_disk: bool = False
    ) -> None:
        self.plan, self.store, self.on_disk, self.keep_q = plan, store, on_disk, keep_q
        self.memory = AgentArrays.empty(plan, 0 if on_disk else n_agents, records_only=not keep_q)
        self.into = self.memory if keep_q and not on_disk else None
        self.n_agents = self.n_steps = self.n_diverged = 0
        self.seconds = self._before = 0.0
        self.summary = SummaryBuilder(plan.episodes) if plan.record == "summary" else None
        if store is not None and store.done.n_agents:
            done = store.done
            self.n_agents, self.n_steps, self._before = done.n_agents, done.n_steps, done.seconds
            self.seconds, self.summary, self.n_diverged = done.seconds, done.summary, done.n_diverged
            if not on_disk:
                store.load_into(self.memory)
        self._began = time.perf_counter()

    def begin(self) -> None:
        """Start the clock."""
        self._began = time.perf_counter()

    def look_at_clock(self) -> float:
        """Seconds of training, those before an interruption as well."""
        self.seconds = self._before + time.perf_counter() - self._began
        return self.seconds

    def take(self, block: Block) -> None:
        """Take the next block.

        Raises
        ------
        CannotSave
            If the folder cannot be written to.
        """
        if block.memory is not None:
            if self.on_disk and self.store is not None:
                with _saving(self.store):
                    self.store.append(block.memory, block.n_agents)
            else:
                self.memory.put(block.first, block.memory, count=block.n_agents, records_only=not self.keep_q)
        if self.summary is not None and block.summary is not None:
            self.summary.merge(block.summary)
        self.n_agents += block.n_agents
        self.n_steps += block.n_steps
        self.n_diverged += block.n_diverged
        if self.store is not None and self.store.is_due:
            self.look_at_clock()
            self.commit()

    def commit(self) -> None:
        """Vouch for what is complete.

        Raises
        ------
        CannotSave
            If the folder cannot be written to.
        """
        store = self.store
        if store is None:
            return
        with _saving(store):
            fresh = self.n_agents - store.columns.written
            if not self.on_disk and fresh:
                store.append(self.memory.part(store.columns.written, fresh), fresh)
            store.commit(Done(self.n_agents, self.n_steps, self.seconds, self.summary, self.n_diverged))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the agents that are complete, by the names that `qfast.engine.agent_arrays.AgentArrays` has.

        With two tables also ``mean``.  Arrays that are not kept are left out.
        """
        if self.on_disk and self.store is not None:
            columns = self.store.columns
            arrays = {name: columns.mapped(name) for name in columns.names}
            return arrays | {name: arrays[name].T for name in ("rng",) if name in arrays}
        memory = self.memory.part(0, self.n_agents)
        arrays = {name: array for name, array in vars(memory).items() if self.keep_q or name in RECORDED}
        if self.keep_q and memory.q.ndim == 4:
            arrays["mean"] = mean_table(memory.q)
        return arrays


@contextmanager
def _saving(store: Journal) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{store.parts.folder}: {error.strerror or error}"
        raise CannotSave(msg) from error

"""What is kept of the blocks of a run as they come in: in memory, in a folder, or summed up and dropped."""

from typing import Any

from numpy.typing import NDArray

from qfast.engine.agent_arrays import RECORDED, AgentArrays, mean_table
from qfast.engine.blocks import Block
from qfast.engine.curve import SummaryBuilder
from qfast.engine.journal import Done, Journal
from qfast.engine.plan import Plan
from qfast.storage.work_folder import saving

__all__ = ["Collector"]


class Collector:
    """What has come in, in the order of the agents; the ledger of a training.

    `memory` holds the agents as far as they are kept in memory, and `into` is where blocks that share this process's
    memory may write at once.  What the journal has is taken up; with `on_disk` agents' arrays stay in its folder, so
    that memory does not grow with the agents.
    """

    def __init__(self, plan: Plan, n_agents: int, *, journal: Journal | None = None, on_disk: bool = False) -> None:
        self.plan, self.journal, self.on_disk = plan, journal, on_disk
        self.memory = AgentArrays.empty(plan, 0 if on_disk else n_agents, records_only=not plan.keep_q)
        self.into = self.memory if plan.keep_q and not on_disk else None
        self.n_agents = self.n_steps = self.n_diverged = 0
        self.seconds = 0.0
        self.summary = SummaryBuilder(plan.episodes) if plan.record == "summary" else None
        if journal is not None and journal.done.n_agents:
            done = journal.done
            self.n_agents, self.n_steps, self.seconds = done.n_agents, done.n_steps, done.seconds
            self.summary, self.n_diverged = done.summary, done.n_diverged
            if not on_disk:
                journal.load_into(self.memory)

    def take(self, block: Block) -> None:
        """Take the next block; CannotSave says that the folder cannot be written to."""
        if block.arrays is not None:
            if self.on_disk and self.journal is not None:
                with saving(self.journal.folder):
                    self.journal.append(block.arrays, block.n_agents)
            else:
                self.memory.put(block.first, block.arrays, count=block.n_agents, records_only=not self.plan.keep_q)
        if self.summary is not None:
            self.summary.merge(block.recorder)
        self.n_agents += block.n_agents
        self.n_steps += block.n_steps
        self.n_diverged += block.n_diverged
        if self.journal is not None and self.journal.is_due:
            self.commit()

    def commit(self) -> None:
        """Vouch for what is complete; CannotSave says that the folder cannot be written to."""
        journal = self.journal
        if journal is None:
            return
        with saving(journal.folder):
            fresh = self.n_agents - journal.columns.written
            if not self.on_disk and fresh:
                journal.append(self.memory.part(journal.columns.written, fresh), fresh)
            journal.commit(Done(self.n_agents, self.n_steps, self.seconds, self.summary, self.n_diverged))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of complete agents that are kept, by `AgentArrays`' names; with two tables ``mean``, too."""
        if self.on_disk and self.journal is not None:
            columns = self.journal.columns
            arrays = {name: columns.mapped(name) for name in columns.names}
            return arrays | {name: arrays[name].T for name in ("rng",) if name in arrays}
        memory = self.memory.part(0, self.n_agents)
        arrays = {name: array for name, array in vars(memory).items() if self.plan.keep_q or name in RECORDED}
        if self.plan.keep_q and memory.q.ndim == 4:
            arrays["mean"] = mean_table(memory.q)
        return arrays



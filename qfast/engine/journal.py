"""What has come in of a training: collected in memory, and kept in a folder so that the same training can go on.

Arrays of all agents grow, in the order of the agents, as plain ``.npy`` files.  Every few seconds a part ``done-N``
says that the first N agents are complete: it holds the summary over them, and the checksum of each array up to there.
Bytes come first, the part that vouches for them afterwards; what a killed process wrote beyond its last part is
written again.
"""

import contextlib
import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.agent_arrays import RECORDED, AgentArrays, mean_table
from qfast.engine.blocks import Block
from qfast.engine.curve import SummaryBuilder
from qfast.engine.plan import Plan
from qfast.errors import BadFile, InvalidInput
from qfast.model.mdp import MDP
from qfast.model.seeding import seed_to_json
from qfast.model.settings import RATES
from qfast.storage.npy_columns import NpyColumns
from qfast.storage.work_folder import WorkFolder, saving

__all__ = ["COMMIT_SECONDS", "KIND", "Collector", "Done", "Journal", "describe_work", "remove_journal", "rows_of"]

#: What kind of work a training is.
KIND: Final = "training"
#: Seconds of work that a killed process may lose.
COMMIT_SECONDS: Final = 2.0


def describe_work(mdp: MDP, plan: Plan, *, n_agents: int, version: str) -> dict[str, Any]:
    """Everything that the bits of a training depend on, ready for JSON: two trainings are the same if this is."""
    learner = plan.learner
    values = hashlib.sha256(b"".join(getattr(learner, name).values.tobytes() for name in RATES))
    rates: dict[str, Any] = {name: repr(getattr(learner, name)) for name in (*learner.shown, "initial_q")}
    measurer = plan.measurer
    return {
        "qfast": version,
        "problem": mdp.digest[:16],
        "agents": n_agents,
        "first_agent": plan.first_agent,
        "episodes": plan.episodes,
        "record": plan.record,
        "keep_q": plan.keep_q,
        "checkpoints": None if measurer is None else list(measurer.episodes),
        "checkpoint_q": measurer is not None and measurer.keep_q,
        "seed": seed_to_json(plan.seed),
        **learner.options(),
        **rates,
        "values_of_rates": values.hexdigest()[:16],
    }


@dataclass
class Done:
    """How far a training has come: its first `n_agents` are complete, and `summary` is over those."""

    n_agents: int = 0
    n_steps: int = 0
    seconds: float = 0.0
    summary: SummaryBuilder | None = None
    n_diverged: int = 0


def rows_of(memory: AgentArrays) -> dict[str, NDArray[Any]]:
    """The arrays of a memory, agents first; with two tables their mean as well."""
    return _views_of(memory) | ({"mean": mean_table(memory.q)} if memory.q.ndim == 4 else {})


def _views_of(memory: AgentArrays) -> dict[str, NDArray[Any]]:
    """Views of the arrays of a memory, agents first."""
    return {name: array.T if name == "rng" else array for name, array in vars(memory).items() if name != "score"}


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InvalidInput(
            f"{folder} will take {needed / 1e9:.3g} GB more, and {free / 1e9:.3g} GB are free there; "
            "use fewer agents, keep_q=False, another record, or another disk"
        )


class Journal:
    """What is complete of a training, in a folder; `done` says how far it had come at the last `commit`.

    Raises InvalidInput if the folder belongs to another training, is in use, or its disk has too little room, and
    BadFile if it is damaged.
    """

    def __init__(self, folder: Path, work: Mapping[str, Any], plan: Plan, n_agents: int) -> None:
        self.folder = folder
        self._parts = WorkFolder(folder, kind=KIND, work=work)
        self._committed = time.monotonic()
        try:
            like = rows_of(AgentArrays.empty(plan, 0))
            like = {name: array for name, array in like.items() if plan.keep_q or name in RECORDED}
            self.columns = NpyColumns(folder, like, n_agents)
            self.done, checksums = self._latest(plan)
            _check_room(folder, (n_agents - self.done.n_agents) * self.columns.bytes_per_agent)
            self.columns.begin(self.done.n_agents, checksums)
        except BaseException:
            if self._parts.names():
                self._parts.close()
            else:
                self._parts.remove()
            raise

    def _latest(self, plan: Plan) -> tuple[Done, dict[str, int]]:
        """The last part that is whole; nothing where there is none."""
        for name in reversed(self._parts.names()):
            arrays = self._parts.read(name) if name.startswith("done-") else None
            if arrays is None:
                continue
            try:
                summary = SummaryBuilder.from_arrays(arrays, plan.episodes) if plan.record == "summary" else None
                checksums = {column: int(arrays[f"crc_{column}"]) for column in self.columns.names}
                done = Done(
                    int(arrays["agents"]), int(arrays["steps"]), float(arrays["seconds"]), summary,
                    int(arrays["diverged"]),
                )  # fmt: skip
            except (KeyError, ValueError, TypeError) as error:
                msg = f"{self._parts.folder} cannot be gone on with ({error}); remove it, and start again"
                raise BadFile(msg) from error
            return done, checksums
        return Done(), {}

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next `commit`."""
        return time.monotonic() >= self._committed + COMMIT_SECONDS

    def append(self, agents: AgentArrays, count: int) -> None:
        """Write the next ``count`` agents, which the next `commit` will vouch for."""
        self.columns.append(rows_of(agents), count)

    def load_into(self, memory: AgentArrays) -> None:
        """Read the agents that are complete into the first places of a memory."""
        target = _views_of(memory)
        for name in self.columns.names:
            if name != "mean" and target[name].size:
                target[name][: self.done.n_agents] = self.columns.mapped(name)

    def commit(self, done: Done) -> None:
        """Vouch for the first agents, which have been appended; after an OSError what was vouched for before stays."""
        if done.n_agents == self.done.n_agents:
            return
        self.columns.flush()
        numbers = {"agents": done.n_agents, "steps": done.n_steps, "seconds": done.seconds}
        numbers["diverged"] = done.n_diverged
        arrays = {name: np.asarray(value) for name, value in numbers.items()}
        arrays |= {f"crc_{name}": np.asarray(value, np.int64) for name, value in self.columns.checksums.items()}
        if done.summary is not None:
            arrays |= done.summary.to_arrays()
        self._parts.write(f"done-{done.n_agents:015d}", arrays)
        self.done = replace(done)
        for name in [name for name in self._parts.names() if name.startswith("done-")][:-2]:  # one in reserve
            self._parts.drop(name)
        self._committed = time.monotonic()

    def thin_out(self) -> None:
        """Remove what was only needed on the way: the training is complete, and kept in this folder."""
        for name in self._parts.names():
            if name.startswith("done-"):
                self._parts.drop(name)

    def close(self) -> None:
        """Let go of the folder; a folder in which nothing is complete is removed."""
        self.columns.close()
        if self.done.n_agents:
            self._parts.close()
        else:
            self.remove()

    def remove(self) -> None:
        """Remove the folder: the training is complete, and kept elsewhere."""
        self.columns.close()
        _remove(self._parts)


def remove_journal(folder: Path, work: Mapping[str, Any]) -> None:
    """Remove the folder of a training that is kept elsewhere; InvalidInput if it is in use, or another training's."""
    with WorkFolder(folder, kind=KIND, work=work) as parts:
        _remove(parts)


def _remove(parts: WorkFolder) -> None:
    for path in list(parts.folder.glob("*.npy")):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    parts.remove()


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



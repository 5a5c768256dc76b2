"""Where a training keeps its result, and what is complete of it on the way: one file, or a folder."""

import contextlib
import errno
import os
from dataclasses import replace
from typing import Any

from numpy.random import SeedSequence

from qfast.arguments import path_of
from qfast.engine.journal import KIND, Journal, describe_work, remove_journal
from qfast.engine.plan import Plan
from qfast.errors import BadFile, InvalidInput, QfastError, Unfinished
from qfast.model.mdp import MDP
from qfast.model.seeding import seed_from_json
from qfast.run import Run
from qfast.run_files import load
from qfast.storage.archive import check_file
from qfast.storage.work_folder import read_work, work_digest

__all__ = ["Destination"]

# Where nothing can ever be written, whatever is done again.
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


class Destination:
    """Where a training keeps its result: a name that ends in ``.npz`` is a file, any other a folder.

    What is complete is kept in `folder` on the way; with `on_disk` the agents' arrays stay there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path_of(path, "out")
        try:
            self.path.exists()
        except OSError as error:  # such as a name that is too long
            msg = f"out={str(self.path)!r:.60} cannot be written ({error.strerror}); use another name"
            raise InvalidInput(msg) from error
        self.on_disk = self.path.suffix != ".npz"
        self.folder = self.path if self.on_disk else self.path.with_name(f"{self.path.name}.parts")
        self._journal: Journal | None = None
        self._digest = ""
        self._work: dict[str, Any] = {}
        if not self.path.parent.is_dir():
            raise InvalidInput(f"out={str(path)!r}: there is no folder {self.path.parent}; create it first")
        if not self.on_disk:
            check_file(self.path)

    def unfinished_seed(self) -> SeedSequence | None:
        """The seed of the training that was begun here; None if there is none."""
        work = read_work(self.folder, KIND)
        if work is None:
            return None
        return seed_from_json(work["seed"])

    def describe(self, mdp: MDP, plan: Plan, n_agents: int) -> str:
        """Note what training this is; give its digest."""
        from qfast import __version__

        self._work = describe_work(mdp, plan, n_agents=n_agents, version=__version__)
        self._digest = work_digest(KIND, self._work)
        return self._digest

    def complete(self, digest: str) -> Run | None:
        """The run, if this very training was completed before."""
        if self.on_disk:
            return load(self.folder) if (self.folder / "run.npz").is_file() and self._is_mine() else None
        if not self.path.is_file():
            return None
        try:
            run = load(self.path)
        except BadFile:  # it will be replaced, as Run.save would do
            return None
        self._remove_leftover(run)
        return run if run.work == digest else None

    def _is_mine(self) -> bool:
        return read_work(self.folder, KIND) == self._work

    def _remove_leftover(self, run: Run) -> None:
        """Remove the folder of a run that is complete, whose process was killed while it did so."""
        with contextlib.suppress(QfastError):  # it is another training's
            work = read_work(self.folder, KIND)
            if work is not None and work_digest(KIND, work) == run.work:
                remove_journal(self.folder, work)

    def open(self, plan: Plan, n_agents: int) -> Journal:
        """Open the folder, or make it."""
        try:
            self._journal = Journal(self.folder, self._work, plan, n_agents)
        except OSError as error:
            if error.errno not in _FORBIDDEN:
                raise
            msg = f"out={str(self.path)!r} cannot be written ({error.strerror}); use a folder that you may write to"
            raise InvalidInput(msg) from error
        return self._journal

    def save(self, run: Run) -> Run:
        """Keep the whole run; give it with the digest of its work.  If it cannot be written, Unfinished holds it."""
        journal, run = self._journal, replace(run, work=self._digest)
        assert journal is not None
        try:
            if self.on_disk:
                run.save_beside(self.folder, journal.columns.checksums)
            else:
                run.save(self.path)
        except (OSError, InvalidInput) as error:  # InvalidInput: the folder that it was to be in is gone
            msg = f"{self.path} cannot be written: {getattr(error, 'strerror', error)}; all agents are complete"
            raise Unfinished(msg + self.where_to_go_on(), run) from error
        return run

    def tidy_up(self) -> None:
        """Remove what was only needed on the way: the run is saved."""
        assert self._journal is not None
        if self.on_disk:
            self._journal.thin_out()
        else:
            self._journal.remove()

    def where_to_go_on(self, complete: int = 0) -> str:
        """What to do next, for messages; of `complete` agents fewer may be kept."""
        kept = 0 if self._journal is None else self._journal.done.n_agents
        if not kept:
            return ""
        them = f", and {kept:,} of them are" if kept < complete else " and are"
        return f"{them} kept in {self.folder}; start again with the same settings to go on from there"

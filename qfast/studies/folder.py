"""A study's folder: what is complete stands there in pieces, so that an interrupted study can go on.

It is a `WorkFolder` of the study, with its problems as parts.  Each part ``piece-…`` holds what came in during a few
seconds: metrics of stretches of agents; of configurations that are complete, their curves; of the others, what is
needed to go on.  Neither how often pieces were written nor where they begin and end changes a bit of the result.
"""

import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.errors import BadFile, InvalidInput
from qfast.model.mdp import MDP
from qfast.storage.work_folder import WorkFolder, part_names, read_part, read_work, saving, work_digest
from qfast.studies.reduce import Curves, MeasuredBlock, Totals

__all__ = ["KIND", "Folder", "read_begun", "read_problems", "take_pieces"]

#: What kind of work a study is.
KIND: Final = "study"
_INTERVAL: Final = 2.0  # seconds between two pieces

_Arrays = dict[str, NDArray[Any]]


class _Entry(NamedTuple):
    """Agents of a configuration in a piece; with its curves where they are its last."""

    number: int
    block: MeasuredBlock
    curves: Curves | None

    @property
    def end(self) -> int:
        """The agent behind the last one."""
        return self.block.first + self.block.n_agents


_Piece = tuple[list[_Entry], float]


class Folder:
    """Where a study writes its pieces: a new or empty folder, or one of the same study.

    InvalidInput says that it holds another study or other things, is in use, or cannot be written; BadFile that it is
    damaged.
    """

    def __init__(
        self, path: str | os.PathLike[str], about: dict[str, Any], problems: Mapping[str, MDP] | None = None
    ) -> None:
        self._work = WorkFolder(path, kind=KIND, work=about)
        self.path = self._work.folder
        self._waiting: dict[int, list[MeasuredBlock]] = {}
        self._written: set[int] = set()  # configurations whose curves are in a piece
        self._last = time.monotonic()
        self._seconds = 0.0
        try:
            for i, problem in enumerate((problems or {}).values()):
                if self._work.read(f"problem-{i}", MDP.from_arrays) is None:
                    self._work.write(f"problem-{i}", problem.to_arrays())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let other processes use the folder."""
        self._work.close()

    def load(self, totals: Totals, shapes: Curves) -> None:
        """Put what the pieces hold into totals.  A damaged one is set aside, with a warning."""
        read = [self._work.read(name, lambda arrays: _unpack(arrays, totals, shapes)) for name in _pieces(self.path)]
        found = [piece for piece in read if piece is not None]
        self._written |= _put(found, totals, all_alike=self._work.work["precision"] is None)

    def add(self, number: int, block: MeasuredBlock) -> None:
        """Note agents for the next piece."""
        self._waiting.setdefault(number, []).append(block)

    def finish(self, number: int, totals: Totals) -> None:
        """Note that a configuration is complete, with the agents that it has."""
        n_metrics, done = totals.metrics.shape[0], int(totals.done[number])
        n_quantiles = totals.finished[number].return_quantile.shape[1]
        self.add(number, MeasuredBlock(done, 0, np.zeros((n_metrics, 0)), 0, np.zeros((n_quantiles, 0))))

    def flush(self, totals: Totals, *, now: bool = False) -> None:
        """Write a piece, if it is time to; CannotSave says that it cannot be written."""
        if not self._waiting or (not now and time.monotonic() - self._last < _INTERVAL):
            return
        arrays = _pack(self._waiting, totals, self._written)
        arrays["seconds"] = np.asarray(totals.seconds - self._seconds)
        taken = [int(match[1]) for path in self.path.glob("piece-*") if (match := re.match(r"piece-(\d+)", path.name))]
        with saving(self.path):
            self._work.write(f"piece-{max(taken, default=-1) + 1:05}", arrays)
        self._written |= {number for number in self._waiting if number in totals.finished}
        self._waiting, self._last, self._seconds = {}, time.monotonic(), totals.seconds


def read_begun(path: Path) -> dict[str, Any]:
    """Read which study a folder holds; BadFile if none, or it is damaged."""
    try:
        about = read_work(path, KIND)
    except InvalidInput as error:
        raise BadFile(f"{path} holds no study ({error}); give a folder that qfast.study(…, out=…) made") from error
    if about is None:
        raise BadFile(f"{path} holds no study; give a folder that qfast.study(…, out=…) made")
    return about


def read_problems(path: Path, about: Mapping[str, Any]) -> dict[str, MDP]:
    """Read the problems of a study's folder."""
    digest = work_digest(KIND, about)
    return {
        name: read_part(path, KIND, digest, f"problem-{i}", MDP.from_arrays)
        for i, name in enumerate(about["problems"])
    }


def take_pieces(path: Path, about: Mapping[str, Any], totals: Totals, shapes: Curves) -> None:
    """Put what the pieces of a folder hold into empty totals; BadFile if one is damaged."""
    digest = work_digest(KIND, about)
    pieces = (
        read_part(path, KIND, digest, name, lambda arrays: _unpack(arrays, totals, shapes)) for name in _pieces(path)
    )
    _put(pieces, totals, all_alike=about["precision"] is None)


def _pieces(path: Path) -> list[str]:
    return [name for name in part_names(path) if name.startswith("piece-")]


def _put(pieces: Iterable[_Piece], totals: Totals, *, all_alike: bool) -> set[int]:
    """Put pieces, in the order in which they were written, into empty totals; give the complete configurations.

    With `all_alike` each configuration has as many agents as the study asks for, or is not complete.
    """
    chains: dict[int, list[_Entry]] = {}
    for found, seconds in pieces:
        totals.seconds += seconds
        for entry in found:
            # Where a piece was lost, agents were trained again from there on: the later ones count.
            chain = chains.setdefault(entry.number, [])
            kept = [other for other in chain if other.end <= entry.block.first]
            if (kept[-1].end if kept else 0) == entry.block.first:
                chain[:] = [*kept, entry]
    for number, chain in chains.items():
        curves = chain[-1].curves if chain else None
        if curves is not None and all_alike and chain[-1].end != totals.most_agents:
            continue
        if curves is None and any(entry.curves is not None for entry in chain):
            continue  # what would be needed to go on was not kept of those: the configuration is trained again
        for entry in chain:
            if entry.block.n_agents:
                (totals.add if curves is None else totals.put)(number, entry.block)
        if curves is not None:
            totals.finished[number] = curves
    return set(totals.finished)


def _pack(waiting: dict[int, list[MeasuredBlock]], totals: Totals, written: set[int]) -> dict[str, NDArray[Any]]:
    """Turn parts into arrays for a file."""
    table, arrays = [], {}
    metrics, finished = [], []
    for number, blocks in waiting.items():
        whole = blocks[-1].first + blocks[-1].n_agents == totals.done[number]
        complete = whole and number in totals.finished and number not in written
        n, steps = sum(block.n_agents for block in blocks), sum(block.n_steps for block in blocks)
        table.append((number, blocks[0].first, n, steps, sum(block.n_diverged for block in blocks), int(complete)))
        metrics += [block.metrics for block in blocks]
        if complete:
            finished.append(totals.finished[number])
            continue
        arrays[f"returns_{number}"] = np.concatenate([block.returns for block in blocks], axis=1)
        for name in ("curve", "measures"):
            nodes = [node for block in blocks for node in getattr(block, name).nodes()]
            arrays[f"{name}_keys_{number}"] = np.array([node[:3] for node in nodes], np.int64).reshape(-1, 3)
            arrays[f"{name}_{number}"] = np.array([np.asarray(node[3]) for node in nodes])
    arrays["table"] = np.array(table, np.int64)
    arrays["metrics"] = np.concatenate(metrics, axis=1)
    for field in fields(Curves):
        if finished:
            arrays[field.name] = np.array([getattr(curves, field.name) for curves in finished])
    return arrays


def _unpack(arrays: _Arrays, totals: Totals, shapes: Curves) -> _Piece:
    """Give the stretches of agents in a piece: configuration, first agent, what there is, the curves; and seconds."""
    n_metrics = totals.metrics.shape[0]
    entries: list[_Entry] = []
    at, row = 0, 0
    if arrays["metrics"].shape[0] != n_metrics:
        raise ValueError(f"a piece has {arrays['metrics'].shape[0]} metrics, and the study {n_metrics}")
    for number, first, n, steps, diverged, complete in arrays["table"].tolist():
        metrics = arrays["metrics"][:, at : at + n]
        at += n
        curves = None
        block = MeasuredBlock(first, n, metrics, steps, np.zeros((0, n)), diverged)
        if complete:
            curves = Curves(**{field.name: arrays[field.name][row] for field in fields(Curves)})
            row += 1
            if any(getattr(curves, f.name).shape != getattr(shapes, f.name).shape for f in fields(Curves)):
                raise ValueError("a piece holds curves of other shapes than the study")
        else:
            block.returns = arrays[f"returns_{number}"]
            for (level, begin, count), node in zip(
                arrays[f"curve_keys_{number}"].tolist(), arrays[f"curve_{number}"], strict=True
            ):
                block.curve.insert(begin, count, (node[0], node[1]), level)
            for (level, begin, count), sums in zip(
                arrays[f"measures_keys_{number}"].tolist(), arrays[f"measures_{number}"], strict=True
            ):
                block.measures.insert(begin, count, sums, level)
        entries.append(_Entry(number, block, curves))
    return entries, float(arrays["seconds"])

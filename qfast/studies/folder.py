"""A study's folder: what is complete stands there in pieces, so that an interrupted study can go on.

``study.json`` says which study it is.  Each ``piece-….npz`` holds what came in during a few seconds, written whole or
not at all and with checksums: metrics of stretches of agents; of configurations that are complete, their curves; of
the others, what is needed to go on.  Neither how often pieces were written nor where they begin and end changes a bit
of the result.
"""

import json
import os
import re
import secrets
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import BadFile, DamagedPartWarning, InvalidInput
from qfast.files import read_npz, replacing, write_npz
from qfast.mdp import MDP
from qfast.studies.part import Part
from qfast.studies.totals import Curves, Totals

__all__ = ["Folder", "read_manifest", "read_pieces"]

_NAME: Final = "study.json"
_KIND: Final = "study_piece"
_INTERVAL: Final = 2.0  # seconds between two pieces


def read_manifest(path: Path) -> dict[str, Any]:
    """Read which study a folder holds.

    Raises
    ------
    BadFile
        If it holds none, or ``study.json`` is damaged.
    """
    file = path / _NAME
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        msg = f"{path} holds no study (there is no {_NAME} in it); give a folder that qfast.study(…, out=…) made"
        raise BadFile(msg) from error
    except ValueError as error:
        msg = f"{file} is damaged ({error}); restore it from a copy, or give an empty folder"
        raise BadFile(msg) from error
    if not isinstance(content, dict) or content.get("format") != "qfast study":
        msg = f"{file} was not written by qfast; give a folder that qfast.study(…, out=…) made"
        raise BadFile(msg)
    return content


class Folder:
    """Where a study writes its pieces.

    Parameters
    ----------
    path : path-like
        A new or empty folder, or one of the same study.
    manifest : dict
        What tells this study from others, as JSON holds it.
    problems : mapping of str to MDP, optional
        Kept beside it.

    Raises
    ------
    InvalidInput
        If the folder holds another study or other things, or cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], manifest: dict[str, Any], problems: Mapping[str, MDP] | None = None
    ) -> None:
        self.path = Path(path)
        self._waiting: dict[int, list[Part]] = {}
        self._written: set[int] = set()  # configurations whose curves are in a piece
        self._last = time.monotonic()
        self._seconds = 0.0
        manifest = {"format": "qfast study", **json.loads(json.dumps(manifest))}
        try:
            self._prepare(manifest, problems or {})
        except OSError as error:
            msg = f"out={str(path)!r} cannot be written ({error.strerror}); name a folder that you may write to"
            raise InvalidInput(msg) from error

    def _prepare(self, manifest: dict[str, Any], problems: Mapping[str, MDP]) -> None:
        if self.path.exists() and not self.path.is_dir():
            msg = f"out={str(self.path)!r} is a file; name a folder"
            raise InvalidInput(msg)
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / _NAME).exists():
            there = read_manifest(self.path)
            different = [name for name in {**there, **manifest} if there.get(name) != manifest.get(name)]
            if different:
                msg = (
                    f"out={str(self.path)!r} holds another study: {_differences(there, manifest, different)}; "
                    "name another folder, or remove that one"
                )
                raise InvalidInput(msg)
            trial = self.path / f".{secrets.token_hex(8)}.tmp"
            trial.open("xb").close()
            trial.unlink()
            return
        mine = re.compile(r"problem-\d+\.npz|\..+\.tmp")  # of a study that was killed before it had begun
        if not all(mine.fullmatch(file.name) for file in self.path.iterdir()):
            msg = f"out={str(self.path)!r} holds other files, and no study; name a new or an empty folder"
            raise InvalidInput(msg)
        for i, problem in enumerate(problems.values()):
            problem.save(self.path / f"problem-{i}.npz")
        with replacing(self.path / _NAME) as stream:
            stream.write((json.dumps(manifest, indent=1) + "\n").encode())

    def load(self, totals: Totals, shapes: Curves) -> None:
        """Put what the pieces hold into totals; see `read_pieces`.  A damaged one is set aside, with a warning."""

        def set_aside(file: Path, error: Exception) -> None:
            aside = file.with_name(f"{file.name}.damaged")
            file.replace(aside)
            text = f"{error}; it is set aside as {aside.name}, and its agents are trained again"
            warnings.warn(text, DamagedPartWarning, stacklevel=6)

        self._written |= read_pieces(self.path, totals, shapes, set_aside)

    def add(self, number: int, part: Part) -> None:
        """Note a part for the next piece."""
        self._waiting.setdefault(number, []).append(part)

    def finish(self, number: int, totals: Totals) -> None:
        """Note that a configuration is complete, with the agents that it has."""
        n_metrics, done = totals.metrics.shape[0], int(totals.done[number])
        n_quantiles = totals.finished[number].return_quantile.shape[1]
        self.add(number, Part(done, 0, np.zeros((n_metrics, 0)), 0, np.zeros((n_quantiles, 0))))

    def flush(self, totals: Totals, seconds: float, *, now: bool = False) -> None:
        """Write a piece, if it is time to."""
        if not self._waiting or (not now and time.monotonic() - self._last < _INTERVAL):
            return
        arrays = _pack(self._waiting, totals, self._written)
        arrays["seconds"] = np.asarray(seconds - self._seconds)
        name = f"piece-{len(list(self.path.glob('piece-*.npz'))):05}-{secrets.token_hex(4)}.npz"
        write_npz(self.path / name, arrays, _KIND)
        self._written |= {number for number in self._waiting if number in totals.finished}
        self._waiting, self._last, self._seconds = {}, time.monotonic(), seconds


def read_pieces(
    path: Path, totals: Totals, shapes: Curves, at_damage: Callable[[Path, Exception], None]
) -> set[int]:
    """Put what a folder's pieces hold into totals.

    Parameters
    ----------
    path : pathlib.Path
    totals : Totals
        Empty.
    shapes : Curves
        Arrays of the shapes that curves have.
    at_damage : callable
        What to do with a damaged piece.

    Returns
    -------
    set of int
        The configurations that are complete.
    """
    entries: list[tuple[int, int, Part, Curves | None]] = []
    for file in sorted(path.glob("piece-*.npz")):
        try:
            arrays = read_npz(file, _KIND)
            entries += _unpack(arrays, totals.metrics.shape[0], shapes)
            totals.seconds += float(arrays["seconds"])
        except (BadFile, KeyError, ValueError, IndexError) as error:
            at_damage(file, error)
    # Of a configuration that was trained twice, because a piece was lost in between, the last one counts.
    complete = {number: (first + part.n, curves) for number, first, part, curves in entries if curves is not None}
    for number, first, part, _ in sorted(entries, key=lambda entry: entry[:2]):
        if first != totals.done[number] or not part.n:
            continue  # a stretch before it is missing, or it is there twice
        if number in complete:
            totals.put(number, first, part.metrics, part.n_steps)
        else:
            totals.add(number, part)
    for number, (n, curves) in complete.items():
        if totals.done[number] == n:
            totals.finished[number] = curves
        else:  # a piece is lost: the whole configuration is trained again
            totals.forget(number)
    return set(totals.finished)


def _differences(there: dict[str, Any], here: dict[str, Any], names: list[str]) -> str:
    """Say what tells two studies apart, at most three things."""
    texts = []
    for name in names[:3]:
        old, new = (f"{json.dumps(content.get(name)):.60}" for content in (there, here))
        texts.append(f"{name} is {old} there and {new} here" if old != new else f"{name} is another one")
    return ", ".join(texts) + (f", and {len(names) - 3} more" if len(names) > 3 else "")


def _pack(waiting: dict[int, list[Part]], totals: Totals, written: set[int]) -> dict[str, NDArray[Any]]:
    """Turn parts into arrays for a file."""
    table, arrays = [], {}
    metrics, finished = [], []
    for number, parts in waiting.items():
        complete = number in totals.finished and number not in written
        n, steps = sum(part.n for part in parts), sum(part.n_steps for part in parts)
        table.append((number, parts[0].first, n, steps, int(complete)))
        metrics += [part.metrics for part in parts]
        if complete:
            finished.append(totals.finished[number])
            continue
        arrays[f"returns_{number}"] = np.concatenate([part.returns for part in parts], axis=1)
        for name in ("curve", "checks"):
            nodes = [node for part in parts for node in getattr(part, name).nodes()]
            arrays[f"{name}_keys_{number}"] = np.array([node[:3] for node in nodes], np.int64).reshape(-1, 3)
            arrays[f"{name}_{number}"] = np.array([np.asarray(node[3]) for node in nodes])
    arrays["table"] = np.array(table, np.int64)
    arrays["metrics"] = np.concatenate(metrics, axis=1)
    for field in fields(Curves):
        if finished:
            arrays[field.name] = np.array([getattr(curves, field.name) for curves in finished])
    return arrays


def _unpack(
    arrays: dict[str, NDArray[Any]], n_metrics: int, shapes: Curves
) -> list[tuple[int, int, Part, Curves | None]]:
    """Give the stretches of agents in a file: configuration, first agent, what there is, and the curves."""
    entries: list[tuple[int, int, Part, Curves | None]] = []
    at, row = 0, 0
    if arrays["metrics"].shape[0] != n_metrics:
        msg = f"a piece has {arrays['metrics'].shape[0]} metrics, and the study {n_metrics}"
        raise ValueError(msg)
    for number, first, n, steps, complete in arrays["table"].tolist():
        metrics = arrays["metrics"][:, at : at + n]
        at += n
        curves = None
        part = Part(first, n, metrics, steps, np.zeros((0, n)))
        if complete:
            curves = Curves(**{field.name: arrays[field.name][row] for field in fields(Curves)})
            row += 1
            if any(getattr(curves, f.name).shape != getattr(shapes, f.name).shape for f in fields(Curves)):
                msg = "a piece holds curves of other shapes than the study"
                raise ValueError(msg)
        else:
            part.returns = arrays[f"returns_{number}"]
            for (level, begin, count), node in zip(
                arrays[f"curve_keys_{number}"].tolist(), arrays[f"curve_{number}"], strict=True
            ):
                part.curve.insert(begin, count, (node[0], node[1]), level)
            for (level, begin, count), sums in zip(
                arrays[f"checks_keys_{number}"].tolist(), arrays[f"checks_{number}"], strict=True
            ):
                part.checks.insert(begin, count, sums, level)
        entries.append((number, first, part, curves))
    return entries

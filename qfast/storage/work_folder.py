"""Work that survives the death of its process: a folder of finished parts, and of whose work they are.

A folder holds ``work.json``, which says what work the parts belong to, and one ``.npz`` a part.  Every file is written
whole or not at all and carries checksums, so a process that is killed at any moment leaves a folder from which the same
work goes on; a folder of other work is refused before anything is computed.  One process at a time may write to a
folder: the operating system takes the lock back when that process dies, however it dies.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import path_of
from qfast.errors import BadFile, DamagedPartWarning, InvalidInput, QfastError, warn_caller
from qfast.storage.archive import TEMPORARY, FileLock, read_json, read_npz, replacing, write_npz

__all__ = [
    "CannotSave", "WorkFolder", "holds_work", "part_names", "read_part", "read_work", "saving", "work_digest",
]  # fmt: skip

_WORK: Final = "work.json"
_LOCK: Final = "lock"
_PATIENCE: Final = 2.0  # seconds for which a folder may vanish over and over
_VERSION: Final = 2
_OWNER: Final = "of_work"  # in every part: the digest of the work that it belongs to
_ASIDE: Final = ".damaged"  # behind the name of a part that could not be read

_T = TypeVar("_T")
_Arrays = dict[str, NDArray[Any]]


class CannotSave(QfastError):
    """What is complete cannot be written: the disk is full, or was taken away."""


@contextlib.contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Say of an OSError that a folder cannot be written to, by CannotSave."""
    try:
        yield
    except OSError as error:
        raise CannotSave(f"{folder}: {error.strerror or error}") from error


class WorkFolder:
    """A folder of finished parts of one piece of work; made or gone on with.

    `work` is everything that the results depend on, ready for JSON.  What is not in it may differ when the work goes
    on, such as the number of threads.  InvalidInput says that the folder belongs to other work, to something else, or
    to a process that uses it now, or cannot be made, written or locked; BadFile that it is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str], *, kind: str, work: Mapping[str, Any]) -> None:
        self.folder = path_of(folder)
        self.kind = kind
        self.work: dict[str, Any] = json.loads(json.dumps(work))  # as it will be read: tuples are lists
        if not self.folder.parent.is_dir():
            raise InvalidInput(f"{self.folder}: there is no folder {self.folder.parent}; create it first")
        try:
            with contextlib.suppress(FileNotFoundError):  # one look, since the folder may go at any moment
                if not stat.S_ISDIR(self.folder.stat().st_mode):
                    raise InvalidInput(f"{self.folder} is a file; name a folder, or remove it")
            self._lock = self._locked()
            try:
                self._begin()
            except BaseException:
                self.close()
                raise
        except OSError as error:
            msg = f"{self.folder} cannot be written ({error.strerror}); name a folder that you may write to"
            raise InvalidInput(msg) from error

    def _locked(self) -> FileLock:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.folder.mkdir(exist_ok=True)
                self._refuse_foreign(unless_locked=True)
                return FileLock(self.folder / _LOCK)
            except BlockingIOError as error:
                msg = f"{self.folder} is in use by another process; wait for it, or name another place"
                raise InvalidInput(msg) from error
            except (FileExistsError, FileNotFoundError):
                if self.folder.is_symlink() and not self.folder.exists():
                    msg = f"{self.folder} is a link to nothing ({self.folder.readlink()}); make that, or remove it"
                    raise InvalidInput(msg) from None
                if not self.folder.parent.is_dir() or self.folder.is_file() or time.monotonic() > until:
                    raise
                time.sleep(0.001)  # who has finished its work in it removed it between two lines
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT):
                    raise  # it cannot be written
                raise InvalidInput(
                    f"{self.folder} cannot be locked ({error.strerror}), and two processes must not write to it at "
                    "once; name a folder on another disk"
                ) from error

    def _refuse_foreign(self, *, unless_locked: bool = False) -> None:
        """Refuse a folder that holds other things than parts."""
        names = {path.name for path in self.folder.iterdir()}
        others = {name for name in names if name != _LOCK and not TEMPORARY.fullmatch(name)}
        if others and _WORK not in names and not (unless_locked and _LOCK in names):
            msg = f"{self.folder} is a folder of something else (it holds {min(others)!r}); name another one"
            raise InvalidInput(msg)

    def _begin(self) -> None:
        self._refuse_foreign()
        found = read_work(self.folder, self.kind)
        if found is None:
            content = {"format": "qfast work", "version": _VERSION, "kind": self.kind, "work": self.work}
            with replacing(self.folder / _WORK) as stream:
                stream.write(json.dumps(content | {"digest": _digest(content)}, indent=1).encode())
        elif found != self.work:
            raise InvalidInput(
                f"{self.folder} holds a {self.kind} that was begun with {_difference(found, self.work)}; "
                "go on with those settings, name another place, or remove that folder"
            )
        for path in list(self.folder.iterdir()):
            if TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the kind and the settings of the work, 64 hexadecimal digits."""
        return work_digest(self.kind, self.work)

    def names(self) -> list[str]:
        """Name the parts that there are, in alphabetical order; one may still turn out to be damaged."""
        return part_names(self.folder)

    def write(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write a part, whole or not at all; one of the same name is replaced."""
        if not re.fullmatch(r"[\w-]+", name):
            raise InvalidInput(f"{name!r} cannot name a part; use letters, digits, hyphens and underscores")
        if not self.folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(self.folder))
        owner = {_OWNER: np.asarray(self.digest)}
        write_npz(self.folder / f"{name}.npz", {**arrays, **owner}, _part_of(self.kind))

    def read(self, name: str, make: Callable[[_Arrays], _T] = dict) -> _T | None:  # type: ignore[assignment]
        """Read a part, as `read_part` does; None where there is none.

        None, too, where it is damaged: it is set aside, which is warned of, and has to be made again.  One of other
        work is a BadFile: someone has put it here.
        """
        path = self.folder / f"{name}.npz"
        try:
            return read_part(self.folder, self.kind, self.digest, name, make)
        except FileNotFoundError:
            return None
        except _Foreign:
            raise
        except BadFile as error:
            aside = path.with_name(path.name + _ASIDE)
            path.replace(aside)
            text = f"{error}; it is set aside as {aside.name}, and made again"
            warn_caller(text, DamagedPartWarning)
            return None

    def drop(self, name: str) -> None:
        """Remove a part, if there is one."""
        (self.folder / f"{name}.npz").unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all parts, and what else belongs to the work: it is done."""
        for path in list(self.folder.glob(f"*{_ASIDE}")):
            path.unlink(missing_ok=True)
        for name in (*(f"{part}.npz" for part in self.names()), _WORK):
            (self.folder / name).unlink(missing_ok=True)
        self._lock.remove()
        self.close()
        with contextlib.suppress(OSError):  # somebody keeps something else in it
            if os.name == "nt":
                (self.folder / _LOCK).unlink(missing_ok=True)
            self.folder.rmdir()

    def close(self) -> None:
        """Let other processes use the folder."""
        self._lock.close()

    def __enter__(self) -> Self:
        """Give itself; the folder is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the folder; the parts stay."""
        self.close()


class _Foreign(BadFile):
    """A part of other work."""


def holds_work(folder: str | os.PathLike[str]) -> bool:
    """Whether some work was begun in a folder."""
    return (Path(folder) / _WORK).is_file()


def part_names(folder: Path) -> list[str]:
    """Name the parts that a folder has, in alphabetical order."""
    return sorted(path.stem for path in folder.glob("*.npz"))


def read_work(folder: str | os.PathLike[str], kind: str) -> dict[str, Any] | None:
    """Read what work of a kind was begun in a folder; None where there is none.

    BadFile says that it is damaged or of another state of qfast, InvalidInput that it is work of another kind.
    """
    path = path_of(folder) / _WORK
    try:
        content = read_json(path.read_bytes())
        digest, version, found, work = (content[key] for key in ("digest", "version", "kind", "work"))
        whole = digest == _digest({key: value for key, value in content.items() if key != "digest"})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(f"{path} cannot be read ({error!r:.80}); remove the folder, and start again") from error
    if not whole or not isinstance(work, dict):
        raise BadFile(f"{path} is damaged: its checksum is wrong; remove the folder, and start again")
    if version != _VERSION:
        raise BadFile(f"{path} has version {version}, and this qfast reads {_VERSION}; use the qfast that began it")
    if found != kind:
        raise InvalidInput(f"{Path(folder)} holds a {found}, not a {kind}; name another place")
    return work


def read_part(
    folder: Path, kind: str, digest: str, name: str, make: Callable[[_Arrays], _T] = dict  # type: ignore[assignment]
) -> _T:
    """Read a part, without a lock on its folder, and give what `make` makes of its arrays.

    BadFile says that it is damaged, or of other work; so do a KeyError, IndexError, TypeError, ValueError of `make`.
    """
    path = folder / f"{name}.npz"
    arrays = read_npz(path, _part_of(kind))
    if str(arrays.pop(_OWNER, None)) != digest:
        raise _Foreign(f"{path} is a part of another {kind}; remove it, and start again to make it anew")
    try:
        return make(arrays)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadFile(f"{path} is damaged: it does not hold what it should ({error!r:.80}); make it anew") from error


def work_digest(kind: str, work: Mapping[str, Any]) -> str:
    """SHA-256 of a piece of work, 64 hexadecimal digits."""
    return _digest({"kind": kind, "work": work})


def _part_of(kind: str) -> str:
    return f"part of a {kind}"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name the first few settings in which two pieces of work differ."""
    old, new = _flat(found, wanted), _flat(wanted, found)
    keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    shown = [f"{key}={_short(old.get(key))}, not {_short(new.get(key))}" for key in keys[:3]]
    return "; ".join(shown) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")


def _flat(content: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Name what is within the settings that both have, too: ``seed.entropy``."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        parts = isinstance(value, dict) and isinstance(other.get(key), dict)
        flat |= {f"{key}.{name}": part for name, part in value.items()} if parts else {key: value}
    return flat


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

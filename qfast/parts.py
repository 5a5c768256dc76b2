"""Work that survives the death of its process: a folder of finished parts, and of whose work they are.

A folder holds ``work.json``, which says what work the parts belong to, and one ``.npz`` a part.  Every file is written
whole or not at all and carries checksums, so a process that is killed at any moment leaves a folder from which the same
work goes on; a folder of other work is refused before anything is computed.  One process at a time may use a folder:
the operating system takes the lock back when that process dies, however it dies.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from qfast.errors import BadFile, DamagedPartWarning, InvalidInput
from qfast.files import read_npz, replacing, write_npz

__all__ = ["Parts", "read_work", "work_digest"]

_WORK: Final = "work.json"
_LOCK: Final = "lock"
_VERSION: Final = 1
_OWNER: Final = "of_work"  # in every part: the digest of the work that it belongs to
_TEMPORARY: Final = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")  # what `replacing` leaves when its process is killed


class Parts:
    """A folder of finished parts of one piece of work; made or gone on with.

    Parameters
    ----------
    folder : path-like
        The folder; it is made if there is none, in a folder that exists.
    kind : str
        What kind of work it is, such as ``"training"``.
    work : mapping
        Everything that the results depend on, ready for JSON: settings, seeds, digests of tables.  What is not in
        it may differ when the work goes on, such as the number of threads.

    Raises
    ------
    InvalidInput
        If the folder belongs to other work, to something else, or to a process that is using it now.
    BadFile
        If the folder cannot be read any more.
    OSError
        If it cannot be made or written.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with Parts(place + "/sum.parts", kind="sum", work={"seed": 1}) as parts:
    ...         parts.write("first", {"x": np.arange(3)})
    ...     with Parts(place + "/sum.parts", kind="sum", work={"seed": 1}) as parts:  # after a crash, say
    ...         parts.names(), parts.read("first")["x"].tolist()
    (['first'], [0, 1, 2])
    """

    def __init__(self, folder: str | os.PathLike[str], *, kind: str, work: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.kind = kind
        self.work: dict[str, Any] = json.loads(json.dumps(work))  # as it will be read: tuples are lists
        if not self.folder.parent.is_dir():
            msg = f"{self.folder}: there is no folder {self.folder.parent}; create it first"
            raise InvalidInput(msg)
        if self.folder.exists() and not self.folder.is_dir():
            msg = f"{self.folder} is a file; name a folder, or remove it"
            raise InvalidInput(msg)
        self.folder.mkdir(exist_ok=True)
        names = [path.name for path in self.folder.iterdir()]
        others = {name for name in names if name != _LOCK and not _TEMPORARY.fullmatch(name)}
        if others and _WORK not in others:
            msg = f"{self.folder} is a folder of something else (it holds {min(others)!r}); name another one"
            raise InvalidInput(msg)
        self._lock: IO[bytes] | None = _locked(self.folder)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        found = read_work(self.folder, self.kind)
        if found is None:
            content = {"format": "qfast parts", "version": _VERSION, "kind": self.kind, "work": self.work}
            with replacing(self.folder / _WORK) as stream:
                stream.write(json.dumps(content | {"digest": _digest(content)}, indent=1).encode())
        elif found != self.work:
            msg = (
                f"{self.folder} holds a {self.kind} that was begun with {_difference(found, self.work)}; "
                "go on with those settings, name another place, or remove that folder"
            )
            raise InvalidInput(msg)
        for path in list(self.folder.iterdir()):
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)

    @property
    def digest(self) -> str:
        """SHA-256 of the kind and the settings of the work, 64 hexadecimal digits."""
        return work_digest(self.kind, self.work)

    def names(self) -> list[str]:
        """Name the parts that there are, in alphabetical order; one may still turn out to be damaged."""
        return sorted(path.stem for path in self.folder.glob("*.npz"))

    def write(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write a part, whole or not at all; one of the same name is replaced.

        Parameters
        ----------
        name : str
            Its name, letters, digits, hyphens and underscores.
        arrays : mapping of str to ndarray
            As `qfast.files.write_npz` takes them.

        Raises
        ------
        OSError
            If the disk is full or may not be written to.
        """
        if not re.fullmatch(r"[\w-]+", name):
            msg = f"{name!r} cannot name a part; use letters, digits, hyphens and underscores"
            raise InvalidInput(msg)
        if not self.folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(self.folder))
        owner = {_OWNER: np.asarray(self.digest)}
        write_npz(self.folder / f"{name}.npz", {**arrays, **owner}, f"part of a {self.kind}")

    def read(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Read a part.

        Returns
        -------
        dict of str to ndarray, or None
            None where there is none, or where it is damaged, which is warned of: it has to be made again.

        Raises
        ------
        BadFile
            If it was made by other work, and someone has put it here.
        """
        path = self.folder / f"{name}.npz"
        try:
            arrays = read_npz(path, f"part of a {self.kind}")
        except FileNotFoundError:
            return None
        except BadFile as error:
            warnings.warn(f"{error}; this part is made again", DamagedPartWarning, stacklevel=2)
            return None
        if str(arrays.pop(_OWNER, None)) != self.digest:
            msg = f"{path} is a part of another {self.kind}; remove it, and start again to make it anew"
            raise BadFile(msg)
        return arrays

    def drop(self, name: str) -> None:
        """Remove a part, if there is one."""
        (self.folder / f"{name}.npz").unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all parts, and what else belongs to the work: it is done."""
        for name in (*(f"{part}.npz" for part in self.names()), _WORK):
            (self.folder / name).unlink(missing_ok=True)
        self.close()
        with contextlib.suppress(OSError):  # somebody keeps something else in it
            (self.folder / _LOCK).unlink(missing_ok=True)
            self.folder.rmdir()

    def close(self) -> None:
        """Let other processes use the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        """Give itself; the folder is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the folder; the parts stay."""
        self.close()


def read_work(folder: str | os.PathLike[str], kind: str) -> dict[str, Any] | None:
    """Read what work a folder of parts belongs to.

    Parameters
    ----------
    folder : path-like
    kind : str
        What kind of work is expected.

    Returns
    -------
    dict or None
        None where there is no such folder, or nothing was begun in it.

    Raises
    ------
    BadFile
        If it is damaged, or of a newer qfast.
    InvalidInput
        If it is work of another kind.

    Examples
    --------
    >>> read_work("no/such/folder", "training") is None
    True
    """
    path = Path(folder) / _WORK
    try:
        content = json.loads(path.read_bytes())
        digest, version, found, work = (content[key] for key in ("digest", "version", "kind", "work"))
        whole = digest == _digest({key: value for key, value in content.items() if key != "digest"})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path} cannot be read ({error!r:.80}); remove the folder, and start again"
        raise BadFile(msg) from error
    if not whole or not isinstance(work, dict):
        msg = f"{path} is damaged: its checksum is wrong; remove the folder, and start again"
        raise BadFile(msg)
    if version > _VERSION:
        msg = f"{path} has version {version}, this qfast reads up to {_VERSION}; upgrade qfast"
        raise BadFile(msg)
    if found != kind:
        msg = f"{Path(folder)} holds a {found}, not a {kind}; name another place"
        raise InvalidInput(msg)
    return work


def work_digest(kind: str, work: Mapping[str, Any]) -> str:
    """SHA-256 of a piece of work, 64 hexadecimal digits.

    Examples
    --------
    >>> work_digest("sum", {"seed": 1, "n": 2}) == work_digest("sum", {"n": 2, "seed": 1})
    True
    """
    return _digest({"kind": kind, "work": work})


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Name the first few settings in which two pieces of work differ."""
    keys = [key for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)]
    shown = [f"{key}={_short(found.get(key))}, not {_short(wanted.get(key))}" for key in keys[:3]]
    return "; ".join(shown) + ("; …" if len(keys) > 3 else "")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _locked(folder: Path) -> IO[bytes]:
    """Open a folder's lock; the system unlocks it when the process ends, by SIGKILL too."""
    stream = (folder / _LOCK).open("ab")
    try:
        try:
            import fcntl
        except ImportError:  # Windows
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        msg = f"{folder} is in use by another process; wait for it, or name another place"
        raise InvalidInput(msg) from error
    return stream

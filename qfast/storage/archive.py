"""qfast's files: an ``.npz`` without pickle, written whole or not at all; JSON from anywhere; locks on files.

An archive is a plain ``numpy.savez`` file, so ``numpy.load(path)`` reads it without qfast. Beside the arrays it
holds one text, ``qfast_file``: JSON with the format's version, what kind of thing the file holds, and the name,
dtype and shape of every array. Every array carries the checksum (CRC-32) that the archive format prescribes;
`read_npz` verifies all of them before it looks at any content, so a flipped bit is noticed.
"""

import contextlib
import errno
import io
import json
import math
import os
import re
import secrets
import shutil
import struct
import tokenize
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import path_of
from qfast.errors import BadFile, InvalidInput

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "DAMAGE", "FORMAT_VERSION", "TEMPORARY", "FileLock", "check_file", "kind_of", "read_json", "read_npz", "replacing",
    "scratch_folder", "write_npz",
]  # fmt: skip

#: Version of the layout of files; raised when an older qfast could misread a newer file.
FORMAT_VERSION: Final = 1

#: Names under which files are written before they take their own.
TEMPORARY: Final = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")

_HEADER = "qfast_file"
_CHUNK: Final = 2**24  # bytes that are read at once
_MOST_DIGITS: Final = 1300  # of a number in JSON: a seed has up to 4,096 bits

#: Open locks, which a process that is forked meanwhile, such as a pool's worker, must not hold.
_HELD: Final[weakref.WeakSet[io.FileIO]] = weakref.WeakSet()

#: What zipfile and NumPy raise, between them, on damaged files.
DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,  # of the header of an array
)


def check_file(target: Path) -> None:
    """Refuse to put a file in place of what is no file, such as a device."""
    if target.is_dir():
        raise InvalidInput(f"{target} is a folder; name a file in it, or another name")
    if target.exists() and not target.is_file():
        raise InvalidInput(f"{target} is a device or a pipe, which writing would replace; name a file")


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], kind: str) -> Path:
    """Write arrays, of any dtype but object, to one file that holds a `kind` of thing, whole or not at all.

    The bytes go to a temporary file beside the target, are flushed to the disk, and take the target's name in one
    step. A reader sees the old file or the new one, never a part; an interrupted write leaves the old file.
    """
    target = path_of(path)
    if not target.parent.is_dir():
        raise InvalidInput(f"{target}: there is no folder {target.parent}; create it first")
    members: dict[str, NDArray[Any]] = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        if not name.isidentifier() or name in (_HEADER, "file"):  # numpy.savez keeps "file" for itself
            raise InvalidInput(f"{name!r} cannot name an array in a file; use another identifier")
        if array.dtype.hasobject:
            msg = f"{name} has dtype {array.dtype}, which only pickle could store; convert it to numbers or text"
            raise InvalidInput(msg)
        members[name] = array
    header = {"format": "qfast", "version": FORMAT_VERSION, "kind": kind, "arrays": _manifest(members)}
    members = {_HEADER: np.array(json.dumps(header)), **members}
    with replacing(target) as stream:
        # NumPy below 2.2 knows no allow_pickle here, and would keep it as an array.
        np.savez(stream, **members)  # type: ignore[arg-type, unused-ignore]
    return target


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """Write a file under another name, and give it its own in one step when all is on the disk, or let the old be."""
    check_file(target)
    final = Path(os.path.realpath(target))  # a link stays one
    _sweep(final)
    stream, temporary = _new_file(final)
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            if fcntl is not None:
                temporary.replace(final)  # while it is locked: see `_sweep`
        if fcntl is None:  # Windows renames no open file
            temporary.replace(final)
    except BaseException:  # Ctrl-C too must not leave a part behind
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """A folder beside a file or folder that others write, to be moved out of it; removed at the end."""
    _sweep(target)
    folder = _beside(target)
    folder.mkdir()
    descriptor = None
    try:
        if fcntl is not None:
            descriptor = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a disk without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _beside(target: Path) -> Path:
    """A name of its own for every writer."""
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _new_file(target: Path) -> tuple[IO[bytes], Path]:
    """Make a file beside another one, locked as long as it is open."""
    while True:
        temporary = _beside(target)
        stream = temporary.open("xb")  # not mkstemp(), so that the umask decides on access
        if fcntl is None:
            return stream, temporary
        with contextlib.suppress(OSError):  # a disk without locks
            fcntl.flock(stream, fcntl.LOCK_EX)
        if is_at(stream.fileno(), temporary):
            return stream, temporary
        stream.close()  # swept up in the moment before it was locked


def _sweep(target: Path) -> None:
    """Remove what killed writers of a file have left beside it: what can be locked, nobody is writing any more."""
    mine = re.compile(rf"\.{re.escape(target.name)}\.\d+-[0-9a-f]{{8}}\.tmp")
    with contextlib.suppress(OSError):
        for path in [path for path in target.parent.iterdir() if mine.fullmatch(path.name)]:
            with contextlib.suppress(OSError):
                _remove_left(path)


def _remove_left(path: Path) -> None:
    if fcntl is None:
        path.unlink()  # refused while it is open; folders stay
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


def _manifest(arrays: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    return {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()}


def read_npz(path: str | os.PathLike[str], kind: str) -> dict[str, NDArray[Any]]:
    """Read the arrays, by name, of a file that `write_npz` wrote and that must hold this kind of thing.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_npz(write_npz(folder + "/a.npz", {"x": np.arange(3)}, "demo"), "demo")["x"]
    array([0, 1, 2])
    """
    source = path_of(path)
    if source.exists() and not source.is_file() and not source.is_dir():  # opening a pipe would wait for ever
        raise BadFile(f"{source} is a device or a pipe; give a file that holds a {kind}")
    with source.open("rb") as stream:  # outside the net below: a missing file keeps its own, clear error
        try:
            with zipfile.ZipFile(stream) as archive:
                _check_members(archive, os.fstat(stream.fileno()).st_size)
                damaged = archive.testzip()  # reads everything once: checksums first, content afterwards
                names = set(archive.namelist())
                ours = damaged is None and f"{_HEADER}.npy" in names
                arrays = {name.removesuffix(".npy"): _array(archive, name) for name in names} if ours else {}
        except DAMAGE as error:
            msg = f"{source} is truncated, damaged, or no .npz file ({error}); restore it from a copy or write it anew"
            raise BadFile(msg) from error
    if damaged is not None:
        msg = f"{source} is damaged: the checksum of {damaged!r} is wrong; restore it from a copy or write it anew"
        raise BadFile(msg)
    if f"{_HEADER}.npy" not in names:
        raise BadFile(f"{source} was not written by qfast (it has no {_HEADER!r}); give a file that holds a {kind}")
    _check_header(source, kind, arrays)
    return {name: array for name, array in arrays.items() if name != _HEADER}


def kind_of(path: str | os.PathLike[str]) -> str | None:
    """What kind of thing a file says that it holds; None for what is no archive of ours.  Nothing else is checked."""
    try:
        with zipfile.ZipFile(path_of(path)) as archive:
            return str(read_json(str(_array(archive, f"{_HEADER}.npy")))["kind"])
    except DAMAGE:
        return None


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse what would become more than its file: compressed members, or several on the same bytes."""
    members = archive.infolist()
    if any(m.compress_type != zipfile.ZIP_STORED or m.compress_size != m.file_size for m in members):
        raise ValueError("it has compressed members, which qfast never writes")
    if sum(m.file_size for m in members) > size:
        raise ValueError("its members are larger than the file")
    if len({m.filename for m in members}) < len(members) or not all(m.filename.endswith(".npy") for m in members):
        raise ValueError("it has members that are no arrays, or two of one name")


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read an array whose header says just as many bytes as there are."""
    with archive.open(name) as stream:
        major, _ = np.lib.format.read_magic(stream)
        if major not in (1, 2):
            raise ValueError(f"{name} has version {major} of .npy")
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        size = archive.getinfo(name).file_size - stream.tell()
        fits = not dtype.hasobject and dtype.itemsize and all(n >= 0 for n in shape)
        if not fits or math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"{name} says that it has shape {shape} of {dtype}, which its {size:,} bytes are not")
        array = np.empty(shape[::-1] if fortran else shape, dtype)
        content = array.reshape(-1).view(np.uint8)
        for begin in range(0, size, _CHUNK):
            content[begin : begin + _CHUNK] = np.frombuffer(stream.read(min(_CHUNK, size - begin)), np.uint8)
    return array.T if fortran else array


def read_json(text: str | bytes) -> Any:
    """Read JSON from anywhere; ValueError for numbers that are not finite or beyond 1,300 digits, and deep nesting."""

    def whole(digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            raise ValueError(f"a number of {len(digits):,} digits")
        return int(digits)

    def real(digits: str) -> float:
        if not math.isfinite(float(digits)):
            raise ValueError(f"{digits:.40} is no finite number")
        return float(digits)

    try:
        return json.loads(text, parse_int=whole, parse_float=real, parse_constant=real)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _check_header(source: Path, kind: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a header that names another format, version or kind, or other arrays than there are."""
    try:
        header = read_json(str(arrays[_HEADER]))
        version, found = int(header["version"]), str(header["kind"])
        complete = header["arrays"] == _manifest({n: a for n, a in arrays.items() if n != _HEADER})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        msg = f"{source} has an unreadable header ({error!r:.80}); restore it from a copy or write it anew"
        raise BadFile(msg) from error
    if version > FORMAT_VERSION:
        raise BadFile(f"{source} has format version {version}, this qfast reads up to {FORMAT_VERSION}; upgrade qfast")
    if found != kind:
        raise BadFile(f"{source} holds kind {found!r}, not {kind!r}; give a file that holds a {kind}")
    if not complete:
        msg = f"{source} does not hold the arrays that its header lists; restore it from a copy or write it anew"
        raise BadFile(msg)


class FileLock:
    """A file that this object alone has locked, among all processes and within this one; made if there is none.

    The system takes the lock back when the process dies, however it dies.  BlockingIOError if somebody else holds it,
    another OSError if the file cannot be made or its disk knows no locks.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock = FileLock(Path(folder) / "lock")
    ...     try:
    ...         FileLock(Path(folder) / "lock")
    ...     except BlockingIOError:
    ...         print("held")
    ...     lock.close()
    held
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        while True:
            stream = io.FileIO(path, "a+b")
            _HELD.add(stream)
            try:
                _lock(stream)
                if is_at(stream.fileno(), path):
                    break
            except BaseException:
                stream.close()
                raise
            stream.close()  # who held it has removed it meanwhile: it stands for nothing any more
        self._stream = stream

    def remove(self) -> None:
        """Remove the file while it is locked: nobody ever holds a lock on what is gone."""
        if not self._stream.closed:
            with contextlib.suppress(OSError):  # Windows removes no open file, and a leftover does no harm
                self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others have it."""
        self._stream.close()


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one that has this name."""
    try:
        there, here = path.stat(follow_symlinks=False), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _lock(stream: io.FileIO) -> None:
    if fcntl is not None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    try:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    except PermissionError as error:  # what Windows says of a lock that is held
        raise BlockingIOError(errno.EWOULDBLOCK, "is locked") from error


def _let_go() -> None:
    """In a forked child: close what it has inherited, or the lock would last as long as the child."""
    for stream in list(_HELD):
        stream.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)

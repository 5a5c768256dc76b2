"""Reading and writing qfast's files: one ``.npz`` without pickle, written whole or not at all.

A file is a plain ``numpy.savez`` archive, so ``numpy.load(path)`` reads it without qfast. Beside the arrays it
holds one text, ``qfast_file``: JSON with the format's version, what kind of thing the file holds, and the name,
dtype and shape of every array. Every array carries the checksum (CRC-32) that the archive format prescribes;
`read_npz` verifies all of them before it looks at any content, so a flipped bit is noticed.
"""

import contextlib
import json
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import BadFile, InvalidInput

__all__ = ["FORMAT_VERSION", "read_npz", "replacing", "write_npz"]

#: Version of the layout of files; raised when an older qfast could misread a newer file.
FORMAT_VERSION: Final = 1

_HEADER = "qfast_file"

# What zipfile and NumPy raise, between them, on damaged archives.
_DAMAGE = (
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
    TypeError,
    ValueError,
)


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]], kind: str) -> Path:
    """Write arrays to one file, whole or not at all.

    The bytes go to a temporary file beside the target, are flushed to the disk, and take the target's name in one
    step. A reader sees the old file or the new one, never a part; an interrupted write leaves the old file.

    Parameters
    ----------
    path : path-like
        The file to write, by convention ``*.npz``; its name is used as given. An existing file is replaced.
    arrays : mapping of str to ndarray
        What to store, of any dtype but object. Names must be identifiers.
    kind : str
        What the file holds, such as ``"mdp"`` or ``"run"``; `read_npz` asks for it.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    InvalidInput
        If a name is not an identifier, a dtype would need pickle, or the folder does not exist.
    OSError
        If the disk is full or the file may not be written.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_npz(folder + "/a.npz", {"x": np.arange(3)}, "demo")
    ...     read_npz(file, "demo")["x"]
    array([0, 1, 2])
    """
    target = Path(path)
    if not target.parent.is_dir():
        msg = f"{target}: there is no folder {target.parent}; create it first"
        raise InvalidInput(msg)
    members: dict[str, NDArray[Any]] = {}
    for name, value in arrays.items():
        array = np.asarray(value)
        if not name.isidentifier() or name in (_HEADER, "file"):  # numpy.savez keeps "file" for itself
            msg = f"{name!r} cannot name an array in a file; use another identifier"
            raise InvalidInput(msg)
        if array.dtype.hasobject:
            msg = f"{name} has dtype {array.dtype}, which only pickle could store; convert it to numbers or text"
            raise InvalidInput(msg)
        members[name] = array
    header = {"format": "qfast", "version": FORMAT_VERSION, "kind": kind, "arrays": _manifest(members)}
    members = {_HEADER: np.array(json.dumps(header)), **members}
    with replacing(target) as stream:
        np.savez(stream, allow_pickle=False, **members)
    return target


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """Write a file under another name, and give it its own in one step when all is on the disk.

    Parameters
    ----------
    target : pathlib.Path
        The file; an existing one is replaced.

    Yields
    ------
    stream
        To write to.  If the block raises, the old file is left as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as stream:
    ...         _ = stream.write(b"whole")
    ...     (Path(folder) / "a.txt").read_bytes()
    b'whole'
    """
    # A name of its own for every writer, and open() rather than mkstemp() so that the umask decides on access.
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:  # Ctrl-C too must not leave a part behind
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _manifest(arrays: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    return {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()}


def read_npz(path: str | os.PathLike[str], kind: str) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file that `write_npz` wrote.

    Parameters
    ----------
    path : path-like
        The file.
    kind : str
        What it must hold.

    Returns
    -------
    dict of str to ndarray
        Every array, by name.

    Raises
    ------
    BadFile
        If the file is truncated or damaged, was not written by qfast, holds another kind of thing, or was written
        in a newer format.
    OSError
        If the file does not exist or may not be read.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_npz(folder + "/a.npz", {"x": np.arange(3)}, "demo")
    ...     try:
    ...         read_npz(file, "run")
    ...     except BadFile as error:
    ...         print(str(error).replace(folder, ""))
    /a.npz holds kind 'demo', not 'run'; give a file that holds a run
    """
    source = Path(path)
    with source.open("rb") as stream:  # outside the net below: a missing file keeps its own, clear error
        try:
            with zipfile.ZipFile(stream) as archive:
                damaged = archive.testzip()  # reads everything once: checksums first, content afterwards
                names = set(archive.namelist())
            if damaged is None and f"{_HEADER}.npy" in names:
                stream.seek(0)
                with np.load(stream, allow_pickle=False) as content:
                    arrays = {name: content[name] for name in content.files}
        except _DAMAGE as error:
            msg = f"{source} is truncated, damaged, or no .npz file ({error}); restore it from a copy or write it anew"
            raise BadFile(msg) from error
    if damaged is not None:
        msg = f"{source} is damaged: the checksum of {damaged!r} is wrong; restore it from a copy or write it anew"
        raise BadFile(msg)
    if f"{_HEADER}.npy" not in names:
        msg = f"{source} was not written by qfast (it has no {_HEADER!r}); give a file that holds a {kind}"
        raise BadFile(msg)
    _check_header(source, kind, arrays)
    return {name: array for name, array in arrays.items() if name != _HEADER}


def _check_header(source: Path, kind: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a header that names another format, version or kind, or other arrays than there are."""
    try:
        header = json.loads(str(arrays[_HEADER]))
        version, found = int(header["version"]), str(header["kind"])
        complete = header["arrays"] == _manifest({n: a for n, a in arrays.items() if n != _HEADER})
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{source} has an unreadable header ({error!r}); restore it from a copy or write it anew"
        raise BadFile(msg) from error
    if version > FORMAT_VERSION:
        msg = f"{source} has format version {version}, this qfast reads up to {FORMAT_VERSION}; upgrade qfast"
        raise BadFile(msg)
    if found != kind:
        msg = f"{source} holds kind {found!r}, not {kind!r}; give a file that holds a {kind}"
        raise BadFile(msg)
    if not complete:
        msg = f"{source} does not hold the arrays that its header lists; restore it from a copy or write it anew"
        raise BadFile(msg)

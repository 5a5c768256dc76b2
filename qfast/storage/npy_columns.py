"""Arrays of all agents as ``.npy`` files of a folder, which grow in the order of the agents."""

import contextlib
import os
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import BadFile
from qfast.storage.archive import DAMAGE

__all__ = ["NpyColumns", "map_columns"]

_CHUNK: Final = 2**22  # bytes that are read at once
_AGENTS_LAST: Final = ("rng",)  # arrays whose files say so: Fortran's order, so that they grow like the others


class NpyColumns:
    """Arrays of all agents in ``.npy`` files of a folder, which grow in the order of the agents.

    `like` has, by name, arrays of no agents (0, …): what rows look like.  The files' headers say from the beginning how
    many agents there will be.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     columns = NpyColumns(Path(folder), {"x": np.zeros((0, 2))}, n_agents=3)
    ...     columns.begin(0, {})
    ...     columns.append({"x": np.ones((3, 2))}, 3)
    ...     columns.close()
    ...     float(np.load(folder + "/x.npy").sum())
    6.0
    """

    def __init__(self, folder: Path, like: Mapping[str, NDArray[Any]], n_agents: int) -> None:
        self.folder, self.n_agents, self.written = folder, n_agents, 0  # agents in all, and so far
        self._like = {name: array for name, array in like.items() if 0 not in array.shape[1:]}
        self._streams: dict[str, IO[bytes]] = {}
        self.checksums = dict.fromkeys(self._like, 0)  # CRC-32 of each array so far

    @property
    def names(self) -> list[str]:
        """The arrays that there are."""
        return list(self._like)

    @property
    def bytes_per_agent(self) -> int:
        """How many bytes an agent takes."""
        return sum(_row_bytes(like) for like in self._like.values())

    def path(self, name: str) -> Path:
        """The file of an array."""
        return self.folder / f"{name}.npy"

    def begin(self, done: int, checksums: Mapping[str, int]) -> None:
        """Open the files, to go on behind the first ``done`` agents; BadFile if they do not have their checksums."""
        for name, like in self._like.items():
            header, row, path = _header(name, like, self.n_agents), _row_bytes(like), self.path(name)
            try:
                stream = path.open("r+b" if done else "w+b")
            except FileNotFoundError as error:
                raise BadFile(f"{path} is missing; remove {self.folder}, and start again") from error
            self._streams[name] = stream
            if not done:
                stream.write(header)
                continue
            if stream.read(len(header)) != header or _checksum(stream, done * row) != checksums[name]:
                msg = f"{path} is damaged among the first {done:,} agents; remove {self.folder}, and start again"
                raise BadFile(msg)
            stream.truncate(len(header) + done * row)
            stream.seek(0, os.SEEK_END)
            self.checksums[name] = checksums[name]
        self.written = done

    def append(self, rows: Mapping[str, NDArray[Any]], count: int) -> None:
        """Write the next ``count`` agents; ``rows`` may hold more arrays than there are files."""
        for name, stream in self._streams.items():
            data = np.ascontiguousarray(rows[name]).reshape(-1).view(np.uint8).data
            stream.write(data)
            self.checksums[name] = zlib.crc32(data, self.checksums[name])
        self.written += count

    def flush(self) -> None:
        """Bring everything to the disk."""
        for stream in self._streams.values():
            stream.flush()
            os.fsync(stream.fileno())

    def mapped(self, name: str) -> NDArray[Any]:
        """Map what was written of an array, agents first; read-only."""
        like = self._like[name]
        shape, offset = (self.written, *like.shape[1:]), len(_header(name, like, self.n_agents))
        self._streams[name].flush()
        return np.memmap(self.path(name), like.dtype, "r", offset=offset, shape=shape)

    def close(self) -> None:
        """Close the files; what a full disk has no room for is given up."""
        for stream in self._streams.values():
            with contextlib.suppress(OSError):
                stream.close()
        self._streams = {}


def map_columns(folder: Path, checksums: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """Map the finished arrays of a folder, read-only, each in the order that its file says; CRC-32 by name."""
    arrays = {}
    for name, checksum in checksums.items():
        path = folder / f"{name}.npy"
        try:
            if path.exists() and not path.is_file():
                raise BadFile("it is no file")
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            with path.open("rb") as stream:
                stream.seek(array.offset)
                whole = _checksum(stream, array.nbytes) == checksum and not stream.read(1)
        except (*DAMAGE, AttributeError) as error:
            msg = f"{path} is missing, truncated or no .npy file ({error}); restore it from a copy or train anew"
            raise BadFile(msg) from error
        if not whole:
            raise BadFile(f"{path} is damaged: its checksum is wrong; restore it from a copy or train anew")
        arrays[name] = array
    return arrays


def _row_bytes(like: NDArray[Any]) -> int:
    return int(np.prod(like.shape[1:])) * like.itemsize


def _header(name: str, like: NDArray[Any], n_agents: int) -> bytes:
    """The header of a ``.npy`` file."""
    stream = BytesIO()
    last = name in _AGENTS_LAST
    shape = (*reversed(like.shape[1:]), n_agents) if last else (n_agents, *like.shape[1:])
    about = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": last, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, about)
    return stream.getvalue()


def _checksum(stream: IO[bytes], size: int) -> int:
    """CRC-32 of the next bytes of a stream; -1 if there are too few."""
    checksum = 0
    while size:
        data = stream.read(min(size, _CHUNK))
        if not data:
            return -1
        checksum, size = zlib.crc32(data, checksum), size - len(data)
    return checksum

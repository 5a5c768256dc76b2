"""Locks on files, which the operating system takes back when their process dies, however it dies.

A process that is forked meanwhile, such as a pool's worker, does not hold them: it may outlive its parent.
"""

import contextlib
import errno
import io
import os
import weakref
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileLock", "is_at"]

_HELD: Final[weakref.WeakSet[io.FileIO]] = weakref.WeakSet()


class FileLock:
    """A file that this object alone has locked, among all processes and within this one; made if there is none.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    BlockingIOError
        If somebody else holds it.
    OSError
        If the file cannot be made, or its disk knows no locks.

    Examples
    --------
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

"""Writing: results to standard output, one line of complaint to standard error."""

import contextlib
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from qfast.cli.options import UsageError
from qfast.text import printable

__all__ = [
    "abandon_stdout",
    "check_room",
    "checked_out",
    "complain",
    "finish_stdout",
    "one_line",
    "prints_unicode",
    "refuse_dash",
    "tell",
    "write",
    "write_json",
]

# What the output uses beyond ASCII, and what stands for it where it cannot be printed.
_ASCII: Final = str.maketrans({"…": "...", "±": "+-", "→": "->"})


def write(text: str) -> None:
    """Write text to standard output, in ASCII where the terminal or the locale cannot do more.

    Parameters
    ----------
    text : str
        The text; a line break is added.

    Raises
    ------
    OSError
        If the pipe is closed or the disk is full.
    """
    stream = sys.stdout
    if stream is None:
        msg = "standard output is closed"
        raise OSError(msg)
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding, stream.errors or "strict")
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    stream.write(text + "\n")


def prints_unicode() -> bool:
    """Tell whether standard output can show arrows."""
    try:
        "←→…±".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def write_json(content: Mapping[str, Any]) -> None:
    """Write one JSON object to standard output, one line a key.

    Parameters
    ----------
    content : mapping
        Numbers, texts, None, lists, mappings and arrays of these. What JSON has no number for (the -inf of an
        action that is not allowed, the NaN of a spread over one agent) becomes null.
    """
    lines = [f"  {json.dumps(key)}: {json.dumps(_plain(value), allow_nan=False)}" for key, value in content.items()]
    write("{\n" + ",\n".join(lines) + "\n}")


def _plain(value: Any) -> Any:
    """Turn arrays and their elements into what JSON knows."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def finish_stdout() -> None:
    """Make sure that all output has arrived.

    Raises
    ------
    OSError
        If the pipe is closed or the disk is full. Nothing more is written then.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        abandon_stdout()
        raise


def abandon_stdout() -> None:
    """Let what is still buffered go nowhere: the interpreter would complain about it when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def one_line(text: str) -> str:
    """Join the lines of a text."""
    return " ".join(line.strip() for line in text.splitlines())


def tell(text: str) -> None:
    """Write one line to standard error, if there is one."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"qfast: {printable(one_line(text))}\n")
        sys.stderr.flush()


def complain(text: str, status: int, *, kind: str = "error") -> int:
    """Write one line ``qfast: error: …`` to standard error and give the status back."""
    tell(f"{kind}: {text}")
    return status


def check_room(target: Path | None, n_bytes: int) -> None:
    """Make sure, before any work, that a file of a certain size fits on its disk.

    Parameters
    ----------
    target : pathlib.Path or None
        The file; None passes.
    n_bytes : int
        How large it will be at least.

    Raises
    ------
    UsageError
        If less is free.
    """
    if target is None:
        return
    free = shutil.disk_usage(target.parent).free
    if n_bytes > free:
        msg = (
            f"--out {target} will take {n_bytes / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free there; "
            f"use fewer --agents, another --record, or another disk"
        )
        raise UsageError(msg)


def checked_out(path: str | None, *, source: str | None = None, folders: bool = False) -> Path | None:
    """Make sure, before any work, that a file can be written.

    Parameters
    ----------
    path : str, optional
        The file; None passes.
    source : str, optional
        A file that is read, and must not be replaced.
    folders : bool
        Whether a name that does not end in .npz may be that of a folder.

    Returns
    -------
    pathlib.Path or None
        The file.

    Raises
    ------
    UsageError
        If the file cannot be a result: a folder, a device, the problem itself; or if it cannot be written.
    """
    if path is None:
        return None
    refuse_dash(path)
    target = Path(path)
    try:
        if "\0" in path:
            msg = f"--out {path!r} has a null character in it, which no file's name can have; leave it out"
            raise UsageError(msg)
        problem = None if folders and _may_be_folder(target, path) else _unfit(target, path, source)
        if problem is None:
            # Saving uses a name that is a little longer; trying it also finds names that are too long.
            trial = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
            trial.open("xb").close()
            trial.unlink()
    except OSError as error:
        problem = f"cannot be written ({error.strerror}); name a file in a folder that you may write to"
    if problem is not None:
        msg = f"--out {path} {problem}"
        raise UsageError(msg)
    return target


def refuse_dash(path: str | None) -> None:
    """Refuse the name that means standard output elsewhere.

    Raises
    ------
    UsageError
        If the path is a hyphen alone.
    """
    if path == "-":
        msg = "--out - names no file, and results do not go to standard output; use a name such as run.npz"
        raise UsageError(msg)


def _may_be_folder(target: Path, path: str) -> bool:
    """Whether training may fill a folder of this name: a new one, or one that it has begun."""
    from qfast.storage.work_folder import holds_work

    if path.endswith(("/", os.sep)):
        return False
    return bool(target.name) and target.suffix != ".npz" and (not target.exists() or holds_work(target))


def _unfit(target: Path, path: str, source: str | None) -> str | None:
    """Say what makes a name unfit for a result, if anything does."""
    if path.endswith(("/", os.sep)) or not target.name or target.is_dir():
        return f"is a folder; name a file in it, such as {target / 'run.npz'}"
    if not target.exists():
        return None
    if not target.is_file():
        return "is a device or a pipe, which saving would replace; name a file, or leave --out away"
    if source is not None and Path(source).exists() and target.samefile(source):
        return "is the problem's own file; name another"
    return None

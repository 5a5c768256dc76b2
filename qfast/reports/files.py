"""Where a report goes: checked before any work, written whole or not at all."""

import os
import secrets
from pathlib import Path

from qfast.arguments import path_of
from qfast.errors import InvalidInput
from qfast.plots.canvas import matplotlib
from qfast.storage.archive import check_file, replacing

__all__ = ["check_target", "write_whole"]

_ENDINGS = (".html", ".htm")


def check_target(path: str | os.PathLike[str]) -> Path:
    """Make sure, before any work, that a report can be written.

    Parameters
    ----------
    path : path-like
        The file, ``*.html`` or ``*.htm``; an existing one will be replaced.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InvalidInput
        If the name has another ending, is a folder's, or nothing can be written there.
    MissingExtra
        If matplotlib is not installed, without which there is no report.

    Examples
    --------
    >>> check_target("study.pdf")
    Traceback (most recent call last):
    ...
    qfast.errors.InvalidInput: study.pdf does not end in .html or .htm; a report is an HTML page, such as study.html
    """
    matplotlib("figure")
    target = path_of(path)
    if target.suffix.lower() not in _ENDINGS:
        msg = f"{target} does not end in .html or .htm; a report is an HTML page, such as {target.stem or 'study'}.html"
        raise InvalidInput(msg)
    try:
        check_file(target)
        trial = _beside(target)
        trial.open("xb").close()
        trial.unlink()
    except OSError as error:
        msg = f"{target!s:.80} cannot be written ({error.strerror}); name a file in a folder that you may write to"
        raise InvalidInput(msg) from error
    return target


def write_whole(target: Path, text: str) -> Path:
    """Write a text under another name, then give it its own in one step: readers see the old or the new file."""
    with replacing(target) as stream:
        stream.write(text.encode())
    return target


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")

"""Writing: pages and JSON to standard output, one line of complaint to standard error; and where --out may go."""

import contextlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qfast.cli.options import UsageError
from qfast.text import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# What the output uses beyond ASCII, and what stands for it where it cannot be printed.
_ASCII: Final = str.maketrans({"…": "...", "±": "+-", "→": "->"})


def write(text: str) -> None:
    """Write text and a line break to standard output, in ASCII where the terminal or the locale cannot do more."""
    stream = sys.stdout
    if stream is None:
        raise OSError("standard output is closed")
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
    """Write one JSON object to standard output, one line a key; what JSON has no number for (-inf, NaN) is null."""
    lines = [f"  {json.dumps(key)}: {json.dumps(_jsonable(value), allow_nan=False)}" for key, value in content.items()]
    write("{\n" + ",\n".join(lines) + "\n}")


def _jsonable(value: Any) -> Any:
    """Turn arrays and their elements into what JSON knows."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value


def finish_stdout() -> None:
    """Make sure that all output has arrived; after an error what is still buffered goes nowhere."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # the interpreter would complain once more when it ends
        with contextlib.suppress(OSError, ValueError, AttributeError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise


def tell(text: str) -> None:
    """Write one line to standard error, if there is one."""
    line = " ".join(part.strip() for part in text.splitlines())
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"qfast: {printable(line)}\n")
        sys.stderr.flush()


# --- pages -----------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One line by itself, or several; strong if it is a heading."""

    text: str
    strong: bool = False


class Facts(NamedTuple):
    """Names and what they are; a fact may have several lines."""

    rows: Sequence[tuple[str, str]]


class Table(NamedTuple):
    """Texts in columns, each row with a name; cells (row, column) that stand out are in colour, or have a star."""

    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    strong: frozenset[tuple[int, int]] = frozenset()


Block = Line | Facts | Table


def show(blocks: Sequence[Block]) -> None:
    """Write blocks to standard output, with an empty line between them.

    On a terminal, and where rich is installed, rich draws them; NO_COLOR takes the colours away. Into a file or a
    pipe goes plain text in columns.
    """
    console = _console()
    if console is None:
        write("\n\n".join("\n".join(line.rstrip() for line in _plain(block)) for block in blocks))
        return
    for i, block in enumerate(blocks):
        if i:
            console.print()
        console.print(_rich(block), soft_wrap=isinstance(block, Line))


def _console() -> "Console | None":
    """Make rich's console for a terminal that can show what rich draws."""
    stream = sys.stdout
    dumb = os.environ.get("TERM", "") in ("", "dumb", "unknown")
    if stream is None or not stream.isatty() or dumb or not prints_unicode():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream, markup=False, highlight=False, emoji=False)


def _plain(block: Block) -> list[str]:
    """Set a block in lines of plain text: names to the left, numbers to the right."""
    if isinstance(block, Line):
        return [block.text]
    if isinstance(block, Facts):
        width = max(len(name) for name, _ in block.rows)
        rows = [(name * (i == 0), line) for name, text in block.rows for i, line in enumerate(text.split("\n"))]
        return [f"{name:<{width}}  {line}" for name, line in rows]
    width = max(map(len, [block.corner, *(name for name, _ in block.rows)]))
    widths = [max(map(len, column)) for column in zip(block.columns, *(cells for _, cells in block.rows), strict=True)]
    lines = []
    for i, (name, cells) in enumerate([(block.corner, block.columns), *block.rows], -1):
        marked = [f"{cell:>{widths[j]}}{'*' if (i, j) in block.strong else ' '}" for j, cell in enumerate(cells)]
        lines.append(f"{name:<{width}}  {' '.join(marked)}")
    return lines


def _rich(block: Block) -> "RenderableType":
    """Set a block with rich."""
    from rich import box
    from rich import table as rich_table
    from rich.text import Text

    if isinstance(block, Line):
        return Text(block.text, style="bold" if block.strong else "")
    if isinstance(block, Facts):
        grid = rich_table.Table.grid(padding=(0, 2))
        grid.add_column(style="cyan", no_wrap=True)
        grid.add_column()
        for name, text in block.rows:
            grid.add_row(name, text)
        return grid
    drawn = rich_table.Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="cyan")
    drawn.add_column(block.corner, no_wrap=True)
    for heading in block.columns:
        drawn.add_column(heading, justify="right")
    for i, (name, cells) in enumerate(block.rows):
        styles = ["bold green" if (i, j) in block.strong else "" for j in range(len(cells))]
        drawn.add_row(name, *(Text(cell, style=style) for cell, style in zip(cells, styles, strict=True)))
    return drawn


# --- files -----------------------------------------------------------------------------------------------------------


def checked_out(path: str | None, *, source: str | None = None, folders: bool = False) -> Path | None:
    """Make sure, before any work, that a file can be written, and does not replace the source.

    With folders, a name that does not end in .npz may be that of a folder which training fills.
    """
    if path is None:
        return None
    refuse_dash(path)
    target = Path(path)
    try:
        if "\0" in path:
            raise UsageError(f"--out {path!r} has a null character in it, which no file's name can have; leave it out")
        problem = None if folders and _may_be_folder(target, path) else _unfit(target, path, source)
        if problem is None:
            # Saving uses a name that is a little longer; trying it also finds names that are too long.
            trial = f".{target.name}.{os.getpid()}-"
            tempfile.NamedTemporaryFile(dir=target.parent, prefix=trial, suffix=".tmp").close()
    except OSError as error:
        problem = f"cannot be written ({error.strerror}); name a file in a folder that you may write to"
    if problem is not None:
        raise UsageError(f"--out {path} {problem}")
    return target


def refuse_dash(path: str | None) -> None:
    """Refuse the name that means standard output elsewhere."""
    if path == "-":
        raise UsageError("--out - names no file, and results do not go to standard output; use a name such as run.npz")


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

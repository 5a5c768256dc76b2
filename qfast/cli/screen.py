"""A page of output: blocks of facts, maps and tables, plain or by rich."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qfast.cli.output import prints_unicode, write

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Block", "Facts", "Line", "Table", "show"]


@dataclass(frozen=True)
class Line:
    """One line by itself.

    Attributes
    ----------
    text : str
        The line.
    strong : bool
        Whether it is a heading.
    """

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and what they are; a fact may have several lines.

    Attributes
    ----------
    rows : sequence of (str, str)
        Name and text.
    """

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Numbers in rows and columns.

    Attributes
    ----------
    corner : str
        The heading of the column of names.
    columns : sequence of str
        The headings.
    rows : sequence of (str, sequence of str)
        Name and cells.
    strong : set of (int, int)
        Cells (row, column) that stand out: in colour, or with a star.
    """

    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    strong: frozenset[tuple[int, int]] = frozenset()


Block = Line | Facts | Table


def show(blocks: Sequence[Block]) -> None:
    """Write blocks to standard output, with an empty line between them.

    On a terminal, and where rich is installed, rich draws them; NO_COLOR takes the colours away. Into a file or a
    pipe goes plain text in columns.

    Parameters
    ----------
    blocks : sequence of Block
        What to write.
    """
    console = _console()
    if console is None:
        write("\n\n".join("\n".join(_plain(block)) for block in blocks))
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
    """Set a block in lines of plain text."""
    match block:
        case Line():
            return [block.text]
        case Facts():
            width = max(len(name) for name, _ in block.rows)
            lines = []
            for name, text in block.rows:
                first, *others = text.split("\n")
                lines += [f"{name:<{width}}  {first}", *(f"{'':<{width}}  {other}" for other in others)]
            return [line.rstrip() for line in lines]
        case Table():
            return _plain_table(block)


def _plain_table(table: Table) -> list[str]:
    """Set a table: names to the left, numbers to the right, a star behind the cells that stand out."""
    marks = [
        ["*" if (i, j) in table.strong else " " for j in range(len(table.columns))] for i in range(len(table.rows))
    ]
    names = [table.corner, *(name for name, _ in table.rows)]
    width = max(map(len, names))
    columns = [[heading, *(cells[j] for _, cells in table.rows)] for j, heading in enumerate(table.columns)]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for i, name in enumerate(names):
        cells = [f"{column[i]:>{widths[j]}}{marks[i - 1][j] if i else ' '}" for j, column in enumerate(columns)]
        lines.append(f"{name:<{width}}  {' '.join(cells)}".rstrip())
    return lines


def _rich(block: Block) -> "RenderableType":
    """Set a block with rich."""
    from rich import box
    from rich import table as rich_table
    from rich.text import Text

    match block:
        case Line():
            return Text(block.text, style="bold" if block.strong else "")
        case Facts():
            grid = rich_table.Table.grid(padding=(0, 2))
            grid.add_column(style="cyan", no_wrap=True)
            grid.add_column()
            for name, text in block.rows:
                grid.add_row(name, text)
            return grid
        case Table():
            drawn = rich_table.Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="cyan")
            drawn.add_column(block.corner, no_wrap=True)
            for heading in block.columns:
                drawn.add_column(heading, justify="right")
            for i, (name, cells) in enumerate(block.rows):
                styles = ["bold green" if (i, j) in block.strong else "" for j in range(len(cells))]
                drawn.add_row(name, *(Text(cell, style=style) for cell, style in zip(cells, styles, strict=True)))
            return drawn

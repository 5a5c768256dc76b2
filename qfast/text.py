"""Small pieces of text that all faces share: shares in words, tables, and text from outside made safe to print."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from qfast.errors import InvalidInput

__all__ = ["check_printable", "columns", "percent", "printable"]

# Control characters, bidirectional overrides and other format characters, line and paragraph separators, halves of
# surrogate pairs: what moves the cursor, colours the screen, hides or reorders text, or cannot be encoded.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Joiners belong to the spelling of several languages, and of emoji.
_JOINERS = "\u200c\u200d"


def _is_printable(character: str) -> bool:
    return unicodedata.category(character) not in _UNPRINTABLE or character in _JOINERS


def check_printable(what: str, text: str) -> str:
    """Refuse a name that holds characters which a terminal or a page would obey instead of showing."""
    for character in text:
        if not _is_printable(character):
            whole = f"'{printable(text):.60}'"
            raise InvalidInput(f"{what} holds {whole} with the control character U+{ord(character):04X}; leave it out")
    return text


def printable(text: Any) -> str:
    r"""Write out what a terminal would obey instead of showing, as in names of files that come from outside.

    >>> print(printable("a\x1b[31mb\nc"))
    a\x1b[31mb\nc
    """
    return "".join(
        character if _is_printable(character) else character.encode("unicode_escape", "surrogatepass").decode()
        for character in str(text)
    )


def percent(part: float, total: float = 1) -> str:
    """Give a share in percent that is 100 or 0 only if it is all or nothing.

    >>> percent(9_999, 10_000), percent(99_999, 100_000), percent(3, 3), percent(0.0001), percent(1e-6)
    ('99.99 %', '> 99.99 %', '100 %', '0.01 %', '< 0.01 %')
    """
    share = 100 * part / total
    if 99.99 < share < 100:
        return "> 99.99 %"
    if 0 < share < 0.01:
        return "< 0.01 %"
    return f"{share:.4g} %" if share > 99 else f"{share:.3g} %"


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    r"""Lines of a table: the first columns, `left` of them, to the left, the others to the right.

    >>> print("\n".join(columns(["name", "n"], [["a", "10"], ["bc", "9"]])))
    name   n
    a     10
    bc     9
    """
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        sized = enumerate(zip(row, widths, strict=True))
        cells = [cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in sized]
        lines.append("  ".join(cells).rstrip())
    return lines

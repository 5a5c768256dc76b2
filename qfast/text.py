"""Small pieces of text that all faces share: numbers in words, tables, and text from outside made safe to print."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Any

from qfast.errors import InvalidInput

__all__ = [
    "check_printable",
    "columns",
    "in_percent",
    "p_text",
    "percent",
    "printable",
    "probability",
    "seeds_text",
]  # fmt: skip

# Control characters, bidirectional overrides and other format characters, line and paragraph separators, halves of
# surrogate pairs: what moves the cursor, colours the screen, hides or reorders text, or cannot be encoded.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Joiners belong to the spelling of several languages, and of emoji.
_JOINERS = "\u200c\u200d"


def _is_printable(character: str) -> bool:
    return unicodedata.category(character) not in _UNPRINTABLE or character in _JOINERS


def check_printable(what: str, text: str) -> str:
    """Refuse a name that holds characters which a terminal or a page would obey instead of showing."""
    for character in "" if text.isprintable() else text:  # nearly all are, and that is fast
        if not _is_printable(character):
            whole = f"'{printable(text):.60}'"
            raise InvalidInput(f"{what} holds {whole} with the control character U+{ord(character):04X}; leave it out")
    return text


def printable(text: Any) -> str:
    r"""Write out what a terminal would obey instead of showing, as in names of files that come from outside.

    >>> print(printable("a\x1b[31mb\nc"))
    a\x1b[31mb\nc
    """
    if (text := str(text)).isprintable():
        return text  # type: ignore[no-any-return]
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


def in_percent(share: float, digits: int | None = None) -> str:
    """A share in percent without or with one digit behind the point; ``0`` and ``100`` only where they are exact.

    >>> [in_percent(share) for share in (0.25, 0.99999, 0.00002, 1.0, 0.0312)]
    ['25 %', '> 99.9 %', '< 0.1 %', '100 %', '3.1 %']
    """
    if digits is None:
        digits = 0 if share in (0.0, 1.0) or 0.0995 <= share <= 0.9005 else 1
    least = 10.0**-digits
    if 0 < 100 * share < least / 2:
        return f"< {least:g} %"
    if 0 < 100 * (1 - share) < least / 2:
        return f"> {100 - least:g} %"
    return f"{100 * share:.{digits}f} %"


def probability(p: float, error: float = 0.0) -> str:
    """A probability with four digits; as a bound where its error (1 / n: nothing seen in n) cannot tell it from 0 or 1.

    >>> probability(0.41452), probability(0.0, 0.0001), probability(3e-15), probability(0.0), probability(1 - 1e-9)
    ('0.4145', '< 0.0003', '< 0.0001', '0', '> 0.9999')
    """
    if math.isnan(p):
        return "-"
    if p in (0.0, 1.0) and not error > 0:
        return f"{p:.0f}"
    # Nothing seen in n experiments: at 95 % the probability is below 3 / n.
    least = max(3 * error, 1e-4) if p in (0.0, 1.0) else 1e-4
    if min(p, 1 - p) >= least / 2:
        return f"{p:.4f}"
    return f"< {least:.1g}" if p < 0.5 else f"> {1 - least:.5g}"


def p_text(p: float) -> str:
    """A p-value, with its sign of relation: ``= 0.031``, ``< 1e-15``."""
    return "< 1e-15" if p < 1e-15 else f"= {p:.2g}"


def seeds_text(*, paired: bool) -> str:
    """What the seeds of an experiment are."""
    return "shared random numbers" if paired else "independent seeds"


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

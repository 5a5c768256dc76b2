"""Policies of a population as text maps: only what is met, several beside each other."""

from collections.abc import Sequence

from qfast.model.mdp import MDP
from qfast.model.mdp_checks import WALL

__all__ = ["cells", "side_by_side"]


def cells(mdp: MDP) -> list[list[int]]:
    """Give the state of each cell of the layout, -1 for walls.

    Examples
    --------
    >>> from qfast.problems import grid
    >>> cells(grid(["S#", ".G"]))
    [[0, -1], [1, 2]]
    """
    rows: list[list[int]] = []
    state = 0
    for row in mdp.layout or ():
        rows.append([])
        for character in row:
            rows[-1].append(-1 if character == WALL else state)
            state += character != WALL
    return rows


def side_by_side(maps: Sequence[tuple[str, str]], columns: int) -> str:
    r"""Set maps with their titles beside each other, as many as fit into a line; the first one always.

    Examples
    --------
    >>> print(side_by_side([("a", "xx\nxx"), ("b", "y")], 12))
      a     b
      xx    y
      xx
    """
    blocks: list[list[str]] = []
    used = 0
    for title, text in maps:
        lines = [title, *text.split("\n")]
        width = max(map(len, lines))
        if blocks and used + width + 4 > columns:
            break
        used += width + 4
        blocks.append([line.ljust(width) for line in lines])
    height = max(map(len, blocks))
    padded = [block + [" " * len(block[0])] * (height - len(block)) for block in blocks]
    return "\n".join(("  " + "    ".join(row)).rstrip() for row in zip(*padded, strict=True))

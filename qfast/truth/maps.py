"""Policies of a population as text maps: only what is met, several beside each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qfast.mdp import MDP
from qfast.mdp_checks import WALL
from qfast.problems import arrows

__all__ = ["arrow_map", "cells", "side_by_side"]


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


def arrow_map(mdp: MDP, chosen: NDArray[np.bool_], *, ascii_only: bool = False) -> str:
    """Draw sets of actions (S, A) on the layout; cells without any show the layout, ``+`` stands for indifference.

    Raises
    ------
    InvalidInput
        If the problem has no layout.

    Examples
    --------
    >>> import numpy as np
    >>> from qfast.problems import grid
    >>> mdp = grid(["S..", "..G"])
    >>> chosen = np.zeros((6, 4), bool)
    >>> chosen[0] = True
    >>> chosen[1, 1] = True
    >>> print(arrow_map(mdp, chosen, ascii_only=True))
    +v.
    ..G
    """
    allowed = np.ones_like(chosen) if mdp.allowed is None else mdp.allowed
    count = chosen.sum(axis=1)
    blank = count == 0
    alike = (count == allowed.sum(axis=1)) & (count > 2)
    drawn = np.where((blank | alike)[:, None], np.eye(1, mdp.n_actions, dtype=np.bool_), chosen)
    drawn[blank | alike] = allowed[blank | alike] & (np.cumsum(allowed[blank | alike], axis=1) == 1)
    lines = arrows(mdp, drawn, ascii_only=ascii_only).split("\n")
    width = max(int(drawn[mdp.decision_states].sum(axis=1).max()), 1)
    step = width + (width > 1)
    shown = []
    for characters, states, line in zip(mdp.layout or (), cells(mdp), lines, strict=True):
        texts = [line[j * step : j * step + width] for j in range(len(states))]
        for j, (character, state) in enumerate(zip(characters, states, strict=True)):
            if state >= 0 and mdp.decision_states[state] and (blank[state] or alike[state]):
                texts[j] = (character if blank[state] else "+").ljust(width)
        shown.append((" " if width > 1 else "").join(text.ljust(width) for text in texts).rstrip())
    return "\n".join(shown)


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

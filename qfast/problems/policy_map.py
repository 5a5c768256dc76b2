"""Policies as text maps: arrows on the layout of an MDP, and several maps beside each other."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import array_of, flag
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP, check_mdp
from qfast.model.mdp_checks import WALL

__all__ = ["arrows", "cells", "side_by_side"]

# Name of an action: its arrow, and its sign where only ASCII can be printed (diagonals as on a numeric keypad).
_SIGNS: Final = {
    name: signs
    for names, signs in {
        "left west -1 back": ("←", "<"), "down south": ("↓", "v"), "right east 1 +1 forward": ("→", ">"),
        "up north": ("↑", "^"), "up-left": ("↖", "7"), "up-right": ("↗", "9"), "down-right": ("↘", "3"),
        "down-left": ("↙", "1"), "stay": ("•", "o"),
    }.items()
    for name in names.split()
}  # fmt: skip


def arrows(mdp: MDP, policy: ArrayLike, *, ascii_only: bool = False) -> str:
    """Draw a policy on the layout of an MDP.

    Cells in which an agent can act show what it does there; all others (walls, holes, cliffs, the goal, cells that
    cannot be reached) show the character of the layout. Actions without a known direction show the first letter of
    their name, or their number where letters are not unique.

    Parameters
    ----------
    mdp : MDP
        A problem with a layout.
    policy : array_like of int, shape (n_states,), or of bool, shape (n_states, n_actions)
        The action in each state, or True for every greedy action, so that ties are seen: a cell then shows all of
        them, ``+`` if these are all that are allowed and more than two, or the character of the layout if there is
        none, as in states that a policy of `Run.policies` does not meet. What it says about states in which no agent
        can act is ignored.
    ascii_only : bool, default False
        Whether to draw ``<``, ``v``, ``>``, ``^`` in place of arrows; diagonals are then 7, 9, 3 and 1, as on a
        numeric keypad.

    Returns
    -------
    str
        One line a row, without a line break at the end. If a cell shows several actions, all cells are as wide as the
        widest and a blank apart.

    Raises
    ------
    InvalidInput
        If the MDP has no layout, the policy has another shape or dtype, an action is out of range or not allowed, or
        there is no action at all.

    Examples
    --------
    >>> from qfast.problems import arrows, corridor, grid
    >>> print(arrows(corridor(), [1, 1, 0, 1, 0], ascii_only=True))
    >><>G
    >>> mdp = grid(["S.", "#G"])
    >>> both = [[False, False, True, True], [False, True, False, False], [False] * 4]
    >>> print(arrows(mdp, both, ascii_only=True))
    >^ v
    #  G
    """
    if isinstance(policy, MDP) and not isinstance(mdp, MDP):
        raise InvalidInput("the problem comes first, and the policy second: arrows(mdp, policy)")
    check_mdp(mdp)
    ascii_only = flag("ascii_only", ascii_only)
    if mdp.layout is None:
        msg = "the MDP has no layout, so there is no map to draw on; give MDP(…, layout=[…]), or print its table"
        raise InvalidInput(msg)
    chosen = _action_sets(mdp, policy)
    signs = _signs(mdp.action_names, ascii_only=ascii_only)
    allowed = np.ones_like(chosen) if mdp.allowed is None else mdp.allowed
    alike = (chosen == allowed).all(axis=1) & (allowed.sum(axis=1) > 2)
    rows = []
    for row, states in zip(mdp.layout, cells(mdp), strict=True):
        rows.append(list(row))
        for column, state in enumerate(states):
            if state >= 0 and mdp.decision_states[state] and chosen[state].any():
                taken = "".join(signs[a] for a in np.flatnonzero(chosen[state]))
                rows[-1][column] = "+" if alike[state] else taken
    width = max(len(text) for texts in rows for text in texts)
    gap = " " if width > 1 else ""
    return "\n".join(gap.join(text.ljust(width) for text in texts).rstrip() for texts in rows)


def _signs(names: tuple[str, ...], *, ascii_only: bool) -> list[str]:
    """Give each action a sign of one character, or its number."""
    signs = [_SIGNS[name.lower()][int(ascii_only)] if name.lower() in _SIGNS else "" for name in names]
    letters = [name[:1] for name, sign in zip(names, signs, strict=True) if not sign]
    unique = len(set(letters)) == len(letters) and "" not in letters and not set(letters) & {*signs, "+"}
    return [sign or (name[0] if unique else str(a)) for a, (sign, name) in enumerate(zip(signs, names, strict=True))]


def _action_sets(mdp: MDP, policy: ArrayLike) -> NDArray[np.bool_]:
    """Turn either form of a policy into sets of actions, bool (n_states, n_actions)."""
    given = array_of("the policy", policy)
    shape = (mdp.n_states, mdp.n_actions)
    if given.dtype.kind == "b" and given.shape == shape:
        chosen = given
    elif given.dtype.kind in "iu" and given.shape == shape[:1]:
        outside = mdp.decision_states & ((given < 0) | (given >= mdp.n_actions))
        for state in np.flatnonzero(outside)[:1]:
            raise InvalidInput(f"policy[{state}]={given[state]} is outside [0, {mdp.n_actions - 1}]; give an action")
        chosen = given[:, None] == np.arange(mdp.n_actions)
    else:
        raise InvalidInput(
            f"the policy has dtype {given.dtype} and shape {given.shape}; give integers of shape {shape[:1]} "
            f"or booleans of shape {shape}"
        )
    if not chosen[mdp.decision_states].any():
        msg = "the policy names no action in any state in which an agent can act; set True where an action is greedy"
        raise InvalidInput(msg)
    if mdp.allowed is not None:
        for state, action in np.argwhere(chosen & ~mdp.allowed & mdp.decision_states[:, None])[:1]:
            raise InvalidInput(f"policy[{state}] takes action {action}, which is not allowed there; leave it out")
    return chosen


def cells(mdp: MDP) -> list[list[int]]:
    """Give the state of each cell of the layout, -1 for walls."""
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

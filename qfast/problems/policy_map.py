"""A policy as a text map: arrows on the layout of an MDP."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import flag
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP, check_mdp
from qfast.model.mdp_checks import WALL

__all__ = ["arrows"]

# Name of an action: its arrow, and its sign where only ASCII can be printed (diagonals as on a numeric keypad).
_SIGNS: Final = {
    "left": ("←", "<"),
    "down": ("↓", "v"),
    "right": ("→", ">"),
    "up": ("↑", "^"),
    "west": ("←", "<"),
    "south": ("↓", "v"),
    "east": ("→", ">"),
    "north": ("↑", "^"),
    "-1": ("←", "<"),
    "1": ("→", ">"),
    "+1": ("→", ">"),
    "back": ("←", "<"),
    "forward": ("→", ">"),
    "up-left": ("↖", "7"),
    "up-right": ("↗", "9"),
    "down-right": ("↘", "3"),
    "down-left": ("↙", "1"),
    "stay": ("•", "o"),
}


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
    rows: list[list[str]] = []
    state = 0
    for row in mdp.layout:
        rows.append([])
        for character in row:
            text = character
            if character != WALL:
                if mdp.decision_states[state] and chosen[state].any():
                    text = "+" if alike[state] else "".join(signs[a] for a in np.flatnonzero(chosen[state]))
                state += 1
            rows[-1].append(text)
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
    try:
        given = np.asarray(policy)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"the policy is no rectangular array ({error}); give an action for each state") from error
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

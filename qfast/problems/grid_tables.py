"""The arithmetic of grid worlds: from a map of cells to the lookup tables of its moves.

Cells are single characters: ``S`` start, ``G`` goal, ``H`` hole, ``C`` cliff, ``#`` wall, ``.`` or ``F`` floor.
Every cell but a wall is a state; states are numbered in reading order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.model.mdp_checks import WALL
from qfast.problems.outcomes import Tables

__all__ = ["CELLS", "FOUR_MOVES", "Cells", "move_tables", "share_of_slip"]

#: What each character of a map means.
CELLS: Final[Mapping[str, str]] = {
    "S": "start",
    "G": "goal",
    "H": "hole",
    "C": "cliff",
    WALL: "wall",
    ".": "floor",
    "F": "floor",
}

#: Moves (rows, columns) in the order of Gymnasium's FrozenLake.
FOUR_MOVES: Final[Mapping[str, tuple[int, int]]] = {"left": (0, -1), "down": (1, 0), "right": (0, 1), "up": (-1, 0)}


@dataclass(frozen=True, eq=False)
class Cells:
    """A checked map of cells.

    Attributes
    ----------
    rows : tuple of str
        The map, rows of equal length.
    letter : ndarray of str, shape (n_states,)
        What is in the cell of each state.
    row, column : ndarray of int64, shape (n_states,)
        Where the cell of each state is.
    state : ndarray of int64, shape (n_rows, n_columns)
        The state of each cell, -1 for walls.
    """

    rows: tuple[str, ...]
    letter: NDArray[np.str_]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    state: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[str]) -> "Cells":
        """Check rows of text and number their cells.

        Parameters
        ----------
        rows : sequence of str
            The map.

        Returns
        -------
        Cells
            The numbered map.

        Raises
        ------
        InvalidInput
            If there is no cell, a row has another length, a character means nothing, or there is no start.

        Examples
        --------
        >>> Cells.of(["S#G"]).state
        array([[ 0, -1,  1]])
        """
        if not rows or not rows[0]:
            raise InvalidInput("the grid is empty; give rows of cells such as 'S..G'")
        for r, text in enumerate(rows):
            for c, character in enumerate(text):
                if character not in CELLS:
                    meanings = ", ".join(f"{key} {meaning}" for key, meaning in CELLS.items())
                    raise InvalidInput(f"the grid has {character!r} in row {r}, column {c}; cells are {meanings}")
            if len(text) != len(rows[0]):
                raise InvalidInput(
                    f"row {r} of the grid has {len(text)} cells, row 0 has {len(rows[0])}; "
                    f"make all rows equally long, for example with walls ({WALL})"
                )
        letters = np.array([list(text) for text in rows])
        if not (letters == "S").any():
            raise InvalidInput("the grid has no start; put an S into one cell")
        row, column = np.nonzero(letters != WALL)
        state = np.full(letters.shape, -1, dtype=np.int64)
        state[row, column] = np.arange(row.size)
        return cls(tuple(rows), letters[row, column], row.astype(np.int64), column.astype(np.int64), state)

    @property
    def n_states(self) -> int:
        """Number of cells that are no wall."""
        return int(self.letter.size)

    def start(self) -> NDArray[np.float64]:
        """Give the uniform distribution over the start cells, shape (n_states,)."""
        starts = self.letter == "S"
        return np.where(starts, 1.0 / np.count_nonzero(starts), 0.0)

    def names(self) -> list[str]:
        """Name each state ``row,column``."""
        return [f"{r},{c}" for r, c in zip(self.row.tolist(), self.column.tolist(), strict=True)]

    def after(self, move: tuple[int, int]) -> NDArray[np.int64]:
        """Give the state that a move leads to from each state: the edge of the map and walls stop it.

        Parameters
        ----------
        move : tuple of int
            Rows down and columns to the right.

        Returns
        -------
        ndarray of int64, shape (n_states,)
            The state entered; the state itself where a wall is in the way.

        Examples
        --------
        >>> Cells.of(["S#G"]).after((0, 1))
        array([0, 1])
        """
        n_rows, n_columns = self.state.shape
        entered = self.state[
            np.clip(self.row + move[0], 0, n_rows - 1),
            np.clip(self.column + move[1], 0, n_columns - 1),
        ]
        return np.where(entered < 0, np.arange(self.n_states), entered)


def share_of_slip(slip: float) -> list[tuple[int, float]]:
    """Say which way a move goes on slippery ground, as in FrozenLake.

    Parameters
    ----------
    slip : float
        Probability in [0, 1] of moving at a right angle to the wanted direction, half of it to either side.

    Returns
    -------
    list of (int, float)
        Steps around the compass and their probabilities, those of probability 0 left out. Probabilities that
        differ from equal ones by rounding alone are exactly equal.

    Raises
    ------
    InvalidInput
        If the probability is outside [0, 1].

    Examples
    --------
    >>> share_of_slip(2 / 3) == [(-1, 1 / 3), (0, 1 / 3), (1, 1 / 3)]
    True
    >>> share_of_slip(0.0)
    [(0, 1.0)]
    """
    if isinstance(slip, (bool, np.bool_)) or not isinstance(slip, (int, float, np.integer, np.floating)):
        raise InvalidInput(f"slip={slip!r} is no number; give a probability in [0, 1]")
    if not 0.0 <= slip <= 1.0:
        raise InvalidInput(f"slip={slip} is outside [0, 1]; give a probability such as 0.2")
    shares = [(turn, p) for turn, p in ((-1, slip / 2), (0, 1.0 - slip), (1, slip / 2)) if p > 0]
    even = 1.0 / len(shares)
    if all(abs(p - even) < 1e-12 for _, p in shares):
        return [(turn, even) for turn, _ in shares]
    return [(turn, float(p)) for turn, p in shares]


def move_tables(
    cells: Cells,
    *,
    moves: Sequence[tuple[int, int]],
    shares: Sequence[tuple[int, float]],
    rewards: Mapping[str, float],
    absorbing: bool,
) -> Tables:
    """Turn a map into tables: one action a move, one outcome a share.

    The reward is that of the cell entered, or stayed in. Entering a goal or a hole ends the episode. Entering a
    cliff puts the agent back to the start instead, and the episode goes on.

    Parameters
    ----------
    cells : Cells
        The map; with a cliff it must have exactly one start.
    moves : sequence of (int, int)
        The actions, in the order of the compass, so that the neighbours of an action are the moves at right angles.
    shares : sequence of (int, float)
        For each outcome, how many steps around the compass it is off, and its probability.
    rewards : mapping of str to float
        Reward of entering a ``"goal"``, ``"hole"``, ``"cliff"`` or ``"floor"`` (starts count as floor).
    absorbing : bool
        Whether goals and holes get rows that stay where they are, terminated, for no reward. Such rows are never
        read; otherwise they are filled like any other, as Gymnasium's CliffWalking does.

    Returns
    -------
    Tables
        Of shape (n_states, len(moves), len(shares)).

    Raises
    ------
    InvalidInput
        If there is a cliff and more than one start.

    Examples
    --------
    >>> rewards = {"goal": 1.0, "hole": 0.0, "cliff": -100.0, "floor": 0.0}
    >>> cells = Cells.of(["SCG"])
    >>> tables = move_tables(cells, moves=[(0, 1)], shares=[(0, 1.0)], rewards=rewards, absorbing=True)
    >>> tables.next_state.ravel(), tables.reward.ravel()
    (array([0, 2, 2]), array([-100.,    1.,    0.]))
    """
    starts = np.flatnonzero(cells.letter == "S")
    cliff, ends = cells.letter == "C", np.isin(cells.letter, ("G", "H"))
    if cliff.any() and starts.size > 1:
        msg = f"the grid has a cliff and {starts.size} starts; a fall leads back to the start, so put only one S"
        raise InvalidInput(msg)
    pays = np.array([rewards["floor" if CELLS[c] == "start" else CELLS[c]] for c in cells.letter.tolist()])
    by_move = np.stack([cells.after(move) for move in moves])
    turned = [[(a + turn) % len(moves) for turn, _ in shares] for a in range(len(moves))]
    entered = np.moveaxis(by_move[np.array(turned)], 2, 0)  # (action, outcome, state) to (state, action, outcome)
    reward, terminated = pays[entered], ends[entered]
    next_state = np.where(cliff[entered], starts[0], entered)
    if absorbing:
        next_state[ends] = np.flatnonzero(ends)[:, None, None]
        reward[ends], terminated[ends] = 0.0, True
    probability = np.broadcast_to(np.array([p for _, p in shares]), entered.shape).copy()
    return Tables(next_state, reward, terminated, probability)

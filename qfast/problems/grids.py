"""Grid worlds from text: from a map of cells to the lookup tables of its moves.

Cells are single characters: ``S`` start, ``G`` goal, ``H`` hole, ``C`` cliff, ``#`` wall, ``.`` or ``F`` floor.
Every cell but a wall is a state; states are numbered in reading order.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import number
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.model.mdp_checks import WALL
from qfast.problems.outcomes import Tables

__all__ = ["FOUR_MOVES", "PROBABILITY", "Cells", "grid", "grid_mdp", "slip_shares", "slippery_grid"]

#: What each character of a map means.
_CELLS: Final = {"S": "start", "G": "goal", "H": "hole", "C": "cliff", WALL: "wall", ".": "floor", "F": "floor"}

#: Moves (rows, columns) in the order of Gymnasium's FrozenLake.
FOUR_MOVES: Final[Mapping[str, tuple[int, int]]] = {"left": (0, -1), "down": (1, 0), "right": (0, 1), "up": (-1, 0)}

#: The range of a probability, and what to do with one that is outside.
PROBABILITY: Final = ("[0, 1]", "use a probability such as 0.2")


@dataclass(frozen=True, eq=False)
class Cells:
    """A checked map of cells, made by `of`."""

    rows: tuple[str, ...]  # the map, rows of equal length
    letter: NDArray[np.str_]  # (n_states,), what is in the cell of each state
    row: NDArray[np.int64]  # (n_states,), where the cell of each state is
    column: NDArray[np.int64]
    state: NDArray[np.int64]  # (n_rows, n_columns), the state of each cell, -1 for walls

    @classmethod
    def of(cls, text: str | Sequence[str]) -> "Cells":
        """Check a map and number its cells; indentation, blank lines around it and blanks at line ends do not count."""
        if isinstance(text, str):
            rows = [line.rstrip() for line in inspect.cleandoc(text).splitlines()]
        elif isinstance(text, Sequence) and all(isinstance(row, str) for row in text):
            rows = [row.strip() for row in text]
        else:
            raise InvalidInput(f"the grid is {type(text).__name__}; give one text with line breaks, or a list of rows")
        if not rows or not rows[0]:
            raise InvalidInput("the grid is empty; give rows of cells such as 'S..G'")
        for r, line in enumerate(rows):
            for c, character in enumerate(line):
                if character not in _CELLS:
                    meanings = ", ".join(f"{key} {meaning}" for key, meaning in _CELLS.items())
                    raise InvalidInput(f"the grid has {character!r} in row {r}, column {c}; cells are {meanings}")
            if len(line) != len(rows[0]):
                raise InvalidInput(
                    f"row {r} of the grid has {len(line)} cells, row 0 has {len(rows[0])}; "
                    f"make all rows equally long, for example with walls ({WALL})"
                )
        letters = np.array([list(line) for line in rows])
        if not (letters == "S").any():
            raise InvalidInput("the grid has no start; put an S into one cell")
        row, column = np.nonzero(letters != WALL)
        state = np.full(letters.shape, -1, dtype=np.int64)
        state[row, column] = np.arange(row.size)
        return cls(tuple(rows), letters[row, column], row.astype(np.int64), column.astype(np.int64), state)

    def start(self) -> NDArray[np.float64]:
        """Give the uniform distribution over the start cells, shape (n_states,)."""
        starts = self.letter == "S"
        return np.where(starts, 1.0 / np.count_nonzero(starts), 0.0)

    def names(self) -> list[str]:
        """Name each state ``row,column``."""
        return [f"{r},{c}" for r, c in zip(self.row.tolist(), self.column.tolist(), strict=True)]

    def after(self, move: tuple[int, int]) -> NDArray[np.int64]:
        """The state (n_states,) that a move, rows down and columns right, leads to: edges and walls stop it."""
        n_rows, n_columns = self.state.shape
        entered = self.state[
            np.clip(self.row + move[0], 0, n_rows - 1), np.clip(self.column + move[1], 0, n_columns - 1)
        ]
        return np.where(entered < 0, np.arange(self.letter.size), entered)


def slip_shares(slip: float) -> list[tuple[int, float]]:
    """Steps around the compass that a move goes on slippery ground, as in FrozenLake, and their probabilities.

    Those of probability 0 are left out; those that differ from equal ones by rounding alone are exactly equal.

    >>> slip_shares(2 / 3) == [(-1, 1 / 3), (0, 1 / 3), (1, 1 / 3)], slip_shares(0.0)
    (True, [(0, 1.0)])
    """
    slip = number("slip", slip, *PROBABILITY)
    shares = [(turn, p) for turn, p in ((-1, slip / 2), (0, 1.0 - slip), (1, slip / 2)) if p > 0]
    even = 1.0 / len(shares)
    return [(turn, even) for turn, _ in shares] if all(abs(p - even) < 1e-12 for _, p in shares) else shares


def grid_mdp(
    cells: Cells,
    *,
    shares: Sequence[tuple[int, float]],
    rewards: Mapping[str, float],
    moves: Mapping[str, tuple[int, int]] = FOUR_MOVES,
    absorbing: bool = True,
    named: bool = True,
    max_episode_steps: int | None,
) -> MDP:
    """Turn a map into a problem: one action a move (in the order of the compass), one outcome a share.

    A share says how many steps around the compass an outcome is off, and its probability.  The reward is that of the
    cell entered, or stayed in (starts count as floor).  Entering a goal or a hole ends the episode.  Entering a cliff
    puts the agent back to the start instead, and the episode goes on.  `absorbing` ends get rows that stay where they
    are, terminated, for no reward; otherwise they are filled like any other, as Gymnasium's CliffWalking does.
    """
    starts = np.flatnonzero(cells.letter == "S")
    cliff, ends = cells.letter == "C", np.isin(cells.letter, ("G", "H"))
    if cliff.any() and starts.size > 1:
        raise InvalidInput(
            f"the grid has a cliff and {starts.size} starts; a fall leads back to the start, so put only one S"
        )
    pays = np.array([rewards["floor" if _CELLS[c] == "start" else _CELLS[c]] for c in cells.letter.tolist()])
    by_move = np.stack([cells.after(move) for move in moves.values()])
    turned = [[(a + turn) % len(moves) for turn, _ in shares] for a in range(len(moves))]
    entered = np.moveaxis(by_move[np.array(turned)], 2, 0)  # (action, outcome, state) to (state, action, outcome)
    reward, terminated = pays[entered], ends[entered]
    next_state = np.where(cliff[entered], starts[0], entered)
    if absorbing:
        next_state[ends] = np.flatnonzero(ends)[:, None, None]
        reward[ends], terminated[ends] = 0.0, True
    probability = np.broadcast_to(np.array([p for _, p in shares]), entered.shape)
    return Tables(next_state, reward, terminated, probability).mdp(
        start=cells.start(),
        max_episode_steps=max_episode_steps,
        state_names=cells.names() if named else None,
        action_names=list(moves),
        layout=cells.rows,
    )


def slippery_grid(
    text: str | Sequence[str],
    *,
    rewards: Mapping[str, float],
    slip: float,
    max_episode_steps: int | None,
    named: bool = True,
) -> MDP:
    """Make a grid world of four moves; `rewards` are those of `grid`, by the kind of cell."""
    rewards = {kind: number(f"{'step' if kind == 'floor' else kind}_reward", value) for kind, value in rewards.items()}
    cells = Cells.of(text)
    if max_episode_steps is None and not np.isin(cells.letter, ("G", "H")).any():
        raise InvalidInput("the grid has no goal (G), no hole (H) and no limit; add a G or set max_episode_steps")
    shares = slip_shares(slip)
    return grid_mdp(cells, shares=shares, rewards=rewards, named=named, max_episode_steps=max_episode_steps)


def grid(
    text: str | Sequence[str],
    *,
    step_reward: float = 0.0,
    goal_reward: float = 1.0,
    hole_reward: float = 0.0,
    cliff_reward: float = -100.0,
    slip: float = 0.0,
    max_episode_steps: int | None = None,
) -> MDP:
    """Make a grid world from text.

    A cell is ``S`` start, ``G`` goal, ``H`` hole, ``C`` cliff, ``#`` wall, ``.`` or ``F`` floor. Actions are left,
    down, right, up (0 to 3, the order of Gymnasium's FrozenLake). A move against a wall or the edge stays where it
    is. Entering a goal or a hole ends the episode; entering a cliff leads back to the start and the episode goes on
    (as in CliffWalking). Several starts are equally likely.

    Parameters
    ----------
    text : str or sequence of str
        The map; indentation and blank lines around it do not count. All rows have the same length.
    step_reward : float, default 0
        Reward of a step that enters floor or a start, or stays there; the cost of a step is its negative.
    goal_reward, hole_reward, cliff_reward : float, default 1, 0 and -100
        Reward of the step that enters such a cell, in place of `step_reward`.
    slip : float in [0, 1], default 0
        Probability of moving at a right angle to the wanted direction, half of it to either side. 2/3 is
        FrozenLake's ice.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.

    Returns
    -------
    MDP
        Cells other than walls are the states, in reading order, named ``row,column``; the map is its layout.

    Raises
    ------
    InvalidInput
        If a character means nothing (the message names row and column), rows differ in length, there is no start,
        no end and no limit, or several starts and a cliff; if a reward is not finite or `slip` is outside [0, 1].

    Examples
    --------
    >>> from qfast.problems import grid
    >>> mdp = grid('''
    ...     S.#
    ...     ..G
    ... ''', step_reward=-1.0)
    >>> mdp.state_names
    ('0,0', '0,1', '1,0', '1,1', '1,2')
    >>> mdp.next_state[0, :, 0], mdp.reward[3, :, 0]
    (array([0, 2, 1, 0]), array([-1., -1.,  1., -1.]))
    """
    rewards = {"floor": step_reward, "goal": goal_reward, "hole": hole_reward, "cliff": cliff_reward}
    return slippery_grid(text, rewards=rewards, slip=slip, max_episode_steps=max_episode_steps)

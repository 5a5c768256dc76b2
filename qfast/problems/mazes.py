"""Mazes: the Dyna maze with its blocking and shortcut variants, and the four rooms."""

from typing import Final

import numpy as np

from qfast.arguments import flag
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.grid_tables import FOUR_MOVES, Cells, move_tables
from qfast.problems.grids import grid
from qfast.problems.number_checks import probability

__all__ = ["blocking_maze", "dyna_maze", "four_rooms", "shortcut_maze"]

_DYNA: Final = """
    .......#G
    ..#....#.
    S.#....#.
    ..#......
    .....#...
    .........
"""

_BARRIER: Final = """
    ........G
    .........
    .........
    {barrier}
    .........
    ...S.....
"""

_ROOMS: Final = (
    "#############",
    "#.....#.....#",
    "#.....#.....#",
    "#...........#",
    "#.....#.....#",
    "#.....#.....#",
    "##.####.....#",
    "#.....###.###",
    "#.....#.....#",
    "#.....#.....#",
    "#...........#",
    "#.....#.....#",
    "#############",
)


def dyna_maze(*, max_episode_steps: int | None = None) -> MDP:
    """Make the Dyna maze: 6 x 9 cells, 7 of them walls.

    47 states, named ``row,column``; actions left, down, right, up. Reaching the goal pays 1, all else 0. The start
    is 2,0 and the goal 0,8.

    Parameters
    ----------
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit, as in the book.

    Returns
    -------
    MDP
        The problem.

    Raises
    ------
    InvalidInput
        If the limit is below 1.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 8.1 (discount 0.95). The shortest way has 14 steps, so the value of the
    start is ``0.95**13``, about 0.513.

    Examples
    --------
    >>> from qfast.problems import dyna_maze
    >>> dyna_maze().n_states
    47
    """
    return grid(_DYNA, max_episode_steps=max_episode_steps)


def blocking_maze(*, after: bool = False, max_episode_steps: int | None = None) -> MDP:
    """Make the blocking maze, a 6 x 9 grid with one barrier, before or after its way through has moved.

    Before, the barrier is open on the right; after, on the left. 46 states, named ``row,column``; actions left,
    down, right, up. Reaching the goal 0,8 from the start 5,3 pays 1, all else 0.

    Parameters
    ----------
    after : bool, default False
        Which of the two mazes; the book changes from one to the other after 1,000 steps.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit, as in the book.

    Returns
    -------
    MDP
        The problem.

    Raises
    ------
    InvalidInput
        If the limit is below 1.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 8.2. The shortest way has 10 steps before and 16 after.

    Examples
    --------
    >>> from qfast.problems import blocking_maze
    >>> blocking_maze(after=True).layout[3]
    '.########'
    """
    after = flag("after", after)
    return grid(_BARRIER.format(barrier=".########" if after else "########."), max_episode_steps=max_episode_steps)


def shortcut_maze(*, after: bool = False, max_episode_steps: int | None = None) -> MDP:
    """Make the shortcut maze, a 6 x 9 grid with one barrier, before or after a shorter way has opened.

    Before, the barrier is open on the left; after, on both sides. 46 or 47 states, named ``row,column``; actions
    left, down, right, up. Reaching the goal 0,8 from the start 5,3 pays 1, all else 0.

    Parameters
    ----------
    after : bool, default False
        Which of the two mazes; the book changes from one to the other after 3,000 steps.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit, as in the book.

    Returns
    -------
    MDP
        The problem.

    Raises
    ------
    InvalidInput
        If the limit is below 1.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 8.3. The shortest way has 16 steps before and 10 after.

    Examples
    --------
    >>> from qfast.problems import shortcut_maze
    >>> shortcut_maze(after=True).layout[3]
    '.#######.'
    """
    after = flag("after", after)
    return grid(_BARRIER.format(barrier=".#######." if after else ".########"), max_episode_steps=max_episode_steps)


def four_rooms(
    *,
    slip: float = 1 / 3,
    start: tuple[int, int] | None = (1, 1),
    goal: tuple[int, int] = (7, 9),
    max_episode_steps: int | None = None,
) -> MDP:
    """Make the four rooms: a 13 x 13 grid, walls included, of four rooms joined by four hallways.

    104 states, named ``row,column``; actions left, down, right, up. With probability `slip` the agent moves in one
    of the other three directions, each as likely. Reaching the goal pays 1, all else 0.

    Parameters
    ----------
    slip : float in [0, 1], default 1/3
        Probability of another direction than the wanted one; 0 for a deterministic problem.
    start : tuple of int or None, default (1, 1)
        Row and column of the start, by default the upper left corner; None for any cell but the goal, equally likely.
    goal : tuple of int, default (7, 9)
        Row and column of the goal, by default the hallway between the rooms on the right.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.

    Returns
    -------
    MDP
        The problem.

    Raises
    ------
    InvalidInput
        If start or goal is a wall or outside, they are the same, `slip` is outside [0, 1], or the limit is below 1.

    Notes
    -----
    Source: Sutton, Precup & Singh (1999), "Between MDPs and semi-MDPs", Artificial Intelligence 112, section 3, with
    discount 0.9; the goal in the hallway is that of Bacon, Harb & Precup (2017), "The option-critic architecture",
    AAAI. Without slip the shortest way from the default start to the default goal has 14 steps.

    Examples
    --------
    >>> from qfast.problems import four_rooms
    >>> mdp = four_rooms()
    >>> mdp.n_states, mdp.n_outcomes, mdp.start_state
    (104, 4, 0)
    """
    rows = [list(row) for row in _ROOMS]
    for name, letter, place in (("goal", "G", goal), ("start", "S", start)):
        if place is None:
            rows = [["S" if cell == "." else cell for cell in row] for row in rows]
            continue
        r, c = _place(name, place)
        if rows[r][c] != ".":
            taken = "a wall" if rows[r][c] == "#" else "the goal"
            raise InvalidInput(f"{name}={place} is {taken}; give row and column of a free cell, such as (1, 1)")
        rows[r][c] = letter
    cells = Cells.of(["".join(row) for row in rows])
    other = probability("slip", slip)
    shares = [(0, 1.0 - other), (1, other / 3), (2, other / 3), (3, other / 3)]
    tables = move_tables(
        cells,
        moves=list(FOUR_MOVES.values()),
        shares=[share for share in shares if share[1] > 0],
        rewards={"floor": 0.0, "goal": 1.0, "hole": 0.0, "cliff": 0.0},
        absorbing=True,
    )
    return MDP(
        tables.next_state,
        tables.reward,
        terminated=tables.terminated,
        probability=tables.probability,
        start=cells.start(),
        max_episode_steps=max_episode_steps,
        state_names=cells.names(),
        action_names=list(FOUR_MOVES),
        layout=cells.rows,
    )


def _place(name: str, place: tuple[int, int]) -> tuple[int, int]:
    """Check row and column of a cell inside the rooms."""
    size = len(_ROOMS)
    pair = tuple(place) if isinstance(place, (tuple, list)) else ()
    if len(pair) != 2 or any(isinstance(i, bool) or not isinstance(i, (int, np.integer)) for i in pair):
        raise InvalidInput(f"{name}={place!r} is no cell; give (row, column)")
    if not all(0 <= i < size for i in pair):
        raise InvalidInput(f"{name}={place} is outside; rows and columns are in [0, {size - 1}]")
    return int(pair[0]), int(pair[1])

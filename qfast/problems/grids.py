"""Grid worlds from text, and the ones with a name: cliff walking, frozen lake, windy gridworld."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from qfast.arguments import flag
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.grid_tables import FOUR_MOVES, Cells, move_tables, share_of_slip
from qfast.problems.number_checks import finite, one_of

__all__ = ["cliff_walking", "frozen_lake", "grid", "rows_of_text", "windy_gridworld"]

_LAKES: Final = {
    "4x4": ("SFFF", "FHFH", "FFFH", "HFFG"),
    "8x8": ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"),
}

_CLIFF: Final = ("............", "............", "............", "SCCCCCCCCCCG")

_WIND: Final = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)

_KINGS_MOVES: Final[Mapping[str, tuple[int, int]]] = {
    **FOUR_MOVES,
    "down-left": (1, -1),
    "down-right": (1, 1),
    "up-right": (-1, 1),
    "up-left": (-1, -1),
}


def rows_of_text(text: str | Sequence[str]) -> list[str]:
    """Split a map into its rows: indentation, blank lines around it and blanks at line ends do not count.

    Parameters
    ----------
    text : str or sequence of str
        One text with line breaks, or the rows.

    Returns
    -------
    list of str
        The rows.

    Raises
    ------
    InvalidInput
        If it is neither.

    Examples
    --------
    >>> rows_of_text('''
    ...     S.
    ...     .G
    ... ''')
    ['S.', '.G']
    """
    if isinstance(text, str):
        return [line.rstrip() for line in inspect.cleandoc(text).splitlines()]
    if isinstance(text, Sequence) and all(isinstance(row, str) for row in text):
        return [row.strip() for row in text]
    raise InvalidInput(f"the grid is {type(text).__name__}; give one text with line breaks, or a list of rows")


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
    rewards = {
        "floor": finite("step_reward", step_reward),
        "goal": finite("goal_reward", goal_reward),
        "hole": finite("hole_reward", hole_reward),
        "cliff": finite("cliff_reward", cliff_reward),
    }
    return _mdp_of_text(text, rewards=rewards, slip=slip, max_episode_steps=max_episode_steps, named=True)


def _mdp_of_text(
    text: str | Sequence[str],
    *,
    rewards: Mapping[str, float],
    slip: float,
    max_episode_steps: int | None,
    named: bool,
) -> MDP:
    """Make a grid world of four moves whose states are named by row and column, or only numbered."""
    cells = Cells.of(rows_of_text(text))
    if max_episode_steps is None and not np.isin(cells.letter, ("G", "H")).any():
        raise InvalidInput("the grid has no goal (G), no hole (H) and no limit; add a G or set max_episode_steps")
    moves = list(FOUR_MOVES.values())
    tables = move_tables(cells, moves=moves, shares=share_of_slip(slip), rewards=rewards, absorbing=True)
    return MDP(
        tables.next_state,
        tables.reward,
        terminated=tables.terminated,
        probability=tables.probability,
        start=cells.start(),
        max_episode_steps=max_episode_steps,
        state_names=cells.names() if named else None,
        action_names=list(FOUR_MOVES),
        layout=cells.rows,
    )


def frozen_lake(
    desc: str | Sequence[str] = "4x4",
    *,
    slip: float = 2 / 3,
    step_reward: float = 0.0,
    goal_reward: float = 1.0,
    hole_reward: float = 0.0,
    max_episode_steps: int | None = 100,
) -> MDP:
    """Make a frozen lake of any map and any slip; the default equals Gymnasium's ``FrozenLake-v1``.

    States are the cells in reading order (16 on the 4x4 map), actions left, down, right, up. Reaching the goal pays
    1, everything else 0. Holes and the goal end the episode.

    Parameters
    ----------
    desc : str or sequence of str, default "4x4"
        ``"4x4"``, ``"8x8"`` or a map of ``S``, ``F``, ``H``, ``G`` (any map that `grid` takes).
    slip : float in [0, 1], default 2/3
        Probability of moving at a right angle; Gymnasium's ``success_rate`` is 1 - slip.
    step_reward, goal_reward, hole_reward : float
        Gymnasium's ``reward_schedule`` is ``(goal_reward, hole_reward, step_reward)``.
    max_episode_steps : int or None, default 100
        Gymnasium registers 100 for FrozenLake-v1 and 200 for FrozenLake8x8-v1.

    Returns
    -------
    MDP
        The problem.

    Raises
    ------
    InvalidInput
        As `grid` does.

    Notes
    -----
    Source: Gymnasium, ``envs/toy_text/frozen_lake.py``. Without a limit and undiscounted, an optimal policy reaches
    the goal of the slippery 4x4 map with probability 14/17 = 0.8235; within the 100 steps, with 0.74.

    Examples
    --------
    >>> from qfast.problems import frozen_lake
    >>> mdp = frozen_lake()
    >>> mdp.n_outcomes, mdp.next_state[0, 0], mdp.probability[0, 0]
    (3, array([0, 0, 4]), array([0.33333333, 0.33333333, 0.33333333]))
    """
    if isinstance(desc, str) and re.fullmatch(r"\d+x\d+", desc):
        desc = _LAKES[one_of("desc", desc, _LAKES)]
    rewards = {
        "floor": finite("step_reward", step_reward),
        "goal": finite("goal_reward", goal_reward),
        "hole": finite("hole_reward", hole_reward),
        "cliff": -100.0,
    }
    return _mdp_of_text(desc, rewards=rewards, slip=slip, max_episode_steps=max_episode_steps, named=False)


def cliff_walking(*, slippery: bool = False, max_episode_steps: int | None = None) -> MDP:
    """Make the cliff walk; it equals Gymnasium's ``CliffWalking-v1`` (or ``CliffWalkingSlippery-v1``).

    48 states: the cells of a 4 x 12 grid in reading order. Actions are up, right, down, left (0 to 3). The start is
    the lower left corner, the goal the lower right one. A step pays -1; one into the cliff between them pays -100
    and leads back to the start.

    Parameters
    ----------
    slippery : bool, default False
        Whether a move goes in the wanted direction and to either side with 1/3 each.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit, as in the book; the first episodes
        of a learner are then some thousand steps long.

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
    Source: Sutton & Barto (2018), Example 6.6. The optimal return, undiscounted, is -13; the safe path that Sarsa
    learns pays -17.

    Examples
    --------
    >>> from qfast.problems import cliff_walking
    >>> cliff_walking().reward[36, :, 0]
    array([  -1., -100.,   -1.,   -1.])
    """
    slippery = flag("slippery", slippery)
    cells = Cells.of(_CLIFF)
    moves = {name: FOUR_MOVES[name] for name in ("up", "right", "down", "left")}
    tables = move_tables(
        cells,
        moves=list(moves.values()),
        shares=share_of_slip(2 / 3 if slippery else 0.0),
        rewards={"floor": -1.0, "goal": -1.0, "hole": -1.0, "cliff": -100.0},
        absorbing=False,
    )
    return MDP(
        tables.next_state,
        tables.reward,
        terminated=tables.terminated,
        probability=tables.probability,
        start=cells.start(),
        max_episode_steps=max_episode_steps,
        action_names=list(moves),
        layout=cells.rows,
    )


def windy_gridworld(*, moves: str = "four", stochastic_wind: bool = False, max_episode_steps: int | None = None) -> MDP:
    """Make the windy gridworld: a crosswind blows upward in the middle of a 7 x 10 grid.

    70 states: the cells in reading order, named ``row,column``. The start is 3,0, the goal 3,7. Every step pays -1.
    A move is carried upward by the wind of the column that it leaves: 0, 0, 0, 1, 1, 1, 2, 2, 1, 0 rows.

    Parameters
    ----------
    moves : {"four", "king", "king_and_stay"}, default "four"
        left, down, right, up; or these and the four diagonals (Exercise 6.9); or these and no move at all.
    stochastic_wind : bool, default False
        Whether a wind that blows varies by -1, 0 or +1 row, with 1/3 each (Exercise 6.10).
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit, as in the book.

    Returns
    -------
    MDP
        The problem.

    Raises
    ------
    InvalidInput
        For other moves or a limit below 1.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 6.5 and Exercises 6.9 and 6.10. With a steady wind the optimal return,
    undiscounted, is -15 with four moves and -7 with king's moves, with or without staying.

    Examples
    --------
    >>> from qfast.problems import windy_gridworld
    >>> mdp = windy_gridworld()
    >>> mdp.state_names[mdp.next_state[36, 2, 0]]  # right from 3,6, where the wind is 2
    '1,7'
    """
    stochastic_wind = flag("stochastic_wind", stochastic_wind)
    by_name = {"four": FOUR_MOVES, "king": _KINGS_MOVES, "king_and_stay": {**_KINGS_MOVES, "stay": (0, 0)}}
    steps = by_name[one_of("moves", moves, by_name)]
    cells = Cells.of(["." * 10] * 3 + ["S......G.."] + ["." * 10] * 3)
    wind = np.array(_WIND)[cells.column]
    gusts = np.array([-1, 0, 1] if stochastic_wind else [0])
    blown = np.where(wind[:, None] > 0, wind[:, None] + gusts, 0)  # (state, outcome)
    goal = int(np.flatnonzero(cells.letter == "G")[0])
    n_rows, n_columns = cells.state.shape
    delta = np.array(list(steps.values()))
    row = np.clip(cells.row[:, None, None] + delta[None, :, 0, None] - blown[:, None, :], 0, n_rows - 1)
    column = np.clip(cells.column[:, None, None] + delta[None, :, 1, None], 0, n_columns - 1)
    next_state = cells.state[row, np.broadcast_to(column, row.shape)]
    reward = np.full(next_state.shape, -1.0)
    terminated = next_state == goal
    next_state[goal], reward[goal], terminated[goal] = goal, 0.0, True
    return MDP(
        next_state,
        reward,
        terminated=terminated,
        start=cells.start(),
        max_episode_steps=max_episode_steps,
        state_names=cells.names(),
        action_names=list(steps),
        layout=cells.rows,
    )

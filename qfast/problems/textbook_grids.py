"""Grid worlds with a name: frozen lake, cliff walking, windy gridworld, mazes, four rooms, Dietterich's taxi."""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

import numpy as np

from qfast.arguments import choice, flag, is_whole, number
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.from_table import from_P
from qfast.problems.grids import FOUR_MOVES, PROBABILITY, Cells, grid, grid_mdp, slip_shares, slippery_grid
from qfast.problems.outcomes import Outcome
from qfast.problems.titles import titled

__all__ = [
    "TAXI_ACTIONS", "blocking_maze", "cliff_walking", "dyna_maze", "four_rooms", "frozen_lake", "shortcut_maze", "taxi",
    "windy_gridworld",
]  # fmt: skip

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


@titled
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
        desc = _LAKES[choice("desc", desc, _LAKES)]
    rewards = {"floor": step_reward, "goal": goal_reward, "hole": hole_reward, "cliff": -100.0}
    return slippery_grid(desc, rewards=rewards, slip=slip, max_episode_steps=max_episode_steps, named=False)


@titled
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
    return grid_mdp(
        Cells.of(_CLIFF),
        shares=slip_shares(2 / 3 if slippery else 0.0),
        rewards={"floor": -1.0, "goal": -1.0, "hole": -1.0, "cliff": -100.0},
        moves={name: FOUR_MOVES[name] for name in ("up", "right", "down", "left")},
        absorbing=False,
        named=False,
        max_episode_steps=max_episode_steps,
    )


@titled
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
    steps = by_name[choice("moves", moves, by_name)]
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


@titled
def dyna_maze(*, max_episode_steps: int | None = None) -> MDP:
    """Make the Dyna maze: 6 x 9 cells, 7 of them walls.

    47 states, named ``row,column``; actions left, down, right, up. Reaching the goal pays 1, all else 0. The start
    is 2,0 and the goal 0,8.

    Parameters
    ----------
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit, as in the book.

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


@titled
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


@titled
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


@titled
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
        Free cell (row, column) of the start, by default the upper left one; None for any but the goal, equally likely.
    goal : tuple of int, default (7, 9)
        Free cell of the goal, by default the hallway between the rooms on the right.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.

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
    other = number("slip", slip, *PROBABILITY)
    shares = [(0, 1.0 - other), (1, other / 3), (2, other / 3), (3, other / 3)]
    return grid_mdp(
        cells,
        shares=[share for share in shares if share[1] > 0],
        rewards={"floor": 0.0, "goal": 1.0, "hole": 0.0, "cliff": 0.0},
        max_episode_steps=max_episode_steps,
    )


def _place(name: str, place: tuple[int, int]) -> tuple[int, int]:
    """Check row and column of a cell inside the rooms."""
    size = len(_ROOMS)
    pair = tuple(place) if isinstance(place, (tuple, list)) else ()
    if len(pair) != 2 or not all(map(is_whole, pair)):
        raise InvalidInput(f"{name}={place!r} is no cell; give (row, column)")
    if not all(0 <= i < size for i in pair):
        raise InvalidInput(f"{name}={place} is outside; rows and columns are in [0, {size - 1}]")
    return int(pair[0]), int(pair[1])


#: What a taxi can do, in the order of Gymnasium's.
TAXI_ACTIONS: Final = ("south", "north", "east", "west", "pickup", "dropoff")

_TOWN: Final = 5  # rows and columns
_PLACES: Final = ((0, 0), (0, 4), (4, 0), (4, 3))  # red, green, yellow, blue
_ABOARD: Final = 4

# (row, column): a wall stands between this cell and the next one to the east.
_WALL_EAST: Final = frozenset({(0, 1), (1, 1), (3, 0), (4, 0), (3, 2), (4, 2)})

_HEADINGS: Final = ((1, 0), (-1, 0), (0, 1), (0, -1))
# Where the rain may push a taxi that heads south, north, east or west: to its left and to its right.
_SIDES: Final = (((0, 1), (0, -1)), ((0, -1), (0, 1)), ((-1, 0), (1, 0)), ((1, 0), (-1, 0)))


@titled
def taxi(*, rainy: bool = False, max_episode_steps: int | None = 200) -> MDP:
    """Make the taxi problem; it equals Gymnasium's ``Taxi-v4`` (or that with ``is_rainy=True``).

    500 states: ``((row * 5 + column) * 5 + passenger) * 4 + destination``, where the passenger is at place 0 to 3
    (red, green, yellow, blue) or aboard (4). Actions are south, north, east, west, pickup, dropoff (0 to 5).
    Episodes begin anywhere with the passenger at a place that is not the destination (300 states). A step pays -1,
    an illegal pickup or dropoff -10, and setting the passenger down at the destination 20, which ends the episode.

    Parameters
    ----------
    rainy : bool, default False
        Whether a move that is possible goes astray to either side with 0.1 each.
    max_episode_steps : int or None, default 200
        Steps after which an episode is truncated; 200 is what Gymnasium registers.

    Notes
    -----
    Source: Dietterich (2000), "Hierarchical reinforcement learning with the MAXQ value function decomposition",
    Journal of Artificial Intelligence Research 13; Gymnasium, ``envs/toy_text/taxi.py``. The mean optimal return over
    the starts, undiscounted and without rain, is 7.93.

    Examples
    --------
    >>> from qfast.problems import taxi
    >>> mdp = taxi()
    >>> int(mdp.decision_states.sum()), int(mdp.terminal_states.sum())
    (400, 4)
    """
    rainy = flag("rainy", rainy)
    table: list[list[list[Outcome]]] = []
    start = []
    for row, column, passenger, destination in product(range(_TOWN), range(_TOWN), range(_ABOARD + 1), range(4)):
        start.append(1 / 300 if passenger not in (_ABOARD, destination) else 0.0)
        ride = (passenger, destination)
        table.append([_drive(row, column, heading, ride, rainy=rainy) for heading in range(4)])
        table[-1] += [[_pickup(row, column, ride)], [_dropoff(row, column, ride)]]
    return from_P(table, start=start, max_episode_steps=max_episode_steps, action_names=TAXI_ACTIONS)


def _encode(row: int, column: int, passenger: int, destination: int) -> int:
    return ((row * _TOWN + column) * (_ABOARD + 1) + passenger) * len(_PLACES) + destination


def _moved(row: int, column: int, step: tuple[int, int]) -> tuple[int, int]:
    """Move one cell, or stay where a wall or the edge of town is in the way."""
    if (step == (0, 1) and (row, column) in _WALL_EAST) or (step == (0, -1) and (row, column - 1) in _WALL_EAST):
        return row, column
    return min(max(row + step[0], 0), _TOWN - 1), min(max(column + step[1], 0), _TOWN - 1)


def _drive(row: int, column: int, heading: int, ride: tuple[int, int], *, rainy: bool) -> list[Outcome]:
    ahead = _moved(row, column, _HEADINGS[heading])
    if not rainy or ahead == (row, column):  # a taxi that cannot move does not drift either
        return [(1.0, _encode(*ahead, *ride), -1.0, False)]
    left, right = (_moved(row, column, side) for side in _SIDES[heading])
    shares = ((0.8, ahead), (0.1, left), (0.1, right))
    return [(share, _encode(*place, *ride), -1.0, False) for share, place in shares]


def _pickup(row: int, column: int, ride: tuple[int, int]) -> Outcome:
    passenger, destination = ride
    if passenger != _ABOARD and _PLACES[passenger] == (row, column):
        return (1.0, _encode(row, column, _ABOARD, destination), -1.0, False)
    return (1.0, _encode(row, column, *ride), -10.0, False)


def _dropoff(row: int, column: int, ride: tuple[int, int]) -> Outcome:
    passenger, destination = ride
    if passenger != _ABOARD or (row, column) not in _PLACES:
        return (1.0, _encode(row, column, *ride), -10.0, False)
    place = _PLACES.index((row, column))
    arrived = place == destination
    return (1.0, _encode(row, column, place, destination), 20.0 if arrived else -1.0, arrived)

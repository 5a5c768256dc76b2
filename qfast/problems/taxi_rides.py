"""Dietterich's taxi: fetch a passenger at one of four places and set them down at another."""

from itertools import product
from typing import Final

from qfast.arguments import flag
from qfast.model.mdp import MDP
from qfast.problems.from_table import from_P
from qfast.problems.outcomes import Outcome

__all__ = ["TAXI_ACTIONS", "taxi"]

TAXI_ACTIONS: Final = ("south", "north", "east", "west", "pickup", "dropoff")

_SIZE: Final = 5
_PLACES: Final = ((0, 0), (0, 4), (4, 0), (4, 3))  # red, green, yellow, blue
_ABOARD: Final = 4

# (row, column): a wall stands between this cell and the next one to the east.
_WALL_EAST: Final = frozenset({(0, 1), (1, 1), (3, 0), (4, 0), (3, 2), (4, 2)})

_MOVES: Final = ((1, 0), (-1, 0), (0, 1), (0, -1))
# Where the rain may push a taxi that heads south, north, east or west: to its left and to its right.
_SIDES: Final = (((0, 1), (0, -1)), ((0, -1), (0, 1)), ((-1, 0), (1, 0)), ((1, 0), (-1, 0)))


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

    Returns
    -------
    MDP
        The problem; 400 of the states can be acted in, 4 are terminal.

    Raises
    ------
    InvalidInput
        If the limit is below 1.

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
    for row, column, passenger, destination in product(range(_SIZE), range(_SIZE), range(_ABOARD + 1), range(4)):
        start.append(1 / 300 if passenger not in (_ABOARD, destination) else 0.0)
        ride = (passenger, destination)
        table.append([_drive(row, column, heading, ride, rainy=rainy) for heading in range(4)])
        table[-1] += [[_pickup(row, column, ride)], [_dropoff(row, column, ride)]]
    return from_P(table, start=start, max_episode_steps=max_episode_steps, action_names=TAXI_ACTIONS)


def _encode(row: int, column: int, passenger: int, destination: int) -> int:
    return ((row * _SIZE + column) * (_ABOARD + 1) + passenger) * len(_PLACES) + destination


def _moved(row: int, column: int, step: tuple[int, int]) -> tuple[int, int]:
    """Move one cell, or stay where a wall or the edge of town is in the way."""
    if (step == (0, 1) and (row, column) in _WALL_EAST) or (step == (0, -1) and (row, column - 1) in _WALL_EAST):
        return row, column
    return min(max(row + step[0], 0), _SIZE - 1), min(max(column + step[1], 0), _SIZE - 1)


def _drive(row: int, column: int, heading: int, ride: tuple[int, int], *, rainy: bool) -> list[Outcome]:
    ahead = _moved(row, column, _MOVES[heading])
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

"""Builders of problems: the article's corridor, grids from text, Gymnasium's tables, and those of textbooks.

Every builder returns a `qfast.MDP`, a value made of lookup arrays, and refuses what is out of range with
`qfast.InvalidInput`. Its docstring gives source, states, actions, rewards and, where known, the optimal value.
`resolve` finds them by name.
"""

from qfast.problems.catalogue import GYMNASIUM_IDS, names, resolve
from qfast.problems.discretise import discretise
from qfast.problems.environments import from_env
from qfast.problems.from_table import from_P
from qfast.problems.grids import grid
from qfast.problems.gym_adapter import from_gymnasium
from qfast.problems.lines import chain, corridor, random_walk, river_swim
from qfast.problems.policy_map import arrows
from qfast.problems.random_problems import equally_likely, garnet, maximisation_bias, normal
from qfast.problems.textbook_grids import (
    blocking_maze,
    cliff_walking,
    dyna_maze,
    four_rooms,
    frozen_lake,
    shortcut_maze,
    taxi,
    windy_gridworld,
)
from qfast.problems.writers import to_P, write_drn

__all__ = [
    "GYMNASIUM_IDS", "arrows", "blocking_maze", "chain", "cliff_walking", "corridor", "discretise", "dyna_maze",
    "equally_likely", "four_rooms", "from_P", "from_env", "from_gymnasium", "frozen_lake", "garnet", "grid",
    "maximisation_bias", "names", "normal", "random_walk", "resolve", "river_swim", "shortcut_maze", "taxi", "to_P",
    "windy_gridworld", "write_drn",
]  # fmt: skip

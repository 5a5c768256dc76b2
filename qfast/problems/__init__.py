"""Builders of problems: the article's corridor, grids from text, Gymnasium's tables, and those of textbooks.

Every builder returns a `qfast.MDP`, a value made of lookup arrays, and refuses what is out of range with
`qfast.InvalidInput`. Its docstring gives source, states, actions, rewards and, where known, the optimal value.
`resolve` finds them by name.
"""

from qfast.problems.blackjack import blackjack
from qfast.problems.catalogue import GYMNASIUM_IDS, names, resolve
from qfast.problems.course_problems import (
    bandit,
    forest,
    gamblers_problem,
    inventory,
    jacks_car_rental,
    machine_replacement,
    ten_armed_testbed,
)
from qfast.problems.environments.discretise import discretise
from qfast.problems.environments.from_env import from_env
from qfast.problems.files.read_mdp import read_mdp
from qfast.problems.files.writers import to_P, write_drn
from qfast.problems.from_graph import from_graph
from qfast.problems.from_matrices import from_matrices
from qfast.problems.from_step import from_step
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
from qfast.problems.tic_tac_toe import tic_tac_toe

__all__ = [
    "GYMNASIUM_IDS", "arrows", "bandit", "blackjack", "blocking_maze", "chain", "cliff_walking", "corridor",
    "discretise", "dyna_maze", "equally_likely", "forest", "four_rooms", "from_P", "from_env", "from_graph",
    "from_gymnasium", "from_matrices", "from_step", "frozen_lake", "gamblers_problem", "garnet", "grid", "inventory",
    "jacks_car_rental", "machine_replacement", "maximisation_bias", "names", "normal", "random_walk", "read_mdp",
    "resolve", "river_swim", "shortcut_maze", "taxi", "ten_armed_testbed", "tic_tac_toe", "to_P", "windy_gridworld",
    "write_drn",
]  # fmt: skip

"""Problems by name, as the command line knows them."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from qfast.errors import BadFile, InvalidInput
from qfast.model.labels import title_of
from qfast.model.mdp import MDP
from qfast.problems import course_problems, lines, random_problems, textbook_grids
from qfast.problems.blackjack import blackjack
from qfast.problems.environments.from_env import from_env
from qfast.problems.files.python_file import read_python, split
from qfast.problems.files.read_mdp import MODEL_SUFFIXES, read_mdp
from qfast.problems.grids import grid
from qfast.problems.gym_adapter import NoTable, from_gymnasium
from qfast.problems.tic_tac_toe import tic_tac_toe
from qfast.progress import WorkReporter

__all__ = ["GYMNASIUM_IDS", "names", "resolve"]

_BUILDERS: Final[dict[str, Callable[[], MDP]]] = {
    **{name: getattr(lines, name) for name in ("chain", "corridor", "random_walk", "river_swim")},
    **{name: getattr(random_problems, name) for name in ("garnet", "maximisation_bias")},
    **{name: getattr(textbook_grids, name) for name in textbook_grids.__all__ if name.islower()},
    **{
        name: getattr(course_problems, name)
        for name in ("forest", "gamblers_problem", "inventory", "jacks_car_rental", "machine_replacement")
    },
    "blackjack": blackjack,
    "blocking_maze_after": partial(textbook_grids.blocking_maze, after=True),
    "cliff_walking_slippery": partial(textbook_grids.cliff_walking, slippery=True),
    "frozen_lake_8x8": partial(textbook_grids.frozen_lake, "8x8", max_episode_steps=200),
    "shortcut_maze_after": partial(textbook_grids.shortcut_maze, after=True),
    "tic_tac_toe": tic_tac_toe,
    "tic_tac_toe_perfect": partial(tic_tac_toe, "perfect"),
    "taxi_rainy": partial(textbook_grids.taxi, rainy=True),
    "windy_gridworld_kings_moves": partial(textbook_grids.windy_gridworld, moves="king"),
    "windy_gridworld_stochastic": partial(textbook_grids.windy_gridworld, moves="king", stochastic_wind=True),
}

#: Ids of Gymnasium's environments whose table is known.
GYMNASIUM_IDS: Final = (
    "Blackjack-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "FrozenLake-v1", "FrozenLake8x8-v1", "Taxi-v4",
)  # fmt: skip

_ID = re.compile(r"([\w:.-]+/)?[\w:.-]+-v\d+")


def names() -> tuple[str, ...]:
    """List the problems that `resolve` knows without Gymnasium and without a file, sorted.

    Examples
    --------
    >>> from qfast.problems import names
    >>> names()[:3]
    ('blackjack', 'blocking_maze', 'blocking_maze_after')
    """
    return tuple(sorted(_BUILDERS))


def resolve(
    name: str,
    *,
    max_episode_steps: int | None = None,
    env_options: Mapping[str, Any] | None = None,
    samples: int | None = None,
    progress: bool | WorkReporter | None = False,
) -> MDP:
    """Find a problem by name: one of qfast's own, a file of an MDP, of a grid or of Python, or a Gymnasium id.

    Parameters
    ----------
    name : str
        A name of `names` (capitals do not matter, ``-`` counts as ``_``); else a path to an ``.npz`` that
        `MDP.save` wrote, to a model that `read_mdp` reads, or to a text file that `grid` reads with its defaults;
        else ``my_env.py:Room``, an MDP, an environment or what makes one of them in a Python file, which is run; else
        an id such as ``FrozenLake-v1``. A file called like a problem is reached as ``./corridor``.
    max_episode_steps : int, optional
        Steps after which an episode is truncated, in place of the problem's own limit.
    env_options : mapping, optional
        Options of an environment: for ``gymnasium.make``, or for what a Python file has.
    samples, progress
        As in `from_env`, for environments without a table.

    Returns
    -------
    MDP
        The problem.

    Raises
    ------
    InvalidInput
        If there is no such problem (the message lists what there is), or a grid is not valid.
    BadFile
        If a file is no text, or an ``.npz`` does not hold an MDP.
    MissingExtra
        If an id is given and Gymnasium is not installed.

    Warns
    -----
    MissingLimitWarning
        As `from_gymnasium` does.

    Examples
    --------
    >>> from qfast.problems import resolve
    >>> resolve("corridor").n_states
    5
    """
    if not isinstance(name, str):
        raise InvalidInput(f"the problem {name!r} is no text; give its name, a path or a Gymnasium id")
    known = name.lower().replace("-", "_")
    build = _BUILDERS.get(known)
    path, python = Path(name), split(name)
    acting: dict[str, Any] = {"samples": samples, "progress": progress, "max_episode_steps": max_episode_steps}
    takes_options = build is None and (python is not None or (not path.is_file() and _ID.fullmatch(name) is not None))
    if env_options and not takes_options:
        raise InvalidInput(
            f"{name!r} takes no options of an environment ({', '.join(env_options)}); they are for ids such as "
            f"FrozenLake-v1 and for Python files, as in my_env.py:Room"
        )
    if build is not None:
        mdp = build().with_name(known)
    elif path.suffix == ".npz" and path.is_file():
        mdp = MDP.load(path)
        mdp = mdp.with_name(mdp.name or title_of(path.stem))
    elif path.suffix.lower() in MODEL_SUFFIXES and path.is_file():
        mdp = read_mdp(path)
    elif python is not None:
        mdp = read_python(*python, env_options=env_options or {}, **acting)
    elif path.is_file():
        mdp = _grid_file(path, max_episode_steps).with_name(title_of(path.stem))
    elif _ID.fullmatch(name):
        if samples is not None:  # as asked, whether it has a table or not
            return from_env(name, env_options=env_options, **acting)
        try:
            return from_gymnasium(name, max_episode_steps=max_episode_steps, **(env_options or {}))
        except NoTable:
            return from_env(name, env_options=env_options, **acting)
    else:
        raise InvalidInput(_unknown(name))
    return mdp if max_episode_steps is None else mdp.with_limit(max_episode_steps)


def _grid_file(path: Path, max_episode_steps: int | None) -> MDP:
    """Read a grid from a text file; errors name the file."""
    try:
        return grid(path.read_text(encoding="utf-8"), max_episode_steps=max_episode_steps)
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is no text file ({error.reason}); give a grid as text, or an MDP as .npz") from error
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def _unknown(name: str) -> str:
    """Say what there is, and what may have been meant."""
    import difflib  # slow to import and needed only here

    close = difflib.get_close_matches(name, [*_BUILDERS, *GYMNASIUM_IDS], n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return (
        f"problem {name!r} is unknown{hint}; there is no such file either. Choose one of {', '.join(names())}; "
        f"a Gymnasium id such as {', '.join(GYMNASIUM_IDS)}; the path of a text grid, of an MDP's .npz, or of a model "
        f"({', '.join(MODEL_SUFFIXES)}); or something in a Python file, as in my_env.py:Room"
    )

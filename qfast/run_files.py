"""A run read from its file or its folder, and whether what that says fits together.

Nothing in a file may lead the kernel out of a table.
"""

import math
import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import path_of
from qfast.engine.curve import Curve
from qfast.errors import BadFile, InvalidInput
from qfast.model.learner import Learner, make_learner
from qfast.model.mdp import MDP
from qfast.model.rates import Rate
from qfast.model.seeding import seed_from_json
from qfast.model.settings import RATES, SETTINGS
from qfast.run import FILE, KIND, NotKept, Run
from qfast.storage.archive import read_json, read_npz
from qfast.storage.npy_columns import map_columns
from qfast.storage.work_folder import holds_work, read_work
from qfast.text import printable

__all__ = ["load"]

_MOST: Final = 2**62  # of what is counted in 64 bits


def load(path: str | os.PathLike[str]) -> Run:
    """Read a run that `Run.save` wrote.

    Parameters
    ----------
    path : path-like
        The file, or the folder that ``qfast.train(…, out="folder")`` has filled: its arrays stay on the disk,
        memory-mapped and read-only, after their checksums were compared.

    Returns
    -------
    Run
        With the same bits.

    Raises
    ------
    BadFile
        If the file is truncated, damaged, foreign, or does not hold a run.
    OSError
        If the file does not exist or may not be read.

    Examples
    --------
    See `Run.save`.
    """
    path = path_of(path)
    folder = path if path.is_dir() and path.suffix != ".zarr" else None
    if folder is not None and not (folder / FILE).is_file():
        msg = f"{printable(folder)} is a folder without a run; name the file or the folder that train(out=…) was given"
        if holds_work(folder):
            try:
                read_work(folder, "training")
                msg = f"{printable(folder)} holds an unfinished training; start it again with the same settings"
            except InvalidInput as error:
                msg = f"{printable(folder)} holds no run ({error}); qfast.load_study reads a study"
        raise BadFile(msg)
    if path.suffix in (".nc", ".zarr"):
        raise BadFile(f"{printable(path)} is the name of a study; qfast.load_study reads it")
    arrays = read_npz(path if folder is None else folder / FILE, KIND)
    try:
        if folder is not None:
            arrays |= _of_agents(map_columns(folder, read_json(str(arrays["about"]))["columns"]))
        return _from_arrays(arrays)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise BadFile(f"{path} does not hold a whole run ({error}); train and save it again") from error


def _of_agents(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Give the arrays of a folder the names and shapes that a run has for them."""
    names = ("q", "visits", "rng", "state", "returns", "lengths")
    arrays: dict[str, NDArray[Any]] = {name: columns[name] for name in names if name in columns}
    if "mean" in columns:  # two tables, and what the agents act on
        arrays |= {"q": columns["mean"], "q_tables": np.moveaxis(columns["q"], -1, 1)}
    return arrays | ({"checkpoints_q": columns["kept"]} if "kept" in columns else {})


def _from_arrays(arrays: dict[str, NDArray[Any]]) -> Run:
    from qfast.truth.checkpoints import Checkpoints

    about = read_json(str(arrays["about"]))
    mdp = MDP.from_arrays({name[4:]: array for name, array in arrays.items() if name.startswith("mdp_")})
    _check_about(about)
    n_agents, episodes = about["n_agents"], about["episodes"]
    rates = {name: Rate(kind, arrays[name], text) for name, (kind, text) in about["rates"].items() if name in RATES}
    learner = _check_learner(mdp, about["learner"], rates, n_agents, episodes)
    _check_arrays(mdp, learner, episodes, n_agents, arrays)
    kept, none = "q" in arrays, NotKept(n_agents)
    q: Any = arrays.get("q", none)
    return Run(
        q=q,
        q_tables=arrays.get("q_tables"),
        visits=arrays.get("visits"),
        returns=arrays.get("returns"),
        lengths=arrays.get("lengths"),
        curve=Curve.from_arrays(arrays, "curve_") if about["record"] == "summary" else None,
        mdp=mdp,
        learner=learner,
        seed_sequence=seed_from_json(about["seed"]),
        first_agent=about["first_agent"],
        episodes=episodes,
        record=about["record"],
        n_steps=about["n_steps"],
        seconds=float(about["seconds"]),
        rng=arrays["rng"] if kept else q,
        state=arrays["state"] if kept else q,
        checkpoints=Checkpoints.from_arrays(arrays, "checkpoints_"),
        n_diverged=int(about["n_diverged"]),
        work=str(about.get("work", "")),
    )


def _check_about(about: dict[str, Any]) -> None:
    """Refuse numbers that no run has."""
    for name, least in (("n_agents", 1), ("first_agent", 0), ("episodes", 1), ("n_steps", 0)):
        value = about[name]
        if type(value) is not int or not least <= value <= _MOST:
            raise ValueError(f"{name}={value!r:.40} is not a whole number from {least} to {_MOST:,}")
    if about["record"] not in (None, "returns", "summary"):
        raise ValueError(f"record={about['record']!r:.40} is unknown")
    if not 0 <= float(about["seconds"]) < math.inf:
        raise ValueError(f"seconds={about['seconds']!r:.40} is no time")
    for name, parts in about["rates"].items():
        if not all(isinstance(part, str) for part in parts):
            raise ValueError(f"rates: {name}={parts!r:.40} is no kind and text")
    work = about.get("work", "")
    if not isinstance(work, str):
        raise TypeError(f"work={work!r:.40} is no text")


def _check_learner(
    mdp: MDP, options: dict[str, Any], rates: dict[str, Rate], n_agents: int, episodes: int
) -> Learner:
    """Make a learner out of what a file says, checked like a new one."""
    # A schedule belongs to the run's last stretch of episodes, which may be shorter than all of them.
    lengths = {rate.values.size for rate in rates.values() if rate.kind == "episode"}
    used = {name: rates[name] for name in RATES if SETTINGS[name].is_used(options)}
    return make_learner(n_agents=n_agents, episodes=min(lengths, default=episodes), mdp=mdp, **options, **used)


def _check_arrays(mdp: MDP, learner: Learner, episodes: int, n_agents: int, arrays: dict[str, NDArray[Any]]) -> None:
    """Refuse arrays of agents with another shape or dtype than they have, and states that do not exist."""
    pairs = (mdp.n_states, mdp.n_actions)
    double = learner.rule == "double_q_learning"
    counts = learner.explore == "ucb" or learner.alpha.kind == "visit"
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {
        "q": ((n_agents, *pairs), learner.dtype),
        "rng": ((4, n_agents), np.dtype(np.uint32)),
        "state": ((n_agents,), np.dtype(np.int32)),
        "q_tables": ((n_agents, 2, *pairs), learner.dtype),
        "visits": ((n_agents, *pairs), np.dtype(np.int32)),
        "returns": ((n_agents, episodes), learner.dtype),
        "lengths": ((n_agents, episodes), np.dtype(np.int32)),
    }
    needed = {"rng", "state"} | ({"q_tables"} if double else set()) | ({"visits"} if counts else set())
    for name, (shape, dtype) in wanted.items():
        array = arrays.get(name)
        if array is None:
            if name in needed and "q" in arrays:
                raise KeyError(name)
        elif array.shape != shape or array.dtype.newbyteorder("=") != dtype:
            raise ValueError(f"{name} has shape {array.shape} and dtype {array.dtype}, not {shape} and {dtype}")
    _check_floats(arrays, "curve_", ("mean", "std", "min", "max", "quantiles"), episodes)
    columns = arrays.get("checkpoints_episodes")
    if columns is not None:
        if columns.ndim != 1 or columns.dtype.kind not in "iu":
            raise ValueError(f"checkpoints have shape {columns.shape} and dtype {columns.dtype}")
        for name in ("regret", "error_sup", "error_rms", "optimal"):
            array, kind = arrays[f"checkpoints_{name}"], "b" if name == "optimal" else "f"
            if array.shape != (n_agents, columns.size) or array.dtype.kind != kind:
                raise ValueError(f"checkpoints_{name} has shape {array.shape} and dtype {array.dtype}")
    state, visits = arrays.get("state"), arrays.get("visits")
    if state is not None and n_agents and not (state.min() >= 0 and state.max() < mdp.n_states):
        raise ValueError(f"an agent is in a state outside of 0 … {mdp.n_states - 1}")
    if visits is not None and visits.size and visits.min() < 0:
        raise ValueError("a number of visits is negative")


def _check_floats(arrays: dict[str, NDArray[Any]], prefix: str, endings: tuple[str, ...], episodes: int) -> None:
    """Refuse summaries that do not hold one float64 an episode; quantiles hold five."""
    for name, array in arrays.items():
        ending = name.rpartition("_")[2]
        if name.startswith(prefix) and ending in endings:
            shape = (5, episodes) if ending == "quantiles" else (episodes,)
            if array.shape != shape or array.dtype != np.float64:
                raise ValueError(f"{name} has shape {array.shape} and dtype {array.dtype}, not {shape} and float64")

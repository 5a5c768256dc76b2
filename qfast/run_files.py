"""A run read from its file or its folder."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import path_of
from qfast.engine.curve import Curve
from qfast.errors import BadFile, InvalidInput
from qfast.model.mdp import MDP
from qfast.model.rates import Rate
from qfast.model.seeding import seed_from_json
from qfast.model.settings import RATES
from qfast.run import FILE, KIND, NotKept, Run
from qfast.run_checks import check_about, check_arrays, check_learner
from qfast.storage.archive import read_json, read_npz
from qfast.storage.npy_columns import map_columns
from qfast.storage.work_folder import holds_work, read_work
from qfast.text import printable

__all__ = ["load"]


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
    folder = path if path.is_dir() else None
    if folder is not None and not (folder / FILE).is_file():
        msg = f"{printable(folder)} is a folder without a run; name the file or the folder that train(out=…) was given"
        if holds_work(folder):
            try:
                read_work(folder, "training")
                msg = f"{printable(folder)} holds an unfinished training; start it again with the same settings"
            except InvalidInput as error:
                msg = f"{printable(folder)} holds no run ({error}); qfast.load_study reads a study"
        raise BadFile(msg)
    arrays = read_npz(path if folder is None else folder / FILE, KIND)
    try:
        if folder is not None:
            arrays |= _of_agents(map_columns(folder, read_json(str(arrays["about"]))["columns"]))
        return _from_arrays(arrays)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        msg = f"{path} does not hold a whole run ({error}); train and save it again"
        raise BadFile(msg) from error


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
    check_about(about)
    n_agents, episodes = about["n_agents"], about["episodes"]
    rates = {name: Rate(kind, arrays[name], text) for name, (kind, text) in about["rates"].items() if name in RATES}
    learner = check_learner(about["learner"], rates, n_agents, episodes)
    check_arrays(mdp, learner, episodes, n_agents, arrays)
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

"""A study read from its folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.random import SeedSequence

from qfast.errors import BadFile, InvalidInput
from qfast.mdp import MDP
from qfast.studies.folder import read_manifest, read_pieces
from qfast.studies.job import prepare
from qfast.studies.optional import need
from qfast.studies.metrics import BUILT_IN, AgentBlock, Metric
from qfast.studies.result import Study
from qfast.studies.settings import DEFAULTS, decode

__all__ = ["read_folder"]


def read_folder(path: Path) -> Study:
    """Read a study from its folder; see `qfast.load_study`.

    Raises
    ------
    BadFile
        If the folder holds no study, is damaged, or the study is not complete.
    """
    need("xarray", "a study")
    there = read_manifest(path)
    if "outcomes" in there:
        msg = f"{path} was written by an earlier state of qfast, whose studies cannot be read; run the study again"
        raise BadFile(msg)
    try:
        problems = {name: MDP.load(path / f"problem-{i}.npz") for i, name in enumerate(there["problems"])}
        vary = [{name: [decode(v) for v in values] for name, values in grid.items()} for grid in there["vary"]]
        fixed = DEFAULTS | {name: decode(value) for name, value in there["settings"].items()}
        seed = SeedSequence(there["seed"]["entropy"], spawn_key=tuple(there["seed"]["spawn_key"]))
        metrics = [
            Metric(_not_kept, name, **there["own_metrics"][name])
            if name in there["own_metrics"]
            else BUILT_IN[name]
            for name in there["metrics"]
        ]
        job = prepare(
            problems, vary, fixed, n_agents=there["n_agents"], episodes=there["episodes"], seed=seed,
            first_agent=there["first_agent"], paired=there["paired"], metrics=metrics,
            checkpoints=there["checkpoints"] or None, curves=there["curves"] or False, precision=None, out=None,
            executor=None,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, OSError, InvalidInput) as error:
        msg = f"{path} does not hold a whole study ({error}); run it again"
        raise BadFile(msg) from error
    job.about["precision"] = there["precision"]
    read_pieces(path, job.totals, job.shapes, _refuse)
    left = len(job.design) - len(job.totals.finished)
    if left:
        msg = f"{path}: {left:,} of {len(job.design):,} configurations are not complete; run the same study again"
        raise BadFile(msg)
    return replace(job.result(), functions=())


def _not_kept(block: AgentBlock) -> Any:
    """Stand for a function of the user's own, which a folder does not hold."""
    msg = f"metrics of one's own are not kept with a study; {len(block.agents)} agents cannot be measured"
    raise InvalidInput(msg)


def _refuse(file: Path, error: Exception) -> None:
    raise BadFile(f"{error} (or run the study again with out={str(file.parent)!r})") from error

"""A study read from its folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from qfast.arguments import optional
from qfast.errors import BadFile, InvalidInput
from qfast.model.seeding import seed_from_json
from qfast.model.settings import DEFAULTS
from qfast.studies.folder import read_begun, read_problems, take_pieces
from qfast.studies.job import prepare
from qfast.studies.metrics import BUILT_IN, AgentBlock, Metric
from qfast.studies.result import Study
from qfast.studies.settings import decode
from qfast.training_checks import MOST_AGENTS, MOST_EPISODES, check_count

__all__ = ["read_folder"]


def read_folder(path: Path) -> Study:
    """Read a study from its folder; see `qfast.load_study`.

    Raises
    ------
    BadFile
        If the folder holds no study, is damaged, or the study is not complete.
    """
    optional("xarray", "study", "a study needs it")
    if (path / "study.json").is_file():
        msg = f"{path} was written by an earlier state of qfast, whose studies cannot be read; run the study again"
        raise BadFile(msg)
    there = read_begun(path)
    try:
        problems = read_problems(path, there)
        vary = [{name: [decode(v) for v in values] for name, values in grid.items()} for grid in there["vary"]]
        fixed = DEFAULTS | {name: decode(value) for name, value in there["settings"].items()}
        seed = seed_from_json(there["seed"])
        metrics = [
            Metric(_not_kept, name, **there["own_metrics"][name])
            if name in there["own_metrics"]
            else BUILT_IN[name]
            for name in there["metrics"]
        ]
        job = prepare(
            problems, vary, fixed, n_agents=check_count("n_agents", there["n_agents"], most=MOST_AGENTS),
            episodes=check_count("episodes", there["episodes"], most=MOST_EPISODES), seed=seed,
            first_agent=check_count("first_agent", there["first_agent"], least=0, most=MOST_AGENTS),
            paired=there["paired"], metrics=metrics,
            checkpoints=there["checkpoints"] or None, curves=there["curves"] or False, precision=None, out=None,
            executor=None,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, OSError, ValueError) as error:
        msg = f"{path} does not hold a whole study ({error}); run it again"
        raise BadFile(msg) from error
    job.about["precision"] = there["precision"]
    try:
        take_pieces(path, there, job.totals, job.shapes)
    except BadFile as error:
        msg = f"{error} (or run the study again with out={str(path)!r})"
        raise BadFile(msg) from error
    left = len(job.design) - len(job.totals.finished)
    if left:
        msg = f"{path}: {left:,} of {len(job.design):,} configurations are not complete; run the same study again"
        raise BadFile(msg)
    return replace(job.result(), functions=())


def _not_kept(block: AgentBlock) -> Any:
    """Stand for a function of the user's own, which a folder does not hold."""
    msg = f"metrics of one's own are not kept with a study; {len(block.agents)} agents cannot be measured"
    raise InvalidInput(msg)


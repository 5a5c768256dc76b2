"""What ``qfast study`` shows of a study."""

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from qfast.cli.screen import Block, Facts, Line, Table
from qfast.studies.describe import as_code, problems_in_words, streams_in_words, values_in_words
from qfast.studies.settings import decode

if TYPE_CHECKING:
    from qfast.studies import Study

__all__ = ["study_json", "study_page"]

_SHOWN = ("auc", "final_return", "greedy_return", "steps")
_COLUMNS = 2  # metrics beside each other: more do not fit a terminal


def study_page(study: "Study", *, rows: int) -> list[Block]:
    """Lay out a study: what was done, and a line for each configuration.

    Parameters
    ----------
    study : Study
    rows : int
        Configurations to show.

    Returns
    -------
    list of Block
    """
    attributes = study.dataset.attrs
    many = f"{len(study):,} configuration{'s' * (len(study) > 1)}"
    facts = [
        ("problem", "\n".join(problems_in_words(study))),
        ("varied", "\n".join(values_in_words(study, name) for name in study.varied) or "nothing"),
        ("fixed", _fixed(json.loads(attributes["settings"]))),
        ("streams", f"seed {study.seed}; {streams_in_words(study)}"),
        ("work", _work(attributes)),
    ]
    blocks: list[Block] = [Line(f"Study of {many}, {_agents(study)}, {study.episodes:,} episodes", strong=True)]
    blocks += [Facts(facts), _table(study, rows)]
    notes = ["mean +- half of its 95 % interval (how well the mean is known); std: the spread of the agents"]
    if len(study) > rows:
        notes.insert(0, f"… and {len(study) - rows:,} configurations more")
    return [*blocks, Line("\n".join(notes))]


def _agents(study: "Study") -> str:
    run = study.dataset["agents_run"].to_numpy()
    if run.min() == run.max():
        return f"{run.min():,} agents each"
    return f"{run.min():,} to {run.max():,} agents each"


def _work(attributes: dict[str, Any]) -> str:
    steps, seconds = int(attributes["n_steps"]), float(attributes["seconds"])
    speed = f", {steps / seconds / 1e6:,.0f} million a second" if seconds else ""
    return f"{steps:,} agent-steps in {seconds:.3g} s{speed}"


def _fixed(settings: dict[str, Any]) -> str:
    """The settings that do not vary, without those that say nothing."""
    told = [f"{name} {as_code(decode(value))}" for name, value in settings.items() if value is not None]
    return ", ".join(text.replace("'", "") for text in told if text != "n 1" and not text.endswith("initial_q 0.0"))


def _table(study: "Study", rows: int) -> Table:
    names = [name for name in _SHOWN if name in study.metrics]
    names += [name for name in study.metrics if name not in names and name not in ("optimal", "first_optimal")]
    # What is the same for every agent of every configuration, as the return of the corridor is, tells nothing.
    telling = [name for name in names if not study.is_constant(name)]
    names = (telling or names)[:_COLUMNS]
    columns: list[str] = []
    for name in names:
        columns += [f"{name} mean", "std"]
    lines = []
    for number, label in enumerate(study.labels[:rows]):
        told = _numbers(study, number)
        cells: list[str] = []
        for name in names:
            cells += _cells(told[name])
        if "optimal" in told:
            share = told["optimal"]["mean"]
            cells.append("-" if share is None else f"{100 * share:.4g} %")
        lines.append((label, cells))
    return Table("configuration", columns + ["optimal"] * ("optimal" in study.metrics), lines)


def _cells(told: dict[str, Any]) -> list[str]:
    if told["mean"] is None:
        return ["not defined" if told["n_infinite"] or told["n_undefined"] else "-", "-"]
    half = (told["mean_high"] - told["mean_low"]) / 2
    error = f"{half:.2g}" if math.isfinite(half) else "?"
    return [f"{told['mean']:.5g} +- {error}", f"{told['std']:.3g}"]


def _numbers(study: "Study", number: int) -> dict[str, dict[str, Any]]:
    """Agents, and how many of them have no finite score; mean, its interval, and spread of each metric, or None."""
    from qfast.stats import estimate_mean, estimate_share

    told: dict[str, dict[str, Any]] = {}
    for name in study.metrics:
        scores = study.scores(name, number)
        told[name] = {
            "n": scores.size, "n_undefined": int(np.isnan(scores).sum()), "n_infinite": int(np.isinf(scores).sum()),
            "mean": None, "mean_low": None, "mean_high": None, "std": None,
        }  # fmt: skip
        if scores.size > 1 and all(map(math.isfinite, (scores.min(), scores.max()))):
            yes_or_no = bool(study.dataset[name].attrs.get("is_bool"))
            mean = estimate_share(int(scores.sum()), scores.size) if yes_or_no else estimate_mean(scores)
            told[name] |= {
                "mean": mean.value, "mean_low": mean.interval.low, "mean_high": mean.interval.high,
                "std": float(scores.std(ddof=1)),
            }  # fmt: skip
    return told


def study_json(study: "Study") -> dict[str, Any]:
    """The same for JSON, all configurations."""
    from qfast.model.seeding import seed_number

    attributes = study.dataset.attrs
    run = study.dataset["agents_run"].to_numpy()
    return {
        "problems": json.loads(attributes["problems"]),
        "vary": json.loads(attributes["vary"]),
        "settings": json.loads(attributes["settings"]),
        "seed": seed_number(json.loads(attributes["seed_sequence"])),
        "paired": study.paired,
        "n_agents": study.n_agents,
        "episodes": study.episodes,
        "n_steps": int(attributes["n_steps"]),
        "seconds": float(attributes["seconds"]),
        "command": attributes.get("shell", ""),
        "python": attributes["command"],
        "configurations": [
            {
                "label": label, "values": study.configurations[number], "agents": int(run[number]),
                "metrics": _numbers(study, number),
            }
            for number, label in enumerate(study.labels)
        ],
    }  # fmt: skip

"""``qfast study``: many settings, thousands of agents of each."""

import json
import math
import secrets
import shlex
import sys
import textwrap
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qfast.cli.options import (
    UsageError,
    add_amount,
    add_json,
    add_learning,
    add_subcommand,
    add_threads,
    learning_settings,
    named_problem,
    precision,
    vary,
    whole,
)
from qfast.cli.output import Block, Facts, Line, Table, refuse_dash, show, tell, write_json
from qfast.model.settings import SETTINGS
from qfast.text import printable

if TYPE_CHECKING:
    from qfast.studies import Study

_REPORT: Final = "study.html"
_ROWS: Final = 40  # configurations that are shown
_SHOWN: Final[tuple[str, ...]] = ("auc", "final_return", "greedy_return", "steps")
_COLUMNS: Final = 2  # metrics beside each other: more do not fit a terminal

_EPILOG: Final = f"""\
--vary takes values with commas between them: numbers, names, START:STOP:COUNT
for evenly spaced numbers (START:STOP:COUNT:log on a log scale), START:STOP for
a rate that changes over the episodes. Each --vary multiplies the
configurations. What can vary:
{textwrap.fill(", ".join(setting.option for setting in SETTINGS.values()), 78)};
several PROBLEMs vary too.

A study with --out goes on where it stopped when the same command runs again.

examples:
  qfast study --vary alpha=0.05,0.1,0.5 --vary epsilon=0.01:0.3:5
  qfast study FrozenLake-v1 --vary rule=q_learning,double_q_learning \\
      --gamma 0.99 --agents 1000 --out lake --report
  qfast study cliff_walking --max-steps 200 --vary epsilon=0.1,0.5:0.01 \\
      --precision optimal=0.02
"""


def add_study(commands: Any) -> None:
    """Add ``qfast study``."""
    sentence = "compare settings, with thousands of agents of each"
    parser = add_subcommand(commands, "study", _study, sentence=sentence, epilog=_EPILOG)
    problem = "as in qfast train, by default corridor; several are compared"
    parser.add_argument("problem", metavar="PROBLEM", nargs="*", help=problem)
    values = "a setting and its values"
    parser.add_argument("--vary", metavar="NAME=VALUES", type=vary, action="append", default=[], help=values)
    training = parser.add_argument_group("training")
    add_amount(training, "of each configuration")
    add_threads(training)
    unpaired = "give each configuration random streams of its own"
    training.add_argument("--unpaired", action="store_true", help=unpaired)
    goal = "add agents, up to --agents, until the interval of the metric (auc) is +-X or narrower"
    training.add_argument("--precision", metavar="[METRIC=]X", type=precision, help=goal)
    training.add_argument("--checkpoints", metavar="N", type=whole, default=20, help="measurings on the way (20)")
    add_learning(parser)
    results = parser.add_argument_group("results")
    results.add_argument("--out", metavar="DIR", help="keep everything in this folder; run again to go on")
    results.add_argument("--save", metavar="FILE", help="write the dataset to this .nc or .zarr, too")
    page = f"write a page about it, by default DIR/{_REPORT}"
    results.add_argument("--report", metavar="FILE", nargs="?", const="", help=page)
    add_json(results)


def _study(arguments: Namespace) -> None:
    """Run the study, keep it, and sum it up."""
    page = _report_path(arguments)
    _check_paths(arguments, page)
    problems = _problems(arguments)
    from qfast.studies import study

    varied: dict[str, list[Any]] = {}
    for name, values in arguments.vary:
        if name in varied:
            raise UsageError(f"--vary {name} is there twice; give all of its values at once, with commas between them")
        varied[name] = values
    try:
        found = study(
            problems, vary=varied, **learning_settings(arguments), n_agents=arguments.agents,
            episodes=arguments.episodes, seed=_seed(arguments), paired=not arguments.unpaired,
            checkpoints=arguments.checkpoints or None, precision=arguments.precision, out=arguments.out,
            threads=arguments.threads,
        )  # fmt: skip
    except KeyboardInterrupt as interruption:
        _tell_interrupted(interruption, arguments.out)
        raise
    found = _with_command(found)
    if arguments.save is not None:
        found.save(arguments.save)
    if page is not None:
        found.report(page)
    _sum_up(found, arguments, page)


def _problems(arguments: Namespace) -> Any:
    names = arguments.problem or ["corridor"]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"problem {twice!r} is there twice; name each once")
    return {name: named_problem(name, arguments) for name in names}


def _seed(arguments: Namespace) -> int | None:
    """The seed; None to go on with that of the folder."""
    from qfast.storage.work_folder import holds_work

    if arguments.seed is not None or (arguments.out is not None and holds_work(arguments.out)):
        seed: int | None = arguments.seed
        return seed
    return secrets.randbits(48)  # short enough to be typed again


def _report_path(arguments: Namespace) -> Path | None:
    if arguments.report is None:
        return None
    if arguments.report:
        return Path(arguments.report)
    if arguments.out is None:
        msg = "--report without a FILE goes into the folder of --out, which is not given; add one of the two"
        raise UsageError(msg)
    return Path(arguments.out) / _REPORT


def _check_paths(arguments: Namespace, page: Path | None) -> None:
    """Refuse, before any work, what could not be written at its end."""
    refuse_dash(arguments.out)
    if arguments.save is not None:
        from qfast.studies.storage import check_target

        check_target(arguments.save)
    if page is not None:
        from qfast.reports import check_target as check_page

        # The folder of --out may not be there yet; its page has a name that is right.
        check_page(page if page.parent.is_dir() else page.name)
    if arguments.out is not None and Path(arguments.out).is_file():
        raise UsageError(f"--out {arguments.out} is a file; name a folder")


def _tell_interrupted(interruption: KeyboardInterrupt, out: str | None) -> None:
    """Say what is kept."""
    from qfast.storage.work_folder import holds_work

    found: Study | None = getattr(interruption, "study", None)
    text = str(interruption).partition("; ")[2].partition("; the same call")[0] or "nothing is complete yet"
    if out is not None and holds_work(out):
        tell(f"interrupted; {text}; it is kept in {out}, and the same command goes on")
    else:
        tell(f"interrupted; {text}, but {'not kept' if found is None else 'not saved'} (--out DIR would keep it)")


def _with_command(found: "Study") -> "Study":
    """Say by which command the study was made; the seed is part of it."""
    from dataclasses import replace

    from qfast.model.seeding import seed_number

    words = ["qfast", *sys.argv[1:]]
    seed = seed_number(json.loads(found.dataset.attrs["seed_sequence"]))
    given_one = any(word == "--seed" or word.startswith("--seed=") for word in words)
    if not given_one and isinstance(seed, int):  # no other can be given here; the folder of --out has it
        words += ["--seed", str(seed)]
    return replace(found, dataset=found.dataset.assign_attrs(shell=shlex.join(words)))


def _sum_up(found: "Study", arguments: Namespace, page: Path | None) -> None:
    """Show what was done and found, and where it is kept."""
    if arguments.json:
        write_json({"out": arguments.out, "saved": arguments.save, "report": page and str(page), **_study_json(found)})
        return
    places = []
    if arguments.out is not None:
        out = printable(arguments.out)
        places.append(f'kept in {out}; qfast.load_study("{out}") reads it')
    if arguments.save is not None:
        places.append(f"dataset in {printable(arguments.save)}")
    if page is not None:
        places.append(f"report in {printable(page)}")
    show([*_study_page(found), Line("\n".join(places) or "not kept; --out DIR keeps it")])


def _study_page(study: "Study") -> list[Block]:
    """Lay out a study: what was done, and a line for each configuration."""
    from qfast.studies.describe import problems_in_words, streams_in_words, values_in_words

    attributes = study.dataset.attrs
    many = f"{len(study):,} configuration{'s' * (len(study) > 1)}"
    run = study.dataset["agents_run"].to_numpy()
    agents = f"{run.min():,} agents each" if run.min() == run.max() else f"{run.min():,} to {run.max():,} agents each"
    steps, seconds = int(attributes["n_steps"]), float(attributes["seconds"])
    speed = f", {steps / seconds / 1e6:,.0f} million a second" if seconds else ""
    facts = [
        ("problem", "\n".join(problems_in_words(study))),
        ("varied", "\n".join(values_in_words(study, name) for name in study.varied) or "nothing"),
        ("fixed", _fixed(json.loads(attributes["settings"]))),
        ("streams", f"seed {study.seed}; {streams_in_words(study)}"),
        ("work", f"{steps:,} agent-steps in {seconds:.3g} s{speed}"),
    ]
    notes = ["mean ± half of its 95 % interval (how well the mean is known); std: the spread of the agents"]
    if len(study) > _ROWS:
        notes.insert(0, f"… and {len(study) - _ROWS:,} configurations more")
    title = f"Study of {many}, {agents}, {study.episodes:,} episodes"
    return [Line(title, strong=True), Facts(facts), _table(study), Line("\n".join(notes))]


def _fixed(settings: dict[str, Any]) -> str:
    """The settings that do not vary, without those that say nothing."""
    from qfast.studies.describe import as_code
    from qfast.studies.settings import decode

    told = [f"{name} {as_code(decode(value))}" for name, value in settings.items() if value is not None]
    return ", ".join(text.replace("'", "") for text in told if text != "n 1" and not text.endswith("initial_q 0.0"))


def _table(study: "Study") -> Table:
    """Two metrics that tell something, and the share of optimal agents."""
    names = [name for name in _SHOWN if name in study.metrics]
    names += [name for name in study.metrics if name not in names and name not in ("optimal", "first_optimal")]
    # What is the same for every agent of every configuration, as the return of the corridor is, tells nothing.
    telling = [name for name in names if not study.is_constant(name)]
    names = (telling or names)[:_COLUMNS]
    columns = [heading for name in names for heading in (f"{name} mean", "std")]
    lines = []
    for number, label in enumerate(study.labels[:_ROWS]):
        told = _numbers(study, number)
        cells = [cell for name in names for cell in _cells(told[name])]
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
    return [f"{told['mean']:.5g} ± {error}", f"{told['std']:.3g}"]


def _numbers(study: "Study", number: int) -> dict[str, dict[str, Any]]:
    """Agents, and how many of them have no finite score; mean, its interval, and spread of each metric, or None."""
    import numpy as np

    from qfast.stats import estimate_mean, estimate_share

    told: dict[str, dict[str, Any]] = {}
    for name in study.metrics:
        scores = study.scores(name, number)
        told[name] = {
            "n": scores.size, "n_undefined": int(np.isnan(scores).sum()), "n_infinite": int(np.isinf(scores).sum()),
            "mean": None, "mean_low": None, "mean_high": None, "std": None,
        }  # fmt: skip
        if scores.size > 1 and np.isfinite(scores).all():
            yes_or_no = bool(study.dataset[name].attrs.get("is_bool"))
            mean = estimate_share(int(scores.sum()), scores.size) if yes_or_no else estimate_mean(scores)
            told[name] |= {
                "mean": mean.value, "mean_low": mean.interval.low, "mean_high": mean.interval.high,
                "std": float(scores.std(ddof=1)),
            }  # fmt: skip
    return told


def _study_json(study: "Study") -> dict[str, Any]:
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

"""``qfast study``: many settings, thousands of agents of each."""

import json
import secrets
import shlex
import sys
import textwrap
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qfast.cli.options import UsageError, add_json, add_subcommand, learning_settings, whole
from qfast.cli.output import refuse_dash, tell, write_json
from qfast.cli.train import add_learning
from qfast.cli.vary import precision, values_of, vary
from qfast.model.settings import SETTINGS
from qfast.text import printable

if TYPE_CHECKING:
    from qfast.studies import Study

__all__ = ["add_command"]

_PROBLEM: Final = "corridor"
_REPORT: Final = "study.html"
_ROWS: Final = 40  # configurations that are shown

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


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    sentence = "compare settings, with thousands of agents of each"
    parser = add_subcommand(commands, "study", run, sentence=sentence, epilog=_EPILOG)
    parser.add_argument(
        "problem", metavar="PROBLEM", nargs="*", help="as in qfast train, by default corridor; several are compared"
    )
    parser.add_argument(
        "--vary", metavar="NAME=VALUES", type=vary, action="append", default=[], help="a setting and its values"
    )
    training = parser.add_argument_group("training")
    training.add_argument("--agents", metavar="N", type=whole, default=10_000, help="of each configuration (10000)")
    training.add_argument("--episodes", metavar="N", type=whole, default=1_000, help="episodes of each (1000)")
    training.add_argument("--seed", metavar="N", type=whole, help="by default a fresh one, which is shown")
    training.add_argument("--threads", metavar="N", type=whole, help="by default all processors")
    training.add_argument(
        "--unpaired", action="store_true", help="give each configuration random streams of its own"
    )
    training.add_argument(
        "--precision",
        metavar="[METRIC=]X",
        type=precision,
        help="add agents, up to --agents, until the interval of the metric (auc) is +-X or narrower",
    )
    training.add_argument("--checkpoints", metavar="N", type=whole, default=20, help="measurings on the way (20)")
    add_learning(parser)
    results = parser.add_argument_group("results")
    results.add_argument("--out", metavar="DIR", help="keep everything in this folder; run again to go on")
    results.add_argument("--save", metavar="FILE", help="write the dataset to this .nc or .zarr, too")
    results.add_argument(
        "--report", metavar="FILE", nargs="?", const="", help=f"write a page about it, by default DIR/{_REPORT}"
    )
    add_json(results)


def run(arguments: Namespace) -> None:
    """Run the study, keep it, and sum it up."""
    page = _report_path(arguments)
    _check_paths(arguments, page)
    problems = _problems(arguments)
    from qfast.studies import study

    settings = _settings(arguments)
    goal = arguments.precision
    try:
        found = study(
            problems,
            **settings,
            n_agents=arguments.agents,
            episodes=arguments.episodes,
            seed=_seed(arguments),
            paired=not arguments.unpaired,
            checkpoints=arguments.checkpoints or None,
            precision=None if goal is None else ({goal[0]: goal[1]} if goal[0] else goal[1]),
            out=arguments.out,
            threads=arguments.threads,
        )
    except KeyboardInterrupt as interruption:
        _tell_interrupted(interruption, arguments.out)
        raise
    found = _with_command(found)
    if arguments.save is not None:
        found.save(arguments.save)
    if page is not None:
        found.report(page)
    _show(found, arguments, page)


def _settings(arguments: Namespace) -> dict[str, Any]:
    """The settings that vary, and those that do not."""
    varied: dict[str, list[Any]] = {}
    for name, values in arguments.vary:
        if name in varied:
            msg = f"--vary {name} is there twice; give all of its values at once, with commas between them"
            raise UsageError(msg)
        varied[name] = values_of(values)
    return {
        "vary": varied,
        **learning_settings(arguments),
    }


def _problems(arguments: Namespace) -> Any:
    from qfast.problems import resolve

    names = arguments.problem or [_PROBLEM]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"problem {twice!r} is there twice; name each once"
        raise UsageError(msg)
    return {name: resolve(name, max_episode_steps=arguments.max_steps) for name in names}


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
        msg = f"--out {arguments.out} is a file; name a folder"
        raise UsageError(msg)


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


def _show(found: "Study", arguments: Namespace, page: Path | None) -> None:
    from qfast.cli.study_page import study_json, study_page

    if arguments.json:
        write_json({"out": arguments.out, "saved": arguments.save, "report": page and str(page), **study_json(found)})
        return
    from qfast.cli.screen import Line, show

    blocks = study_page(found, rows=_ROWS)
    places = []
    if arguments.out is not None:
        out = printable(arguments.out)
        places.append(f'kept in {out}; qfast.load_study("{out}") reads it')
    if arguments.save is not None:
        places.append(f"dataset in {printable(arguments.save)}")
    if page is not None:
        places.append(f"report in {printable(page)}")
    show([*blocks, Line("\n".join(places) or "not kept; --out DIR keeps it")])

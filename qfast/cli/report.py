"""``qfast report``: a page about a study."""

from argparse import Namespace
from typing import Any

from qfast.cli.options import UsageError, add_subcommand, number, whole
from qfast.cli.output import write
from qfast.cli.plot_study import is_study
from qfast.text import printable

__all__ = ["add_command"]

_EPILOG = """\
The page needs no network and no other file; it can be read on a phone, printed
and sent. The winner is trained again on fresh seeds unless --no-rerun is given.

examples:
  qfast report lake --out lake.html
  qfast report study.nc --metric greedy_return --out study.html
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_subcommand(commands, "report", run, sentence="write a page about a study", epilog=_EPILOG)
    parser.add_argument("file", metavar="STUDY", help="a .nc or .zarr file, or a folder of qfast study --out")
    parser.add_argument("--out", metavar="FILE", required=True, help="the page, .html; an existing one is replaced")
    parser.add_argument("--metric", metavar="NAME", help="what configurations are judged by, auc by default")
    parser.add_argument("--title", metavar="TEXT", help="by default the question, made of what was varied")
    parser.add_argument("--level", metavar="X", type=number, default=0.95, help="of the confidence intervals (0.95)")
    parser.add_argument("--no-rerun", action="store_true", help="do not train the winner again")
    left = "drop: leave agents out whose score is undefined, and say how many are left"
    parser.add_argument("--missing", choices=("keep", "drop"), default="keep", help=left)
    parser.add_argument("--rng", metavar="N", type=whole, default=0, help="seed of the resampling (0)")


def run(arguments: Namespace) -> None:
    """Load and write."""
    if not is_study(arguments.file):
        msg = f"{arguments.file} is no study; give a .nc or .zarr file, or a folder of qfast study --out"
        raise UsageError(msg)
    from qfast.plots.canvas import off_screen
    from qfast.reports import check_target

    target = check_target(arguments.out)  # before the study is loaded
    with off_screen():
        from qfast.studies import load_study

        study = load_study(arguments.file)
        study.report(
            target, metric=arguments.metric, title=arguments.title, level=arguments.level,
            rerun=not arguments.no_rerun, missing=arguments.missing, rng=arguments.rng,
        )  # fmt: skip
    many = f"{len(study):,} configuration{'' if len(study) == 1 else 's'}"
    write(f"report of {many} written to {printable(target)}")

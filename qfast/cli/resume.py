"""``qfast resume``: agents of a saved run learn on."""

from argparse import Namespace
from typing import Any

from qfast.cli.ends import kept, report_run
from qfast.cli.options import (
    add_json,
    add_out,
    add_run_file,
    add_setting,
    add_subcommand,
    learning_settings,
    whole,
)
from qfast.cli.output import checked_out
from qfast.model.settings import SETTINGS

__all__ = ["add_command"]

_EPILOG = """\
400 episodes and then 600 give the same, to the last bit, as 1000 at once.

example:
  qfast resume run.npz --episodes 600 --out run.npz
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_subcommand(commands, "resume", run, sentence="train the agents of a saved run on", epilog=_EPILOG)
    add_run_file(parser)
    parser.add_argument("--episodes", metavar="N", type=whole, required=True, help="episodes more for each agent")
    learning = parser.add_argument_group("new rates", "by default those of before; a schedule has ended: give it anew")
    for setting in SETTINGS.values():
        if setting.resumable:
            add_setting(learning, setting)
    parser.add_argument("--threads", metavar="N", type=whole, help="by default all processors")
    add_out(parser)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Load, train on, save and sum up."""
    out = checked_out(arguments.out)
    from qfast.run_files import load
    from qfast.training import resume

    before = load(arguments.file)
    with kept(out):
        trained = resume(
            before,
            episodes=arguments.episodes,
            **learning_settings(arguments),
            threads=arguments.threads,
        )
    report_run(trained, out=out, name=None, as_json=arguments.json, threads=arguments.threads)

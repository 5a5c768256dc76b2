"""``qfast show``: what a saved run holds."""

from argparse import Namespace
from typing import Any

from qfast.cli.options import add_json, add_run_file, add_subcommand, whole

__all__ = ["add_command"]

_EPILOG = """\
examples:
  qfast show run.npz                    all agents, summed up
  qfast show run.npz --agent 0          one agent's Q-table and policy
  qfast show run.npz --agent 0 --json   the same for a program
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_subcommand(
        commands, "show", run, sentence="show a saved run: summary, Q-table and policy", epilog=_EPILOG
    )
    add_run_file(parser)
    parser.add_argument("--agent", metavar="N", type=whole, help="one agent, counted from 0")
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Load and show."""
    from qfast.cli.output import write_json
    from qfast.cli.pages import agent_page, population_page, problem_title
    from qfast.cli.population import Population, agent_json
    from qfast.cli.screen import show
    from qfast.run import load

    loaded = load(arguments.file)
    if arguments.agent is not None:
        if arguments.json:
            write_json(agent_json(loaded, arguments.agent))
        else:
            show(agent_page(loaded, arguments.agent))
        return
    people = Population.of(loaded)
    if arguments.json:
        write_json(people.to_json())
    else:
        show(population_page(people, title=problem_title(loaded.mdp), whole=True))

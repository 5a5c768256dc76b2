"""``qfast show``: what a saved run, or a saved problem, holds."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from qfast.cli.options import UsageError, add_json, add_run_file, add_subcommand, number, whole

__all__ = ["add_command"]

_EPILOG = """\
examples:
  qfast show run.npz                    all agents, summed up
  qfast show run.npz --agent 0          one agent's Q-table and policy
  qfast show run.npz --agent 0 --json   the same for a program
  qfast show run.npz --census           all policies and their exact values
  qfast show lake.npz                   a problem that MDP.save wrote
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_subcommand(
        commands, "show", run, sentence="show a saved run: summary, Q-table and policy", epilog=_EPILOG
    )
    add_run_file(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--agent", metavar="N", type=whole, help="one agent, counted from 0")
    which.add_argument("--census", action="store_true", help="the distinct greedy policies and what each is worth")
    parser.add_argument("--gamma", metavar="G", type=number, help="discount for --census, by default the run's")
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Load and show."""
    if arguments.gamma is not None and not arguments.census:
        msg = "--gamma has a meaning only with --census"
        raise UsageError(msg)
    from qfast.cli.output import write_json
    from qfast.cli.pages import agent_page, population_page, problem_title
    from qfast.cli.population import Population, agent_json
    from qfast.cli.screen import show
    from qfast.run_files import load

    if _is_problem(arguments.file):
        _show_problem(arguments)
        return
    loaded = load(arguments.file)
    if arguments.agent is not None:
        if arguments.json:
            write_json(agent_json(loaded, arguments.agent))
        else:
            show(agent_page(loaded, arguments.agent))
        return
    if arguments.census:
        from qfast.cli.census import census_json, census_page

        counted = loaded.census(gamma=arguments.gamma)
        if arguments.json:
            write_json(census_json(counted))
        else:
            show(census_page(counted))
        return
    people = Population.of(loaded)
    if arguments.json:
        write_json(people.to_json())
    else:
        show(population_page(people, title=problem_title(loaded.mdp), whole=True))


def _is_problem(file: str) -> bool:
    from qfast.storage.archive import kind_of

    path = Path(file)
    return path.is_file() and kind_of(path) == "mdp"


def _show_problem(arguments: Namespace) -> None:
    """Show a problem's file, of which there is one page alone."""
    from qfast.cli.output import write, write_json
    from qfast.cli.population import problem_json
    from qfast.model.mdp import MDP

    if arguments.agent is not None or arguments.census:
        msg = f"{arguments.file} holds a problem and no agents; qfast train {arguments.file} trains some"
        raise UsageError(msg)
    mdp = MDP.load(arguments.file)
    if arguments.json:
        write_json(problem_json(mdp))
    else:
        write(repr(mdp))

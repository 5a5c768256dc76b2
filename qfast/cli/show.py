"""``qfast show``, ``rollout`` and ``problems``: what a file holds, what its agents do, and what can be learned."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qfast.cli.options import (
    UsageError,
    add_environment,
    add_json,
    add_run_file,
    add_subcommand,
    named_problem,
    number,
    whole,
)  # fmt: skip
from qfast.cli.output import Block, Facts, Line, Table, show, write, write_json

if TYPE_CHECKING:
    from qfast.model.mdp import MDP

_EPILOG_OF_SHOW = """\
examples:
  qfast show run.npz                    all agents, summed up
  qfast show run.npz --agent 0          one agent's Q-table and policy
  qfast show run.npz --agent 0 --json   the same for a program
  qfast show run.npz --census           all policies and their exact values
  qfast show lake.npz                   a problem that MDP.save wrote
"""

_EPILOG_OF_ROLLOUT = """\
Every agent acts greedily for one episode. -v logs the steps of a single agent.

examples:
  qfast rollout run.npz                 all agents, summed up
  qfast rollout run.npz --agent 0 -v    one agent, step by step
"""


def add_show(commands: Any) -> None:
    """Add ``qfast show``."""
    sentence = "show a saved run: summary, Q-table and policy"
    parser = add_subcommand(commands, "show", _show, sentence=sentence, epilog=_EPILOG_OF_SHOW)
    add_run_file(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--agent", metavar="N", type=whole, help="one agent, counted from 0")
    which.add_argument("--census", action="store_true", help="the distinct greedy policies and what each is worth")
    parser.add_argument("--gamma", metavar="G", type=number, help="discount for --census, by default the run's")
    add_json(parser)


def add_rollout(commands: Any) -> None:
    """Add ``qfast rollout``."""
    sentence = "let the agents of a saved run act greedily for one episode"
    parser = add_subcommand(commands, "rollout", _rollout, sentence=sentence, epilog=_EPILOG_OF_ROLLOUT)
    add_run_file(parser)
    parser.add_argument("--agent", metavar="N", type=whole, help="one agent, counted from 0; by default all")
    limit = "by default the problem's limit, or four times its states"
    parser.add_argument("--max-steps", metavar="N", type=whole, help=limit)
    add_json(parser)


def add_problems(commands: Any) -> None:
    """Add ``qfast problems``."""
    parser = add_subcommand(commands, "problems", _problems, sentence="list the problems, or describe one")
    parser.add_argument("problem", metavar="PROBLEM", nargs="?", help="a problem as in qfast train")
    add_environment(parser)
    add_json(parser)


def _show(arguments: Namespace) -> None:
    """Load and show."""
    if arguments.gamma is not None and not arguments.census:
        raise UsageError("--gamma has a meaning only with --census")
    from qfast.cli import run_page as pages
    from qfast.run_files import load
    from qfast.storage.archive import kind_of

    if Path(arguments.file).is_file() and kind_of(arguments.file) == "mdp":
        _show_problem(arguments)
        return
    run = load(arguments.file)
    if arguments.agent is not None:
        if arguments.json:
            write_json(pages.agent_json(run, arguments.agent))
        else:
            show(pages.agent_page(run, arguments.agent))
    elif arguments.census:
        census = run.census(gamma=arguments.gamma)
        if arguments.json:
            write_json(pages.census_json(census))
        else:
            show(pages.census_page(census))
    elif arguments.json:
        write_json(pages.run_json(run))
    else:
        show(pages.run_page(run, title=pages.problem_title(run.mdp), whole=True))


def _show_problem(arguments: Namespace) -> None:
    """Show a problem's file, of which there is one page alone."""
    from qfast.model.mdp import MDP

    if arguments.agent is not None or arguments.census:
        raise UsageError(f"{arguments.file} holds a problem and no agents; qfast train {arguments.file} trains some")
    _describe(MDP.load(arguments.file), as_json=arguments.json)


def _describe(mdp: "MDP", *, as_json: bool) -> None:
    """Write what a problem is."""
    from qfast.cli.run_page import problem_json

    if as_json:
        write_json(problem_json(mdp))
    else:
        write(repr(mdp))


def _rollout(arguments: Namespace) -> None:
    """Load, roll out and show."""
    from qfast.cli import run_page as pages
    from qfast.rollouts import rollout
    from qfast.run_files import load

    run = load(arguments.file)
    episode = rollout(run, agents=arguments.agent, max_steps=arguments.max_steps)
    if arguments.json:
        write_json(pages.rollout_json(run, episode))
    elif arguments.agent is None:
        show(pages.rollout_page(run, episode))
    else:
        show(pages.episode_page(run, episode))


def _problems(arguments: Namespace) -> None:
    """List, or describe one."""
    from qfast.problems import GYMNASIUM_IDS, names, resolve
    from qfast.problems.files.read_mdp import MODEL_SUFFIXES

    if arguments.problem is not None:
        _describe(named_problem(arguments.problem, arguments), as_json=arguments.json)
        return
    sizes = ("n_states", "n_actions", "max_episode_steps")
    known = {name: {size: getattr(resolve(name), size) for size in sizes} for name in names()}
    if arguments.json:
        write_json({"problems": known, "gymnasium": GYMNASIUM_IDS})
        return
    rows = [
        (name, ["none" if size is None else f"{size:,}" for size in problem.values()])
        for name, problem in known.items()
    ]
    files = f"a grid as text, an MDP's .npz, or a model ({', '.join(MODEL_SUFFIXES)})"
    facts = [("Gymnasium", ", ".join(GYMNASIUM_IDS)), ("files", files)]
    page: list[Block] = [
        Table("problem", ["states", "actions", "limit"], rows),
        Facts(facts),
        Line('"qfast problems corridor" describes one of them.'),
    ]
    show(page)

"""``qfast show``, ``rollout``, ``replay`` and ``problems``: what a file holds, what agents do, what can be learned."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qfast.cli.options import (
    UsageError,
    add_env_options,
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


_EPILOG_OF_REPLAY = """\
The table that the agents learned on may be sampled, or hide something; here it
shows, beside what the table promises.

examples:
  qfast replay lake.npz             where its problem is from
  qfast replay room.npz my_env.py:Room --env size=4
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


def add_replay(commands: Any) -> None:
    """Add ``qfast replay``."""
    sentence = "let agents of a saved run act in the original environment"
    parser = add_subcommand(commands, "replay", _replay, sentence=sentence, epilog=_EPILOG_OF_REPLAY)
    add_run_file(parser)
    where = "a Gymnasium id, or my_env.py:Room; by default the name of the run's problem"
    parser.add_argument("environment", metavar="ENVIRONMENT", nargs="?", help=where)
    add_env_options(parser)
    parser.add_argument("--agent", metavar="N", type=whole, help="one agent, counted from 0; by default the first ten")
    parser.add_argument("--episodes", metavar="N", type=whole, default=100, help="episodes of each (100)")
    parser.add_argument("--seed", metavar="N", type=whole, default=0, help="of the environment's random streams (0)")
    parser.add_argument("--max-steps", metavar="N", type=whole, help="by default the problem's limit")
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
    _refuse_a_study(Path(arguments.file))
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


def _refuse_a_study(place: Path) -> None:
    """Say which commands show a study: `qfast.load` names Python's function."""
    from qfast.errors import BadFile, InvalidInput
    from qfast.storage.work_folder import holds_work, read_work
    from qfast.text import printable

    if not place.is_dir() or not holds_work(place):
        return
    try:
        read_work(place, "study")
    except (InvalidInput, BadFile):
        return
    name = printable(place)
    raise BadFile(f"{name} holds a study, not a run; `qfast plot {name}` and `qfast report {name}` show it")


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


def _replay(arguments: Namespace) -> None:
    """Load, act, and show what was met beside what was promised."""
    from functools import partial

    from qfast.problems.files.python_file import maker, split
    from qfast.problems.gym_adapter import make_env
    from qfast.replays import replay
    from qfast.run_files import load

    run, options = load(arguments.file), dict(arguments.env)
    name = arguments.environment or run.mdp.name
    if not name:
        raise UsageError(f"{arguments.file} does not say which environment it is of; name it, as in FrozenLake-v1")
    python = split(name)
    env = partial(make_env, name, options) if python is None else maker(*python, options)
    found = replay(
        run, env, agents=arguments.agent, episodes=arguments.episodes, seed=arguments.seed,
        max_steps=arguments.max_steps,
    )  # fmt: skip
    if not arguments.json:
        write(repr(found))
        return
    write_json({
        "agents": found.agents.tolist(), "episodes": found.returns.shape[1], "max_steps": found.max_steps,
        "goal_reward": found.goal_reward, "level": found.level,
        "returns": found.returns.mean(axis=1).tolist(), "promised_returns": found.promised_returns.tolist(),
        "success": found.success.mean(axis=1).tolist(), "promised_success": found.promised_success.tolist(),
        "lost": found.lost.mean(axis=1).tolist(),
    })  # fmt: skip


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

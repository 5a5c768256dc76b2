"""``qfast problems``: what there is to learn."""

from argparse import Namespace
from typing import Any

from qfast.cli.options import add_json, add_subcommand

__all__ = ["add_command"]


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_subcommand(commands, "problems", run, sentence="list the problems, or describe one")
    parser.add_argument("problem", metavar="PROBLEM", nargs="?", help="a problem as in qfast train")
    add_json(parser)


def run(arguments: Namespace) -> None:
    """List, or describe one."""
    from qfast.cli.output import write, write_json
    from qfast.cli.population import problem_json
    from qfast.problems import GYMNASIUM_IDS, names, resolve

    if arguments.problem is not None:
        mdp = resolve(arguments.problem)
        if arguments.json:
            write_json(problem_json(mdp))
        else:
            write(repr(mdp))
        return
    known = {name: resolve(name) for name in names()}
    if arguments.json:
        write_json({"problems": {name: _sizes(mdp) for name, mdp in known.items()}, "gymnasium": GYMNASIUM_IDS})
        return
    from qfast.cli.screen import Facts, Line, Table, show

    rows = [(name, [f"{mdp.n_states:,}", str(mdp.n_actions), _limit(mdp)]) for name, mdp in known.items()]
    show(
        [
            Table("problem", ["states", "actions", "limit"], rows),
            Facts([("Gymnasium", ", ".join(GYMNASIUM_IDS)), ("files", "a grid as text, or an MDP's .npz")]),
            Line('"qfast problems corridor" describes one of them.'),
        ]
    )


def _sizes(mdp: Any) -> dict[str, Any]:
    return {"n_states": mdp.n_states, "n_actions": mdp.n_actions, "max_episode_steps": mdp.max_episode_steps}


def _limit(mdp: Any) -> str:
    return "none" if mdp.max_episode_steps is None else f"{mdp.max_episode_steps:,}"

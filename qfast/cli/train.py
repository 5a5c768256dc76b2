"""``qfast train``: agents learn a problem."""

import secrets
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qfast.cli.ends import kept, report_run, told_when_unsaved
from qfast.cli.options import add_json, add_setting, add_subcommand, learning_settings, whole
from qfast.cli.output import check_room, checked_out
from qfast.model.settings import SETTINGS

if TYPE_CHECKING:
    from qfast.model.mdp import MDP

__all__ = ["add_command", "add_learning"]

_EPILOG = """\
PROBLEM is a name of "qfast problems", a Gymnasium id such as FrozenLake-v1, a
text file with a grid, or an MDP's .npz. RATE is a number, or START:STOP for a
straight line over the episodes, or START:STOP:exponential.

examples:
  qfast train
  qfast train FrozenLake-v1 --gamma 0.99 --episodes 2000 --out lake.npz
  qfast train cliff_walking --epsilon 0.5:0.01:exponential --max-steps 200
  qfast train --rule sarsa --explore softmax --temperature 2:0.1
  qfast train --agents 1 --first-agent 7 --seed 1   agent 7 of seed 1, alone
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_subcommand(
        commands, "train", run, sentence="train agents on a problem and sum up what they have learned", epilog=_EPILOG
    )
    parser.add_argument("problem", metavar="PROBLEM", nargs="?", default="corridor", help="by default corridor")
    add_training(parser)
    add_learning(parser)
    add_results(parser, "summary")


def add_learning(parser: ArgumentParser) -> None:
    """Add what the agents are."""
    learning = parser.add_argument_group("learning")
    for setting in SETTINGS.values():
        add_setting(learning, setting)
    learning.add_argument("--max-steps", metavar="N", type=whole, help="steps after which an episode is cut off")


def add_training(parser: ArgumentParser) -> None:
    """Add what says how much to train, and where the random numbers come from."""
    training = parser.add_argument_group("training")
    training.add_argument("--agents", metavar="N", type=whole, default=10_000, help="number of agents (10000)")
    training.add_argument("--episodes", metavar="N", type=whole, default=1_000, help="episodes of each (1000)")
    training.add_argument("--seed", metavar="N", type=whole, help="by default a fresh one, which is shown")
    training.add_argument("--first-agent", metavar="N", type=whole, default=0, help="number of the first agent (0)")
    training.add_argument("--threads", metavar="N", type=whole, help="by default all processors")


def add_results(parser: ArgumentParser, record: str) -> None:
    """Add what to keep and how to show it."""
    results = parser.add_argument_group("results")
    results.add_argument(
        "--record",
        choices=("none", "returns", "summary"),
        default=record,
        help="keep returns and lengths of all episodes, or their summary over agents (default), or none",
    )
    results.add_argument(
        "--checkpoints",
        metavar="N",
        type=lambda text: text if text == "log" else whole(text),
        help="measure every agent against the truth N times on the way, or with log after 1, 2, 5, 10 … episodes",
    )
    results.add_argument(
        "--out",
        metavar="NAME",
        help="keep the run in this .npz (an existing one is replaced), or, under any other name, in a folder whose "
        "arrays stay on the disk; the same command goes on with what was killed or interrupted",
    )
    add_json(results)


def run(arguments: Namespace) -> None:
    """Train, save and sum up."""
    out = checked_out(arguments.out, source=arguments.problem, folders=True)
    mdp = _problem(arguments.problem, arguments.max_steps)
    per_number = 8 if arguments.dtype == "float64" else 4
    recorded = arguments.episodes * (per_number + 4) if arguments.record == "returns" else 0
    if out is None or out.suffix == ".npz":  # a folder knows what it has already
        check_room(out, arguments.agents * (mdp.n_states * mdp.n_actions * per_number + recorded))
    from qfast.training import train

    with kept(out), told_when_unsaved(arguments.problem, as_json=arguments.json, threads=arguments.threads):
        trained = train(
            mdp,
            n_agents=arguments.agents,
            episodes=arguments.episodes,
            **learning_settings(arguments),
            seed=_seed(arguments.seed, out),
            threads=arguments.threads,
            checkpoints=arguments.checkpoints,
            record=None if arguments.record == "none" else arguments.record,
            first_agent=arguments.first_agent,
            out=out,
        )
    report_run(trained, out=out, saved=True, name=arguments.problem, as_json=arguments.json, threads=arguments.threads)


def _seed(given_one: int | None, out: Path | None) -> Any:
    """The seed that was given, or that of a training which was begun here and is not finished, or a fresh one."""
    if given_one is None and out is not None:
        from qfast.destination import Destination

        begun = Destination(out).unfinished_seed()
        if begun is not None:
            return begun
    # 48 bits are short enough to be typed again, and exact in every reader of JSON.
    return secrets.randbits(48) if given_one is None else given_one


def _problem(name: str, limit: int | None) -> "MDP":
    from qfast.problems import resolve

    return resolve(name, max_episode_steps=limit)

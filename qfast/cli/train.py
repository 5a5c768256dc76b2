"""``qfast train`` and ``qfast resume``: agents learn a problem, and learn on; and how both end when interrupted."""

import contextlib
import secrets
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qfast.cli.options import (
    UsageError,
    add_amount,
    add_json,
    add_learning,
    add_run_file,
    add_settings,
    add_subcommand,
    add_threads,
    learning_settings,
    named_problem,
    whole,
)
from qfast.cli.output import Line, checked_out, show, tell, write_json
from qfast.errors import QfastError
from qfast.model.settings import SETTINGS
from qfast.text import printable

if TYPE_CHECKING:
    from qfast.run import Run

_EPILOG = """\
PROBLEM is a name of "qfast problems", a Gymnasium id such as FrozenLake-v1, a
text file with a grid, a file of an MDP (.npz, .MDP, .POMDP, .drn, .tra), or
something in a Python file, my_env.py:Room: an MDP, an environment, or a
function or class that makes one. RATE is a number, or START:STOP for a straight
line over the episodes, or START:STOP:exponential.

examples:
  qfast train
  qfast train FrozenLake-v1 --gamma 0.99 --episodes 2000 --out lake.npz
  qfast train FrozenLake-v1 --env is_slippery=False --env map_name=8x8
  qfast train my_env.py:Room --max-steps 100
  qfast train cliff_walking --epsilon 0.5:0.01:exponential --max-steps 200
  qfast train --rule sarsa --explore softmax --temperature 2:0.1
  qfast train --agents 1 --first-agent 7 --seed 1   agent 7 of seed 1, alone
"""

_EPILOG_OF_RESUME = """\
400 episodes and then 600 give the same, to the last bit, as 1000 at once.

example:
  qfast resume run.npz --episodes 600 --out run.npz
"""


def add_train(commands: Any) -> None:
    """Add ``qfast train``."""
    sentence = "train agents on a problem and sum up what they have learned"
    parser = add_subcommand(commands, "train", _train, sentence=sentence, epilog=_EPILOG)
    parser.add_argument("problem", metavar="PROBLEM", nargs="?", default="corridor", help="by default corridor")
    training = parser.add_argument_group("training")
    add_amount(training, "number of agents")
    training.add_argument("--first-agent", metavar="N", type=whole, default=0, help="number of the first agent (0)")
    add_threads(training)
    add_learning(parser)
    results = parser.add_argument_group("results")
    records = "keep returns and lengths of all episodes, or their summary over agents (default), or none"
    results.add_argument("--record", choices=("none", "returns", "summary"), default="summary", help=records)
    when = "measure every agent against the truth N times on the way, or with log after 1, 2, 5, 10 … episodes"
    results.add_argument("--checkpoints", metavar="N", type=lambda n: n if n == "log" else whole(n), help=when)
    where = (
        "keep the run in this .npz (an existing one is replaced), or, under any other name, in a folder whose "
        "arrays stay on the disk; the same command goes on with what was killed or interrupted"
    )
    results.add_argument("--out", metavar="NAME", help=where)
    add_json(results)


def add_resume(commands: Any) -> None:
    """Add ``qfast resume``."""
    sentence = "train the agents of a saved run on"
    parser = add_subcommand(commands, "resume", _resume, sentence=sentence, epilog=_EPILOG_OF_RESUME)
    add_run_file(parser)
    parser.add_argument("--episodes", metavar="N", type=whole, required=True, help="episodes more for each agent")
    learning = parser.add_argument_group("new rates", "by default those of before; a schedule has ended: give it anew")
    add_settings(learning, (setting for setting in SETTINGS.values() if setting.resumable))
    add_threads(parser)
    parser.add_argument("--out", metavar="FILE", help="save the run to this .npz; an existing one is replaced")
    add_json(parser)


def _train(arguments: Namespace) -> None:
    """Train, save and sum up."""
    out = checked_out(arguments.out, source=arguments.problem, folders=True)
    mdp = named_problem(arguments.problem, arguments)
    from qfast.errors import Unfinished
    from qfast.training import train

    shown = {"name": arguments.problem, "as_json": arguments.json, "threads": arguments.threads}
    try:
        with kept(out):
            run = train(
                mdp, n_agents=arguments.agents, episodes=arguments.episodes, **learning_settings(arguments),
                seed=_seed(arguments.seed, out), threads=arguments.threads, checkpoints=arguments.checkpoints,
                record=None if arguments.record == "none" else arguments.record, first_agent=arguments.first_agent,
                out=out,
            )  # fmt: skip
    except Unfinished as error:
        whole_run: Run | None = getattr(error, "run", None)
        if whole_run is not None and whole_run.work:  # all agents are complete, and could not be saved
            _sum_up(whole_run, None, **shown)
        raise
    _sum_up(run, out, **shown)


def _resume(arguments: Namespace) -> None:
    """Load, train on, save and sum up."""
    out = checked_out(arguments.out)
    if out is not None and out.suffix != ".npz":
        msg = f"--out {out} is the name of a folder, as in qfast train, which resume does not fill; use {out.name}.npz"
        raise UsageError(msg)
    from qfast.run_files import load
    from qfast.training import resume

    before = load(arguments.file)
    with kept(out):
        run = resume(before, episodes=arguments.episodes, **learning_settings(arguments), threads=arguments.threads)
    save_and_sum_up(run, out, as_json=arguments.json, threads=arguments.threads)


def _seed(given: int | None, out: Path | None) -> Any:
    """The seed that was given, or that of a training which was begun here and is not finished, or a fresh one."""
    if given is None and out is not None:
        from qfast.destination import Destination

        begun = Destination(out).unfinished_seed()
        if begun is not None:
            return begun
    # 48 bits are short enough to be typed again, and exact in every reader of JSON.
    return secrets.randbits(48) if given is None else given


@contextlib.contextmanager
def kept(out: Path | None) -> Iterator[None]:
    """Save what is complete when training is interrupted, say so, and pass the interruption on."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        run: Run | None = getattr(interruption, "run", None)
        if run is None:
            tell("interrupted before any agent was complete; nothing is saved")
        elif out is None:
            tell(f"interrupted; {_agents(run)} complete but not saved (--out FILE would keep them)")
        else:
            _keep(run, out)
        raise


def _keep(run: "Run", out: Path) -> None:
    """Save what is complete of an interrupted training, and say so."""
    goes_on = out.is_dir() or out.with_name(f"{out.name}.parts").is_dir()
    more = "; the same command goes on from there" * goes_on
    # What was interrupted must not take the place of a complete run.
    older = out.is_file() and not run.work and not _begins(out, run)
    if not older and not run.work and not out.is_dir():
        try:
            run.save(out)
        except KeyboardInterrupt:  # once more
            tell(f"interrupted; {_agents(run)} complete, and {out} is not written{more}")
            raise
    saved = f"complete; {out} is left as it was" if older else f"complete and saved in {out}"
    tell(f"interrupted; {_agents(run)} {saved}{more}")


def _begins(out: Path, run: "Run") -> bool:
    """Whether a file holds the first agents of the same interrupted training."""
    from qfast.run_files import load

    try:
        other = load(out)
    except QfastError:
        return False
    same = ("mdp", "seed", "first_agent", "episodes", "record")
    return (
        not other.work
        and other.n_agents <= run.n_agents
        and other.learner.words() == run.learner.words()
        and all(getattr(other, name) == getattr(run, name) for name in same)
    )


def _agents(run: "Run") -> str:
    return f"{run.n_agents:,} agents are" if run.n_agents > 1 else "1 agent is"


def save_and_sum_up(run: "Run", out: Path | None, **shown: Any) -> None:
    """Save a run, and sum it up even if it cannot be saved after all."""
    try:
        if out is not None:
            run.save(out)  # first of all: what comes after may fail at a closed pipe
    except KeyboardInterrupt:
        tell(f"interrupted while {_agents(run)} complete and being saved; {out} is not written")
        raise
    except OSError:
        _sum_up(run, None, **shown)
        raise
    _sum_up(run, out, **shown)


def _sum_up(
    run: "Run", out: Path | None, *, as_json: bool, name: str | None = None, threads: int | None = None
) -> None:
    """Sum a run of a problem with this name up on standard output; it is saved there, if anywhere."""
    from qfast.cli.run_page import problem_title, run_json, run_page

    if as_json:
        write_json({"out": None if out is None else str(out), **run_json(run)})
        return
    place = printable(out)
    saved = "not saved; --out run.npz keeps it" if out is None else f'saved in {place}; "qfast show {place}" shows more'
    show([*run_page(run, title=problem_title(run.mdp, name), threads=threads), Line(saved)])

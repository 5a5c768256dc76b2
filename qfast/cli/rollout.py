"""``qfast rollout``: agents of a saved run act on what they have learned."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any, Final

from qfast.cli.options import add_json, add_run_file, add_subcommand, whole

if TYPE_CHECKING:
    from qfast.cli.screen import Block
    from qfast.rollouts import Rollout
    from qfast.run import Run

__all__ = ["add_command"]

_LONGEST_PATH: Final = 40

_EPILOG = """\
Every agent acts greedily for one episode. -v logs the steps of a single agent.

examples:
  qfast rollout run.npz                 all agents, summed up
  qfast rollout run.npz --agent 0 -v    one agent, step by step
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_subcommand(
        commands, "rollout", run, sentence="let the agents of a saved run act greedily for one episode", epilog=_EPILOG
    )
    add_run_file(parser)
    parser.add_argument("--agent", metavar="N", type=whole, help="one agent, counted from 0; by default all")
    parser.add_argument(
        "--max-steps", metavar="N", type=whole, help="by default the problem's limit, or four times its states"
    )
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Load, roll out and show."""
    from qfast.cli.output import write_json
    from qfast.cli.screen import show
    from qfast.rollouts import rollout
    from qfast.run_files import load

    loaded = load(arguments.file)
    episode = rollout(loaded, agents=arguments.agent, max_steps=arguments.max_steps)
    if arguments.json:
        write_json(_json(loaded, episode))
    else:
        show(_page(loaded, episode) if arguments.agent is None else _agent_page(loaded, episode))


def _json(loaded: "Run", episode: "Rollout") -> dict[str, Any]:
    """Give every episode: its path ends where it ended."""
    from qfast.cli.population import problem_json, seed_of

    return {
        "problem": problem_json(loaded.mdp),
        "seed": seed_of(loaded),
        "agents": episode.agents + loaded.first_agent,
        "max_steps": episode.max_steps,
        "terminated": episode.terminated,
        "returns": episode.returns,
        "lengths": episode.lengths,
        "states": [_cut(path, n + 1) for path, n in zip(episode.states, episode.lengths, strict=True)],
        "actions": [_cut(path, n) for path, n in zip(episode.actions, episode.lengths, strict=True)],
    }


def _cut(path: Any, length: int) -> Any:
    return path[:length].tolist()


def _page(loaded: "Run", episode: "Rollout") -> list["Block"]:
    """Sum up the episodes of all agents."""
    import numpy as np

    from qfast.cli.pages import spread
    from qfast.cli.population import Spread
    from qfast.cli.screen import Facts, Line
    from qfast.text import percent

    n = loaded.n_agents
    reached = int(episode.terminated.sum())
    _, example, agents = np.unique(episode.states, axis=0, return_index=True, return_counts=True)
    commonest = int(agents.argmax())
    at = example[commonest]
    stopped = "" if reached == n else "; the limit stopped the others"
    facts = [
        ("finished", f"{percent(reached, n)} ({reached:,} of {n:,} agents){stopped}"),
        ("return", f"{spread(Spread.of(episode.returns))}, {_range(episode.returns)}"),
        ("steps", f"{spread(Spread.of(episode.lengths))}, {_range(episode.lengths)}"),
        ("paths", f"{len(agents):,} different; {percent(int(agents[commonest]), n)} of the agents take this one:"),
        ("", _path(loaded, episode, at)),
    ]
    title = f"One greedy episode of each of {n:,} agents, at most {episode.max_steps:,} steps"
    return [Line(title, strong=True), Facts(facts)]


def _range(values: Any) -> str:
    return f"from {values.min():.4g} to {values.max():.4g}"


def _agent_page(loaded: "Run", episode: "Rollout") -> list["Block"]:
    """Tell the episode of one agent."""
    from qfast.cli.screen import Facts, Line

    length = int(episode.lengths[0])
    steps = f"{length:,} step{'' if length == 1 else 's'}"
    how = f"finished in {steps}" if episode.terminated[0] else f"was stopped by the limit after {steps}"
    actions = [loaded.mdp.action_names[a] for a in episode.actions[0, :length]]
    number = loaded.first_agent + int(episode.agents[0])
    return [
        Line(f"Agent {number:,} {how}", strong=True),
        Facts(
            [
                ("return", f"{episode.returns[0]:.6g}"),
                ("states", _path(loaded, episode, 0)),
                ("actions", _shortened(actions, ", ")),
            ]
        ),
    ]


def _path(loaded: "Run", episode: "Rollout", row: int) -> str:
    """Name the states that an episode went through."""
    names = [loaded.mdp.state_names[s] for s in episode.states[row, : int(episode.lengths[row]) + 1]]
    return _shortened(names, " → ")


def _shortened(names: list[str], between: str) -> str:
    """Join names; of a long episode, its beginning and its last."""
    if len(names) <= _LONGEST_PATH:
        return between.join(names)
    left_out = len(names) - _LONGEST_PATH
    return between.join([*names[: _LONGEST_PATH - 1], f"… ({left_out:,} more)", names[-1]])

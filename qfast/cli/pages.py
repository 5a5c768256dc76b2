"""What the commands show, as blocks for the screen."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.cli.output import prints_unicode
from qfast.cli.population import Population, Spread, policy_names
from qfast.cli.screen import Block, Facts, Line, Table
from qfast.describe import learner_in_words
from qfast.text import percent, printable

if TYPE_CHECKING:
    from qfast.model.mdp import MDP
    from qfast.run import Run

__all__ = ["agent_page", "population_page", "spread"]

# A page is meant for a terminal of 24 lines with the prompt below; what does not fit is left to `qfast show`.
_LINES: Final = 23
_COLUMNS: Final = 78
_LINES_OF_FACTS: Final = 13  # with the lines between them and the last one, about the file


def population_page(people: Population, *, title: str, threads: int | None = None, whole: bool = False) -> list[Block]:
    """Lay out a run's summary.

    Parameters
    ----------
    people : Population
        The run.
    title : str
        The first line.
    threads : int, optional
        Threads that trained, if that is known.
    whole : bool
        Whether maps and tables are shown however large they are.

    Returns
    -------
    list of Block
        One screen, unless `whole`.
    """
    run, mdp = people.run, people.run.mdp
    blocks: list[Block] = [Line(title, strong=True), Facts([*_settings(run), ("work", _work(run, threads))])]
    results = _results(people)
    left = _LINES - _LINES_OF_FACTS
    together = 2 * people.n_same > run.n_agents
    shown = people.policy if together else people.majority
    drawn = _policy(mdp, shown)
    if drawn and not together:
        drawn = f"in each state, what most of the agents that come there do:\n{drawn}"
    lines = drawn.split("\n")
    if drawn and (whole or (len(lines) <= left and max(map(len, lines)) <= _COLUMNS - 14)):
        results.append(("policy" if together else "majority", drawn))
        left -= len(lines)
    blocks.append(Facts(results))
    if whole or (mdp.n_states + 3 <= left and 9 * mdp.n_actions + max(map(len, mdp.state_names)) <= _COLUMNS):
        corner = "mean Q" if run.n_agents > 1 else "Q"
        blocks.append(q_table(mdp, people.mean_q, shown, corner=corner))
    return blocks


def agent_page(run: "Run", agent: int) -> list[Block]:
    """Lay out what one agent has learned.

    Parameters
    ----------
    run : Run
        The run.
    agent : int
        Position of the agent in it.

    Returns
    -------
    list of Block
        As long as the problem has states.
    """
    from qfast.truth.behaviour import greedy_sets

    position = run.position(agent)
    q = run.q[position]
    policy = greedy_sets(run, position)
    facts = [*_settings(run)]
    if run.returns is not None and run.lengths is not None:
        facts.append(
            ("last episode", f"return {run.returns[position, -1]:.6g}, length {run.lengths[position, -1]:,} steps")
        )
    drawn = _policy(run.mdp, policy)
    if drawn:
        facts.append(("policy", drawn))
    number = run.first_agent + position
    on = f" on {printable(run.mdp.name)}" if run.mdp.name else ""
    return [
        Line(f"Agent {number:,} of seed {seed_text(run)}{on}", strong=True),
        Facts(facts),
        q_table(run.mdp, q, policy, corner="Q"),
    ]


def problem_title(mdp: "MDP", name: str | None = None) -> str:
    """Head a page: how many states and actions, and the problem's name, as it was given or its own, if it has one."""
    name = name or mdp.name
    size = f"{mdp.n_states:,} states, {mdp.n_actions} action{'' if mdp.n_actions == 1 else 's'}"
    return f"Q-learning on {printable(name)}: {size}" if name else f"Q-learning on a problem of {size}"


def seed_text(run: "Run") -> str:
    """Give the seed as one would type it."""
    from qfast.model.seeding import seed_in_words, seed_to_json

    return seed_in_words(seed_to_json(run.seed_sequence))


def spread(value: Spread, unit: str = "") -> str:
    """Give mean and spread of a quantity.

    Examples
    --------
    >>> spread(Spread(4.5, 0.25)), spread(Spread(-146.1, 112.0)), spread(Spread(4.0, None), " steps")
    ('4.5 ± 0.25', '-146.1 ± 112', '4 steps')
    """
    if value.std is None:
        return f"{value.mean:.4g}{unit}"
    std = f"{value.std:,.0f}" if 10 <= value.std < 1e6 else f"{value.std:.2g}"
    return f"{value.mean:.4g} ± {std}{unit}"


def _settings(run: "Run") -> list[tuple[str, str]]:
    words = run.learner.words()
    episodes = f"{run.episodes:,} episode{'' if run.episodes == 1 else 's'}"
    agents = f"{run.n_agents:,} agents" if run.n_agents > 1 else "1 agent"
    first = f" (from agent {run.first_agent:,} on)" if run.first_agent else ""
    limit = run.mdp.max_episode_steps
    limited = "" if limit is None else f" of at most {limit:,} steps"
    each = " each" if run.n_agents > 1 else ""
    return [
        ("agents", f"{agents}{first}, {episodes}{limited}{each}"),
        ("learner", learner_in_words(run)),
        ("rates", ", ".join(f"{name.rstrip('_')} {words[name]}" for name in run.learner.shown)),
        ("Q", f"starts at {words['initial_q']}, {words['dtype']}, ties {words['ties']}"),
        ("seed", seed_text(run)),
    ]


def _work(run: "Run", threads: int | None) -> str:
    rate = run.steps_per_second
    speed = f"{rate / 1e9:.3g} billion" if rate >= 1e9 else f"{rate / 1e6:.3g} million"
    by = "" if threads is None else f" on {threads} thread{'' if threads == 1 else 's'}"
    return f"{run.n_steps:,} agent-steps in {run.seconds:.3g} s, {speed} a second{by}"


def _results(people: Population) -> list[tuple[str, str]]:
    run = people.run
    results = []
    if run.n_diverged:
        have = f"{percent(run.n_diverged, run.n_agents)} ({run.n_diverged:,} of {run.n_agents:,} agents)"
        results.append(("diverged", f"{have}: Q holds inf or NaN, and what they do means nothing"))
    if people.final_return is not None and people.final_length is not None:
        over = "  (mean ± std over agents)" if run.n_agents > 1 else ""
        text = f"return {spread(people.final_return)}, {spread(people.final_length, ' steps')}{over}"
        results.append(("last episode", text))
    if run.n_agents > 1:
        agents = f"{people.n_same:,} of {run.n_agents:,} agents"
        if people.n_policies == 1:
            text = f"all {run.n_agents:,} agents have the same greedy policy"
        elif people.n_policies == run.n_agents:
            text = f"no two of the {run.n_agents:,} agents have the same greedy policy"
        else:
            share = percent(people.n_same, run.n_agents)
            text = f"{share} ({agents}) have the most common of {people.n_policies:,} greedy policies"
        results.append(("agreement", text))
    if run.checkpoints is not None:
        first = run.first_optimal()
        there, half = int((~first.censored).sum()), first.quantile(0.5)
        text = f"{percent(there, run.n_agents)} ({there:,} of {run.n_agents:,} agents) at the end, "
        good = "not half of them for good" if np.isinf(half) else f"half of them for good {first.between(half)}"
        results.append(("optimal", text + good))
    return results


def _policy(mdp: "MDP", policy: NDArray[np.bool_]) -> str:
    """Draw a policy (S, A) on the map; without one, name what is done state by state."""
    from qfast.problems import arrows

    if mdp.layout is not None:
        return arrows(mdp, policy, ascii_only=not prints_unicode())
    return "  ".join(f"{state}:{actions}" for state, actions in policy_names(mdp, policy))


def q_table(mdp: "MDP", q: NDArray[Any], policy: NDArray[np.bool_], *, corner: str) -> Table:
    """Set a Q-table, states down and actions across; the policy's actions (S, A) stand out."""
    rows = [(name, [_cell(value) for value in row]) for name, row in zip(mdp.state_names, q, strict=True)]
    return Table(corner, mdp.action_names, rows, frozenset((int(s), int(a)) for s, a in np.argwhere(policy)))


def _cell(value: float) -> str:
    return "-" if value == -np.inf else f"{value:.4f}" if abs(value) < 1e4 else f"{value:.4g}"

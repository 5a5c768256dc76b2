"""What there is to say about a run, its agents, its census and its rollouts: as pages for the screen, and for JSON."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.cli.output import Block, Facts, Line, Table, prints_unicode
from qfast.describe import learner_in_words
from qfast.model.seeding import seed_in_words, seed_number, seed_to_json
from qfast.problems import arrows
from qfast.problems.policy_map import side_by_side
from qfast.text import percent, printable
from qfast.truth.behaviour import greedy_sets

if TYPE_CHECKING:
    from qfast.model.mdp import MDP
    from qfast.rollouts import Rollout
    from qfast.run import Run
    from qfast.truth import Census

# A page is meant for a terminal of 24 lines with the prompt below; what does not fit is left to `qfast show`.
_LINES: Final = 23
_COLUMNS: Final = 78
_LINES_OF_FACTS: Final = 13  # with the lines between them and the last one, about the file
_POLICIES: Final = 8  # of a census, and those with a map
_MAPS: Final = 4
_LONGEST_PATH: Final = 40


class Spread(NamedTuple):
    """Mean of a quantity and its standard deviation over agents (n - 1), which one agent does not have."""

    mean: float
    std: float | None

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Spread":
        """Sum up one value an agent."""
        std = float(values.std(ddof=1, dtype=np.float64)) if values.size > 1 else None
        return cls(float(values.mean(dtype=np.float64)), std)

    def text(self, unit: str = "") -> str:
        """Give both.

        >>> Spread(4.5, 0.25).text(), Spread(-146.1, 112.0).text(), Spread(4.0, None).text(" steps")
        ('4.5 ± 0.25', '-146.1 ± 112', '4 steps')
        """
        if self.std is None:
            return f"{self.mean:.4g}{unit}"
        std = f"{self.std:,.0f}" if 10 <= self.std < 1e6 else f"{self.std:.2g}"
        return f"{self.mean:.4g} ± {std}{unit}"


# --- runs ------------------------------------------------------------------------------------------------------------


def run_page(run: "Run", *, title: str, threads: int | None = None, whole: bool = False) -> list[Block]:
    """Lay out a run's summary, on one screen unless the whole is asked for."""
    mdp = run.mdp
    policies, agents = run.policies()
    together = 2 * int(agents[0]) > run.n_agents
    shown = policies[0] if together else _majority(policies, agents)
    results = _results(run, agents)
    left = _LINES - _LINES_OF_FACTS
    drawn = _policy(mdp, shown)
    if drawn and not together:
        drawn = f"in each state, what most of the agents that come there do:\n{drawn}"
    lines = drawn.split("\n")
    if drawn and (whole or (len(lines) <= left and max(map(len, lines)) <= _COLUMNS - 14)):
        results.append(("policy" if together else "majority", drawn))
        left -= len(lines)
    settings = [*_settings(run), ("work", _work(run, threads))]
    blocks: list[Block] = [Line(title, strong=True), Facts(settings), Facts(results)]
    if whole or (mdp.n_states + 3 <= left and 9 * mdp.n_actions + max(map(len, mdp.state_names)) <= _COLUMNS):
        blocks.append(_q_table(mdp, _mean_q(run), shown, corner="mean Q" if run.n_agents > 1 else "Q"))
    return blocks


def run_json(run: "Run") -> dict[str, Any]:
    """Everything that the page shows, and the tables that it may leave out."""
    policies, agents = run.policies()
    words = run.learner.words()
    final = [spread and spread._asdict() for spread in _last_episode(run)]
    return {
        "problem": problem_json(run.mdp),
        "settings": {
            "n_agents": run.n_agents,
            "first_agent": run.first_agent,
            "episodes": run.episodes,
            **{name: _number_or_words(getattr(run.learner, name), text) for name, text in words.items()},
            "n": run.learner.n,
            "record": run.record,
        },
        "seed": seed_of(run),
        "n_steps": run.n_steps,
        "n_diverged": run.n_diverged,
        "seconds": run.seconds,
        "steps_per_second": run.steps_per_second,
        "final_return": final[0],
        "final_length": final[1],
        "policy": {
            "share": int(agents[0]) / run.n_agents,
            "n_agents": int(agents[0]),
            "n_policies": len(agents),
            "actions": _actions(policies[0]),
            "majority": _actions(_majority(policies, agents)),
        },
        "mean_q": _mean_q(run),
    }


def agent_page(run: "Run", agent: int) -> list[Block]:
    """Lay out what one agent has learned, in as many lines as the problem has states."""
    position = run.position(agent)
    policy = greedy_sets(run, position)
    facts = _settings(run)
    if run.returns is not None and run.lengths is not None:
        last = f"return {run.returns[position, -1]:.6g}, length {run.lengths[position, -1]:,} steps"
        facts.append(("last episode", last))
    drawn = _policy(run.mdp, policy)
    if drawn:
        facts.append(("policy", drawn))
    on = f" on {printable(run.mdp.name)}" if run.mdp.name else ""
    title = f"Agent {run.first_agent + position:,} of seed {_seed_text(run)}{on}"
    return [Line(title, strong=True), Facts(facts), _q_table(run.mdp, run.q[position], policy, corner="Q")]


def agent_json(run: "Run", agent: int) -> dict[str, Any]:
    """What one agent has learned, its table as the article prints it."""
    position = run.position(agent)
    recorded = None if run.returns is None or run.lengths is None else (run.returns, run.lengths)
    return {
        "problem": problem_json(run.mdp),
        "agent": run.first_agent + position,
        "seed": seed_of(run),
        "episodes": run.episodes,
        "final_return": recorded and float(recorded[0][position, -1]),
        "final_length": recorded and int(recorded[1][position, -1]),
        "policy": _actions(greedy_sets(run, position)),
        "q": run.table(position),
    }


def problem_title(mdp: "MDP", name: str | None = None) -> str:
    """Head a page: how many states and actions, and the problem's name, its own or as it was given, if it has one."""
    name = mdp.name or name
    size = f"{mdp.n_states:,} states, {mdp.n_actions} action{'' if mdp.n_actions == 1 else 's'}"
    return f"Q-learning on {printable(name)}: {size}" if name else f"Q-learning on a problem of {size}"


def problem_json(mdp: "MDP") -> dict[str, Any]:
    """Say what the problem is: its sizes and its names, which the tables below are in the order of."""
    names = (
        "name", "n_states", "n_actions", "max_episode_steps", "state_names", "action_names", "states", "actions",
        "digest",
    )  # fmt: skip
    return {name: getattr(mdp, name) for name in names}


def seed_of(run: "Run") -> Any:
    """The number that repeats the run; what is not one number is given with its parts."""
    return seed_number(seed_to_json(run.seed_sequence))


def _seed_text(run: "Run") -> str:
    """The seed as one would type it."""
    return seed_in_words(seed_to_json(run.seed_sequence))


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
        ("seed", _seed_text(run)),
    ]


def _work(run: "Run", threads: int | None) -> str:
    rate = run.steps_per_second
    speed = f"{rate / 1e9:.3g} billion" if rate >= 1e9 else f"{rate / 1e6:.3g} million"
    by = "" if threads is None else f" on {threads} thread{'' if threads == 1 else 's'}"
    return f"{run.n_steps:,} agent-steps in {run.seconds:.3g} s, {speed} a second{by}"


def _results(run: "Run", agents: NDArray[np.int64]) -> list[tuple[str, str]]:
    """What came of it; `agents` have each of the greedy policies, the most frequent first."""
    n = run.n_agents
    results = []
    if run.n_diverged:
        text = f"{_share(run.n_diverged, n)}: Q holds inf or NaN, and what they do means nothing"
        results.append(("diverged", text))
    final_return, final_length = _last_episode(run)
    if final_return is not None and final_length is not None:
        over = "  (mean ± std over agents)" if n > 1 else ""
        results.append(("last episode", f"return {final_return.text()}, {final_length.text(' steps')}{over}"))
    if n > 1:
        text = f"{_share(int(agents[0]), n)} have the most common of {len(agents):,} greedy policies"
        if len(agents) == 1:
            text = f"all {n:,} agents have the same greedy policy"
        elif len(agents) == n:
            text = f"no two of the {n:,} agents have the same greedy policy"
        results.append(("agreement", text))
    if run.checkpoints is not None:
        first = run.first_optimal()
        half = first.quantile(0.5)
        good = "not half of them for good" if np.isinf(half) else f"half of them for good {first.between(half)}"
        results.append(("optimal", f"{_share(int((~first.censored).sum()), n)} at the end, {good}"))
    return results


def _share(part: int, n: int) -> str:
    return f"{percent(part, n)} ({part:,} of {n:,} agents)"


def _last_episode(run: "Run") -> tuple[Spread | None, Spread | None]:
    """Return and length of the last episode, from whichever record there is."""
    if run.returns is not None and run.lengths is not None:
        return Spread.of(run.returns[:, -1]), Spread.of(run.lengths[:, -1])
    if run.curve is None:
        return None, None
    both = (run.curve.returns, run.curve.lengths)
    last = [Spread(float(part.mean[-1]), None if run.n_agents == 1 else float(part.std[-1])) for part in both]
    return last[0], last[1]


def _mean_q(run: "Run") -> NDArray[np.float64]:
    """Mean Q over agents, (S, A); of agents that have diverged NaN."""
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = run.q.mean(axis=0, dtype=np.float64)
    return mean


def _majority(policies: NDArray[np.bool_], agents: NDArray[np.int64]) -> NDArray[np.bool_]:
    """In each state the action of most agents that come there, (S, A): ties share a vote, the first one wins."""
    votes = np.zeros(policies.shape[1:])
    for policy, n in zip(policies, agents, strict=True):  # one by one to spare memory
        votes += n * policy / np.maximum(policy.sum(axis=1, keepdims=True), 1)
    best = np.round(votes, 6) == np.round(votes.max(axis=1, keepdims=True), 6)
    winners: NDArray[np.bool_] = best & (best.cumsum(axis=1) == 1) & votes.any(axis=1, keepdims=True)
    return winners


def _number_or_words(setting: Any, words: str) -> Any:
    """Give a rate as a number where it is one, and in words where it varies."""
    return float(setting.values) if getattr(setting, "kind", "") == "constant" else words


def _actions(policy: NDArray[np.bool_]) -> list[list[int]]:
    """The actions in each state, none where the policy does not come."""
    return [np.flatnonzero(row).tolist() for row in policy]


def _policy(mdp: "MDP", policy: NDArray[np.bool_]) -> str:
    """Draw a policy (S, A) on the map; without one, name what is done state by state."""
    if mdp.layout is not None:
        return arrows(mdp, policy, ascii_only=not prints_unicode())
    return "  ".join(
        f"{mdp.state_names[s]}:{'/'.join(mdp.action_names[a] for a in np.flatnonzero(policy[s]))}"
        for s in np.flatnonzero(policy.any(axis=1))
    )


def _q_table(mdp: "MDP", q: NDArray[Any], policy: NDArray[np.bool_], *, corner: str) -> Table:
    """Set a Q-table, states down and actions across; the policy's actions (S, A) stand out."""
    rows = [(name, [_cell(value) for value in row]) for name, row in zip(mdp.state_names, q, strict=True)]
    return Table(corner, mdp.action_names, rows, frozenset((int(s), int(a)) for s, a in np.argwhere(policy)))


def _cell(value: float) -> str:
    return "-" if value == -np.inf else f"{value:.4f}" if abs(value) < 1e4 else f"{value:.4g}"


# --- censuses --------------------------------------------------------------------------------------------------------


def census_page(census: "Census") -> list[Block]:
    """Lay out a census: the sentence, the table of the most frequent policies, and their maps if there is a layout."""
    ends = "without an episode limit" if census.limit is None else f"within {census.limit:,} steps"
    facts = [
        ("judged by", f"gamma {census.gamma:g}: the best value is {census.best_value:.6g}"),
        ("an episode", f"return and probability of success {ends}"),
        ("marked", "* is optimal"),
    ]
    more = " (--json has them all)" * (len(census) > _POLICIES)
    name = f"{census.mdp.name}: " if census.mdp.name else ""
    blocks: list[Block] = [Line(f"{name}{census.sentence()}", strong=True), Facts(facts)]
    blocks.append(Line(census.table(_POLICIES) + more))
    if census.mdp.layout is not None:
        plain = not prints_unicode()
        maps = [(f"policy {i}", census.arrows(i, ascii_only=plain)) for i in range(min(_MAPS, len(census)))]
        blocks.append(Line(side_by_side(maps, _COLUMNS)))
    else:
        shown = range(min(_MAPS, len(census)))
        blocks.append(Facts([(f"policy {i}", census.in_names(i, _COLUMNS - 14)) for i in shown]))
    return blocks


def census_json(census: "Census") -> dict[str, Any]:
    """A census with all its policies."""
    numbers = ("agents", "share", "value", "regret", "is_optimal", "expected_return", "success", "example")
    return {
        "problem": problem_json(census.mdp),
        "n_agents": census.n_agents,
        "n_policies": len(census),
        "share_optimal": census.share_optimal,
        "gamma": census.gamma,
        "best_value": census.best_value,
        "max_episode_steps": census.limit,
        "policies": [
            {**{name: getattr(census, name)[i] for name in numbers}, "actions": _actions(census.actions(i))}
            for i in range(len(census))
        ],
    }


# --- rollouts --------------------------------------------------------------------------------------------------------


def rollout_page(run: "Run", episode: "Rollout") -> list[Block]:
    """Sum up the episodes of all agents."""
    n = run.n_agents
    reached = int(episode.terminated.sum())
    _, example, agents = np.unique(episode.states, axis=0, return_index=True, return_counts=True)
    commonest = int(agents.argmax())
    stopped = "" if reached == n else "; the limit stopped the others"
    several = f"{len(agents):,} different; {percent(int(agents[commonest]), n)} of the agents take this one:"
    facts = [
        ("finished", f"{_share(reached, n)}{stopped}"),
        ("return", _over_agents(episode.returns)),
        ("steps", _over_agents(episode.lengths)),
        ("paths", f"{several}\n{_path(run, episode, example[commonest])}"),
    ]
    title = f"One greedy episode of each of {n:,} agents, at most {episode.max_steps:,} steps"
    return [Line(title, strong=True), Facts(facts)]


def episode_page(run: "Run", episode: "Rollout") -> list[Block]:
    """Tell the episode of one agent."""
    length = int(episode.lengths[0])
    steps = f"{length:,} step{'' if length == 1 else 's'}"
    how = f"finished in {steps}" if episode.terminated[0] else f"was stopped by the limit after {steps}"
    actions = [run.mdp.action_names[a] for a in episode.actions[0, :length]]
    facts = [
        ("return", f"{episode.returns[0]:.6g}"),
        ("states", _path(run, episode, 0)),
        ("actions", _shortened(actions, ", ")),
    ]
    return [Line(f"Agent {run.first_agent + int(episode.agents[0]):,} {how}", strong=True), Facts(facts)]


def rollout_json(run: "Run", episode: "Rollout") -> dict[str, Any]:
    """Every episode: its path ends where it ended."""
    return {
        "problem": problem_json(run.mdp),
        "seed": seed_of(run),
        "agents": episode.agents + run.first_agent,
        "max_steps": episode.max_steps,
        "terminated": episode.terminated,
        "returns": episode.returns,
        "lengths": episode.lengths,
        "states": [path[: n + 1] for path, n in zip(episode.states, episode.lengths, strict=True)],
        "actions": [path[:n] for path, n in zip(episode.actions, episode.lengths, strict=True)],
    }


def _over_agents(values: NDArray[Any]) -> str:
    return f"{Spread.of(values).text()}, from {values.min():.4g} to {values.max():.4g}"


def _path(run: "Run", episode: "Rollout", row: int) -> str:
    """Name the states that an episode went through."""
    names = [run.mdp.state_names[s] for s in episode.states[row, : int(episode.lengths[row]) + 1]]
    return _shortened(names, " → ")


def _shortened(names: list[str], between: str) -> str:
    """Join names; of a long episode, its beginning and its last."""
    if len(names) <= _LONGEST_PATH:
        return between.join(names)
    left_out = len(names) - _LONGEST_PATH
    return between.join([*names[: _LONGEST_PATH - 1], f"… ({left_out:,} more)", names[-1]])

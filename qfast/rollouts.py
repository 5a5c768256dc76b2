"""Running what was learned: every agent's greedy episode, and its return and success over many."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.arguments import explained, number
from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.journal import Collector
from qfast.engine.machine import available_memory
from qfast.engine.plan import make_plan
from qfast.engine.scheduler import WorkersFailed
from qfast.engine.tables import alias_table, outcome_kind, start_states
from qfast.engine.tables import goal_reward as best_ending
from qfast.errors import Interrupted, InvalidInput, Unfinished
from qfast.execution import collect
from qfast.model.learner import make_learner
from qfast.model.mdp import MDP
from qfast.model.seeding import agent_streams, next_words
from qfast.progress import Reporter
from qfast.run import Run, check_run
from qfast.text import percent
from qfast.training_checks import check_count, check_memory, check_options

__all__ = ["Evaluation", "Rollout", "default_limit", "evaluate", "positions", "rollout"]

_log = logging.getLogger("qfast")
_ROLLOUT, _EVALUATE = 1, 2  # spawn keys: streams of their own, apart from the training's


@dataclass(frozen=True, eq=False)
class Rollout:
    """One greedy episode of each of several agents.

    Attributes
    ----------
    agents : ndarray of int64, shape (n,)
        Positions of the agents in ``run.q``.
    states : ndarray of int64, shape (n, T + 1)
        The path: the states from the start on; -1 after the end.
    actions : ndarray of int64, shape (n, T)
        The actions taken; -1 after the end.
    returns : ndarray of float64, shape (n,)
        Undiscounted sum of rewards.
    lengths : ndarray of int64, shape (n,)
        Steps.
    terminated : ndarray of bool, shape (n,)
        True where the episode came to its end; False where the limit of steps stopped it.
    max_steps : int
        The limit.
    """

    agents: NDArray[np.int64]
    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    terminated: NDArray[np.bool_]
    max_steps: int

    def __repr__(self) -> str:
        """Sum up the episodes."""
        n = len(self.agents)
        return (
            f"Rollout of {n:,} agent{'s' * (n != 1)}: {int(self.terminated.sum()):,} came to the end, "
            f"{int((~self.terminated).sum()):,} stopped by the limit of {self.max_steps:,} steps; "
            f"return {self.returns.mean():.4g}, {self.lengths.mean():.4g} steps on average"
        )


def default_limit(mdp: MDP) -> int:
    """Steps after which a greedy episode is stopped: the problem's own limit, or four times its states."""
    return mdp.max_episode_steps or 4 * mdp.n_states


@explained
def rollout(
    run: Run,
    *,
    agents: int | Sequence[int] | NDArray[np.integer[Any]] | None = None,
    max_steps: int | None = None,
) -> Rollout:
    """Let agents run one episode with what they have learned, always greedily.

    All agents run at once.  A single agent's steps are logged, as the article does, through ``logging`` to the logger
    ``qfast``: ``best action for 0: 1`` at level DEBUG, ``finished in 4 steps!`` at level INFO.

    Parameters
    ----------
    run : Run
    agents : int or sequence of int, optional
        Positions in ``run.q``; by default all agents.
    max_steps : int, optional
        Limit of steps; by default that of the problem, or four times its states (20 for the article's corridor).

    Returns
    -------
    Rollout

    Raises
    ------
    InvalidInput
        If an agent does not exist or the limit is below 1.

    Notes
    -----
    Random ties, outcomes and starts come from a stream that belongs to the run's seed and the agent alone
    (``SeedSequence(seed, spawn_key=(1,))``), so a rollout can be repeated.

    Examples
    --------
    >>> import qfast
    >>> run = qfast.train(n_agents=100, seed=0, progress=False)
    >>> qfast.rollout(run, agents=0).states.tolist()
    [[0, 1, 2, 3, 4]]
    """
    check_run(run)
    if max_steps is not None:
        check_count("max_steps", max_steps)
    chosen = positions(run, agents)
    mdp, limit = run.mdp, int(max_steps or default_limit(run.mdp))
    streams = _streams(run, chosen)
    draw = next_words
    starts = start_states(mdp)
    state = np.full(chosen.size, starts[0], np.int64)
    if starts.size > 1:
        state[:] = starts[_pick(mdp.start[starts][None], np.zeros(chosen.size, np.int64), draw(streams))]
    needed = 16 * int(chosen.size) * limit
    if needed > available_memory():
        msg = (
            f"{chosen.size:,} agents over {limit:,} steps need {needed / 1e9:.3g} GB; "
            "use fewer agents=, or a smaller max_steps="
        )
        raise InvalidInput(msg)
    states, actions = np.full((chosen.size, limit + 1), -1), np.full((chosen.size, limit), -1)
    states[:, 0] = state
    returns, lengths = np.zeros(chosen.size), np.zeros(chosen.size, np.int64)
    terminated, going = np.zeros(chosen.size, bool), np.arange(chosen.size)
    tell = chosen.size == 1 and _log.isEnabledFor(logging.INFO)
    rows = mdp.probability.reshape(-1, mdp.n_outcomes)
    for step in range(limit):
        if not going.size:
            break
        s = state[going]
        tie, outcome_word = draw(streams)[going], draw(streams)[going]
        a = _greedy(run.q[chosen[going], s], None if mdp.allowed is None else mdp.allowed[s], run.ties, tie)
        k = 0 if outcome_kind(mdp) == "one" else _pick(rows, s * mdp.n_actions + a, outcome_word)
        after, ended = mdp.next_state[s, a, k], mdp.terminated[s, a, k]
        if tell:
            _log.debug("best action for %s: %s", mdp.state_names[s[0]], mdp.action_names[a[0]])
        returns[going] += mdp.reward[s, a, k]
        lengths[going] += 1
        actions[going, step], states[going, step + 1] = a, after
        state[going], terminated[going] = after, ended
        going = going[~ended]
    if tell:
        if terminated[0]:
            _log.info("finished in %d steps!", lengths[0])
        else:
            _log.info("stopped after %d steps, the end was not reached", lengths[0])
    longest = int(lengths.max())
    return Rollout(chosen, states[:, : longest + 1], actions[:, :longest], returns, lengths, terminated, limit)


def positions(run: Run, agents: Any) -> NDArray[np.int64]:
    """Check positions in ``run.q``: one, several, or None for all."""
    if agents is None:
        return np.arange(run.n_agents)
    if isinstance(agents, (int, np.integer)):
        return np.array([run.position(agents)])
    try:
        found = [run.position(agent) for agent in agents]
    except TypeError as error:
        msg = f"agents={agents!r:.60} are no agents; give positions in run.q, or None for all"
        raise InvalidInput(msg) from error
    if not found:
        msg = "agents=[] names no agent; give positions in run.q, or None for all"
        raise InvalidInput(msg)
    return np.array(found, np.int64)


def _child(seed: SeedSequence, key: int) -> SeedSequence:
    return SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, key), pool_size=seed.pool_size)


def _streams(run: Run, positions: NDArray[np.int64]) -> NDArray[np.uint32]:
    first = int(positions.min())
    streams = agent_streams(
        _child(run.seed_sequence, _ROLLOUT), run.first_agent + first, int(positions.max()) - first + 1
    )
    return np.ascontiguousarray(streams[:, positions - first])


def _greedy(
    rows: NDArray[Any], allowed: NDArray[np.bool_] | None, ties: str, words: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """A maximal action of each row (n, A); any allowed one where Q has diverged and none is."""
    maximal = rows == rows.max(axis=1, keepdims=True)
    if allowed is not None:
        maximal &= allowed
    none = ~maximal.any(axis=1)
    maximal[none] = True if allowed is None else allowed[none]
    if ties == "first":
        return np.asarray(maximal.argmax(axis=1))
    if ties == "last":
        return np.asarray(rows.shape[1] - 1 - maximal[:, ::-1].argmax(axis=1))
    wanted = words.astype(np.uint64) * maximal.sum(axis=1).astype(np.uint64) >> np.uint64(32)
    return np.asarray((maximal.cumsum(axis=1) == wanted[:, None].astype(np.int64) + 1).argmax(axis=1))


def _pick(
    distributions: NDArray[np.float64], row: NDArray[np.int64], words: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """An outcome for each word, from its row of distributions."""
    k = distributions.shape[1]
    product = words.astype(np.uint64) * np.uint64(k)
    column, part = (product >> np.uint64(32)).astype(np.int64), (product & np.uint64(2**32 - 1)).astype(np.uint32)
    used, at = np.unique(row, return_inverse=True)
    threshold, other = alias_table(distributions[used])
    return np.where(part < threshold[at, column], column, other[at, column])


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well each agent's greedy policy does.

    Attributes
    ----------
    returns : ndarray of float64, shape (n_agents,)
        Mean undiscounted return of an episode.
    success : ndarray of float64, shape (n_agents,)
        Share of episodes that succeeded: that ended by a terminated outcome with at least ``goal_reward``.
    lengths : ndarray of float64, shape (n_agents,)
        Mean steps of an episode.
    episodes : int
        Episodes of each agent.
    goal_reward : float
        By default the largest reward among the outcomes that end an episode.
    max_steps : int
        Limit of steps of an episode.
    """

    returns: NDArray[np.float64]
    success: NDArray[np.float64]
    lengths: NDArray[np.float64]
    episodes: int
    goal_reward: float
    max_steps: int

    def __repr__(self) -> str:
        """Sum up over agents."""
        return (
            f"Evaluation of {self.returns.size:,} agents over {self.episodes:,} episodes each: "
            f"return {self.returns.mean():.4g} (from {self.returns.min():.4g} to {self.returns.max():.4g}), "
            f"success {percent(float(self.success.mean()))}, {self.lengths.mean():.4g} steps"
        )


@explained
def evaluate(
    run: Run,
    *,
    episodes: int = 100,
    max_steps: int | None = None,
    goal_reward: float | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool | Reporter | None = None,
) -> Evaluation:
    """Measure every agent's greedy policy over many episodes, by the training's kernel with learning switched off.

    Parameters
    ----------
    run : Run
        It is not changed.
    episodes : int, default 100
        Episodes of each agent.
    max_steps : int, optional
        Limit of steps; by default that of the problem, or four times its states.
    goal_reward : float, optional
        A terminated outcome with at least this reward is a success; by default the largest such reward there is.
    threads, executor, progress
        See `qfast.train`.

    Returns
    -------
    Evaluation

    Raises
    ------
    InvalidInput
        If a number is out of range, or memory is too small.
    Interrupted
        On Ctrl-C.
    Unfinished
        If a worker of the executor died, or its connection was lost.

    Notes
    -----
    The random streams belong to the run's seed and the agent alone (``SeedSequence(seed, spawn_key=(2,))``).

    Examples
    --------
    >>> import qfast
    >>> run = qfast.train(n_agents=10, seed=0, progress=False)
    >>> qfast.evaluate(run, episodes=5, progress=False).lengths.tolist()[:3]
    [4.0, 4.0, 4.0]
    """
    check_run(run)
    episodes = check_count("episodes", episodes, most=2**31 - 2)
    if max_steps is not None:
        check_count("max_steps", max_steps)
    check_options(threads, executor, None)
    mdp = run.mdp.with_limit(int(max_steps or default_limit(run.mdp)))
    goal = best_ending(mdp) if goal_reward is None else number("goal_reward", goal_reward)
    learner = make_learner(
        n_agents=run.n_agents, episodes=episodes, rule="q_learning", explore="greedy", alpha=0.0,
        gamma=run.learner.gamma, ties=run.ties, dtype=run.dtype,
    )  # fmt: skip
    plan = make_plan(
        mdp, learner, _child(run.seed_sequence, _EVALUATE), first_agent=run.first_agent, episodes=episodes,
        record="score", keep_q=False, learns=False, goal=goal,
    )  # fmt: skip
    check_memory(plan, run.n_agents, threads=threads, executor=executor, goes_on=True)
    result = Collector(plan, run.n_agents)
    try:
        stopped = collect(
            result, run.n_agents, threads=threads, executor=executor, progress=progress,
            before=AgentArrays.learned(run.q),
        )  # fmt: skip
    except WorkersFailed as error:
        msg = f"{error}; {result.n_agents:,} of {run.n_agents:,} agents were evaluated"
        raise Unfinished(msg) from error.__cause__
    if stopped or result.n_agents < run.n_agents:
        msg = f"stopped; {result.n_agents:,} of {run.n_agents:,} agents were evaluated"
        raise Interrupted(msg)
    returns, success, lengths = result.memory.score / episodes
    return Evaluation(returns, success, lengths, episodes, goal, int(mdp.max_episode_steps or 0))


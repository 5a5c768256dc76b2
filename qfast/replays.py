"""What was learned on a table, acted out in the original environment, beside what the table promises."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import explained, is_whole, number, shown
from qfast.engine.tables import goal_reward as best_ending
from qfast.errors import Interrupted, InvalidInput
from qfast.exact import Solution, evaluate_within_limit
from qfast.model.mdp import MDP
from qfast.problems.environments.discretise import Bins, Cells
from qfast.problems.environments.random_streams import Streams, global_streams_kept
from qfast.problems.environments.simulator import Environment, Simulator, opened
from qfast.progress import Work, WorkReporter, work_reporter
from qfast.rollouts import default_limit, positions
from qfast.run import Run, check_run
from qfast.stats import Estimate, estimate_mean, estimate_share
from qfast.text import columns
from qfast.training_checks import check_count

if TYPE_CHECKING:
    import gymnasium

__all__ = ["Replay", "replay"]

_FEW: Final = 10  # agents that act by default
_SHOWN: Final = 12


@dataclass(frozen=True, eq=False)
class Replay:
    """Episodes of several agents in the original environment, and what the table promises for them.

    Attributes
    ----------
    agents : ndarray of int64, shape (n,)
        Positions of the agents in ``run.q``.
    returns : ndarray of float64, shape (n, episodes)
        Undiscounted sum of rewards of each episode.
    success : ndarray of bool, shape (n, episodes)
        True where an episode was ended by a terminated step with at least `goal_reward`.
    lengths : ndarray of int64, shape (n, episodes)
        Steps.
    lost : ndarray of bool, shape (n, episodes)
        True where an episode came to a state that the table does not know, or knows as an end only; it stops there.
    promised_returns, promised_success : ndarray of float64, shape (n,)
        Expected return and probability of success of the same policies on the table, within the same limit.
    goal_reward : float
        The largest reward that ends an episode of the table.
    max_steps : int
        Limit of steps of an episode.
    level : float
        Confidence level of the intervals.
    """

    agents: NDArray[np.int64]
    returns: NDArray[np.float64]
    success: NDArray[np.bool_]
    lengths: NDArray[np.int64]
    lost: NDArray[np.bool_]
    promised_returns: NDArray[np.float64]
    promised_success: NDArray[np.float64]
    goal_reward: float
    max_steps: int
    level: float

    def return_of(self, agent: int | None = None) -> Estimate:
        """Estimate the mean return of one of the agents, by its place in `agents`; without one, of all together.

        Student's t over episodes, which are independent. The agents are those that were chosen: the interval is about
        them, and says nothing of others.

        Parameters
        ----------
        agent : int, optional

        Returns
        -------
        qfast.stats.Estimate
        """
        scores = self.returns.mean(axis=0) if agent is None else self.returns[agent]
        return estimate_mean(scores, level=self.level)

    def success_of(self, agent: int | None = None) -> Estimate:
        """Estimate the probability of success of one of the agents; without one, the mean of all.

        Clopper and Pearson's interval; for several agents it is wider than it need be, since their probabilities
        differ.

        Parameters
        ----------
        agent : int, optional

        Returns
        -------
        qfast.stats.Estimate
        """
        wins = self.success if agent is None else self.success[agent]
        return estimate_share(int(wins.sum()), wins.size, level=self.level)

    def __repr__(self) -> str:
        """Show what was met beside what was promised, for each agent and all of them."""
        n, episodes = self.returns.shape
        rows = [self._row(str(int(agent)), i) for i, agent in enumerate(self.agents[:_SHOWN])]
        rows += [["…", *[""] * 5]] if n > _SHOWN else []
        rows += [self._row("all", None)] if n > 1 else []
        header = ["agent", "return", "interval", "promised", "success", "interval", "promised"]
        lines = columns(header, rows)
        note = f"{100 * self.level:g} % intervals"
        lost = int(self.lost.sum())
        lines.append(f"{note}; {lost:,} of {n * episodes:,} episodes came to a state that the table does not know")
        first = f"Replay of {n:,} agent{'s' * (n != 1)}, {episodes:,} episodes each, at most {self.max_steps:,} steps"
        return "\n".join([first, *("  " + line for line in lines)])

    def _row(self, name: str, agent: int | None) -> list[str]:
        gain, wins = self.return_of(agent), self.success_of(agent)
        promised = self.promised_returns if agent is None else self.promised_returns[agent]
        promised_success = self.promised_success if agent is None else self.promised_success[agent]
        return [
            name, f"{gain.value:.4g}", _ends(gain), f"{np.mean(promised):.4g}",
            f"{wins.value:.4f}", _ends(wins), f"{np.mean(promised_success):.4f}",
        ]  # fmt: skip


def _ends(estimate: Estimate) -> str:
    """Say the ends of an interval, or why it has none."""
    low, high = estimate.interval.low, estimate.interval.high
    return f"[{low:.4g}, {high:.4g}]" if np.isfinite([low, high]).all() else "(all alike)"


@explained
def replay(
    run: Run | Solution,
    env: Environment,
    *,
    agents: int | Sequence[int] | NDArray[np.integer[Any]] | None = None,
    episodes: int = 100,
    state: "Callable[[gymnasium.Env[Any, Any]], Hashable] | Callable[[Any, Any], Hashable] | None" = None,
    bins: Bins | None = None,
    get_state: "Callable[[gymnasium.Env[Any, Any]], ArrayLike] | None" = None,
    resets: Sequence[int] | None = None,
    max_steps: int | None = None,
    level: float = 0.95,
    seed: int = 0,
    progress: bool | WorkReporter | None = None,
) -> Replay:
    """Let agents act greedily in the original environment, and compare with what the table promises.

    A table that was sampled, cut into cells, or imported with a state that hides something may promise what the
    environment does not keep; here it shows.

    Parameters
    ----------
    run : Run or qfast.exact.Solution
        What was learned; or the exact solution of the table, which counts as one agent.
    env : str, gymnasium.Env or callable
        The environment, as `qfast.from_env` takes it.
    agents : int or sequence of int, optional
        Positions in ``run.q``; by default the first ten.
    episodes : int, default 100
        Episodes of each agent.
    state : callable, optional
        What the state is, as in `qfast.from_env`: the same function that the table was made with.
    bins, get_state : optional
        Those that `qfast.discretise` made the table with.
    resets : sequence of int, optional
        Seeds of the resets, as in `qfast.from_env`; episodes take turns. By default each has a seed of its own.
    max_steps : int, optional
        Limit of steps; by default that of the problem, or four times its states, and never more than the environment's.
    level : float, default 0.95
        Confidence level of the intervals.
    seed : int, default 0
        Of the resets and of random streams inside of the environment.
    progress : bool or callable, optional
        As in `qfast.from_env`.

    Returns
    -------
    Replay

    Raises
    ------
    InvalidInput
        If an agent does not exist, the environment lacks an action of the table, a number is out of range, or the
        environment fails; and if no reset leads to a state of the table.
    Interrupted
        On Ctrl-C.

    Notes
    -----
    Of several greedy actions the last one is taken with ``ties="last"``, else the first, as in `Run.policy`; the
    promise is about the same policy.

    Examples
    --------
    >>> import qfast
    >>> mdp = qfast.from_env("FrozenLake-v1", samples=200, progress=False)
    >>> best = qfast.replay(qfast.exact.solve(mdp, 0.99), "FrozenLake-v1", episodes=50, progress=False)
    >>> best.success.shape, bool(best.lost.any())
    ((1, 50), False)
    """
    if isinstance(run, Solution):
        chosen, policies, mdp = np.zeros(1, np.int64), run.policy[None], run.mdp
        if agents is not None:
            raise InvalidInput("agents belong to a run; an exact solution has one policy: leave agents out")
    else:
        mdp = check_run(run).mdp
        chosen = positions(run, range(min(_FEW, run.n_agents)) if agents is None else agents)
        policies = run._greedy(run.q[chosen])
    episodes = check_count("episodes", episodes, most=2**31 - 2)
    limit = default_limit(mdp) if max_steps is None else check_count("max_steps", max_steps)
    level = number("level", level, "(0, 1)", "use a confidence level such as 0.95")
    seeds = _seeds(resets)
    if state is not None and bins is not None:
        raise InvalidInput("state= and bins= both say what the state is; give one of them")
    played = 0
    try:
        with opened(env, {}) as made, global_streams_kept(), work_reporter(progress) as report:
            if bins is not None:
                made.reset(seed=seed)
                state = Cells(made, bins, get_state=get_state).label
            simulator = Simulator(made, state, action_mask=False)
            numbers = _numbers(mdp, simulator)
            limit = min(limit, simulator.limit or limit)
            stage = _Stage(simulator, mdp, numbers, limit, seed)
            shape = (chosen.size, episodes)
            returns, lengths = np.zeros(shape), np.zeros(shape, np.int64)
            success, lost = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
            began = monotonic()
            for i, policy in enumerate(policies):
                for episode in range(episodes):
                    reset = None if seeds is None else seeds[episode % len(seeds)]
                    returns[i, episode], lengths[i, episode], success[i, episode], lost[i, episode] = stage.play(
                        policy, reset
                    )
                    played += 1
                    report(Work("replaying", played, returns.size, "episodes", simulator.steps, monotonic() - began))
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {played:,} of {chosen.size * episodes:,} episodes were played") from None
    if lost.all() and not lengths.any():
        msg = f"no episode began in a state of the table: the environment begins in {stage.first!r:.60}, the table in"
        raise InvalidInput(f"{msg} {mdp.states[int(mdp.start.argmax())]!r:.60}; give the state= or bins= of the table")
    promised = evaluate_within_limit(mdp, policies, limit)
    return Replay(
        chosen, returns, success, lengths, lost, promised.expected_return, promised.success, stage.goal, limit, level
    )


def _seeds(resets: Any) -> list[int] | None:
    if resets is None:
        return None
    seeds = list(resets) if isinstance(resets, (Sequence, np.ndarray)) and not isinstance(resets, str) else []
    if not seeds or not all(is_whole(seed) and seed >= 0 for seed in seeds):
        raise InvalidInput(f"resets is {shown(resets)}; give seeds such as [0], or leave it out")
    return [int(seed) for seed in seeds]


def _numbers(mdp: MDP, simulator: Simulator) -> list[int]:
    """The number that each action of the table has in the environment."""
    known = {label: number for number, label in enumerate(simulator.actions.labels)}
    for action in mdp.actions:
        if action not in known:
            msg = f"the table has the action {action!r:.60}, the environment {len(known)} others, such as"
            raise InvalidInput(f"{msg} {next(iter(known))!r:.60}; give the environment that the table was made from")
    return [known[action] for action in mdp.actions]


class _Stage:
    """Plays episodes of policies on the table's states in an environment."""

    def __init__(self, simulator: Simulator, mdp: MDP, numbers: list[int], limit: int, seed: int) -> None:
        self.simulator, self.limit = simulator, limit
        self.goal = best_ending(mdp)
        self.first: Any = None
        self._numbers = numbers
        self._row = {label: row for row, label in enumerate(mdp.states)}
        self._acting = mdp.decision_states.tolist()
        self._rng = np.random.default_rng(seed)
        self._streams = Streams(simulator.env)
        self._inside: Streams | None = None  # as they are after a reset

    def play(self, policy: NDArray[np.int64], reset: int | None) -> tuple[float, int, bool, bool]:
        """Play an episode: its return, its steps, whether it succeeded, whether it left the table."""
        env, step = self.simulator.env, self.simulator.step
        drawn = int(self._rng.integers(2**32))
        self._streams.seed_before_reset(env, drawn)
        seen = self.simulator.reset(env, drawn if reset is None else reset)
        if reset is not None:  # the layout is that of the seed, what happens in it is not
            self._inside = self._inside or Streams(env)
            self._inside.seed(env, drawn)
        self.first = seen.label
        total = 0.0
        for n in range(self.limit):
            row = self._row.get(seen.label)
            if row is None or not self._acting[row]:
                return total, n, False, True
            seen = step(env, self._numbers[policy[row]])
            total += seen.reward
            if seen.terminated:
                return total, n + 1, seen.reward >= self.goal, False
            if seen.truncated:
                return total, n + 1, False, False
        return total, self.limit, False, False

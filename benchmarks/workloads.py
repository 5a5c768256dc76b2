"""The five workloads of the benchmark suite, as plain NumPy lookup arrays, and what a right answer to each looks like.

Nothing here imports qfast, so that a peer is never measured against tables qfast has prepared for itself.

A workload is easy to run fast and wrong.  `check` therefore holds a trained population against three numbers whose
spread over agents is known: what the agents believe the start is worth, how many steps they took to get there, and
what their greedy policies really earn.  The reference numbers were measured with an implementation that shares no
code with qfast (``benchmarks/peers/plain_numba.py``) and are themselves held against value iteration by
``tests/unit/test_peers.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

ALPHA, EPSILON = 0.1, 0.1
MAX_SCORED_AGENTS = 256
MAX_SCORED_CELLS = 640_000  # agents x states x outcomes that greedy_return looks at, so that W5 takes under a second


class WrongAnswer(AssertionError):
    """A trained population is not what Q-learning with these settings gives."""


@dataclass(frozen=True)
class Spread:
    """Where the mean over agents of one number must lie.

    Attributes
    ----------
    mean, sd : float
        Mean and standard deviation over independently trained agents.
    slack : float
        How far off `mean` itself may be: four standard errors of the run that it comes from (600 to 16,000 agents),
        at least 2e-5 of it for the order of float32 operations.
    """

    mean: float
    sd: float
    slack: float

    def tolerance(self, n_agents: int) -> float:
        """Half width that the mean of `n_agents` agents leaves less than once in a million runs (5 standard errors)."""
        return self.slack + 5.0 * self.sd / sqrt(n_agents)


@dataclass(frozen=True)
class Expected:
    """What a population trained for the full number of episodes looks like, each per agent.

    Attributes
    ----------
    start_value : Spread
        Mean over the start states of ``max_a Q(s, a)``.
    steps : Spread
        Environment steps taken in training.
    greedy_return : Spread
        Expected undiscounted return of one greedy episode.
    """

    start_value: Spread
    steps: Spread
    greedy_return: Spread


@dataclass(frozen=True, eq=False)
class Workload:
    """One problem and the settings it is trained with.

    Attributes
    ----------
    name, title : str
        ``"W1"`` ... ``"W5"``, and a few words for tables and figures.
    next_state : ndarray of int32, shape (S, A, K)
        Outcomes of each action; the K columns are equally likely.
    reward : ndarray of float32, shape (S, A, K)
    terminated : ndarray of bool, shape (S, A, K)
        Whether the outcome ends the episode; then nothing is bootstrapped.
    start : ndarray of int32, shape (T,)
        Start states, equally likely.
    limit : int or None
        Steps after which an episode is cut (and bootstrapped as usual).
    episodes : int
    alpha, gamma, epsilon : float
    ties : {"first", "random"}
        How the greedy action is chosen among equals.
    n_agents, quick_agents : int
        Agents that keep the plain numba loop busy for about a second on one core; agents for a run in CI.
    gym_id : str or None
        The Gymnasium environment the arrays come from.
    expected : dict of str to Expected
        What a right answer looks like under either tie rule, so that ``replace(workload, ties=...)`` stays checkable.
    """

    name: str
    title: str
    next_state: NDArray[np.int32]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    start: NDArray[np.int32]
    limit: int | None
    episodes: int
    gamma: float
    n_agents: int
    quick_agents: int
    expected: Mapping[str, Expected]
    alpha: float = ALPHA
    epsilon: float = EPSILON
    ties: str = "first"
    gym_id: str | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only: every measurement sees the same ones."""
        for array in (self.next_state, self.reward, self.terminated, self.start):
            array.flags.writeable = False

    @property
    def n_states(self) -> int:
        """Number of states S."""
        return int(self.next_state.shape[0])

    @property
    def n_actions(self) -> int:
        """Number of actions A."""
        return int(self.next_state.shape[1])

    @property
    def n_outcomes(self) -> int:
        """Number of equally likely outcomes K."""
        return int(self.next_state.shape[2])

    @property
    def probability(self) -> NDArray[np.float64]:
        """Probability of each outcome, shape (S, A, K): 1/K everywhere."""
        return np.full(self.next_state.shape, 1.0 / self.n_outcomes)

    @property
    def start_distribution(self) -> NDArray[np.float64]:
        """Probability of each state to be the start, shape (S,)."""
        return np.bincount(self.start, minlength=self.n_states) / self.start.size


def optimal_q(workload: Workload, *, tolerance: float = 1e-10) -> NDArray[np.float64]:
    """Q* of the discounted problem without its limit, by value iteration (Sutton & Barto 2018, eq. 4.10).

    Returns
    -------
    ndarray of float64, shape (S, A)
        Rows of states that only terminated outcomes enter mean nothing: no agent acts there, no update reads them.
    """
    continues = workload.gamma * ~workload.terminated
    reward = workload.reward.astype(np.float64)
    value = np.zeros(workload.n_states)
    while True:
        q: NDArray[np.float64] = (reward + continues * value[workload.next_state]).mean(axis=2)
        new = q.max(axis=1)
        if np.abs(new - value).max() < tolerance:
            return q
        value = new


def greedy_return(workload: Workload, q: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute what each agent's greedy policy (first maximum) really earns, by backward induction over the limit.

    Parameters
    ----------
    workload : Workload
    q : ndarray, shape (n_agents, S, A)

    Returns
    -------
    ndarray of float64, shape (n_agents,)
        Expected undiscounted return of one episode from the start distribution; 100 steps where there is no limit.
    """
    policy = q.argmax(axis=2)
    states = np.arange(workload.n_states)
    next_state = workload.next_state[states, policy]  # (n, S, K)
    reward = workload.reward[states, policy].mean(axis=2, dtype=np.float64)
    weight = ~workload.terminated[states, policy] / workload.n_outcomes
    flat = next_state + (np.arange(len(q)) * workload.n_states)[:, None, None]
    value = np.zeros_like(reward)
    for _ in range(workload.limit or 100):
        value = reward + (weight * value.take(flat)).sum(axis=2)
    earned: NDArray[np.float64] = value[:, workload.start].mean(axis=1)
    return earned


def check(workload: Workload, q: NDArray[np.floating], agent_steps: int) -> dict[str, float]:
    """Refuse a population that Q-learning with the workload's settings would not give.

    Parameters
    ----------
    workload : Workload
        With its own number of episodes: the reference numbers hold for that alone.
    q : ndarray, shape (n_agents, S, A)
    agent_steps : int
        Environment steps of all agents together.

    Returns
    -------
    dict of str to float
        The three means over agents that were compared.

    Raises
    ------
    WrongAnswer
        Naming the number, what it is and what it should be.
    """
    n = len(q)
    scored = max(1, min(n, MAX_SCORED_AGENTS, MAX_SCORED_CELLS // (workload.n_states * workload.n_outcomes)))
    start_value = q[:, workload.start].max(axis=2).mean(dtype=np.float64)
    found = {
        "start_value": (float(start_value), n),
        "steps": (agent_steps / n, n),
        "greedy_return": (float(greedy_return(workload, q[:scored]).mean()), scored),
    }
    for what, (value, count) in found.items():
        spread: Spread = getattr(workload.expected[workload.ties], what)
        tolerance = spread.tolerance(count)
        if not abs(value - spread.mean) <= tolerance:  # also true for NaN
            raise WrongAnswer(
                f"{workload.name}: {what} is {value:.6g} on average over {count} agents; "
                f"it should be {spread.mean:.6g} within {tolerance:.2g}"
            )
    return {what: value for what, (value, _) in found.items()}


def _corridor() -> Workload:
    """Five states in a row, back and forward, the last one is the goal: the article's problem."""
    state = np.arange(5)[:, None]
    next_state = np.clip(state + np.array([-1, 1]), 0, 4)
    reward = np.where(next_state == 4, 2.0, np.sign(next_state - state))
    return Workload(
        name="W1",
        title="corridor 5x2",
        next_state=next_state[..., None].astype(np.int32),
        reward=reward[..., None].astype(np.float32),
        terminated=next_state[..., None] == 4,
        start=np.zeros(1, np.int32),
        limit=None,
        episodes=1_000,
        gamma=0.9,
        n_agents=12_000,
        quick_agents=256,
        expected={
            "first": Expected(Spread(4.16799, 4.8e-07, 8.3e-05), Spread(4407.9, 35.6, 1.1), Spread(5, 0, 1e-04)),
            "random": Expected(Spread(4.16799, 4.8e-07, 8.3e-05), Spread(4387.0, 29.2, 0.92), Spread(5, 0, 1e-04)),
        },
    )


def _gymnasium(
    name: str,
    gym_id: str,
    *,
    limit: int,
    episodes: int,
    gamma: float,
    ties: str,
    n_agents: int,
    quick_agents: int,
    expected: dict[str, Expected],
) -> Workload:
    """Lookup arrays from Gymnasium's ``P[s][a] = [(probability, next_state, reward, terminated), ...]``."""
    import gymnasium  # in the test extra alone

    env = gymnasium.make(gym_id).unwrapped
    table = env.P  # type: ignore[attr-defined]
    shape = len(table), len(table[0]), max(len(table[s][a]) for s in table for a in table[s])
    next_state, reward = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    terminated = np.zeros(shape, bool)
    for s in table:
        for a, outcomes in table[s].items():
            if not np.allclose([o[0] for o in outcomes], 1 / len(outcomes)) or shape[2] % len(outcomes):
                raise ValueError(f"{gym_id}: the outcomes of state {s}, action {a} are not equally likely: {outcomes}")
            for k in range(shape[2]):  # fewer outcomes than columns: repeat them, each as often as the others
                _, next_state[s, a, k], reward[s, a, k], terminated[s, a, k] = outcomes[k % len(outcomes)]
    weight = env.initial_state_distrib  # type: ignore[attr-defined]
    start = np.flatnonzero(weight).astype(np.int32)
    if not np.allclose(weight[start], 1 / start.size):
        raise ValueError(f"{gym_id}: the start states are not equally likely")
    return Workload(
        name=name,
        title=f"{gym_id.split('-', 1)[0]} {shape[0]}x{shape[1]}",
        next_state=next_state,
        reward=reward,
        terminated=terminated,
        start=start,
        limit=limit,
        episodes=episodes,
        gamma=gamma,
        ties=ties,
        n_agents=n_agents,
        quick_agents=quick_agents,
        gym_id=gym_id,
        expected=expected,
    )


def _frozen_lake() -> Workload:
    """FrozenLake 4x4, slippery: a third of the moves each go where intended, to the left and to the right of it."""
    return _gymnasium(
        "W2",
        "FrozenLake-v1",
        limit=100,
        episodes=1_000,
        gamma=0.99,
        ties="random",
        n_agents=2_000,
        quick_agents=64,
        expected={
            "first": Expected(Spread(0.00529, 0.0393, 0.002), Spread(14997, 502, 26), Spread(0.00958, 0.0636, 0.0033)),
            "random": Expected(Spread(0.2705, 0.145, 0.0075), Spread(14928, 3340, 170), Spread(0.3971, 0.217, 0.011)),
        },
    )


def _cliff_walking() -> Workload:
    """CliffWalking 4x12: deterministic, -1 a step, -100 and back to the start from the cliff."""
    return _gymnasium(
        "W3",
        "CliffWalking-v1",
        limit=200,
        episodes=500,
        gamma=0.9,
        ties="first",
        n_agents=3_000,
        quick_agents=64,
        expected={
            "first": Expected(Spread(-7.45812, 9.5e-07, 1.5e-04), Spread(17055, 126, 8), Spread(-13, 0, 2.6e-04)),
            "random": Expected(Spread(-7.45812, 9.5e-07, 1.5e-04), Spread(17057, 118, 7.5), Spread(-13, 0, 2.6e-04)),
        },
    )


def _taxi() -> Workload:
    """Taxi 500x6: deterministic, one of 300 start states at random."""
    return _gymnasium(
        "W4",
        "Taxi-v4",
        limit=200,
        episodes=2_000,
        gamma=0.99,
        ties="first",
        n_agents=500,
        quick_agents=16,
        expected={
            "first": Expected(Spread(-0.9925, 0.0796, 0.01), Spread(101736, 836, 110), Spread(-19.57, 7.39, 0.94)),
            "random": Expected(Spread(-0.9528, 0.0771, 0.0098), Spread(100952, 891, 110), Spread(-19.80, 7.91, 1.0)),
        },
    )


def _random() -> Workload:
    """10,000 states, 8 actions, 4 outcomes that lead anywhere; normal rewards; one outcome in a hundred ends it all."""
    shape = 10_000, 8, 4
    rng = np.random.default_rng(20_260_101)
    return Workload(
        name="W5",
        title="random 10000x8",
        next_state=rng.integers(shape[0], size=shape, dtype=np.int32),
        reward=rng.standard_normal(shape, dtype=np.float32),
        terminated=rng.random(shape) < 0.01,
        start=np.zeros(1, np.int32),
        limit=200,
        episodes=200,
        gamma=0.99,
        n_agents=1_000,
        quick_agents=16,
        expected={
            "first": Expected(Spread(1.4484, 0.191, 0.031), Spread(18333, 932, 150), Spread(15.40, 0.856, 0.30)),
            "random": Expected(Spread(1.3611, 0.214, 0.035), Spread(17451, 1080, 180), Spread(14.32, 0.978, 0.35)),
        },
    )


BUILDERS: dict[str, Callable[[], Workload]] = {
    "W1": _corridor,
    "W2": _frozen_lake,
    "W3": _cliff_walking,
    "W4": _taxi,
    "W5": _random,
}


@cache
def workload(name: str) -> Workload:
    """Build, once, the workload called `name`: ``"W1"`` to ``"W5"``; W2 to W4 need Gymnasium (extra ``test``).

    >>> workload("W1").next_state[:, 1, 0]
    array([1, 2, 3, 4, 4], dtype=int32)
    """
    return BUILDERS[name]()

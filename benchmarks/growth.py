"""How the cost of an agent-step grows with agents, episodes, states, actions, outcomes and threads.

Agents, episodes and threads grow on the workloads.  States, actions and outcomes grow on `jumps`, a family of problems
whose answer is known in every bit at every size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

import qfast
from benchmarks.variants import DEFAULT, check_trained, train
from benchmarks.workloads import BUILDERS, WrongAnswer, check, workload
from qfast.kernel.spec import Spec

__all__ = ["AXES", "JUMP_LIMIT", "LANES", "Axis", "Point", "check_jumps", "jumps", "point", "points"]

EQUAL, UNEQUAL = "equally likely outcomes", "any probabilities"
LANES = 64  # blocks are multiples of it
JUMP_LIMIT = 100
_MOST_BYTES = 2**28  # of Q
_VISITS = 10  # of each pair of an agent, where 64 agents can do with that
_STEPS, _QUICK_STEPS = 20_000_000, 400_000


@dataclass(frozen=True)
class Point:
    """One size to measure.

    Attributes
    ----------
    axis, series : str
        Which curve of which figure.
    x : int
    n_agents : int
    table : int
        Bytes of an agent's table.
    working_set : int
        Bytes of the tables of the agents in flight: what has to fit into a cache.
    run : callable
        Train once; returns agent-steps and seconds.
    check : callable
        Train once more, and refuse a wrong answer.
    """

    axis: str
    series: str
    x: int
    n_agents: int
    table: int
    working_set: int
    run: Callable[[], tuple[int, float]]
    check: Callable[[], None]


@dataclass(frozen=True)
class Axis:
    """One figure: sizes of a full run, of a quick one, and of a run that only checks the answers."""

    name: str
    series: tuple[str, ...]
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    once: tuple[int, ...]

    def chosen(self, mode: str) -> list[tuple[str, int]]:
        """Series and sizes for the mode "full", "quick" or "once"."""
        sizes = {"full": self.sizes, "quick": self.quick, "once": self.once}[mode]
        return [(series, x) for series in self.series for x in sizes]


AXES = {
    axis.name: axis
    for axis in (
        Axis("agents", ("W1",), (100, 1_000, 10_000, 100_000, 1_000_000), (100, 1_000, 10_000, 100_000), (100, 1_000)),
        Axis("episodes", ("W1",), (10, 100, 1_000, 10_000), (10, 100, 1_000), (10, 100)),
        Axis(
            "states", ("4 actions, jumping anywhere",), (5, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000),
            (5, 100, 1_000, 10_000, 100_000), (5, 1_000, 100_000),
        ),
        Axis("actions", ("16 states",), (2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16), (2, 3, 4, 5, 8, 16), (3,)),
        Axis("outcomes", (EQUAL, UNEQUAL), (1, 2, 3, 4, 6, 8, 12, 16), (1, 2, 4, 16), (3,)),
        Axis("threads", tuple(BUILDERS), (1, 2), (1, 2), (1, 2)),
    )
}  # fmt: skip


@lru_cache(maxsize=4)
def jumps(
    n_states: int, n_actions: int, n_outcomes: int = 1, *, equal: bool = True, anywhere: bool = False
) -> qfast.MDP:
    """Make a problem in which every action may lead anywhere, rewards all differ, and only the limit ends an episode.

    With ``alpha=1`` and ``gamma=0`` an agent's Q(s, a) is, in every bit, one of the rewards of (s, a) if it was ever
    there, and 0 otherwise.  The kernel does the same work for these rates as for any other.

    Parameters
    ----------
    n_states, n_actions, n_outcomes : int
    equal : bool
        Whether outcomes are equally likely.
    anywhere : bool
        Begin in any state, so that agents never settle on a few; by default in state 0.

    Examples
    --------
    >>> bool(jumps(7, 3, 2).reward.min() >= 1)
    True
    """
    shape = n_states, n_actions, n_outcomes
    rng = np.random.default_rng(n_states * 1_000 + n_actions * 20 + n_outcomes)
    weight = np.ones(shape) if equal else rng.uniform(0.5, 1.5, shape)
    return qfast.MDP(
        rng.integers(n_states, size=shape),
        rng.uniform(1, 2, shape).astype(np.float32),
        terminated=np.zeros(shape, np.bool_),
        probability=weight / weight.sum(axis=2, keepdims=True),
        start=np.full(n_states, 1 / n_states) if anywhere else 0,
        max_episode_steps=JUMP_LIMIT,
    )


def check_jumps(mdp: qfast.MDP, run: qfast.Run) -> None:
    """Refuse values that are not rewards of their state and action, and steps that were not taken.

    Raises
    ------
    benchmarks.workloads.WrongAnswer
    """
    if run.n_steps != run.n_agents * run.episodes * JUMP_LIMIT:
        raise WrongAnswer(f"{run.n_steps:,} steps of {run.n_agents:,} agents x {run.episodes:,} x {JUMP_LIMIT}")
    some = run.q[:LANES]
    reward = mdp.reward.astype(np.float32)
    known = some == 0
    for k in range(mdp.n_outcomes):
        known |= some == reward[:, :, k]
    if not known.all():
        agent, s, a = np.argwhere(~known)[0]
        raise WrongAnswer(f"Q({s}, {a}) of agent {agent} is {some[agent, s, a]}, no reward of that pair")
    visited = np.count_nonzero(some) / some.size
    tried = min(1.0, run.episodes * JUMP_LIMIT / some[0].size)
    if visited < 0.05 * tried:  # exploring alone, at 1 step in 10, finds this many
        raise WrongAnswer(f"only {visited:.2%} of all pairs were ever visited")


def _jump_point(axis: str, series: str, x: int, mode: str, *shape: int, **kind: bool) -> Point:
    mdp = jumps(*shape, **kind)
    table = 4 * mdp.n_states * mdp.n_actions
    steps = _QUICK_STEPS if mode == "once" else _STEPS
    lifetime = max(JUMP_LIMIT, _VISITS * table // 4)  # steps of an agent, so that beginning one does not count
    most = min(4_096, _MOST_BYTES // table, steps // lifetime)
    n_agents = max(LANES, most // LANES * LANES)
    episodes = max(1, steps // (JUMP_LIMIT * n_agents))

    def train_once() -> qfast.Run:
        return qfast.train(
            jumps(*shape, **kind), n_agents=n_agents, episodes=episodes, alpha=1.0, gamma=0.0, epsilon=0.1,
            seed=1, threads=1, record=None, progress=False,
        )  # fmt: skip

    def run() -> tuple[int, float]:
        done = train_once()
        return done.n_steps, done.seconds

    in_flight = Spec(n_actions=mdp.n_actions).lanes
    return Point(axis, series, x, n_agents, table, in_flight * table, run, lambda: check_jumps(mdp, train_once()))


def _workload_point(
    axis: str, name: str, x: int, *, n_agents: int, threads: int = 1, episodes: int | None = None
) -> Point:
    given = workload(name)
    if episodes is not None:
        given = replace(given, episodes=episodes)

    def run() -> tuple[int, float]:
        done = train(given, n_agents=n_agents, threads=threads)
        return done.agent_steps, done.seconds

    def check_answer() -> None:
        done = train(given, n_agents=n_agents, threads=threads)
        if given.episodes == workload(name).episodes:
            check(given, done.run.q, done.agent_steps)
        else:
            check_trained(given, DEFAULT, done.run.q, done.agent_steps)

    table = 4 * given.n_states * given.n_actions
    in_flight = Spec(n_actions=given.n_actions).lanes
    return Point(axis, name, x, n_agents, table, in_flight * table, run, check_answer)


def point(axis: str, series: str, x: int, mode: str) -> Point:
    """Make one measurement of an axis; see `points`."""
    if axis == "agents":
        return _workload_point(axis, series, x, n_agents=x)
    if axis == "episodes":
        n_agents = 256 if mode == "once" else max(64, min(100_000, 30_000_000 // (5 * x)) // 64 * 64)
        return _workload_point(axis, series, x, n_agents=n_agents, episodes=x)
    if axis == "threads":
        return _workload_point(axis, series, x, n_agents=_thread_agents(series, mode), threads=x)
    if axis == "states":
        return _jump_point(axis, series, x, mode, x, 4, anywhere=True)
    if axis == "actions":
        return _jump_point(axis, series, x, mode, 16, x)
    return _jump_point(axis, series, x, mode, 16, 4, x, equal=series == EQUAL)


def points(axis: str, mode: str) -> list[Point]:
    """List the measurements of an axis.

    Parameters
    ----------
    axis : str
        A key of `AXES`.
    mode : {"full", "quick", "once"}
        "once" is for checking answers with timing off: small, and few compile-time variants.
    """
    return [point(axis, series, x, mode) for series, x in AXES[axis].chosen(mode)]


def _thread_agents(name: str, mode: str) -> int:
    given = workload(name)
    if mode == "once":
        return max(128, 2 * given.quick_agents)
    return {"W1": 32_768, "W2": 8_192, "W3": 8_192, "W4": 2_048, "W5": 1_024}[name]

"""A plan: what the agents of a training, or of a study's configuration, have in common, complete when it is made."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.engine.curve import SummaryBuilder, windows
from qfast.engine.tables import forbidden_pairs, goal_reward, make_tables, outcome_kind
from qfast.kernel.memory import SMALL
from qfast.kernel.spec import Spec
from qfast.kernel.state import Tables
from qfast.model.learner import Learner
from qfast.model.mdp import MDP
from qfast.model.rates import Rate
from qfast.model.settings import RATES

__all__ = ["AgentValues", "Measurer", "Plan", "Recorder", "Reducer", "make_plan"]

# The rates that may have a schedule: the kernel's name, and ours.
_SCHEDULES: Final = (
    ("alpha", "alpha"),
    ("explore", "epsilon"),
    ("temperature", "temperature"),
    ("trace_decay", "lambda_"),
)

_MOST_TRACES: Final = 2**28  # bytes of a thread's traces


class Measurer(Protocol):
    """Measures agents at checkpoints; see `qfast.truth.checkpoints`."""

    @property
    def episodes(self) -> tuple[int, ...]:
        """The checkpoints, counted from the beginning of this training; 0 is before the first episode."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what is measured."""

    @property
    def keep_q(self) -> bool:
        """Whether Q is kept as well."""

    @property
    def group(self) -> NDArray[np.int64] | None:
        """Which of its discounts each agent has; None where there is one for all."""

    def shared(self) -> Self:
        """The same without `group`."""

    def begin(
        self, group: NDArray[np.int64] | None, out: NDArray[np.float64]
    ) -> Callable[[int, NDArray[Any]], None]:
        """Begin with some agents: give what measures their Q (n, S, A) at each checkpoint in turn, into (n, C, M)."""


class Recorder(Protocol):
    """Sums up the records of a block's agents, a stretch of episodes at a time."""

    def add(self, stretch: int, first: int, returns: NDArray[Any], lengths: NDArray[np.int32]) -> None:
        """Take the records (agents, episodes) of the agents from number ``first`` on; lengths only if recorded."""


class Reducer(Protocol):
    """What a block of agents comes down to where not the agents themselves are kept, as in a study."""

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """The stretches of episodes, each from its first one up to before its end, that a recorder is given."""

    @property
    def most_agents(self) -> int:
        """Agents in a block, at most."""

    @property
    def bytes_per_agent(self) -> int:
        """What is kept of an agent."""

    def recorder(self) -> Recorder:
        """A new recorder, for one block."""

    def reduce(self, plan: "Plan", block: Any) -> Any:
        """Turn a `Block` into what is kept: has ``first``, ``n_agents``, ``n_steps``, ``n_diverged`` and ``merge``."""


@dataclass(frozen=True, eq=False)
class AgentValues:
    """What single agents of a plan have of their own: values of rates by name, and which of the discounts."""

    rates: dict[str, NDArray[np.float64]]
    group: NDArray[np.int64] | None

    def part(self, first: int, count: int) -> "AgentValues":
        """Those of some of the agents."""
        part = slice(first, first + count)
        group = None if self.group is None else self.group[part]
        return AgentValues({name: values[part] for name, values in self.rates.items()}, group)


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that the agents of a training have in common, ready for the kernel; picklable.

    Attributes
    ----------
    spec, tables : Spec, Tables
        The variant of the kernel; the problem and the schedules.
    learner : Learner
    seed : numpy.random.SeedSequence
    first_agent : int
        Number of the first agent in the seed; all other numbers count from it.
    shape : tuple of int
        (states, actions).
    episodes : int
        Episodes that each agent has to go.
    record : {None, "returns", "summary", "score"}
        "summary": records are summed up a stretch of episodes at a time, and are not kept.
    keep_q : bool
        Whether what the agents have learned is kept.
    forbidden : ndarray of bool, shape (S, A), or None
        Pairs whose Q is -inf.
    measurer : Measurer or None
    reducer : Reducer or None
        None where the agents' arrays are kept.
    """

    spec: Spec
    tables: Tables
    learner: Learner
    seed: SeedSequence
    first_agent: int
    shape: tuple[int, int]
    episodes: int
    record: str | None
    keep_q: bool
    forbidden: NDArray[np.bool_] | None
    measurer: Measurer | None = None
    reducer: Reducer | None = None

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """After how many episodes agents are measured."""
        return () if self.measurer is None else self.measurer.episodes

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """The stretches of episodes whose records are summed up one by one; one alone where they are kept."""
        if self.reducer is not None:
            return self.reducer.stretches
        return tuple(windows(self.episodes)) if self.record == "summary" else ((0, self.episodes),)

    def recorder(self) -> Recorder | None:
        """What sums up the records of a block; None where they are kept."""
        if self.reducer is not None:
            return self.reducer.recorder()
        return SummaryBuilder(self.episodes) if self.record == "summary" else None

    def agent_values(self, first: int, count: int) -> AgentValues:
        """What the agents ``first`` … have of their own."""
        part = slice(first, first + count)
        single = {name: rate.values[part] for name in RATES if (rate := getattr(self.learner, name)).kind == "agent"}
        group = None if self.measurer is None or self.measurer.group is None else self.measurer.group[part]
        return AgentValues(single, group)

    def shared(self) -> "Plan":
        """The plan without what single agents have of their own: small, whatever their number."""
        none: dict[str, Any] = {
            name: Rate("agent", rate.values[:0], "…")
            for name in RATES
            if (rate := getattr(self.learner, name)).kind == "agent"
        }
        measurer = None if self.measurer is None else self.measurer.shared()
        return replace(self, learner=replace(self.learner, **none), measurer=measurer)


def make_plan(
    mdp: MDP,
    learner: Learner,
    seed: SeedSequence,
    *,
    first_agent: int,
    episodes: int,
    record: str | None,
    keep_q: bool = True,
    lengths: bool = True,
    learns: bool = True,
    goal: float | None = None,
    measurer: Measurer | None = None,
    reducer: Reducer | None = None,
) -> Plan:
    """Choose the kernel's variant and make its tables; `lengths` tells whether those of episodes are recorded, too."""
    spec = Spec(
        n_actions=mdp.n_actions,
        dtype=learner.dtype.name,
        rule=learner.rule,
        many_steps=learner.n > 1,
        traces=learner.traces or "none",
        explore="epsilon_greedy" if learner.explore == "greedy" else learner.explore,
        ties=learner.ties,
        outcomes=outcome_kind(mdp),
        small=mdp.n_outcomes == 1 and mdp.next_state.size <= SMALL and learner.dtype == np.float32,
        draws_start=mdp.start_state is None,
        limited=mdp.max_episode_steps is not None,
        masked=mdp.allowed is not None,
        schedules=tuple(kind for kind, name in _SCHEDULES if getattr(learner, name).kind == "episode"),
        alpha_by_visits=learner.alpha.kind == "visit",
        records={None: "nothing", "score": "score"}.get(record, "episodes" if lengths else "returns"),
        learns=learns,
        **_lanes(mdp, learner),
    )
    tables = make_tables(mdp, learner, goal=goal_reward(mdp) if goal is None else goal)
    return Plan(
        spec, tables, learner, seed, first_agent, (mdp.n_states, mdp.n_actions), episodes, record, keep_q,
        forbidden_pairs(mdp), measurer, reducer,
    )  # fmt: skip


def _lanes(mdp: MDP, learner: Learner) -> dict[str, Any]:
    """Few lanes where the traces of many would take the memory; traces are followed one lane at a time anyway."""
    lane = mdp.n_states * mdp.n_actions * (8 + learner.dtype.itemsize)
    few = learner.traces is not None and 64 * lane > _MOST_TRACES
    return {"lanes": 8, "width": 8} if few else {}

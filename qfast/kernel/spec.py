"""What a variant of the kernel is: the choices made at compile time.

A `Spec` reaches the kernel as an argument whose numba *type* carries the choices, so that numba's own cache on disk
tells the variants apart.  Numbers that may change from run to run (states, agents, episodes, rates) are not in it.
"""

import hashlib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from numba.extending import NativeValue, models, register_model, typeof_impl, unbox

from qfast.kernel.jit import Choices
from qfast.kernel.memory import chunk

LEARNER = ("backups", "environment", "explore", "loop", "rules", "state", "step")
MEASURING = ("policies", "summarize")  # files that only measure; all others are of both kinds


@dataclass(frozen=True)
class Shape:
    """The choices of a kernel that measures, and those of every variant that its intrinsics look at.

    `lanes` are in flight (at most 64), `width` of them in one vector: they never change a result.  A `checked` variant
    checks every index before it is used, for tests.
    """

    n_actions: int
    dtype: str = "float64"  # of Q, of the rewards and of the rates; or float32
    lanes: int = 0
    width: int = 0
    checked: bool = False

    n_tables = 1

    def __post_init__(self):
        """Choose the width: a row of 64 lanes should fit into half of the vector registers.

        With 64 lanes FrozenLake is 5 % faster than with 32; with 32 Taxi is 18 % faster, and with two tables 2.2 times.
        """
        narrow = self.dtype == "float64" or self.n_actions * self.n_tables > 4
        for name in ("lanes", "width"):
            if not getattr(self, name):
                object.__setattr__(self, name, 32 if narrow else 64)
        if self.lanes % self.width:
            raise ValueError(f"{self.lanes} lanes are no whole number of vectors of {self.width}")

    @property
    def chunk(self) -> int:
        """Columns of a row of Q that are fetched at once."""
        return chunk(self.n_actions * self.n_tables, "f64" if self.dtype == "float64" else "f32")

    @property
    def row_chunk(self) -> int:
        """The same for a row of counts."""
        return chunk(self.n_actions, "i32")


@dataclass(frozen=True)
class Spec(Shape):
    """The choices of a variant of the learner."""

    dtype: str = "float32"
    rule: str = "q_learning"  # a name in `rules.RULES`
    many_steps: bool = False  # whether updates look several steps ahead
    traces: str = "none"  # or accumulating, replacing
    explore: str = "epsilon_greedy"  # or softmax, ucb
    ties: str = "random"  # or first, last
    outcomes: str = "one"  # one outcome a pair; K "equal"ly likely ones; any K probabilities through an "alias" table
    small: bool = False  # all outcomes, at most `memory.SMALL`, fit into vector registers
    draws_start: bool = False  # an episode's start state is drawn from a distribution
    limited: bool = False  # there is an episode limit
    masked: bool = False  # some actions are not allowed
    schedules: tuple[str, ...] = ()  # rates that change with the episode: alpha, explore, temperature, trace_decay
    alpha_by_visits: bool = False  # the step size depends on how often the pair was taken
    records: str = "nothing"  # each episode's return and length ("episodes"), its "returns", or the sums ("score")
    learns: bool = True  # False: act, but never change Q

    @property
    def has_traces(self) -> bool:
        """Whether earlier pairs have eligibility traces."""
        return self.traces != "none"

    @property
    def accumulates(self) -> bool:
        """Whether a new visit adds to a pair's trace."""
        return self.traces == "accumulating"

    @property
    def records_episodes(self) -> bool:
        """Whether each episode's return is kept."""
        return self.records in ("episodes", "returns")

    @property
    def records_lengths(self) -> bool:
        """Whether its length is kept, too."""
        return self.records == "episodes"

    @property
    def records_score(self) -> bool:
        """Whether their sums are kept."""
        return self.records == "score"

    @property
    def records_any(self) -> bool:
        """Whether any of these is kept."""
        return self.records != "nothing"

    @property
    def has_schedules(self) -> bool:
        """Whether a rate changes with the episode."""
        return bool(self.schedules)

    @property
    def schedules_alpha(self) -> bool:
        """Whether alpha does."""
        return "alpha" in self.schedules

    @property
    def schedules_explore(self) -> bool:
        """Whether epsilon does."""
        return "explore" in self.schedules

    @property
    def schedules_temperature(self) -> bool:
        """Whether the temperature does."""
        return "temperature" in self.schedules

    @property
    def schedules_trace_decay(self) -> bool:
        """Whether lambda does."""
        return "trace_decay" in self.schedules

    @property
    def n_tables(self) -> int:  # type: ignore[override]
        """Tables of Q that an agent has."""
        return 2 if self.has_two_tables else 1

    @property
    def has_two_tables(self) -> bool:
        """Whether the agents have two tables of Q."""
        return self.rule == "double_q_learning"

    @property
    def is_article(self) -> bool:
        """Whether the rule is the article's, which bootstraps beyond the end, too."""
        return self.rule == "article"

    @property
    def on_policy(self) -> bool:
        """Whether an update needs the next action, so that it waits until that is chosen."""
        return self.rule == "sarsa"

    @property
    def waits(self) -> bool:
        """Whether the update of the last step alone waits for the next action: one-step SARSA."""
        return self.on_policy and not self.looks_back

    @property
    def looks_back(self) -> bool:
        """Whether a step may update pairs of several earlier steps."""
        return self.many_steps or self.has_traces

    @property
    def restarts_apart(self) -> bool:
        """Whether every new episode's row is read apart, not in place of the terminal state's."""
        return self.draws_start or self.looks_back or self.is_article

    @property
    def counts_visits(self) -> bool:
        """Whether the agents count how often they took each pair."""
        return self.alpha_by_visits or self.explore == "ucb"

    @property
    def counts_steps(self) -> bool:
        """Whether the number of steps in an episode matters."""
        return self.limited or self.records in ("episodes", "score") or self.looks_back

    @property
    def draws_outcome(self) -> bool:
        """Whether an action has several outcomes."""
        return self.outcomes != "one"

    @property
    def outcomes_equal(self) -> bool:
        """Whether they are equally likely."""
        return self.outcomes == "equal"

    @property
    def draws_word(self) -> bool:
        """Whether the learning rule takes a random word of its own."""
        return (self.has_two_tables or self.is_article) and self.learns


@cache
def source_digest(others: tuple[str, ...]) -> str:
    """Digest of the kernel's sources but those of the other kind: numba's cache looks at one file only."""
    sources = sorted(path for path in Path(__file__).parent.glob("*.py") if path.stem not in others)
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


class SpecType(Choices):
    """The numba type of a `Shape` or `Spec`: one type for each set of choices."""

    always = (*(field.name for field in fields(Shape)), "n_tables")

    def __init__(self, spec):
        choices = ",".join(str(getattr(spec, field.name)) for field in fields(spec))
        digest = source_digest(MEASURING if isinstance(spec, Spec) else LEARNER)
        super().__init__(spec, name=f"{type(spec).__name__}({choices},{digest})")

    @property
    def mangling_args(self):
        """A short name that no other variant has, not even one that another process left in the cache."""
        return f"Spec{hashlib.sha256(self.name.encode()).hexdigest()[:16]}", ()


# Kept: making the type's name takes 20 us, as long as a short call of the kernel.
_type_of = cache(SpecType)
typeof_impl.register(Shape)(lambda spec, context: _type_of(spec))
register_model(SpecType)(models.OpaqueModel)
unbox(SpecType)(lambda typ, spec, context: NativeValue(context.context.get_dummy_value()))

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

    # Columns of a row of Q that are fetched at once, and of a row of counts.
    chunk = property(lambda self: chunk(self.n_actions * self.n_tables, "f64" if self.dtype == "float64" else "f32"))
    row_chunk = property(lambda self: chunk(self.n_actions, "i32"))


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
    def n_tables(self) -> int:  # type: ignore[override]
        """Tables of Q that an agent has."""
        return 2 if self.has_two_tables else 1

    # What follows from these, as the kernel's code asks for it.
    has_two_tables = property(lambda self: self.rule == "double_q_learning")
    is_article = property(lambda self: self.rule == "article")  # it bootstraps beyond the end, too
    on_policy = property(lambda self: self.rule == "sarsa")  # an update waits until the next action is chosen
    has_traces = property(lambda self: self.traces != "none")
    accumulates = property(lambda self: self.traces == "accumulating")  # a new visit adds to a pair's trace
    looks_back = property(lambda self: self.many_steps or self.has_traces)  # a step may update several earlier pairs
    waits = property(lambda self: self.on_policy and not self.looks_back)  # one-step SARSA: only the last step's waits
    records_any = property(lambda self: self.records != "nothing")
    records_episodes = property(lambda self: self.records in ("episodes", "returns"))
    records_lengths = property(lambda self: self.records == "episodes")
    records_score = property(lambda self: self.records == "score")
    has_schedules = property(lambda self: bool(self.schedules))
    schedules_alpha = property(lambda self: "alpha" in self.schedules)
    schedules_explore = property(lambda self: "explore" in self.schedules)
    schedules_temperature = property(lambda self: "temperature" in self.schedules)
    schedules_trace_decay = property(lambda self: "trace_decay" in self.schedules)
    takes_first = property(lambda self: self.ties == "first")
    # A new episode's row is read apart, not in place of the terminal state's.
    restarts_apart = property(lambda self: self.draws_start or self.looks_back or self.is_article)
    counts_visits = property(lambda self: self.alpha_by_visits or self.explore == "ucb")  # of each pair, by each agent
    counts_steps = property(lambda self: self.limited or self.records in ("episodes", "score") or self.looks_back)
    draws_outcome = property(lambda self: self.outcomes != "one")
    outcomes_equal = property(lambda self: self.outcomes == "equal")
    # The learning rule takes a random word of its own.
    draws_word = property(lambda self: (self.has_two_tables or self.is_article) and self.learns)


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

"""What a variant of the kernel is: the choices made at compile time.

A `Spec` reaches the kernel as an argument whose numba *type* carries the choices, so that numba's own cache on disk
tells the variants apart.  Numbers that may change from run to run (states, agents, episodes, rates) are not in it.
"""

import hashlib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from numba import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox

from qfast.kernel.memory import chunk


@dataclass(frozen=True)
class Spec:
    """The compile-time choices of one variant.

    Attributes
    ----------
    n_actions : int
    dtype : {"float32", "float64"}
        Element type of Q, of the rewards and of the rates.
    rule : {"q_learning", "expected_sarsa", "sarsa", "double_q_learning", "article"}
        See `qfast.kernel.rules`.
    many_steps : bool
        Whether updates look several steps ahead.
    traces : {"none", "accumulating", "replacing"}
        Eligibility traces.
    explore : {"epsilon_greedy", "softmax", "ucb"}
    ties : {"random", "first", "last"}
        See `qfast.kernel.explore`.
    outcomes : {"one", "equal", "alias"}
        One outcome a pair; K equally likely ones; any K probabilities through an alias table.
    small : bool
        Whether all outcomes, at most `memory.SMALL`, fit into vector registers.
    draws_start : bool
        Whether an episode's start state is drawn from a distribution.
    limited : bool
        Whether there is an episode limit.
    masked : bool
        Whether some actions are not allowed.
    schedules : tuple of str
        The rates that change with the episode: "alpha", "explore", "temperature", "trace_decay".
    alpha_by_visits : bool
        Whether the step size depends on how often the pair was taken.
    records : {"nothing", "episodes", "returns", "score"}
        Keep each episode's return and length, its return alone, or only their sums for each agent.
    learns : bool
        False: act, but never change Q.
    lanes, width : int
        Lanes in flight (at most 64) and lanes in one vector; 0 for what is fastest.  They never change a result.
    checked : bool
        Check every index before it is used; for tests.
    """

    n_actions: int
    dtype: str = "float32"
    rule: str = "q_learning"
    many_steps: bool = False
    traces: str = "none"
    explore: str = "epsilon_greedy"
    ties: str = "random"
    outcomes: str = "one"
    small: bool = False
    draws_start: bool = False
    limited: bool = False
    masked: bool = False
    schedules: tuple[str, ...] = ()
    alpha_by_visits: bool = False
    records: str = "nothing"
    learns: bool = True
    lanes: int = 0
    width: int = 0
    checked: bool = False

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
    def n_tables(self) -> int:
        """Tables of Q that an agent has."""
        return 2 if self.rule == "double_q_learning" else 1

    @property
    def on_policy(self) -> bool:
        """Whether an update needs the next action, so that it waits until that is chosen."""
        return self.rule == "sarsa"

    @property
    def waits(self) -> bool:
        """Whether the update of the last step alone waits for the next action: one-step SARSA."""
        return self.on_policy and not self.many_steps and self.traces == "none"

    @property
    def looks_back(self) -> bool:
        """Whether a step may update pairs of several earlier steps."""
        return self.many_steps or self.traces != "none"

    @property
    def restarts_apart(self) -> bool:
        """Whether every new episode's row is read apart, not in place of the terminal state's."""
        return self.draws_start or self.looks_back or self.rule == "article"

    @property
    def counts_visits(self) -> bool:
        """Whether the agents count how often they took each pair."""
        return self.alpha_by_visits or self.explore == "ucb"

    @property
    def counts_steps(self) -> bool:
        """Whether the number of steps in an episode matters."""
        return self.limited or self.records in ("episodes", "score") or self.looks_back

    @property
    def draws_outcome(self):
        """Whether an action has several outcomes."""
        return self.outcomes != "one"

    @property
    def draws_word(self) -> bool:
        """Whether the learning rule takes a random word of its own."""
        return self.rule in ("double_q_learning", "article") and self.learns


@cache
def source_digest() -> str:
    """Digest of the kernel's sources; part of the type's name, since numba's cache looks at one file only."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


class SpecType(types.Type):
    """The numba type of a `Spec`: one type for each set of choices."""

    def __init__(self, spec):
        self.spec = spec
        choices = ",".join(str(getattr(spec, field.name)) for field in fields(spec))
        super().__init__(name=f"Spec({choices},{source_digest()})")

    def __getattr__(self, name):
        """Give what the spec says."""
        if name in Spec.__dataclass_fields__ or isinstance(getattr(Spec, name, None), property):
            return getattr(self.spec, name)
        raise AttributeError(name)


# Kept: making the type's name takes 20 us, as long as a short call of the kernel.
_type_of = cache(SpecType)
typeof_impl.register(Spec)(lambda spec, context: _type_of(spec))
register_model(SpecType)(models.OpaqueModel)
unbox(SpecType)(lambda typ, spec, context: NativeValue(context.context.get_dummy_value()))

@infer_getattr
class _SpecAttributes(AttributeTemplate):
    """`spec.name` inside the kernel is a constant: LLVM unrolls the loops over it and drops the branches it decides."""

    key = SpecType

    def generic_resolve(self, spec, name):
        value = getattr(spec, name, None)
        return {bool: types.boolean, int: types.intp}.get(type(value))


@lower_getattr_generic(SpecType)
def _lower_constant(context, builder, spec, value, name):
    constant = getattr(spec, name)
    return context.get_constant(types.boolean if isinstance(constant, bool) else types.intp, constant)

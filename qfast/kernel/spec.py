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
    rule : str
        A rule of `qfast.kernel.rules`.
    explore, ties : str
        See `qfast.kernel.explore`.
    outcomes : {"one", "equal", "alias"}
        One outcome a pair; K equally likely ones; any K probabilities through an alias table.
    draws_start : bool
        Whether an episode's start state is drawn from a distribution.
    limited : bool
        Whether there is an episode limit.
    masked : bool
        Whether some actions are not allowed.
    schedules_alpha, schedules_explore : bool
        Whether the rate changes with the episode.
    records : {"nothing", "episodes", "score"}
        Keep each episode's return and length, or only their sums for each agent.
    learns : bool
        False: act, but never change Q.
    lanes, width : int
        Lanes in flight (at most 64) and lanes in one vector.  They never change a result.
    checked : bool
        Check every index before it is used; for tests.
    """

    n_actions: int
    dtype: str = "float32"
    rule: str = "q_learning"
    explore: str = "epsilon_greedy"
    ties: str = "random"
    outcomes: str = "one"
    draws_start: bool = False
    limited: bool = False
    masked: bool = False
    schedules_alpha: bool = False
    schedules_explore: bool = False
    records: str = "nothing"
    learns: bool = True
    lanes: int = 64
    width: int = 64
    checked: bool = False


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
        if name in Spec.__dataclass_fields__:
            return getattr(self.spec, name)
        raise AttributeError(name)


typeof_impl.register(Spec)(lambda spec, context: SpecType(spec))
register_model(SpecType)(models.OpaqueModel)
unbox(SpecType)(lambda typ, spec, context: NativeValue(context.context.get_dummy_value()))

_CONSTANTS = {
    "n_actions": lambda spec: spec.n_actions,
    "width": lambda spec: spec.width,
    "lanes": lambda spec: spec.lanes,
    "chunk": lambda spec: chunk(spec.n_actions, "f64" if spec.dtype == "float64" else "f32"),
    "many_outcomes": lambda spec: spec.outcomes != "one",
    "alias": lambda spec: spec.outcomes == "alias",
    "draws_start": lambda spec: spec.draws_start,
    "limited": lambda spec: spec.limited,
    "masked": lambda spec: spec.masked,
    "schedules": lambda spec: spec.schedules_alpha or spec.schedules_explore,
    "schedules_alpha": lambda spec: spec.schedules_alpha,
    "schedules_explore": lambda spec: spec.schedules_explore,
    "records_episodes": lambda spec: spec.records == "episodes",
    "records_score": lambda spec: spec.records == "score",
    "counts_steps": lambda spec: spec.limited or spec.records != "nothing",
    "learns": lambda spec: spec.learns,
}


@infer_getattr
class _SpecAttributes(AttributeTemplate):
    """`spec.name` inside the kernel is a constant: LLVM unrolls the loops over it and drops the branches it decides."""

    key = SpecType

    def generic_resolve(self, spec, name):
        if name in _CONSTANTS:
            return types.boolean if isinstance(_CONSTANTS[name](spec), bool) else types.intp
        return None


@lower_getattr_generic(SpecType)
def _lower_constant(context, builder, spec, value, name):
    constant = _CONSTANTS[name](spec)
    return context.get_constant(types.boolean if isinstance(constant, bool) else types.intp, constant)

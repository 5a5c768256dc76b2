"""The learning rules: what Q(s, a) is moved towards."""

from numba import float32, int32
from numba.extending import overload

from qfast.kernel.jit import INLINED
from qfast.kernel.lanes import where
from qfast.kernel.memory import load


def bootstrap(spec, lanes, at):
    """The value of the next state, from its row of Q (`lanes.next_row`)."""
    raise NotImplementedError


@overload(bootstrap, jit_options=INLINED)
def _bootstrap(spec, lanes, at):
    return {"q_learning": q_learning}[spec.rule]


def q_learning(spec, lanes, at):
    """max_a Q(s', a) (Watkins 1989; Sutton & Barto 2018, eq. 6.8)."""
    row = at * spec.n_actions
    best = load(spec, lanes.next_row, row)
    for x in range(1, spec.n_actions):
        value = load(spec, lanes.next_row, row + x * spec.width)
        best = where(value > best, value, best)
    return best

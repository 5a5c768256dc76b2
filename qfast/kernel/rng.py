"""One stream of random words an agent: sfc32 (Doty-Humphrey, PractRand 0.93, 2010).

Three words of state and a counter, nine instructions a draw, no multiplication; every bit passes PractRand, so that
the high and the low bits of one draw can serve two uses.  `qfast.model.seeding` says how an agent's state is made.
"""

from typing import Any, NamedTuple

from numba import uint32

from qfast.kernel.jit import inlined
from qfast.kernel.memory import load, store


class Words(NamedTuple):
    """The random words of one step, in the order in which they are drawn; those not drawn hold the first."""

    action: Any
    rule: Any
    outcome: Any
    start: Any


@inlined
def draw(spec, lanes, at):
    """The words that each lane's step takes: how many is fixed by the variant.

    All at once, so that the generator's state goes through memory once a step.
    """
    step = spec.lanes
    a = load(spec, lanes.rng, at)
    b = load(spec, lanes.rng, at + step)
    c = load(spec, lanes.rng, at + 2 * step)
    counter = load(spec, lanes.rng, at + 3 * step)
    action, a, b, c, counter = turn(a, b, c, counter)
    rule = outcome = start = action
    if spec.draws_word:
        rule, a, b, c, counter = turn(a, b, c, counter)
    if spec.draws_outcome:
        outcome, a, b, c, counter = turn(a, b, c, counter)
    if spec.draws_start:
        start, a, b, c, counter = turn(a, b, c, counter)
    store(spec, lanes.rng, at, a)
    store(spec, lanes.rng, at + step, b)
    store(spec, lanes.rng, at + 2 * step, c)
    store(spec, lanes.rng, at + 3 * step, counter)
    return Words(action, rule, outcome, start)


@inlined
def turn(a, b, c, counter):
    """The next word of each stream, and the state behind it."""
    word = a + b + counter
    return (
        word,
        b ^ (b >> uint32(9)),
        c + (c << uint32(3)),
        ((c << uint32(21)) | (c >> uint32(11))) + word,
        counter + uint32(1),
    )

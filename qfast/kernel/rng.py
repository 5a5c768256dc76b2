"""One stream of random words an agent: sfc32 (Doty-Humphrey, PractRand 0.93, 2010).

Three words of state and a counter, nine instructions a draw, no multiplication; every bit passes PractRand, so that
the high and the low bits of one draw can serve two uses.  `qfast.seeding` says how an agent's state is made.
"""

from numba import uint32

from qfast.kernel.jit import inlined
from qfast.kernel.memory import load, store


@inlined
def draw(spec, lanes, at):
    """The next uint32 of each lane's stream."""
    step = spec.lanes
    a = load(spec, lanes.rng, at)
    b = load(spec, lanes.rng, at + step)
    c = load(spec, lanes.rng, at + 2 * step)
    counter = load(spec, lanes.rng, at + 3 * step)
    word = a + b + counter
    store(spec, lanes.rng, at, b ^ (b >> uint32(9)))
    store(spec, lanes.rng, at + step, c + (c << uint32(3)))
    store(spec, lanes.rng, at + 2 * step, ((c << uint32(21)) | (c >> uint32(11))) + word)
    store(spec, lanes.rng, at + 3 * step, counter + uint32(1))
    return word

"""Which action to take: exploration, and ties among the greedy actions."""

from numba import float32, int32, uint32
from numba.extending import overload

from qfast.kernel.lanes import bits_as_i32, bits_as_u32, full, multiply_high, to_f32, where
from qfast.kernel.jit import INLINED
from qfast.kernel.memory import fetch_one, load, store

BELOW_ONE = float32(1 - 2**-24)


def choose(spec, tables, lanes, at, word):
    """The action that each lane takes, from its row of Q and one random word."""
    raise NotImplementedError


@overload(choose, jit_options=INLINED)
def _choose(spec, tables, lanes, at, word):
    return {"epsilon_greedy": epsilon_greedy}[spec.explore]


def epsilon_greedy(spec, tables, lanes, at, word):
    """Every action with probability epsilon / A, and a greedy one with 1 - epsilon more (Sutton & Barto 2018, 2.2).

    One word serves three uses.  word * A = which * 2**32 + part: `which` is the random action, `part` decides whether
    to explore, and the two are independent but for rounding (2**-32 A).  Where it does not explore, the rest of
    `part` above the threshold is uniform and chooses among ties: the two uses are conditioned on disjoint events.
    """
    which, part = random_action(spec, tables, lanes, at, word)
    part = bits_as_i32(part >> uint32(8))
    threshold = load(spec, lanes.explore, at)
    above = to_f32(part - threshold) * load(spec, lanes.above, at)
    return where(part < threshold, which, greedy(spec, lanes, at, above))


def random_action(spec, tables, lanes, at, word):
    """An action that the lane's state allows, all equally likely, and what is left of the word."""
    raise NotImplementedError


@overload(random_action, jit_options=INLINED)
def _random_action(spec, tables, lanes, at, word):
    def any_action(spec, tables, lanes, at, word):
        which, part = multiply_high(word, uint32(spec.n_actions))
        return bits_as_i32(which), part

    def allowed_action(spec, tables, lanes, at, word):
        count = fetch_one(spec, tables.n_allowed, lanes.state, at, 0)[0]
        which, part = multiply_high(word, bits_as_u32(count))
        pair = load(spec, lanes.state, at) * int32(spec.n_actions) + bits_as_i32(which)
        store(spec, lanes.index, at, pair)
        return fetch_one(spec, tables.allowed, lanes.index, at, 0)[0], part

    return allowed_action if spec.masked else any_action


def greedy(spec, lanes, at, uniform):
    """A maximal action of each lane's row; `uniform` in [0, 1] chooses among ties where ties are random."""
    raise NotImplementedError


@overload(greedy, jit_options=INLINED)
def _greedy(spec, lanes, at, uniform):
    return {"random": random_greedy, "first": first_greedy, "last": last_greedy}[spec.ties]


def first_greedy(spec, lanes, at, uniform):
    row = at * spec.n_actions
    best, action = load(spec, lanes.row, row), full(spec, lanes.state, 0)
    for x in range(1, spec.n_actions):
        value = load(spec, lanes.row, row + x * spec.width)
        better = value > best
        best, action = where(better, value, best), where(better, int32(x), action)
    return action


def last_greedy(spec, lanes, at, uniform):
    row = at * spec.n_actions
    best, action = load(spec, lanes.row, row), full(spec, lanes.state, 0)
    for x in range(1, spec.n_actions):
        value = load(spec, lanes.row, row + x * spec.width)
        better = value >= best
        best, action = where(better, value, best), where(better, int32(x), action)
    return action


def random_greedy(spec, lanes, at, uniform):
    """The k-th of the m maximal actions, k = floor(uniform m): the number of actions before which at most k ties lie."""
    row = at * spec.n_actions
    best = load(spec, lanes.row, row)
    for x in range(1, spec.n_actions):
        value = load(spec, lanes.row, row + x * spec.width)
        best = where(value > best, value, best)
    ties = full(spec, lanes.above, 0)
    for x in range(spec.n_actions):
        ties = where(load(spec, lanes.row, row + x * spec.width) == best, ties + float32(1), ties)
    pick = where(uniform < BELOW_ONE, uniform, BELOW_ONE) * ties
    action, ties = full(spec, lanes.state, 0), full(spec, lanes.above, 0)
    for x in range(spec.n_actions - 1):
        ties = where(load(spec, lanes.row, row + x * spec.width) == best, ties + float32(1), ties)
        action = where(ties <= pick, action + int32(1), action)
    return action

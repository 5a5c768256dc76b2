"""Which action to take: exploration, and ties among the greedy actions."""

from numba import float32, int32, uint32, uint64
from numpy import float32 as np_float32
from numpy import inf

from qfast.kernel.jit import by_variant, inlined
from qfast.kernel.lanes import (
    as_real,
    bits_as_i32,
    bits_as_u32,
    exp,
    full,
    lanes_set,
    log,
    multiply_high,
    square_root,
    to_f32,
    where,
    zero_f32,
    zero_i32,
)
from qfast.kernel.memory import MOST_COUNTED, fetch_one, fetch_visits, load, store

BELOW_ONE = np_float32(1 - 2**-24)
UNIT = np_float32(2**-24)


@by_variant
def choose(spec, tables, agents, lanes, at, word):
    """The action that each lane takes, from its row of Q and one random word."""
    return {"epsilon_greedy": epsilon_greedy, "softmax": softmax, "ucb": ucb}[spec.explore]


def epsilon_greedy(spec, tables, agents, lanes, at, word):
    """Every action with probability epsilon / A, and a greedy one with 1 - epsilon more (Sutton & Barto 2018, 2.2).

    One word serves three uses.  word * A = which * 2**32 + part: `which` is the random action, `part` decides whether
    to explore, and the two are independent but for rounding (2**-32 A).  Where it does not explore, the rest of
    `part` above the threshold is uniform and chooses among ties: the two uses are conditioned on disjoint events.
    """
    which, part = random_action(spec, tables, lanes, at, word)
    part = bits_as_i32(part >> uint32(8))
    threshold = load(spec, lanes.explore, at)
    above = to_f32(part - threshold) * load(spec, lanes.above, at)
    action = greedy(spec, lanes.row, at, above)
    return where(part < threshold, which, if_allowed(spec, lanes.row, at, action, which))


def softmax(spec, tables, agents, lanes, at, word):
    """Action a with probability proportional to exp(Q(s, a) / temperature) (Sutton & Barto 2018, eq. 2.11)."""
    row, W = at * spec.n_actions, spec.width
    best = highest(spec, lanes.row, row)
    total = full(spec, lanes.above, 0)
    for x in range(spec.n_actions):
        total = total + preference(spec, lanes, at, load(spec, lanes.row, row + x * W), best)
        store(spec, lanes.weight, row + x * W, total)
    picked = unit(word) * total
    action = full(spec, lanes.state, 0)
    for x in range(spec.n_actions - 1):
        action = where(load(spec, lanes.weight, row + x * W) <= picked, action + int32(1), action)
    return or_any(spec, tables, lanes, at, total > 0, action, word)


def ucb(spec, tables, agents, lanes, at, word):
    """The action with the highest Q(s, a) + c sqrt(ln N(s) / N(s, a)), untried ones first (S&B 2018, eq. 2.10)."""
    A, W, row = spec.n_actions, spec.width, at * spec.n_actions
    store(spec, lanes.indices, at, load(spec, lanes.base, at) + load(spec, lanes.state, at) * int32(A))
    tried, score = full(spec, lanes.state, 0), lanes.next_row  # lanes.next_row is free until the action is taken
    for x in range(0, A, spec.row_chunk):
        columns = fetch_visits(spec, agents.visits, lanes.indices, at, x)
        for c in range(spec.row_chunk):
            if x + c < A:
                tried = tried + columns[c]
                tried = where(tried < int32(0), MOST_COUNTED, tried)
    logarithm = log(to_f32(where(tried > int32(0), tried, int32(1))))
    for x in range(0, A, spec.row_chunk):
        columns = fetch_visits(spec, agents.visits, lanes.indices, at, x)
        for c in range(spec.row_chunk):
            if x + c < A:
                value = load(spec, lanes.row, row + (x + c) * W)
                bonus = load(spec, lanes.confidence, at) * square_root(logarithm / to_f32(columns[c]))
                bonus = where(columns[c] > int32(0), bonus, inf)
                bonus = where(value > -inf, bonus, 0)  # an action that is not allowed stays at -inf
                store(spec, score, (x + c) * W, value + as_real(score, bonus))
    action = greedy(spec, score, 0, unit(word))
    return or_any(spec, tables, lanes, at, pick(spec, score, 0, action) > -inf, action, word)


@inlined
def unit(word):
    """24 bits of a word as a float32 in [0, 1)."""
    return to_f32(bits_as_i32(word >> uint32(8))) * UNIT


@inlined
def pick(spec, values, row, a):
    """The value of action a in each lane's row."""
    value = load(spec, values, row)
    for x in range(1, spec.n_actions):
        value = where(a == int32(x), load(spec, values, row + x * spec.width), value)
    return value


@inlined
def or_any(spec, tables, lanes, at, good, action, word):
    """The action where that is `good`, elsewhere any that is allowed.

    Elsewhere Q has diverged: NaN is neither preferred nor likely, and an agent that always took the same action would
    never come to the end of an episode.
    """
    if lanes_set(~good) != uint64(0):
        action = where(good, action, random_action(spec, tables, lanes, at, word)[0])
    return action


@inlined
def if_allowed(spec, values, at, action, instead):
    """The action, or `instead` where its value does not exceed -inf, as that of no forbidden action does.

    The greedy action is one of those only where Q has diverged: NaN exceeds nothing.
    """
    if spec.masked:
        return where(pick(spec, values, at * spec.n_actions, action) > -inf, action, instead)
    return action


@inlined
def highest(spec, values, row):
    """The largest of each lane's row."""
    best = load(spec, values, row)
    for x in range(1, spec.n_actions):
        value = load(spec, values, row + x * spec.width)
        best = where(value > best, value, best)
    return best


@inlined
def preference(spec, lanes, at, value, best):
    """exp((value - best) / temperature): what softmax gives a probability in proportion to; float32."""
    return exp(as_real(lanes.above, value - best) * load(spec, lanes.temperature, at))


@inlined
def random_action(spec, tables, lanes, at, word):
    """An action that the lane's state allows, all equally likely, and what is left of the word."""
    if not spec.masked:
        which, part = multiply_high(word, uint32(spec.n_actions))
        return bits_as_i32(which), part
    count = fetch_one(spec, tables.n_allowed, lanes.state, at, 0)[0]
    which, part = multiply_high(word, bits_as_u32(count))
    pair = load(spec, lanes.state, at) * int32(spec.n_actions) + bits_as_i32(which)
    store(spec, lanes.indices, at, pair)
    return fetch_one(spec, tables.allowed, lanes.indices, at, 0)[0], part


@by_variant
def greedy(spec, values, at, uniform):
    """A maximal action of each lane's row of `values`; `uniform` in [0, 1] chooses where ties are random."""
    return random_greedy if spec.ties == "random" else outer_greedy


def outer_greedy(spec, values, at, uniform):
    """The first or the last one."""
    row = at * spec.n_actions
    best, action = load(spec, values, row), zero_i32(uniform)
    for x in range(1, spec.n_actions):
        value = load(spec, values, row + x * spec.width)
        better = value > best if spec.takes_first else value >= best
        best, action = where(better, value, best), where(better, int32(x), action)
    return action


def random_greedy(spec, values, at, uniform):
    """The k-th of the m maximal actions, k = floor(uniform m): as many actions have at most k ties up to them."""
    row = at * spec.n_actions
    best = highest(spec, values, row)
    ties = zero_f32(uniform)
    for x in range(spec.n_actions):
        ties = where(load(spec, values, row + x * spec.width) == best, ties + float32(1), ties)
    picked = where(uniform < BELOW_ONE, uniform, BELOW_ONE) * ties
    action, ties = zero_i32(uniform), zero_f32(uniform)
    for x in range(spec.n_actions - 1):
        ties = where(load(spec, values, row + x * spec.width) == best, ties + float32(1), ties)
        action = where(ties <= picked, action + int32(1), action)
    return action

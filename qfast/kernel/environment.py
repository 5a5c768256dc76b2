"""The environment: random words, the outcome of (s, a), where episodes begin, and alias tables to draw them by.

Each agent has a stream of random words of its own, sfc32 (Doty-Humphrey, PractRand 0.93, 2010): three words of state
and a counter, nine instructions a draw, no multiplication; every bit passes PractRand, so that the high and the low
bits of one draw can serve two uses.  `qfast.model.seeding` says how an agent's state is made.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import int32, int64, uint32, uint64
from numpy.typing import NDArray

from qfast.kernel.jit import by_variant, inlined, kernel
from qfast.kernel.lanes import bits_as_f32, bits_as_i32, multiply_high, where
from qfast.kernel.memory import fetch_one, fetch_pair, has_avx512, load, pick_pair, store


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


@inlined
def outcome_slot(spec, tables, lanes, at, pair, word):
    """Where the outcome of a pair stands in the tables: the only one, one of K equally likely, or by alias table.

    word * K = column * 2**32 + part: the column is uniform, and `part` decides between the column's two outcomes.
    """
    if not spec.draws_outcome:
        return pair
    column, part = multiply_high(word, uint32(tables.n_outcomes))
    first = pair * int32(tables.n_outcomes)
    slot = first + bits_as_i32(column)
    if spec.outcomes_equal:
        return slot
    store(spec, lanes.indices, at, slot + slot)
    threshold, other = fetch_pair(spec, tables.alias, lanes.indices, at, 0)
    return where(part < threshold, slot, first + bits_as_i32(other))


@by_variant
def next_state_and_reward(spec, tables, lanes, at, slot):
    """Next state (-1 - s where the outcome terminates the episode) and reward."""

    def in_registers(spec, tables, lanes, at, slot):
        state, bits = pick_pair(spec, tables.model, slot)
        return state, bits_as_f32(bits)

    def packed(spec, tables, lanes, at, slot):
        store(spec, lanes.indices, at, slot + slot)
        state, bits = fetch_pair(spec, tables.model, lanes.indices, at, 0)
        return state, bits_as_f32(bits)

    def apart(spec, tables, lanes, at, slot):
        store(spec, lanes.indices, at, slot + slot)
        state = fetch_one(spec, tables.model, lanes.indices, at, 0)[0]
        store(spec, lanes.indices, at, slot)
        return state, fetch_one(spec, tables.reward, lanes.indices, at, 0)[0]

    if spec.dtype == "float64":
        return apart
    return in_registers if spec.small and has_avx512() else packed


@inlined
def start_state(spec, tables, word):
    """The state that an episode begins in; the same draw as for outcomes, for one lane."""
    product = uint64(word) * uint64(tables.starts.size)
    column = int64(product >> uint64(32))
    if tables.start_alias.size > 0 and uint32(product) >= tables.start_alias[2 * column]:
        column = int64(tables.start_alias[2 * column + 1])
    return tables.starts[column]


@kernel
def fill_alias(p, own, other, stack):
    """Fill the alias table of each row of `p` (n, K), whose rows have mean 1 (Walker 1977; Vose 1991).

    `own` (n, K) receives the share of a column that is its own outcome's, `other` the outcome that has the rest.
    `p` is used up; `stack` is scratch memory of K int64.  Columns that need nothing from others are their own `other`.
    """
    n, k = p.shape
    for row in range(n):
        small, large = 0, k  # the stack holds columns below 1 from the left, the others from the right
        for x in range(k):
            if p[row, x] < 1:
                stack[small] = x
                small += 1
            else:
                large -= 1
                stack[large] = x
        while small > 0 and large < k:
            small -= 1
            x, giver = stack[small], stack[large]
            own[row, x], other[row, x] = p[row, x], giver
            p[row, giver] -= 1 - p[row, x]
            if p[row, giver] < 1:
                large += 1
                stack[small] = giver
                small += 1
        while small > 0:  # left over by rounding only: their share is 1
            small -= 1
            own[row, stack[small]], other[row, stack[small]] = 1, stack[small]
        while large < k:
            own[row, stack[large]], other[row, stack[large]] = 1, stack[large]
            large += 1


def make_alias(p: NDArray[np.float64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Alias tables of the distributions in the last axis of `p`: (threshold, other).

    As the kernel reads them: outcome j of column j if part < threshold, else `other`.
    """
    k = p.shape[-1]
    rows = np.ascontiguousarray(p, np.float64).reshape(-1, k)
    rows = rows / rows.sum(axis=1, keepdims=True) * k
    own, other = np.empty_like(rows), np.empty(rows.shape, np.int64)
    fill_alias(rows.copy(), own, other, np.empty(k, np.int64))
    # An outcome of probability 0 must never be its column's own, whatever rounding left there.
    own[rows == 0] = 0
    threshold = np.rint(np.clip(own, 0, 1) * 2**32).clip(0, 2**32 - 1).astype(np.uint32)
    return threshold.reshape(p.shape), other.reshape(p.shape)

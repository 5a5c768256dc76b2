"""Measuring policies: what agents do greedily where it matters, how far Q is from the truth, what policies are worth.

The chain of a policy is solved by eliminating one state after the other (Kemeny & Snell 1960, section 6.1).  Without
state k, whoever would have entered it goes on to where it leads:

    M[i, j] += M[i, k] M[k, j] / (1 - M[k, k])        b[i] += M[i, k] b[k] / (1 - M[k, k])

with M = gamma P and b what a step gives.  These are sums of products of positive numbers, so there is no pivoting and
hardly any rounding; and which entries of M can become positive is known beforehand, for all policies alike.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import float64, types, uint32, uint64
from numba.extending import intrinsic

from qfast.kernel.jit import inlined, kernel
from qfast.kernel.lanes import ELEMENT_OF_DTYPE, ELEMENTS, I32, as_real, first_lane, full, lanes_set, shuffle, where
from qfast.kernel.memory import flatten, load, part, store

RANDOM, FIRST, LAST = 0, 1, 2  # which of several greedy actions an agent takes
#: A state that is left with a smaller probability is not eliminated but flagged: rounding could no longer tell a very
#: long loop from one without end.
SMALLEST_EXIT = 1e-9

_CHECK = 32  # steps between two looks at whether anything still changes

_Array = np.ndarray[Any, Any]


class Acting(NamedTuple):
    """The states in which agents act, D of them, and what can follow.  All flat; sets of states are bits."""

    state: _Array  # int32 (D): their numbers in the MDP
    allowed: _Array  # uint32 (D * words): bits of the allowed actions, 32 a word
    start: _Array  # uint64 (sets): where episodes begin, 64 states a word
    onward: _Array  # uint64 (D * n_actions * sets): where each pair can lead
    optimal: _Array  # uint32 (groups * D * words): bits of the optimal actions


class Seen(NamedTuple):
    """What `behaviours` reads, writes and needs, for n agents.  All flat."""

    q: _Array  # (n * S * n_actions)
    group: _Array  # int64 (n): by which of the groups' truths an agent is measured
    masks: _Array  # unsigned int (n * D * words): bits of the actions taken; 0 in states that are not met
    is_optimal: _Array  # uint8 (n): whether all that the agent does is optimal
    changed: _Array  # uint8 (n): whether it differs from what `masks` held before
    met: _Array  # uint64 (sets): scratch memory
    to_do: _Array  # uint64 (sets): scratch memory
    fresh: _Array  # like masks, (D * words): scratch memory


@kernel
def behaviours(spec, acting, seen, ties):
    """Find what each agent does greedily in the states that it meets; of the spec's choices, `n_actions` counts."""
    acting, seen = flatten(spec, acting), flatten(spec, seen)
    A = spec.n_actions
    words = (A + 31) // 32
    D, sets, n = acting.state.size, acting.start.size, seen.group.size
    table = seen.q.size // max(n, 1)
    some_start = 0
    while acting.start[some_start // 64] >> uint64(some_start % 64) & uint64(1) == uint64(0):
        some_start += 1
    for agent in range(n):
        if A <= 32 and as_before(spec, acting, seen, ties, agent, some_start):
            continue
        for i in range(D * words):
            seen.fresh[i] = 0
        for word_of_states in range(sets):
            seen.met[word_of_states] = acting.start[word_of_states]
            seen.to_do[word_of_states] = acting.start[word_of_states]
        truth, wrong, going = seen.group[agent] * D * words, uint32(0), True
        while going:
            going = False
            for word_of_states in range(sets):
                # All states of the word at once, before those that they lead to: what one does waits for no other.
                frontier = seen.to_do[word_of_states]
                seen.to_do[word_of_states] = uint64(0)
                while frontier != uint64(0):
                    d = 64 * word_of_states + first_lane(frontier)
                    frontier &= frontier - uint64(1)
                    best_actions(spec, acting, seen, ties, agent * table + acting.state[d] * A, d)
                    for word in range(words):
                        wrong |= uint32(seen.fresh[d * words + word]) & ~acting.optimal[truth + d * words + word]
                    for other in range(sets):
                        more = uint64(0)
                        for a in range(A):
                            taken = (uint32(seen.fresh[d * words + a // 32]) >> uint32(a % 32)) & uint32(1)
                            more |= acting.onward[(d * A + a) * sets + other] & (uint64(0) - uint64(taken))
                        more &= ~seen.met[other]
                        seen.met[other] |= more
                        seen.to_do[other] |= more
            for word_of_states in range(sets):
                going |= seen.to_do[word_of_states] != uint64(0)
        differs = uint32(0)
        for i in range(D * words):
            differs |= uint32(seen.masks[agent * D * words + i]) ^ uint32(seen.fresh[i])
            seen.masks[agent * D * words + i] = seen.fresh[i]
        seen.is_optimal[agent] = wrong == uint32(0)
        seen.changed[agent] = differs != uint32(0)


@inlined
def as_before(spec, acting, seen, ties, agent, some_start):
    """Whether the agent does what `masks` holds in every state of it, and so meets the same states as before.

    That is so for most agents at most checkpoints, and seen at once: no state waits for the one before it.
    """
    D = acting.state.size
    first, truth = agent * D, seen.group[agent] * D
    if seen.masks[first + some_start] == 0:
        return False  # nothing is known yet
    table = agent * (seen.q.size // seen.group.size)
    wrong = uint32(0)
    for d in range(D):
        before = uint32(seen.masks[first + d])
        best_actions(spec, acting, seen, ties, table + acting.state[d] * spec.n_actions, d)
        now = uint32(seen.fresh[d]) if before != uint32(0) else before
        if now != before:
            return False
        wrong |= now & ~acting.optimal[truth + d]
    seen.is_optimal[agent] = wrong == uint32(0)
    seen.changed[agent] = 0
    return True


@inlined
def best_actions(spec, acting, seen, ties, row, d):
    """Set the bits of state d: the greedy actions of the row of Q that begins at `row`, by the tie rule."""
    A = spec.n_actions
    if A <= 32:
        x = equal_to_best(spec, seen.q, row) & acting.allowed[d]
        if ties == FIRST:
            x &= ~x + uint32(1)
        elif ties == LAST:
            x = highest_bit(x)
        if x == uint32(0):  # NaN, or -inf as a forbidden action has: no action is better than any other
            x = acting.allowed[d]
        seen.fresh[d] = x
    else:
        many_best_actions(spec, acting, seen, ties, row, d)


@inlined
def many_best_actions(spec, acting, seen, ties, row, d):
    """The same for more actions than a word has bits."""
    A = spec.n_actions
    words = (A + 31) // 32
    best = seen.q[row]
    for a in range(1, A):
        best = max(best, seen.q[row + a])
    chosen = -1
    for word in range(words):
        x = uint32(0)
        for a in range(32 * word, min(32 * word + 32, A)):
            x |= uint32(seen.q[row + a] == best) << uint32(a - 32 * word)
        x &= acting.allowed[d * words + word]
        if ties == FIRST:
            x = uint32(0) if chosen >= 0 else x & (~x + uint32(1))
        elif ties == LAST:
            x = highest_bit(x)
            if x != uint32(0) and chosen >= 0:
                seen.fresh[d * words + chosen] = 0
        chosen = word if x != uint32(0) else chosen
        seen.fresh[d * words + word] = x
    if chosen < 0:
        for word in range(words):
            seen.fresh[d * words + word] = acting.allowed[d * words + word]


@inlined
def highest_bit(x):
    """The highest bit alone; 0 of 0."""
    while x & (x - uint32(1)) != uint32(0):
        x &= x - uint32(1)
    return x


@intrinsic
def equal_to_best(typing_context, spec, array, row):
    """Bits of the elements row … row + n_actions - 1 that equal the largest of them, as uint32; 0 where that is NaN."""

    def codegen(context, builder, signature, args):
        n = min(spec.n_actions, 32)
        pointer = builder.gep(part(context, builder, signature.args[1], args[1], "data"), [args[2]])
        vector = ir.VectorType(ELEMENTS[ELEMENT_OF_DTYPE[array.dtype]], n)
        values = builder.load(builder.bitcast(pointer, vector.as_pointer()))
        values.align = array.dtype.bitwidth // 8
        best, step = values, 1
        while step < n:  # each lane knows the largest of twice as many, going round
            turned = shuffle(builder, best, None, [(i + step) % n for i in range(n)])
            best = builder.select(builder.fcmp_ordered(">", best, turned), best, turned)
            step *= 2
        bits = builder.bitcast(builder.fcmp_ordered("==", values, best), ir.IntType(n))
        return bits if n == 32 else builder.zext(bits, I32)

    return types.uint32(spec, array, types.intp), codegen


class Compared(NamedTuple):
    """What `distances` reads and writes, for n agents.  All flat."""

    q: _Array  # (n * pairs)
    group: _Array  # int64 (n): which of the groups' truths an agent is compared with
    truth: _Array  # float64 (groups * pairs)
    weight: _Array  # float64 (groups * pairs): pairs of weight 0 do not count, whatever they hold
    largest: _Array  # float64 (n): the largest absolute difference
    squares: _Array  # float64 (n): the sum of weight * difference**2
    lanes: _Array  # float64 (2 * width): scratch memory


@kernel
def distances(spec, compared):
    """Compare each agent's Q with the truth of its group; of the spec's choices, `width` counts."""
    compared = flatten(spec, compared)
    W, n = spec.width, compared.group.size
    pairs = compared.q.size // max(n, 1)
    whole = pairs // W * W
    for agent in range(n):
        own, true = agent * pairs, compared.group[agent] * pairs
        top, total = full(spec, compared.lanes, 0.0), full(spec, compared.lanes, 0.0)
        for i in range(0, whole, W):
            share = load(spec, compared.weight, true + i)
            q = as_real(compared.truth, load(spec, compared.q, own + i))
            apart = where(share > 0.0, q - load(spec, compared.truth, true + i), 0.0)
            total = total + share * (apart * apart)
            apart = where(apart < 0.0, 0.0 - apart, apart)
            top = where(apart > top, apart, top)
        store(spec, compared.lanes, 0, top)
        store(spec, compared.lanes, W, total)
        highest, added = 0.0, 0.0
        for i in range(W):
            highest = max(highest, compared.lanes[i])
            added += compared.lanes[W + i]
        for i in range(whole, pairs):
            if compared.weight[true + i] > 0.0:
                difference = abs(float64(compared.q[own + i]) - compared.truth[true + i])
                highest = max(highest, difference)
                added += compared.weight[true + i] * (difference * difference)
        compared.largest[agent] = np.nan if np.isnan(added) else highest
        compared.squares[agent] = added


class Program(NamedTuple):
    """How to eliminate the D states of a problem in the order of their numbers.  All flat.

    `pair` is d * n_actions + a; an entry is a place (i, j) of M that can be positive under some policy.
    """

    row_first: _Array  # int64 (D + 1): the states that can directly follow d, and their entries
    row_column: _Array  # int32
    row_entry: _Array  # int32
    way_first: _Array  # int64 (len(row_entry) + 1): the actions that lead there, and how probably
    way_action: _Array  # int32
    way_probability: _Array  # float64
    diagonal: _Array  # int32 (D)
    below_first: _Array  # int64 (D + 1): the later states that can lead to k by then, and their entries
    below_row: _Array  # int32
    below_entry: _Array  # int32
    right_first: _Array  # int64 (D + 1): the later states that k can lead to by then, and their entries
    right_column: _Array  # int32
    right_entry: _Array  # int32
    fill_first: _Array  # int64 (D + 1)
    fill: _Array  # int32: for each k, each one below, each one to the right: the entry that grows
    gain: _Array  # float64 (gains * pairs): what a pair gives on average
    start: _Array  # int32 (starts)
    start_probability: _Array  # float64 (starts)
    n_entries: int
    n_direct: int  # the entries before it are those of row_entry and diagonal
    n_gains: int
    n_actions: int


class Policies(NamedTuple):
    """Policies to value, m of them, and the memory for it.  All flat."""

    masks: _Array  # unsigned int (n * D * words): bits of the actions taken; 0 in states that are not met
    which: _Array  # int64 (m): the rows of `masks` to do
    gamma: _Array  # float64 (m): their discounts
    at_start: _Array  # float64 (gains * m): the values, all of the first gain first
    flagged: _Array  # uint8 (m): 1 where some state is never left, or hardly: the values are worthless
    bits: _Array  # uint32 (D * words * width): scratch memory
    share: _Array  # float64 (n_actions * width): scratch memory
    matrix: _Array  # float64 (n_entries * width): scratch memory
    right: _Array  # float64 (3 * gains * D * width): scratch memory


@kernel
def value_policies(spec, program, policies):
    """Compute what policies are worth from the start: their `at_start` and `flagged`.

    Problems differ in the program only: of the spec's choices, `width` counts alone.  Actions that a policy takes in
    the same state have equal probability; states without an action end the episode.
    """
    program, policies = flatten(spec, program), flatten(spec, policies)
    matrix, right = policies.matrix, policies.right
    W, m, gains = spec.width, policies.which.size, program.n_gains
    D = program.diagonal.size
    for begin in range(0, m, W):
        assemble(spec, program, policies, begin)
        stuck = full(spec, matrix, 0.0) > 0.0
        for k in range(D):
            place = program.diagonal[k] * W
            leaves = 1.0 - load(spec, matrix, place)
            stuck = stuck | (leaves < SMALLEST_EXIT)
            again = 1.0 / where(leaves < SMALLEST_EXIT, 1.0, leaves)
            store(spec, matrix, place, again)
            fill = program.fill_first[k]
            for b in range(program.below_first[k], program.below_first[k + 1]):
                factor = load(spec, matrix, program.below_entry[b] * W) * again
                for r in range(program.right_first[k], program.right_first[k + 1]):
                    place = program.fill[fill] * W
                    more = factor * load(spec, matrix, program.right_entry[r] * W)
                    store(spec, matrix, place, load(spec, matrix, place) + more)
                    fill += 1
                for g in range(gains):
                    place = (g * D + program.below_row[b]) * W
                    store(spec, right, place, load(spec, right, place) + factor * load(spec, right, (g * D + k) * W))
        for k in range(D - 1, -1, -1):
            again = load(spec, matrix, program.diagonal[k] * W)
            for g in range(gains):
                place = (g * D + k) * W
                value = load(spec, right, place)
                for r in range(program.right_first[k], program.right_first[k + 1]):
                    later = load(spec, right, (g * D + program.right_column[r]) * W)
                    value = value + load(spec, matrix, program.right_entry[r] * W) * later
                store(spec, right, place, value * again)
        stuck_lanes = lanes_set(stuck)
        for lane in range(min(W, m - begin)):
            policies.flagged[begin + lane] = (stuck_lanes >> uint64(lane)) & uint64(1)
        read_starts(spec, program, policies, begin)


@kernel
def follow_policies(spec, program, policies, limit):
    """Compute what policies give in the first `limit` steps from the start: their `at_start`.

    With h steps left, v_h = b + M v_(h-1), and v_0 = 0.
    """
    program, policies = flatten(spec, program), flatten(spec, policies)
    matrix, right = policies.matrix, policies.right
    W, m, gains = spec.width, policies.which.size, program.n_gains
    D = program.diagonal.size
    kept, value, size = 0, gains * D * W, gains * D * W  # in `right`: what a step gives, v_(h-1), v_h
    for begin in range(0, m, W):
        assemble(spec, program, policies, begin)
        for i in range(value, value + size):
            right[i] = 0.0
        for step in range(limit):
            after = 3 * size - value  # the other one of the two
            same = full(spec, matrix, 0.0) == 0.0
            for d in range(D):
                for g in range(gains):
                    total = load(spec, right, kept + (g * D + d) * W)
                    for e in range(program.row_first[d], program.row_first[d + 1]):
                        onward = load(spec, right, value + (g * D + program.row_column[e]) * W)
                        total = total + load(spec, matrix, program.row_entry[e] * W) * onward
                    same = same & (total == load(spec, right, value + (g * D + d) * W))
                    store(spec, right, after + (g * D + d) * W, total)
            value = after
            if step % _CHECK == 0 and lanes_set(~same) == uint64(0):
                break
        for i in range(size):
            right[i] = right[value + i]
        value = size
        read_starts(spec, program, policies, begin)


@inlined
def assemble(spec, program, policies, begin):
    """Fill M and b for the policies which[begin], … of one group of lanes; idle lanes repeat the last policy."""
    W, A = spec.width, program.n_actions
    words = (A + 31) // 32
    D = program.diagonal.size
    matrix, right, share = policies.matrix, policies.right, policies.share
    for lane in range(W):
        policy = min(begin + lane, policies.which.size - 1)
        right[lane] = policies.gamma[policy]
        first = policies.which[policy] * D * words
        for i in range(D * words):
            policies.bits[i * W + lane] = policies.masks[first + i]
    discount = load(spec, right, 0)
    zero = full(spec, matrix, 0.0)
    for e in range(program.n_direct, program.n_entries):
        store(spec, matrix, e * W, zero)
    for d in range(D):
        count = zero
        for a in range(A):
            count = count + where(taken(spec, policies, d * words, a), 1.0, zero)
        each = 1.0 / where(count > 0.0, count, 1.0)
        for a in range(A):
            store(spec, share, a * W, where(taken(spec, policies, d * words, a), each, 0.0))
        for g in range(program.n_gains):
            total = zero
            for a in range(A):
                total = total + load(spec, share, a * W) * program.gain[(g * D + d) * A + a]
            store(spec, right, (g * D + d) * W, total)
        for e in range(program.row_first[d], program.row_first[d + 1]):
            total = zero
            for i in range(program.way_first[e], program.way_first[e + 1]):
                total = total + load(spec, share, program.way_action[i] * W) * program.way_probability[i]
            store(spec, matrix, program.row_entry[e] * W, total * discount)


@inlined
def taken(spec, policies, first, a):
    """The lanes whose policy takes action a, by the words of bits from `first` on."""
    word = load(spec, policies.bits, (first + a // 32) * spec.width)
    return ((word >> uint32(a % 32)) & uint32(1)) != uint32(0)


@inlined
def read_starts(spec, program, policies, begin):
    """Average the values over the start distribution, for the lanes of one group."""
    W, m, right, scratch = spec.width, policies.which.size, policies.right, policies.matrix
    D = program.diagonal.size
    for g in range(program.n_gains):
        total = full(spec, right, 0.0)
        for i in range(program.start.size):
            total = total + load(spec, right, (g * D + program.start[i]) * W) * program.start_probability[i]
        store(spec, scratch, 0, total)
        for lane in range(min(W, m - begin)):
            policies.at_start[g * m + begin + lane] = scratch[lane]

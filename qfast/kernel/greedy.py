"""What agents do greedily where it matters, and how far their values are from the truth."""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import float64, types, uint32, uint64
from numba.extending import intrinsic

from qfast.kernel.flat import flatten, part
from qfast.kernel.jit import inlined, kernel
from qfast.kernel.lanes import ELEMENT_OF_DTYPE, ELEMENTS, I32, as_real, first_lane, full, shuffle, where
from qfast.kernel.memory import load, store

__all__ = ["FIRST", "LAST", "RANDOM", "Acting", "Compared", "Seen", "behaviours", "distances"]

RANDOM, FIRST, LAST = 0, 1, 2  # which of several greedy actions an agent takes

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
    """Find what each agent does greedily in the states that it meets.

    Parameters
    ----------
    spec : Spec
        Of its choices, `n_actions` counts.
    acting : Acting
    seen : Seen
        Its `masks`, `is_optimal` and `changed` are written.
    ties : {RANDOM, FIRST, LAST}
    """
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

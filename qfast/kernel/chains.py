"""Exact values of Markov chains: many policies of one problem at a time, one a lane.

The chain of a policy is solved by eliminating one state after the other (Kemeny & Snell 1960, section 6.1).  Without
state k, whoever would have entered it goes on to where it leads:

    M[i, j] += M[i, k] M[k, j] / (1 - M[k, k])        b[i] += M[i, k] b[k] / (1 - M[k, k])

with M = gamma P and b what a step gives.  These are sums of products of positive numbers, so there is no pivoting and
hardly any rounding; and which entries of M can become positive is known beforehand, for all policies alike.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import uint32, uint64

from qfast.kernel.flat import flatten
from qfast.kernel.jit import inlined, kernel
from qfast.kernel.lanes import full, lanes_set, where
from qfast.kernel.memory import load, store

__all__ = ["SMALLEST_EXIT", "Policies", "Program", "follow_policies", "value_policies"]

#: A state that is left with a smaller probability is not eliminated but flagged: rounding could no longer tell a very
#: long loop from one without end.
SMALLEST_EXIT = 1e-9

_CHECK = 32  # steps between two looks at whether anything still changes

_Array = np.ndarray[Any, Any]


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

    Of the spec's choices, `width` counts alone: problems differ in the program only, and one compilation does for all
    with as many words of actions.  Actions that a policy takes in the same state have equal
    probability; states without an action end the episode.
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

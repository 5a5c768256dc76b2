"""Running summaries of a block's records over its agents, an episode at a time."""

import numpy as np
from numba import njit

from qfast.kernel.jit import KERNEL

NO_SLOT = -1


@njit(**KERNEL)
def add_moments(values, mean, squares):
    """Mean and sum of squared deviations over the agents (rows) of `values` (n, episodes), into float64 (episodes,).

    Rows are added one after the other, whatever the machine: LLVM may take several episodes at once, never several
    agents, so that the bits depend on the agents alone.
    """
    n, episodes = values.shape
    mean[:] = 0
    squares[:] = 0
    for agent in range(n):
        for e in range(episodes):
            mean[e] += np.float64(values[agent, e])
    for e in range(episodes):
        mean[e] /= n
    for agent in range(n):
        for e in range(episodes):
            deviation = np.float64(values[agent, e]) - mean[e]
            squares[e] += deviation * deviation


@njit(**KERNEL)
def extremes(values, low, high):
    """Minimum and maximum over the agents (rows), together with what `low` and `high` hold."""
    for agent in range(values.shape[0]):
        for e in range(values.shape[1]):
            low[e] = min(low[e], values[agent, e])
            high[e] = max(high[e], values[agent, e])


@njit(**KERNEL)
def count_values(values, row, bits, at, slot_of, n_slots, counts):
    """Count values (n, episodes) by the upper 16 bits of their float32 form, from the `at`-th on.

    A bin holds the values that share those bits: 8 significant ones, so that a bin is at most 0.8 % wide and whole
    numbers up to 256 are alone in theirs.  `slot_of` (65536,) maps bins to rows of `counts` (slots, episodes); a bin
    met for the first time gets the next row.  `row` (episodes,) float32 is scratch memory and `bits` its view as
    uint32.  Returns how far it came, which is less than all when a new bin finds no row left, and the rows in use.
    """
    n, episodes = values.shape
    agent, e = at // episodes, at % episodes
    while agent < n:
        for x in range(episodes):
            row[x] = np.float32(values[agent, x])
        while e < episodes:
            box = bits[e] >> np.uint32(16)
            slot = slot_of[box]
            if slot == NO_SLOT:
                if n_slots == counts.shape[0]:
                    return agent * episodes + e, n_slots
                slot = n_slots
                slot_of[box] = slot
                n_slots += 1
            counts[slot, e] += np.uint32(1)
            e += 1
        agent, e = agent + 1, 0
    return n * episodes, n_slots


@njit(**KERNEL)
def add_rows(values, begin, totals):
    """Add to `totals` (n,) float64 the sums of the rows of `values` (n, episodes) from column `begin` on.

    Eight partial sums run side by side and are added in a fixed order: a chain of dependent additions would take four
    cycles a value, and the bits are the same whether LLVM makes a vector of them or not.
    """
    n, episodes = values.shape
    whole = begin + (episodes - begin) // 8 * 8
    for agent in range(n):
        s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for e in range(begin, whole, 8):
            s0 += values[agent, e]
            s1 += values[agent, e + 1]
            s2 += values[agent, e + 2]
            s3 += values[agent, e + 3]
            s4 += values[agent, e + 4]
            s5 += values[agent, e + 5]
            s6 += values[agent, e + 6]
            s7 += values[agent, e + 7]
        for e in range(whole, episodes):
            s0 += values[agent, e]
        totals[agent] += ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))


@njit(**KERNEL)
def shifted_moments(values, mean, squares):
    """Like `add_moments`, in one pass: sums of differences from the first agent's value, and of their squares.

    The differences are small where the spread is, so that little is lost to rounding.
    """
    n, episodes = values.shape
    mean[:] = 0
    squares[:] = 0
    for agent in range(1, n):
        for e in range(episodes):
            deviation = np.float64(values[agent, e]) - np.float64(values[0, e])
            mean[e] += deviation
            squares[e] += deviation * deviation
    for e in range(episodes):
        squares[e] = max(squares[e] - mean[e] * mean[e] / n, 0.0)
        mean[e] = np.float64(values[0, e]) + mean[e] / n

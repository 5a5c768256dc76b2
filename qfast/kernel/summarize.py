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
def add_rows(values, begin, at, sums):
    """Add the rows of `values` (n, episodes) from column `begin` on to `sums` (n, 8); column 0 is episode `at`.

    Episode e goes to sum e % 8, so that the eight sums depend on the values alone, not on the stretches in which they
    came.  A single sum would be a chain of dependent additions, four cycles a value.
    """
    n, episodes = values.shape
    lead = min(begin + (-(at + begin)) % 8, episodes)
    whole = lead + (episodes - lead) // 8 * 8
    for agent in range(n):
        for e in range(begin, lead):
            sums[agent, (at + e) % 8] += values[agent, e]
        s0, s1, s2, s3 = sums[agent, 0], sums[agent, 1], sums[agent, 2], sums[agent, 3]
        s4, s5, s6, s7 = sums[agent, 4], sums[agent, 5], sums[agent, 6], sums[agent, 7]
        for e in range(lead, whole, 8):
            s0 += values[agent, e]
            s1 += values[agent, e + 1]
            s2 += values[agent, e + 2]
            s3 += values[agent, e + 3]
            s4 += values[agent, e + 4]
            s5 += values[agent, e + 5]
            s6 += values[agent, e + 6]
            s7 += values[agent, e + 7]
        sums[agent, 0], sums[agent, 1], sums[agent, 2], sums[agent, 3] = s0, s1, s2, s3
        sums[agent, 4], sums[agent, 5], sums[agent, 6], sums[agent, 7] = s4, s5, s6, s7
        for e in range(whole, episodes):
            sums[agent, (at + e) % 8] += values[agent, e]


@njit(**KERNEL)
def leaf_moments(values, leaf, mean, squares):
    """Like `add_moments`, for each `leaf` agents in a row: into `mean` and `squares` (leaves, episodes).

    One pass: sums of differences from the leaf's first agent, and of their squares.  The differences are small where
    the spread is, so that little is lost to rounding.
    """
    n, episodes = values.shape
    for first in range(0, n, leaf):
        i, end = first // leaf, min(first + leaf, n)
        for e in range(episodes):
            mean[i, e] = 0
            squares[i, e] = 0
        for agent in range(first + 1, end):
            for e in range(episodes):
                deviation = np.float64(values[agent, e]) - np.float64(values[first, e])
                mean[i, e] += deviation
                squares[i, e] += deviation * deviation
        count = end - first
        for e in range(episodes):
            squares[i, e] = max(squares[i, e] - mean[i, e] * mean[i, e] / count, 0.0)
            mean[i, e] = np.float64(values[first, e]) + mean[i, e] / count


@njit(**KERNEL)
def select_ranks(bits, ranks, counts, keys, out):
    """For each row of `bits` (K, n), float32 as uint32, the values at `ranks` (R,) in increasing order, exactly.

    Into `out` (R, K), as bits again.  A value's key is its bits, turned so that keys have the values' order.  The upper
    halves of the keys are counted, in `counts` (65536,), which are and end as 0; what is in the box of a rank goes to
    `keys` (n,), and is told apart a byte at a time.  Sorting takes ten times as long.
    """
    sign = np.uint32(0x80000000)
    n = bits.shape[1]
    for k in range(bits.shape[0]):
        first, last = 65535, 0
        for i in range(n):
            key = bits[k, i]
            key = ~key if key & sign else key | sign
            box = np.intp(key >> np.uint32(16))
            counts[box] += 1
            first, last = min(first, box), max(last, box)
        box, before, known, m = first, 0, -1, 0
        for r in range(ranks.shape[0]):
            while before + counts[box] <= ranks[r]:
                before += counts[box]
                box += 1
            if box != known:
                m = 0
                for i in range(n):
                    key = bits[k, i]
                    key = ~key if key & sign else key | sign
                    keys[m] = key
                    m += np.intp(key >> np.uint32(16)) == box
                known = box
            key = nth(keys, m, ranks[r] - before)
            out[r, k] = key & ~sign if key & sign else ~key
        for box in range(first, last + 1):
            counts[box] = 0


@njit(**KERNEL)
def nth(keys, m, rank):
    """The key at `rank` in increasing order among the first m, which agree in their upper halves."""
    least = most = keys[0]
    for i in range(m):
        least, most = min(least, keys[i]), max(most, keys[i])
    if least == most:  # whole numbers up to 256 are alone in their box
        return least
    prefix = least >> np.uint32(16)
    for shift in (8, 0):
        # The smallest byte such that enough keys have it or a smaller one: by bisection, eight short passes.
        low, high = np.uint32(0), np.uint32(255)
        while low < high:
            middle = (low + high) >> np.uint32(1)
            limit = (prefix << np.uint32(8)) | middle
            below = np.intp(0)
            for i in range(m):
                below += (keys[i] >> np.uint32(shift)) <= limit
            if below > rank:
                high = middle
            else:
                low = middle + np.uint32(1)
        prefix = (prefix << np.uint32(8)) | low
    return prefix

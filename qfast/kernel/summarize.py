"""Running summaries of a block's records over its agents, an episode at a time."""

from typing import Any, NamedTuple

import numpy as np
from numba import float64

from qfast.kernel.jit import kernel
from qfast.kernel.lanes import as_real, full
from qfast.kernel.memory import flatten, load, store
from qfast.kernel.spec import Shape

NO_SLOT = -1


@kernel
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


@kernel
def extremes(values, low, high):
    """Minimum and maximum over the agents (rows), together with what `low` and `high` hold."""
    for agent in range(values.shape[0]):
        for e in range(values.shape[1]):
            low[e] = min(low[e], values[agent, e])
            high[e] = max(high[e], values[agent, e])


@kernel
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


@kernel
def count_boxes(boxes, dropped, slot_of, counts):
    """Count values (n, episodes) that are the upper 16 bits already, without the lowest `dropped` of those.

    `slot_of` (65536,) maps every bin that is met to a row of `counts` (slots, episodes).
    """
    for agent in range(boxes.shape[0]):
        for e in range(boxes.shape[1]):
            counts[slot_of[boxes[agent, e] >> dropped << dropped], e] += np.uint16(1)


#: What the sums over records are compiled for: values side by side in a vector.
SIDE_BY_SIDE = Shape(n_actions=1, lanes=16, width=16)


class Records(NamedTuple):
    """A block's records of a stretch of episodes, and what they are summed up into.  All flat."""

    values: Any  # float32 or float64 (n * episodes)
    totals: Any  # float64 (n): sums over episodes are added to it
    mean: Any  # float64 (leaves * episodes): over the agents of each leaf; () where it is not wanted
    squares: Any  # the same: sum of squared deviations
    lanes: Any  # float64 (width): scratch memory


@kernel
def add_rows(spec, records, episodes, begin):
    """Add to `totals` each agent's records from column `begin` on.

    Sixteen sums run side by side, in a vector, and are added in a fixed order: a single one would be a chain of
    dependent additions, four cycles a value.
    """
    records = flatten(spec, records)
    values, lanes, W = records.values, records.lanes, spec.width
    whole = begin + (episodes - begin) // W * W
    for agent in range(records.totals.size):
        row, rest = agent * episodes, 0.0
        total = full(spec, lanes, 0.0)
        for e in range(begin, whole, W):
            total = total + as_real(lanes, load(spec, values, row + e))
        for e in range(whole, episodes):
            rest += values[row + e]
        store(spec, lanes, 0, total)
        half = W // 2
        while half > 0:
            for i in range(half):
                lanes[i] += lanes[i + half]
            half //= 2
        records.totals[agent] += lanes[0] + rest


@kernel
def leaf_moments(spec, records, episodes, leaf):
    """Like `add_moments`, for each `leaf` agents in a row: into `mean` and `squares`.

    One pass: sums of differences from the leaf's first agent, and of their squares.  The differences are small where
    the spread is, so that little is lost to rounding.  Each lane is an episode; agents are added one by one.
    """
    records = flatten(spec, records)
    values, lanes, W = records.values, records.lanes, spec.width
    n, whole = records.totals.size, episodes // W * W
    for first in range(0, n, leaf):
        row, end = first // leaf * episodes, min(first + leaf, n)
        for e in range(0, whole, W):
            origin = as_real(lanes, load(spec, values, first * episodes + e))
            total = full(spec, lanes, 0.0)
            squares = total
            for agent in range(first + 1, end):
                deviation = as_real(lanes, load(spec, values, agent * episodes + e)) - origin
                total = total + deviation
                squares = squares + deviation * deviation
            mean = total / float64(end - first)
            store(spec, records.mean, row + e, mean + origin)
            store(spec, records.squares, row + e, squares - total * mean)
        for e in range(whole, episodes):
            start, sum_, squares_ = float64(values[first * episodes + e]), 0.0, 0.0
            for agent in range(first + 1, end):
                difference = float64(values[agent * episodes + e]) - start
                sum_ += difference
                squares_ += difference * difference
            average = sum_ / float64(end - first)
            records.mean[row + e] = average + start
            records.squares[row + e] = squares_ - sum_ * average
        for i in range(row, row + episodes):
            records.squares[i] = max(records.squares[i], 0.0)


@kernel
def combine_leaves(mean, squares, n):
    """Combine the moments of 2 * k stretches (2 * k, episodes) of n agents each into those of k, in the first k rows.

    Bit for bit what `qfast.engine.moments.combine_moments` does with two of them.
    """
    episodes = mean.shape[1]
    share, weight = n / (n + n), n * n / (n + n)
    for i in range(mean.shape[0] // 2):
        for e in range(episodes):
            delta = mean[2 * i + 1, e] - mean[2 * i, e]
            between = delta * delta * weight
            mean[i, e] = mean[2 * i, e] + delta * share
            squares[i, e] = squares[2 * i, e] + squares[2 * i + 1, e] + between


@kernel
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


@kernel
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

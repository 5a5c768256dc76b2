"""Exact distributions of sums: populations whose scores are multiples of one step.

Returns of tabular problems usually are: a sum of few different rewards.  Then the mean of k seeds has
finitely many values, its distribution is the k-fold convolution of the population's, and a question about
it needs no simulation.  Ties between means are exact too, which sums of floats are not.
"""

from collections.abc import Sequence
from math import comb

import numpy as np

from qfast.stats._check import Floats, Ints

__all__ = ["compositions", "find_lattice", "mass", "sum_mass"]

# A step finer than this part of the range is taken for rounding, not for a lattice.
_MOST_STEPS = 2**16
_TOLERANCE = 1e-9
# Neighbours that differ by less of their size differ by the rounding of sums of some hundred rewards.
_ROUNDING = 1e-13


def find_lattice(populations: Sequence[Floats]) -> list[Ints] | None:
    """Write all scores as whole multiples of one common step above the smallest, or None if there is none.

    The step is the greatest common divisor of the differences, found by Euclid's algorithm on floats.  The
    zero point is common to all populations, so that indices of different ones may be subtracted.
    """
    values = np.unique(np.concatenate(populations))
    if values.size > _MOST_STEPS:
        return None
    low, extent = values[0], float(values[-1] - values[0])
    if extent == 0.0:
        return [np.zeros(x.size, dtype=np.int64) for x in populations]
    # What is rounding, 0.1 + 0.2 against 0.3, is judged by the two values themselves: one far outlier makes no
    # rounding of the differences between others.
    gaps = np.diff(values)
    rounding = gaps <= _ROUNDING * np.maximum(np.abs(values[1:]), np.abs(values[:-1]))
    if rounding.all():
        return None
    tolerance = max(_TOLERANCE * extent, 4 * np.finfo(np.float64).eps * float(np.abs(values).max()))
    if gaps[~rounding].min() <= 1e3 * tolerance:
        return None
    differences = values - low
    differences = differences[differences > tolerance]
    step = float(differences[0])
    while True:
        if extent > _MOST_STEPS * step or step < 1e3 * tolerance:
            return None
        rest = np.abs(differences - step * np.rint(differences / step))
        rest = rest[rest > tolerance]
        if rest.size == 0:
            break
        step = float(rest.min())
    # The last difference holds the step with the smallest relative error.
    step = extent / round(extent / step)
    return [np.rint((x - low) / step).astype(np.int64) for x in populations]


def mass(indices: Ints, n_cells: int) -> Floats:
    """Share of agents at each lattice point, (n_cells,)."""
    return np.bincount(indices, minlength=n_cells) / indices.size


def sum_mass(p: Floats, k: int) -> Floats:
    """Probability mass of the sum of k independent draws from mass p, (k (len(p) - 1) + 1,), by FFT.

    The absolute error is a few times k times the machine's epsilon; negative rounding is set to 0.
    """
    n_cells = k * (p.size - 1) + 1
    # A power of two: the transform is fastest and its rounding smallest.
    n_fft = 1 << (n_cells - 1).bit_length()
    return np.maximum(np.fft.irfft(np.fft.rfft(p, n_fft) ** k, n_fft)[:n_cells], 0.0) if n_cells > 1 else np.ones(1)


def n_compositions(k: int, n_values: int) -> int:
    """In how many ways k draws can fall on n_values values, order left aside."""
    return comb(k + n_values - 1, n_values - 1)


def compositions(k: int, n_values: int) -> Ints:
    """All ways in which k draws can fall on n_values values, (n_compositions, n_values) counts."""
    rows = np.zeros((1, 0), dtype=np.int64)
    left = np.array([k], dtype=np.int64)
    for _ in range(n_values - 1):
        times = left + 1
        starts = np.repeat(np.cumsum(times) - times, times)
        taken = np.arange(times.sum()) - starts
        rows = np.column_stack([np.repeat(rows, times, axis=0), taken])
        left = np.repeat(left, times) - taken
    return np.column_stack([rows, left])

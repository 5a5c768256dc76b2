"""A small experiment of k seeds, drawn from populations that were run with many: listed, summed up exactly, resampled.

Returns of tabular problems usually are multiples of one step.  Then the mean of k seeds has finitely many values, its
distribution is the k-fold convolution of the population's, and a question about it needs no simulation.  Ties between
means are exact too, which sums of floats are not.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from qfast.stats._check import Floats, Ints, special
from qfast.stats.sizes import p_without_spread

__all__ = [
    "Sample",
    "compositions",
    "convolve",
    "edgeworth_below_zero",
    "enumerate_samples",
    "find_lattice",
    "mass",
    "resample",
    "resample_means",
    "sum_mass",
    "verdict",
]

# A step finer than this part of the range is taken for rounding, not for a lattice.
_MOST_STEPS = 2**16
_TOLERANCE = 1e-9
# Neighbours that differ by less of their size differ by the rounding of sums of some hundred rewards.
_ROUNDING = 1e-13
# Numbers held at once by a resampling, to keep its memory at some tens of megabytes.
_CHUNK = 2**21


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
    """Probability mass of the sum of k independent draws from mass p, (k (len(p) - 1) + 1,).

    By FFT: the absolute error is a few times k times the machine's epsilon; negative rounding is set to 0.
    """
    n_cells = k * (p.size - 1) + 1
    n_fft = _fft_size(n_cells)
    return np.maximum(np.fft.irfft(np.fft.rfft(p, n_fft) ** k, n_fft)[:n_cells], 0.0) if n_cells > 1 else np.ones(1)


def convolve(p: Floats, q: Floats) -> Floats:
    """Probability mass of the sum of one draw from each of two masses, (len(p) + len(q) - 1,)."""
    if min(p.size, q.size) < 64:
        return np.convolve(p, q)
    n_cells = p.size + q.size - 1
    n_fft = _fft_size(n_cells)
    return np.maximum(np.fft.irfft(np.fft.rfft(p, n_fft) * np.fft.rfft(q, n_fft), n_fft)[:n_cells], 0.0)


def _fft_size(n_cells: int) -> int:
    """A power of two: the transform is fastest and its rounding smallest."""
    return 1 << (n_cells - 1).bit_length()


def compositions(k: int, n_values: int) -> Ints:
    """All ways in which k draws can fall on n_values values, (n_ways, n_values) counts."""
    rows = np.zeros((1, 0), dtype=np.int64)
    left = np.array([k], dtype=np.int64)
    for _ in range(n_values - 1):
        times = left + 1
        starts = np.repeat(np.cumsum(times) - times, times)
        taken = np.arange(times.sum()) - starts
        rows = np.column_stack([np.repeat(rows, times, axis=0), taken])
        left = np.repeat(left, times) - taken
    return np.column_stack([rows, left])


class Sample(NamedTuple):
    """Mean and standard deviation of k seeds, for many experiments, and the probability of each."""

    mean: Floats
    std: Floats
    probability: Floats


def verdict(difference: Floats, a: Floats, b: Floats | None, k: int, alpha: float) -> Ints:
    """Sign of a significant difference of means, 0 where the t-test at alpha finds none.

    ``a`` and ``b`` are the standard deviations of k seeds each (Welch's test); without ``b``, ``a`` is that
    of k differences (paired test).  Where no seed differs from another, a t-test knows nothing (SciPy's says p = 0);
    then the exact test decides: it takes four seeds of each (six pairs) at 5 %.
    """
    if k == 1:
        return np.zeros(difference.shape, dtype=np.int64)
    flat = p_without_spread(k, paired=b is None) < alpha
    variances = (a**2, a * 0.0) if b is None else (a**2, b**2)
    total = variances[0] + variances[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(difference) / np.sqrt(total / k)
        freedom = k - 1 if b is None else (k - 1) * total**2 / (variances[0] ** 2 + variances[1] ** 2)
        significant = np.where(total > 0, 2 * special.stdtr(freedom, -t) < alpha, flat & (difference != 0))
    return np.where(significant, np.sign(difference), 0).astype(np.int64)


def enumerate_samples(populations: list[Floats], k: int, most: int) -> list[Sample] | None:
    """Every experiment of k seeds from each population with its probability.

    None if there are more than ``most`` joint experiments, or the listing of one population is larger.
    """
    counted = [np.unique(x, return_counts=True) for x in populations]
    sizes = [math.comb(k + values.size - 1, k) if values.size <= most else most + 1 for values, _ in counted]
    if math.prod(sizes) > most or max(n * values.size for n, (values, _) in zip(sizes, counted, strict=True)) > most:
        return None
    return [_enumerate(values, counts / counts.sum(), k) for values, counts in counted]


def _enumerate(values: Floats, share: Floats, k: int) -> Sample:
    rows = compositions(k, values.size)
    mean = rows @ values / k
    # Two passes: the square of the mean would cancel against the mean of squares.
    square = (rows * (values - mean[:, None]) ** 2).sum(axis=1)
    # All k seeds on one value have no spread, whatever rounding says.
    flat = rows.max(axis=1) == k
    std = np.where(flat, 0.0, np.sqrt(square / max(k - 1, 1)))
    mean = np.where(flat, values[rows.argmax(axis=1)], mean)
    log_p = special.gammaln(k + 1) - special.gammaln(rows + 1).sum(axis=1) + rows @ np.log(share)
    return Sample(mean, std, np.exp(log_p))


def resample(
    populations: list[Floats], k: Ints, *, paired: bool, n_resamples: int, rng: np.random.Generator
) -> Iterator[list[list[tuple[Floats, Floats]]]]:
    """Chunks of experiments: for each k (ascending), for each population, (mean, std) of the first k seeds drawn.

    One experiment draws max(k) seeds with replacement and is cut to its first k, so that a curve over k
    is smooth; paired populations draw the same agents.
    """
    centres = [_central_score(x) for x in populations]
    for drawn in _draw(populations, int(k.max()), paired=paired, n_resamples=n_resamples, rng=rng):
        found = [_means_and_spreads(d, k, centre) for d, centre in zip(drawn, centres, strict=True)]
        yield [[(mean[:, i], std[:, i]) for mean, std in found] for i in range(k.size)]


def _central_score(scores: Floats) -> float:
    """The score nearest to the mean: a score, so that whole numbers stay whole when it is subtracted."""
    return float(scores[np.argmin(np.abs(scores - scores.mean()))])


def _means_and_spreads(drawn: Floats, k: Ints, centre: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the first k of each row, (experiment, n_k), for ascending k.

    Sums run on from one k to the next.  Squares are taken about a central score of the population: what cancels is
    about 1e-8 of the population's spread, and seeds that are all equal are seen by their extremes.
    """
    starts = np.concatenate([[0], k[:-1]])
    about = drawn - centre
    first = np.cumsum(np.add.reduceat(about, starts, axis=1), axis=1)
    second = np.cumsum(np.add.reduceat(about**2, starts, axis=1), axis=1)
    low = np.minimum.accumulate(np.minimum.reduceat(drawn, starts, axis=1), axis=1)
    high = np.maximum.accumulate(np.maximum.reduceat(drawn, starts, axis=1), axis=1)
    flat = low == high
    mean = np.where(flat, low, centre + first / k)
    variance = np.maximum(second - first**2 / k, 0.0) / np.maximum(k - 1, 1)
    return mean, np.where(flat, 0.0, np.sqrt(variance))


def resample_means(
    populations: list[Floats], k: Ints, *, paired: bool, n_resamples: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """Chunks of the same experiments: their means alone, (population, experiment, n_k), for ascending k.

    Every seed is added once, whatever the number of k, and one population is drawn at a time.
    """
    starts = np.concatenate([[0], k[:-1]])
    for drawn in _draw(populations, int(k.max()), paired=paired, n_resamples=n_resamples, rng=rng):
        yield np.stack([np.cumsum(np.add.reduceat(d, starts, axis=1), axis=1) / k for d in drawn])


def _draw(
    populations: list[Floats], most: int, *, paired: bool, n_resamples: int, rng: np.random.Generator
) -> Iterator[Iterator[Floats]]:
    """Chunks of experiments: of each population in turn the scores drawn, (experiment, most)."""
    rows = max(1, min(n_resamples, _CHUNK // (most * len(populations))))
    for first in range(0, n_resamples, rows):
        size = (min(rows, n_resamples - first), most)
        if paired:
            agents = rng.integers(populations[0].size, size=size)
            yield (x[agents] for x in populations)
        else:
            yield (x[rng.integers(x.size, size=size)] for x in populations)


def edgeworth_below_zero(mean: float, std: float, skew: float, k: int) -> float:
    """P(mean of k draws < 0) to order 1/sqrt(k): P. Hall, The Bootstrap and Edgeworth Expansion, section 2.2."""
    z = -math.sqrt(k) * mean / std
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    p = float(special.ndtr(z)) - density * skew * (z * z - 1) / (6 * math.sqrt(k))
    return min(max(p, 0.0), 1.0)

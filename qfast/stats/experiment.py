"""A small experiment of k seeds, drawn from populations that were run with many."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from qfast.stats._check import Floats, Ints
from qfast.stats._scipy import special
from qfast.stats.lattice import compositions, n_compositions
from qfast.stats.sizes import p_without_spread

__all__ = ["Sample", "enumerate_samples", "resample", "resample_means", "verdict"]

# Numbers held at once by a resampling, to keep its memory at some tens of megabytes.
_CHUNK = 2**21


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
    sizes = [n_compositions(k, values.size) if values.size <= most else most + 1 for values, _ in counted]
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

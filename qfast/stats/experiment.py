"""A small experiment of k seeds, drawn from populations that were run with many: listed, summed up exactly, resampled.

Returns of tabular problems usually are multiples of one step.  Then the mean of k seeds has finitely many values, its
distribution is the k-fold convolution of the population's, and a question about it needs no simulation.  Ties between
means are exact too, which sums of floats are not.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from qfast.stats._check import Floats, Ints, special, stats
from qfast.stats.scores import third
from qfast.stats.sizes import p_without_spread, standardised_difference, welch_power

__all__ = [
    "MOST_DRAWN", "Finding", "PairExperiments", "compositions", "find_lattice", "mass", "named_by_resampling",
    "named_exactly", "resample", "resample_means", "sum_mass",
]  # fmt: skip

# Limits of the exact ways: lattice points of a sum, pairs of experiments.  Each takes about 0.1 s at most.
MOST_CELLS = 2**20
MOST_PAIRS = 2**18
# Above this many seeds an experiment is no longer drawn seed by seed.
MOST_DRAWN = 1000
# A step finer than this part of the range is taken for rounding, not for a lattice.
_MOST_STEPS = 2**16
_TOLERANCE = 1e-9
# Neighbours that differ by less of their size differ by the rounding of sums of some hundred rewards.
_ROUNDING = 1e-13
# Numbers held at once by a resampling, to keep its memory at some tens of megabytes.
_CHUNK = 2**21


def find_lattice(populations: Sequence[Floats]) -> list[Ints] | None:
    """Write all scores as whole multiples of one step above the smallest of all, or None if there is none.

    The step is the greatest common divisor of the differences, found by Euclid's algorithm on floats.
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
    """Mass of the sum of k independent draws from mass p, (k (len(p) - 1) + 1,), by FFT.

    The absolute error is a few times k times the machine's epsilon; negative rounding is set to 0.
    """
    n_cells = k * (p.size - 1) + 1
    n_fft = _fft_size(n_cells)
    return np.maximum(np.fft.irfft(np.fft.rfft(p, n_fft) ** k, n_fft)[:n_cells], 0.0) if n_cells > 1 else np.ones(1)


def _convolve(p: Floats, q: Floats) -> Floats:
    """Mass of the sum of one draw from each of two masses, (len(p) + len(q) - 1,)."""
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


class _Sample(NamedTuple):
    """Mean and standard deviation of k seeds, for many experiments, and the probability of each."""

    mean: Floats
    std: Floats
    probability: Floats


def _verdict(difference: Floats, a: Floats, b: Floats | None, k: int, alpha: float) -> Ints:
    """Sign of a significant difference of means, 0 where the t-test at alpha finds none.

    ``a`` and ``b`` are the standard deviations of k seeds each (Welch's test); without ``b``, ``a`` is that of k
    differences (paired test).  Where no seed differs from another, the exact test decides: SciPy's t-test says p = 0.
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


def _enumerate_samples(populations: list[Floats], k: int, most: int) -> list[_Sample] | None:
    """Every experiment of k seeds from each population; None where there are more than ``most`` (or the listing is)."""
    counted = [np.unique(x, return_counts=True) for x in populations]
    sizes = [math.comb(k + values.size - 1, k) if values.size <= most else most + 1 for values, _ in counted]
    if math.prod(sizes) > most or max(n * values.size for n, (values, _) in zip(sizes, counted, strict=True)) > most:
        return None
    return [_enumerate(values, counts / counts.sum(), k) for values, counts in counted]


def _enumerate(values: Floats, share: Floats, k: int) -> _Sample:
    rows = compositions(k, values.size)
    mean = rows @ values / k
    # Two passes: the square of the mean would cancel against the mean of squares.
    square = (rows * (values - mean[:, None]) ** 2).sum(axis=1)
    # All k seeds on one value have no spread, whatever rounding says.
    flat = rows.max(axis=1) == k
    std = np.where(flat, 0.0, np.sqrt(square / max(k - 1, 1)))
    mean = np.where(flat, values[rows.argmax(axis=1)], mean)
    log_p = special.gammaln(k + 1) - special.gammaln(rows + 1).sum(axis=1) + rows @ np.log(share)
    return _Sample(mean, std, np.exp(log_p))


def resample(
    populations: list[Floats], k: Ints, *, paired: bool, n_resamples: int, rng: np.random.Generator
) -> Iterator[list[list[tuple[Floats, Floats]]]]:
    """Chunks of experiments: for each k (ascending), for each population, (mean, std) of the first k seeds drawn.

    One experiment draws max(k) seeds with replacement, so that a curve over k is smooth; pairs draw the same agents.
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

    Squares are taken about a central score of the population: what cancels is about 1e-8 of the population's spread.
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
    """Chunks of the same experiments: their means alone, (population, experiment, n_k), one population at a time."""
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


class Finding(NamedTuple):
    """One answer for one k: a probability, one that belongs to it, the standard error of the first, the method."""

    p: float
    q: float
    error: float
    method: str


class PairExperiments:
    """What experiments with k seeds of each of two populations find, ``up`` the better one and higher better."""

    def __init__(self, up: Floats, down: Floats, *, paired: bool, alpha: float) -> None:
        lattice = find_lattice([up, down])
        if lattice is not None:
            # Nothing below depends on the unit; whole numbers have no rounding, so that ties are ties.
            up, down = (i.astype(np.float64) for i in lattice)
        self.up, self.down, self.paired, self.alpha = up, down, paired, alpha
        # All that the tests know of them: the differences of pairs, or both.
        self.populations = [up - down] if paired else [up, down]
        self.effect, self.effect_error = standardised_difference(up, down, paired=paired)
        # Mass of one draw of up minus one of down on the lattice, and the index of a difference of 0.
        self.steps = None if lattice is None else _difference_mass(*lattice, paired=paired)

    def findings(self, k: Ints, n_resamples: int, rng: np.random.Generator) -> tuple[list[Finding], list[Finding]]:
        """Wrong winner (and ties), and missed by the test (and the opposite found), for each k in the best way."""
        wrong = {m: self._wrong_winner(m) for m in k.tolist()}
        missed = {m: self._missed(m) for m in k.tolist()}
        open_k = [m for m in wrong if wrong[m] is None or missed[m] is None]
        drawn = {m: self._many_seeds(m) for m in open_k if m > MOST_DRAWN}
        drawn |= self._resampled(sorted(m for m in open_k if m <= MOST_DRAWN), n_resamples, rng)
        return [wrong[m] or drawn[m][0] for m in k.tolist()], [missed[m] or drawn[m][1] for m in k.tolist()]

    def population_errors(self, k: Ints) -> Floats:
        """Standard errors, (2, n_k), of both, which come from the populations.

        Delta method on the normal limits ndtr(-sqrt(k) effect) and ndtr(critical - sqrt(k) effect).
        """
        root = np.sqrt(k)
        critical = float(stats.norm.isf(self.alpha / 2))
        z = np.stack([root * self.effect, critical - root * self.effect])
        errors = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * root * self.effect_error
        return np.asarray(np.where([[False], [True]] & (k == 1), 0.0, errors))

    def _wrong_winner(self, k: int) -> Finding | None:
        if k == 1:
            wins, ties = self._wins_and_ties()
            return Finding(1 - wins - ties / 2, ties, 0.0, "exact, ranks")
        if self.steps is None or k * self.steps[0].size > MOST_CELLS:
            return None
        p, zero = sum_mass(self.steps[0], k), k * self.steps[1]
        # The zero may lie outside: then every experiment is right (or, with few seeds, wrong).
        tied = float(p[zero]) if 0 <= zero < p.size else 0.0
        below = float(p[: max(zero, 0)].sum())
        return Finding(min(below + tied / 2, 1.0), tied, 0.0, "exact, convolution")

    def _wins_and_ties(self) -> tuple[float, float]:
        if self.paired:
            return float((self.up > self.down).mean()), float((self.up == self.down).mean())
        other = np.sort(self.down)
        below, up_to = (int(np.searchsorted(other, self.up, side).sum()) for side in ("left", "right"))
        pairs = self.up.size * self.down.size
        return below / pairs, (up_to - below) / pairs

    def _missed(self, k: int) -> Finding | None:
        if k == 1:
            return Finding(1.0, 0.0, 0.0, "exact, no test")
        samples = _enumerate_samples(self.populations, k, MOST_PAIRS)
        if samples is None:
            return None
        if self.paired:
            (first,) = samples
            signs, p = _verdict(first.mean, first.std, None, k, self.alpha), first.probability
        else:
            first, second = samples
            gap = first.mean[:, None] - second.mean
            # Spelt out to the shape of all pairs, which the test is made for.
            signs = _verdict(gap, first.std[:, None] + 0 * gap, second.std + 0 * gap, k, self.alpha)
            p = first.probability[:, None] * second.probability
        found, opposite = float(p[signs > 0].sum()), float(p[signs < 0].sum())
        return Finding(max(1 - found, 0.0), opposite, 0.0, "exact, enumeration")

    def _resampled(self, k: list[int], n: int, rng: np.random.Generator) -> dict[int, tuple[Finding, Finding]]:
        """Both answers from n experiments for each of some k, in ascending order."""
        if not k:
            return {}
        # Sums over experiments: wrong winner and its square (a tie counts half), ties, found, opposite.
        sums = np.zeros((len(k), 5))
        for chunk in resample(self.populations, np.array(k), paired=self.paired, n_resamples=n, rng=rng):
            for i, (m, sample) in enumerate(zip(k, chunk, strict=True)):
                gap = sample[0][0] if self.paired else sample[0][0] - sample[1][0]
                # Rounding of the sums, which are as large as the largest score that was drawn.
                size = sum(np.abs(mean) + math.sqrt(m) * std for mean, std in sample)
                ties = np.abs(gap) <= 16 * np.finfo(np.float64).eps * size
                wrong = np.where(ties, 0.5, gap < 0)
                signs = _verdict(gap, sample[0][1], None if self.paired else sample[1][1], m, self.alpha)
                sums[i] += [wrong.sum(), (wrong**2).sum(), ties.sum(), (signs > 0).sum(), (signs < 0).sum()]
        answers = {}
        for m, (wrong, square, ties, found, opposite) in zip(k, (sums / n).tolist(), strict=True):
            # Not below 1 / n: that nothing was seen in n experiments does not make it impossible.
            errors = [math.sqrt(max(v, 0.0) / (n - 1)) for v in (square - wrong**2, found * (1 - found))]
            answers[m] = (
                Finding(wrong, ties, max(errors[0], 1 / n), f"resampled, {n:,}"),
                Finding(1 - found, opposite, max(errors[1], 1 / n), f"resampled, {n:,}"),
            )
        return answers

    def _many_seeds(self, k: int) -> tuple[Finding, Finding]:
        """The normal limit of the mean to order 1/sqrt(k) (P. Hall, The Bootstrap and Edgeworth Expansion, 2.2)."""
        variances = [float(x.var()) for x in self.populations]
        if self.paired:
            skew = third(self.populations[0]) / float(self.populations[0].std()) ** 3
            shares = (1.0, 0.0)
        else:
            total = float(self.up.var() + self.down.var())
            skew = (third(self.up) - third(self.down)) / total**1.5
            shares = (variances[0] / total, variances[1] / total)
        z = -math.sqrt(k) * self.effect
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        wrong = float(special.ndtr(z)) - density * skew * (z * z - 1) / (6 * math.sqrt(k))
        found, opposite = (welch_power(sign * self.effect, shares, k, self.alpha) for sign in (1, -1))
        return (
            Finding(min(max(wrong, 0.0), 1.0), 0.0, math.nan, "Edgeworth"),
            Finding(1 - found, opposite, math.nan, "noncentral t"),
        )


def _difference_mass(i: Ints, j: Ints, *, paired: bool) -> tuple[Floats, int]:
    """Mass of a draw of i minus one of j, empty ends cut, and the place of 0 in it."""
    if paired:
        d = i - j
        return _mass_between_ends(d), int(-d.min())
    return _convolve(_mass_between_ends(i), _mass_between_ends(j)[::-1]), int(j.max() - i.min())


def _mass_between_ends(indices: Ints) -> Floats:
    low = int(indices.min())
    return mass(indices - low, int(indices.max()) - low + 1)


def named_exactly(populations: list[Floats], k: Ints) -> dict[int, Floats]:
    """Probability that each of several populations has the best of k-seed means, for those k where it is exact."""
    lattice = find_lattice(populations)
    on_lattice = None if lattice is None else _common_masses(lattice)
    found = {}
    for m in k.tolist():
        masses = on_lattice
        if m == 1 and masses is None:
            # One seed is compared, not added up: ranks do for any scores.
            values = np.unique(np.concatenate(populations))
            masses = _common_masses([np.searchsorted(values, x) for x in populations])
        if masses is not None and m * masses.size <= MOST_CELLS:
            found[m] = _named(np.array([sum_mass(row, m) for row in masses]))
    return found


def _common_masses(cells: list[Ints]) -> Floats | None:
    n_cells = max(int(i.max()) for i in cells) + 1
    return None if n_cells * len(cells) > MOST_CELLS else np.array([mass(i, n_cells) for i in cells])


def _named(p: Floats) -> Floats:
    """Probability that each of several numbers is the largest, from their masses on common cells."""
    below = np.minimum(np.cumsum(p, axis=1) - p, 1.0)
    # The integrand is a polynomial of degree n - 1 in u: this many nodes integrate it exactly.
    nodes, weights = np.polynomial.legendre.leggauss((len(p) + 1) // 2)
    named = np.zeros(len(p))
    for u, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = below + u * p
        # Products of all others as prefix times suffix: a division could meet 0 / 0.
        before, after = np.ones_like(p), np.ones_like(p)
        np.cumprod(factors[:-1], axis=0, out=before[1:])
        after[:-1] = np.cumprod(factors[:0:-1], axis=0)[::-1]
        named += weight * (p * before * after).sum(axis=1)
    return named


def named_by_resampling(
    populations: list[Floats], k: list[int], *, paired: bool, n_resamples: int, rng: np.random.Generator
) -> dict[int, Floats]:
    """The same from experiments that are drawn, for some k in ascending order."""
    if not k:
        return {}
    named = np.zeros((len(k), len(populations)))
    lattice = find_lattice(populations)
    if lattice is not None:
        # Whole numbers have no rounding, so that ties are ties.
        populations = [cells.astype(np.float64) for cells in lattice]
    # Else rounding is judged by the leading mean and by the usual score: a far outlier elsewhere merges nothing.
    usual = 0.0 if lattice is not None else float(np.median(np.abs(np.concatenate(populations))))
    rounding = 0.0 if lattice is not None else 1e-13
    for chunk in resample_means(populations, np.array(k), paired=paired, n_resamples=n_resamples, rng=rng):
        leader = chunk.max(axis=0)
        first = chunk >= leader - rounding * (np.abs(leader) + usual)  # (configuration, experiment, k)
        named += (first / first.sum(axis=0)).sum(axis=1).T
    return dict(zip(k, named / n_resamples, strict=True))

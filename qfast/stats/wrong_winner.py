"""How often an experiment with few seeds gets two configurations wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Ints, Missing, Rng, check_count, check_counts, check_open_unit, check_rng
from qfast.stats._scipy import stats
from qfast.stats.difference import mean_difference, t_test_name
from qfast.stats.estimates import mean_of, mean_rounding
from qfast.stats.experiment import edgeworth_below_zero, enumerate_samples, resample, verdict
from qfast.stats.interval import Estimate, not_defined
from qfast.stats.lattice import find_lattice, mass, sum_mass
from qfast.stats.ranges import power_of_two
from qfast.stats.shapes import third
from qfast.stats.sizes import standardised_difference, welch_power
from qfast.stats.undefined import about, check_pair, no_mean_of_pair
from qfast.stats.words import probability

__all__ = ["Misranking", "misranking"]

# Limits of the exact ways: lattice points of a sum, pairs of experiments.  Each takes about 0.1 s at most.
MOST_CELLS = 2**20
MOST_PAIRS = 2**18
# Above this many seeds an experiment is no longer drawn seed by seed.
MOST_DRAWN = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Misranking:
    """What :func:`misranking` found; all arrays are (n_k,), float64, in the order of ``k``.

    Parameters
    ----------
    k : ndarray, int64 (n_k,)
        Seeds of each configuration in the small experiment.
    better : {"a", "b"} or None
        The population with the better mean: the truth that experiments are held against; None where a mean is not
        defined.
    difference : Estimate
        mean(a) - mean(b) of the populations.  Where its interval holds 0, it is in doubt which is better.
    wrong_winner : ndarray
        Probability that the mean of k seeds of the worse one is better; a tie counts half (a coin decides).
    tied : ndarray
        Probability that both means are equal.
    missed : ndarray
        Probability that the test of k seeds each does not find the better one to be better.
    opposite : ndarray
        Probability that the test finds the worse one to be better, significantly (part of ``missed``).
    wrong_winner_error, missed_error : ndarray
        Standard error from resampling, given the populations: 0 where exact, nan where an approximation
        for many seeds is used.
    wrong_winner_population_error, missed_population_error : ndarray
        Approximate standard error that remains because the populations themselves are finite.
    wrong_winner_method, missed_method : tuple of str
        How each number was computed.
    test : str
        Name of the test.
    alpha : float
        Its two-sided level.
    paired : bool
        Whether seed i of both shares its random numbers in the small experiment; if not, its seeds are independent.
    p_value : float
        Two-sided p-value of the populations' difference; nan where there is no answer.
    n, n_undefined : int
        Agents (of pairs: pairs) that the answer is about, and those that ran and have no score.
    reason : str
        Why there is no answer, such as infinite scores (then all arrays are nan); empty where there is one.
    """

    k: Ints
    better: Literal["a", "b"] | None
    difference: Estimate
    wrong_winner: Floats
    tied: Floats
    missed: Floats
    opposite: Floats
    wrong_winner_error: Floats
    missed_error: Floats
    wrong_winner_population_error: Floats
    missed_population_error: Floats
    wrong_winner_method: tuple[str, ...]
    missed_method: tuple[str, ...]
    test: str
    alpha: float
    paired: bool
    p_value: float
    n: int
    n_undefined: int
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether the question has an answer; ``reason`` says why not."""
        return not self.reason

    @property
    def in_doubt(self) -> bool:
        """Whether the populations leave it open which of them is better, at 95 %."""
        return self.defined and self.p_value >= 0.05

    @property
    def seeds(self) -> str:
        """What the seeds of the small experiment are."""
        return "shared random numbers" if self.paired else "independent seeds"

    def __str__(self) -> str:
        """One line for each k."""
        if self.reason:
            return f"misranking by the mean is {self.reason}"
        doubt = " (in doubt)" if self.in_doubt else ""
        left_out = f", {about(self.n, self.n_undefined)}" if self.n_undefined else ""
        lines = [
            f"{self.better} is better{doubt}; mean(a) - mean(b) {self.difference}",
            f"experiments with {self.seeds}{left_out}",
            f"{'k':>8}  wrong winner  (error, population)  missed at {self.alpha:g}  (error, population)  {self.test}",
        ]
        for i, k in enumerate(self.k.tolist()):
            lines.append(
                f"{k:8d}  {probability(self.wrong_winner[i], self.wrong_winner_error[i]):>12}  "
                f"({self.wrong_winner_error[i]:.4f}, {self.wrong_winner_population_error[i]:.4f})  "
                f"{probability(self.missed[i], self.missed_error[i]):>12}  "
                f"({self.missed_error[i]:.4f}, {self.missed_population_error[i]:.4f})  "
                f"{self.wrong_winner_method[i]}; {self.missed_method[i]}"
            )
        return "\n".join(lines)


@dataclass(slots=True)
class _Answer:
    """One number for one k: probabilities (two that belong together), standard error of the first, method."""

    first: float
    second: float
    error: float
    method: str


def misranking(
    a: ArrayLike,
    b: ArrayLike,
    k: int | Sequence[int] | Ints,
    *,
    paired: bool = False,
    alpha: float = 0.05,
    higher_is_better: bool = True,
    n_resamples: int = 10_000,
    rng: Rng = None,
    missing: Missing = "keep",
) -> Misranking:
    r"""Probability that an experiment with k seeds names the wrong winner, or misses the difference.

    The populations that were run are taken for the truth: an experiment draws k agents of each, with
    replacement.  For each k the best way that applies is used, and named in the result:

    wrong winner by the mean of k seeds
        - ``exact, ranks`` for k = 1: all pairs of agents, :math:`P(A<B)+\tfrac12P(A=B)`;
        - ``exact, convolution`` when scores are multiples of one step (returns usually are, shares always):
          the k-fold convolution of the populations, to about 1e-12;
        - ``resampled`` otherwise, up to 1,000 seeds;
        - ``Edgeworth`` beyond: the normal limit with its correction for skewness, error of order 1/k.
    missed by the test
        - ``exact, no test`` for k = 1: a t-test needs two seeds;
        - ``exact, enumeration`` when all possible experiments can be listed (0/1 outcomes up to 511 seeds);
        - ``resampled`` otherwise, up to 1,000 seeds;
        - ``noncentral t`` beyond, as in :func:`seeds_for_power`.

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        Scores of two populations, at least two agents each.
    k : int or sequence of int
        Seeds of each configuration in the small experiment, each at least 1.
    paired : bool, default False
        Experiments draw pairs (seed i of both) and test with the paired t-test; else Welch's t-test.
    alpha : float, default 0.05
        Two-sided level of the test, in (0, 1).
    higher_is_better : bool, default True
        False for outcomes such as regret.
    n_resamples : int, default 10_000
        Experiments drawn where resampling is needed; the standard error is at most
        :math:`1/(2\sqrt{n})`, 0.005 by default.
    rng : int, SeedSequence, Generator or None
        Randomness of the resampling (SPEC 7); not used where every number is exact.
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` there is no answer where scores are undefined (nan); ``"drop"`` leaves them out (pairs as a
        whole), and the answer says so.

    Returns
    -------
    Misranking
        See there.  Where scores are infinite there is no mean to rank by, and no answer.

    Raises
    ------
    InvalidInput
        If both means are equal (then no winner is wrong), scores are not numbers, sizes differ
        though paired, or an option is out of its range.

    Examples
    --------
    Two configurations that succeed for 60 % and 50 % of agents: one seed each errs in 45 % of experiments,
    and thirty still do in 22 %.

    >>> a, b = [1, 1, 1, 0, 0] * 2000, [1, 0] * 5000
    >>> result = misranking(a, b, [1, 5, 30])
    >>> result.better, result.wrong_winner.round(3).tolist()
    ('a', [0.45, 0.378, 0.219])
    >>> result.missed.round(3).tolist()
    [1.0, 0.977, 0.88]
    """
    pair = check_pair(a, b, paired=paired, missing=missing)
    counts, alpha = check_counts(k), check_open_unit(alpha, "alpha", 0.05)
    draws = check_count(n_resamples, "n_resamples", at_least=2)
    generator = check_rng(rng)
    n, lost = pair.n, pair.lost
    test = t_test_name(paired=paired)
    reason, instead = no_mean_of_pair(pair)
    if reason:
        difference = not_defined(reason, 0.95, instead)
        return _no_answer(counts, difference, test, alpha, paired=paired, n=n, n_undefined=lost)
    difference, p_value, _ = mean_difference(pair.a, pair.b, paired=paired, level=0.95)
    unit = power_of_two(pair.a, pair.b)
    x, y = (pair.a, pair.b) if unit == 1.0 else (pair.a / unit, pair.b / unit)
    if abs(mean_of(x) - mean_of(y)) <= mean_rounding(x, y):
        raise InvalidInput(
            f"a and b have the same mean ({mean_of(x) * unit:.6g}), so that no winner is wrong; "
            "compare configurations whose means differ"
        )
    a_wins = (mean_of(x) > mean_of(y)) == higher_is_better
    # From here on "up" is the better population and higher is better.
    up, down = (x, y) if a_wins else (y, x)
    if not higher_is_better:
        up, down = -up, -down

    lattice = find_lattice([up, down])
    if lattice is not None:
        # Nothing below depends on the unit; whole numbers have no rounding, so that ties are ties.
        up, down = (i.astype(np.float64) for i in lattice)
    exact = _Exact(up, down, lattice, paired=paired, alpha=alpha)
    wrong = [exact.wrong_winner(m) for m in counts.tolist()]
    missed = [exact.missed(m) for m in counts.tolist()]
    open_k = [m for m, w, t in zip(counts.tolist(), wrong, missed, strict=True) if w is None or t is None]
    drawn = _drawn(up, down, open_k, paired=paired, alpha=alpha, n_resamples=draws, rng=generator)
    answers = [w or drawn[m][0] for m, w in zip(counts.tolist(), wrong, strict=True)]
    tests = [t or drawn[m][1] for m, t in zip(counts.tolist(), missed, strict=True)]

    effect, error = standardised_difference(up, down, paired=paired)
    root = np.sqrt(counts)
    critical = float(stats.norm.isf(alpha / 2))
    return Misranking(
        k=counts,
        better="a" if a_wins else "b",
        difference=difference,
        wrong_winner=np.array([w.first for w in answers]),
        tied=np.array([w.second for w in answers]),
        missed=np.array([t.first for t in tests]),
        opposite=np.array([t.second for t in tests]),
        wrong_winner_error=np.array([w.error for w in answers]),
        missed_error=np.array([t.error for t in tests]),
        # Delta method on the normal limits ndtr(-sqrt(k) effect) and ndtr(critical - sqrt(k) effect).
        wrong_winner_population_error=_density(root * effect) * root * error,
        missed_population_error=np.where(counts == 1, 0.0, _density(critical - root * effect) * root * error),
        wrong_winner_method=tuple(w.method for w in answers),
        missed_method=tuple(t.method for t in tests),
        test=test,
        alpha=alpha,
        paired=paired,
        p_value=p_value,
        n=n,
        n_undefined=lost,
    )


def _no_answer(
    k: Ints, difference: Estimate, test: str, alpha: float, *, paired: bool, n: int, n_undefined: int
) -> Misranking:
    nan, method = np.full(k.size, np.nan), (difference.reason,) * k.size
    return Misranking(
        k=k,
        better=None,
        difference=difference,
        wrong_winner=nan,
        tied=nan,
        missed=nan,
        opposite=nan,
        wrong_winner_error=nan,
        missed_error=nan,
        wrong_winner_population_error=nan,
        missed_population_error=nan,
        wrong_winner_method=method,
        missed_method=method,
        test=test,
        alpha=alpha,
        paired=paired,
        p_value=math.nan,
        n=n,
        n_undefined=n_undefined,
        reason=difference.reason,
    )


def _density(z: Floats) -> Floats:
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


class _Exact:
    """The exact answers for one pair of populations, ``up`` the better; None where there is none."""

    def __init__(self, up: Floats, down: Floats, lattice: list[Ints] | None, *, paired: bool, alpha: float) -> None:
        self.up, self.down, self.paired, self.alpha = up, down, paired, alpha
        # Mass of one draw of up minus one of down on the lattice, and the index of a difference of 0.
        self.step_mass: Floats | None = None
        self.zero = 0
        if lattice is not None:
            self.step_mass, self.zero = _difference_mass(*lattice, paired=paired)

    def wrong_winner(self, k: int) -> _Answer | None:
        if k == 1:
            wins, ties = _wins_and_ties(self.up, self.down, paired=self.paired)
            return _Answer(1 - wins - ties / 2, ties, 0.0, "exact, ranks")
        if self.step_mass is None or k * self.step_mass.size > MOST_CELLS:
            return None
        p, zero = sum_mass(self.step_mass, k), k * self.zero
        # The zero may lie outside: then every experiment is right (or, with few seeds, wrong).
        tied = float(p[zero]) if 0 <= zero < p.size else 0.0
        below = float(p[: max(zero, 0)].sum())
        return _Answer(min(below + tied / 2, 1.0), tied, 0.0, "exact, convolution")

    def missed(self, k: int) -> _Answer | None:
        if k == 1:
            return _Answer(1.0, 0.0, 0.0, "exact, no test")
        samples = enumerate_samples([self.up - self.down] if self.paired else [self.up, self.down], k, MOST_PAIRS)
        if samples is None:
            return None
        first, second = samples[0], None if self.paired else samples[1]
        if second is None:
            signs, p = verdict(first.mean, first.std, None, k, self.alpha), first.probability
        else:
            gap = first.mean[:, None] - second.mean
            # Spelt out to the shape of all pairs, which the test is made for.
            signs = verdict(gap, first.std[:, None] + 0 * gap, second.std + 0 * gap, k, self.alpha)
            p = first.probability[:, None] * second.probability
        found, opposite = float(p[signs > 0].sum()), float(p[signs < 0].sum())
        return _Answer(max(1 - found, 0.0), opposite, 0.0, "exact, enumeration")


def _difference_mass(i: Ints, j: Ints, *, paired: bool) -> tuple[Floats, int]:
    if paired:
        d = i - j
        return _mass_between_ends(d), int(-d.min())
    # Empty ends are cut, so that a sum of k has no more cells than needed.
    p, q = _mass_between_ends(i), _mass_between_ends(j)[::-1]
    both = np.convolve(p, q) if min(p.size, q.size) < 64 else _fft_convolve(p, q)
    return both, int(j.max() - i.min())


def _mass_between_ends(indices: Ints) -> Floats:
    low = int(indices.min())
    return mass(indices - low, int(indices.max()) - low + 1)


def _fft_convolve(p: Floats, q: Floats) -> Floats:
    n = p.size + q.size - 1
    size = 1 << (n - 1).bit_length()
    return np.maximum(np.fft.irfft(np.fft.rfft(p, size) * np.fft.rfft(q, size), size)[:n], 0.0)


def _wins_and_ties(up: Floats, down: Floats, *, paired: bool) -> tuple[float, float]:
    if paired:
        return float((up > down).mean()), float((up == down).mean())
    other = np.sort(down)
    below, up_to = np.searchsorted(other, up, side="left"), np.searchsorted(other, up, side="right")
    pairs = up.size * down.size
    return int(below.sum()) / pairs, int((up_to - below).sum()) / pairs


def _drawn(
    up: Floats,
    down: Floats,
    k: Sequence[int],
    *,
    paired: bool,
    alpha: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> dict[int, tuple[_Answer, _Answer]]:
    """(wrong winner, missed) for each k by resampling, or by the limit of many seeds."""
    few = np.array(sorted({m for m in k if m <= MOST_DRAWN}), dtype=np.int64)
    answers = {m: _many_seeds(up, down, m, paired=paired, alpha=alpha) for m in k if m > MOST_DRAWN}
    if few.size == 0:
        return answers
    # Sums over experiments: wrong winner and its square (a tie counts half), ties, found, opposite.
    sums = np.zeros((few.size, 5))
    populations = [up - down] if paired else [up, down]
    for chunk in resample(populations, few, paired=paired, n_resamples=n_resamples, rng=rng):
        for i, (m, sample) in enumerate(zip(few.tolist(), chunk, strict=True)):
            gap = sample[0][0] if paired else sample[0][0] - sample[1][0]
            # Rounding of the sums, which are as large as the largest score that was drawn.
            size = sum(np.abs(mean) + math.sqrt(m) * std for mean, std in sample)
            ties = np.abs(gap) <= 16 * np.finfo(np.float64).eps * size
            wrong = np.where(ties, 0.5, gap < 0)
            signs = verdict(gap, sample[0][1], None if paired else sample[1][1], m, alpha)
            sums[i] += [wrong.sum(), (wrong**2).sum(), ties.sum(), (signs > 0).sum(), (signs < 0).sum()]
    n = n_resamples
    for m, (wrong, square, ties, found, opposite) in zip(few.tolist(), (sums / n).tolist(), strict=True):
        # Not below 1 / n: that nothing was seen in n experiments does not make it impossible.
        error_wrong = max(math.sqrt(max(square - wrong**2, 0.0) / (n - 1)), 1 / n)
        error_found = max(math.sqrt(found * (1 - found) / (n - 1)), 1 / n)
        answers[m] = (
            _Answer(wrong, ties, error_wrong, f"resampled, {n:,}"),
            _Answer(1 - found, opposite, error_found, f"resampled, {n:,}"),
        )
    return answers


def _many_seeds(up: Floats, down: Floats, k: int, *, paired: bool, alpha: float) -> tuple[_Answer, _Answer]:
    effect, _ = standardised_difference(up, down, paired=paired)
    if paired:
        skew = third(up - down) / float((up - down).std()) ** 3
        variances = (1.0, 0.0)
    else:
        total = float(up.var() + down.var())
        skew = (third(up) - third(down)) / total**1.5
        variances = (float(up.var()) / total, float(down.var()) / total)
    wrong = edgeworth_below_zero(effect, 1.0, skew, k)
    found, opposite = (welch_power(sign * effect, variances, k, alpha) for sign in (1, -1))
    return (
        _Answer(wrong, 0.0, math.nan, "Edgeworth"),
        _Answer(1 - found, opposite, math.nan, "noncentral t"),
    )

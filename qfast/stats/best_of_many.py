"""More than two configurations: how often a few seeds name the best one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Ints, Missing, Rng, check_count, check_counts, check_missing, check_rng
from qfast.stats.experiment import resample_means
from qfast.stats.lattice import find_lattice, mass, sum_mass
from qfast.stats.populations import best_of, population_errors, rivals_of
from qfast.stats.ranges import power_of_two
from qfast.stats.rankings import check_configurations, with_means
from qfast.stats.undefined import about
from qfast.stats.words import probability
from qfast.stats.wrong_winner import MOST_CELLS, MOST_DRAWN

__all__ = ["BestMisranking", "misranking_of_best"]


@dataclass(frozen=True, slots=True, eq=False)
class BestMisranking:
    """What :func:`misranking_of_best` found.

    Parameters
    ----------
    k : ndarray, int64 (n_k,)
        Seeds of each configuration in the small experiment.
    best : tuple of int
        The configurations with the best mean of the populations; several if they are equal.
    named : ndarray, float64 (n_k, n_configurations)
        Probability that the experiment names a configuration as the best; a tie is shared evenly.
    wrong : ndarray, float64 (n_k,)
        Probability that it names one that is not in ``best``.
    wrong_error : ndarray, float64 (n_k,)
        Standard error of ``wrong`` from resampling, given the populations; 0 where exact.
    method : tuple of str
        How each number was computed.
    paired : bool
        Whether seed i of all configurations shares its random numbers in the small experiment; if not, its seeds are
        independent.
    wrong_population_error : ndarray, float64 (n_k,)
        Approximate standard error of ``wrong`` that remains because the populations themselves are finite.
    rivals : tuple of int
        Configurations whose mean the populations do not tell from the best: where there are any, the winner itself
        is in doubt.
    n, n_undefined : int
        Agents (of all configurations; paired: of each) that the answer is about, and those that ran and have no score.
    reason : str
        Why there is no answer, such as infinite scores (then all arrays are nan and ``best`` is empty); else empty.
    """

    k: Ints
    best: tuple[int, ...]
    named: Floats
    wrong: Floats
    wrong_error: Floats
    method: tuple[str, ...]
    paired: bool
    wrong_population_error: Floats
    rivals: tuple[int, ...]
    n: int
    n_undefined: int
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether the question has an answer; ``reason`` says why not."""
        return not self.reason

    @property
    def in_doubt(self) -> bool:
        """Whether the populations leave it open which configuration is the best."""
        return bool(self.rivals)

    @property
    def seeds(self) -> str:
        """What the seeds of the small experiment are."""
        return "shared random numbers" if self.paired else "independent seeds"

    def __str__(self) -> str:
        """One line for each k."""
        if self.reason:
            return f"misranking by the mean is {self.reason}"
        doubt = f"; in doubt: not told from {', '.join(map(str, self.rivals))}" if self.rivals else ""
        left_out = f", {about(self.n, self.n_undefined)}" if self.n_undefined else ""
        lines = [
            f"best: {', '.join(map(str, self.best))}{doubt}; experiments with {self.seeds}{left_out}",
            f"{'k':>8}  wrong winner  (error, population)",
        ]
        for i, k in enumerate(self.k.tolist()):
            lines.append(
                f"{k:8d}  {probability(self.wrong[i], self.wrong_error[i]):>12}  ({self.wrong_error[i]:.4f}, "
                f"{self.wrong_population_error[i]:.4f})  {self.method[i]}"
            )
        return "\n".join(lines)


def misranking_of_best(
    scores: ArrayLike | Sequence[ArrayLike],
    k: int | Sequence[int] | Ints,
    *,
    paired: bool = False,
    higher_is_better: bool = True,
    n_resamples: int = 10_000,
    rng: Rng = None,
    missing: Missing = "keep",
) -> BestMisranking:
    r"""Probability that the best of several k-seed means is not the configuration that is truly best.

    The populations that were run are taken for the truth, and an experiment draws k agents of each with
    replacement.  Where scores are multiples of one step (for k = 1: always) and experiments are not paired,
    the answer is exact: with the mass :math:`p_c` and the distribution function :math:`F_c(s^-)` of the sum
    of k scores,

    .. math:: P(c \text{ is named}) = \sum_s p_c(s) \int_0^1 \prod_{j\ne c}\bigl(F_j(s^-) + u\,p_j(s)\bigr)\,du

    (the integral shares a tie of m evenly: :math:`\int_0^1 u^{m-1}du=1/m`).  Otherwise it is resampled.

    Parameters
    ----------
    scores : array_like, (n_configurations, n_agents), or a sequence of (n_agents,)
        Scores of at least two configurations, at least two agents each.
    k : int or sequence of int
        Seeds of each configuration in the small experiment, each at least 1; at most 1,000 where the answer
        has to be resampled.
    paired : bool, default False
        Experiments draw the same agents of all configurations.
    higher_is_better : bool, default True
        False for outcomes such as regret.
    n_resamples : int, default 10_000
        Experiments drawn where resampling is needed.
    rng : int, SeedSequence, Generator or None
        Randomness of the resampling (SPEC 7); not used where every number is exact.
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` there is no answer where scores are undefined (nan); ``"drop"`` leaves them out (paired: an
        agent in all configurations), and the answer says so.

    Returns
    -------
    BestMisranking
        See there.  Where scores are infinite there is no mean to rank by, and no answer.

    Raises
    ------
    InvalidInput
        If all means are equal, scores are not numbers, sizes differ though paired, or an option is
        out of its range.

    Examples
    --------
    >>> scores = [[1, 1, 1, 0, 0] * 2000, [1, 0] * 5000, [1, 0, 0, 0] * 2500]
    >>> misranking_of_best(scores, [1, 5, 30]).wrong.round(3).tolist()
    [0.55, 0.414, 0.219]
    """
    rows = check_configurations(scores, paired=paired)
    counts, generator, keep = check_counts(k), check_rng(rng), check_missing(missing)
    draws = check_count(n_resamples, "n_resamples", at_least=2)
    populations, n, lost, reason = with_means(rows, paired=paired, keep=keep)
    if reason:
        nan, c = np.full(counts.size, np.nan), len(rows)
        named = np.full((counts.size, c), np.nan)
        return BestMisranking(counts, (), named, nan, nan, (reason,) * counts.size, paired, nan, (), n, lost, reason)
    unit = power_of_two(*populations)
    populations = [(x if higher_is_better else -x) / unit for x in populations]
    best = best_of(populations)
    if best.size == len(populations):
        raise InvalidInput("scores have the same mean in all configurations, so that no winner is wrong; vary more")

    exact = [None if paired else _named_exactly(masses, m) for masses, m in _masses_for(populations, counts)]
    few = sorted({m for m, found in zip(counts.tolist(), exact, strict=True) if found is None})
    if few and few[-1] > MOST_DRAWN:
        raise InvalidInput(f"k={few[-1]} is too large to be resampled; use at most {MOST_DRAWN}")
    drawn = _named_by_resampling(populations, few, paired=paired, n_resamples=draws, rng=generator)
    named = np.array([drawn[m] if e is None else e for m, e in zip(counts.tolist(), exact, strict=True)])
    wrong = np.clip(1 - named[:, best].sum(axis=1), 0.0, 1.0)
    resampled = np.array([e is None for e in exact])
    error = np.where(resampled, np.maximum(np.sqrt(wrong * (1 - wrong) / (draws - 1)), 1 / draws), 0.0)
    return BestMisranking(
        k=counts,
        best=tuple(best.tolist()),
        named=named,
        wrong=wrong,
        wrong_error=error,
        method=tuple(f"resampled, {draws:,}" if r else "exact" for r in resampled),
        paired=paired,
        wrong_population_error=population_errors(populations, best, counts, paired=paired),
        rivals=rivals_of(populations, best, paired=paired),
        n=n,
        n_undefined=lost,
    )


def _masses_for(populations: list[Floats], k: Ints) -> Iterator[tuple[Floats | None, int]]:
    """For each k the masses of all populations on common cells, None where there are none."""
    lattice = find_lattice(populations)
    on_lattice = None if lattice is None else _common_masses(lattice)
    for m in k.tolist():
        if m == 1 and on_lattice is None:
            # One seed is compared, not added up: ranks do for any scores.
            values = np.unique(np.concatenate(populations))
            yield _common_masses([np.searchsorted(values, x) for x in populations]), m
        else:
            yield on_lattice, m


def _common_masses(cells: list[Ints]) -> Floats | None:
    n_cells = max(int(i.max()) for i in cells) + 1
    return None if n_cells * len(cells) > MOST_CELLS else np.array([mass(i, n_cells) for i in cells])


def _named_exactly(masses: Floats | None, k: int) -> Floats | None:
    if masses is None or k * masses.size > MOST_CELLS:
        return None
    n_configurations = masses.shape[0]
    p = np.array([sum_mass(row, k) for row in masses])
    below = np.minimum(np.cumsum(p, axis=1) - p, 1.0)
    # The integrand is a polynomial of degree n - 1 in u: this many nodes integrate it exactly.
    nodes, weights = np.polynomial.legendre.leggauss((n_configurations + 1) // 2)
    named = np.zeros(n_configurations)
    for u, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = below + u * p
        # Products of all others as prefix times suffix: a division could meet 0 / 0.
        before, after = np.ones_like(p), np.ones_like(p)
        np.cumprod(factors[:-1], axis=0, out=before[1:])
        after[:-1] = np.cumprod(factors[:0:-1], axis=0)[::-1]
        named += weight * (p * before * after).sum(axis=1)
    return named


def _named_by_resampling(
    populations: list[Floats],
    k: list[int],
    *,
    paired: bool,
    n_resamples: int,
    rng: np.random.Generator,
) -> dict[int, Floats]:
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

"""More than two configurations: how often a few seeds name the best one, and the bias of having chosen it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Ints, Rng, check_count, check_counts, check_rng, check_scores
from qfast.stats.comparison import mean_difference
from qfast.stats.estimates import estimate_mean, mean_of
from qfast.stats.experiment import resample_means
from qfast.stats.interval import Estimate
from qfast.stats.lattice import find_lattice, mass, sum_mass
from qfast.stats.wrong_winner import MOST_CELLS, MOST_DRAWN

__all__ = ["BestMisranking", "SelectionBias", "misranking_of_best", "selection_bias", "winner"]


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
        Whether seed i of all configurations shared its random numbers.
    """

    k: Ints
    best: tuple[int, ...]
    named: Floats
    wrong: Floats
    wrong_error: Floats
    method: tuple[str, ...]
    paired: bool


@dataclass(frozen=True, slots=True)
class SelectionBias:
    """The winner's mean where it won, and on fresh seeds.

    Parameters
    ----------
    selected : Estimate
        Mean of the agents by which it was chosen: too good on average, and outside of its interval too often.
    fresh : Estimate
        Mean of agents that had no part in the choice: unbiased, with a valid interval.
    bias : Estimate
        selected - fresh; what the choice alone is estimated to have added.
    """

    selected: Estimate
    fresh: Estimate
    bias: Estimate

    def __str__(self) -> str:
        """Three lines, one for each estimate."""
        return f"where it won {self.selected}\non fresh seeds {self.fresh}\nbias           {self.bias}"


def _check_configurations(scores: ArrayLike | Sequence[ArrayLike], *, paired: bool) -> list[Floats]:
    rows = list(scores) if isinstance(scores, Sequence) else list(np.asarray(scores))
    if len(rows) < 2:
        raise InvalidInput(f"scores holds {len(rows)} configurations, fewer than 2; give (configuration, agent)")
    checked = [check_scores(row, f"scores[{i}]", at_least=2) for i, row in enumerate(rows)]
    sizes = sorted({x.size for x in checked})
    if paired and len(sizes) > 1:
        raise InvalidInput(f"scores have {sizes} agents, but paired=True needs agent i in all; use paired=False")
    return checked


def _means(populations: list[Floats]) -> tuple[Floats, float]:
    """Means and the distance below which two of them count as equal."""
    tie = 1e-12 * max(float(np.abs(x).max()) for x in populations)
    return np.array([mean_of(x) for x in populations]), tie


def winner(scores: ArrayLike | Sequence[ArrayLike], *, higher_is_better: bool = True) -> int:
    """Configuration with the best mean over agents, the first of equals.

    Parameters
    ----------
    scores : array_like, (n_configurations, n_agents), or a sequence of (n_agents,)
        Scores of at least two configurations, at least two agents each.
    higher_is_better : bool, default True
        False for outcomes such as regret.

    Returns
    -------
    int
        Its index.

    Raises
    ------
    InvalidInput
        If there are fewer than two configurations, or scores that are not finite numbers.

    Examples
    --------
    >>> winner([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]])
    1
    """
    means, tie = _means(_check_configurations(scores, paired=False))
    means = means if higher_is_better else -means
    return int(np.flatnonzero(means >= means.max() - tie)[0])


def selection_bias(selected: ArrayLike, fresh: ArrayLike, *, level: float = 0.95) -> SelectionBias:
    """Put the winner's scores where it won beside its scores on fresh seeds.

    The best of many means is best partly by luck: the larger the choice and the smaller the number of
    agents, the more of it is luck.  Running the winner again with other seeds removes that part.

    Parameters
    ----------
    selected : array_like, (n_agents,)
        The winner's scores in the study that chose it, at least two agents.
    fresh : array_like, (m_agents,)
        Its scores in a run with other seeds, at least two agents.
    level : float, default 0.95
        Confidence level in (0, 1).

    Returns
    -------
    SelectionBias
        See there.

    Raises
    ------
    InvalidInput
        If scores are not at least two finite numbers, or level is outside (0, 1).

    Examples
    --------
    >>> selection_bias([5.0, 6.0, 7.0], [4.0, 5.0, 6.0]).bias.value
    1.0
    """
    x, y = check_scores(selected, "selected", at_least=2), check_scores(fresh, "fresh", at_least=2)
    first, second = estimate_mean(x, level=level), estimate_mean(y, level=level)
    return SelectionBias(first, second, mean_difference(x, y, paired=False, level=level)[0])


def misranking_of_best(
    scores: ArrayLike | Sequence[ArrayLike],
    k: int | Sequence[int] | Ints,
    *,
    paired: bool = False,
    higher_is_better: bool = True,
    n_resamples: int = 10_000,
    rng: Rng = None,
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

    Returns
    -------
    BestMisranking
        See there.

    Raises
    ------
    InvalidInput
        If all means are equal, scores are not finite numbers, sizes differ though paired, or an option is
        out of its range.

    Examples
    --------
    >>> scores = [[1, 1, 1, 0, 0] * 2000, [1, 0] * 5000, [1, 0, 0, 0] * 2500]
    >>> misranking_of_best(scores, [1, 5, 30]).wrong.round(3).tolist()
    [0.55, 0.414, 0.219]
    """
    populations = _check_configurations(scores, paired=paired)
    counts, generator = check_counts(k), check_rng(rng)
    draws = check_count(n_resamples, "n_resamples", at_least=2)
    if not higher_is_better:
        populations = [-x for x in populations]
    means, tie = _means(populations)
    best = np.flatnonzero(means >= means.max() - tie)
    if best.size == len(populations):
        raise InvalidInput("scores have the same mean in all configurations, so that no winner is wrong; vary more")

    exact = [None if paired else _named_exactly(masses, m) for masses, m in _masses_for(populations, counts)]
    few = sorted({m for m, found in zip(counts.tolist(), exact, strict=True) if found is None})
    if few and few[-1] > MOST_DRAWN:
        raise InvalidInput(f"k={few[-1]} is too large to be resampled; use at most {MOST_DRAWN}")
    drawn = _named_by_resampling(populations, few, paired=paired, n_resamples=draws, rng=generator, tie=tie)
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
    tie: float,
) -> dict[int, Floats]:
    if not k:
        return {}
    named = np.zeros((len(k), len(populations)))
    for chunk in resample_means(populations, np.array(k), paired=paired, n_resamples=n_resamples, rng=rng):
        first = chunk >= chunk.max(axis=0) - tie  # (configuration, experiment, k)
        named += (first / first.sum(axis=0)).sum(axis=1).T
    return dict(zip(k, named / n_resamples, strict=True))

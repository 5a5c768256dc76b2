"""How often an experiment with few seeds names the wrong winner, of two configurations or of many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Ints, Missing, Rng, check_count, check_counts, check_open_unit, check_rng
from qfast.stats.difference import mean_difference, t_test_name
from qfast.stats.estimates import mean_of, mean_rounding
from qfast.stats.experiment import MOST_DRAWN, Finding, PairExperiments, named_by_resampling, named_exactly
from qfast.stats.interval import Estimate, not_defined
from qfast.stats.rankings import best_of, check_configurations, population_errors, rivals_of, with_means
from qfast.stats.scores import Pair, about, check_pair, in_range, no_mean_of_pair
from qfast.text import probability, seeds_text

__all__ = ["BestMisranking", "Misranking", "misranking", "misranking_of_best"]


class _Answer:
    """What both answers say of themselves."""

    __slots__ = ()

    paired: bool
    n: int
    n_undefined: int
    reason: str

    @property
    def defined(self) -> bool:
        """Whether the question has an answer; ``reason`` says why not."""
        return not self.reason

    @property
    def seeds(self) -> str:
        """What the seeds of the small experiment are."""
        return seeds_text(paired=self.paired)

    @property
    def _about(self) -> str:
        """Which seeds and how many agents the answer is about."""
        left_out = f", {about(self.n, self.n_undefined)}" if self.n_undefined else ""
        return f"experiments with {self.seeds}{left_out}"


@dataclass(frozen=True, slots=True, eq=False)
class Misranking(_Answer):
    """What :func:`misranking` found; all arrays are (n_k,), float64, in the order of ``k``.

    Parameters
    ----------
    k : ndarray, int64
        Seeds of each configuration in the small experiment.
    better : {"a", "b"} or None
        The population with the better mean: the truth that experiments are held against; None where there is none.
    difference : Estimate
        mean(a) - mean(b) of the populations.  Where its interval holds 0, it is in doubt which is better.
    wrong_winner, tied : ndarray
        Probability that the mean of k seeds of the worse one is better, a tie counted half (a coin decides), and that
        both means are equal.
    missed, opposite : ndarray
        Probability that the test of k seeds each does not find the better one to be better, and that it finds the
        worse one to be better, significantly (part of ``missed``).
    wrong_winner_error, missed_error : ndarray
        Standard error from resampling, given the populations: 0 where exact, nan where an approximation
        for many seeds is used.
    wrong_winner_population_error, missed_population_error : ndarray
        Approximate standard error that remains because the populations themselves are finite.
    wrong_winner_method, missed_method : tuple of str
        How each number was computed.
    test, alpha : str, float
        Name of the test, and its two-sided level.
    paired : bool
        Whether seed i of both shares its random numbers in the small experiment; if not, its seeds are independent.
    p_value : float
        Two-sided p-value of the populations' difference; nan where there is no answer.
    n, n_undefined : int
        Agents (of pairs: pairs) that the answer is about, and those without a score.
    reason : str
        Why there is no answer, such as infinite scores (then all arrays are nan); else empty.
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
    def in_doubt(self) -> bool:
        """Whether the populations leave it open which of them is better, at 95 %."""
        return self.defined and self.p_value >= 0.05

    def __str__(self) -> str:
        """One line for each k."""
        if self.reason:
            return f"misranking by the mean is {self.reason}"
        doubt = " (in doubt)" if self.in_doubt else ""
        lines = [
            f"{self.better} is better{doubt}; mean(a) - mean(b) {self.difference}",
            self._about,
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
        - ``exact, enumeration`` when all possible experiments can be listed (scores of 0 and 1: up to 511 seeds);
        - ``resampled`` otherwise, up to 1,000 seeds;
        - ``noncentral t`` beyond, as in :func:`seeds_for_power`.

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        At least two agents each; the rest as everywhere in :mod:`qfast.stats`.
    k : int or sequence of int
        Seeds of each configuration in the small experiment, each at least 1.
    paired : bool, default False
        Experiments draw pairs (seed i of both) and test with the paired t-test; else Welch's t-test.
    alpha : float, default 0.05
        Two-sided level of the test, in (0, 1).
    n_resamples : int, default 10_000
        Experiments drawn where resampling is needed; the standard error is at most
        :math:`1/(2\sqrt{n})`, 0.005 by default.
    rng : int, SeedSequence, Generator or None
        Randomness of the resampling (SPEC 7); not used where every number is exact.

    Returns
    -------
    Misranking
        No answer where scores are infinite: there is no mean to rank by.

    Raises
    ------
    InvalidInput
        As everywhere, or if both means are equal: then no winner is wrong.

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
    reason, instead = no_mean_of_pair(pair)
    if reason:
        difference, p_value, better = not_defined(reason, 0.95, instead), math.nan, None
        wrong = missed = [Finding(math.nan, math.nan, math.nan, reason)] * counts.size
        errors = np.full((2, counts.size), np.nan)
    else:
        difference, p_value, _ = mean_difference(pair.a, pair.b, paired=paired, level=0.95)
        better, up, down = _better_first(pair, higher_is_better=higher_is_better)
        experiments = PairExperiments(up, down, paired=paired, alpha=alpha)
        wrong, missed = experiments.findings(counts, draws, generator)
        errors = experiments.population_errors(counts)
    return Misranking(
        k=counts,
        better=better,
        difference=difference,
        wrong_winner=np.array([w.p for w in wrong]),
        tied=np.array([w.q for w in wrong]),
        missed=np.array([t.p for t in missed]),
        opposite=np.array([t.q for t in missed]),
        wrong_winner_error=np.array([w.error for w in wrong]),
        missed_error=np.array([t.error for t in missed]),
        wrong_winner_population_error=errors[0],
        missed_population_error=errors[1],
        wrong_winner_method=tuple(w.method for w in wrong),
        missed_method=tuple(t.method for t in missed),
        test=t_test_name(paired=paired),
        alpha=alpha,
        paired=paired,
        p_value=p_value,
        n=pair.n,
        n_undefined=pair.lost,
        reason=reason,
    )


def _better_first(pair: Pair, *, higher_is_better: bool) -> tuple[Literal["a", "b"], Floats, Floats]:
    """Name the better population, and give both turned so that higher is better, in a unit of their own."""
    unit, (x, y) = in_range(pair.a, pair.b)
    if abs(mean_of(x) - mean_of(y)) <= mean_rounding(x, y):
        raise InvalidInput(
            f"a and b have the same mean ({mean_of(x) * unit:.6g}), so that no winner is wrong; "
            "compare configurations whose means differ"
        )
    sign = 1.0 if higher_is_better else -1.0
    if (mean_of(x) > mean_of(y)) == higher_is_better:
        return "a", sign * x, sign * y
    return "b", sign * y, sign * x


@dataclass(frozen=True, slots=True, eq=False)
class BestMisranking(_Answer):
    """What :func:`misranking_of_best` found; as in :class:`Misranking` but for these.

    Parameters
    ----------
    best : tuple of int
        The configurations with the best mean of the populations; several if they are equal, none without an answer.
    named : ndarray, float64 (n_k, n_configurations)
        Probability that the experiment names a configuration as the best; a tie is shared evenly.
    wrong, wrong_error, wrong_population_error : ndarray, float64 (n_k,)
        Probability that it names one that is not in ``best``, and its standard errors from resampling and from the
        populations being finite.
    method : tuple of str
        How each number was computed.
    rivals : tuple of int
        Configurations whose mean the populations do not tell from the best: where there are any, the winner itself
        is in doubt.
    n, n_undefined : int
        Agents of all configurations (paired: of each) that the answer is about, and those without a score.
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
    def in_doubt(self) -> bool:
        """Whether the populations leave it open which configuration is the best."""
        return bool(self.rivals)

    def __str__(self) -> str:
        """One line for each k."""
        if self.reason:
            return f"misranking by the mean is {self.reason}"
        doubt = f"; in doubt: not told from {', '.join(map(str, self.rivals))}" if self.rivals else ""
        lines = [
            f"best: {', '.join(map(str, self.best))}{doubt}; {self._about}",
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

    As in :func:`misranking`, experiments are drawn from the populations that were run.  Where scores are multiples of
    one step (for k = 1: always) and experiments are not paired, the answer is exact: with the mass :math:`p_c` and the
    distribution function :math:`F_c(s^-)` of the sum of k scores,

    .. math:: P(c \text{ is named}) = \sum_s p_c(s) \int_0^1 \prod_{j\ne c}\bigl(F_j(s^-) + u\,p_j(s)\bigr)\,du

    (the integral shares a tie of m evenly: :math:`\int_0^1 u^{m-1}du=1/m`).  Otherwise it is resampled.

    Parameters
    ----------
    scores : array_like, (n_configurations, n_agents), or a sequence of (n_agents,)
        At least two configurations with at least two agents each.
    k : int or sequence of int
        Seeds of each configuration, each at least 1; at most 1,000 where the answer has to be resampled.
    paired : bool, default False
        Experiments draw the same agents of all configurations.
    higher_is_better, n_resamples, rng, missing
        As in :func:`misranking`.

    Returns
    -------
    BestMisranking
        No answer where scores are infinite: there is no mean to rank by.

    Raises
    ------
    InvalidInput
        As everywhere in :mod:`qfast.stats`, or if all means are equal: then no winner is wrong.

    Examples
    --------
    >>> scores = [[1, 1, 1, 0, 0] * 2000, [1, 0] * 5000, [1, 0, 0, 0] * 2500]
    >>> misranking_of_best(scores, [1, 5, 30]).wrong.round(3).tolist()
    [0.55, 0.414, 0.219]
    """
    rows = check_configurations(scores, paired=paired)
    counts, generator = check_counts(k), check_rng(rng)
    draws = check_count(n_resamples, "n_resamples", at_least=2)
    populations, n, lost, reason = with_means(rows, missing, paired=paired)
    if reason:
        nan, c = np.full(counts.size, np.nan), len(rows)
        named = np.full((counts.size, c), np.nan)
        return BestMisranking(counts, (), named, nan, nan, (reason,) * counts.size, paired, nan, (), n, lost, reason)
    populations = in_range(*(x if higher_is_better else -x for x in populations))[1]
    best = best_of(populations)
    if best.size == len(populations):
        raise InvalidInput("scores have the same mean in all configurations, so that no winner is wrong; vary more")

    exact = {} if paired else named_exactly(populations, counts)
    few = sorted({m for m in counts.tolist() if m not in exact})
    if few and few[-1] > MOST_DRAWN:
        raise InvalidInput(f"k={few[-1]} is too large to be resampled; use at most {MOST_DRAWN}")
    found = exact | named_by_resampling(populations, few, paired=paired, n_resamples=draws, rng=generator)
    named = np.array([found[m] for m in counts.tolist()])
    wrong = np.clip(1 - named[:, best].sum(axis=1), 0.0, 1.0)
    resampled = np.array([m not in exact for m in counts.tolist()])
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

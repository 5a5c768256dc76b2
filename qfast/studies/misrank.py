"""How often an experiment with few seeds would have named the wrong winner: the study taken for the truth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.stats import BestMisranking, Misranking, SeedsNeeded, misranking, misranking_of_best, seeds_for_winner
from qfast.stats._check import Rng, check_open_unit
from qfast.stats.estimates import mean_of
from qfast.stats.rankings import rivals_of
from qfast.stats.scores import in_range
from qfast.studies.seeds import check_paired, populations_of, two_best
from qfast.studies.select import Metric, Missing, StudyData, are_paired, metric_of, select
from qfast.studies.texts import Answer, joined, number, several, with_interval
from qfast.text import columns, in_percent

__all__ = ["USUAL_SEEDS", "StudyMisranking", "fine_grid", "misrank"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What experiments usually have.
USUAL_SEEDS = (1, 3, 5, 10, 30, 100)
# What resampling draws seed by seed, and how far a curve is followed at most.
_MOST_DRAWN, _MOST_SEEDS = 1000, 100_000
_WINNER = "a wrong winner by the mean"
_ROUNDING = 1e-12  # difference of means, as a share of them, that is rounding


@dataclass(frozen=True, slots=True, eq=False)
class StudyMisranking(Answer):
    """What `Study.misranking` found.

    Parameters
    ----------
    configurations, labels : tuple of int, tuple of str
        The two of a pair, the better one first, or all; and their settings in words.
    means : ndarray, float64 (n_configurations,)
        Means of the populations, which are taken for the truth.
    result : qfast.stats.Misranking or qfast.stats.BestMisranking
        All numbers, with how they were computed.
    n_agents : int
        Agents of the smallest population.
    enough : qfast.stats.SeedsNeeded
        From how many seeds on the winner is wrong in at most 5 % of cases, by the normal limit of means, with the range
        that it is known in, since the populations are finite; no upper end where the winner itself is in doubt.
    rivals : tuple of str
        Labels of the configurations that the study itself, paired or not as it was run, does not tell from the best.
    about : str
        How many agents it is about, where that is not all of them.
    """

    configurations: tuple[int, ...]
    labels: tuple[str, ...]
    means: Floats
    result: Misranking | BestMisranking
    n_agents: int
    enough: SeedsNeeded
    rivals: tuple[str, ...] = ()
    about: str = ""

    @property
    def is_pair(self) -> bool:
        """Whether two configurations are compared, and not the best of all named."""
        return isinstance(self.result, Misranking)

    @property
    def k(self) -> Ints:
        """Seeds of each configuration in the small experiment, (n_k,)."""
        return self.result.k

    @property
    def paired(self) -> bool:
        """Whether the experiments gave seed i of all configurations the same random numbers."""
        return self.result.paired

    @property
    def in_doubt(self) -> bool:
        """Whether the study itself leaves it open which is the best: another one is not told from it."""
        return bool(self.rivals)

    @property
    def wrong(self) -> Floats:
        """Probability to name a configuration that is not the best, (n_k,)."""
        return self.result.wrong_winner if isinstance(self.result, Misranking) else self.result.wrong

    @property
    def wrong_error(self) -> Floats:
        """Its standard error, (n_k,): from resampling, and because the populations are finite."""
        r = self.result
        if isinstance(r, Misranking):
            return np.hypot(np.nan_to_num(r.wrong_winner_error), r.wrong_winner_population_error)
        return np.hypot(np.nan_to_num(r.wrong_error), np.nan_to_num(r.wrong_population_error))

    @property
    def missed(self) -> Floats | None:
        """Of a pair: probability that the test does not find the better one to be better, (n_k,)."""
        return self.result.missed if isinstance(self.result, Misranking) else None

    @property
    def missed_error(self) -> Floats | None:
        """Standard error of ``missed``, as of ``wrong``."""
        r = self.result
        return np.hypot(np.nan_to_num(r.missed_error), r.missed_population_error) if isinstance(r, Misranking) else None

    @property
    def named(self) -> Floats:
        """Probability that each configuration is named the best, (n_k, n_configurations)."""
        if isinstance(self.result, BestMisranking):
            return self.result.named
        return np.stack([1 - self.wrong, self.wrong], axis=1)

    @property
    def loss(self) -> Floats:
        """Expected loss from following the experiment, (n_k,): best mean minus the mean of what is named, >= 0."""
        sign = 1 if self.metric.higher_is_better else -1
        unit, (means,) = in_range(sign * self.means)
        gaps = means.max() - means
        least = _ROUNDING * np.abs(means).max()
        gaps[gaps <= least] = 0.0  # equal means that were summed in another order
        loss = np.asarray(self.named @ gaps, dtype=np.float64)
        with np.errstate(over="ignore"):  # beyond the range of float64: infinite
            return np.where(loss <= least, 0.0, loss) * unit

    @property
    def methods(self) -> tuple[str, ...]:
        """How the probabilities of a wrong winner were computed, (n_k,)."""
        return self.result.wrong_winner_method if isinstance(self.result, Misranking) else self.result.method

    def trustworthy(self, risk: float = 0.05) -> int | None:
        """From how many seeds on, among ``k``, the winner is wrong with at most this probability; None if never."""
        check_open_unit(risk, "risk", 0.05)
        order = np.argsort(self.k, kind="stable")
        bad = np.flatnonzero(self.wrong[order] > risk)
        first = 0 if bad.size == 0 else int(bad[-1]) + 1
        return None if first == order.size else int(self.k[order][first])

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        return f"{joined(f'{self._truth()}; {self._often()}; {self._enough()}', self.about)}."

    def _truth(self) -> str:
        """What is right."""
        title, result = self.metric.title, self.result
        if isinstance(result, Misranking):
            d = result.difference
            by = f" by {number(abs(d.value), d.interval.half_width)}" if d.defined else ""  # beyond float64
            doubt = " (though the study itself leaves that open)" if self.in_doubt else ""
            return f"{self.labels[0]} is better than {self.labels[1]}{by} in {title}{doubt}"
        best = [self.labels[i] for i in result.best]
        doubt = f" (though the study itself does not tell it from {several(self.rivals)})" if self.in_doubt else ""
        verb = "is" if len(best) == 1 else "are"
        return f"{' and '.join(best)} {verb} the best of {len(self.labels)} in {title}{doubt}"

    def _often(self) -> str:
        """How often experiments of usual sizes are wrong."""
        k = self.k.tolist()
        how = "with shared random numbers (paired)" if self.paired else "with independent seeds"
        parts: list[str] = []
        for seeds in [usual for usual in (1, 5, 30) if usual in k] or k[:3]:
            i = k.index(seeds)
            share = _chance(self.wrong[i], self.wrong_error[i], None)
            of = f"{seeds:,} {'seed' if seeds == 1 else 'seeds'}"
            first = f"{how} an experiment of {of} of each names the wrong winner in {share} of cases"
            parts.append(f"of {of} in {share}" if parts else first)
        return ", ".join(parts)

    def _enough(self) -> str:
        """From how many seeds on they are right in 95 %."""
        least, known = self.trustworthy(), ""
        if self.enough.n is not None and self.enough.n_low is not None:
            low, high = self.enough.n_low, self.enough.n_high
            known = f"{low:,} upwards, without end" if high is None else f"{low:,} to {high:,}"
            known = f" ({self.enough.n:,} by the normal limit, 95 % interval {known})"
        if least is None:
            return f"not even {int(self.k.max()):,} bring that to 5 %{known}"
        fewer = self.k[self.k < least]
        if fewer.size:
            return f"{fewer.max():,} are too few and {least:,} enough to bring that to 5 %{known}"
        return f"{least:,} {'is' if least == 1 else 'are'} enough to bring that to 5 %{known}"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that is printed."""
        pair = self.result if isinstance(self.result, Misranking) else None
        header = ["seeds", "wrong winner", "± (std error)"]
        header += ["missed by the test", "± (std error)", "significantly wrong"] if pair is not None else []
        rows = []
        for i, k in enumerate(self.k.tolist()):
            cells = [f"{k:,}", _chance(self.wrong[i], self.wrong_error[i]), in_percent(float(self.wrong_error[i]), 2)]
            how = self.methods[i]
            if pair is not None and self.missed_error is not None:
                cells += [_chance(pair.missed[i], self.missed_error[i]), in_percent(float(self.missed_error[i]), 2)]
                cells.append(in_percent(float(pair.opposite[i]), 2))
                how = how if how == pair.missed_method[i] else f"{how}; {pair.missed_method[i]}"
            rows.append([*cells, f"{self.loss[i]:.3g}", how])
        return [*header, "expected loss", "computed by"], rows

    def _data(self) -> dict[str, Any]:
        table: dict[str, Any] = {"k": self.k, "wrong": self.wrong, "wrong_error": self.wrong_error}
        if isinstance(self.result, Misranking):
            r = self.result
            table |= {"tied": r.tied, "missed": r.missed, "missed_error": self.missed_error, "opposite": r.opposite}
        return table | {"loss": self.loss, "method": list(self.methods)}

    @property
    def words(self) -> str:
        """What an experiment is, and what is held for true."""
        how = "which share random numbers (paired)" if self.paired else "with independent seeds"
        truth = f"the {self.n_agents:,} agents of each that were run are taken for the truth"
        return joined(f"an experiment runs k agents of each configuration, {how}", truth, self.about)

    def __str__(self) -> str:
        """Print a line for each k."""
        if isinstance(self.result, Misranking):
            difference = with_interval(self.result.difference)
            what = [f"better: {self.labels[0]}; worse: {self.labels[1]}; difference {difference}"]
            what.append(f"missed: not found by {self.result.test} at {self.result.alpha:g}")
        else:
            what = [f"best of {len(self.labels)}: {' and '.join(self.labels[i] for i in self.result.best)}"]
        return "\n".join([self.heading, self.words, *what, *columns(*self.table())])


def _chance(p: float, error: float, digits: int | None = 2) -> str:
    """A probability; where resampling has seen none, it is small and not zero.

    >>> _chance(0.0, 0.0003), _chance(0.0, 0.0), _chance(0.25, 0.01, None)
    ('< 0.03 %', '0.00 %', '25 %')
    """
    if p == 0.0 and error > 0:
        return f"< {in_percent(float(error), 2).removeprefix('< ')}"
    return in_percent(float(p), digits)


def misrank(
    study: StudyData,
    a: Any = None,
    b: Any = None,
    metric: str | None = None,
    *,
    k: int | Sequence[int] = USUAL_SEEDS,
    alpha: float = 0.05,
    paired: bool = False,
    missing: Missing = "keep",
    n_resamples: int = 10_000,
    rng: Rng = None,
    where: Mapping[str, Any] | None = None,
) -> StudyMisranking:
    """Compute how often an experiment with k seeds names the wrong winner, or misses a real difference.

    The agents that were run are taken for the truth; an experiment draws k of each configuration.  Exact where that
    is possible, resampled with ``rng`` where it is not: the result says which for every number.

    Parameters
    ----------
    a, b : int, str or mapping, optional
        Two configurations; by default the experiment names the best of all (of two: of these).
    metric, alpha, paired, missing, rng, where
        As everywhere in `Study`; scores that leave no mean, undefined or infinite, are refused.
    k : int or sequence of int, default (1, 3, 5, 10, 30, 100)
        Seeds of each configuration, each at least 1.
    n_resamples : int, default 10_000
        Experiments drawn where resampling is needed.

    Returns
    -------
    StudyMisranking
        ``.wrong`` and, of a pair, ``.missed`` for every k; ``.loss``, what the mistakes cost; ``.trustworthy()``,
        from how many seeds on the winner is right.

    Raises
    ------
    InvalidInput
        If all means are equal, so that no winner is wrong.

    Examples
    --------
    >>> import qfast
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> found = study.misranking(k=[1, 3, 10], rng=0)
    >>> found.labels, found.wrong.round(2).tolist()
    (('epsilon=0.1', 'epsilon=0.4'), [0.44, 0.38, 0.26])
    """
    asked = metric_of(study, metric)
    chosen = select(study, where, one_problem=a is None)
    if a is not None or b is not None or len(chosen) < 3:
        chosen = two_best(study, asked, a, b, where)
    paired = check_paired(study, paired, chosen)
    populations, about = populations_of(study, asked, chosen, _WINNER, paired=paired, missing=missing)
    sign = 1 if asked.higher_is_better else -1
    if len(chosen) == 2 and sign * mean_of(populations[0]) < sign * mean_of(populations[1]):
        chosen, populations = chosen[::-1], populations[::-1]  # the better one comes first
    which: dict[str, Any] = {"paired": paired, "higher_is_better": asked.higher_is_better}
    options = which | {"n_resamples": n_resamples, "rng": rng}
    result: Misranking | BestMisranking
    if len(chosen) == 2:
        result = misranking(populations[0], populations[1], k, alpha=alpha, **options)
    else:
        result = misranking_of_best(populations, k, **options)
    return StudyMisranking(
        metric=asked,
        configurations=tuple(chosen),
        labels=tuple(study.labels[i] for i in chosen),
        means=np.array([mean_of(x) for x in populations]),
        result=result,
        n_agents=min(x.size for x in populations),
        enough=seeds_for_winner(populations, **which),
        rivals=_rivals(study, asked, chosen, missing),
        about=about,
    )


def _rivals(study: StudyData, asked: Metric, chosen: Sequence[int], missing: Missing) -> tuple[str, ...]:
    """Labels of the configurations that the agents at hand, paired if they are, do not tell from the best."""
    paired = are_paired(study, chosen)
    sign = 1 if asked.higher_is_better else -1
    scores = [sign * x for x in populations_of(study, asked, chosen, _WINNER, paired=paired, missing=missing).scores]
    best = np.array([int(np.argmax([mean_of(x) for x in scores]))])
    return tuple(study.labels[chosen[i]] for i in rivals_of(scores, best, paired=paired))


def fine_grid(
    study: StudyData,
    a: Any = None,
    b: Any = None,
    metric: str | None = None,
    *,
    paired: bool = False,
    missing: Missing = "keep",
    where: Mapping[str, Any] | None = None,
) -> list[int]:
    """Numbers of seeds for a smooth curve: the usual ones, and some 30 more up to where hardly any error is left."""
    asked = metric_of(study, metric)
    best_of_all = a is None and b is None and len(select(study, where, one_problem=True)) > 2
    # Of the best of all, the two best are the hardest to tell apart.
    pair = two_best(study, asked, a, b, where)
    paired = check_paired(study, paired, pair)
    x, y = populations_of(study, asked, pair, _WINNER, paired=paired, missing=missing).scores
    variance = float((x - y).var()) if paired else float(x.var() + y.var())
    gap = abs(float(x.mean() - y.mean()))
    # The normal limit is at one in a thousand here.
    wanted = 10 * variance / gap**2 if gap > 0 else math.inf
    most = int(min(max(wanted, 100), _MOST_DRAWN if best_of_all else _MOST_SEEDS))
    grid = np.geomspace(1, most, 26)
    # Close together around where the normal limit is at 5 %, so that the crossing is found closely.
    near = 0.27 * wanted * np.linspace(0.75, 1.35, 9) if wanted < 3 * most else np.empty(0)
    fine = np.rint(np.concatenate([grid, near, USUAL_SEEDS])).astype(int)
    return [int(k) for k in np.unique(fine) if 1 <= k <= most]

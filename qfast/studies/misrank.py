"""How often an experiment with few seeds would have named the wrong winner: the study taken for the truth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.stats import BestMisranking, Misranking, SeedsNeeded, misranking, misranking_of_best, seeds_for_winner
from qfast.stats._check import Rng
from qfast.stats.estimates import mean_of
from qfast.stats.rankings import rivals_of
from qfast.stats.scores import in_range
from qfast.studies.seeds import pair_of
from qfast.studies.select import (
    Metric,
    Missing,
    StudyData,
    are_paired,
    common_scores,
    metric_of,
    pairing,
    refuse_without_means,
    restricted,
    select,
)
from qfast.studies.texts import columns, number, percent, with_interval

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["USUAL_SEEDS", "StudyMisranking", "fine_grid", "misrank"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: What experiments usually have.
USUAL_SEEDS = (1, 3, 5, 10, 30, 100)
# What resampling draws seed by seed, and how far a curve is followed at most.
_MOST_DRAWN, _MOST_SEEDS = 1000, 100_000
_ROUNDING = 1e-12  # difference of means, as a share of them, that is rounding


@dataclass(frozen=True, slots=True, eq=False)
class StudyMisranking:
    """What `Study.misranking` found.

    Parameters
    ----------
    metric : Metric
        By what configurations are ranked.
    configurations : tuple of int
        Their indices: the two of a pair, the better one first, or all.
    labels : tuple of str
        Their settings in words.
    means : ndarray, float64 (n_configurations,)
        Means of the populations, which are taken for the truth.
    result : qfast.stats.Misranking or qfast.stats.BestMisranking
        All numbers, with how they were computed.
    n_agents : int
        Agents of each population (of the smallest).
    enough : qfast.stats.SeedsNeeded
        From how many seeds on the winner is wrong in at most 5 % of cases, by the normal limit of means, with the range
        that it is known in, since the populations are finite; no upper end where the winner itself is in doubt.
    rivals : tuple of str
        Labels of the configurations that the study itself, paired or not as it was run, does not tell from the best.
    about : str
        How many agents that is of those that were run, where it is not all of them; else empty.
    """

    metric: Metric
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
    def wrong(self) -> Floats:
        """Probability to name a configuration that is not the best, (n_k,)."""
        return self.result.wrong_winner if isinstance(self.result, Misranking) else self.result.wrong

    @property
    def wrong_error(self) -> Floats:
        """Its standard error, (n_k,): from resampling, and because the populations are finite."""
        r = self.result
        if isinstance(r, BestMisranking):
            return np.hypot(np.nan_to_num(r.wrong_error), np.nan_to_num(r.wrong_population_error))
        return np.hypot(np.nan_to_num(r.wrong_winner_error), r.wrong_winner_population_error)

    @property
    def missed(self) -> Floats | None:
        """Of a pair: probability that the test does not find the better one to be better, (n_k,)."""
        return self.result.missed if isinstance(self.result, Misranking) else None

    @property
    def missed_error(self) -> Floats | None:
        """Standard error of ``missed``, as of ``wrong``."""
        if isinstance(self.result, BestMisranking):
            return None
        return np.hypot(np.nan_to_num(self.result.missed_error), self.result.missed_population_error)

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

    @property
    def in_doubt(self) -> bool:
        """Whether the study itself leaves it open which is the best: another one is not told from it."""
        return bool(self.rivals)

    def trustworthy(self, risk: float = 0.05) -> int | None:
        """Find the number of seeds, among ``k``, from which on the winner is wrong with at most this probability.

        Parameters
        ----------
        risk : float, default 0.05
            In (0, 1).

        Returns
        -------
        int or None
            None if not even the largest k is enough.
        """
        if not 0 < risk < 1:
            msg = f"risk={risk!r} is outside (0, 1); use a probability such as 0.05"
            raise InvalidInput(msg)
        return self._from_on(self.wrong, risk)

    def _from_on(self, wrong: Floats, risk: float) -> int | None:
        """The smallest k from which on a probability stays at most this high."""
        order = np.argsort(self.k, kind="stable")
        bad = np.flatnonzero(wrong[order] > risk)
        first = 0 if bad.size == 0 else int(bad[-1]) + 1
        return None if first == order.size else int(self.k[order][first])

    @property
    def how(self) -> str:
        """Which experiments are meant, in words."""
        return "with shared random numbers (paired)" if self.paired else "with independent seeds"

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        parts = []
        shown = [k for k in (1, 5, 30) if k in self.k] or self.k[:3].tolist()
        for n, k in enumerate(shown):
            i = self.k.tolist().index(k)
            share = _chance(float(self.wrong[i]), float(self.wrong_error[i]), None)
            seeds = f"{k:,} {'seed' if k == 1 else 'seeds'}"
            first = f"{self.how} an experiment of {seeds} of each names the wrong winner in {share} of cases"
            parts.append(first if n == 0 else f"of {seeds} in {share}")
        least = self.trustworthy()
        fewer = [k for k in self.k.tolist() if least is not None and k < least]
        end = (
            f"not even {int(self.k.max()):,} bring that to 5 %"
            if least is None
            else f"{max(fewer):,} are too few and {least:,} enough to bring that to 5 %"
            if fewer
            else f"{least:,} {'is' if least == 1 else 'are'} enough to bring that to 5 %"
        )
        if self.enough.n is not None and self.enough.n_low is not None:
            low, high = self.enough.n_low, self.enough.n_high
            known = f"{low:,} upwards, without end" if high is None else f"{low:,} to {high:,}"
            end += f" ({self.enough.n:,} by the normal limit, 95 % interval {known})"
        if isinstance(self.result, Misranking):
            d = self.result.difference
            by = f" by {number(abs(d.value), d.interval.half_width)}" if d.defined else ""  # beyond float64
            truth = f"{self.labels[0]} is better than {self.labels[1]}{by} in {self.metric.title}"
            if self.in_doubt:
                truth += " (though the study itself leaves that open)"
        else:
            best = [self.labels[i] for i in self.result.best]
            verb = "is" if len(best) == 1 else "are"
            truth = f"{' and '.join(best)} {verb} the best of {len(self.labels)} in {self.metric.title}"
            if self.in_doubt:
                more = f" and {len(self.rivals) - 2:,} more" if len(self.rivals) > 2 else ""
                truth += f" (though the study itself does not tell it from {'; '.join(self.rivals[:2])}{more})"
        return f"{truth}; {', '.join(parts)}; {end}{'; ' if self.about else ''}{self.about}."

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that is printed."""
        header = ["seeds", "wrong winner", "± (std error)"]
        pair = self.result if isinstance(self.result, Misranking) else None
        if pair is not None:
            header += ["missed by the test", "± (std error)", "significantly wrong"]
        header += ["expected loss", "computed by"]
        rows = []
        for i, k in enumerate(self.k.tolist()):
            cells = [f"{k:,}", _chance(self.wrong[i], self.wrong_error[i]), percent(float(self.wrong_error[i]), 2)]
            how = self.methods[i]
            if pair is not None and self.missed_error is not None:
                cells += [_chance(pair.missed[i], self.missed_error[i]), percent(float(self.missed_error[i]), 2)]
                cells.append(percent(float(pair.opposite[i]), 2))
                how = how if how == pair.missed_method[i] else f"{how}; {pair.missed_method[i]}"
            rows.append([*cells, f"{self.loss[i]:.3g}", how])
        return header, rows

    def to_dataframe(self) -> "DataFrame":
        """Give a pandas table with a row for each k."""
        import pandas as pd

        table: dict[str, Any] = {"k": self.k, "wrong": self.wrong, "wrong_error": self.wrong_error}
        if isinstance(self.result, Misranking):
            r = self.result
            table |= {"tied": r.tied, "missed": r.missed, "missed_error": self.missed_error, "opposite": r.opposite}
        table |= {"loss": self.loss, "method": list(self.methods)}
        return pd.DataFrame(table)

    @property
    def words(self) -> str:
        """What an experiment is, and what is held for true."""
        how = "which share random numbers (paired)" if self.paired else "with independent seeds"
        return (
            f"an experiment runs k agents of each configuration, {how}; "
            f"the {self.n_agents:,} agents of each that were run are taken for the truth"
            f"{'; ' if self.about else ''}{self.about}"
        )

    def __str__(self) -> str:
        """Print a line for each k."""
        lines = [f"{self.metric.axis}; {self.metric.direction}", self.words]
        if isinstance(self.result, Misranking):
            difference = with_interval(self.result.difference)
            lines.append(f"better: {self.labels[0]}; worse: {self.labels[1]}; difference {difference}")
            lines.append(f"missed: not found by {self.result.test} at {self.result.alpha:g}")
        else:
            lines.append(f"best of {len(self.labels)}: {' and '.join(self.labels[i] for i in self.result.best)}")
        return "\n".join([*lines, *columns(*self.table())])


def _chance(p: float, error: float, digits: int | None = 2) -> str:
    """A probability; where resampling has seen none, it is small and not zero.

    Examples
    --------
    >>> _chance(0.0, 0.0003), _chance(0.0, 0.0), _chance(0.25, 0.01, None)
    ('< 0.03 %', '0.00 %', '25 %')
    """
    if p == 0.0 and error > 0:
        return f"< {percent(error, 2).removeprefix('< ')}"
    return percent(float(p), digits)


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
    pair = list(pair_of(study, asked, a, b, where))
    together = pairing(study, paired, pair)
    refuse_without_means(study, asked, pair, "a wrong winner by the mean", missing=missing)
    x, y = populations_of(study, asked, pair, paired=together, missing=missing)[0]
    variance = float((x - y).var()) if together else float(x.var() + y.var())
    gap = abs(float(x.mean() - y.mean()))
    # The normal limit is at one in a thousand here.
    wanted = 10 * variance / gap**2 if gap > 0 else math.inf
    most = int(min(max(wanted, 100), _MOST_DRAWN if best_of_all else _MOST_SEEDS))
    grid = np.geomspace(1, most, 26)
    # Close together around where the normal limit is at 5 %, so that the crossing is found closely.
    near = 0.27 * wanted * np.linspace(0.75, 1.35, 9) if wanted < 3 * most else np.empty(0)
    fine = np.rint(np.concatenate([grid, near, USUAL_SEEDS])).astype(int)
    return [int(k) for k in np.unique(fine) if 1 <= k <= most]


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
        Two configurations, as in `compare`; by default the experiment names the best of all (of two: of these).
    metric : str, optional
        As in `summary`.
    k : int or sequence of int, default (1, 3, 5, 10, 30, 100)
        Seeds of each configuration, each at least 1.
    alpha : float, default 0.05
        Two-sided level of the test that misses, in (0, 1).
    paired : bool, default False
        Whether the experiment shares random numbers, as agents of one study do; experiments elsewhere have
        independent seeds.
    missing : {"keep", "drop"}, default "keep"
        As in `seeds_needed`.
    n_resamples : int, default 10_000
        Experiments drawn where resampling is needed.
    rng : int, SeedSequence, Generator or None
        Randomness of the resampling (SPEC 7).
    where : mapping, optional
        As in `summary`; of a study of several problems, name one here.

    Returns
    -------
    StudyMisranking
        ``.wrong`` and, of a pair, ``.missed`` for every k; ``.loss``, what the mistakes cost; ``.trustworthy()``,
        from how many seeds on the winner is right.

    Raises
    ------
    InvalidInput
        As in `compare_all`; or if all means are equal, so that no winner is wrong.

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
    if not (a is None and b is None and len(chosen) > 2):
        chosen = list(pair_of(study, asked, a, b, where))
    together = pairing(study, paired, chosen)
    options: dict[str, Any] = {
        "paired": together, "higher_is_better": asked.higher_is_better, "n_resamples": n_resamples, "rng": rng
    }  # fmt: skip
    result: Misranking | BestMisranking
    if len(chosen) > 2:
        refuse_without_means(study, asked, chosen, "a wrong winner by the mean", missing=missing)
        populations, about = populations_of(study, asked, chosen, paired=together, missing=missing)
        result = misranking_of_best(populations, k, **options)
    else:
        refuse_without_means(study, asked, chosen, "a wrong winner by the mean", missing=missing)
        populations, about = populations_of(study, asked, chosen, paired=together, missing=missing)
        sign = 1 if asked.higher_is_better else -1
        if sign * mean_of(populations[0]) < sign * mean_of(populations[1]):  # the better one comes first
            chosen.reverse()
            populations.reverse()
        result = misranking(populations[0], populations[1], k, alpha=alpha, **options)
    return StudyMisranking(
        metric=asked,
        configurations=tuple(chosen),
        labels=tuple(str(study.labels[i]) for i in chosen),
        means=np.array([mean_of(x) for x in populations]),
        result=result,
        n_agents=min(x.size for x in populations),
        enough=seeds_for_winner(populations, paired=together, higher_is_better=asked.higher_is_better),
        rivals=_rivals(study, asked, chosen, missing=missing),
        about=about,
    )


def _rivals(study: StudyData, asked: Metric, configurations: Sequence[int], *, missing: Missing) -> tuple[str, ...]:
    """Labels of the configurations that the agents at hand do not tell from the best."""
    sign = 1 if asked.higher_is_better else -1
    together = are_paired(study, configurations)
    populations = [
        sign * x for x in populations_of(study, asked, configurations, paired=together, missing=missing)[0]
    ]
    best = np.array([int(np.argmax([mean_of(x) for x in populations]))])
    found = rivals_of(populations, best, paired=together)
    return tuple(str(study.labels[configurations[i]]) for i in found)


def populations_of(
    study: StudyData, asked: Metric, configurations: Sequence[int], *, paired: bool, missing: Missing
) -> tuple[list[Floats], str]:
    """Scores that are taken for the truth, and how many agents they are of where it is not all."""
    found = common_scores(study, asked, configurations, paired=paired, missing=missing)
    return [restricted(study, asked, x) for x in found.scores], found.about

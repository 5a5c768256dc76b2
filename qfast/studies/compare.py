"""Two configurations, and all pairs of them: which is better, by how much, how sure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.stats import Comparison, compare, correct, probability_of_improvement
from qfast.stats._check import check_open_unit
from qfast.studies.select import (
    Metric,
    Missing,
    StudyData,
    are_paired,
    common_scores,
    earliest,
    infinite_text,
    metric_of,
    ranked,
    restricted,
    select,
    two_configurations,
    undefined_text,
)
from qfast.studies.texts import UNDEFINED, Answer, joined, size_of, with_interval
from qfast.text import columns, in_percent, p_text

__all__ = ["AllComparisons", "PairComparison", "compare_all", "compare_pair"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairComparison(Answer):
    """What `Study.compare` found about the configurations a and b.

    Parameters
    ----------
    a, b : int
        Their indices; ``label_a`` and ``label_b`` are their settings in words.
    comparison : qfast.stats.Comparison
        Difference of means, probability of improvement, effect size, each with its interval, and the test.
    adjusted_p_value, alpha : float
        The p-value, in `Study.compare_all` corrected for the other pairs, and what it is held against.
    about : str
        How many agents it is about, where that is not all of them.
    no_verdict, no_mean : str
        Why there is no verdict, and why there are no means: scores are undefined or infinite for some agents.
    """

    a: int
    b: int
    label_a: str
    label_b: str
    comparison: Comparison
    adjusted_p_value: float
    alpha: float
    about: str = ""
    no_verdict: str = ""
    no_mean: str = ""

    @property
    def better(self) -> str | None:
        """``"a"`` or ``"b"`` where the test finds a difference, else None."""
        c = self.comparison
        if self.no_verdict or not self.adjusted_p_value < self.alpha or (c.better is None and not c.difference.defined):
            return None
        if self.metric.interval_censored and c.difference.defined and 0.0 in c.difference.interval:
            return None  # the checkpoints are too far apart to tell
        return c.ahead

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        c, title, winner = self.comparison, self.metric.title, self.better
        if self.no_verdict:
            return f"No verdict on {title} between {self.label_a} and {self.label_b}: {self.no_verdict}."
        how = "agents paired by their random numbers" if c.paired else "independent agents"
        test = f"p {p_text(self.adjusted_p_value)}, {joined(f'{c.test}, {how}', self.about)}"
        care = f"; with care: {c.difference.caution}" if c.difference.caution else ""
        if winner is None:
            told = with_interval(c.difference) if c.difference.defined else f"the means are not defined, {self.no_mean}"
            if self.metric.interval_censored and self.adjusted_p_value < self.alpha:
                told += ", since the checkpoints are too far apart to tell"
            between = f"between {self.label_a} and {self.label_b}"
            return f"No difference in {title} is found {between}: {told} ({test}){care}."
        first, second = (self.label_a, self.label_b) if winner == "a" else (self.label_b, self.label_a)
        chance = c.probability_of_improvement.value if winner == "a" else 1 - c.probability_of_improvement.value
        of = "on the same seed it does better" if c.paired else "one of its agents does better than one of the other's"
        often = f"{of} in {in_percent(chance)} of cases (ties count half; {test})"
        head = f"{first} is better than {second} in {title}"
        if not c.difference.defined:
            return f"{head}: {often}; a difference of means is not defined: {self.no_mean}."
        return f"{head} by {size_of(c.difference)} on average; {often}{care}."

    def __str__(self) -> str:
        """Print the sentence and the numbers behind it."""
        c = self.comparison
        return "\n".join((
            self.heading,
            f"  a: {self.label_a} ({c.n_a:,} agents)",
            f"  b: {self.label_b} ({c.n_b:,} agents, {'paired with a' if c.paired else 'independent of a'})",
            f"  mean(a) - mean(b)           {c.difference if c.difference.defined else UNDEFINED}",
            f"  probability of improvement  {c.probability_of_improvement}",
            f"  effect size                 {c.effect_size if c.effect_size.defined else UNDEFINED}",
            f"  p {p_text(c.p_value)} ({c.test})",
            self.sentence,
        ))  # fmt: skip

    def _data(self) -> list[dict[str, Any]]:
        c = self.comparison
        line: dict[str, Any] = {"a": self.label_a, "b": self.label_b, "n_a": c.n_a, "n_b": c.n_b, "paired": c.paired}
        for name in ("difference", "probability_of_improvement", "effect_size"):
            e = getattr(c, name)
            line |= {name: e.value, f"{name}_low": e.interval.low, f"{name}_high": e.interval.high}
        line |= {"p_value": c.p_value, "adjusted_p_value": self.adjusted_p_value, "test": c.test}
        line["better"] = {"a": self.label_a, "b": self.label_b, None: ""}[self.better]
        return [line]


@dataclass(frozen=True, slots=True)
class AllComparisons(Answer):
    """What `Study.compare_all` found: every pair, with p-values corrected for their number.

    Parameters
    ----------
    pairs : tuple of PairComparison
        The better-ranked configuration of each pair is ``a``; sorted by the ranks of a, then of b.
    order, labels : tuple of int, tuple of str
        The configurations, the best first, and their settings in words.
    method, alpha : str, float
        How the p-values were corrected, and what they are held against.
    level, simultaneous : float, bool
        Confidence level of the intervals, and whether those of one kind hold all together (Bonferroni).
    by_mean, ranked_by : bool, str
        Whether configurations are ranked by their means, which some may not have, and else by what.
    """

    pairs: tuple[PairComparison, ...]
    order: tuple[int, ...]
    labels: tuple[str, ...]
    method: str
    level: float
    simultaneous: bool
    alpha: float
    by_mean: bool = True
    ranked_by: str = "mean"

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self.pairs)

    @property
    def n_different(self) -> int:
        """How many pairs differ, by the corrected test."""
        return sum(pair.better is not None for pair in self.pairs)

    @property
    def equals_of_best(self) -> tuple[str, ...]:
        """Labels of the configurations that cannot be told apart from the best one."""
        open_ = (pair for pair in self.pairs if pair.better is None and not pair.no_verdict)
        return tuple(pair.label_b for pair in open_ if pair.a == self.order[0])

    @property
    def told_apart(self) -> str:
        """How many pairs are told apart, and of how many nothing is said, in a sentence."""
        n, silent = len(self), [pair.no_verdict for pair in self.pairs if pair.no_verdict]
        every = "The one pair is" if n == 1 else "Both pairs are" if n == 2 else f"All {n:,} pairs are"
        none = "The one pair is not" if n == 1 else f"None of the {n:,} pairs is"
        some = f"{self.n_different:,} of {n:,} pairs are"
        text = f"{every if self.n_different == n else some if self.n_different else none} told apart"
        return f"{text}; of {len(silent):,} there is no verdict: {silent[0]}." if silent else f"{text}."

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is not said and why, how many agents the rest is about, what to take with care; each once."""
        found = ((pair.no_verdict, pair.no_mean, pair.about, pair.comparison.difference.caution) for pair in self.pairs)
        return tuple(dict.fromkeys(text for texts in found for text in texts if text))

    def probability_of_improvement(self) -> Floats:
        """P(row does better than column), (n, n) in the order of ``order``; nan on the diagonal and where not asked."""
        place = {c: i for i, c in enumerate(self.order)}
        matrix = np.full((len(self.order), len(self.order)), np.nan)
        for pair in self.pairs:
            p = pair.comparison.probability_of_improvement.value
            matrix[place[pair.a], place[pair.b]], matrix[place[pair.b], place[pair.a]] = p, 1 - p
        return matrix

    def _data(self) -> list[dict[str, Any]]:
        return [line for pair in self.pairs for line in pair._data()]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that is printed."""
        header = ["better ranked (a)", "other (b)", "mean(a) - mean(b)", "P(a better)", "effect size"]
        header += ["adjusted p", "verdict"]
        verdicts = {"a": "a is better", "b": "b is better", None: "not told apart"}
        rows = []
        for pair in self.pairs:
            c = pair.comparison
            effect = f"{c.effect_size.value:.3g}" if c.effect_size.defined else UNDEFINED
            verdict = "no verdict" if pair.no_verdict else verdicts[pair.better]
            p = "-" if np.isnan(pair.adjusted_p_value) else p_text(pair.adjusted_p_value).removeprefix("= ")
            intervals = [with_interval(e) for e in (c.difference, c.probability_of_improvement)]
            rows.append([pair.label_a, pair.label_b, *intervals, effect, p, verdict])
        return header, rows

    @property
    def words(self) -> str:
        """What the test, the correction and the intervals are."""
        c = self.pairs[0].comparison
        how = "paired by agent" if c.paired else "independent agents"
        together = "all together (Bonferroni)" if self.simultaneous else "each by itself"
        tests = " or ".join(dict.fromkeys(pair.comparison.test for pair in self.pairs if not pair.no_verdict)) or c.test
        return (
            f"{tests}, {how}; p-values corrected for {len(self):,} pair{'s' * (len(self) > 1)} ({self.method}), "
            f"held against {self.alpha:g}; {100 * self.level:g} % intervals hold {together}"
        )

    def __str__(self) -> str:
        """Print a line for each pair."""
        lines = [self.heading, self.words, "", *columns(*self.table())]
        if not self.by_mean:
            lines.append(f"ranked by which has its {self.ranked_by}")
        if any(pair.no_verdict for pair in self.pairs):
            lines.append("ranked as far as the scores tell that are defined")
        return "\n".join([*lines, *(f"  {reason}" for reason in self.reasons[:12])])


def compare_pair(
    study: StudyData, a: Any, b: Any, metric: str | None = None, *, level: float = 0.95, missing: Missing = "keep"
) -> PairComparison:
    """Compare two configurations: difference, probability of improvement, effect size, test.

    Agents are paired if the study was: then agent i of a is held against agent i of b, which had the same random
    numbers, and agents that only one of them ran are left out.  Where scores are infinite, a difference of means is not
    defined: ranks decide, by the probability of improvement.

    Parameters
    ----------
    a, b, metric, level, missing
        As everywhere in `Study`.  The test is held against 1 - level; with ``missing="keep"`` there is no verdict that
        undefined scores could change.

    Returns
    -------
    PairComparison
        ``.sentence`` is the finding, ``.comparison`` a `qfast.stats.Comparison`.

    Examples
    --------
    >>> import qfast
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> found = study.compare("epsilon=0.4", {"epsilon": 0.1})
    >>> found.better, found.comparison.test
    ('b', 'paired t-test')
    """
    asked, level = metric_of(study, metric), check_open_unit(level, "level", 0.95)
    return _compare(study, asked, *two_configurations(study, a, b), level=level, alpha=1 - level, missing=missing)


def _compare(
    study: StudyData, asked: Metric, i: int, j: int, *, level: float, alpha: float, missing: Missing
) -> PairComparison:
    paired = are_paired(study, [i, j])
    x, y = common_scores(study, asked, [i, j]).scores  # the statistics leave out what is undefined
    options: dict[str, Any] = {
        "paired": paired, "higher_is_better": asked.higher_is_better, "level": level, "missing": missing
    }  # fmt: skip
    bounds = (0.0, 1.0) if asked.is_bool else None
    result = compare(restricted(study, asked, x), restricted(study, asked, y), bounds=bounds, **options)
    if asked.is_time and (np.isposinf(x).any() or np.isposinf(y).any()):  # what never happened is behind all else
        result = replace(result, probability_of_improvement=probability_of_improvement(x, y, **options))
    if asked.interval_censored and result.difference.defined:
        known = ~(np.isnan(x) | np.isnan(y)) if paired else slice(None)
        ends = result.difference.interval
        ends = replace(
            ends, low=ends.low - _lateness(study, asked, x[known]), high=ends.high + _lateness(study, asked, y[known])
        )
        result = replace(result, difference=replace(result.difference, interval=ends))
    undefined = undefined_text(study, asked, [i, j]) if missing == "keep" else ""
    silent = undefined if result.better is None else ""
    about = ""
    if not result.probability_of_improvement.defined:
        silent = silent or f"{asked.name} is defined for too few of their agents"
    else:
        about = common_scores(study, asked, [i, j], missing=missing).about
    return PairComparison(
        metric=asked,
        a=i,
        b=j,
        label_a=study.labels[i],
        label_b=study.labels[j],
        comparison=result,
        adjusted_p_value=result.p_value,
        alpha=alpha,
        about=about,
        no_verdict=silent,
        no_mean=(
            undefined.partition(";")[0]
            or infinite_text(study, asked, [i, j], paired=paired, missing=missing)
            or result.difference.reason.removeprefix("not defined: ")
        ),
    )


def _lateness(study: StudyData, metric: Metric, scores: Floats) -> float:
    """By how much the mean of times may be earlier than that of the checkpoints that saw them."""
    scores = scores[~np.isnan(scores)]
    early = restricted(study, metric, earliest(study, metric, scores))
    return float((restricted(study, metric, scores) - early).mean())


def compare_all(
    study: StudyData,
    metric: str | None = None,
    *,
    level: float = 0.95,
    method: str = "holm",
    against: Any = None,
    simultaneous: bool = False,
    missing: Missing = "keep",
    where: Mapping[str, Any] | None = None,
) -> AllComparisons:
    """Compare all pairs of configurations, with p-values corrected for their number.

    They are ranked by all agents that each ran; a pair is compared as `compare` does it.

    Parameters
    ----------
    metric, level, missing, where
        As everywhere in `Study`, and in `compare`; corrected p-values are held against 1 - level.
    method : {"holm", "benjamini-hochberg", "benjamini-yekutieli"}, default "holm"
        How p-values are corrected; see `qfast.stats.correct`.
    against : int, str or mapping, optional
        Compare all others with this one only, which is many fewer pairs.
    simultaneous : bool, default False
        Widen the intervals so that those of one kind hold all together (Bonferroni).

    Returns
    -------
    AllComparisons
        Prints as a table; ``.pairs``, ``.to_dataframe()``, ``.probability_of_improvement()``.

    Examples
    --------
    >>> import qfast
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> vary = {"epsilon": [0.1, 0.2, 0.4]}
    >>> study = qfast.study(lake, vary=vary, n_agents=200, episodes=50, seed=0, progress=False)
    >>> pairs = study.compare_all()
    >>> len(pairs), pairs.labels[0], pairs.n_different
    (3, 'epsilon=0.1', 1)
    """
    asked, level = metric_of(study, metric), check_open_unit(level, "level", 0.95)
    correct([0.5], method=method)  # an unknown method is refused before any work
    ranking = ranked(study, asked, select(study, where, one_problem=True))
    order = ranking.order
    if len(order) < 2:
        msg = "one configuration alone cannot be compared; vary something, or name fewer settings in where"
        raise InvalidInput(msg)
    one = None if against is None else study.find(against)
    if one is not None and one not in order:
        raise InvalidInput(f"against={against!r} is not among the configurations of where; name one of {len(order)}")
    wanted = [(i, j) for n, i in enumerate(order) for j in order[n + 1 :] if one is None or one in (i, j)]
    alpha = 1 - level
    inner = 1 - alpha / len(wanted) if simultaneous else level
    pairs = [_compare(study, asked, i, j, level=inner, alpha=alpha, missing=missing) for i, j in wanted]
    adjusted = correct([pair.comparison.p_value for pair in pairs], method=method)
    return AllComparisons(
        metric=asked,
        pairs=tuple(replace(pair, adjusted_p_value=p) for pair, p in zip(pairs, adjusted.tolist(), strict=True)),
        order=tuple(order),
        labels=tuple(study.labels[i] for i in order),
        method=method,
        level=level,
        simultaneous=simultaneous,
        alpha=alpha,
        by_mean=ranking.by_mean,
        ranked_by=ranking.words,
    )

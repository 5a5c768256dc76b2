"""Two configurations, and all pairs of them: which is better, by how much, how sure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.stats import Comparison, compare, correct
from qfast.studies.asked import Metric, StudyData, common_scores, metric_of, ranked, select
from qfast.studies.texts import columns, number, p_text, percent, with_interval

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["AllComparisons", "PairComparison", "compare_all", "compare_pair"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairComparison:
    """What `Study.compare` found about the configurations a and b.

    Parameters
    ----------
    metric : Metric
        What was compared.
    a, b : int
        The configurations' indices.
    label_a, label_b : str
        Their settings in words.
    comparison : qfast.stats.Comparison
        Difference of means, probability of improvement, effect size, each with its interval, and the test.
    adjusted_p_value : float
        The p-value corrected for the other pairs of `Study.compare_all`; of a pair alone, the p-value itself.
    alpha : float
        What the p-value is held against.
    """

    metric: Metric
    a: int
    b: int
    label_a: str
    label_b: str
    comparison: Comparison
    adjusted_p_value: float
    alpha: float

    @property
    def better(self) -> str | None:
        """``"a"`` or ``"b"`` where the test finds a difference, else None."""
        if self.adjusted_p_value >= self.alpha:
            return None
        return "a" if (self.comparison.difference.value > 0) == self.metric.higher_is_better else "b"

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        c, o = self.comparison, self.metric
        how = "agents paired by their random numbers" if c.paired else "independent agents"
        winner = self.better
        if winner is None:
            return (
                f"No difference in {o.title} is found between {self.label_a} and {self.label_b}: "
                f"{with_interval(c.difference)} (p {p_text(self.adjusted_p_value)}, {c.test}, {how})."
            )
        first, second = (self.label_a, self.label_b) if winner == "a" else (self.label_b, self.label_a)
        chance = c.probability_of_improvement.value if winner == "a" else 1 - c.probability_of_improvement.value
        # By how much in the good direction, whichever that is.
        size = abs(c.difference.value)
        ends = sorted(abs(end) for end in (c.difference.interval.low, c.difference.interval.high))
        error = c.difference.interval.half_width
        span = f"{number(size, error)} [{number(ends[0], error)}, {number(ends[1], error)}]"
        crossing = c.difference.interval.low <= 0 <= c.difference.interval.high
        by = f"{number(size, error)} ± {number(error, error)}" if crossing else span
        of = "on the same seed it does better" if c.paired else "one of its agents does better than one of the other's"
        return (
            f"{first} is better than {second} in {o.title} by {by} on average; {of} in {percent(chance)} of cases "
            f"(ties count half; p {p_text(self.adjusted_p_value)}, {c.test}, {how})."
        )

    def __str__(self) -> str:
        """Print the sentence and the numbers behind it."""
        c = self.comparison
        return "\n".join(
            (
                f"{self.metric.axis}; {self.metric.direction}",
                f"  a: {self.label_a} ({c.n_a:,} agents)",
                f"  b: {self.label_b} ({c.n_b:,} agents, {'paired with a' if c.paired else 'independent of a'})",
                f"  mean(a) - mean(b)           {c.difference}",
                f"  probability of improvement  {c.probability_of_improvement}",
                f"  effect size                 {c.effect_size}",
                f"  p {p_text(c.p_value)} ({c.test})",
                self.sentence,
            )
        )


@dataclass(frozen=True, slots=True)
class AllComparisons:
    """What `Study.compare_all` found: every pair, with p-values corrected for their number.

    Parameters
    ----------
    metric : Metric
        What was compared.
    pairs : tuple of PairComparison
        The better-ranked configuration of each pair is ``a``; sorted by the ranks of a, then of b.
    order : tuple of int
        The configurations, the best mean first.
    labels : tuple of str
        Their settings in words, in that order.
    method : str
        How the p-values were corrected.
    level : float
        Confidence level of the intervals.
    simultaneous : bool
        Whether all intervals of one kind hold together at that level (Bonferroni), or each by itself.
    alpha : float
        What the corrected p-values are held against.
    """

    metric: Metric
    pairs: tuple[PairComparison, ...]
    order: tuple[int, ...]
    labels: tuple[str, ...]
    method: str
    level: float
    simultaneous: bool
    alpha: float

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
        return tuple(pair.label_b for pair in self.pairs if pair.a == self.order[0] and pair.better is None)

    def probability_of_improvement(self) -> Floats:
        """P(row does better than column), (n, n) in the order of ``order``; nan on the diagonal and where not asked."""
        place = {c: i for i, c in enumerate(self.order)}
        matrix = np.full((len(self.order), len(self.order)), np.nan)
        for pair in self.pairs:
            p = pair.comparison.probability_of_improvement.value
            matrix[place[pair.a], place[pair.b]], matrix[place[pair.b], place[pair.a]] = p, 1 - p
        return matrix

    def to_dataframe(self) -> "DataFrame":
        """Give a pandas table with a row for each pair."""
        import pandas as pd

        table = []
        for pair in self.pairs:
            c = pair.comparison
            line: dict[str, Any] = {"a": pair.label_a, "b": pair.label_b}
            line |= {"n_a": c.n_a, "n_b": c.n_b, "paired": c.paired}
            for name in ("difference", "probability_of_improvement", "effect_size"):
                e = getattr(c, name)
                line |= {name: e.value, f"{name}_low": e.interval.low, f"{name}_high": e.interval.high}
            line |= {"p_value": c.p_value, "adjusted_p_value": pair.adjusted_p_value, "test": c.test}
            line["better"] = {"a": pair.label_a, "b": pair.label_b, None: ""}[pair.better]
            table.append(line)
        return pd.DataFrame(table)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that is printed."""
        header = ["better ranked (a)", "other (b)", "mean(a) - mean(b)", "P(a better)", "effect size"]
        header += ["adjusted p", "verdict"]
        verdicts = {"a": "a is better", "b": "b is better", None: "not told apart"}
        rows = []
        for pair in self.pairs:
            c = pair.comparison
            rows.append([
                pair.label_a, pair.label_b, with_interval(c.difference), with_interval(c.probability_of_improvement),
                f"{c.effect_size.value:.3g}", p_text(pair.adjusted_p_value).removeprefix("= "), verdicts[pair.better],
            ])  # fmt: skip
        return header, rows

    @property
    def words(self) -> str:
        """What the test, the correction and the intervals are."""
        c = self.pairs[0].comparison
        how = "paired by agent" if c.paired else "independent agents"
        together = "all together (Bonferroni)" if self.simultaneous else "each by itself"
        return (
            f"{c.test}, {how}; p-values corrected for {len(self):,} pairs ({self.method}), "
            f"held against {self.alpha:g}; {100 * self.level:g} % intervals hold {together}"
        )

    def __str__(self) -> str:
        """Print a line for each pair."""
        lines = [f"{self.metric.axis}; {self.metric.direction}", f"{self.words}", ""]
        return "\n".join([*lines, *columns(*self.table())])


def compare_pair(study: StudyData, a: Any, b: Any, metric: str | None, *, level: float) -> PairComparison:
    """Compare two configurations; see `Study.compare`."""
    asked, i, j = metric_of(study, metric), study.find(a), study.find(b)
    if i == j:
        msg = f"a={a!r} and b={b!r} are the same configuration ({study.labels[i]}); name two"
        raise InvalidInput(msg)
    found = _compare(study, asked, i, j, level=level, alpha=1 - level)
    return replace(found, adjusted_p_value=found.comparison.p_value)


def _compare(study: StudyData, asked: Metric, i: int, j: int, *, level: float, alpha: float) -> PairComparison:
    x, y = common_scores(study, asked, [i, j])
    found = compare(x, y, paired=study.paired, higher_is_better=asked.higher_is_better, level=level)
    return PairComparison(asked, i, j, str(study.labels[i]), str(study.labels[j]), found, found.p_value, alpha)


def compare_all(
    study: StudyData,
    metric: str | None,
    *,
    level: float,
    method: str,
    against: Any,
    simultaneous: bool,
    where: Mapping[str, Any] | None,
) -> AllComparisons:
    """Compare all pairs, or all with one; see `Study.compare_all`."""
    asked = metric_of(study, metric)
    correct([0.5], method=method)  # an unknown method is refused before any work
    order = ranked(study, asked, select(study, where, one_problem=True))
    if len(order) < 2:
        msg = "one configuration alone cannot be compared; vary something, or name fewer settings in where"
        raise InvalidInput(msg)
    one = None if against is None else study.find(against)
    if one is not None and one not in order:
        msg = f"against={against!r} is not among the configurations of where; name one of {len(order)}"
        raise InvalidInput(msg)
    wanted = [(i, j) for n, i in enumerate(order) for j in order[n + 1 :] if one is None or one in (i, j)]
    alpha = 1 - level
    inner = 1 - alpha / len(wanted) if simultaneous else level
    pairs = [_compare(study, asked, i, j, level=inner, alpha=alpha) for i, j in wanted]
    adjusted = correct([pair.comparison.p_value for pair in pairs], method=method)
    return AllComparisons(
        metric=asked,
        pairs=tuple(replace(pair, adjusted_p_value=p) for pair, p in zip(pairs, adjusted.tolist(), strict=True)),
        order=tuple(order),
        labels=tuple(str(study.labels[i]) for i in order),
        method=method,
        level=level,
        simultaneous=simultaneous,
        alpha=alpha,
    )

"""One outcome of every configuration: where its agents are, how sure that is, and how far they lie apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qfast.stats import (
    Estimate,
    Interval,
    PrecisionRule,
    Quantile,
    Summary,
    estimate_quantile,
    estimate_share,
    summarize,
    tolerance_interval,
)
from qfast.studies.asked import Outcome, StudyData, outcome_of, precision_of, raw_scores, scores_of, select
from qfast.studies.texts import columns, number, percent, plus_minus, with_interval

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["ConfigurationSummary", "StudySummary", "summarize_study"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ConfigurationSummary:
    """What `Study.summary` says of one configuration.

    Parameters
    ----------
    configuration : int
        Its index in the study.
    label : str
        Its settings in words.
    settings : mapping
        The values of what was varied.
    summary : qfast.stats.Summary
        Mean, median, interquartile mean; standard deviation, quantiles, tolerance interval; and ``share``, where a bar
        was given or the scores are 0 and 1.
    optimal : Estimate or None
        Share of the agents whose greedy policy is optimal, with Clopper and Pearson's interval;
        None if it was not measured.
    happened : Estimate or None
        Share of the agents for which it happened at all, where the outcome is a time that may be infinite.
    """

    configuration: int
    label: str
    settings: Mapping[str, Any]
    summary: Summary
    optimal: Estimate | None
    happened: Estimate | None

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """Every number that has a confidence interval, with its name."""
        one = self.summary
        yield from (("mean", one.mean), ("median", one.median), ("iqm", one.iqm), ("std", one.std))
        for quantile in one.quantiles:
            yield f"q{100 * quantile.p:g}", quantile.estimate
        if one.share is not None:
            yield "share", one.share
        if self.optimal is not None:
            yield "optimal", self.optimal
        if self.happened is not None:
            yield "happened", self.happened


@dataclass(frozen=True, slots=True)
class StudySummary:
    """What `Study.summary` found; printing it gives two tables, the uncertainty apart from the spread.

    Parameters
    ----------
    outcome : Outcome
        What was summed up.
    rows : tuple of ConfigurationSummary
        One for each configuration.
    level : float
        Confidence level of each interval by itself.
    n_configurations : int
        How many the study has in all.
    stopping : str
        How the number of agents was chosen, where it was by looking at an interval; else empty.
    """

    outcome: Outcome
    rows: tuple[ConfigurationSummary, ...]
    level: float
    n_configurations: int
    stopping: str = ""

    def __len__(self) -> int:
        """Count the configurations."""
        return len(self.rows)

    @property
    def best(self) -> ConfigurationSummary:
        """The configuration with the best mean."""
        sign = 1 if self.outcome.higher_is_better else -1
        return max(self.rows, key=lambda row: sign * row.summary.mean.value)

    @property
    def methods(self) -> dict[str, tuple[str, ...]]:
        """How the intervals of each statistic were made, without repetition."""
        found: dict[str, dict[str, None]] = {}
        for row in self.rows:
            for name, estimate in row.estimates():
                key = "quantiles" if name[0] == "q" and name[1:2].isdigit() else name
                found.setdefault(key, {})[_family(estimate.interval.method)] = None
            found.setdefault("tolerance", {})[_family(row.summary.tolerance.method)] = None
        return {name: tuple(methods) for name, methods in found.items()}

    def to_dataframe(self, *, tidy: bool = False) -> "DataFrame":
        """Give the numbers as a pandas table.

        Parameters
        ----------
        tidy : bool, default False
            False: a row for each configuration, with columns such as ``mean``, ``mean_low`` and ``mean_high``.  True: a
            row for each number, with the columns statistic, value, low, high, level and method.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        table: list[dict[str, Any]] = []
        for row in self.rows:
            head = {"configuration": row.configuration, "label": row.label, **row.settings}
            if tidy:
                table += [head | line for line in self._lines(row)]
                continue
            line = row.summary.as_dict()
            for name, estimate in (("optimal", row.optimal), ("happened", row.happened)):
                if estimate is not None:
                    line |= {
                        name: estimate.value,
                        f"{name}_low": estimate.interval.low,
                        f"{name}_high": estimate.interval.high,
                    }
            table.append(head | {"n": row.summary.n} | {k: v for k, v in line.items() if k != "n"})
        return pd.DataFrame(table)

    def _lines(self, row: ConfigurationSummary) -> Iterator[dict[str, Any]]:
        for name, e in row.estimates():
            ends = e.interval
            yield {
                "statistic": name, "value": e.value, "low": ends.low, "high": ends.high, "level": ends.level,
                "method": ends.method,
            }  # fmt: skip
        t = row.summary.tolerance
        text = f"holds {100 * t.content:g} % of agents; {t.method}"
        yield {
            "statistic": "tolerance", "value": np.nan, "low": t.low, "high": t.high, "level": t.confidence,
            "method": text,
        }  # fmt: skip

    def certainty(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that says how well each number is known."""
        header = ["configuration", "agents", "mean", "median", "IQM"]
        shares = self._shares()
        header += [title for title, _ in shares]
        rows = []
        for row in self.rows:
            one = row.summary
            cells = [row.label, f"{one.n:,}", plus_minus(one.mean), with_interval(one.median), plus_minus(one.iqm)]
            cells += [_share_text(getter(row)) for _, getter in shares]
            rows.append(cells)
        return header, rows

    def spread(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that says how far the agents lie apart."""
        first = self.rows[0].summary
        content = f"{100 * first.tolerance.content:g} % of agents within"
        header = ["configuration", "std over agents"]
        header += [f"{100 * quantile.p:g} %" for quantile in first.quantiles]
        header.append(content)
        rows = []
        for row in self.rows:
            one = row.summary
            error = one.std.value / 10 if one.std.value else None
            ends = [number(end, error) for end in (one.tolerance.low, one.tolerance.high)]
            cells = [row.label, with_interval(one.std)]
            cells += [number(quantile.estimate.value, error) for quantile in one.quantiles]
            cells.append(f"{ends[0]} to {ends[1]}")
            rows.append(cells)
        return header, rows

    def _shares(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        bar = self.rows[0].summary.at_least
        name = self.outcome.name
        if any(row.summary.share is not None for row in self.rows) and name != "optimal":
            found.append((f"share >= {bar:g}", lambda row: row.summary.share))
        if any(row.happened is not None for row in self.rows):
            found.append(("share ever", lambda row: row.happened))
        if any(row.optimal is not None for row in self.rows):
            found.append(("share optimal", lambda row: row.optimal))
        return found

    def __str__(self) -> str:
        """Two tables: how well the numbers are known, and how the agents differ."""
        o, percent_level = self.outcome, f"{100 * self.level:g} %"
        lines = [f"{o.axis}; {o.direction}"]
        if o.description:
            lines.append(f"  {o.description}")
        lines += ["", f"How well it is known: {percent_level} confidence intervals; they shrink as agents are added"]
        lines += [f"  {line}" for line in columns(*self.certainty())]
        lines += ["", "How the agents differ: the spread over agents; it does not shrink"]
        lines += [f"  {line}" for line in columns(*self.spread())]
        lines += ["", "Intervals, each by itself:"]
        lines += [f"  {_NAMES.get(name, name)}: {'; '.join(methods)}" for name, methods in self.methods.items()]
        lines += [f"  {text}" for text in (o.note, self.stopping) if text]
        return "\n".join(lines)


_NAMES = {"iqm": "IQM", "std": "standard deviation", "optimal": "share optimal", "happened": "share ever"}


def _family(method: str) -> str:
    """Shorten what differs from row to row: the number of equal scores."""
    return "zero width: all scores are equal" if method.startswith("zero width") else method


def _share_text(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    low, high = (percent(end, 1) for end in (estimate.interval.low, estimate.interval.high))
    return f"{percent(estimate.value, 1)} [{low}, {high}]"


def summarize_study(
    study: StudyData,
    outcome: str | None,
    *,
    level: float,
    quantiles: Sequence[float],
    content: float,
    at_least: float | None,
    where: Mapping[str, Any] | None,
) -> StudySummary:
    """Sum up every configuration; see `Study.summary`."""
    asked = outcome_of(study, outcome)
    goal = precision_of(study)
    rows, labels, configurations = [], list(study.labels), list(study.configurations)
    for i in select(study, where):
        scores = scores_of(study, asked, i)
        one = summarize(scores, level=level, quantiles=quantiles, content=content, at_least=at_least)
        if goal is not None and goal[0] == asked.name:  # an interval that may be looked at repeatedly
            look = replace(goal[1], level=level).look(scores)
            shared = one.share if goal[1].quantity == "mean" else look.estimate
            one = replace(one, mean=look.estimate, share=shared)
        raw = raw_scores(study, asked, i)
        happened = None
        if asked.never is not None:
            one = _with_never(one, raw)
            happened = estimate_share(int(np.isfinite(raw).sum()), raw.size, level=level)
        optimal = None
        if "optimal" in study.outcomes:
            found = raw_scores(study, outcome_of(study, "optimal"), i)
            optimal = estimate_share(int(found.sum()), found.size, level=level)
        rows.append(ConfigurationSummary(i, str(labels[i]), dict(configurations[i]), one, optimal, happened))
    return StudySummary(asked, tuple(rows), float(level), len(labels), "" if goal is None else _stopped(goal))


def _stopped(goal: tuple[str, PrecisionRule]) -> str:
    outcome, rule = goal
    return (
        f"agents were added until the interval of {outcome} was at most {rule.half_width:g} to either side, or the "
        f"limit was met; the interval of its mean here is one that allows such looking, the others are approximate"
    )


def _with_never(summary: Summary, raw: Floats) -> Summary:
    """Quantiles know infinity: the median of a time is infinite where it never happened for most agents."""
    if not np.isposinf(raw).any():
        return summary
    finite = raw[np.isfinite(raw)]
    last = float(finite.max()) if finite.size else 0.0
    # A number beyond all others keeps every rank; what lies beyond the last finite score is infinite again.
    stand_in = np.where(np.isposinf(raw), last + 1.0, raw)

    def quantile(p: float, old: Estimate) -> Estimate:
        found = estimate_quantile(stand_in, p, level=old.interval.level)
        value, low, high = (x if x <= last else np.inf for x in (found.value, found.interval.low, found.interval.high))
        return Estimate(value, Interval(low, high, found.interval.level, found.interval.method))

    old = summary.tolerance
    tolerance = tolerance_interval(stand_in, content=old.content, confidence=old.confidence)
    return replace(
        summary,
        median=quantile(0.5, summary.median),
        quantiles=tuple(Quantile(q.p, quantile(q.p, q.estimate)) for q in summary.quantiles),
        tolerance=tolerance if tolerance.high <= last else replace(tolerance, high=np.inf),
    )

"""One metric of every configuration: where its agents are, how sure that is, and how far they lie apart."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.stats import (
    Estimate,
    PrecisionRule,
    Quantile,
    Summary,
    ToleranceInterval,
    estimate_share,
    summarize,
)
from qfast.studies.select import (
    Metric,
    Missing,
    Ranked,
    StudyData,
    earliest,
    metric_of,
    note_of,
    precision_of,
    ranked,
    restricted,
    scores_of,
    select,
)
from qfast.studies.texts import UNDEFINED, about_agents, columns, number, percent, plus_minus, with_interval

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
    n, n_undefined : int
        Agents that were run, and how many of them have no score (NaN).
    optimal : Estimate or None
        Share of the agents whose greedy policy is optimal; None if it was not measured.
    happened : Estimate or None
        Share of the agents for which it happened at all, where the metric is a time that may be infinite.
    after : mapping of str to float
        Of times that are seen at checkpoints only: each number lies after this one and not after its value, and its
        interval reaches over both.  Empty for all else.
    range_known : bool
        Whether there are agents enough for the range that holds most of them to have ends.
    """

    configuration: int
    label: str
    settings: Mapping[str, Any]
    summary: Summary
    n: int
    n_undefined: int
    optimal: Estimate | None
    happened: Estimate | None
    after: Mapping[str, float] = field(default_factory=dict)
    range_known: bool = True

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
    metric : Metric
        What was summed up.
    rows : tuple of ConfigurationSummary
        One for each configuration.
    level : float
        Confidence level of each interval by itself.
    n_configurations : int
        How many the study has in all.
    ranking : Ranked
        Which is better than which, and by what.
    note : str
        What to know of the means, empty where there is nothing.
    stopping : str
        How the number of agents was chosen, where it was by looking at an interval; else empty.
    """

    metric: Metric
    rows: tuple[ConfigurationSummary, ...]
    level: float
    n_configurations: int
    ranking: Ranked
    note: str = ""
    stopping: str = ""

    def __len__(self) -> int:
        """Count the configurations."""
        return len(self.rows)

    @property
    def best(self) -> ConfigurationSummary:
        """The configuration with the best mean; where means are not defined, the one that `ranking` has first.

        Raises
        ------
        InvalidInput
            If the rows are of several problems, whose scores have no common scale.
        """
        problems = {row.settings.get("problem") for row in self.rows}
        if len(problems) > 1:
            msg = f"the summary has {len(problems)} problems, whose scores have no common scale; name one in where"
            raise InvalidInput(msg)
        return next(row for row in self.rows if row.configuration == self.ranking.order[0])

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
            line = row.summary.as_dict() | {f"{name}_after": value for name, value in row.after.items()}
            for name, estimate in (("optimal", row.optimal), ("happened", row.happened)):
                if estimate is not None:
                    line |= {
                        name: estimate.value,
                        f"{name}_low": estimate.interval.low,
                        f"{name}_high": estimate.interval.high,
                    }
            counts = {"n": row.n, "n_undefined": row.n_undefined}
            table.append(head | counts | {k: v for k, v in line.items() if k not in counts})
        return pd.DataFrame(table)

    def _lines(self, row: ConfigurationSummary) -> Iterator[dict[str, Any]]:
        for name, e in row.estimates():
            ends = e.interval
            line = {"statistic": name, "value": e.value, "low": ends.low, "high": ends.high, "level": ends.level}
            yield line | {"method": ends.method if e.defined else f"{UNDEFINED}: {e.reason}"}
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
        rows, time = [], self.metric.is_time
        for row in self.rows:
            one = row.summary
            cells = [row.label, about_agents(row.n, row.n_undefined)]
            if row.after:
                cells += [self._between(row, name, e) for name, e in list(row.estimates())[:3]]
            else:
                cells += [plus_minus(one.mean), with_interval(one.median, time=time), plus_minus(one.iqm)]
            cells += [_share_text(getter(row)) for _, getter in shares]
            rows.append(cells)
        return header, rows

    def spread(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that says how far the agents lie apart."""
        first = self.rows[0].summary
        content = f"at least {100 * first.tolerance.content:g} % within"
        header = ["configuration", "std over agents"]
        header += [f"{100 * quantile.p:g} %" for quantile in first.quantiles]
        header.append(content)
        rows = []
        for row in self.rows:
            one = row.summary
            cells = [row.label, with_interval(one.std)]
            cells += [self._between(row, f"q{100 * q.p:g}", q.estimate, ends=False) for q in one.quantiles]
            cells.append(self.range_text(row))
            rows.append(cells)
        return header, rows

    def _between(self, row: ConfigurationSummary, name: str, estimate: Estimate, *, ends: bool = True) -> str:
        """An estimate; of a time that is known between two checkpoints only, as both of them."""
        if not estimate.defined:
            return UNDEFINED
        text = with_interval(estimate, time=self.metric.is_time, after=row.after.get(name))
        if not ends and not row.after:
            return number(estimate.value, _digits(row), time=self.metric.is_time)
        return text if ends else text.partition(" [")[0]

    def range_text(self, row: ConfigurationSummary) -> str:
        """The range that holds most agents, or that there are too few to name one."""
        low, high, time = row.summary.tolerance.low, row.summary.tolerance.high, self.metric.is_time
        if math.isnan(low) or math.isnan(high):
            return UNDEFINED
        if not row.range_known:
            return f"unknown ({about_agents(row.n, row.n_undefined)} agents)"
        return f"{number(low, _digits(row), time=time)} to {number(high, _digits(row), time=time)}"

    def _shares(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        name = self.metric.name
        bars = {row.summary.at_least for row in self.rows}
        if None not in bars and name != "optimal":
            found.append((f"share >= {max(bars):g}", lambda row: row.summary.share))  # type: ignore[type-var]
        if any(row.happened is not None for row in self.rows):
            found.append(("share ever", lambda row: row.happened))
        if any(row.optimal is not None for row in self.rows):
            found.append(("share optimal", lambda row: row.optimal))
        return found

    @property
    def undefined(self) -> list[str]:
        """What is not defined, and why: a line for each reason."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            for name, e in row.estimates():
                if not e.defined:
                    why = e.reason_for(self.metric.name.replace("_", " ")).removeprefix("not defined: ")
                    instead = f"; {e.instead}" if e.instead else ""
                    found.setdefault(f"{row.label}: {why}{instead}", []).append(_NAMES.get(name, name))
        return [f"{', '.join(names)} of {text}" for text, names in found.items()]

    @property
    def cautions(self) -> list[str]:
        """Which intervals may hold the truth less often than their level says, and why: a line for each reason."""
        found: dict[str, dict[str, list[str]]] = {}
        for row in self.rows:
            for name, e in row.estimates():
                if e.defined and e.caution:
                    found.setdefault(e.caution, {}).setdefault(_NAMES.get(name, name), []).append(row.label)
        lines = []
        for why, names in found.items():
            for name, labels in names.items():
                more = f" and {len(labels) - 2:,} others" if len(labels) > 2 else ""
                lines.append(f"{name} of {'; '.join(labels[:2])}{more}: {why}")
        return lines

    def __str__(self) -> str:
        """Two tables: how well the numbers are known, and how the agents differ."""
        o, percent_level = self.metric, f"{100 * self.level:g} %"
        lines = [f"{o.axis}; {o.direction}"]
        if o.description:
            lines.append(f"  {o.description}")
        lines += ["", f"How well it is known: {percent_level} confidence intervals; they shrink as agents are added"]
        lines += [f"  {line}" for line in columns(*self.certainty())]
        lines += ["", "How the agents differ: the spread over agents; it does not shrink"]
        lines += [f"  {line}" for line in columns(*self.spread())]
        lines += ["", "Intervals, each by itself:"]
        t = self.rows[0].summary.tolerance
        holds = f"range that holds at least {100 * t.content:g} % of agents, with {100 * t.confidence:g} % confidence"
        names = _NAMES | {"tolerance": holds}
        lines += [f"  {names.get(name, name)}: {'; '.join(methods)}" for name, methods in self.methods.items()]
        lines += [f"  {text}" for text in (self.note, self.stopping) if text]
        for head, told in (("Not defined:", self.undefined), ("With care:", self.cautions)):
            if told:
                lines += ["", head, *(f"  {text}" for text in told[:_MOST_REASONS])]
                lines += [f"  and {len(told) - _MOST_REASONS:,} more"] if len(told) > _MOST_REASONS else []
        return "\n".join(lines)


_NAMES = {"iqm": "IQM", "std": "standard deviation", "optimal": "share optimal", "happened": "share ever"}


_MOST_REASONS = 12
_ABOUT = re.compile(r"; about the [\d,]+ of [\d,]+ agents whose score is defined")


def _digits(row: ConfigurationSummary) -> float | None:
    """The error that says how many digits a quantile gets: a tenth of the spread."""
    std = row.summary.std
    return std.value / 10 if std.defined and std.value else None


def _family(method: str) -> str:
    """Shorten what differs from row to row: numbers of agents, which stand in the table."""
    if method.startswith("unbounded: all "):
        return "unbounded where all agents have the same score"
    return _ABOUT.sub("", method)


def _share_text(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if not estimate.defined:
        return UNDEFINED
    low, high = (percent(end, 1) for end in (estimate.interval.low, estimate.interval.high))
    return f"{percent(estimate.value, 1)} [{low}, {high}]"


def summarize_study(
    study: StudyData,
    metric: str | None = None,
    *,
    level: float = 0.95,
    quantiles: Sequence[float] = (0.05, 0.25, 0.75, 0.95),
    content: float = 0.9,
    at_least: float | None = None,
    missing: Missing = "keep",
    where: Mapping[str, Any] | None = None,
) -> StudySummary:
    """Describe one metric of every configuration, the uncertainty of each number apart from the spread.

    With 10,000 agents the uncertainty of a mean is near zero; how far the agents lie apart is the finding.

    Parameters
    ----------
    metric : str, optional
        One of ``study.metrics``; by default ``"auc"``, the mean return over all episodes.
    level : float, default 0.95
        Confidence level of each interval by itself, in (0, 1).
    quantiles : sequence of float
        Which quantiles over agents besides the median, each in (0, 1).
    content : float, default 0.9
        Share of agents that the tolerance interval holds, in (0, 1).
    at_least : float, optional
        Report the share of agents whose score reaches this bar, too.
    missing : {"keep", "drop"}, default "keep"
        What becomes of agents whose score is undefined (NaN).  "keep": intervals
        of quantiles and shares allow for whatever they are, and means are those of the others.
        "drop": the answer is about the others alone, and says how many that are.
    where : mapping, optional
        Only the configurations with these settings, such as ``{"alpha": [0.1, 0.5]}``.

    Returns
    -------
    StudySummary
        Prints as two tables; ``.to_dataframe()``; ``.rows`` with a `qfast.stats.Summary` for each configuration.

    Raises
    ------
    InvalidInput
        If there is no such metric, setting or value, or an option is out of its range.

    Examples
    --------
    >>> import qfast
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> summary = study.summary()
    >>> summary.best.label, summary.methods["mean"]
    ('epsilon=0.1', ("Student's t, transformed for skewness (Hall 1992)",))
    >>> summary.to_dataframe()[["epsilon", "mean", "mean_low", "mean_high", "std"]].round(3)
       epsilon   mean  mean_low  mean_high    std
    0      0.1  0.046     0.034      0.064  0.100
    1      0.4  0.023     0.017      0.031  0.046
    """
    asked = metric_of(study, metric)
    goal = precision_of(study)
    chosen = select(study, where)
    options: dict[str, Any] = {
        "level": level, "quantiles": quantiles, "content": content, "at_least": at_least, "missing": missing
    }  # fmt: skip
    rows, labels, configurations = [], list(study.labels), list(study.configurations)
    for i in chosen:
        scores = scores_of(study, asked, i)
        one = _summary(study, asked, scores, options)
        if goal is not None and goal[0] == asked.name and np.isfinite(scores).all():
            look = replace(goal[1], level=level).look(scores)  # an interval that may be looked at repeatedly
            shared = one.share if goal[1].quantity == "mean" else look.estimate
            one = replace(one, mean=look.estimate, share=shared)
        after: dict[str, float] = {}
        if asked.interval_censored:
            one, after = _between_checkpoints(one, _summary(study, asked, earliest(study, asked, scores), options))
        happened = optimal = None
        undefined = int(np.isnan(scores).sum())
        if asked.is_time and undefined < scores.size:
            lost = undefined if missing == "keep" else 0
            happened = estimate_share(
                int(np.isfinite(scores).sum()), scores.size - undefined, level=level, undefined=lost
            )
        if "optimal" in study.metrics:
            found = scores_of(study, metric_of(study, "optimal"), i)
            optimal = estimate_share(int(found.sum()), found.size, level=level)
        rows.append(
            ConfigurationSummary(
                i, str(labels[i]), dict(configurations[i]), one, scores.size, undefined, optimal, happened, after,
                _has_ends(one.tolerance, scores),
            )
        )
    if any(row.summary.at_least is None for row in rows):  # that some have scores of 0 and 1 alone makes no shares
        rows = [replace(row, summary=replace(row.summary, at_least=None, share=None)) for row in rows]
    stopping = "" if goal is None else _stopped(goal)
    ranking, note = ranked(study, asked, chosen, missing=missing), note_of(study, asked)
    return StudySummary(asked, tuple(rows), float(level), len(labels), ranking, note, stopping)


def _summary(study: StudyData, asked: Metric, scores: Floats, options: Mapping[str, Any]) -> Summary:
    """Sum scores up; of times, means are restricted, and quantiles know what never happened."""
    if asked.is_bool:
        options = {**options, "bounds": (0.0, 1.0)}
    one = summarize(scores, **options)
    if not asked.is_time or not np.isposinf(scores).any():
        return one
    means = summarize(restricted(study, asked, scores), **options)
    end = float(study.dataset.attrs["episodes"])
    mean, iqm = (_within(estimate, 0.0, end) for estimate in (means.mean, means.iqm))
    return replace(one, mean=mean, std=means.std, iqm=iqm, standard_error=means.standard_error)


def _within(estimate: Estimate, low: float, high: float) -> Estimate:
    """Cut an interval to what its number can be; that takes nothing from its level."""
    ends = estimate.interval
    return replace(estimate, interval=replace(ends, low=max(ends.low, low), high=min(ends.high, high)))


def _has_ends(found: ToleranceInterval, scores: Floats) -> bool:
    """Whether both ends are numbers, or infinite because scores are: with few agents a range has no ends."""
    return all(math.isfinite(end) or bool((scores == end).any()) for end in (found.low, found.high))


def _between_checkpoints(late: Summary, early: Summary) -> tuple[Summary, dict[str, float]]:
    """Join what holds if every agent got there as late, and as early, as its checkpoints allow."""
    after: dict[str, float] = {}

    def join(name: str, last: Estimate, first: Estimate) -> Estimate:
        if not last.defined or not first.defined:
            return last
        after[name] = first.value
        return replace(last, interval=replace(last.interval, low=first.interval.low))

    mean, median, iqm = (join(name, getattr(late, name), getattr(early, name)) for name in ("mean", "median", "iqm"))
    quantiles = tuple(
        Quantile(q.p, join(f"q{100 * q.p:g}", q.estimate, first.estimate))
        for q, first in zip(late.quantiles, early.quantiles, strict=True)
    )
    tolerance = replace(late.tolerance, low=early.tolerance.low)
    share = late.share
    if late.share is not None and early.share is not None:
        share = join("share", late.share, early.share)
    found = replace(late, mean=mean, median=median, iqm=iqm, quantiles=quantiles, tolerance=tolerance, share=share)
    return found, after


def _stopped(goal: tuple[str, PrecisionRule]) -> str:
    metric, rule = goal
    return (
        f"agents were added until the interval of {metric} was at most {rule.half_width:g} to either side, or the "
        f"limit was met; the interval of its mean here is one that allows such looking, the others are approximate"
    )

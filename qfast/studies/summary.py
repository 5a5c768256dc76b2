"""One metric of every configuration: where its agents are, how sure that is, how far they lie apart."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qfast import stats
from qfast.errors import InvalidInput
from qfast.stats import Estimate, PrecisionRule, Quantile, Summary
from qfast.studies.select import (
    Metric,
    Missing,
    Ranked,
    StudyData,
    earliest,
    metric_of,
    ranked,
    restricted,
    scores_of,
    select,
    settings_json,
)
from qfast.studies.texts import UNDEFINED, Answer, about_agents, joined, number, plus_minus, several, with_interval
from qfast.text import columns, in_percent

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["ConfigurationSummary", "StudySummary", "summarize_study"]

Floats = NDArray[np.float64]

_NAMES = {"iqm": "IQM", "std": "standard deviation", "optimal": "share optimal", "happened": "share ever"}
_CENTRES = ("mean", "median", "iqm")
_MOST_REASONS = 12
_ABOUT = re.compile(r"; about the [\d,]+ of [\d,]+ agents whose score is defined")


@dataclass(frozen=True, slots=True)
class ConfigurationSummary:
    """What `Study.summary` says of one configuration.

    Parameters
    ----------
    configuration, label, settings : int, str, mapping
        Its index, its settings in words, and their values.
    summary : qfast.stats.Summary
        Mean, median, interquartile mean; standard deviation, quantiles, tolerance interval; and ``share``, where a bar
        was given or the scores are 0 and 1.
    n, n_undefined : int
        Agents that were run, and how many of them have no score (NaN).
    optimal, happened : Estimate or None
        Shares of the agents whose greedy policy is optimal, and for which a time came at all, if these were measured.
    after : mapping of str to float
        Of times that are seen at checkpoints only: each number lies after this one and not after its value, and its
        interval reaches over both.
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

    def estimates(self) -> dict[str, Estimate]:
        """Every number that has a confidence interval, by its name."""
        one = self.summary
        found = {"mean": one.mean, "median": one.median, "iqm": one.iqm, "std": one.std}
        found |= {f"q{100 * quantile.p:g}": quantile.estimate for quantile in one.quantiles}
        shares = {"share": one.share, "optimal": self.optimal, "happened": self.happened}
        return found | {name: estimate for name, estimate in shares.items() if estimate is not None}


@dataclass(frozen=True, slots=True)
class StudySummary(Answer):
    """What `Study.summary` found; printing it gives two tables, the uncertainty apart from the spread.

    Parameters
    ----------
    rows : tuple of ConfigurationSummary
        One for each configuration; the study has ``n_configurations`` in all.
    level : float
        Confidence level of each interval by itself.
    ranking : Ranked
        Which is better than which, and by what.
    note, stopping : str
        What to know of the means, and of how the number of agents was chosen, if there is something.
    """

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
        """The configuration with the best mean, or the first of `ranking`; several problems have no common scale."""
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
            for name, estimate in row.estimates().items():
                key = "quantiles" if name[0] == "q" and name[1:2].isdigit() else name
                found.setdefault(key, {})[_family(estimate.interval.method)] = None
            found.setdefault("tolerance", {})[_family(row.summary.tolerance.method)] = None
        return {name: tuple(methods) for name, methods in found.items()}

    def to_dataframe(self, *, tidy: bool = False) -> "DataFrame":
        """Give the numbers as a pandas table.

        It has a row for each configuration, with columns such as ``mean``, ``mean_low`` and ``mean_high``; with
        ``tidy=True`` a row for each number, with the columns statistic, value, low, high, level and method.
        """
        import pandas as pd

        table: list[dict[str, Any]] = []
        for row in self.rows:
            head = {"configuration": row.configuration, "label": row.label, **row.settings}
            if tidy:
                table += [head | line for line in self._lines(row)]
                continue
            counts = {"n": row.n, "n_undefined": row.n_undefined}
            line = head | counts | row.summary.as_dict() | counts
            line |= {f"{name}_after": value for name, value in row.after.items()}
            for name, e in (("optimal", row.optimal), ("happened", row.happened)):
                if e is not None:
                    line |= {name: e.value, f"{name}_low": e.interval.low, f"{name}_high": e.interval.high}
            table.append(line)
        return pd.DataFrame(table)

    def _lines(self, row: ConfigurationSummary) -> Iterator[dict[str, Any]]:
        for name, e in row.estimates().items():
            ends = e.interval
            line = {"statistic": name, "value": e.value, "low": ends.low, "high": ends.high, "level": ends.level}
            yield line | {"method": ends.method if e.defined else f"{UNDEFINED}: {e.reason}"}
        t = row.summary.tolerance
        line = {"statistic": "tolerance", "value": np.nan, "low": t.low, "high": t.high, "level": t.confidence}
        yield line | {"method": f"holds {100 * t.content:g} % of agents; {t.method}"}

    def certainty(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that says how well each number is known."""
        every, time = [row.estimates() for row in self.rows], self.metric.is_time
        titles = {"share": "", "happened": "share ever", "optimal": "share optimal"}
        if self.metric.name != "optimal" and (bar := self.rows[0].summary.at_least) is not None:
            titles["share"] = f"share >= {bar:g}"
        shares = [name for name, title in titles.items() if title and any(name in found for found in every)]
        rows = []
        for row, found in zip(self.rows, every, strict=True):
            cells = [plus_minus(found["mean"]), with_interval(found["median"], time=time), plus_minus(found["iqm"])]
            if row.after:
                cells = [with_interval(found[name], time=time, after=row.after.get(name)) for name in _CENTRES]
            cells += [_share_text(found.get(name)) for name in shares]
            rows.append([row.label, about_agents(row.n, row.n_undefined), *cells])
        return ["configuration", "agents", "mean", "median", "IQM", *(titles[name] for name in shares)], rows

    def spread(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that says how far the agents lie apart."""
        first = self.rows[0].summary
        header = ["configuration", "std over agents", *(f"{100 * quantile.p:g} %" for quantile in first.quantiles)]
        rows = [
            [
                row.label,
                with_interval(row.summary.std),
                *(self._quantile_text(row, quantile) for quantile in row.summary.quantiles),
                self.range_text(row),
            ]
            for row in self.rows
        ]
        return [*header, f"at least {100 * first.tolerance.content:g} % within"], rows

    def _quantile_text(self, row: ConfigurationSummary, quantile: Quantile) -> str:
        """A quantile; of a time that is known between two checkpoints only, both of them."""
        e, time = quantile.estimate, self.metric.is_time
        if e.defined and not row.after:
            return number(e.value, _digits(row), time=time)
        return with_interval(e, time=time, after=row.after.get(f"q{100 * quantile.p:g}")).partition(" [")[0]

    def range_text(self, row: ConfigurationSummary) -> str:
        """The range that holds most agents, or that there are too few to name one."""
        ends = row.summary.tolerance.low, row.summary.tolerance.high
        if any(map(math.isnan, ends)):
            return UNDEFINED
        if not row.range_known:
            return f"unknown ({about_agents(row.n, row.n_undefined)} agents)"
        return " to ".join(number(end, _digits(row), time=self.metric.is_time) for end in ends)

    @property
    def undefined(self) -> list[str]:
        """What is not defined, and why: a line for each reason."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            for name, e in row.estimates().items():
                if not e.defined:
                    why = e.reason_for(self.metric.name.replace("_", " ")).removeprefix("not defined: ")
                    found.setdefault(joined(f"{row.label}: {why}", e.instead), []).append(_NAMES.get(name, name))
        return [f"{', '.join(names)} of {text}" for text, names in found.items()]

    @property
    def cautions(self) -> list[str]:
        """Which intervals may hold the truth less often than their level says, and why: a line for each reason."""
        found: dict[str, dict[str, list[str]]] = {}
        for row in self.rows:
            for name, e in row.estimates().items():
                if e.defined and e.caution:
                    found.setdefault(e.caution, {}).setdefault(_NAMES.get(name, name), []).append(row.label)
        return [f"{name} of {several(labels)}: {why}" for why, names in found.items() for name, labels in names.items()]

    def __str__(self) -> str:
        """Two tables: how well the numbers are known, and how the agents differ."""
        lines = [self.heading]
        if self.metric.description:
            lines.append(f"  {self.metric.description}")
        level = f"{100 * self.level:g} %"
        lines += ["", f"How well it is known: {level} confidence intervals; they shrink as agents are added"]
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


def _digits(row: ConfigurationSummary) -> float | None:
    """The error that says how many digits a quantile gets: a tenth of the spread."""
    std = row.summary.std
    return std.value / 10 if std.defined and std.value else None


def _family(method: str) -> str:
    """Shorten what differs from row to row: numbers of agents, which stand in the table."""
    if method.startswith("unbounded: all "):
        return "unbounded where all agents have the same score"
    return _ABOUT.sub("", method)


def _share_text(share: Estimate | None) -> str:
    if share is None:
        return "-"
    if not share.defined:
        return UNDEFINED
    value, low, high = (in_percent(part, 1) for part in (share.value, share.interval.low, share.interval.high))
    return f"{value} [{low}, {high}]"


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
    metric, level, missing, where
        As everywhere in `Study`.  With ``missing="keep"`` intervals of quantiles and shares allow for whatever
        undefined scores are, and means are those of the others.
    quantiles : sequence of float
        Which quantiles over agents besides the median, each in (0, 1).
    content : float, default 0.9
        Share of agents that the tolerance interval holds, in (0, 1).
    at_least : float, optional
        Report the share of agents whose score reaches this bar, too.

    Returns
    -------
    StudySummary
        Prints as two tables; ``.to_dataframe()``; ``.rows`` with a `qfast.stats.Summary` for each configuration.

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
    asked, goal, chosen = metric_of(study, metric), _goal(study), select(study, where)
    options: dict[str, Any] = {
        "level": level, "quantiles": quantiles, "content": content, "at_least": at_least, "missing": missing
    }  # fmt: skip
    labels, settings = study.labels, study.configurations
    rows = []
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
            n = scores.size - undefined
            happened = stats.estimate_share(int(np.isfinite(scores).sum()), n, level=level, undefined=lost)
        if "optimal" in study.metrics:
            hits = study.scores("optimal", i)
            optimal = stats.estimate_share(int(hits.sum()), hits.size, level=level)
        known = _has_ends(one.tolerance, scores)
        rows.append(
            ConfigurationSummary(
                i, labels[i], settings[i], one, scores.size, undefined, optimal, happened, after, known
            )
        )
    if any(row.summary.at_least is None for row in rows):  # that some have scores of 0 and 1 alone makes no shares
        rows = [replace(row, summary=replace(row.summary, at_least=None, share=None)) for row in rows]
    return StudySummary(
        metric=asked,
        rows=tuple(rows),
        level=float(level),
        n_configurations=len(labels),
        ranking=ranked(study, asked, chosen, missing=missing),
        note="; ".join(_notes(study, asked)),
        stopping="" if goal is None else _stopped(*goal),
    )


def _goal(study: StudyData) -> tuple[str, PrecisionRule] | None:
    """The metric by whose interval the study stopped, and the rule; None where the number of agents was fixed."""
    goal = settings_json(study, "precision")
    if not goal:
        return None
    rule: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in goal.items()}
    return str(rule.pop("metric")), PrecisionRule(**rule)


def _notes(study: StudyData, metric: Metric) -> Iterator[str]:
    """What to know of a metric's mean."""
    if metric.is_time and np.isposinf(study.scores(metric.name)).any():
        yield f"agents for which it never happened count as {study.episodes:,} in means (restricted mean)"
    if metric.interval_censored:
        yield "each time is known only to lie after the checkpoint before, and not after its own"


def _stopped(metric: str, rule: PrecisionRule) -> str:
    return (
        f"agents were added until the interval of {metric} was at most {rule.half_width:g} to either side, or the "
        f"limit was met; the interval of its mean here is one that allows such looking, the others are approximate"
    )


def _summary(study: StudyData, asked: Metric, scores: Floats, options: Mapping[str, Any]) -> Summary:
    """Sum scores up; of times, means are restricted to the training, and quantiles know what never happened."""
    if asked.is_bool:
        options = {**options, "bounds": (0.0, 1.0)}
    one = stats.summarize(scores, **options)
    if not asked.is_time or not np.isposinf(scores).any():
        return one
    means, end = stats.summarize(restricted(study, asked, scores), **options), float(study.episodes)

    def within(e: Estimate) -> Estimate:
        """Cut an interval to what its number can be; that takes nothing from its level."""
        return replace(e, interval=replace(e.interval, low=max(e.interval.low, 0.0), high=min(e.interval.high, end)))

    error = means.standard_error
    return replace(one, mean=within(means.mean), std=means.std, iqm=within(means.iqm), standard_error=error)


def _has_ends(found: stats.ToleranceInterval, scores: Floats) -> bool:
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

    found: dict[str, Any] = {name: join(name, getattr(late, name), getattr(early, name)) for name in _CENTRES}
    found["quantiles"] = tuple(
        Quantile(q.p, join(f"q{100 * q.p:g}", q.estimate, first.estimate))
        for q, first in zip(late.quantiles, early.quantiles, strict=True)
    )
    if late.share is not None and early.share is not None:
        found["share"] = join("share", late.share, early.share)
    return replace(late, tolerance=replace(late.tolerance, low=early.tolerance.low), **found), after

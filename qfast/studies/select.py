"""What every answer asks of a study: which metric, of which configurations, as which numbers."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.stats import ranking
from qfast.stats._check import Missing, check_missing
from qfast.studies.metrics import Metric
from qfast.studies.texts import joined
from qfast.text import in_percent

if TYPE_CHECKING:
    from qfast.studies.result import Study

__all__ = [
    "DEFAULT_METRIC", "Metric", "Missing", "Ranked", "Scores", "StudyData", "are_paired", "common_scores", "earliest",
    "full_settings", "infinite_text", "metric_of", "ranked", "refuse_undefined", "restricted",
    "scores_of", "select", "settings_json", "two_configurations", "undefined_text",
]  # fmt: skip

Floats = NDArray[np.float64]
StudyData: TypeAlias = "Study"  # which stands above: it is made of the answers

#: What is asked about where nothing else is named.
DEFAULT_METRIC = "auc"

_FEWEST = 2  # agents that an answer needs


def metric_of(study: StudyData, name: str | None = None) -> Metric:
    """Look a metric up; by default the area under the learning curve."""
    if name is None:
        name = DEFAULT_METRIC if DEFAULT_METRIC in study.metrics else study.metrics[0]
    about = study.variable(name).attrs
    flags: dict[str, Any] = {
        flag: bool(int(about.get(flag, 0))) for flag in ("is_bool", "is_time", "interval_censored")
    }
    return Metric(
        name=name,
        title=str(about.get("long_name", name)),
        unit=str(about.get("units", "1")),
        higher_is_better=bool(int(about.get("higher_is_better", 1))),
        description=str(about.get("description", "")),
        **flags,
    )


def scores_of(study: StudyData, metric: Metric, configuration: int) -> Floats:
    """Scores of the agents that a configuration ran, (n,), as they are: infinite, or NaN where undefined."""
    return study.scores(metric.name, configuration)


def restricted(study: StudyData, metric: Metric, scores: Floats) -> Floats:
    """Scores for a mean: of a time, what never happened counts as the end of training; all else stays as it is.

    The mean of min(T, end) is the restricted mean of survival analysis (P. Royston, M. K. B. Parmar, BMC Medical
    Research Methodology 13 (2013) 152); every agent is followed to the same end, so the plain mean estimates it.
    """
    return np.minimum(scores, float(study.episodes)) if metric.is_time else scores


def earliest(study: StudyData, metric: Metric, scores: Floats) -> Floats:
    """Of times that are seen at checkpoints only, the last moment at which it had not happened; else the scores."""
    if not metric.interval_censored or "checkpoint" not in study.dataset:
        return scores
    checkpoints = np.asarray(study.dataset["checkpoint"].to_numpy(), dtype=np.float64)
    before = np.concatenate([[0.0], checkpoints])
    after_last = np.inf if checkpoints[-1] >= study.episodes else checkpoints[-1]
    found = before[np.searchsorted(checkpoints, np.where(np.isfinite(scores), scores, checkpoints[-1]))]
    return np.where(np.isnan(scores), np.nan, np.where(np.isposinf(scores), after_last, found))


class Scores(NamedTuple):
    """Scores of some configurations, (n,) each, paired or not; and of how many agents, where that is not all."""

    scores: list[Floats]
    about: str


def common_scores(
    study: StudyData,
    metric: Metric,
    configurations: Sequence[int],
    *,
    paired: bool | None = None,
    missing: Missing = "keep",
) -> Scores:
    """Scores as they are; with ``missing="drop"`` of agents that have one, which must be two at least.

    Paired (by default if these configurations are), element i is agent i of each: only agents that all of them ran
    count, and one that is dropped is dropped from all.
    """
    check_missing(missing)
    together = are_paired(study, configurations) if paired is None else paired
    ran = _ran(study, metric, configurations, paired=together)
    kept = _defined(ran, paired=together) if missing == "drop" else ran
    n, left = [x.size for x in ran], [x.size for x in kept]
    cut = together and len({scores_of(study, metric, i).size for i in configurations}) > 1
    about = f"about the {n[0]:,} agents that {'both' if len(n) == 2 else 'all'} ran" if cut else ""
    if left != n:
        counts = list(dict.fromkeys(f"{some:,} of {all_:,}" for some, all_ in zip(left, n, strict=True)))
        told = f"about {' and '.join(counts)} agents, for which it is defined{' in each' if together else ''}"
        told = told if len(counts) < 4 else f"about {sum(left):,} of {sum(n):,} agents in all"
        about = joined(about, told)
        for i, some, all_ in zip(configurations, left, n, strict=True):
            if some < _FEWEST:
                few = f"{some:,} of {all_:,} agents of {study.labels[i]}"
                raise InvalidInput(f"{metric.name} is defined for {few}, too few for an answer")
    seen = "a time counts as the checkpoint that saw it" if metric.interval_censored else ""
    return Scores(kept, joined(about, seen))


def _ran(study: StudyData, metric: Metric, configurations: Sequence[int], *, paired: bool) -> list[Floats]:
    """Scores of the agents that were run; paired, of those that all configurations ran."""
    found = [scores_of(study, metric, i) for i in configurations]
    shared = min(x.size for x in found) if paired else None
    return [x[:shared] for x in found]


def _defined(scores: Sequence[Floats], *, paired: bool) -> list[Floats]:
    """Without agents that have no score; paired, without those that lack one of theirs."""
    undefined = [np.isnan(x) for x in scores]
    if paired:
        undefined = [np.logical_or.reduce(undefined)] * len(undefined)
    return [x[~lost] for x, lost in zip(scores, undefined, strict=True)]


def undefined_text(study: StudyData, metric: Metric, configurations: Sequence[int]) -> str:
    """Say for how many agents a metric is undefined, and what to do; empty where it is for none."""
    for i in configurations:
        scores = scores_of(study, metric, i)
        lost = int(np.isnan(scores).sum())
        if lost:
            return (
                f"{metric.name} is undefined for {lost:,} of {scores.size:,} agents of {study.labels[i]}; "
                "missing='drop' asks about the others"
            )
    return ""


def infinite_text(
    study: StudyData,
    metric: Metric,
    configurations: Sequence[int],
    *,
    paired: bool = False,
    missing: Missing = "keep",
) -> str:
    """Say why means are not defined, as shares of the agents that are asked about; empty where all are finite."""
    scores = _ran(study, metric, configurations, paired=paired)
    scores = _defined(scores, paired=paired) if missing == "drop" else scores
    infinite = [np.isinf(restricted(study, metric, x)) for x in scores]
    found = [(float(x.mean()), study.labels[i]) for i, x in zip(configurations, infinite, strict=True) if x.any()]
    if not found:
        return ""
    (share, label), *others = sorted(found, key=lambda pair: -pair[0])
    whose = f" of {label}" if len(configurations) > 1 else ""
    if len(others) == 1:
        whose += f" and {in_percent(others[0][0])} of those of {others[0][1]}"
    elif others:
        whose += f" and some of those of {len(others):,} others"
    return f"{in_percent(share)} of the agents{whose} have infinite {metric.name.replace('_', ' ')}"


def refuse_undefined(
    study: StudyData, metric: Metric, configurations: Sequence[int], what: str, missing: Missing
) -> None:
    """Refuse a question that undefined scores leave without an answer, unless they are to be dropped."""
    undefined = undefined_text(study, metric, configurations) if check_missing(missing) else ""
    if undefined:
        raise InvalidInput(f"{what} not defined: {undefined}")


def full_settings(study: StudyData) -> list[dict[str, Any]]:
    """What varied, one mapping a configuration with all names in each: None for what a configuration does not have."""
    names = list(dict.fromkeys(name for settings in study.configurations for name in settings))
    return [{name: settings.get(name) for name in names} for settings in study.configurations]


def are_paired(study: StudyData, configurations: Sequence[int]) -> bool:
    """Whether agent i of each had the same random numbers: each problem has streams of its own."""
    problems = {study.configurations[i].get("problem") for i in configurations}
    return study.paired and len(problems) == 1


def select(
    study: StudyData, where: Mapping[str, Any] | None = None, *, one_problem: bool = False, what: str = "where"
) -> list[int]:
    """Configurations whose settings have these values, one or a list of each; by default all.

    With ``one_problem`` several problems are refused, whose metrics cannot be put side by side.
    """
    configurations = full_settings(study)
    names = list(configurations[0])
    chosen = list(range(len(configurations)))
    if where is not None and not isinstance(where, Mapping):
        example = names[0] if names else "alpha"
        msg = f"{what}={where!r:.60} is not a mapping; give settings and values, such as {{{example!r}: ...}}"
        raise InvalidInput(msg)
    for name, wanted in (where or {}).items():
        if name not in names:
            raise InvalidInput(f"{what} names {name!r}, which did not vary; use {', '.join(map(repr, names))}")
        values = [wanted] if isinstance(wanted, str) or not isinstance(wanted, Sequence | np.ndarray) else list(wanted)
        known = {c[name] for c in configurations} - {None}
        strange = [value for value in values if not any(_same(value, k) for k in known)]
        if strange:
            shown = ", ".join(map(repr, sorted(known, key=str)))
            raise InvalidInput(f"{what} has {name}={strange[0]!r}, which the study did not run; it ran {shown}")
        chosen = [i for i in chosen if any(_same(value, configurations[i][name]) for value in values)]
    if not chosen:
        raise InvalidInput(f"{what}={dict(where or {})!r} leaves no configuration; name fewer settings")
    problems = sorted({str(configurations[i]["problem"]) for i in chosen if "problem" in names})
    if one_problem and len(problems) > 1:
        raise InvalidInput(
            f"the study has the problems {', '.join(map(repr, problems))}, whose metrics have no common scale; "
            f'name one, for example where={{"problem": {problems[0]!r}}}'
        )
    return chosen


def _same(a: Any, b: Any) -> bool:
    """Whether two values of a setting are the same, numbers up to rounding; None is what the study calls none."""
    numbers = (int, float, np.integer, np.floating)
    if isinstance(a, numbers) and isinstance(b, numbers):
        return bool(np.isclose(float(a), float(b), rtol=1e-12, atol=0.0))
    return ("none" if a is None else str(a)) == ("none" if b is None else str(b))


def two_configurations(study: StudyData, a: Any, b: Any) -> tuple[int, int]:
    """Look up the two configurations that are named."""
    i, j = study.find(a), study.find(b)
    if i == j:
        raise InvalidInput(f"a={a!r} and b={b!r} are the same configuration ({study.labels[i]}); name two")
    return i, j


class Ranked(NamedTuple):
    """Configurations in the order of how good all agents are that each ran, the best first; see `qfast.stats.ranking`.

    ``words`` is what the order is by, such as "mean": some configurations have none where scores are infinite.
    ``undecided`` is why the first is not named the best: undefined scores could change it; else empty.
    """

    order: list[int]
    by_mean: bool
    words: str
    undecided: str


def ranked(study: StudyData, metric: Metric, configurations: Sequence[int], *, missing: Missing = "keep") -> Ranked:
    """Put configurations in the order of their means, the best first; where one has no mean, in that of ranks."""
    check_missing(missing)
    scores = {i: restricted(study, metric, scores_of(study, metric, i)) for i in configurations}
    known = [i for i in configurations if scores[i].size > 1]
    few = [i for i in configurations if i not in known]  # of a study that was cut short
    if len(known) < 2:
        by_mean = all(bool(np.isfinite(scores[i]).all()) for i in known)
        return Ranked([*known, *few], by_mean, "mean", "")
    found = ranking([scores[i] for i in known], higher_is_better=metric.higher_is_better, missing=missing)
    by_mean = found.by == "mean"
    words = "mean" if by_mean else "agents most often better than those of the others"
    undecided = ""
    if found.winner is None:
        undecided = undefined_text(study, metric, configurations) if missing == "keep" else found.reason
    return Ranked([*(known[i] for i in found.order), *few], by_mean, words, undecided)


def settings_json(study: StudyData, name: str) -> Any:
    """Read one of the study's attributes that hold JSON; an empty mapping where there is none."""
    text = study.dataset.attrs.get(name, "{}")
    return json.loads(text) if isinstance(text, str) else text

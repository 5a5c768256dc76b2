"""What every answer asks of a study: which metric, of which configurations, as which numbers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.stats import PrecisionRule, ranking
from qfast.stats._check import Missing, check_missing
from qfast.studies.metrics import Metric
from qfast.studies.texts import percent

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = [
    "DEFAULT_METRIC",
    "Asked",
    "Metric",
    "Missing",
    "Ranked",
    "StudyData",
    "are_paired",
    "common_scores",
    "earliest",
    "full_settings",
    "infinite_text",
    "metric_of",
    "note_of",
    "pairing",
    "precision_of",
    "ranked",
    "refuse_without_means",
    "restricted",
    "scores_of",
    "select",
    "settings_json",
    "undefined_text",
]

Floats = NDArray[np.float64]

#: What is asked about where nothing else is named.
DEFAULT_METRIC = "auc"

_FEWEST = 2  # agents that an answer needs


class StudyData(Protocol):
    """What the answers need of a study."""

    @property
    def dataset(self) -> "Dataset": ...  # noqa: D102

    @property
    def configurations(self) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102

    @property
    def labels(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def n_agents(self) -> int: ...  # noqa: D102

    @property
    def paired(self) -> bool: ...  # noqa: D102

    @property
    def metrics(self) -> Sequence[str]: ...  # noqa: D102

    def scores(self, metric: str, configuration: Any = None) -> NDArray[Any]: ...  # noqa: D102

    def find(self, configuration: Any) -> int: ...  # noqa: D102


def metric_of(study: StudyData, name: str | None = None) -> Metric:
    """Look a metric up; by default the area under the learning curve.

    Raises
    ------
    InvalidInput
        If the study has no such metric.
    """
    names = list(study.metrics)
    if name is None:
        name = DEFAULT_METRIC if DEFAULT_METRIC in names else names[0]
    if name not in names:
        msg = f"metric={name!r} is not in the study; use one of {', '.join(map(repr, names))}"
        raise InvalidInput(msg)
    about = study.dataset[name].attrs
    return Metric(
        name=name,
        title=str(about.get("long_name", name)),
        unit=str(about.get("units", "1")),
        higher_is_better=bool(int(about.get("higher_is_better", 1))),
        description=str(about.get("description", "")),
        is_bool=bool(int(about.get("is_bool", 0))),
        is_time=bool(int(about.get("is_time", 0))),
        interval_censored=bool(int(about.get("interval_censored", 0))),
    )


def scores_of(study: StudyData, metric: Metric, configuration: int) -> Floats:
    """Scores of the agents that a configuration ran, (n,), as they are: infinite, or NaN where undefined."""
    return np.asarray(study.scores(metric.name, configuration), dtype=np.float64)


def restricted(study: StudyData, metric: Metric, scores: Floats) -> Floats:
    """Scores for a mean: of a time, what never happened counts as the end of training; all else stays as it is.

    The mean of min(T, end) is the restricted mean of survival analysis (P. Royston, M. K. B. Parmar, BMC Medical
    Research Methodology 13 (2013) 152); every agent is followed to the same end, so the plain mean estimates it.
    """
    return np.minimum(scores, float(study.dataset.attrs["episodes"])) if metric.is_time else scores


def earliest(study: StudyData, metric: Metric, scores: Floats) -> Floats:
    """Of times that are seen at checkpoints only, the last moment at which it had not happened; else the scores."""
    if not metric.interval_censored or "checkpoint" not in study.dataset:
        return scores
    checkpoints = np.asarray(study.dataset["checkpoint"].to_numpy(), dtype=np.float64)
    before = np.concatenate([[0.0], checkpoints])
    after_last = np.inf if checkpoints[-1] >= float(study.dataset.attrs["episodes"]) else checkpoints[-1]
    found = before[np.searchsorted(checkpoints, np.where(np.isfinite(scores), scores, checkpoints[-1]))]
    return np.where(np.isnan(scores), np.nan, np.where(np.isposinf(scores), after_last, found))


@dataclass(frozen=True)
class Asked:
    """The scores that an answer is about.

    Attributes
    ----------
    scores : list of ndarray of float64, (n_agents,)
        As they are, infinite or NaN; with ``missing="drop"`` without NaN.  Paired, element i is agent i of each.
    n : list of int
        Agents of each configuration that were run (paired: everywhere).
    n_undefined : list of int
        How many of them have no score.
    about : str
        How many agents the answer is about, where it is not about all, and what times seen at checkpoints count as;
        else empty.
    """

    scores: list[Floats]
    n: list[int]
    n_undefined: list[int]
    about: str


def common_scores(
    study: StudyData, metric: Metric, configurations: Sequence[int], *, paired: bool | None = None,
    missing: Missing = "keep",
) -> Asked:  # fmt: skip
    """Scores of several configurations; paired, of the agents that all of them ran.

    Parameters
    ----------
    study, metric
        As above.
    configurations : sequence of int
        Which ones.
    paired : bool, optional
        By default what the study was.
    missing : {"keep", "drop"}
        What becomes of agents whose score is undefined; paired, an agent goes from all configurations.

    Raises
    ------
    InvalidInput
        If fewer than two agents are left.
    """
    check_missing(missing)
    together = are_paired(study, configurations) if paired is None else paired
    found = [scores_of(study, metric, i) for i in configurations]
    if together:
        shared = min(x.size for x in found)
        found = [x[:shared] for x in found]
    undefined = [np.isnan(x) for x in found]
    n, gone = [x.size for x in found], [int(x.sum()) for x in undefined]
    seen = "a time counts as the checkpoint that saw it" if metric.interval_censored else ""
    if missing == "keep" or not any(gone):
        return Asked(found, n, gone, seen)
    if together:
        defined = ~np.any(undefined, axis=0)
        found = [x[defined] for x in found]
        about = f"about {int(defined.sum()):,} of {n[0]:,} agents, for which it is defined in each"
    else:
        found = [x[~lost] for x, lost in zip(found, undefined, strict=True)]
        counts = list(dict.fromkeys(f"{x.size:,} of {all_:,}" for x, all_ in zip(found, n, strict=True)))
        about = f"about {' and '.join(counts)} agents, for which it is defined"
        about = about if len(counts) < 4 else f"about {sum(x.size for x in found):,} of {sum(n):,} agents in all"
    for i, x, all_ in zip(configurations, found, n, strict=True):
        if x.size < _FEWEST:
            few = f"{x.size:,} of {all_:,} agents of {study.labels[i]}"
            msg = f"{metric.name} is defined for {few}, too few for an answer"
            raise InvalidInput(msg)
    return Asked(found, n, gone, f"{about}; {seen}" if seen else about)


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


def infinite_text(study: StudyData, metric: Metric, configurations: Sequence[int], *, use: str = "") -> str:
    """Say why means are not defined, and what is; empty where all scores are finite."""
    found = []
    for i in configurations:
        scores = restricted(study, metric, scores_of(study, metric, i))
        infinite = int(np.isinf(scores).sum())
        if infinite:
            found.append((infinite / scores.size, str(study.labels[i])))
    if not found:
        return ""
    (share, label), *others = sorted(found, key=lambda pair: -pair[0])
    whose = f" of {label}" if len(configurations) > 1 else ""
    if len(others) == 1:
        whose += f" and {percent(others[0][0])} of those of {others[0][1]}"
    elif others:
        whose += f" and some of those of {len(others):,} others"
    text = f"{percent(share)} of the agents{whose} have infinite {metric.name.replace('_', ' ')}"
    return f"{text}; use {use}" if use else text


def refuse_without_means(
    study: StudyData, metric: Metric, configurations: Sequence[int], what: str, *, missing: Missing
) -> None:
    """Refuse a question about means that do not exist.

    Raises
    ------
    InvalidInput
        If scores are infinite, or undefined and not to be dropped.
    """
    check_missing(missing)
    undefined = "" if missing == "drop" else undefined_text(study, metric, configurations)
    if undefined:
        msg = f"{what} is not defined: {undefined}"
        raise InvalidInput(msg)
    infinite = infinite_text(
        study, metric, configurations, use="compare, whose probability of improvement is, or the median in summary"
    )
    if infinite:
        msg = f"{what} is not defined: {infinite}"
        raise InvalidInput(msg)


def note_of(study: StudyData, metric: Metric) -> str:
    """What to know of a metric's mean, empty where there is nothing."""
    texts = []
    if metric.is_time and np.isposinf(np.asarray(study.scores(metric.name), dtype=np.float64)).any():
        never = float(study.dataset.attrs["episodes"])
        texts.append(f"agents for which it never happened count as {never:,.0f} in means (restricted mean)")
    if metric.interval_censored:
        texts.append("each time is known only to lie after the checkpoint before, and not after its own")
    return "; ".join(texts)


def full_settings(study: StudyData) -> list[dict[str, Any]]:
    """What varied, one mapping a configuration with all names in each: None for what a configuration does not have."""
    names = list(dict.fromkeys(name for settings in study.configurations for name in settings))
    return [{name: settings.get(name) for name in names} for settings in study.configurations]


def are_paired(study: StudyData, configurations: Sequence[int]) -> bool:
    """Whether agent i of each had the same random numbers: each problem has streams of its own."""
    problems = {study.configurations[i].get("problem") for i in configurations}
    return study.paired and len(problems) == 1


def pairing(study: StudyData, paired: bool, configurations: Sequence[int]) -> bool:
    """Whether an experiment that is planned shares random numbers.

    Raises
    ------
    InvalidInput
        If it should, and the study did not: then nothing is known of how pairs of agents differ.
    """
    if not isinstance(paired, (bool, np.bool_)):
        msg = f"paired={paired!r:.40} is neither True nor False; use False for experiments with independent seeds"
        raise InvalidInput(msg)
    if paired and study.paired and not are_paired(study, configurations):
        msg = "paired=True, but each problem of this study has random numbers of its own; use False"
        raise InvalidInput(msg)
    if paired and not study.paired:
        msg = "paired=True, but agents of this study have random numbers of their own in each configuration; use False"
        raise InvalidInput(msg)
    return bool(paired)


def select(study: StudyData, where: Mapping[str, Any] | None = None, *, one_problem: bool = False) -> list[int]:
    """Configurations that have certain settings.

    Parameters
    ----------
    study : Study
    where : mapping, optional
        Settings and the value, or the list of values, that each must have; by default all configurations.
    one_problem : bool, default False
        Whether metrics of different problems cannot be put side by side: then several problems are refused.

    Returns
    -------
    list of int

    Raises
    ------
    InvalidInput
        If there is no such setting or value, or nothing is left.
    """
    configurations = full_settings(study)
    names = list(configurations[0])
    chosen = list(range(len(configurations)))
    if where is not None and not isinstance(where, Mapping):
        msg = f"where={where!r:.60} is not a mapping; give settings and values, such as {{{names[0]!r}: ...}}"
        raise InvalidInput(msg)
    for name, wanted in (where or {}).items():
        if name not in names:
            msg = f"where names {name!r}, which did not vary; use {', '.join(map(repr, names))}"
            raise InvalidInput(msg)
        values = [wanted] if isinstance(wanted, str) or not isinstance(wanted, Sequence | np.ndarray) else list(wanted)
        known = {c[name] for c in configurations} - {None}
        missing = [value for value in values if not any(_same(value, k) for k in known)]
        if missing:
            shown = ", ".join(map(repr, sorted(known, key=str)))
            msg = f"where has {name}={missing[0]!r}, which the study did not run; it ran {shown}"
            raise InvalidInput(msg)
        chosen = [i for i in chosen if any(_same(value, configurations[i][name]) for value in values)]
    if not chosen:
        msg = f"where={dict(where or {})!r} leaves no configuration; name fewer settings"
        raise InvalidInput(msg)
    problems = sorted({str(configurations[i]["problem"]) for i in chosen if "problem" in names})
    if one_problem and len(problems) > 1:
        msg = (
            f"the study has the problems {', '.join(map(repr, problems))}, whose metrics have no common scale; "
            f'name one, for example where={{"problem": {problems[0]!r}}}'
        )
        raise InvalidInput(msg)
    return chosen


def _same(a: Any, b: Any) -> bool:
    """Whether two values of a setting are the same, numbers up to rounding."""
    numbers = (int, float, np.integer, np.floating)
    if isinstance(a, numbers) and isinstance(b, numbers):
        return bool(np.isclose(float(a), float(b), rtol=1e-12, atol=0.0))
    return str(a) == str(b)


class Ranked(NamedTuple):
    """Configurations in the order of how good they are; see `qfast.stats.ranking`.

    Attributes
    ----------
    order : list of int
        The configurations, the best first, as far as their defined scores tell.
    by_mean : bool
        Whether by their means: some have none where scores are infinite.
    words : str
        What the order is by, as in "the best mean".
    undecided : str
        Why the first is not named the best: undefined scores could change it; else empty.
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


def precision_of(study: StudyData) -> tuple[str, PrecisionRule] | None:
    """The metric by whose interval the study stopped, and the rule; None where the number of agents was fixed."""
    goal = settings_json(study, "precision")
    if not goal:
        return None
    options = {name: value for name, value in goal.items() if name != "metric"}
    if options.get("bounds") is not None:
        options["bounds"] = tuple(options["bounds"])
    return str(goal["metric"]), PrecisionRule(**options)


def settings_json(study: StudyData, name: str) -> Any:
    """Read one of the study's attributes that hold JSON; an empty mapping where there is none."""
    text = study.dataset.attrs.get(name, "{}")
    return json.loads(text) if isinstance(text, str) else text

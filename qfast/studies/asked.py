"""What every answer asks of a study: which outcome, of which configurations, as which numbers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.stats import PrecisionRule

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = [
    "DEFAULT_OUTCOME",
    "Outcome",
    "StudyData",
    "common_scores",
    "full_settings",
    "outcome_of",
    "pairing",
    "precision_of",
    "ranked",
    "raw_scores",
    "scores_of",
    "select",
    "settings_json",
]

Floats = NDArray[np.float64]

#: What is asked about where nothing else is named.
DEFAULT_OUTCOME = "auc"


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
    def outcomes(self) -> Sequence[str]: ...  # noqa: D102

    def scores(self, outcome: str, configuration: Any = None) -> NDArray[Any]: ...  # noqa: D102

    def find(self, configuration: Any) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome of a study, and how to read it.

    Parameters
    ----------
    name : str
        Its name in ``study.dataset``.
    title : str
        Its name in words.
    units : str
        What one unit is, such as ``"reward"``; ``"1"`` for a pure number.
    higher_is_better : bool
        Which direction is good.
    description : str
        What it measures, in a sentence.
    never : float or None
        What an agent for which it never happened (an infinite score) counts as, the number of episodes trained; None
        where all scores are finite.
    """

    name: str
    title: str
    units: str
    higher_is_better: bool
    description: str
    never: float | None = None

    @property
    def axis(self) -> str:
        """Label of an axis: the name in words with its unit."""
        return self.title if self.units in ("", "1") else f"{self.title} ({self.units})"

    @property
    def direction(self) -> str:
        """Say which direction is good."""
        return "higher is better" if self.higher_is_better else "lower is better"

    @property
    def note(self) -> str:
        """What to know of its mean, empty where there is nothing."""
        if self.never is None:
            return ""
        return f"agents for which it never happened count as {self.never:,.0f} in means (restricted mean)"


def outcome_of(study: StudyData, name: str | None = None) -> Outcome:
    """Look an outcome up; by default the area under the learning curve.

    Raises
    ------
    InvalidInput
        If the study has no such outcome.
    """
    names = list(study.outcomes)
    if name is None:
        name = DEFAULT_OUTCOME if DEFAULT_OUTCOME in names else names[0]
    if name not in names:
        msg = f"outcome={name!r} is not in the study; use one of {', '.join(map(repr, names))}"
        raise InvalidInput(msg)
    variable = study.dataset[name]
    attributes = variable.attrs
    censored = bool(np.isposinf(variable.to_numpy().astype(np.float64)).any())
    return Outcome(
        name=name,
        title=str(attributes.get("long_name", name)),
        units=str(attributes.get("units", "1")),
        higher_is_better=bool(int(attributes.get("higher_is_better", 1))),
        description=str(attributes.get("description", "")),
        never=float(study.dataset.attrs["episodes"]) if censored else None,
    )


def raw_scores(study: StudyData, outcome: Outcome, configuration: int) -> Floats:
    """Scores of one configuration, (n_agents,): without the agents that were not run, with infinite ones."""
    scores = np.asarray(study.scores(outcome.name, configuration), dtype=np.float64)
    return scores[~np.isnan(scores)]


def scores_of(study: StudyData, outcome: Outcome, configuration: int) -> Floats:
    """Scores of one configuration, (n_agents,), finite: what never happened counts as the end of training.

    The mean of min(T, end) is the restricted mean of survival analysis (P. Royston, M. K. B. Parmar, BMC Medical
    Research Methodology 13 (2013) 152); every agent is followed to the same end, so the plain mean estimates it.
    """
    return _restricted(raw_scores(study, outcome, configuration), outcome)


def _restricted(scores: Floats, outcome: Outcome) -> Floats:
    return scores if outcome.never is None else np.where(np.isposinf(scores), outcome.never, scores)


def common_scores(
    study: StudyData, outcome: Outcome, configurations: Sequence[int], *, paired: bool | None = None
) -> list[Floats]:
    """Scores of several configurations; of paired studies, of the agents that all of them ran.

    Parameters
    ----------
    study, outcome
        As above.
    configurations : sequence of int
        Which ones.
    paired : bool, optional
        By default what the study was.

    Returns
    -------
    list of ndarray, float64 (n_agents,)
    """
    if not (study.paired if paired is None else paired):
        return [scores_of(study, outcome, i) for i in configurations]
    rows = np.asarray(study.scores(outcome.name), dtype=np.float64)[list(configurations)]
    rows = rows[:, ~np.isnan(rows).any(axis=0)]
    return [_restricted(row, outcome) for row in rows]


def full_settings(study: StudyData) -> list[dict[str, Any]]:
    """What varied, one mapping a configuration with all names in each: None for what a configuration does not have."""
    names = list(dict.fromkeys(name for settings in study.configurations for name in settings))
    return [{name: settings.get(name) for name in names} for settings in study.configurations]


def pairing(study: StudyData, paired: bool | None) -> bool:
    """Whether an experiment that is planned shares random numbers; by default as the study did.

    Raises
    ------
    InvalidInput
        If it should, and the study did not: then nothing is known of how pairs of agents differ.
    """
    if paired is None:
        return study.paired
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
        Whether outcomes of different problems cannot be put side by side: then several problems are refused.

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
            f"the study has the problems {', '.join(map(repr, problems))}, whose outcomes have no common scale; "
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


def ranked(study: StudyData, outcome: Outcome, configurations: Sequence[int]) -> list[int]:
    """Put configurations in the order of their means, the best first."""
    means = np.array([scores_of(study, outcome, i).mean() for i in configurations])
    order = np.argsort(-means if outcome.higher_is_better else means, kind="stable")
    return [configurations[i] for i in order.tolist()]


def precision_of(study: StudyData) -> tuple[str, PrecisionRule] | None:
    """The outcome by whose interval the study stopped, and the rule; None where the number of agents was fixed."""
    goal = settings_json(study, "precision")
    if not goal:
        return None
    options = {name: value for name, value in goal.items() if name != "outcome"}
    if options.get("bounds") is not None:
        options["bounds"] = tuple(options["bounds"])
    return str(goal["outcome"]), PrecisionRule(**options)


def settings_json(study: StudyData, name: str) -> Any:
    """Read one of the study's attributes that hold JSON; an empty mapping where there is none."""
    text = study.dataset.attrs.get(name, "{}")
    return json.loads(text) if isinstance(text, str) else text

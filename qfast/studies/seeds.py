"""How many agents a question needs: for an interval as narrow as asked, or to tell two configurations apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qfast.arguments import flag
from qfast.errors import InvalidInput
from qfast.stats import SeedsNeeded, misranking, seeds_for_power, seeds_for_width
from qfast.stats._check import Rng
from qfast.studies.select import (
    Metric,
    Missing,
    Scores,
    StudyData,
    are_paired,
    common_scores,
    infinite_text,
    metric_of,
    ranked,
    refuse_undefined,
    restricted,
    select,
    two_configurations,
)
from qfast.studies.texts import Answer
from qfast.text import columns, in_percent

__all__ = ["SeedTable", "SeedsRow", "check_paired", "find_seeds", "populations_of", "two_best"]

# Up to this many seeds the promise of the normal theory is checked against the populations themselves.
_MOST_CHECKED = 1000


@dataclass(frozen=True, slots=True)
class SeedsRow:
    """A configuration, or the two of a pair: how many agents of each are needed.

    ``checked_power``, of a pair, is the probability that an experiment with that many seeds, drawn from the populations
    at hand, finds the difference; None where the number is above 1,000 or does not exist.
    """

    label: str
    needed: SeedsNeeded
    checked_power: float | None = None


@dataclass(frozen=True, slots=True)
class SeedTable(Answer):
    """What `Study.seeds_needed` found.

    Parameters
    ----------
    rows : tuple of SeedsRow
        One for each configuration (a half-width), or one for the pair (a power).
    n_agents : int
        Agents of each configuration that the study ran.
    about : str
        How many agents it is about, where that is not all of them.
    """

    rows: tuple[SeedsRow, ...]
    n_agents: int
    about: str = ""

    @property
    def n(self) -> int | None:
        """The number that is enough for every row; None if no number is for one of them."""
        numbers = [row.needed.n for row in self.rows if row.needed.n is not None]
        return max(numbers) if len(numbers) == len(self.rows) else None

    @property
    def cautions(self) -> tuple[str, ...]:
        """Why a range may hold the truth less often than its level says; each reason once."""
        return tuple(dict.fromkeys(row.needed.caution for row in self.rows if row.needed.caution))

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that is printed."""
        power = any(row.checked_power is not None for row in self.rows)
        rows = []
        for row in self.rows:
            n, low, high = (
                "no number" if k is None else f"{k:,}" for k in (row.needed.n, row.needed.n_low, row.needed.n_high)
            )
            found = "-" if row.checked_power is None else in_percent(row.checked_power, 1)
            rows.append([row.label, n, f"{low} to {high}", *([found] if power else [])])
        return ["", "seeds needed", "range", *(["found by that many"] if power else [])], rows

    def _data(self) -> list[dict[str, Any]]:
        return [
            {
                "label": row.label, "n": row.needed.n, "n_low": row.needed.n_low, "n_high": row.needed.n_high,
                "checked_power": row.checked_power, "target": row.needed.target, "method": row.needed.method,
                "caution": row.needed.caution,
            }
            for row in self.rows
        ]  # fmt: skip

    def __str__(self) -> str:
        """Print a line for each row."""
        needed = self.rows[0].needed
        lines = [f"{self.metric.axis}: seeds of each configuration for {needed.target}"]
        told = (needed.method, self.about, *self.cautions, *columns(*self.table()))
        return "\n".join([*lines, *(f"  {text}" for text in told if text)])


def find_seeds(
    study: StudyData,
    a: Any = None,
    b: Any = None,
    metric: str | None = None,
    *,
    half_width: float | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
    level: float = 0.95,
    paired: bool = False,
    missing: Missing = "keep",
    where: Mapping[str, Any] | None = None,
    rng: Rng = None,
) -> SeedTable:
    """Compute how many agents a question needs, from the populations that were run.

    With ``half_width``: agents of each configuration (of ``a`` alone where it is given) for an interval of the
    mean, or of a share where scores are 0 and 1, that is as narrow as asked.  Without: agents of both ``a`` and
    ``b`` (by default of the two with the best means) for a test that finds their difference with a given power;
    where that is at most 1,000, experiments of that size are drawn from the populations to see how many find it.

    Parameters
    ----------
    a, b, metric, alpha, level, paired, missing, where, rng
        As everywhere in `Study`; scores that leave no mean, undefined or infinite, are refused.
    half_width : float, optional
        Half the width of the interval, in the metric's unit, above 0.
    power : float, default 0.8
        Probability to find the difference, in (0, 1).

    Returns
    -------
    SeedTable
        ``.n``, and a row for each configuration or for the pair with the range that it is known in.

    Examples
    --------
    >>> import qfast
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> study.seeds_needed("epsilon=0.1", half_width=0.01).rows[0].needed.target
    'a half-width of 0.01 of the mean at 95 %'
    >>> print(study.seeds_needed("epsilon=0.1", "epsilon=0.4", power=0.9, rng=0).rows[0].needed)
    249 agents (108 to 1,086) for Welch's t-test at 0.05 to find the difference with power 0.9 (noncentral t ...)
    """
    asked = metric_of(study, metric)
    if half_width is not None:
        if b is not None:
            msg = "half_width is about one configuration, but a and b are given; give half_width, or a and b"
            raise InvalidInput(msg)
        chosen = select(study, where) if a is None else [study.find(a)]
        what = "the width of an interval of the mean"
        found = populations_of(study, asked, chosen, what, paired=False, missing=missing)
        share = all(bool(((x == 0) | (x == 1)).all()) for x in found.scores)
        quantity = "share" if share else "mean"
        every = [seeds_for_width(x, half_width, quantity=quantity, level=level) for x in found.scores]
        rows = [SeedsRow(study.labels[i], needed) for i, needed in zip(chosen, every, strict=True)]
        return SeedTable(tuple(rows), study.n_agents, found.about, metric=asked)
    pair = two_best(study, asked, a, b, where)
    paired = check_paired(study, paired, pair)
    found = populations_of(study, asked, pair, "a difference of means", paired=paired, missing=missing)
    x, y = found.scores
    needed, checked = seeds_for_power(x, y, paired=paired, power=power, alpha=alpha), None
    if needed.n is not None and needed.n <= _MOST_CHECKED:
        better = asked.higher_is_better
        drawn = misranking(x, y, needed.n, paired=paired, alpha=alpha, higher_is_better=better, rng=rng)
        checked = 1 - float(drawn.missed[0])
    row = SeedsRow(" or ".join(study.labels[i] for i in pair), needed, checked)
    return SeedTable((row,), study.n_agents, found.about, metric=asked)


def two_best(study: StudyData, asked: Metric, a: Any, b: Any, where: Mapping[str, Any] | None) -> list[int]:
    """Look two configurations up; where none is named, the two with the best means."""
    if (a is None) != (b is None):
        raise InvalidInput(f"a={a!r} and b={b!r}: one of them is missing; name both, or neither for the two best")
    if a is not None:
        return list(two_configurations(study, a, b))
    order = ranked(study, asked, select(study, where, one_problem=True)).order
    if len(order) < 2:
        raise InvalidInput("one configuration alone cannot be told apart from others; vary something")
    return order[:2]


def check_paired(study: StudyData, paired: bool, configurations: Sequence[int]) -> bool:
    """Refuse an experiment with shared random numbers where the study tells nothing of how pairs of agents differ."""
    if flag("paired", paired) and not are_paired(study, configurations):
        has = "each problem of this study has random numbers of its own"
        if not study.paired:
            has = "agents of this study have random numbers of their own in each configuration"
        raise InvalidInput(f"paired=True, but {has}; use False")
    return bool(paired)


def populations_of(
    study: StudyData, asked: Metric, configurations: Sequence[int], what: str, *, paired: bool, missing: Missing
) -> Scores:
    """Scores that are taken for the truth, and how many agents that is; their means must exist."""
    refuse_undefined(study, asked, configurations, f"{what} is", missing)
    infinite = infinite_text(study, asked, configurations, paired=paired, missing=missing)
    if infinite:
        use = "use compare, whose probability of improvement is, or the median in summary"
        raise InvalidInput(f"{what} is not defined: {infinite}; {use}")
    found = common_scores(study, asked, configurations, paired=paired, missing=missing)
    return Scores([restricted(study, asked, x) for x in found.scores], found.about)

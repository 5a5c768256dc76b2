"""How many agents a question needs: for an interval as narrow as asked, or to tell two configurations apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qfast.errors import InvalidInput
from qfast.stats import SeedsNeeded, misranking, seeds_for_power, seeds_for_width
from qfast.stats._check import Rng
from qfast.studies.select import (
    Metric,
    Missing,
    StudyData,
    common_scores,
    metric_of,
    pairing,
    ranked,
    refuse_without_means,
    restricted,
    select,
)
from qfast.studies.texts import columns, percent

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["SeedTable", "SeedsRow", "find_seeds"]

# Up to this many seeds the promise of the normal theory is checked against the populations themselves.
_MOST_CHECKED = 1000


@dataclass(frozen=True, slots=True)
class SeedsRow:
    """One line of a `SeedTable`.

    Parameters
    ----------
    label : str
        The configuration, or the two of a pair.
    needed : qfast.stats.SeedsNeeded
        The number of agents of each configuration, with its range.
    checked_power : float or None
        Of a pair: the probability that an experiment with that many seeds, drawn from the populations at hand, finds
        the difference; None where the number is above 1,000 or does not exist.
    """

    label: str
    needed: SeedsNeeded
    checked_power: float | None


@dataclass(frozen=True, slots=True)
class SeedTable:
    """What `Study.seeds_needed` found.

    Parameters
    ----------
    metric : Metric
        What the seeds are for.
    rows : tuple of SeedsRow
        One for each configuration (a half-width), or one for the pair (a power).
    n_agents : int
        Agents of each configuration that the study ran.
    about : str
        How many agents it is about, where it is not about all of them; else empty.
    """

    metric: Metric
    rows: tuple[SeedsRow, ...]
    n_agents: int
    about: str = ""

    @property
    def n(self) -> int | None:
        """The number that is enough for every row; None if no number is for one of them."""
        numbers = [row.needed.n for row in self.rows]
        return None if None in numbers else max(n for n in numbers if n is not None)

    @property
    def cautions(self) -> tuple[str, ...]:
        """Why a range may hold the truth less often than its level says; each reason once."""
        return tuple(dict.fromkeys(row.needed.caution for row in self.rows if row.needed.caution))

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that is printed."""
        power = any(row.checked_power is not None for row in self.rows)
        header = ["", "seeds needed", "range"] + (["found by that many"] if power else [])
        rows = []
        for row in self.rows:
            low, high = (_count(n) for n in (row.needed.n_low, row.needed.n_high))
            cells = [row.label, _count(row.needed.n), f"{low} to {high}"]
            if power:
                cells.append("-" if row.checked_power is None else percent(row.checked_power, 1))
            rows.append(cells)
        return header, rows

    def to_dataframe(self) -> "DataFrame":
        """Give a pandas table with a row for each configuration or pair."""
        import pandas as pd

        return pd.DataFrame([
            {
                "label": row.label, "n": row.needed.n, "n_low": row.needed.n_low, "n_high": row.needed.n_high,
                "checked_power": row.checked_power, "target": row.needed.target, "method": row.needed.method,
                "caution": row.needed.caution,
            }
            for row in self.rows
        ])  # fmt: skip

    def __str__(self) -> str:
        """Print a line for each row."""
        needed = self.rows[0].needed
        lines = [f"{self.metric.axis}: seeds of each configuration for {needed.target}", f"  {needed.method}"]
        lines += [f"  {text}" for text in (self.about, *self.cautions) if text]
        return "\n".join([*lines, *(f"  {line}" for line in columns(*self.table()))])


def _count(n: int | None) -> str:
    return "no number" if n is None else f"{n:,}"


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
    a, b : int, str or mapping, optional
        Configurations, as in `compare`.
    metric : str, optional
        As in `summary`.
    half_width : float, optional
        Half the width of the interval, in the metric's unit, above 0.
    power : float, default 0.8
        Probability to find the difference, in (0, 1).
    alpha : float, default 0.05
        Two-sided level of the test, in (0, 1).
    level : float, default 0.95
        Confidence level of the interval, in (0, 1).
    paired : bool, default False
        Whether the experiment that is planned shares random numbers, as agents of one study do; experiments
        elsewhere have independent seeds.
    missing : {"keep", "drop"}, default "keep"
        What becomes of agents whose score is undefined (NaN).  "keep": they are refused.
        "drop": the answer is about the others alone, and says how many that are.
    where : mapping, optional
        As in `summary`.
    rng : int, SeedSequence, Generator or None
        Randomness of the check (SPEC 7).

    Returns
    -------
    SeedTable
        ``.n``, and a row for each configuration or for the pair with the range that it is known in.

    Raises
    ------
    InvalidInput
        If a configuration or metric does not exist, or an option is out of its range.

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
        refuse_without_means(study, asked, chosen, "the width of an interval of the mean", missing=missing)
        rows = []
        found = common_scores(study, asked, chosen, paired=False, missing=missing)
        populations = [restricted(study, asked, x) for x in found.scores]
        share = all(bool(((x == 0) | (x == 1)).all()) for x in populations)
        for i, scores in zip(chosen, populations, strict=True):
            needed = seeds_for_width(scores, half_width, quantity="share" if share else "mean", level=level)
            rows.append(SeedsRow(str(study.labels[i]), needed, None))
        return SeedTable(asked, tuple(rows), study.n_agents, found.about)
    i, j = pair_of(study, asked, a, b, where)
    together = pairing(study, paired, [i, j])
    refuse_without_means(study, asked, [i, j], "a difference of means", missing=missing)
    found = common_scores(study, asked, [i, j], paired=together, missing=missing)
    x, y = (restricted(study, asked, z) for z in found.scores)
    needed = seeds_for_power(x, y, paired=together, power=power, alpha=alpha)
    checked = None
    if needed.n is not None and needed.n <= _MOST_CHECKED:
        drawn = misranking(
            x, y, needed.n, paired=together, alpha=alpha, higher_is_better=asked.higher_is_better, rng=rng
        )
        checked = 1 - float(drawn.missed[0])
    row = SeedsRow(f"{study.labels[i]} or {study.labels[j]}", needed, checked)
    return SeedTable(asked, (row,), study.n_agents, found.about)


def pair_of(
    study: StudyData, asked: Metric, a: Any, b: Any, where: Mapping[str, Any] | None = None
) -> tuple[int, int]:
    """Look two configurations up; where none is named, the two with the best means."""
    if (a is None) != (b is None):
        msg = f"a={a!r} and b={b!r}: one of them is missing; name both, or neither for the two best"
        raise InvalidInput(msg)
    if a is None:
        order = ranked(study, asked, select(study, where, one_problem=True)).order
        if len(order) < 2:
            msg = "one configuration alone cannot be told apart from others; vary something"
            raise InvalidInput(msg)
        return order[0], order[1]
    i, j = study.find(a), study.find(b)
    if i == j:
        msg = f"a={a!r} and b={b!r} are the same configuration ({study.labels[i]}); name two"
        raise InvalidInput(msg)
    return i, j

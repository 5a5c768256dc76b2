"""The best configuration, and what it is worth on seeds that had no part in the choice."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from qfast.errors import InvalidInput
from qfast.stats import SelectionBias, selection_bias
from qfast.studies.asked import Metric, StudyData, metric_of, ranked, scores_of, select
from qfast.studies.texts import columns, number, with_interval

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Rerunnable", "Winner", "find_best"]


class Rerunnable(StudyData, Protocol):
    """A study whose configurations can be run again."""

    def rerun(self, configuration: Any, *, n_agents: int | None = None, seed: Any = None) -> StudyData: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Winner:
    """What `Study.best` found: the winner, with both of its numbers.

    Parameters
    ----------
    metric : Metric
        By what it was chosen.
    configuration : int
        Its index.
    label : str
        Its settings in words.
    settings : mapping
        The values of what was varied.
    n_configurations : int
        From how many it was chosen.
    runner_up : str
        Label of the second best.
    scores : qfast.stats.SelectionBias
        The mean where it won, the mean on fresh seeds, and their difference, each with its interval.
    n_selected, n_fresh : int
        Agents behind the two.
    """

    metric: Metric
    configuration: int
    label: str
    settings: Mapping[str, Any]
    n_configurations: int
    runner_up: str
    scores: SelectionBias
    n_selected: int
    n_fresh: int

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        s = self.scores
        sign = 1 if self.metric.higher_is_better else -1
        inside = s.bias.interval.low <= 0 <= s.bias.interval.high
        flattery = sign * s.bias.value
        tail = (
            "the two agree within their uncertainty"
            if inside
            else f"the choice flattered it by {number(flattery, s.bias.interval.half_width)}"
            if flattery > 0
            else f"on fresh seeds it does even better, by {number(-flattery, s.bias.interval.half_width)}"
        )
        return (
            f"{self.label} has the best {self.metric.title}, on average, of {self.n_configurations:,} configurations: "
            f"{with_interval(s.selected)}; on {self.n_fresh:,} fresh seeds it is {with_interval(s.fresh)}: {tail}."
        )

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that is printed."""
        s = self.scores
        header = ["", "agents", "mean over agents", "how its interval was made"]
        rows = [
            ["where it won (too good on average)", f"{self.n_selected:,}", s.selected],
            ["on fresh seeds (unbiased)", f"{self.n_fresh:,}", s.fresh],
            ["difference", "", s.bias],
        ]
        shown = [
            [str(name), str(n), with_interval(e), f"{100 * e.interval.level:g} %, {e.interval.method}"]  # type: ignore[arg-type, attr-defined]
            for name, n, e in rows
        ]
        return header, shown

    def to_dataframe(self) -> "DataFrame":
        """Give a pandas table with the rows selected, fresh and bias."""
        import pandas as pd

        rows = []
        for name, n, e in (
            ("selected", self.n_selected, self.scores.selected),
            ("fresh", self.n_fresh, self.scores.fresh),
            ("bias", None, self.scores.bias),
        ):
            ends = e.interval
            rows.append({
                "estimate": name, "label": self.label, "n": n, "value": e.value, "low": ends.low, "high": ends.high,
                "level": ends.level, "method": ends.method,
            })  # fmt: skip
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        """Print the winner and its numbers."""
        lines = [f"{self.metric.axis}; {self.metric.direction}", f"best of {self.n_configurations:,}: {self.label}"]
        lines += [f"  {line}" for line in columns(*self.table())]
        lines.append(f"second best: {self.runner_up}")
        return "\n".join(lines)


def find_best(
    study: Rerunnable,
    metric: str | None,
    *,
    n_agents: int | None,
    seed: Any,
    level: float,
    where: Mapping[str, Any] | None,
) -> Winner:
    """Choose, run again, and put both numbers side by side; see `Study.best`."""
    asked = metric_of(study, metric)
    order = ranked(study, asked, select(study, where, one_problem=True))
    if len(order) < 2:
        msg = "one configuration alone has no winner; vary something, or name fewer settings in where"
        raise InvalidInput(msg)
    first, second = order[:2]
    selected = scores_of(study, asked, first)
    fresh_study = study.rerun(first, n_agents=n_agents, seed=seed)
    fresh = scores_of(fresh_study, metric_of(fresh_study, asked.name), 0)
    return Winner(
        metric=asked,
        configuration=first,
        label=str(study.labels[first]),
        settings=dict(study.configurations[first]),
        n_configurations=len(order),
        runner_up=str(study.labels[second]),
        scores=selection_bias(selected, fresh, level=level),
        n_selected=selected.size,
        n_fresh=fresh.size,
    )

"""The best configuration, and what it is worth on seeds that had no part in the choice."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qfast.errors import InvalidInput
from qfast.stats import Estimate, SelectionBias, estimate_quantile, selection_bias
from qfast.stats._check import check_open_unit
from qfast.studies.compare import compare_pair
from qfast.studies.metrics import BUILT_IN
from qfast.studies.select import (
    Missing,
    StudyData,
    common_scores,
    infinite_text,
    metric_of,
    ranked,
    restricted,
    select,
    undefined_text,
)
from qfast.studies.texts import Answer, joined, number, several, size_of, with_interval
from qfast.text import columns

if TYPE_CHECKING:
    from qfast.model.seeding import Seed

__all__ = ["Winner", "find_best"]


@dataclass(frozen=True, slots=True)
class Winner(Answer):
    """What `Study.best` found: the winner, with both of its numbers.

    Parameters
    ----------
    configuration, label, settings : int, str, mapping
        Its index, its settings in words, and their values.
    n_configurations, runner_up : int, str
        From how many it was chosen, and the label of the second best.
    scores : qfast.stats.SelectionBias or None
        The mean where it won, the mean on fresh seeds, and their difference, each with its interval; None where scores
        are infinite, so that there is no mean.
    medians : (Estimate, Estimate)
        The median where it won, and on fresh seeds.
    n_selected, n_fresh : int
        Agents behind the two.
    rivals : tuple of str
        Labels of the configurations than which it is not shown to be better, by the test of `Study.compare` at a level
        that holds for all of them together.
    chosen_by, no_mean : str
        What it has the best of: "mean", unless configurations have none, and why.
    about : str
        How many agents it is about, where that is not all of them.
    """

    configuration: int
    label: str
    settings: Mapping[str, Any]
    n_configurations: int
    runner_up: str
    scores: SelectionBias | None
    medians: tuple[Estimate, Estimate]
    n_selected: int
    n_fresh: int
    rivals: tuple[str, ...]
    chosen_by: str = "mean"
    no_mean: str = ""
    about: str = ""

    @property
    def in_doubt(self) -> bool:
        """Whether there is a configuration than which it is not shown to be better."""
        return bool(self.rivals)

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        of, by_mean = f"of {self.n_configurations:,} configurations", self.chosen_by == "mean"
        if by_mean:
            head = f"{self.label} has the best {self.metric.title}, on average, {of}"
        else:
            head = f"{self.label} is the best {of} in {self.metric.title}: it has its {self.chosen_by}, since means "
            head += f"are not defined ({self.no_mean})"
        if self.in_doubt:
            head += f" (though it is not shown to be better than {several(self.rivals)})"
        fresh, s = f"on {self.n_fresh:,} fresh seeds", self.scores
        if s is None:
            first, second = (with_interval(e, time=self.metric.is_time) for e in self.medians)
            return f"{joined(f'{head}; its median is {first} where it won, and {second} {fresh}', self.about)}."
        flattered = s.bias.value >= 0 if self.metric.higher_is_better else s.bias.value <= 0
        tail = f"where it was chosen it looked {'better' if flattered else 'worse'} by {size_of(s.bias)}"
        if not math.isfinite(s.bias.interval.half_width):
            tail = "how much the choice flattered it cannot be told, since these agents all score alike"
        elif not s.seen:
            least = number(s.detectable, s.bias.interval.half_width)
            tail += f" (to be chosen flatters, and a comparison of this size often misses a bias below {least})"
        mean = f"{':' if by_mean else '; its own mean is'} {with_interval(s.selected)}"
        return f"{joined(f'{head}{mean}; {fresh} it is {with_interval(s.fresh)}: {tail}', self.about)}."

    def _rows(self) -> list[tuple[str, int | None, Estimate]]:
        """The estimates, with their names and agents."""
        if self.scores is None:
            return [("selected", self.n_selected, self.medians[0]), ("fresh", self.n_fresh, self.medians[1])]
        s = self.scores
        return [("selected", self.n_selected, s.selected), ("fresh", self.n_fresh, s.fresh), ("bias", None, s.bias)]

    @property
    def _statistic(self) -> str:
        return "median" if self.scores is None else "mean"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the table that is printed."""
        header = ["", "agents", f"{self._statistic} over agents", "how its interval was made"]
        names = {
            "selected": "where it won (too good on average)", "fresh": "on fresh seeds (unbiased)", "bias": "difference"
        }  # fmt: skip
        rows = []
        for name, n, e in self._rows():
            made = joined(f"{100 * e.interval.level:g} %, {e.interval.method}", e.caution)
            rows.append([names[name], "" if n is None else f"{n:,}", with_interval(e, time=self.metric.is_time), made])
        return header, rows

    def _data(self) -> list[dict[str, Any]]:
        return [
            {
                "estimate": name, "statistic": self._statistic, "label": self.label, "n": n, "value": e.value,
                "low": e.interval.low, "high": e.interval.high, "level": e.interval.level, "method": e.interval.method,
            }
            for name, n, e in self._rows()
        ]  # fmt: skip

    def __str__(self) -> str:
        """Print the winner and its numbers."""
        lines = [self.heading, f"best of {self.n_configurations:,}: {self.label}"]
        lines += [f"  {line}" for line in columns(*self.table())]
        lines.append(f"second best: {self.runner_up}")
        if self.rivals:
            lines.append(f"not shown to be better than: {'; '.join(self.rivals[:12])}")
        return "\n".join(lines)


def find_best(
    study: StudyData,
    metric: str | None = None,
    *,
    n_agents: int | None = None,
    seed: "Seed" = None,
    level: float = 0.95,
    missing: Missing = "keep",
    where: Mapping[str, Any] | None = None,
) -> Winner:
    """Name the configuration with the best mean, and run it again on fresh seeds.

    The best of many is best partly by luck; agents that had no part in the choice say what it is really worth.  Where
    some scores are infinite, so that there are no means, the best is the one whose agents most often do better than
    those of the others (ranks in the pool of all, ties half); the answer says so.

    Parameters
    ----------
    metric, level, missing, where
        As everywhere in `Study`; undefined scores that could make another the best are refused, or dropped.
    n_agents : int, optional
        Agents of the fresh run; by default as many as in the study.
    seed : int, sequence of int or SeedSequence, optional
        Of the fresh run; by default one that follows from the study's.

    Returns
    -------
    Winner
        ``.scores.selected`` and ``.scores.fresh``, each with its interval.

    Raises
    ------
    InvalidInput
        If the study's problem, or the function of a metric of your own, is not at hand to run it again.

    Examples
    --------
    >>> import qfast
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> winner = study.best()
    >>> winner.label, winner.n_fresh, winner.scores.bias.interval.method
    ('epsilon=0.1', 200, "Welch's t")
    """
    asked, level = metric_of(study, metric), check_open_unit(level, "level", 0.95)
    chosen = select(study, where, one_problem=True)
    ranking = ranked(study, asked, chosen, missing=missing)
    if len(ranking.order) < 2:
        raise InvalidInput("one configuration alone has no winner; vary something, or name fewer settings in where")
    if ranking.undecided:
        raise InvalidInput(f"which is the best cannot be said: {ranking.undecided}")
    first, *others = ranking.order
    if asked.name not in BUILT_IN and asked.name not in {own.name for own in study.functions}:
        msg = f"{asked.name} is a metric of your own, whose function a file does not hold; run the study here to use it"
        raise InvalidInput(msg)
    # From here on undefined scores are left out: they cannot change who is the best, or are not asked about.
    found = common_scores(study, asked, [first], missing="drop")
    fresh_study = study.rerun(first, n_agents=n_agents, seed=seed)
    again = common_scores(fresh_study, metric_of(fresh_study, asked.name), [0], missing="drop")
    selected, fresh = (restricted(study, asked, x.scores[0]) for x in (found, again))
    finite = bool(np.isfinite(selected).all() and np.isfinite(fresh).all())
    about = found.about
    if about != again.about:
        about = f"where it won {about or 'about all'}, and on fresh seeds {again.about or 'about all'}"
    lost = undefined_text(study, asked, [i for i in chosen if i != first]).partition(";")[0]
    inner = 1 - (1 - level) / len(others)
    pairs = [compare_pair(study, first, other, asked.name, level=inner, missing="drop") for other in others]
    return Winner(
        metric=asked,
        configuration=first,
        label=study.labels[first],
        settings=study.configurations[first],
        n_configurations=len(ranking.order),
        runner_up=study.labels[others[0]],
        scores=selection_bias(selected, fresh, level=level) if finite else None,
        medians=tuple(estimate_quantile(x.scores[0], 0.5, level=level) for x in (found, again)),  # type: ignore[arg-type]
        rivals=tuple(pair.label_b for pair in pairs if pair.better != "a"),
        n_selected=selected.size,
        n_fresh=fresh.size,
        chosen_by=ranking.words,
        no_mean=infinite_text(study, asked, chosen, missing=missing),
        about=joined(about, lost),
    )

"""What all sections of a report share: the study, what is judged by, and the answers that several of them use."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from qfast.errors import InvalidInput
from qfast.plots.canvas import MOST_LINES
from qfast.plots.settings import values_of
from qfast.reports.html import Part, Sketchbook, figure, paragraph, section
from qfast.studies.best import Winner, find_best
from qfast.studies.compare import AllComparisons, compare_all
from qfast.studies.misrank import StudyMisranking, fine_grid, misrank
from qfast.studies.select import Metric, Missing, Ranked, full_settings, ranked, select, settings_json
from qfast.studies.summary import StudySummary, summarize_study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qfast.studies.result import Study

#: Beyond this many configurations only pairs with the best are compared.
_MOST_PAIRED = 8
# Experiments drawn for a point of a curve: the standard error is at most 0.8 % then, and 1.6 % for the fewest that
# are drawn where there are so many configurations and seeds that all would take long.
_RESAMPLES, _FEWEST, _MOST_DRAWN = 4000, 1000, 2**27


@dataclass(frozen=True)
class Context:
    """A study, or the part of it that is about one problem."""

    study: "Study"
    metric: Metric
    level: float
    rerun: bool
    rng: np.random.Generator
    missing: Missing = "keep"
    sketch: Sketchbook = field(default_factory=Sketchbook)
    problem: str | None = None

    def within(self, problem: str | None) -> "Context":
        """The same for one problem only."""
        return self if problem is None else replace(self, problem=problem)

    @cached_property
    def problems(self) -> list[str | None]:
        """Problems that each get sections of their own: None where there is but one."""
        names = list(dict.fromkeys(str(c["problem"]) for c in self.study.configurations if "problem" in c))
        return list(names) if len(names) > 1 else [None]

    def section(self, name: str, title: str, *parts: str) -> Part:
        """A section, with the problem in its name and title where there are several."""
        if self.problem is not None:
            name, title = f"{name}-{self.problems.index(self.problem)}", f"{self.problem}: {title}"
        return section(name, title, *parts)

    def picture(
        self, what: str, finding: str, paint: Callable[["Axes"], Any], note: str = "", *, height: float = 3.5
    ) -> str:
        """A picture with the sentence that it shows, and how to read it."""
        return figure(self.sketch.draw(f"{what}. {finding}", paint, height=height), finding, note)

    @cached_property
    def _asked(self) -> dict[str, Any]:
        """How the study is asked: about what is left of its agents, of one problem."""
        return {"missing": self.missing, "where": None if self.problem is None else {"problem": self.problem}}

    @property
    def where(self) -> dict[str, Any] | None:
        """What restricts answers to the problem."""
        found: dict[str, Any] | None = self._asked["where"]
        return found

    @cached_property
    def chosen(self) -> list[int]:
        """Configurations, in the order of the study."""
        return select(self.study, self.where)

    @property
    def order(self) -> list[int]:
        """Configurations, the best first."""
        return self.ranking.order

    @cached_property
    def ranking(self) -> Ranked:
        """Which is better than which, and by what."""
        return ranked(self.study, self.metric, self.chosen, missing=self.missing)

    @cached_property
    def drawn(self) -> list[int]:
        """Configurations that pictures with a line for each show: all of a few, or the best."""
        return self.chosen if len(self.chosen) <= MOST_LINES else self.order[:MOST_LINES]

    @property
    def drawn_note(self) -> str:
        """What to say where not all are drawn."""
        few = len(self.drawn) < len(self.chosen)
        return f"Shown are the {len(self.drawn)} best of {len(self.chosen)}." if few else ""

    @cached_property
    def varied(self) -> dict[str, list[Any]]:
        """Settings with more than one value, and the values."""
        settings = list(self.study.configurations)
        found = values_of(settings[i] for i in self.chosen)
        return {name: values for name, values in found.items() if len(values) > 1}

    @cached_property
    def summary(self) -> StudySummary:
        """Every configuration summed up."""
        return summarize_study(
            self.study, self.metric.name, level=self.level, quantiles=(0.05, 0.25, 0.75, 0.95), content=0.9,
            at_least=None, **self._asked,
        )  # fmt: skip

    @cached_property
    def comparisons(self) -> AllComparisons | None:
        """All pairs, or those with the best; None for one configuration."""
        if len(self.chosen) < 2:
            return None
        against = self.order[0] if len(self.chosen) > _MOST_PAIRED else None
        return compare_all(
            self.study, self.metric.name, level=self.level, method="holm", against=against, simultaneous=False,
            **self._asked,
        )  # fmt: skip

    @cached_property
    def best(self) -> Winner | str | None:
        """The winner on fresh seeds, or why it was not run again; None for one configuration."""
        if len(self.chosen) < 2:
            return None
        if not self.rerun:
            return "The winner was not run again on fresh seeds: its mean above is the one by which it was chosen."
        try:
            return find_best(self.study, self.metric.name, n_agents=None, seed=None, level=self.level, **self._asked)
        except InvalidInput as error:
            return f"The winner was not run again on fresh seeds: {error}."

    @cached_property
    def pair(self) -> StudyMisranking | str | None:
        """How often few seeds mislead about the two best, over a fine grid; or why that cannot be asked."""
        return None if len(self.chosen) < 2 else self._misranking(self.order[0], self.order[1])

    @cached_property
    def best_of_all(self) -> StudyMisranking | str | None:
        """The same for the best of all, where there are more than two."""
        return None if len(self.chosen) < 3 else self._misranking(None, None)

    def _misranking(self, a: int | None, b: int | None) -> StudyMisranking | str:
        try:
            k = fine_grid(self.study, a, b, self.metric.name, **self._asked)
            seeds = k[-1] * (len(self.chosen) if a is None else 2)
            draws = min(_RESAMPLES, max(_FEWEST, _MOST_DRAWN // seeds))
            return misrank(
                self.study, a, b, self.metric.name, k=k, alpha=1 - self.level, n_resamples=draws, rng=self.rng,
                paired=False, **self._asked,
            )  # fmt: skip
        except InvalidInput as error:
            return f"How many seeds it takes cannot be said: {error}."

    @cached_property
    def smooth(self) -> int:
        """Episodes averaged in pictures of curves."""
        return max(1, int(self.study.dataset.sizes.get("episode", 1)) // 100)

    @property
    def question(self) -> str:
        """The question that the study was made to answer."""
        names = [name for name in full_settings(self.study)[0] if name != "problem"]
        fixed = settings_json(self.study, "problems")
        alone = getattr(self.study, "problems", {}).get("problem")
        unnamed = (alone is not None and alone.name) or "the problem"
        problems = " and ".join(name if name != "problem" else unnamed for name in fixed) or unnamed
        if not names:
            return f"How does learning vary over seeds on {problems}?"
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        verb = "learns" if len(names) == 1 else "learn"
        return f"Which {listed} {verb} best on {problems}, and how many seeds does it take to know?"

    @property
    def footer(self) -> str:
        """What made the page, and when the study was run."""
        attrs = self.study.dataset.attrs
        date = f"; the study is of {attrs['date']}" if attrs.get("date") else ""
        made = paragraph(f"Made by qfast {attrs.get('qfast_version', '')}{date}.")
        return f"<footer>{made}</footer>"

"""The pictures and the page of a study: methods of `qfast.Study` that hand on to what is imported when needed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qfast.stats._check import Missing, Rng
from qfast.studies.best import Rerunnable
from qfast.studies.compare import compare_all
from qfast.studies.misrank import fine_grid, misrank
from qfast.studies.profile import profile_study
from qfast.studies.select import StudyData

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from matplotlib.axes import Axes

__all__ = ["Drawing"]


class Drawing:
    """What can be drawn and written of a study: axes go in and come out, and nothing is shown."""

    def plot_curves(
        self: StudyData,
        configurations: Sequence[Any] | None = None,
        *,
        band: str | None = "agents",
        smooth: int = 1,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw learning curves with bands over agents, or of the mean's uncertainty; see `qfast.plots.study_curves`.

        Examples
        --------
        >>> import qfast
        >>> from matplotlib.figure import Figure
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> study.plot_curves(band="mean", ax=Figure().add_subplot()).get_xlabel()
        'episode'
        """
        from qfast.plots import study_curves

        return study_curves(self, configurations, band=band, smooth=smooth, ax=ax)

    def plot_share_optimal(
        self: StudyData, configurations: Sequence[Any] | None = None, *, ax: "Axes | None" = None
    ) -> "Axes":
        """Draw the share of agents with an optimal policy over episodes; see `qfast.plots.study_share_optimal`.

        Examples
        --------
        >>> import qfast
        >>> from matplotlib.figure import Figure
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> study.plot_share_optimal(ax=Figure().add_subplot()).get_xlabel()
        'episodes trained (checkpoints)'
        """
        from qfast.plots import study_share_optimal

        return study_share_optimal(self, configurations, ax=ax)

    def plot_sensitivity(
        self: StudyData,
        setting: str | None = None,
        metric: str | None = None,
        *,
        lines: str | None = None,
        where: Mapping[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw a metric over one setting; see `qfast.plots.sensitivity`.

        Examples
        --------
        >>> import qfast
        >>> from matplotlib.figure import Figure
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> study.plot_sensitivity("epsilon", "steps", ax=Figure().add_subplot()).get_xlabel()
        'epsilon'
        """
        from qfast.plots import sensitivity

        return sensitivity(self, setting, metric, lines=lines, where=where, ax=ax)

    def plot_sensitivity_map(
        self: StudyData,
        settings: Sequence[str] | None = None,
        metric: str | None = None,
        *,
        where: Mapping[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw a metric over two settings, as a map; see `qfast.plots.sensitivity_map`.

        Examples
        --------
        >>> import qfast
        >>> from matplotlib.figure import Figure
        >>> vary = {"alpha": [0.1, 0.5], "epsilon": [0.1, 0.2]}
        >>> study = qfast.study(vary=vary, n_agents=100, episodes=50, seed=0, progress=False)
        >>> study.plot_sensitivity_map(metric="steps", ax=Figure().add_subplot()).get_ylabel()
        'epsilon'
        """
        from qfast.plots import sensitivity_map

        return sensitivity_map(self, settings, metric, where=where, ax=ax)

    def plot_distribution(
        self: StudyData,
        metric: str | None = None,
        configurations: Sequence[Any] | None = None,
        *,
        kind: str = "violin",
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw a metric's distribution over agents; see `qfast.plots.score_distribution`.

        Examples
        --------
        >>> import qfast
        >>> from matplotlib.figure import Figure
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> ax = study.plot_distribution("steps", ax=Figure().add_subplot())
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['epsilon=0.1', 'epsilon=0.4']
        """
        from qfast.plots import score_distribution

        return score_distribution(self, metric, configurations, kind=kind, ax=ax)

    def plot_profile(
        self: StudyData,
        metric: str | None = None,
        *,
        level: float = 0.95,
        missing: Missing = "keep",
        where: Mapping[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw performance profiles; see `Study.profile` and `qfast.plots.performance_profiles`.

        Examples
        --------
        >>> import qfast
        >>> from matplotlib.figure import Figure
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> study.plot_profile("steps", ax=Figure().add_subplot()).get_ylabel()
        'share of agents below the threshold'
        """
        from qfast.plots import performance_profiles

        found = profile_study(self, metric, thresholds=None, level=level, missing=missing, where=where)
        return performance_profiles(found, ax=ax)

    def plot_improvement(
        self: StudyData,
        metric: str | None = None,
        *,
        against: Any = None,
        level: float = 0.95,
        missing: Missing = "keep",
        where: Mapping[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw probabilities of improvement; see `Study.compare_all` and `qfast.plots.improvement`.

        Examples
        --------
        >>> import qfast
        >>> from matplotlib.figure import Figure
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> study.plot_improvement("steps", ax=Figure().add_subplot()).get_xlabel()
        '… than this one'
        """
        from qfast.plots import improvement

        found = compare_all(
            self, metric, level=level, method="holm", against=against, simultaneous=False, missing=missing, where=where
        )
        return improvement(found, ax=ax)

    def plot_misranking(
        self: StudyData,
        a: Any = None,
        b: Any = None,
        metric: str | None = None,
        *,
        k: int | Sequence[int] | None = None,
        risk: float = 0.05,
        alpha: float = 0.05,
        paired: bool = False,
        missing: Missing = "keep",
        n_resamples: int = 10_000,
        rng: Rng = None,
        where: Mapping[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw how often experiments with few seeds name the wrong winner, over the number of seeds.

        See `Study.misranking` and `qfast.plots.misranking_curve`; by default k goes, in about 30 steps, from one seed
        to where hardly any experiment is wrong.

        Examples
        --------
        >>> import qfast
        >>> from matplotlib.figure import Figure
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> study.plot_misranking(rng=0, ax=Figure().add_subplot()).get_ylabel()
        'share of experiments'
        """
        from qfast.plots import misranking_curve

        counts = fine_grid(self, a, b, metric, paired=paired, missing=missing, where=where) if k is None else k
        found = misrank(
            self, a, b, metric, k=counts, alpha=alpha, n_resamples=n_resamples, rng=rng, paired=paired, missing=missing,
            where=where,
        )  # fmt: skip
        return misranking_curve(found, risk=risk, ax=ax)

    def report(
        self: Rerunnable,
        path: "str | os.PathLike[str]",
        *,
        metric: str | None = None,
        title: str | None = None,
        level: float = 0.95,
        rerun: bool = True,
        missing: Missing = "keep",
        rng: Rng = 0,
    ) -> "Path":
        """Write the study as one HTML page that needs nothing else; see `qfast.reports.write_report`.

        Examples
        --------
        >>> import qfast, tempfile
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     study.report(folder + "/study.html").name
        'study.html'
        """
        from qfast.reports import write_report

        return write_report(self, path, metric=metric, title=title, level=level, rerun=rerun, missing=missing, rng=rng)

"""The questions that a study answers: the methods of `qfast.Study`, each a few lines over a module of its own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from qfast.stats._check import Rng
from qfast.studies.asked import StudyData
from qfast.studies.comparisons import AllComparisons, PairComparison, compare_all, compare_pair
from qfast.studies.misrankings import USUAL_SEEDS, StudyMisranking, misrank
from qfast.studies.profiles import StudyProfile, profile_study
from qfast.studies.seeds import SeedTable, find_seeds
from qfast.studies.summaries import StudySummary, summarize_study
from qfast.studies.winners import Rerunnable, Winner, find_best

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from qfast.seeding import Seed

__all__ = ["Answers"]


class Answers:
    """What can be asked of a study, whatever it is made of."""

    def summary(
        self: StudyData,
        outcome: str | None = None,
        *,
        level: float = 0.95,
        quantiles: Sequence[float] = (0.05, 0.25, 0.75, 0.95),
        content: float = 0.9,
        at_least: float | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> StudySummary:
        """Describe one outcome of every configuration, the uncertainty of each number apart from the spread.

        With 10,000 agents the uncertainty of a mean is near zero; how far the agents lie apart is the finding.

        Parameters
        ----------
        outcome : str, optional
            One of ``study.outcomes``; by default ``"auc"``, the mean return over all episodes.
        level : float, default 0.95
            Confidence level of each interval by itself, in (0, 1).
        quantiles : sequence of float
            Which quantiles over agents besides the median, each in (0, 1).
        content : float, default 0.9
            Share of agents that the tolerance interval holds, in (0, 1).
        at_least : float, optional
            Report the share of agents whose score reaches this bar, too.
        where : mapping, optional
            Only the configurations with these settings, such as ``{"alpha": [0.1, 0.5]}``.

        Returns
        -------
        StudySummary
            Prints as two tables; ``.to_dataframe()``; ``.rows`` with a `qfast.stats.Summary` for each configuration.

        Raises
        ------
        InvalidInput
            If there is no such outcome, setting or value, or an option is out of its range.

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
        return summarize_study(
            self, outcome, level=level, quantiles=quantiles, content=content, at_least=at_least, where=where
        )

    def compare(self: StudyData, a: Any, b: Any, outcome: str | None = None, *, level: float = 0.95) -> PairComparison:
        """Compare two configurations: difference, probability of improvement, effect size, test.

        Agents are paired if the study was: then agent i of a is held against agent i of b, which had the same random
        numbers.

        Parameters
        ----------
        a, b : int, str or mapping
            Configurations: an index, a label, or settings such as ``{"alpha": 0.1}``.
        outcome : str, optional
            As in `summary`.
        level : float, default 0.95
            Confidence level of each interval, in (0, 1); the test is held against 1 - level.

        Returns
        -------
        PairComparison
            ``.sentence`` is the finding, ``.comparison`` a `qfast.stats.Comparison`.

        Raises
        ------
        InvalidInput
            If a configuration or outcome does not exist, a and b are the same, or level is out of range.

        Examples
        --------
        >>> import qfast
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> found = study.compare("epsilon=0.4", {"epsilon": 0.1})
        >>> found.better, found.comparison.test
        ('b', 'paired t-test')
        """
        return compare_pair(self, a, b, outcome, level=level)

    def compare_all(
        self: StudyData,
        outcome: str | None = None,
        *,
        level: float = 0.95,
        method: str = "holm",
        against: Any = None,
        simultaneous: bool = False,
        where: Mapping[str, Any] | None = None,
    ) -> AllComparisons:
        """Compare all pairs of configurations, with p-values corrected for their number.

        Parameters
        ----------
        outcome : str, optional
            As in `summary`.
        level : float, default 0.95
            Confidence level of the intervals, in (0, 1); corrected p-values are held against 1 - level.
        method : {"holm", "benjamini-hochberg", "benjamini-yekutieli"}, default "holm"
            How p-values are corrected; see `qfast.stats.correct`.
        against : int, str or mapping, optional
            Compare all others with this one only, which is many fewer pairs.
        simultaneous : bool, default False
            Widen the intervals so that those of one kind hold all together (Bonferroni).
        where : mapping, optional
            As in `summary`; of a study of several problems, name one here.

        Returns
        -------
        AllComparisons
            Prints as a table; ``.pairs``, ``.to_dataframe()``, ``.probability_of_improvement()``.

        Raises
        ------
        InvalidInput
            As in `compare`; or if fewer than two configurations are left, or they are of several problems.

        Examples
        --------
        >>> import qfast
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> vary = {"epsilon": [0.1, 0.2, 0.4]}
        >>> study = qfast.study(lake, vary=vary, n_agents=200, episodes=50, seed=0, progress=False)
        >>> pairs = study.compare_all()
        >>> len(pairs), pairs.labels[0], pairs.n_different
        (3, 'epsilon=0.1', 1)
        """
        return compare_all(
            self, outcome, level=level, method=method, against=against, simultaneous=simultaneous, where=where
        )

    def profile(
        self: StudyData,
        outcome: str | None = None,
        *,
        thresholds: ArrayLike | None = None,
        level: float = 0.95,
        where: Mapping[str, Any] | None = None,
    ) -> StudyProfile:
        """Give the share of agents that do better than each of many thresholds, for every configuration.

        Parameters
        ----------
        outcome : str, optional
            As in `summary`.
        thresholds : array_like, (n_thresholds,), optional
            In the outcome's unit; by default the scores that occur (1,000 quantiles of them where there are more).
        level : float, default 0.95
            Probability that a configuration's band holds its whole curve, in (0, 1).
        where : mapping, optional
            As in `summary`; of a study of several problems, name one here.

        Returns
        -------
        StudyProfile
            ``.to_dataframe()``; ``.profiles`` with a `qfast.stats.Profile` for each configuration.

        Raises
        ------
        InvalidInput
            As in `compare_all`.

        Examples
        --------
        >>> import qfast
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> profile = study.profile(thresholds=[0.0, 0.1])
        >>> [p.share.tolist() for p in profile.profiles]
        [[0.545, 0.105], [0.435, 0.065]]
        """
        return profile_study(self, outcome, thresholds=thresholds, level=level, where=where)

    def best(
        self: Rerunnable,
        outcome: str | None = None,
        *,
        n_agents: int | None = None,
        seed: "Seed" = None,
        level: float = 0.95,
        where: Mapping[str, Any] | None = None,
    ) -> Winner:
        """Name the configuration with the best mean, and run it again on fresh seeds.

        The best of many is best partly by luck; agents that had no part in the choice say what it is really worth.

        Parameters
        ----------
        outcome : str, optional
            As in `summary`.
        n_agents : int, optional
            Agents of the fresh run; by default as many as in the study.
        seed : int, sequence of int or SeedSequence, optional
            Of the fresh run; by default one that follows from the study's.
        level : float, default 0.95
            Confidence level of the intervals, in (0, 1).
        where : mapping, optional
            As in `summary`; of a study of several problems, name one here.

        Returns
        -------
        Winner
            ``.scores.selected`` and ``.scores.fresh``, each with its interval.

        Raises
        ------
        InvalidInput
            As in `compare_all`; or if the study's problem is not at hand to run it again.

        Examples
        --------
        >>> import qfast
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> winner = study.best()
        >>> winner.label, winner.n_fresh, winner.scores.bias.interval.method
        ('epsilon=0.1', 200, "Welch's t")
        """
        return find_best(self, outcome, n_agents=n_agents, seed=seed, level=level, where=where)

    def seeds_needed(
        self: StudyData,
        a: Any = None,
        b: Any = None,
        outcome: str | None = None,
        *,
        half_width: float | None = None,
        power: float = 0.8,
        alpha: float = 0.05,
        level: float = 0.95,
        paired: bool | None = None,
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
        outcome : str, optional
            As in `summary`.
        half_width : float, optional
            Half the width of the interval, in the outcome's unit, above 0.
        power : float, default 0.8
            Probability to find the difference, in (0, 1).
        alpha : float, default 0.05
            Two-sided level of the test, in (0, 1).
        level : float, default 0.95
            Confidence level of the interval, in (0, 1).
        paired : bool, optional
            Whether the experiment that is planned shares random numbers; by default as the study did.
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
            If a configuration or outcome does not exist, or an option is out of its range.

        Examples
        --------
        >>> import qfast
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> study.seeds_needed("epsilon=0.1", half_width=0.01).rows[0].needed.target
        'a half-width of 0.01 of the mean at 95 %'
        >>> print(study.seeds_needed("epsilon=0.1", "epsilon=0.4", power=0.9, rng=0).rows[0].needed)
        236 agents (104 to 1,012) for paired t-test at 0.05 to find the difference with power 0.9 (noncentral t ...)
        """
        return find_seeds(
            self, a, b, outcome, half_width=half_width, power=power, alpha=alpha, level=level, paired=paired,
            where=where, rng=rng,
        )  # fmt: skip

    def misranking(
        self: StudyData,
        a: Any = None,
        b: Any = None,
        outcome: str | None = None,
        *,
        k: int | Sequence[int] = USUAL_SEEDS,
        alpha: float = 0.05,
        paired: bool | None = None,
        n_resamples: int = 10_000,
        rng: Rng = None,
        where: Mapping[str, Any] | None = None,
    ) -> StudyMisranking:
        """Compute how often an experiment with k seeds names the wrong winner, or misses a real difference.

        The agents that were run are taken for the truth; an experiment draws k of each configuration.  Exact where that
        is possible, resampled with ``rng`` where it is not: the result says which for every number.

        Parameters
        ----------
        a, b : int, str or mapping, optional
            Two configurations, as in `compare`; by default the experiment names the best of all (of two: of these).
        outcome : str, optional
            As in `summary`.
        k : int or sequence of int, default (1, 3, 5, 10, 30, 100)
            Seeds of each configuration, each at least 1.
        alpha : float, default 0.05
            Two-sided level of the test that misses, in (0, 1).
        paired : bool, optional
            Whether the experiment shares random numbers; by default as the study did.
        n_resamples : int, default 10_000
            Experiments drawn where resampling is needed.
        rng : int, SeedSequence, Generator or None
            Randomness of the resampling (SPEC 7).
        where : mapping, optional
            As in `summary`; of a study of several problems, name one here.

        Returns
        -------
        StudyMisranking
            ``.wrong`` and, of a pair, ``.missed`` for every k; ``.loss``, what the mistakes cost; ``.trustworthy()``,
            from how many seeds on the winner is right.

        Raises
        ------
        InvalidInput
            As in `compare_all`; or if all means are equal, so that no winner is wrong.

        Examples
        --------
        >>> import qfast
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> found = study.misranking(k=[1, 3, 10], rng=0)
        >>> found.labels, found.wrong.round(2).tolist()
        (('epsilon=0.1', 'epsilon=0.4'), [0.44, 0.37, 0.25])
        """
        return misrank(
            self, a, b, outcome, k=k, alpha=alpha, paired=paired, n_resamples=n_resamples, rng=rng, where=where
        )

    def report(
        self: Rerunnable,
        path: "str | os.PathLike[str]",
        *,
        outcome: str | None = None,
        title: str | None = None,
        level: float = 0.95,
        rerun: bool = True,
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

        return write_report(self, path, outcome=outcome, title=title, level=level, rerun=rerun, rng=rng)

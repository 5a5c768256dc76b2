"""The questions that a study answers: the methods of `qfast.Study`, each a few lines over a module of its own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from qfast.stats._check import Missing, Rng
from qfast.studies.best import Rerunnable, Winner, find_best
from qfast.studies.compare import AllComparisons, PairComparison, compare_all, compare_pair
from qfast.studies.misrank import USUAL_SEEDS, StudyMisranking, misrank
from qfast.studies.profile import StudyProfile, profile_study
from qfast.studies.seeds import SeedTable, find_seeds
from qfast.studies.select import StudyData
from qfast.studies.summary import StudySummary, summarize_study

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from qfast.model.seeding import Seed

__all__ = ["Answers"]


class Answers:
    """What can be asked of a study, whatever it is made of."""

    def summary(
        self: StudyData,
        metric: str | None = None,
        *,
        level: float = 0.95,
        quantiles: Sequence[float] = (0.05, 0.25, 0.75, 0.95),
        content: float = 0.9,
        at_least: float | None = None,
        missing: Missing = "keep",
        where: Mapping[str, Any] | None = None,
    ) -> StudySummary:
        """Describe one metric of every configuration, the uncertainty of each number apart from the spread.

        With 10,000 agents the uncertainty of a mean is near zero; how far the agents lie apart is the finding.

        Parameters
        ----------
        metric : str, optional
            One of ``study.metrics``; by default ``"auc"``, the mean return over all episodes.
        level : float, default 0.95
            Confidence level of each interval by itself, in (0, 1).
        quantiles : sequence of float
            Which quantiles over agents besides the median, each in (0, 1).
        content : float, default 0.9
            Share of agents that the tolerance interval holds, in (0, 1).
        at_least : float, optional
            Report the share of agents whose score reaches this bar, too.
        missing : {"keep", "drop"}, default "keep"
            What becomes of agents whose score is undefined (NaN).  "keep": intervals
            of quantiles and shares allow for whatever they are, and means are those of the others.
            "drop": the answer is about the others alone, and says how many that are.
        where : mapping, optional
            Only the configurations with these settings, such as ``{"alpha": [0.1, 0.5]}``.

        Returns
        -------
        StudySummary
            Prints as two tables; ``.to_dataframe()``; ``.rows`` with a `qfast.stats.Summary` for each configuration.

        Raises
        ------
        InvalidInput
            If there is no such metric, setting or value, or an option is out of its range.

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
            self, metric, level=level, quantiles=quantiles, content=content, at_least=at_least, missing=missing,
            where=where,
        )  # fmt: skip

    def compare(
        self: StudyData, a: Any, b: Any, metric: str | None = None, *, level: float = 0.95, missing: Missing = "keep"
    ) -> PairComparison:
        """Compare two configurations: difference, probability of improvement, effect size, test.

        Agents are paired if the study was: then agent i of a is held against agent i of b, which had the same random
        numbers.  Where scores are infinite, a difference of means is not defined: ranks decide, by the probability of
        improvement.

        Parameters
        ----------
        a, b : int, str or mapping
            Configurations: an index, a label, or settings such as ``{"alpha": 0.1}``.
        metric : str, optional
            As in `summary`.
        level : float, default 0.95
            Confidence level of each interval, in (0, 1); the test is held against 1 - level.
        missing : {"keep", "drop"}, default "keep"
            What becomes of agents whose score is undefined (NaN).  "keep": no verdict that they could change.
            "drop": the answer is about the others alone, and says how many that are.

        Returns
        -------
        PairComparison
            ``.sentence`` is the finding, ``.comparison`` a `qfast.stats.Comparison`.

        Raises
        ------
        InvalidInput
            If a configuration or metric does not exist, a and b are the same, or level is out of range.

        Examples
        --------
        >>> import qfast
        >>> lake = qfast.problems.frozen_lake(slip=0.0)
        >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
        >>> found = study.compare("epsilon=0.4", {"epsilon": 0.1})
        >>> found.better, found.comparison.test
        ('b', 'paired t-test')
        """
        return compare_pair(self, a, b, metric, level=level, missing=missing)

    def compare_all(
        self: StudyData,
        metric: str | None = None,
        *,
        level: float = 0.95,
        method: str = "holm",
        against: Any = None,
        simultaneous: bool = False,
        missing: Missing = "keep",
        where: Mapping[str, Any] | None = None,
    ) -> AllComparisons:
        """Compare all pairs of configurations, with p-values corrected for their number.

        Parameters
        ----------
        metric : str, optional
            As in `summary`.
        level : float, default 0.95
            Confidence level of the intervals, in (0, 1); corrected p-values are held against 1 - level.
        method : {"holm", "benjamini-hochberg", "benjamini-yekutieli"}, default "holm"
            How p-values are corrected; see `qfast.stats.correct`.
        against : int, str or mapping, optional
            Compare all others with this one only, which is many fewer pairs.
        simultaneous : bool, default False
            Widen the intervals so that those of one kind hold all together (Bonferroni).
        missing : {"keep", "drop"}, default "keep"
            As in `compare`.
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
            self, metric, level=level, method=method, against=against, simultaneous=simultaneous,
            missing=missing, where=where,
        )  # fmt: skip

    def profile(
        self: StudyData,
        metric: str | None = None,
        *,
        thresholds: ArrayLike | None = None,
        level: float = 0.95,
        missing: Missing = "keep",
        where: Mapping[str, Any] | None = None,
    ) -> StudyProfile:
        """Give the share of agents that do better than each of many thresholds, for every configuration.

        Parameters
        ----------
        metric : str, optional
            As in `summary`.
        thresholds : array_like, (n_thresholds,), optional
            In the metric's unit; by default the scores that occur (1,000 quantiles of them where there are more).
        level : float, default 0.95
            Probability that a configuration's band holds its whole curve, in (0, 1).
        missing : {"keep", "drop"}, default "keep"
            What becomes of agents whose score is undefined (NaN).  "keep": they are refused.
            "drop": the answer is about the others alone, and says how many that are.
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
        return profile_study(self, metric, thresholds=thresholds, level=level, missing=missing, where=where)

    def best(
        self: Rerunnable,
        metric: str | None = None,
        *,
        n_agents: int | None = None,
        seed: "Seed" = None,
        level: float = 0.95,
        missing: Missing = "keep",
        where: Mapping[str, Any] | None = None,
    ) -> Winner:
        """Name the configuration with the best mean, and run it again on fresh seeds.

        The best of many is best partly by luck; agents that had no part in the choice say what it is really worth.
        Where some scores are infinite, so that there are no means, the best is the one whose agents most often do
        better than those of the others (ranks in the pool of all, ties half); the answer says so.

        Parameters
        ----------
        metric : str, optional
            As in `summary`.
        n_agents : int, optional
            Agents of the fresh run; by default as many as in the study.
        seed : int, sequence of int or SeedSequence, optional
            Of the fresh run; by default one that follows from the study's.
        level : float, default 0.95
            Confidence level of the intervals, in (0, 1).
        missing : {"keep", "drop"}, default "keep"
            What becomes of agents whose score is undefined (NaN).  "keep": they are refused.
            "drop": the answer is about the others alone, and says how many that are.
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
        return find_best(self, metric, n_agents=n_agents, seed=seed, level=level, missing=missing, where=where)

    def seeds_needed(
        self: StudyData,
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
        return find_seeds(
            self, a, b, metric, half_width=half_width, power=power, alpha=alpha, level=level, paired=paired,
            missing=missing, where=where, rng=rng,
        )  # fmt: skip

    def misranking(
        self: StudyData,
        a: Any = None,
        b: Any = None,
        metric: str | None = None,
        *,
        k: int | Sequence[int] = USUAL_SEEDS,
        alpha: float = 0.05,
        paired: bool = False,
        missing: Missing = "keep",
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
        metric : str, optional
            As in `summary`.
        k : int or sequence of int, default (1, 3, 5, 10, 30, 100)
            Seeds of each configuration, each at least 1.
        alpha : float, default 0.05
            Two-sided level of the test that misses, in (0, 1).
        paired : bool, default False
            Whether the experiment shares random numbers, as agents of one study do; experiments elsewhere have
            independent seeds.
        missing : {"keep", "drop"}, default "keep"
            As in `seeds_needed`.
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
        (('epsilon=0.1', 'epsilon=0.4'), [0.44, 0.38, 0.26])
        """
        return misrank(
            self, a, b, metric, k=k, alpha=alpha, paired=paired, missing=missing, n_resamples=n_resamples, rng=rng,
            where=where,
        )  # fmt: skip

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

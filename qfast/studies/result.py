"""The result of a study: a dataset, and ways to look at it."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from importlib import import_module
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.stats._check import Missing, Rng
from qfast.studies.best import find_best
from qfast.studies.compare import compare_all, compare_pair
from qfast.studies.dataset import grid, is_absent, to_dataframe, to_rl_evaluation, to_rliable
from qfast.studies.metrics import Metric
from qfast.studies.misrank import fine_grid, misrank
from qfast.studies.profile import profile_study
from qfast.studies.seeds import find_seeds
from qfast.studies.select import select
from qfast.studies.summary import summarize_study

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from qfast import plots, reports
    from qfast.studies import describe, storage

__all__ = ["Study"]


class _Late:
    """A method that is a documented function of a room above, or of a module that needs `Study`.

    It is imported when it is called, or looked at by ``help`` or ``inspect``.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __get__(self, study: "Study | None", _: type) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(import_module(self.module), self.name)
        return function if study is None else MethodType(function, study)


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """What `qfast.study` gives: metrics of every agent and curves of every configuration.

    Arguments of its methods are the same everywhere.  What does not fit raises `qfast.InvalidInput`, which names it.

    ``metric``
        One of ``metrics``; by default ``"auc"``, the mean return over all episodes.
    ``configuration``, or ``a`` and ``b``
        A number, a label, or settings that tell it from the others, such as ``{"alpha": 0.1}``; see `find`.
    ``where``
        Only configurations with these settings, such as ``{"alpha": [0.1, 0.5]}``.  Scores of different problems have
        no common scale: of a study of several, name one here.
    ``level``
        Confidence level of each interval by itself, in (0, 1).
    ``missing``
        What becomes of agents whose score is undefined (NaN): with ``"keep"`` they might be anything, and may leave a
        question without an answer; with ``"drop"`` the answer is about the others, and says how many that are.
    ``paired``
        Whether an experiment that is planned shares random numbers, as agents of one study do; experiments elsewhere
        have independent seeds.
    ``alpha``, ``rng``
        Two-sided level of a test, in (0, 1); randomness of resampling (SPEC 7: a seed, a generator or None).

    Attributes
    ----------
    dataset : xarray.Dataset
        Dimensions ``configuration``, ``agent``, ``episode``, ``quantile``, ``quantile_episode`` and ``checkpoint``.
        Coordinates: ``label`` and one for each setting that varies.  Variables: the metrics (configuration, agent),
        and the curves ``return_mean``, ``return_std``, ``return_quantile``, ``share_optimal``, ``regret_mean``.  Each
        has attributes that say what it is.  ``agents_run`` counts the agents of each configuration that were run:
        within these NaN is an undefined score, beyond it stands for none.
    problems : dict of str to MDP
        The problems, by name.
    functions : tuple of Metric
        Metrics of the user's own, which a file does not hold.
    """

    dataset: "xr.Dataset"
    problems: dict[str, MDP] = field(default_factory=dict)
    functions: tuple[Metric, ...] = ()

    # What a study answers, and how it is laid out: documented functions of a study, bound.
    summary = summarize_study
    compare = compare_pair
    compare_all = compare_all
    profile = profile_study
    best = find_best
    seeds_needed = find_seeds
    misranking = misrank
    grid = grid
    to_dataframe = to_dataframe
    to_rliable = to_rliable
    to_rl_evaluation = to_rl_evaluation

    if TYPE_CHECKING:  # what editors and type checkers see of the same
        plot_curves = plots.study_curves
        plot_share_optimal = plots.study_share_optimal
        plot_sensitivity = plots.sensitivity
        plot_sensitivity_map = plots.sensitivity_map
        plot_distribution = plots.score_distribution
        report = reports.write_report
        save = storage.save_study
        __repr__ = describe.describe_study
    else:
        plot_curves = _Late("qfast.plots", "study_curves")
        plot_share_optimal = _Late("qfast.plots", "study_share_optimal")
        plot_sensitivity = _Late("qfast.plots", "sensitivity")
        plot_sensitivity_map = _Late("qfast.plots", "sensitivity_map")
        plot_distribution = _Late("qfast.plots", "score_distribution")
        report = _Late("qfast.reports", "write_report")
        save = _Late("qfast.studies.storage", "save_study")
        __repr__ = _Late("qfast.studies.describe", "describe_study")

    @property
    def labels(self) -> list[str]:
        """Each configuration in words, such as "alpha=0.1, epsilon=0.05"."""
        return [str(label) for label in self.dataset["label"].to_numpy()]

    @property
    def varied(self) -> list[str]:
        """What varies, in order."""
        names: list[str] = json.loads(self.dataset.attrs["varied"])
        return names

    @property
    def configurations(self) -> list[dict[str, Any]]:
        """What varies, one dict a configuration: numbers, or text for what is none."""
        columns = {name: self.dataset[name].to_numpy().tolist() for name in self.varied}
        rows = [{name: values[number] for name, values in columns.items()} for number in range(len(self))]
        return [{name: value for name, value in row.items() if not is_absent(value)} for row in rows]

    def __len__(self) -> int:
        """Count the configurations."""
        return int(self.dataset.sizes["configuration"])

    @property
    def n_agents(self) -> int:
        """Agents of each configuration; with a precision rule the most that one may have."""
        return int(self.dataset.attrs["n_agents"])

    @property
    def episodes(self) -> int:
        """Episodes of each agent."""
        return int(self.dataset.attrs["episodes"])

    @property
    def paired(self) -> bool:
        """Whether agent i has the same random stream in every configuration."""
        return bool(self.dataset.attrs["paired"])

    @property
    def seed(self) -> str:
        """The seed, as text."""
        return str(self.dataset.attrs["seed"])

    @property
    def metrics(self) -> list[str]:
        """The names of what is measured of every agent."""
        names: list[str] = json.loads(self.dataset.attrs["metrics"])
        return names

    @property
    def n_quantile_episodes(self) -> int:
        """Episodes that have quantiles over agents."""
        return int(self.dataset["return_quantile"].shape[2]) if "return_quantile" in self.dataset else 0

    def find(self, configuration: Any) -> int:
        """Find a configuration by its number, its label, or settings that fit no other; give its number, from 0."""
        labels = self.labels
        if isinstance(configuration, Mapping):
            found = select(self, configuration, what="configuration")
            if len(found) > 1:
                fits = f"fits {len(found)}, such as {_some([labels[i] for i in found])}"
                raise InvalidInput(f"configuration={dict(configuration)!r:.80} {fits}; use settings that fit one")
            return found[0]
        if isinstance(configuration, str):
            if configuration not in labels:
                raise InvalidInput(f"configuration {configuration!r:.80} does not exist; use one of {_some(labels)}")
            return labels.index(configuration)
        whole = isinstance(configuration, (int, np.integer)) and not isinstance(configuration, (bool, np.bool_))
        if not whole or not -len(labels) <= configuration < len(labels):
            msg = f"configuration={configuration!r:.80} does not exist; use 0 … {len(labels) - 1}, a label, or settings"
            raise InvalidInput(msg)
        return int(configuration) % len(labels)

    def scores(self, metric: str, configuration: Any = None) -> NDArray[np.float64]:
        """Give a metric as numbers.

        Returns
        -------
        ndarray of float64, shape (C, n_agents) or (n,)
            As they are: infinite, or NaN where an agent's score is undefined.  Of one configuration, only the agents
            that were run; by default of all, where NaN stands for the others, too (``dataset["agents_run"]``).

        Examples
        --------
        >>> import qfast
        >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
        >>> study.scores("optimal").shape, study.scores("auc", "alpha=0.5").shape
        ((2, 64), (64,))
        """
        values = self.variable(metric).to_numpy()
        if configuration is not None:
            number = self.find(configuration)
            values = values[number, : int(self.dataset["agents_run"].to_numpy()[number])]
        return np.asarray(values, dtype=np.float64)

    def variable(self, metric: str) -> "xr.DataArray":
        """Give a metric with its names and attributes."""
        if metric not in self.metrics:
            msg = f"metric={metric!r} is not in the study; use one of {', '.join(map(repr, self.metrics))}"
            raise InvalidInput(msg)
        return self.dataset[metric]

    def is_constant(self, metric: str) -> bool:
        """Tell whether a metric is the same for every agent of every configuration, and tells nothing."""
        values = np.concatenate([self.scores(metric, number) for number in range(len(self))])
        return bool(values.size and (values == values[0]).all())

    def settings(self, configuration: Any) -> dict[str, Any]:
        """Give all settings of a configuration, as `qfast.train` takes them."""
        from qfast.studies.run import settings_of

        return settings_of(self, self.find(configuration))

    def seed_sequence(self, configuration: Any) -> SeedSequence:
        """Give the seed of a configuration's agents; of several problems each has its own.

        With it, ``first_agent`` of the dataset and `settings`, `qfast.train` makes any agent again.

        Examples
        --------
        >>> import qfast
        >>> lakes = {"dry": qfast.problems.frozen_lake(slip=0.0), "wet": qfast.problems.frozen_lake(slip=0.2)}
        >>> study = qfast.study(lakes, vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
        >>> c, i = study.find({"problem": "wet", "alpha": 0.5}), 7
        >>> agent = qfast.train(
        ...     study.problems["wet"], **study.settings(c), episodes=study.episodes, seed=study.seed_sequence(c),
        ...     first_agent=int(study.dataset["first_agent"][c]) + i, n_agents=1, record="returns", progress=False)
        >>> float(agent.lengths.sum()) == float(study.scores("steps", c)[i])
        True
        """
        from qfast.studies.run import seed_of

        return seed_of(self, self.find(configuration))

    def rerun(
        self,
        configuration: Any,
        n_agents: int | None = None,
        seed: Any = None,
        *,
        threads: int | None = None,
        executor: Executor | None = None,
        progress: Any = None,
    ) -> "Study":
        """Train one configuration again with fresh agents, as a study of its own.

        What was best of many looks better than it is; fresh agents know nothing of that.

        Parameters
        ----------
        n_agents : int, optional
            By default as many as here.
        seed : int, sequence of int or numpy.random.SeedSequence, optional
            By default that of the configuration (see `seed_sequence`) with agents beyond all of the study's own, so
            that the result can be made again.
        threads, executor, progress
            As in `qfast.train`.

        Returns
        -------
        Study
            Of one configuration, with the same label, and the built-in metrics and those of ``functions``.

        Examples
        --------
        >>> import qfast
        >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
        >>> again = study.rerun("alpha=0.5", progress=False)
        >>> again.labels, again.dataset["first_agent"].values.tolist()
        (['alpha=0.5'], [64])
        """
        from qfast.studies.run import rerun

        return rerun(self, configuration, n_agents, seed, threads=threads, executor=executor, progress=progress)

    # Pictures of answers, which take their arguments.

    def plot_profile(
        self,
        metric: str | None = None,
        *,
        level: float = 0.95,
        missing: Missing = "keep",
        where: Mapping[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw performance profiles: see `Study.profile`, and `qfast.plots.performance_profiles` for ``ax``."""
        from qfast.plots import performance_profiles

        return performance_profiles(profile_study(self, metric, level=level, missing=missing, where=where), ax=ax)

    def plot_improvement(
        self,
        metric: str | None = None,
        *,
        against: Any = None,
        level: float = 0.95,
        missing: Missing = "keep",
        where: Mapping[str, Any] | None = None,
        ax: "Axes | None" = None,
    ) -> "Axes":
        """Draw probabilities of improvement: see `Study.compare_all`, and `qfast.plots.improvement` for ``ax``."""
        from qfast.plots import improvement

        found = compare_all(self, metric, level=level, against=against, missing=missing, where=where)
        return improvement(found, ax=ax)

    def plot_misranking(
        self,
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

        See `Study.misranking`, and `qfast.plots.misranking_curve` for ``risk`` and ``ax``; by default ``k`` goes, in
        about 30 steps, from one seed to where hardly any experiment is wrong.
        """
        from qfast.plots import misranking_curve

        options: dict[str, Any] = {"paired": paired, "missing": missing, "where": where}
        counts = fine_grid(self, a, b, metric, **options) if k is None else k
        found = misrank(self, a, b, metric, k=counts, alpha=alpha, n_resamples=n_resamples, rng=rng, **options)
        return misranking_curve(found, risk=risk, ax=ax)


def _some(labels: list[str]) -> str:
    shown = ", ".join(repr(label) for label in labels[:6])
    return shown + (f", … ({len(labels)} in all)" if len(labels) > 6 else "")

"""The result of a study: a dataset, and ways to look at it."""

import json
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.studies.best import find_best
from qfast.studies.compare import compare_all, compare_pair
from qfast.studies.drawing import Drawing
from qfast.studies.layouts import Layouts
from qfast.studies.metrics import Metric
from qfast.studies.misrank import misrank
from qfast.studies.profile import profile_study
from qfast.studies.seeds import find_seeds
from qfast.studies.settings import is_number
from qfast.studies.summary import summarize_study

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Study"]


@dataclass(frozen=True, eq=False, repr=False)
class Study(Drawing, Layouts):
    """What `qfast.study` gives: metrics of every agent and curves of every configuration.

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

    # The questions that a study answers: documented functions of a study, bound.
    summary = summarize_study
    compare = compare_pair
    compare_all = compare_all
    profile = profile_study
    best = find_best
    seeds_needed = find_seeds
    misranking = misrank

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
        return [self._values(number) for number in range(len(self))]

    def _values(self, number: int) -> dict[str, Any]:
        values = {name: self.dataset[name].to_numpy()[number].item() for name in self.varied}
        return {name: value for name, value in values.items() if not _absent(value)}

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
        """Find a configuration.

        Parameters
        ----------
        configuration : int, str or mapping
            Its number, its label, or the settings that tell it from the others, such as ``{"alpha": 0.1}``.

        Returns
        -------
        int
            Its number, from 0.

        Raises
        ------
        InvalidInput
            If there is none, or several.
        """
        labels = self.labels
        if isinstance(configuration, str):
            if configuration in labels:
                return labels.index(configuration)
            msg = f"configuration {configuration!r:.80} does not exist; use one of {_some(labels)}"
            raise InvalidInput(msg)
        if isinstance(configuration, Mapping):
            return self._find_settings(configuration)
        whole = isinstance(configuration, (int, np.integer)) and not isinstance(configuration, (bool, np.bool_))
        if not whole or not -len(labels) <= configuration < len(labels):
            msg = f"configuration={configuration!r:.80} does not exist; use 0 … {len(labels) - 1}, a label, or settings"
            raise InvalidInput(msg)
        return int(configuration) % len(labels)

    def _find_settings(self, wanted: Mapping[str, Any]) -> int:
        for name in wanted:
            if name not in self.varied:
                msg = f"configuration: {name!r} does not vary in this study; what does is {', '.join(self.varied)}"
                raise InvalidInput(msg)
        fitting = np.ones(len(self), np.bool_)
        for name, value in wanted.items():
            there = self.dataset[name].to_numpy()
            if there.dtype.kind == "f":
                fitting &= there == float(value) if is_number(value) or isinstance(value, np.number) else False
            else:
                fitting &= there == ("none" if value is None else str(value))
        found = np.flatnonzero(fitting)
        if found.size != 1:
            told = "fits none" if not found.size else f"fits {found.size}"
            near = self.labels if not found.size else [self.labels[i] for i in found]
            msg = f"configuration={dict(wanted)!r:.80} {told} of them; use settings that fit one, such as {_some(near)}"
            raise InvalidInput(msg)
        return int(found[0])

    def scores(self, metric: str, configuration: Any = None) -> NDArray[np.float64]:
        """Give a metric as numbers.

        Parameters
        ----------
        metric : str
            One of `metrics`.
        configuration : int, str or mapping, optional
            See `find`; by default all.

        Returns
        -------
        ndarray of float64, shape (C, n_agents) or (n,)
            As they are: infinite, or NaN where an agent's score is undefined.  Of one configuration, only the agents
            that were run; of all, NaN stands for the others, too, which ``dataset["agents_run"]`` counts.

        Raises
        ------
        InvalidInput
            If there is no such metric or configuration.

        Examples
        --------
        >>> import qfast
        >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
        >>> study.scores("optimal").shape, study.scores("auc", "alpha=0.5").shape
        ((2, 64), (64,))
        """
        values = self.variable(metric).to_numpy()
        if configuration is None:
            return np.asarray(values, dtype=np.float64)
        number = self.find(configuration)
        return np.asarray(values[number, : int(self.dataset["agents_run"].to_numpy()[number])], dtype=np.float64)

    def variable(self, metric: str) -> "xr.DataArray":
        """Give a metric with its names and attributes."""
        if metric not in self.metrics:
            msg = f"metric {metric!r} does not exist; use one of {', '.join(self.metrics)}"
            raise InvalidInput(msg)
        return self.dataset[metric]

    def is_constant(self, metric: str) -> bool:
        """Tell whether a metric is the same for every agent of every configuration, and tells nothing."""
        values = np.concatenate([self.scores(metric, number) for number in range(len(self))])
        return bool(values.size and (values == values[0]).all())

    def grid(self, variable: "str | xr.DataArray") -> "xr.DataArray":
        """Give a variable with one dimension for each setting that varies, in place of ``configuration``.

        Parameters
        ----------
        variable : str or xarray.DataArray
            A variable of the dataset, or what was computed from one, such as
            ``study.dataset["auc"].mean("agent")``.

        Returns
        -------
        xarray.DataArray
            NaN where there is no such configuration.

        Raises
        ------
        InvalidInput
            If there is no such variable, or it does not have the dimension.

        Examples
        --------
        >>> import qfast
        >>> vary = {"alpha": [0.1, 0.5], "epsilon": [0.05, 0.1, 0.2]}
        >>> study = qfast.study(vary=vary, n_agents=64, episodes=20, seed=0, progress=False)
        >>> study.grid(study.dataset["auc"].mean("agent")).sizes["epsilon"]
        3
        """
        if isinstance(variable, str) and variable not in self.dataset:
            msg = f"variable {variable!r} does not exist; use one of {', '.join(map(str, self.dataset.data_vars))}"
            raise InvalidInput(msg)
        array = self.dataset[variable] if isinstance(variable, str) else variable
        if "configuration" not in getattr(array, "dims", ()):
            msg = f"variable={variable!r:.60} has no dimension 'configuration'; use a variable of the dataset"
            raise InvalidInput(msg)
        import xarray as xr

        names = self.varied
        if not names:
            return array.isel(configuration=0, drop=True)
        # Placed by hand: unstacking would sort the values, and their order was the user's.
        given = {name: self.dataset[name].to_numpy().tolist() for name in names}
        keys = {name: ["" if _absent(value) else value for value in values] for name, values in given.items()}
        axes = {name: list(dict.fromkeys(values)) for name, values in keys.items()}
        array = array.transpose("configuration", ...)
        shape = tuple(len(values) for values in axes.values())
        whole = len(self) == int(np.prod(shape))
        size = (*shape, *array.shape[1:])
        values = np.empty(size, array.dtype) if whole else np.full(size, np.nan)
        for number in range(len(self)):
            values[tuple(axes[name].index(keys[name][number]) for name in names)] = array.to_numpy()[number]
        for name, places in axes.items():
            if self.dataset[name].dtype.kind == "f":
                axes[name] = [np.nan if place == "" else place for place in places]
        others = {name: array.coords[name] for name in array.dims[1:] if name in array.coords}
        return xr.DataArray(values, {**axes, **others}, (*names, *array.dims[1:]), array.name, array.attrs)

    def settings(self, configuration: Any) -> dict[str, Any]:
        """Give all settings of a configuration, as `qfast.train` takes them.

        Parameters
        ----------
        configuration : int, str or mapping
            See `find`.

        Returns
        -------
        dict
        """
        from qfast.studies.run import settings_of

        return settings_of(self, self.find(configuration))

    def seed_sequence(self, configuration: Any) -> SeedSequence:
        """Give the seed of a configuration's agents; of several problems each has its own.

        Parameters
        ----------
        configuration : int, str or mapping
            See `find`.

        Returns
        -------
        numpy.random.SeedSequence
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
        configuration : int, str or mapping
            See `find`.
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

        Raises
        ------
        InvalidInput
            If there is no such configuration, or the problem is not known.

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

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the study to a file, whole or not at all; see `qfast.load_study`.

        Parameters
        ----------
        path : path-like
            ``*.nc`` for netCDF, ``*.zarr`` for zarr; an existing one is replaced.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        InvalidInput
            If the ending is another one, or there is no such folder.
        MissingExtra
            If the package for the format is not installed.
        OSError
            If it cannot be written.
        """
        from qfast.studies.storage import save_study

        return save_study(self, path)

    def __repr__(self) -> str:
        """Describe the study on one screen."""
        from qfast.studies.describe import describe_study

        return describe_study(self)


def _absent(value: Any) -> bool:
    """Whether a coordinate says that the configuration's agents do not have the setting."""
    return value == "" or (isinstance(value, float) and np.isnan(value))


def _some(labels: list[str]) -> str:
    shown = ", ".join(repr(label) for label in labels[:6])
    return shown + (f", … ({len(labels)} in all)" if len(labels) > 6 else "")

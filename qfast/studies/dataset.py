"""The dataset of a study: how it is made, with attributes that say what everything is; and its layouts as tables."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import optional
from qfast.engine.curve import LEVELS
from qfast.errors import InvalidInput
from qfast.studies.design import PROBLEM, Configuration, coordinate
from qfast.studies.metrics import Metric, final_window
from qfast.studies.reduce import Totals

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from qfast.studies.result import Study

__all__ = ["as_json", "grid", "make_dataset", "to_dataframe", "to_rl_evaluation", "to_rliable"]

_CURVES: Final[dict[str, dict[str, Any]]] = {
    "return_mean": {
        "long_name": "mean return over agents", "units": "reward", "higher_is_better": 1,
        "description": "mean over agents of the undiscounted return of each episode",
    },
    "return_std": {
        "long_name": "standard deviation of the return over agents", "units": "reward", "higher_is_better": 0,
        "description": "standard deviation over agents (n - 1): their spread, not the error of the mean",
    },
    "return_quantile": {
        "long_name": "quantiles of the return over agents", "units": "reward", "higher_is_better": 1,
        "description": "the smallest return of the episode that a share of the agents does not exceed; exact",
    },
    "share_optimal": {
        "long_name": "share of agents that are optimal", "units": "1", "higher_is_better": 1,
        "description": "share of the agents whose greedy policy is optimal where it matters, at each checkpoint",
    },
    "regret_mean": {
        "long_name": "mean regret over agents", "units": "reward", "higher_is_better": 0,
        "description": "mean over agents of V* minus the exact value of the greedy policy, at each checkpoint",
    },
}  # fmt: skip


def make_dataset(
    configurations: Sequence[Configuration],
    names: Sequence[str],
    metrics: Sequence[Metric],
    totals: Totals,
    *,
    episodes: int,
    quantile_episodes: NDArray[np.int64],
    checkpoints: NDArray[np.int64],
    first_agents: NDArray[np.int64],
    attributes: dict[str, Any],
) -> Any:
    """Name everything that has come in of configurations that are all finished, as an `xarray.Dataset`.

    `names` is what varies; `first_agents` is (C,); `quantile_episodes` and `checkpoints` count from 1.
    """
    xarray = optional("xarray", "study", "a study needs it")
    most = totals.most_agents
    everyone = bool((totals.done == most).all())
    coordinates: dict[str, Any] = {
        "configuration": np.arange(len(configurations)),
        "agent": ("agent", np.arange(most), {"long_name": "number of the agent within its configuration"}),
        "label": ("configuration", np.array([c.label for c in configurations])),
    }
    coordinates |= {name: ("configuration", coordinate(configurations, name)) for name in names}
    for name, counts, text in (
        ("first_agent", first_agents, "number of the configuration's first agent in its seed"),
        ("agents_run", totals.done.copy(), "agents that were run"),
        ("agents_diverged", totals.n_diverged.copy(), "agents whose Q holds inf or NaN at the end"),
    ):
        coordinates[name] = ("configuration", counts, {"long_name": text})
    data: dict[str, Any] = {}
    limits = {c.mdp.max_episode_steps for c in configurations}
    for i, metric in enumerate(metrics):
        values: NDArray[Any] = totals.metrics[i]
        if metric.is_bool and everyone and not np.isnan(values).any():
            values = values == 1.0
        data[metric.name] = (("configuration", "agent"), values, _about(metric, episodes, limits))
    finished = [totals.finished[c] for c in range(len(configurations))]

    def add_curve(name: str, *dimensions: str) -> None:
        values = np.array([getattr(c, name) for c in finished])
        data[name] = (("configuration", *dimensions), values, _CURVES[name])

    if finished[0].return_mean.size:
        coordinates["episode"] = ("episode", np.arange(1, episodes + 1), {"units": "episodes"})
        add_curve("return_mean", "episode")
        add_curve("return_std", "episode")
    if quantile_episodes.size:
        dimension = "episode" if quantile_episodes.size == episodes else "quantile_episode"
        coordinates["quantile"] = np.array(LEVELS)
        coordinates[dimension] = (dimension, quantile_episodes, {"units": "episodes"})
        add_curve("return_quantile", "quantile", dimension)
    if checkpoints.size:
        coordinates["checkpoint"] = ("checkpoint", checkpoints, {"units": "episodes"})
        add_curve("share_optimal", "checkpoint")
        add_curve("regret_mean", "checkpoint")
    return xarray.Dataset(data, coordinates, attributes)


def _about(metric: Metric, episodes: int, limits: set[int | None]) -> dict[str, Any]:
    title, description = metric.title, metric.description
    if metric.function is None:
        words = {"within": _within(limits), "window": final_window(episodes)}
        words["settles"] = "; undefined, NaN, where the sum never settles" if None in limits else ""
        title, description = title.format(**words), description.format(**words)
    return {
        "long_name": title, "units": metric.unit, "higher_is_better": int(metric.higher_is_better),
        "description": description, "is_bool": int(metric.is_bool), "is_time": int(metric.is_time),
        "interval_censored": int(metric.interval_censored),
    }  # fmt: skip


def _within(limits: set[int | None]) -> str:
    """Which return is meant: with an episode limit the one within it, which always exists."""
    if limits == {None}:
        return "without an episode limit"
    if len(limits) > 1:
        return "within the episode limit" + (" if there is one" if None in limits else "")
    (limit,) = limits
    return f"within {limit:,} step{'' if limit == 1 else 's'}"


def as_json(value: Any) -> str:
    """JSON in one line, for an attribute."""
    return json.dumps(value, ensure_ascii=False)


def is_absent(value: Any) -> bool:
    """Whether a coordinate says that the configuration's agents do not have the setting."""
    return value == "" or (isinstance(value, float) and np.isnan(value))


def grid(study: "Study", variable: "str | xr.DataArray") -> "xr.DataArray":
    """Give a variable with one dimension for each setting that varies, in place of ``configuration``.

    Parameters
    ----------
    variable : str or xarray.DataArray
        A variable of the dataset, or what was computed from one, such as ``study.dataset["auc"].mean("agent")``.

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
    dataset = study.dataset
    if isinstance(variable, str) and variable not in dataset:
        raise InvalidInput(f"variable {variable!r} does not exist; use one of {', '.join(map(str, dataset.data_vars))}")
    array = dataset[variable] if isinstance(variable, str) else variable
    if "configuration" not in getattr(array, "dims", ()):
        raise InvalidInput(f"variable={variable!r:.60} has no dimension 'configuration'; use a variable of the dataset")
    names = study.varied
    if not names:
        return array.isel(configuration=0, drop=True)
    # Placed by hand: unstacking would sort the values, and their order was the user's.
    array = array.transpose("configuration", ...)
    axes: dict[str, Any] = {}
    places = []
    for name in names:
        keys = ["" if is_absent(value) else value for value in dataset[name].to_numpy().tolist()]
        values = list(dict.fromkeys(keys))
        places.append([values.index(key) for key in keys])
        axes[name] = [np.nan if value == "" and dataset[name].dtype.kind == "f" else value for value in values]
    shape = [len(values) for values in axes.values()]
    whole = len(study) == np.prod(shape)
    table = np.full([*shape, *array.shape[1:]], 0 if whole else np.nan, array.dtype if whole else np.float64)
    table[tuple(places)] = array.to_numpy()
    axes |= {str(name): array.coords[name] for name in array.dims[1:] if name in array.coords}
    return type(array)(table, axes, (*names, *array.dims[1:]), array.name, array.attrs)


def to_dataframe(study: "Study") -> "pd.DataFrame":
    """Give the metrics as a tidy table: a row for each agent that was run, a column for each metric.

    Returns
    -------
    pandas.DataFrame
        Columns ``configuration``, ``label``, what varies, ``agent``, and the metrics.

    Examples
    --------
    >>> import qfast
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
    >>> study.to_dataframe().groupby("alpha")["auc"].count().tolist()
    [64, 64]
    """
    import pandas as pd

    dataset = study.dataset
    run = dataset["agents_run"].to_numpy()
    numbers, agents = np.repeat(np.arange(len(study)), run), np.concatenate([np.arange(n) for n in run])
    columns: dict[str, Any] = {"configuration": numbers}
    columns |= {name: dataset[name].to_numpy()[numbers] for name in ("label", *study.varied)}
    columns["agent"] = agents + dataset["first_agent"].to_numpy()[numbers]
    for name in study.metrics:
        values = dataset[name].to_numpy()[numbers, agents]
        columns[name] = values == 1.0 if dataset[name].attrs.get("is_bool") else values
    return pd.DataFrame(columns)


def to_rliable(study: "Study", metric: str = "auc") -> dict[str, NDArray[np.float64]]:
    """Give a metric in the layout of rliable: for each algorithm a matrix (runs, tasks).

    The algorithms are the configurations, by label; where there are several problems, those are the tasks.

    Parameters
    ----------
    metric : str, default "auc"
        One of ``metrics``.

    Returns
    -------
    dict of str to ndarray of float64, shape (n_agents, n_tasks)
        The first agents only, as many as were run everywhere; infinite and undefined scores (NaN) as they are.

    Examples
    --------
    >>> import qfast
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
    >>> {label: scores.shape for label, scores in study.to_rliable().items()}
    {'alpha=0.1': (64, 1), 'alpha=0.5': (64, 1)}
    """
    scores = study.scores(metric)[:, : int(study.dataset["agents_run"].min())]
    columns: dict[str, list[NDArray[np.float64]]] = {}
    for number, label in enumerate(study.labels):
        name = label.partition(", ")[2] if PROBLEM in study.varied else label
        columns.setdefault(name or metric, []).append(scores[number])
    return {name: np.stack(tasks, axis=1) for name, tasks in columns.items()}


def to_rl_evaluation(study: "Study") -> "pd.DataFrame":
    """Give the metrics in the layout of rl-evaluation (rlai-lab): a row for each run.

    ``polars.from_pandas`` of it, with ``data_definition(hyper_cols=study.varied, seed_col="seed",
    time_col="frame")``, is what its functions take.

    Returns
    -------
    pandas.DataFrame
        Columns: what varies, ``seed`` (the agent's number), ``frame`` (the episodes, the same in all rows: a metric is
        one number of a whole run), and the metrics as numbers.

    Examples
    --------
    >>> import qfast
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
    >>> study.to_rl_evaluation().columns[:4].tolist(), len(study.to_rl_evaluation())
    (['alpha', 'seed', 'frame', 'auc'], 128)
    """
    frame = to_dataframe(study).drop(columns=["configuration", "label"]).rename(columns={"agent": "seed"})
    frame.insert(len(study.varied) + 1, "frame", study.episodes)
    return frame.astype(dict.fromkeys(study.metrics, np.float64))

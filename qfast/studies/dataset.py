"""The dataset of a study: named dimensions and coordinates, and attributes that say what everything is."""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.curve import LEVELS
from qfast.studies.design import Configuration, coordinate
from qfast.studies.metrics import Metric, final_window
from qfast.studies.optional import need
from qfast.studies.totals import Totals

__all__ = ["make_dataset"]

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
    """Name everything that has come in.

    Parameters
    ----------
    configurations : sequence of Configuration
    names : sequence of str
        What varies.
    metrics : sequence of Metric
    totals : Totals
        Whose configurations are all finished.
    episodes : int
    quantile_episodes : ndarray of int64
        The episodes that quantiles are there for, from 1.
    checkpoints : ndarray of int64
    first_agents : ndarray of int64, shape (C,)
        Number of each configuration's first agent.
    attributes : dict
        Of the whole.

    Returns
    -------
    xarray.Dataset
    """
    xarray = need("xarray", "a study")
    n_agents, everyone = totals.most_agents, bool((totals.done == totals.most_agents).all())
    coordinates: dict[str, Any] = {
        "configuration": np.arange(len(configurations)),
        "agent": ("agent", np.arange(n_agents), {"long_name": "number of the agent within its configuration"}),
        "label": ("configuration", np.array([c.label for c in configurations])),
    }
    for name in names:
        coordinates[name] = ("configuration", coordinate(configurations, name))
    coordinates["first_agent"] = (
        "configuration", first_agents, {"long_name": "number of the configuration's first agent in its seed"},
    )  # fmt: skip
    coordinates["agents_run"] = ("configuration", totals.done.copy(), {"long_name": "agents that were run"})
    coordinates["agents_diverged"] = (
        "configuration", totals.n_diverged.copy(), {"long_name": "agents whose Q holds inf or NaN at the end"},
    )  # fmt: skip
    data: dict[str, Any] = {}
    limits = {c.mdp.max_episode_steps for c in configurations}
    for i, metric in enumerate(metrics):
        values: NDArray[Any] = totals.metrics[i]
        if metric.is_bool and everyone and not np.isnan(values).any():
            values = values == 1.0
        data[metric.name] = (("configuration", "agent"), values, _about(metric, episodes, limits))
    finished = [totals.finished[c] for c in range(len(configurations))]
    if finished[0].return_mean.size:
        coordinates["episode"] = ("episode", np.arange(1, episodes + 1), {"units": "episodes"})
        for name in ("return_mean", "return_std"):
            data[name] = (("configuration", "episode"), np.array([getattr(c, name) for c in finished]), _CURVES[name])
    if quantile_episodes.size:
        dimension = "episode" if quantile_episodes.size == episodes else "quantile_episode"
        coordinates["quantile"] = np.array(LEVELS)
        coordinates[dimension] = (dimension, quantile_episodes, {"units": "episodes"})
        values = np.array([c.return_quantile for c in finished])
        data["return_quantile"] = (("configuration", "quantile", dimension), values, _CURVES["return_quantile"])
    if checkpoints.size:
        coordinates["checkpoint"] = ("checkpoint", checkpoints, {"units": "episodes"})
        for name in ("share_optimal", "regret_mean"):
            values = np.array([getattr(c, name) for c in finished])
            data[name] = (("configuration", "checkpoint"), values, _CURVES[name])
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

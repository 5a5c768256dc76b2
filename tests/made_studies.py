"""Studies made of numbers that are chosen, not trained: what the answers say of them can be checked by hand."""

import itertools
import json

import numpy as np
import xarray as xr

from qfast.studies import Study

ATTRIBUTES = {
    "final_return": ("final return", "reward", 1, "mean return of the last 10 % of the episodes"),
    "auc": ("mean return", "reward", 1, "mean return over all episodes: the area under the learning curve"),
    "regret": ("regret", "reward", 0, "best value minus the value of the greedy policy"),
    "optimal": ("optimal", "1", 1, "whether the greedy policy is optimal"),
    "first_optimal": ("first optimal episode", "episodes", 0, "first checkpoint with an optimal greedy policy"),
}


def level(settings, i):
    """Mean score of a configuration: a smooth function of alpha and epsilon where these are all that varies."""
    if set(settings) <= {"alpha", "epsilon"}:
        alpha, epsilon = settings.get("alpha", 0.2), settings.get("epsilon", 0.1)
        return 4 + 2 * alpha - 3 * (alpha - 0.3) ** 2 - 4 * epsilon
    return 4 + 0.3 * i


def made_dataset(vary=None, *, n_agents=400, episodes=100, seed=0, paired=True, metrics=None, curves=True):
    """A dataset of the layout of studies; `metrics` maps names to (configuration, agent) arrays in place of mine."""
    rng = np.random.default_rng(seed)
    vary = {"alpha": [0.1, 0.3, 0.5], "epsilon": [0.05, 0.2]} if vary is None else vary
    table = [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]
    C = len(table)
    levels = np.array([level(c, i) for i, c in enumerate(table)])
    common = rng.normal(size=n_agents)
    noise = rng.normal(size=(C, n_agents))
    auc = levels[:, None] + 0.4 * (0.5 * common + noise if paired else noise)
    optimal = noise > -1.5 + 0.2 * np.arange(C)[:, None]
    found = {
        "final_return": auc + 0.5,
        "auc": auc,
        "regret": np.where(optimal, 0.0, rng.exponential(size=(C, n_agents))),
        "optimal": optimal,
        "first_optimal": np.where(optimal, rng.integers(1, 21, size=(C, n_agents)) * 5.0, np.inf),
    }
    found |= {name: np.asarray(values) for name, values in (metrics or {}).items()}
    variables = {}
    for name, values in found.items():
        title, units, higher, text = ATTRIBUTES.get(name, (name, "1", 1, ""))
        attributes = {"long_name": title, "units": units, "higher_is_better": higher, "description": text}
        attributes["is_time"] = attributes["interval_censored"] = int(name == "first_optimal")
        variables[name] = (("configuration", "agent"), values, attributes)
    episode = np.arange(1, episodes + 1)
    checkpoint = np.linspace(5, episodes, 20).round().astype(np.int64)
    quantiles = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    if curves:
        rise = 1 - np.exp(-episode / 20)
        mean = (levels[:, None] + 0.5) * rise
        std = np.full_like(mean, 0.45)
        z = np.array([-1.645, -0.674, 0, 0.674, 1.645])
        variables |= {
            "return_mean": (("configuration", "episode"), mean),
            "return_std": (("configuration", "episode"), std),
            "return_quantile": (("configuration", "quantile", "episode"), mean[:, None] + z[:, None] * std[:, None]),
            "share_optimal": (
                ("configuration", "checkpoint"),
                found["optimal"].mean(axis=1)[:, None] * (1 - np.exp(-checkpoint / 20)),
            ),
            "regret_mean": (("configuration", "checkpoint"), np.exp(-checkpoint / 20) + np.zeros((C, 1))),
        }
    label = [", ".join(f"{k}={v if isinstance(v, str) else format(v, 'g')}" for k, v in c.items()) for c in table]
    coordinates = {
        "configuration": np.arange(C),
        "label": ("configuration", label),
        "agent": np.arange(n_agents),
        "episode": episode,
        "quantile": quantiles,
        "checkpoint": checkpoint,
    }
    for name in vary:
        coordinates[name] = ("configuration", [c[name] for c in table])
    coordinates["first_agent"] = ("configuration", np.zeros(C, np.int64))
    coordinates["agents_run"] = ("configuration", np.full(C, n_agents))
    coordinates["agents_diverged"] = ("configuration", np.zeros(C, np.int64))
    attributes = {
        "qfast_version": "0.1.0",
        "seed": str(seed),
        "paired": int(paired),
        "n_agents": n_agents,
        "episodes": episodes,
        "n_steps": C * n_agents * episodes * 5,
        "seconds": 1.5,
        "settings": json.dumps({"gamma": 0.9, "rule": "q_learning"}),
        "problems": json.dumps({"corridor": "5 states, 2 actions"}),
        "vary": json.dumps({k: list(v) for k, v in vary.items()}),
        "command": "qfast.study(vary={...}, seed=0)",
        "date": "2026-11-24",
        "varied": json.dumps(list(vary)),
        "metrics": json.dumps(list(found)),
    }
    return xr.Dataset(variables, coordinates, attributes)


def made_study(vary=None, **options):
    """A study of made numbers."""
    return Study(made_dataset(vary, **options))


class Again(Study):
    """A study whose configurations can be run again, with numbers of another seed."""

    def rerun(self, configuration, n_agents=None, seed=None, **_):
        vary = json.loads(self.dataset.attrs["vary"])
        fresh = made_dataset(vary, n_agents=n_agents or self.n_agents, seed=1 if seed is None else seed)
        return Study(fresh.isel(configuration=[self.find(configuration)]))

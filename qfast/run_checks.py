"""Whether what a file says of a run fits together, so that nothing in it can lead the kernel out of a table."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.model.learner import Learner, make_learner
from qfast.model.mdp import MDP
from qfast.model.rates import Rate
from qfast.model.settings import RATES, SETTINGS

__all__ = ["check_about", "check_arrays", "check_learner"]

_MOST: Final = 2**62  # of what is counted in 64 bits


def check_about(about: dict[str, Any]) -> None:
    """Refuse numbers that no run has.

    Raises
    ------
    ValueError, KeyError, TypeError
        Naming the number.
    """
    for name, least in (("n_agents", 1), ("first_agent", 0), ("episodes", 1), ("n_steps", 0)):
        value = about[name]
        if type(value) is not int or not least <= value <= _MOST:
            msg = f"{name}={value!r:.40} is not a whole number from {least} to {_MOST:,}"
            raise ValueError(msg)
    if about["record"] not in (None, "returns", "summary"):
        msg = f"record={about['record']!r:.40} is unknown"
        raise ValueError(msg)
    if not 0 <= float(about["seconds"]) < math.inf:
        msg = f"seconds={about['seconds']!r:.40} is no time"
        raise ValueError(msg)
    for name, parts in about["rates"].items():
        if not all(isinstance(part, str) for part in parts):
            msg = f"rates: {name}={parts!r:.40} is no kind and text"
            raise ValueError(msg)
    work = about.get("work", "")
    if not isinstance(work, str):
        msg = f"work={work!r:.40} is no text"
        raise TypeError(msg)


def check_learner(options: dict[str, Any], rates: dict[str, Rate], n_agents: int, episodes: int) -> Learner:
    """Make a learner out of what a file says, checked like a new one.

    Raises
    ------
    InvalidInput, KeyError, TypeError
        If it could not have been made.
    """
    # A schedule belongs to the run's last stretch of episodes, which may be shorter than all of them.
    lengths = {rate.values.size for rate in rates.values() if rate.kind == "episode"}
    used = {name: rates[name] for name in RATES if SETTINGS[name].is_used(options)}
    return make_learner(n_agents=n_agents, episodes=min(lengths, default=episodes), **options, **used)


def check_arrays(mdp: MDP, learner: Learner, episodes: int, n_agents: int, arrays: dict[str, NDArray[Any]]) -> None:
    """Refuse arrays of agents with another shape or dtype than they have, and states that do not exist.

    Raises
    ------
    ValueError
        Naming the array.
    """
    pairs = (mdp.n_states, mdp.n_actions)
    double = learner.rule == "double_q_learning"
    counts = learner.explore == "ucb" or learner.alpha.kind == "visit"
    wanted: dict[str, tuple[tuple[int, ...], Any]] = {
        "q": ((n_agents, *pairs), learner.dtype),
        "rng": ((4, n_agents), np.dtype(np.uint32)),
        "state": ((n_agents,), np.dtype(np.int32)),
        "q_tables": ((n_agents, 2, *pairs), learner.dtype),
        "visits": ((n_agents, *pairs), np.dtype(np.int32)),
        "returns": ((n_agents, episodes), learner.dtype),
        "lengths": ((n_agents, episodes), np.dtype(np.int32)),
    }
    needed = {"rng", "state"} | ({"q_tables"} if double else set()) | ({"visits"} if counts else set())
    for name, (shape, dtype) in wanted.items():
        array = arrays.get(name)
        if array is None:
            if name in needed and "q" in arrays:
                raise KeyError(name)
        elif array.shape != shape or array.dtype.newbyteorder("=") != dtype:
            msg = f"{name} has shape {array.shape} and dtype {array.dtype}, not {shape} and {dtype}"
            raise ValueError(msg)
    _check_floats(arrays, "curve_", ("mean", "std", "min", "max", "quantiles"), episodes)
    columns = arrays.get("checkpoints_episodes")
    if columns is not None:
        if columns.ndim != 1 or columns.dtype.kind not in "iu":
            msg = f"checkpoints have shape {columns.shape} and dtype {columns.dtype}"
            raise ValueError(msg)
        for name in ("regret", "error_sup", "error_rms", "optimal"):
            array, kind = arrays[f"checkpoints_{name}"], "b" if name == "optimal" else "f"
            if array.shape != (n_agents, columns.size) or array.dtype.kind != kind:
                msg = f"checkpoints_{name} has shape {array.shape} and dtype {array.dtype}"
                raise ValueError(msg)
    state, visits = arrays.get("state"), arrays.get("visits")
    if state is not None and n_agents and not (state.min() >= 0 and state.max() < mdp.n_states):
        msg = f"an agent is in a state outside of 0 … {mdp.n_states - 1}"
        raise ValueError(msg)
    if visits is not None and visits.size and visits.min() < 0:
        msg = "a number of visits is negative"
        raise ValueError(msg)


def _check_floats(arrays: dict[str, NDArray[Any]], prefix: str, endings: tuple[str, ...], episodes: int) -> None:
    """Refuse summaries that do not hold one float64 an episode; quantiles hold five."""
    for name, array in arrays.items():
        ending = name.rpartition("_")[2]
        if name.startswith(prefix) and ending in endings:
            shape = (5, episodes) if ending == "quantiles" else (episodes,)
            if array.shape != shape or array.dtype != np.float64:
                msg = f"{name} has shape {array.shape} and dtype {array.dtype}, not {shape} and float64"
                raise ValueError(msg)

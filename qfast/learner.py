"""What an agent is: its learning rule, its exploration and its rates, checked once."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from qfast.errors import InvalidInput
from qfast.rates import Rate, as_rate

__all__ = ["DTYPES", "TIES", "Learner", "make_learner"]

TIES: Final = ("random", "first", "last")
DTYPES: Final = ("float32", "float64")


@dataclass(frozen=True)
class Learner:
    """Every setting of the agents of a run, checked.  Made by `make_learner`.

    Attributes
    ----------
    alpha, gamma, epsilon, initial_q : Rate
        Step size, discount, exploration rate, and the value that Q starts with.
    ties : {"random", "first", "last"}
        Which of several greedy actions is taken.
    dtype : numpy.dtype
        float32 or float64.
    """

    alpha: Rate
    gamma: Rate
    epsilon: Rate
    initial_q: Rate
    ties: str
    dtype: np.dtype[Any]

    def first(self, count: int) -> "Learner":
        """Make the same learner for the first ``count`` agents."""
        rates = {name: getattr(self, name).first(count) for name in ("alpha", "gamma", "epsilon", "initial_q")}
        return replace(self, **rates)

    def words(self) -> dict[str, str]:
        """Each setting in words, for tables and files."""
        rates = ("alpha", "gamma", "epsilon", "initial_q")
        return {name: repr(getattr(self, name)) for name in rates} | {"ties": self.ties, "dtype": self.dtype.name}


def make_learner(
    *,
    n_agents: int,
    episodes: int,
    alpha: Any,
    gamma: Any,
    epsilon: Any,
    initial_q: Any,
    ties: str,
    dtype: Any,
) -> Learner:
    """Check the settings of a run's agents.

    Parameters
    ----------
    n_agents, episodes : int
        What the lengths of arrays are compared with.
    alpha, gamma, epsilon, initial_q : float or array_like or Rate or schedule
        See `qfast.train`.
    ties : {"random", "first", "last"}
    dtype : {"float32", "float64"} or numpy.dtype

    Returns
    -------
    Learner

    Raises
    ------
    InvalidInput
        If a setting is out of range, of the wrong length, or unknown.

    Examples
    --------
    >>> make_learner(n_agents=2, episodes=3, alpha=0.1, gamma=0.9, epsilon=[0.3, 0.2, 0.1], initial_q=0,
    ...              ties="random", dtype="float32").epsilon
    by_episode(3 values from 0.3 to 0.1)
    """
    if ties not in TIES:
        msg = f"ties={ties!r} is unknown; use one of {', '.join(map(repr, TIES))}"
        raise InvalidInput(msg)
    try:
        element = np.dtype(dtype)
    except TypeError:
        element = np.dtype(object)
    if element.name not in DTYPES:
        msg = f"dtype={dtype!r} is not possible for Q; use 'float32' or 'float64'"
        raise InvalidInput(msg)

    def rate(name: str, value: Any, low: float, high: float, *, schedule: bool) -> Rate:
        return as_rate(value, name, n_agents=n_agents, episodes=episodes, low=low, high=high, schedule=schedule)

    largest = float(np.finfo(element).max)
    return Learner(
        alpha=rate("alpha", alpha, 0, 1, schedule=True),
        gamma=rate("gamma", gamma, 0, 1, schedule=False),
        epsilon=rate("epsilon", epsilon, 0, 1, schedule=True),
        initial_q=rate("initial_q", initial_q, -largest, largest, schedule=False),
        ties=ties,
        dtype=element,
    )

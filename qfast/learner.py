"""What an agent is: its learning rule, its exploration and its rates, checked once."""

from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.rates import Rate, as_rate, constant

__all__ = ["DTYPES", "EXPLORE", "RATES", "RULES", "TIES", "TRACES", "Learner", "make_learner"]

RULES: Final = ("q_learning", "sarsa", "expected_sarsa", "double_q_learning", "article")
EXPLORE: Final = ("epsilon_greedy", "greedy", "softmax", "ucb")
TRACES: Final = ("accumulating", "replacing")
TIES: Final = ("random", "first", "last")
DTYPES: Final = ("float32", "float64")
#: The settings that are rates.
RATES: Final = ("alpha", "gamma", "epsilon", "initial_q", "temperature", "lambda_", "c")

_MOST_STEPS: Final = 100_000  # every lane remembers so many steps

#: The default of epsilon, told apart from a number that the user gave by its identity.
DEFAULT_EPSILON: Final = float("0.1")

# What each way of exploring needs beside Q: the setting, its default, its range.
_OWN: Final = {
    "epsilon_greedy": ("epsilon", 0.1, 0.0, 1.0),
    "greedy": (None, None, 0.0, 0.0),
    "softmax": ("temperature", 1.0, 1e-6, 1e12),
    "ucb": ("c", 2.0, 0.0, 1e6),
}


@dataclass(frozen=True)
class Learner:
    """Every setting of the agents of a run, checked.  Made by `make_learner`.

    Attributes
    ----------
    rule : str
        One of `RULES`.
    n : int
        Steps that an update looks ahead.
    traces : str or None
        One of `TRACES`.
    trace_cutoff : float
        Traces below it are dropped.
    explore : str
        One of `EXPLORE`.
    alpha, gamma, initial_q : Rate
        Step size, discount, and the value that Q starts with.
    epsilon, temperature, c, lambda_ : Rate
        Exploration rate, softmax temperature, UCB's bonus, trace decay; 0 (temperature 1) where they have no meaning.
    ties : {"random", "first", "last"}
        Which of several greedy actions is taken.
    dtype : numpy.dtype
        float32 or float64.
    """

    rule: str
    n: int
    traces: str | None
    trace_cutoff: float
    explore: str
    alpha: Rate
    gamma: Rate
    epsilon: Rate
    initial_q: Rate
    temperature: Rate
    lambda_: Rate
    c: Rate
    ties: str
    dtype: np.dtype[Any]

    @property
    def shown(self) -> tuple[str, ...]:
        """The rates that have a meaning for this learner."""
        own = _OWN[self.explore][0]
        return ("alpha", "gamma", *([own] if own else []), *(["lambda_"] if self.traces else []))

    def first(self, count: int) -> "Learner":
        """Make the same learner for the first ``count`` agents."""
        return replace(self, **{name: getattr(self, name).first(count) for name in RATES})

    def words(self) -> dict[str, str]:
        """Each setting that has a meaning, in words."""
        words = {"rule": self.rule, "explore": self.explore}
        if self.traces:
            words["traces"] = self.traces
        rates = {name: repr(getattr(self, name)) for name in (*self.shown, "initial_q")}
        return words | rates | {"ties": self.ties, "dtype": self.dtype.name}

    def options(self) -> dict[str, Any]:
        """Everything that is not a rate, ready for JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in RATES}
        return plain | {"dtype": self.dtype.name}


def take_tied(best: NDArray[np.bool_], ties: str) -> NDArray[np.bool_]:
    """Of equally good actions (…, A), keep those that the tie rule may take.

    Examples
    --------
    >>> [take_tied(np.array([False, True, True]), ties).tolist() for ties in ("random", "last")]
    [[False, True, True], [False, False, True]]
    """
    taken = best
    if ties == "first":
        taken = best & (best.cumsum(axis=-1) == 1)
    elif ties == "last":
        taken = best & (best[..., ::-1].cumsum(axis=-1)[..., ::-1] == 1)
    return taken


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        msg = f"{name}={value!r:.60} is unknown; use one of {', '.join(map(repr, choices))}"
        raise InvalidInput(msg)


def _refuse(condition: object, message: str) -> None:
    if condition:
        raise InvalidInput(message)


def _check_combination(rule: str, n: Any, traces: Any, lambda_: Any, trace_cutoff: Any, explore: str) -> None:
    """Refuse options that contradict each other."""
    whole = isinstance(n, (int, np.integer)) and not isinstance(n, bool)
    _refuse(not whole or n < 1, f"n={n!r:.60} is not a whole number of at least 1; use n=1 for one-step updates")
    _refuse(n > _MOST_STEPS, f"n={n!r:.60} is above {_MOST_STEPS:,}; use a smaller number of steps")
    _refuse(
        n > 1 and rule in ("double_q_learning", "article"),
        f"n={n} has no meaning for rule={rule!r}; use n=1, or 'q_learning', 'sarsa' or 'expected_sarsa'",
    )
    _refuse(n > 1 and traces, f"n={n} and traces={traces!r} exclude each other; use one of the two")
    _refuse(
        traces and rule not in ("q_learning", "sarsa"),
        f"traces={traces!r} have no meaning for rule={rule!r}; use 'q_learning' (Watkins's Q(lambda)) or 'sarsa'",
    )
    _refuse(
        lambda_ is not None and not traces,
        f"lambda_={lambda_!r:.40} has no meaning without traces; add traces='replacing' or 'accumulating'",
    )
    _refuse(traces and lambda_ is None, f"traces={traces!r} need lambda_, their decay in [0, 1]; use lambda_=0.9")
    number = isinstance(trace_cutoff, (int, float, np.number)) and not isinstance(trace_cutoff, bool)
    _refuse(
        not number or not 0 <= trace_cutoff < 1,
        f"trace_cutoff={trace_cutoff!r:.60} is outside [0, 1); use 0 to keep every trace",
    )
    _refuse(
        trace_cutoff and not traces, f"trace_cutoff={trace_cutoff!r:.60} has no meaning without traces; leave it out"
    )
    _refuse(
        rule == "expected_sarsa" and explore == "ucb",
        "rule='expected_sarsa' needs the probabilities of actions, and explore='ucb' has none; "
        "use explore='epsilon_greedy' or 'softmax'",
    )


def make_learner(
    *,
    n_agents: int,
    episodes: int,
    alpha: Any = 0.1,
    gamma: Any = 0.9,
    epsilon: Any = DEFAULT_EPSILON,
    initial_q: Any = 0.0,
    ties: str = "random",
    dtype: Any = "float32",
    rule: str = "q_learning",
    n: int = 1,
    traces: str | None = None,
    lambda_: Any = None,
    trace_cutoff: float = 0.0,
    explore: str = "epsilon_greedy",
    temperature: Any = None,
    c: Any = None,
) -> Learner:
    """Check the settings of a run's agents.

    Parameters
    ----------
    n_agents, episodes : int
        What the lengths of arrays are compared with.
    alpha, gamma, epsilon, initial_q, ties, dtype, rule, n, traces, lambda_, trace_cutoff, explore, temperature, c
        See `qfast.train`.

    Returns
    -------
    Learner

    Raises
    ------
    InvalidInput
        If a setting is out of range, of the wrong length, or unknown, or two of them contradict each other.

    Examples
    --------
    >>> make_learner(n_agents=2, episodes=3, epsilon=[0.3, 0.2, 0.1]).epsilon
    by_episode(3 values from 0.3 to 0.1)
    """
    _one_of("rule", rule, RULES)
    _one_of("explore", explore, EXPLORE)
    if traces is not None:
        _one_of("traces", traces, TRACES)
    _one_of("ties", ties, TIES)
    _check_combination(rule, n, traces, lambda_, trace_cutoff, explore)
    try:
        element = np.dtype(object if dtype is None else dtype)  # None would be float64
    except TypeError:
        element = np.dtype(object)
    if element.name not in DTYPES:
        msg = f"dtype={dtype!r:.60} is not possible for Q; use 'float32' or 'float64'"
        raise InvalidInput(msg)

    def rate(name: str, value: Any, low: float, high: float, *, schedule: bool = True, visits: bool = False) -> Rate:
        return as_rate(
            value, name, n_agents=n_agents, episodes=episodes, low=low, high=high, schedule=schedule, visits=visits
        )

    own, default, low, high = _OWN[explore]
    given = {"epsilon": None if epsilon is DEFAULT_EPSILON else epsilon, "temperature": temperature, "c": c}
    for name, value in given.items():
        home = next(way for way in EXPLORE if _OWN[way][0] == name)
        _refuse(
            value is not None and name != own,
            f"{name}={value!r:.40} has no meaning with explore={explore!r}; use explore={home!r}, or leave it out",
        )
    behaviour = {"epsilon": constant(0.0), "temperature": constant(1.0), "c": constant(0.0)}
    if own is not None:
        value = default if given[own] is None else given[own]
        behaviour[own] = rate(own, value, low, high, schedule=own != "c")
    largest = float(np.finfo(element).max) / 4
    return Learner(
        rule=rule,
        n=int(n),
        traces=traces,
        trace_cutoff=float(trace_cutoff),
        explore=explore,
        alpha=rate("alpha", alpha, 0, 1, visits=True),
        gamma=rate("gamma", gamma, 0, 1, schedule=False),
        initial_q=rate("initial_q", initial_q, -largest, largest, schedule=False),
        lambda_=constant(0.0) if lambda_ is None else rate("lambda_", lambda_, 0, 1),
        ties=ties,
        dtype=element,
        **behaviour,
    )

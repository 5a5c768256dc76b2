"""Rates of learning: a number, a value for each agent, or a lookup array over episodes: kernels compute no schedule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import first_at
from qfast.errors import InvalidInput

__all__ = ["Rate", "as_rate", "by_episode", "by_visits", "constant", "exponential", "linear", "of_pairs", "per_agent"]


@dataclass(frozen=True, eq=False)
class Rate:
    """A rate: how it varies, and its values.

    Made by `constant`, `per_agent`, `by_episode`, `by_visits`, `linear` and `exponential`.

    Attributes
    ----------
    kind : {"constant", "agent", "episode", "visit", "pair"}
        What the values are for; "pair", of state and action, is for ``initial_q`` alone.
    values : ndarray of float64, shape (), (agents,), (episodes,), (visits,) or (S, A); or (agents, S, A)
    text : str
        The rate in words, as its ``repr`` shows it.
    """

    kind: str
    values: NDArray[np.float64]
    text: str

    def __repr__(self) -> str:
        """Say how the rate was made."""
        return self.text

    def __eq__(self, other: object) -> bool:
        """Tell whether two rates have the same kind and values."""
        return isinstance(other, Rate) and self.kind == other.kind and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        """Hash by kind and values."""
        return hash((self.kind, self.values.tobytes()))

    @property
    def lowest(self) -> float:
        """The smallest value."""
        return float(self.values.min())

    def first(self, count: int) -> "Rate":
        """Make the same rate for the first ``count`` agents."""
        if self.kind != "agent":
            return self
        return per_agent(self.values[:count]) if self.values.ndim == 1 else of_pairs(self.values[:count])

    def for_agents(self, first: int, count: int, dtype: Any) -> NDArray[Any]:
        """Values for ``count`` agents from the run's ``first`` on, at the first episode; (count,) or (count, S, A)."""
        if self.kind == "agent":
            return self.values[first : first + count].astype(dtype)
        if self.kind == "pair":
            return np.broadcast_to(self.values.astype(dtype), (count, *self.values.shape))
        return np.full(count, self.values.reshape(-1)[0], dtype)


def _frozen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.array(values, np.float64)
    values.setflags(write=False)
    return values


def _numbers(values: ArrayLike, what: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
        usable = array.dtype.kind in "iuf"
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput(f"{what} must be numbers; got {values!r:.80}")
    with np.errstate(over="ignore"):  # a longdouble may become inf, which is refused for what it is
        return array.astype(np.float64)


def _line(values: ArrayLike, what: str) -> NDArray[np.float64]:
    array = _numbers(values, what)
    if array.ndim != 1 or array.size == 0:
        raise InvalidInput(f"{what} must be one row of numbers; got an array of shape {array.shape}")
    return _frozen(array)


def constant(value: float) -> Rate:
    """Make a rate that is one number for every agent and episode.

    Examples
    --------
    >>> constant(0.1)
    0.1
    """
    array = _numbers(value, "a constant rate")
    if array.ndim:
        raise InvalidInput(f"a constant rate must be one number; got an array of shape {array.shape}")
    return Rate("constant", _frozen(array), f"{float(array):.6g}")


def per_agent(values: ArrayLike) -> Rate:
    """Make a rate with a value for each agent.

    Parameters
    ----------
    values : array_like of float, shape (n_agents,)

    Examples
    --------
    >>> per_agent([0.1, 0.2, 0.5])
    per_agent(3 values from 0.1 to 0.5)
    """
    array = _line(values, "values per agent")
    return Rate("agent", array, f"per_agent({array.size:,} values from {array.min():.6g} to {array.max():.6g})")


def of_pairs(values: NDArray[Any]) -> Rate:
    """Make a rate with a value for each pair (S, A), or for each agent and pair (n_agents, S, A)."""
    array = _frozen(values)
    ends = f"from {array.min(initial=np.inf):.6g} to {array.max(initial=-np.inf):.6g}"
    if array.ndim == 3:
        return Rate("agent", array, f"per_agent({array.shape[0]:,} tables {ends})")
    return Rate("pair", array, f"table({array.shape[0]:,} x {array.shape[1]:,} values {ends})")


def by_episode(values: ArrayLike) -> Rate:
    """Make a schedule: a rate with a value for each episode.

    Parameters
    ----------
    values : array_like of float, shape (episodes,)

    Examples
    --------
    >>> by_episode([0.5, 0.3, 0.1])
    by_episode(3 values from 0.5 to 0.1)
    """
    array = _line(values, "values by episode")
    return Rate("episode", array, f"by_episode({array.size:,} values from {array[0]:.6g} to {array[-1]:.6g})")


#: Visits that a formula of `by_visits` is tabulated for; later visits keep the last value.
_VISITS = 2**16


def by_visits(values: ArrayLike | None = None, *, power: float | None = None, c: float | None = None) -> Rate:
    r"""Make a step size that shrinks with the number of visits n = 1, 2, … to each pair (s, a).

    Parameters
    ----------
    values : array_like of float, shape (visits,), optional
        The step size at the 1st, 2nd, … visit; later visits keep the last one.
    power : float, optional
        :math:`1 / n^\omega` with this omega, above 0.  For 1/2 < omega <= 1, sums of the step sizes diverge and
        sums of their squares converge, as convergence asks for (Robbins & Monro 1951).
    c : float, optional
        :math:`c / (c + n)`, c above 0.

    Returns
    -------
    Rate
        By default 1/n.  Formulas are tabulated for 65,536 visits, and later ones keep the last step size: a mean over
        a million visits then has an error 2.6 times that of 1/n itself (measured: 0.0012 instead of 0.00046 for a
        fair coin).  To go on, give values: ``by_visits(1 / np.arange(1, 10**6 + 1))``; float32 adds only 0.00002 to
        its error there.

    Raises
    ------
    InvalidInput
        If more than one of the three is given, or a number is not above 0.

    Examples
    --------
    >>> by_visits()
    by_visits(1/n)
    >>> by_visits(power=0.5).values[:4].round(3).tolist()
    [1.0, 0.707, 0.577, 0.5]
    >>> by_visits(c=1).values[:3].round(3).tolist()
    [0.5, 0.333, 0.25]
    """
    given = [name for name, value in (("values", values), ("power", power), ("c", c)) if value is not None]
    if len(given) > 1:
        raise InvalidInput(f"by_visits got {' and '.join(given)}; give one of them, or none for 1/n")
    if values is not None:
        array = _line(values, "values by visit")
        return Rate("visit", array, f"by_visits({array.size:,} values from {array[0]:.6g} to {array[-1]:.6g})")
    n = np.arange(1, _VISITS + 1, dtype=np.float64)
    for name, number in (("power", power), ("c", c)):
        if number is not None and not _end(number) > 0:
            raise InvalidInput(f"by_visits({name}={number!r:.60}) must be above 0; use a number such as 0.8")
    if c is not None:
        return Rate("visit", _frozen(c / (c + n)), f"by_visits({c:g}/({c:g}+n))")
    if power is not None and power != 1:
        return Rate("visit", _frozen(n ** -float(power)), f"by_visits(1/n^{power:g})")
    return Rate("visit", _frozen(1 / n), "by_visits(1/n)")


@dataclass(frozen=True)
class Shape:
    """A schedule whose length is not known yet: `linear` or `exponential` over the episodes of the run."""

    name: str
    start: float
    stop: float
    curve: Callable[[float, float, int], NDArray[np.float64]]

    def __repr__(self) -> str:
        """Say how the schedule was made."""
        return f"{self.name}({self.start:.6g}, {self.stop:.6g})"

    def over(self, episodes: int) -> Rate:
        """Make the schedule for a number of episodes."""
        return Rate("episode", _frozen(self.curve(self.start, self.stop, episodes)), repr(self))


def linear(start: float, stop: float) -> Shape:
    """Make a schedule in a straight line from ``start`` at the first episode to ``stop`` at the last.

    Examples
    --------
    >>> linear(1.0, 0.0)
    linear(1, 0)
    >>> linear(1.0, 0.0).over(5).values.tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return Shape("linear", _end(start), _end(stop), np.linspace)


def exponential(start: float, stop: float) -> Shape:
    """Make a schedule that shrinks (or grows) by the same factor in each episode, from ``start`` to ``stop``.

    Raises
    ------
    InvalidInput
        If an end is not above 0: no constant factor leads there.

    Examples
    --------
    >>> exponential(1.0, 0.01).over(3).values.round(6).tolist()
    [1.0, 0.1, 0.01]
    """
    if min(_end(start), _end(stop)) <= 0:
        msg = f"exponential({start!r}, {stop!r}) must begin and end above 0; use linear, or a small end such as 0.001"
        raise InvalidInput(msg)
    return Shape("exponential", _end(start), _end(stop), np.geomspace)


def _end(value: float) -> float:
    number = _numbers(value, "the ends of a schedule")
    if number.ndim or not np.isfinite(number):
        raise InvalidInput(f"the ends of a schedule must be finite numbers; got {value!r:.80}")
    return float(number)


# What a message advises for a rate.
_EXAMPLES: Final = {"alpha": 0.1, "gamma": 0.9, "initial_q": 0, "lambda_": 0.9, "temperature": 1, "c": 2}


def as_rate(
    value: Any,
    name: str,
    *,
    n_agents: int,
    episodes: int,
    low: float,
    high: float,
    schedule: bool,
    visits: bool = False,
    pairs: NDArray[np.bool_] | None = None,
) -> Rate:
    """Turn what the user gave into a rate, and check it; `schedule` and `visits`: whether it may change with them.

    Where it may be a table, `pairs` (S, A) marks the pairs whose values count.
    """
    rate = _make_rate(value, name, n_agents, episodes, schedule=schedule, pairs=pairs)
    expected = {"agent": n_agents, "episode": episodes}.get(rate.kind)
    if rate.kind == "visit" and not visits:
        raise InvalidInput(f"{name}={rate!r} cannot change with visits; only alpha can")
    if rate.kind == "episode" and not schedule:
        raise InvalidInput(f"{name} cannot change with the episode; give a number or one value an agent")
    if expected is not None and rate.values.shape[:1] != (expected,):
        what = "agent" if rate.kind == "agent" else "episode"
        msg = f"{name} has {rate.values.shape[0]:,} values for {expected:,} {what}s; give exactly one for each {what}"
        raise InvalidInput(msg)
    outside = ~((rate.values >= low) & (rate.values <= high))  # written so that NaN is outside
    if outside.any():
        index = first_at(outside)
        value = float(rate.values[index])
        example = _EXAMPLES.get(name, min(max(0.1, low), high))
        raise InvalidInput(
            f"{name}={value!r:.60}{_where(rate.kind, index)} is outside [{low:g}, {high:g}]; "
            f"use a value such as {example:g}"
        )
    return rate


def _where(kind: str, index: tuple[int, ...]) -> str:
    """Say which of the values of a rate it is."""
    if len(index) > 1:
        agent = f" for agent {index[0]}" if len(index) == 3 else ""
        return f"{agent} in state {index[-2]} for action {index[-1]}"
    number = sum(index)
    return {"constant": "", "agent": f" for agent {number}", "episode": f" in episode {number}"}.get(
        kind, f" at visit {number + 1}"
    )


def _make_rate(
    value: Any, name: str, n_agents: int, episodes: int, *, schedule: bool, pairs: NDArray[np.bool_] | None
) -> Rate:
    tables = {} if pairs is None else {"pair": pairs.shape, "agent": (n_agents, *pairs.shape)}
    if isinstance(value, Rate) and (
        value.values.shape == tables.get(value.kind) or (value.values.ndim < 2 and value.kind != "pair")
    ):
        return value
    if isinstance(value, Shape):
        return value.over(episodes)
    array = _numbers(value.values if isinstance(value, Rate) else value, name)
    if array.ndim == 0:
        return constant(float(array))
    if pairs is not None and array.shape in tables.values():
        return of_pairs(np.where(pairs, array, 0.0))  # what no agent can take may be anything, such as -inf
    lengths = {"agent": n_agents, "episode": episodes} if schedule else {"agent": n_agents}
    fits = [kind for kind, length in lengths.items() if array.shape == (length,)]
    if len(fits) == 1:
        return per_agent(array) if fits[0] == "agent" else by_episode(array)
    if fits:
        raise InvalidInput(
            f"{name} has {array.size:,} values, and there are as many agents as episodes; "
            "say which it is with qfast.per_agent(…) or qfast.by_episode(…)"
        )
    shapes = [f"({length:,},) for one value an {kind}" for kind, length in lengths.items()]
    if tables:
        shapes += [f"{tables['pair']} for one each state and action", f"{tables['agent']} for a table an agent"]
    choices = ", ".join(shapes[:-1]) + " or " * (len(shapes) > 1) + shapes[-1]
    raise InvalidInput(f"{name} has shape {array.shape}; give a number, or an array of shape {choices}")

"""What an MDP accepts: each part of the constructor's input turned into its array, or one clear error.

Every function here takes what the user gave and returns a fresh, C-contiguous array (or tuple) that nobody else
holds. Nothing is rounded, truncated or renormalised: a float where a state belongs is refused, and probabilities
are kept as given when they sum to 1 within `SUM_TOLERANCE`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.errors import InvalidInput
from qfast.text import check_printable

__all__ = [
    "SUM_TOLERANCE",
    "WALL",
    "action_mask",
    "checked_names",
    "episode_limit",
    "layout_rows",
    "outcome_tables",
    "start_distribution",
]

# Wide enough for probabilities typed with seven digits, narrow enough to catch a forgotten outcome.
SUM_TOLERANCE = 1e-6

# Cells of a layout with this character are no states.
WALL = "#"

# Lengths of episodes are counted in 32 bits by the kernels.
_MAX_STEPS = 2**31 - 1


def _as_array(name: str, value: ArrayLike, kinds: str, rule: str) -> NDArray[Any]:
    """Turn a value into an array of one of the wanted dtype kinds, or say what it is instead."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        msg = f"{name} is not a rectangular array ({error}); give nested lists of equal lengths or a NumPy array"
        raise InvalidInput(msg) from error
    if array.dtype.kind not in kinds:
        msg = f"{name} has dtype {array.dtype}; {rule}"
        raise InvalidInput(msg)
    return array


def _first(bad: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(bad)[0])


def _at(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]"


def _flags(name: str, value: ArrayLike, rule: str) -> NDArray[Any]:
    array = _as_array(name, value, "biu", rule)
    if array.dtype.kind != "b" and np.any((array != 0) & (array != 1)):
        index = _first((array != 0) & (array != 1))
        msg = f"{_at(name, index)}={array[index]} is not a truth value; {rule}"
        raise InvalidInput(msg)
    return array


def outcome_tables(
    next_state: ArrayLike,
    reward: ArrayLike,
    terminated: ArrayLike,
    probability: ArrayLike | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Check the four tables of outcomes and bring each to shape (n_states, n_actions, n_outcomes).

    Parameters
    ----------
    next_state, reward, terminated, probability : array_like, shape (S, A) or (S, A, K)
        As given to `qfast.MDP`. A table of shape (S, A) stands for the same value in each of the K outcomes.

    Returns
    -------
    tuple of ndarray
        int64, float64, bool and float64, each (S, A, K), C-contiguous, owned by the caller.

    Raises
    ------
    InvalidInput
        For a wrong shape or dtype, a next state out of range, a reward that is not finite, or probabilities that
        are negative or do not sum to 1.

    Examples
    --------
    >>> tables = outcome_tables([[0, 1], [1, 1]], [[0, 1], [0, 0]], [[False, True], [True, True]], None)
    >>> [table.shape for table in tables]
    [(2, 2, 1), (2, 2, 1), (2, 2, 1), (2, 2, 1)]
    """
    tables = {
        "next_state": _as_array("next_state", next_state, "iu", "states are integers, so give an integer array"),
        "reward": _as_array("reward", reward, "iuf", "rewards are real numbers, so give a float array"),
        "terminated": _flags("terminated", terminated, "give booleans: True where the outcome ends the episode"),
    }
    if probability is not None:
        tables["probability"] = _as_array("probability", probability, "iuf", "probabilities are floats in [0, 1]")
    for name, table in tables.items():
        if table.ndim not in (2, 3) or 0 in table.shape:
            msg = (
                f"{name} has shape {table.shape}; it must be (n_states, n_actions) or "
                f"(n_states, n_actions, n_outcomes), each at least 1"
            )
            raise InvalidInput(msg)
    n_states, n_actions = tables["next_state"].shape[:2]
    n_outcomes = max((t.shape[2] for t in tables.values() if t.ndim == 3), default=1)
    shape = (n_states, n_actions, n_outcomes)
    for name, table in tables.items():
        fits = table.shape in ((n_states, n_actions), shape)
        if name == "probability" and n_outcomes > 1:
            fits = table.shape == shape  # one probability repeated for every outcome cannot be meant
        if not fits:
            wanted = f"{(n_states, n_actions)} or {shape}" if name != "probability" or n_outcomes == 1 else f"{shape}"
            msg = f"{name} has shape {table.shape} beside next_state of {tables['next_state'].shape}; give {wanted}"
            raise InvalidInput(msg)
    with np.errstate(over="ignore"):
        tables["reward"] = tables["reward"].astype(np.float64)  # a longdouble may be beyond it: not finite
    _check_values(tables)
    full = {name: _filled(table, shape) for name, table in tables.items()}
    if probability is None:
        full["probability"] = np.full(shape, 1.0 / n_outcomes)
    return (
        full["next_state"].astype(np.int64, order="C"),
        full["reward"].astype(np.float64, order="C"),
        full["terminated"].astype(np.bool_, order="C"),
        full["probability"].astype(np.float64, order="C"),
    )


def _filled(table: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    return np.broadcast_to(table if table.ndim == 3 else table[:, :, None], shape)


def _check_values(tables: dict[str, NDArray[Any]]) -> None:
    """Refuse the first number of each table that breaks its rule; tables are as given, 2-D or 3-D."""
    next_state, reward = tables["next_state"], tables["reward"]
    n_states = next_state.shape[0]
    outside = (next_state < 0) | (next_state >= n_states)
    if outside.any():
        index = _first(outside)
        msg = (
            f"{_at('next_state', index)}={next_state[index]} is outside [0, {n_states - 1}]; "
            f"states are numbered from 0 and the table has {n_states} rows"
        )
        raise InvalidInput(msg)
    if not np.isfinite(reward).all():
        index = _first(~np.isfinite(reward))
        fix = "use a large finite reward instead"
        if reward[index] < 0:
            fix = "for an action that is impossible there use allowed=, else a finite reward"
        msg = f"{_at('reward', index)}={reward[index]} is not finite; {fix}"
        raise InvalidInput(msg)
    if "probability" not in tables:
        return
    probability = tables["probability"]
    bad = ~(probability >= 0) | ~np.isfinite(probability)  # written so that NaN is caught
    if bad.any():
        index = _first(bad)
        msg = f"{_at('probability', index)}={probability[index]} is outside [0, 1]; use 0 for an unused outcome"
        raise InvalidInput(msg)
    total = probability.sum(axis=2) if probability.ndim == 3 else probability
    off = np.abs(total - 1.0) > SUM_TOLERANCE
    if off.any():
        index = _first(off)
        msg = (
            f"{_at('probability', index)} sums to {total[index]:.9g}, not 1 (within {SUM_TOLERANCE:g}); "
            f"add the missing outcome or divide the row by its sum (also where an action is not allowed)"
        )
        raise InvalidInput(msg)


def start_distribution(start: ArrayLike, n_states: int) -> NDArray[np.float64]:
    """Turn a start state, or a distribution over states, into a distribution.

    Parameters
    ----------
    start : int or array_like of float, shape (n_states,)
        One state, or a probability for each state.
    n_states : int
        Number of states.

    Returns
    -------
    ndarray of float64, shape (n_states,)
        Probability of starting in each state.

    Raises
    ------
    InvalidInput
        If the state is out of range or no integer, or the probabilities are no distribution over all states.

    Examples
    --------
    >>> start_distribution(1, 3)
    array([0., 1., 0.])
    """
    rule = f"give a state (an int in [0, {n_states - 1}]) or {n_states} probabilities"
    given = _as_array("start", start, "iuf", rule)
    if given.ndim == 0:
        if given.dtype.kind == "f":
            msg = f"start={given} is no state; {rule}"
            raise InvalidInput(msg)
        if not 0 <= int(given) < n_states:
            msg = f"start={int(given)} is outside [0, {n_states - 1}]; {rule}"
            raise InvalidInput(msg)
        distribution = np.zeros(n_states)
        distribution[int(given)] = 1.0
        return distribution
    if given.shape != (n_states,):
        msg = f"start has shape {given.shape}; {rule}"
        raise InvalidInput(msg)
    distribution = given.astype(np.float64)
    bad = ~(distribution >= 0) | ~np.isfinite(distribution)
    if bad.any():
        index = _first(bad)
        msg = f"{_at('start', index)}={distribution[index]} is outside [0, 1]; {rule}"
        raise InvalidInput(msg)
    total = float(distribution.sum())
    if abs(total - 1.0) > SUM_TOLERANCE:
        msg = f"start sums to {total:.9g}, not 1 (within {SUM_TOLERANCE:g}); divide it by its sum"
        raise InvalidInput(msg)
    return distribution


def action_mask(allowed: ArrayLike | None, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Turn a mask of allowed actions into a bool array, or None where nothing is forbidden.

    Parameters
    ----------
    allowed : array_like of bool, shape (n_states, n_actions), or None
        True where an action may be taken.
    shape : tuple of int
        ``(n_states, n_actions)``.

    Returns
    -------
    ndarray of bool, shape (n_states, n_actions), or None
        None also when every action is allowed.

    Raises
    ------
    InvalidInput
        For a wrong shape or a dtype that is not boolean.

    Examples
    --------
    >>> action_mask([[True, False]], (1, 2))
    array([[ True, False]])
    >>> action_mask([[True, True]], (1, 2)) is None
    True
    """
    if allowed is None:
        return None
    mask = _flags("allowed", allowed, "give booleans: True where the action may be taken")
    if mask.shape != shape:
        msg = f"allowed has shape {mask.shape}; it must be (n_states, n_actions) = {shape}"
        raise InvalidInput(msg)
    return None if mask.all() else mask.astype(np.bool_, order="C")


def episode_limit(max_episode_steps: int | None) -> int | None:
    """Check the number of steps after which an episode is truncated.

    Parameters
    ----------
    max_episode_steps : int or None
        At least 1 and below 2**31 steps; None for no limit.

    Returns
    -------
    int or None
        The same, as a Python int.

    Raises
    ------
    InvalidInput
        For anything else.

    Examples
    --------
    >>> episode_limit(100)
    100
    """
    if max_episode_steps is None:
        return None
    if isinstance(max_episode_steps, (bool, np.bool_)) or not isinstance(max_episode_steps, (int, np.integer)):
        msg = f"max_episode_steps={max_episode_steps!r:.60} is no integer; give a number of steps, or None for no limit"
        raise InvalidInput(msg)
    if not 1 <= max_episode_steps <= _MAX_STEPS:
        msg = (
            f"max_episode_steps={max_episode_steps} is outside [1, {_MAX_STEPS}]; "
            f"give a number of steps such as 200, or None for no limit"
        )
        raise InvalidInput(msg)
    return int(max_episode_steps)


def checked_names(what: str, names: Sequence[str] | None, n: int) -> tuple[str, ...]:
    """Check the names of states or actions, or number them.

    Parameters
    ----------
    what : str
        ``"state_names"`` or ``"action_names"``, for the error.
    names : sequence of str, length n, or None
        Unique names; None for "0", "1", ….
    n : int
        How many there must be.

    Returns
    -------
    tuple of str, length n
        The names.

    Raises
    ------
    InvalidInput
        If the count is wrong, a name is no text, or two are the same.

    Examples
    --------
    >>> checked_names("action_names", None, 2)
    ('0', '1')
    """
    if names is None:
        return tuple(map(str, range(n)))
    if isinstance(names, str):
        msg = f"{what}={names!r} is one text; give a list of {n} names"
        raise InvalidInput(msg)
    result = _sequence(what, names)
    if len(result) != n:
        msg = f"{what} holds {len(result)} names; give one for each of the {n}, or None to number them"
        raise InvalidInput(msg)
    seen: set[str] = set()
    for name in result:
        if not isinstance(name, str):
            msg = f"{what} holds {name!r:.60}; names are texts, so use str() on it"
            raise InvalidInput(msg)
        check_printable(what, name)
        if name in seen:
            msg = f"{what} holds {name!r} twice; names must differ"
            raise InvalidInput(msg)
        seen.add(name)
    return tuple(str(name) for name in result)


def _sequence(what: str, given: Any) -> tuple[Any, ...]:
    try:
        return tuple(given)
    except TypeError as error:
        msg = f"{what}={given!r:.60} is no list of texts; give one, or None"
        raise InvalidInput(msg) from error


def layout_rows(layout: str | Sequence[str] | None, n_states: int) -> tuple[str, ...] | None:
    """Check a map of the states for printing.

    Parameters
    ----------
    layout : str, sequence of str, or None
        One character a cell, rows of equal length. Cells other than ``#`` are the states, in reading order.
    n_states : int
        How many such cells there must be.

    Returns
    -------
    tuple of str or None
        The rows.

    Raises
    ------
    InvalidInput
        If rows differ in length or the number of cells is not the number of states.

    Examples
    --------
    >>> layout_rows("S#G", 2)
    ('S#G',)
    """
    if layout is None:
        return None
    rows = tuple(layout.splitlines()) if isinstance(layout, str) else _sequence("layout", layout)
    for index, row in enumerate(rows):
        if not isinstance(row, str):
            msg = f"layout row {index} is {row!r:.60}; rows are texts, one character a cell"
            raise InvalidInput(msg)
        check_printable(f"layout row {index}", row)
        if len(row) != len(rows[0]):
            msg = f"layout row {index} has {len(row)} cells, row 0 has {len(rows[0])}; make all rows equally long"
            raise InvalidInput(msg)
    n_cells = sum(len(row) - row.count(WALL) for row in rows)
    if n_cells != n_states:
        msg = (
            f"layout has {n_cells} cells that are no wall ({WALL}), the MDP has {n_states} states; "
            f"give one cell a state, in reading order"
        )
        raise InvalidInput(msg)
    return tuple(str(row) for row in rows)

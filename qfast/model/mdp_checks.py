"""What an MDP accepts: each part of the constructor's input turned into its array, or one clear error.

Every function returns a fresh, C-contiguous array (or a tuple) that nobody else holds. Nothing is rounded, truncated or
renormalised: a float where a state belongs is refused, and probabilities that sum to 1 within `SUM_TOLERANCE` stay.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import array_of, first_at, whole
from qfast.errors import InvalidInput
from qfast.text import check_printable

__all__ = [
    "SUM_TOLERANCE", "WALL", "action_mask", "checked_names", "episode_limit", "layout_rows", "outcome_tables",
    "sample_counts", "start_distribution",
]  # fmt: skip

#: Wide enough for probabilities typed with seven digits, narrow enough to catch a forgotten outcome.
SUM_TOLERANCE: Final = 1e-6
#: Of a pair of state and action.
MOST_SAMPLES: Final = 2**53
#: Cells of a layout with this character are no states.
WALL: Final = "#"


def _at(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _flags(name: str, value: ArrayLike, rule: str) -> NDArray[Any]:
    array = array_of(name, value, "biu", rule)
    if array.dtype.kind != "b" and np.any((array != 0) & (array != 1)):
        index = first_at((array != 0) & (array != 1))
        raise InvalidInput(f"{_at(name, index)}={array[index]} is not a truth value; {rule}")
    return array


def _check_distributions(name: str, given: NDArray[Any], fix: str, fix_sum: str) -> None:
    """Refuse what is negative or not finite, and sums over the last axis that are not 1."""
    bad = ~(given >= 0) | ~np.isfinite(given)  # written so that NaN is caught
    if bad.any():
        index = first_at(bad)
        raise InvalidInput(f"{_at(name, index)}={given[index]} is outside [0, 1]; {fix}")
    total = given.sum(axis=-1)
    off = np.abs(total - 1.0) > SUM_TOLERANCE
    if off.any():
        index = first_at(np.asarray(off))
        raise InvalidInput(
            f"{_at(name, index)} sums to {total[index]:.9g}, not 1 (within {SUM_TOLERANCE:g}); {fix_sum}"
        )


def outcome_tables(
    next_state: ArrayLike, reward: ArrayLike, terminated: ArrayLike, probability: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Check the four tables, (S, A) or (S, A, K) as `qfast.MDP` takes them, and bring each to shape (S, A, K)."""
    tables = {
        "next_state": array_of("next_state", next_state, "iu", "states are integers, so give an integer array"),
        "reward": array_of("reward", reward, "iuf", "rewards are real numbers, so give a float array"),
        "terminated": _flags("terminated", terminated, "give booleans: True where the outcome ends the episode"),
    }
    if probability is not None:
        tables["probability"] = array_of("probability", probability, "iuf", "probabilities are floats in [0, 1]")
    for name, table in tables.items():
        if table.ndim not in (2, 3) or 0 in table.shape:
            raise InvalidInput(
                f"{name} has shape {table.shape}; it must be (n_states, n_actions) or "
                f"(n_states, n_actions, n_outcomes), each at least 1"
            )
    pairs = tables["next_state"].shape[:2]
    shape = (*pairs, max((t.shape[2] for t in tables.values() if t.ndim == 3), default=1))
    for name, table in tables.items():
        # One probability repeated for every outcome cannot be meant.
        fitting = [shape] if name == "probability" and shape[2] > 1 else [pairs, shape]
        if table.shape not in fitting:
            beside = f"beside next_state of {tables['next_state'].shape}"
            raise InvalidInput(f"{name} has shape {table.shape} {beside}; give {' or '.join(map(str, fitting))}")
    with np.errstate(over="ignore"):
        tables["reward"] = tables["reward"].astype(np.float64)  # a longdouble may be beyond it: not finite
    _check_values(tables)
    full = {
        name: np.broadcast_to(table if table.ndim == 3 else table[:, :, None], shape) for name, table in tables.items()
    }
    if probability is None:
        full["probability"] = np.full(shape, 1.0 / shape[2])
    return (
        full["next_state"].astype(np.int64, order="C"),
        full["reward"].astype(np.float64, order="C"),
        full["terminated"].astype(np.bool_, order="C"),
        full["probability"].astype(np.float64, order="C"),
    )


def _check_values(tables: dict[str, NDArray[Any]]) -> None:
    """Refuse the first number of each table that breaks its rule; tables are as given, 2-D or 3-D."""
    next_state, reward = tables["next_state"], tables["reward"]
    n_states = next_state.shape[0]
    outside = (next_state < 0) | (next_state >= n_states)
    if outside.any():
        index = first_at(outside)
        raise InvalidInput(
            f"{_at('next_state', index)}={next_state[index]} is outside [0, {n_states - 1}]; "
            f"states are numbered from 0 and the table has {n_states} rows"
        )
    if not np.isfinite(reward).all():
        index = first_at(~np.isfinite(reward))
        fix = "use a large finite reward instead"
        if reward[index] < 0:
            fix = "for an action that is impossible there use allowed=, else a finite reward"
        raise InvalidInput(f"{_at('reward', index)}={reward[index]} is not finite; {fix}")
    if "probability" in tables:
        probability = tables["probability"]
        _check_distributions(
            "probability",
            probability if probability.ndim == 3 else probability[:, :, None],
            "use 0 for an unused outcome",
            "add the missing outcome or divide the row by its sum (also where an action is not allowed)",
        )


def start_distribution(start: ArrayLike, n_states: int) -> NDArray[np.float64]:
    """Turn a start state, or probabilities (n_states,), into probabilities."""
    rule = f"give a state (an int in [0, {n_states - 1}]) or {n_states} probabilities"
    given = array_of("start", start, "iuf", rule)
    if given.ndim == 0:
        if given.dtype.kind == "f":
            raise InvalidInput(f"start={given} is no state; {rule}")
        if not 0 <= int(given) < n_states:
            raise InvalidInput(f"start={int(given)} is outside [0, {n_states - 1}]; {rule}")
        distribution = np.zeros(n_states)
        distribution[int(given)] = 1.0
        return distribution
    if given.shape != (n_states,):
        raise InvalidInput(f"start has shape {given.shape}; {rule}")
    distribution = given.astype(np.float64)
    _check_distributions("start", distribution, rule, "divide it by its sum")
    return distribution


def action_mask(allowed: ArrayLike | None, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """Turn a mask of allowed actions (S, A) into bool, or into None where nothing is forbidden."""
    if allowed is None:
        return None
    mask = _flags("allowed", allowed, "give booleans: True where the action may be taken")
    if mask.shape != shape:
        raise InvalidInput(f"allowed has shape {mask.shape}; it must be (n_states, n_actions) = {shape}")
    return None if mask.all() else mask.astype(np.bool_, order="C")


def sample_counts(counts: ArrayLike | None, shape: tuple[int, int]) -> NDArray[np.int64] | None:
    """Check the number of samples behind each pair (S, A), 0 for exact; None where all are exact."""
    if counts is None:
        return None
    given = array_of("counts", counts, "iu", "give whole numbers of samples, and 0 where probabilities are exact")
    if given.shape != shape:
        raise InvalidInput(f"counts has shape {given.shape}; it must be (n_states, n_actions) = {shape}")
    if (given < 0).any() or (given > MOST_SAMPLES).any():
        index = first_at((given < 0) | (given > MOST_SAMPLES))
        raise InvalidInput(f"{_at('counts', index)}={given[index]} is no number of samples; give 0 for exact")
    return given.astype(np.int64, order="C") if given.any() else None


def episode_limit(max_episode_steps: int | None) -> int | None:
    """Check the number of steps after which an episode is truncated; None for no limit."""
    if max_episode_steps is None:
        return None
    return whole("max_episode_steps", max_episode_steps, fix="give a number such as 200, or None for no limit")


def checked_names(what: str, names: Sequence[str] | None, n: int) -> tuple[str, ...]:
    """Check the n names of states or actions, which `what` says, or number them."""
    if names is None:
        return tuple(map(str, range(n)))
    if isinstance(names, str):
        raise InvalidInput(f"{what}={names!r} is one text; give a list of {n} names")
    result = _sequence(what, names)
    if len(result) != n:
        raise InvalidInput(f"{what} holds {len(result)} names; give one for each of the {n}, or None to number them")
    seen: set[str] = set()
    for name in result:
        if not isinstance(name, str):
            raise InvalidInput(f"{what} holds {name!r:.60}; names are texts, so use str() on it")
        check_printable(what, name)
        if name in seen:
            raise InvalidInput(f"{what} holds {name!r} twice; names must differ")
        seen.add(name)
    return tuple(str(name) for name in result)


def _sequence(what: str, given: Any) -> tuple[Any, ...]:
    try:
        return tuple(given)
    except TypeError as error:
        raise InvalidInput(f"{what}={given!r:.60} is no list of texts; give one, or None") from error


def layout_rows(layout: str | Sequence[str] | None, n_states: int) -> tuple[str, ...] | None:
    """Check a map of the states for printing: one character a cell, as many cells without a wall as states."""
    if layout is None:
        return None
    rows = tuple(layout.splitlines()) if isinstance(layout, str) else _sequence("layout", layout)
    for index, row in enumerate(rows):
        if not isinstance(row, str):
            raise InvalidInput(f"layout row {index} is {row!r:.60}; rows are texts, one character a cell")
        check_printable(f"layout row {index}", row)
        if len(row) != len(rows[0]):
            raise InvalidInput(
                f"layout row {index} has {len(row)} cells, row 0 has {len(rows[0])}; make all rows equally long"
            )
    n_cells = sum(len(row) - row.count(WALL) for row in rows)
    if n_cells != n_states:
        raise InvalidInput(
            f"layout has {n_cells} cells that are no wall ({WALL}), the MDP has {n_states} states; "
            f"give one cell a state, in reading order"
        )
    return tuple(str(row) for row in rows)

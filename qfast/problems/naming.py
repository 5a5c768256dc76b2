"""States that the user names: their numbers, where episodes begin, and which of them are ends."""

import dataclasses
import enum
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import is_number, shown
from qfast.errors import InvalidInput
from qfast.model.labels import label_of
from qfast.model.mdp_checks import start_distribution

__all__ = ["is_name", "known", "label_for", "start_of", "terminal_marks"]


def label_for(value: Any) -> Any:
    """Give what a user calls a state or an action as a label that files can keep; see `qfast.model.labels`.

    Members of an enumeration become their names, data classes the tuples of their fields, sets sorted tuples.

    >>> label_for((frozenset({3, 1}), True))
    ((1, 3), True)
    """
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is tuple:
        return tuple([label_for(part) for part in value])
    if isinstance(value, enum.Enum):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return tuple(label_for(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, frozenset):
        parts = [label_for(part) for part in value]
        try:
            return tuple(sorted(parts))
        except TypeError:
            return tuple(sorted(parts, key=repr))
    return label_of(value)


def is_name(value: object) -> bool:
    """Whether this can be the name of a state or an action: whether it is hashable, and so are its parts."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def known(names: Iterable[Hashable]) -> str:
    """List the first few names, for messages."""
    listed = list(names)
    return ", ".join(f"{name!r:.40}" for name in listed[:5]) + (", …" if len(listed) > 5 else "")


def start_of(start: Any, index: Mapping[Hashable, int], n_states: int) -> NDArray[np.float64]:
    """Turn a state, a dict from states to probabilities, or probabilities in the states' order into (n_states,)."""
    if isinstance(start, Mapping):
        distribution = np.zeros(n_states)
        for state, share in start.items():
            if state not in index:
                raise InvalidInput(f"start names {state!r:.60}, which is no state; states are {known(index)}")
            if not is_number(share):
                msg = f"start gives {state!r:.60} the probability {shown(share)}; give a number in [0, 1]"
                raise InvalidInput(msg)
            distribution[index[state]] += float(share)
        return start_distribution(distribution, n_states)
    if is_name(start):
        if start in index:
            return start_distribution(index[start], n_states)
        if isinstance(start, tuple) and len(start) == n_states and all(map(is_number, start)):
            return start_distribution(start, n_states)
        raise InvalidInput(
            f"start={start!r:.60} is no state; give one of {known(index)}, or a dict from states to probabilities"
        )
    return start_distribution(start, n_states)


def terminal_marks(terminal: Any, index: Mapping[Hashable, int], n_states: int) -> NDArray[np.bool_]:
    """Mark the terminal states (n_states,), given as one state, several, or as marks."""
    marks = np.zeros(n_states, dtype=np.bool_)
    if terminal is None:
        return marks
    if isinstance(terminal, np.ndarray) and terminal.dtype.kind == "b":
        if terminal.shape != (n_states,):
            msg = f"terminal has shape {terminal.shape}; give one truth value for each of the {n_states} states"
            raise InvalidInput(msg)
        return terminal.copy()
    if is_name(terminal) and terminal in index:
        marks[index[terminal]] = True
        return marks
    alone = not isinstance(terminal, Iterable) or isinstance(terminal, (str, bytes))
    several = [terminal] if alone else list(terminal)
    if len(several) == n_states and all(isinstance(mark, (bool, np.bool_)) for mark in several):
        return np.array(several, dtype=np.bool_)
    for state in several:
        if not is_name(state) or state not in index:
            raise InvalidInput(f"terminal names {state!r:.60}, which is no state; states are {known(index)}")
        if marks[index[state]]:
            raise InvalidInput(f"terminal names {state!s:.60} twice; name each state once, or give marks as booleans")
        marks[index[state]] = True
    return marks

"""States that the user names: their numbers, where episodes begin, and which of them are ends."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import is_number, is_whole, shown
from qfast.errors import InvalidInput
from qfast.model.mdp_checks import start_distribution

__all__ = ["is_name", "known", "numbered", "plain", "start_of", "terminal_marks"]


def plain(name: Any) -> Any:
    """Give a NumPy number as Python's, also inside tuples, so that names print and compare as written."""
    if isinstance(name, np.generic):
        return name.item()
    return tuple(map(plain, name)) if type(name) is tuple else name


def is_name(value: object) -> bool:
    """Whether this can be the name of a state or an action: whether it is hashable, and so are its parts."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def numbered(names: Sequence[Hashable]) -> tuple[Hashable, ...] | None:
    """Give the names of states or actions, or None where they are the numbers 0, 1, … anyhow."""
    own = tuple(map(plain, names))
    return None if own == tuple(range(len(own))) and all(map(is_whole, own)) else own


def known(names: Iterable[Hashable]) -> str:
    """List the first few names, for messages."""
    listed = list(names)
    return ", ".join(f"{plain(name)!r:.40}" for name in listed[:5]) + (", …" if len(listed) > 5 else "")


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
    several = list(terminal) if isinstance(terminal, Iterable) and not isinstance(terminal, (str, bytes)) else [terminal]
    if len(several) == n_states and all(isinstance(mark, (bool, np.bool_)) for mark in several):
        return np.array(several, dtype=np.bool_)
    for state in several:
        if not is_name(state) or state not in index:
            raise InvalidInput(f"terminal names {state!r:.60}, which is no state; states are {known(index)}")
        marks[index[state]] = True
    return marks

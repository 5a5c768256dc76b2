"""Labels: what a user calls the states and actions of a problem, as plain values that files can keep.

A label is a text, a whole number, a finite float, True, False, None, or a tuple of labels: what JSON can hold, so that
nothing of the user's own code has to be found again when a file is read or a worker starts. Equal labels are one label,
as they are in a dict: 1, 1.0 and True are the same.
"""

import enum
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import shown
from qfast.errors import InvalidInput
from qfast.storage.archive import read_json
from qfast.text import check_printable, printable

__all__ = ["Label", "checked_labels", "checked_title", "decoded", "encoded", "label_of", "names_of", "title_of"]

Label: TypeAlias = "str | int | float | bool | tuple[Label, ...] | None"

_LONGEST_NAME: Final = 60  # of a name that is made of a label
_LONGEST_TITLE: Final = 80
_DEEPEST: Final = 50  # tuples in tuples
_MOST_BITS: Final = 4096  # of a whole number, which the files' JSON takes
# What is equal to a plain value by its class, such as an IntEnum, is kept as that value.
_PLAIN: Final[dict[type, Callable[[Any], Any]]] = {int: int.__int__, float: float.__float__, str: str.__str__}

# What else may stand for a state, and what to use instead of it.
_INSTEAD: Final[dict[type, str]] = {
    bytes: "its .hex(), or its text by .decode()",
    bytearray: "its .hex(), or its text by .decode()",
    complex: "(z.real, z.imag)",
    dict: "tuple(sorted(d.items()))",
    set: "tuple(sorted(…))",
    frozenset: "tuple(sorted(…))",
    enum.Enum: "its .name or .value",
}


def label_of(value: Any, what: str = "a state", depth: int = 0) -> Label:
    """Give a value as a label: NumPy's scalars as Python's, lists and arrays as tuples; what is none is refused.

    >>> label_of([np.int64(3), "left", (True, None)]), label_of(np.array([[0, 1], [2, 3]]))
    ((3, 'left', (True, None)), ((0, 1), (2, 3)))
    >>> label_of(frozenset({1}), "states[0]")
    Traceback (most recent call last):
        ...
    qfast.errors.InvalidInput: states[0] is or holds a frozenset, frozenset({1}), which files cannot keep; use ...
    """
    exact = type(value)
    if value is None or exact in (bool, str) or (exact is int and value.bit_length() < 64):
        return value  # type: ignore[no-any-return]
    if exact is not tuple and isinstance(value, (np.generic, np.ndarray)):
        value = value.item() if value.ndim == 0 else value.tolist()
    if isinstance(value, (list, tuple)):
        if depth == _DEEPEST:
            raise InvalidInput(f"{what} is nested more than {_DEEPEST} deep; use a flat tuple, or a text")
        return tuple([label_of(part, what, depth + 1) for part in value])
    for kind, plain in _PLAIN.items():
        if isinstance(value, kind):
            label = plain(value)
            if kind is float and not math.isfinite(label):
                raise InvalidInput(f"{what} is or holds {label}, which JSON cannot hold; use a text such as '{label}'")
            if kind is int and label.bit_length() > _MOST_BITS:
                raise InvalidInput(f"{what} is or holds a number of {label.bit_length():,} bits; use a text or a tuple")
            return label  # type: ignore[no-any-return]
    fix = next((fix for kind, fix in _INSTEAD.items() if isinstance(value, kind)), "a tuple of the numbers in it")
    text = printable(f"{value!r:.80}")
    raise InvalidInput(f"{what} is or holds {shown(value)}, {text}, which files cannot keep; use {fix}")


def checked_labels(what: str, labels: Any, n: int) -> tuple[Label, ...] | None:
    """Check the n labels of states or actions, which `what` says; None where they are the numbers 0, 1, … anyway."""
    if labels is None:
        return None
    if isinstance(labels, str):
        raise InvalidInput(f"{what}={labels!r:.60} is one text; give a list of {n} labels")
    if isinstance(labels, (set, frozenset)):
        raise InvalidInput(f"{what} is a set, which has no order; give a list, in the order of the tables")
    try:
        given = list(labels)
    except TypeError as error:
        raise InvalidInput(f"{what} is {shown(labels)}; give a list of {n} labels, or None to number them") from error
    if len(given) != n:
        raise InvalidInput(f"{what} holds {len(given)} labels; give one for each of the {n}, or None to number them")
    result = tuple([label_of(label, f"{what}[{i}]") for i, label in enumerate(given)])
    if len(set(result)) < n:
        seen: dict[Label, int] = {}
        for i, label in enumerate(result):
            if label in seen:
                first = seen[label]
                equal = "" if repr(result[first]) == repr(label) else f", and {label!r} == {result[first]!r}"
                raise InvalidInput(f"{what} holds {label!r:.60} twice, at {first} and {i}{equal}; labels must differ")
            seen[label] = i
    return None if all(type(label) is int and label == i for i, label in enumerate(result)) else result


def names_of(labels: Sequence[Label]) -> tuple[str, ...]:
    """Make unique, printable names of unique labels: their str; where two of these are the same, their repr.

    >>> names_of(["left", (0, 1), None]), names_of([1, "1"])
    (('left', '(0, 1)', 'None'), ('1', "'1'"))
    """
    names = [_short(printable(label) or "''", i) for i, label in enumerate(labels)]
    if len(set(names)) < len(names):
        names = [_short(printable(repr(label)), i) for i, label in enumerate(labels)]
    return tuple(names)


def _short(name: str, number: int) -> str:
    """Cut a long name, as of a whole board; the number keeps it unique."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 10]}… #{number}"


def checked_title(name: str | None) -> str | None:
    """Check the name of a problem: a short text on one line."""
    if name is None:
        return None
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f"name is {shown(name)}; give a short text such as 'FrozenLake-v1', or None")
    if len(name) > _LONGEST_TITLE:
        raise InvalidInput(f"name={name!r:.40} has {len(name)} characters; use at most {_LONGEST_TITLE}")
    return str(check_printable("name", name))


def title_of(text: str) -> str | None:
    """Make a name of a text from elsewhere, such as a file's: printable and short; None where nothing is left."""
    text = printable(text).strip()
    return (text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 1]}…") or None


def encoded(labels: Sequence[Label]) -> NDArray[np.str_]:
    """Write labels as an array of texts, each of them JSON, for files."""
    return np.array([json.dumps(label) for label in labels])


def decoded(what: str, texts: NDArray[Any]) -> list[Any]:
    """Read what `encoded` wrote; lists are made tuples when they are checked."""
    try:
        return [read_json(text) for text in texts.tolist()]
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"{what} holds what is no JSON ({error})") from error

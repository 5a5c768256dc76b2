"""What an environment of Gymnasium calls its actions and states: spaces and observations as labels, and back."""

import copy
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qfast.arguments import optional, shown
from qfast.errors import InvalidInput
from qfast.model.labels import Label, label_of

if TYPE_CHECKING:
    import gymnasium

__all__ = ["Actions", "actions_of", "observed"]

_MOST_ACTIONS: Final = 10_000
_PLAIN: Final = frozenset({int, str, bool, type(None)})
_FLOAT_FIX: Final = (
    "use qfast.discretise(env, bins), or give state=, a function of (observation, info) that names the state"
)


@dataclass(frozen=True)
class Actions:
    """The actions of an environment.

    Attributes
    ----------
    labels : tuple
        What a table calls them.
    values : tuple
        What the environment takes; `value` gives one that may be changed.
    parts : tuple of int
        How many choices each part of an action has; their product is the number of actions.
    """

    labels: tuple[Label, ...]
    values: tuple[Any, ...]
    parts: tuple[int, ...]

    def value(self, action: int) -> Any:
        """Give what the environment takes for the action of this number."""
        value = self.values[action]
        return value if type(value) is int else copy.deepcopy(value)

    def mask(self, mask: Any) -> tuple[int, ...]:
        """Turn ``info["action_mask"]`` into the numbers of the actions that are allowed."""
        try:
            if isinstance(mask, tuple) and len(mask) == len(self.parts) and len(self.parts) > 1:
                marks: Any = [all(chosen) for chosen in itertools.product(*(np.asarray(m).tolist() for m in mask))]
            else:
                marks = np.asarray(mask).ravel().tolist()
        except ValueError:
            marks = []
        if len(marks) != len(self.labels) or any(mark not in (0, 1) for mark in marks):
            msg = f"info['action_mask'] is {mask!r:.60}, not a 0 or 1 for each of the {len(self.labels)} actions"
            raise InvalidInput(f"{msg}; correct it, or give action_mask=False")
        return tuple([a for a, mark in enumerate(marks) if mark])


def actions_of(space: "gymnasium.Space[Any]") -> Actions:
    """List the actions of a space: Discrete, MultiDiscrete, MultiBinary, or a Tuple of those."""
    parts = _parts(space)
    n = math.prod(parts)
    if n > _MOST_ACTIONS:
        msg = f"the action space {space!r:.60} has {n:,} actions, more than a table of {_MOST_ACTIONS:,}"
        raise InvalidInput(f"{msg}; wrap the environment so that it offers fewer")
    values = tuple(_values(space))
    return Actions(tuple([label_of(value, "an action") for value in values]), values, parts)


def _parts(space: Any) -> tuple[int, ...]:
    """How many choices each part of an action has."""
    spaces = optional("gymnasium", "gym", "environments need it").spaces
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple([int(n) for n in space.nvec.ravel().tolist()])
    if isinstance(space, spaces.MultiBinary):
        shape: tuple[int, ...] = space.shape
        return (2,) * math.prod(shape)
    if isinstance(space, spaces.Tuple):
        return tuple(n for part in space.spaces for n in _parts(part))
    fix = "wrap the environment so that its actions are Discrete, MultiDiscrete, MultiBinary or a Tuple of those"
    raise InvalidInput(f"the action space {space!r:.80} is none that a table can list; {fix}")


def _values(space: Any) -> Iterable[Any]:
    spaces = optional("gymnasium", "gym", "environments need it").spaces
    if isinstance(space, spaces.Discrete):
        return range(int(space.start), int(space.start + space.n))
    if isinstance(space, spaces.Tuple):
        return itertools.product(*map(_values, space.spaces))
    if isinstance(space, spaces.MultiBinary):
        first, counts = np.zeros(space.shape, space.dtype), (2,) * math.prod(space.shape)
    else:
        first, counts = space.start.astype(space.dtype), _parts(space)
    chosen = itertools.product(*map(range, counts))
    return [first + np.array(c, space.dtype).reshape(first.shape) for c in chosen]


def observed(value: Any, what: str = "the observation") -> Label:
    """Give an observation as a label: arrays as tuples, a dict as the sorted tuple of its items.

    A float is accepted where it is whole: two ways to one place seldom give all digits of another alike.

    >>> observed({"target": np.array([4, 0]), "agent": np.array([0.0, 1.0])})
    (('agent', (0, 1)), ('target', (4, 0)))
    """
    kind = type(value)
    if kind in _PLAIN:
        return value  # type: ignore[no-any-return]
    if kind is np.ndarray and value.dtype.kind in "biu":
        if value.ndim == 1:
            return tuple(value.tolist())
        return value.item() if value.ndim == 0 else _nested(value.tolist())
    if isinstance(value, Mapping):
        return tuple([(key, observed(value[key], what)) for key in _in_order(tuple(value))])
    if isinstance(value, (tuple, list)):
        return tuple([observed(part, what) for part in value])
    return _whole(label_of(value, what), what)


@cache
def _in_order(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sort the keys of a dict; those of several kinds stay as they are."""
    try:
        return tuple(sorted(keys))
    except TypeError:
        return keys


def _nested(values: list[Any]) -> Label:
    if values and type(values[0]) is list:
        return tuple([_nested(part) for part in values])
    return tuple(values)


def _whole(label: Any, what: str) -> Label:
    """Turn whole floats into integers, and refuse all others."""
    if isinstance(label, tuple):
        return tuple([_whole(part, what) for part in label])
    if isinstance(label, float):
        if not label.is_integer():
            raise InvalidInput(f"{what} holds {shown(label)}, a float, of which there is no end; {_FLOAT_FIX}")
        return int(label)
    return label  # type: ignore[no-any-return]

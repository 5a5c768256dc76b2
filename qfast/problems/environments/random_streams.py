"""The random streams that an environment draws from: found, wherever they are, and set anew.

Steps are repeated with other random numbers to see whether anything depends on them, and with the same ones to come
back to a place. Python has no one place for random numbers: Gymnasium's `np_random`, generators in attributes of the
user's own, and the global ones of `random` and `numpy.random` are all in use.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import numpy as np

__all__ = ["Streams", "global_streams_kept"]

_MOST_OBJECTS: Final = 100_000
_FAR: Final = 2**40  # numbers between two places in a stream
_Path: TypeAlias = tuple[tuple[str, Any], ...]


class Streams:
    """The random streams that an environment draws from: those inside it, and the global ones if it uses them.

    Parameters
    ----------
    env : gymnasium.Env
        Paths to the streams are found in it, and hold for its copies.
    """

    def __init__(self, env: Any) -> None:
        self.inside = _find_streams(env)
        self.uses_global = True
        self.before_reset = self.inside  # those that reset(seed) does not set
        self._global = _global_state()

    def seed(self, env: Any, seed: int) -> None:
        """Set all streams by a seed."""
        self._seed_global(seed)
        for number, path in enumerate(self.inside):
            _seed(_at(env, path), seed + number)

    def seed_before_reset(self, env: Any, seed: int) -> None:
        """Set those streams that reset(seed) would leave alone."""
        self._seed_global(seed)
        for number, path in enumerate(self.before_reset):
            _seed(_at(env, path), seed + number)

    def move(self, env: Any, distance: int) -> None:
        """Move all streams on by a random distance: as good as a seed, and ten times as fast where that is possible."""
        self._seed_global(distance)
        for number, path in enumerate(self.inside):
            stream = _at(env, path)
            bits: Any = getattr(stream, "bit_generator", None)
            if hasattr(bits, "advance"):
                bits.advance(distance * _FAR + number)
            else:
                _seed(stream, distance + number)

    def learn(self, env: Any, reset: Callable[[], object]) -> None:
        """Find out which streams reset(seed) sets by itself, and whether it, or steps before, used global ones."""
        self.inside = _find_streams(env)  # some are made by the first reset
        states = []
        for seed in (1, 2):
            self.seed(env, seed)
            reset()
            states.append([_state_of(_at(env, path)) for path in self.inside])
        self.before_reset = [p for p, one, two in zip(self.inside, *states, strict=True) if one != two]

    def expect_no_global(self) -> None:
        """Leave the global streams alone until `global_used` says that they are used."""
        self.uses_global = False
        self._global = _global_state()

    def global_used(self) -> bool:
        """Whether the global streams were used though nobody expected it."""
        return not self.uses_global and self._global != _global_state()

    def _seed_global(self, seed: int) -> None:
        if self.uses_global:
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - the environment may use it


def _find_streams(env: Any) -> list[_Path]:
    """Find the random streams inside an environment: for each a path of attributes, keys and positions."""
    found: list[_Path] = []
    seen: set[int] = set()
    todo: list[tuple[Any, _Path]] = [(env, ())]
    while todo and len(seen) < _MOST_OBJECTS:
        thing, path = todo.pop()
        if id(thing) in seen or isinstance(thing, (str, bytes, int, float, type, type(random))):
            continue
        seen.add(id(thing))
        if isinstance(thing, (np.random.Generator, np.random.RandomState, random.Random)):
            if not isinstance(thing, random.SystemRandom):
                found.append(path)
        elif isinstance(thing, np.ndarray):
            if thing.dtype == object:
                todo += [(part, (*path, ("member", i))) for i, part in enumerate(thing.flat)]
        elif isinstance(thing, (set, frozenset)):
            todo += [(part, (*path, ("member", i))) for i, part in enumerate(thing)]
        elif isinstance(thing, dict):
            todo += [(part, (*path, ("key", key))) for key, part in thing.items()]
        elif isinstance(thing, (list, tuple, deque)):
            todo += [(part, (*path, ("key", i))) for i, part in enumerate(thing)]
        else:
            todo += [(part, (*path, ("attribute", name))) for name, part in _attributes(thing).items()]
    return sorted(found, key=len)


def _attributes(thing: Any) -> dict[str, Any]:
    """What an object holds, in its dict and in its slots."""
    slots = [name for kind in type(thing).__mro__ for name in np.atleast_1d(getattr(kind, "__slots__", ())).tolist()]
    return {name: getattr(thing, name) for name in slots if hasattr(thing, name)} | getattr(thing, "__dict__", {})


def _at(env: Any, path: _Path) -> Any:
    """Follow a path; None where it is gone."""
    thing = env
    try:
        for how, key in path:
            if how == "member":
                thing = list(thing.flat if isinstance(thing, np.ndarray) else thing)[key]
            else:
                thing = getattr(thing, key) if how == "attribute" else thing[key]
    except (AttributeError, KeyError, IndexError, TypeError):
        return None
    return thing


def _seed(stream: Any, seed: int) -> None:
    if isinstance(stream, np.random.Generator):
        bits: Any = stream.bit_generator
        bits.state = type(bits)(seed).state
    elif isinstance(stream, np.random.RandomState):
        stream.seed(seed % 2**32)
    elif isinstance(stream, random.Random):
        stream.seed(seed)


def _state_of(stream: Any) -> str:
    if isinstance(stream, np.random.Generator):
        return repr(stream.bit_generator.state)
    return repr(stream.get_state() if isinstance(stream, np.random.RandomState) else getattr(stream, "getstate", str)())


def _global_state() -> tuple[object, str]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), f"{name} {np.asarray(keys).tobytes().hex()} {rest}"


@contextmanager
def global_streams_kept() -> Iterator[None]:
    """Leave the global random streams as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002

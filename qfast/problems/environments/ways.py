"""Ways into an environment, and how to stand again where one of them led.

A way is a reset with a seed and the actions after it; marks on it say where the random streams were set anew. Three
things lead back to its end: a copy of the environment that was kept there, a state that `set_state=` restores, and
taking the same actions again. Copies and kept states are held every few steps only, as far apart as stepping is
cheaper than copying: of a Taxi, whose copy takes as long as a thousand steps, none is made.
"""

import copy
import math
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from qfast.arguments import choice, shown
from qfast.errors import InvalidInput
from qfast.problems.environments.random_streams import Streams
from qfast.problems.environments.simulator import Seen, Simulator

__all__ = ["CopiesWrong", "Returns", "Way"]

_TRACE: Final = 30  # steps in which a copy and its original must agree
_TRACES: Final = 3
_LONGEST_SPACING: Final = 1_000
_SECONDS_OF_TIMING: Final = 0.05


class Way:
    """The end of a way, which knows the way before it; the first is a reset."""

    __slots__ = ("action", "before", "kept", "label", "length", "seed", "since")

    def __init__(self, before: "Way | None", seed: int | None, action: int, label: Any = None) -> None:
        self.before, self.seed, self.action, self.label = before, seed, action, label
        self.length: int = 0 if before is None else before.length + 1
        self.since: int = 0 if before is None else before.since + 1  # steps from the last kept place
        self.kept: Any = None

    def actions(self) -> tuple[int, list[int]]:
        """Give the seed of the reset, and the actions after it."""
        actions: list[int] = []
        here = self
        while here.before is not None:
            actions.append(here.action)
            here = here.before
        return here.seed or 0, actions[::-1]


    def labels(self) -> list[Any]:
        """Give the states along the way, the start included."""
        labels = []
        here: Way | None = self
        while here is not None:
            labels.append(here.label)
            here = here.before
        return labels[::-1]


class CopiesWrong(Exception):
    """A copy of the environment did not behave as the original."""


class _Check(NamedTuple):
    works: bool
    why: str = ""


class Returns:
    """Stand again at the end of a way.

    Parameters
    ----------
    simulator : Simulator
    by : {"auto", "copies", "replays"}
        Which of both may be used; ignored with `set_state`.
    get_state, set_state : callable, optional
        The user's own.
    rng : numpy.random.Generator
    global_streams : bool
        Whether the global random streams are to be set anew as well, which takes time.
    """

    def __init__(
        self,
        simulator: Simulator,
        *,
        by: str,
        get_state: Callable[[Any], Any] | None,
        set_state: Callable[[Any, Any], object] | None,
        rng: np.random.Generator,
        global_streams: bool,
    ) -> None:
        choice("by", by, ("auto", "copies", "replays"))
        if (get_state is None) != (set_state is None):
            raise InvalidInput("get_state and set_state belong together; give both, or none")
        for name, function in (("get_state", get_state), ("set_state", set_state)):
            if function is not None and not callable(function):
                raise InvalidInput(f"{name} is {shown(function)}, no function of the environment; give one")
        self.simulator, self.rng = simulator, rng
        self._own = np.random.default_rng(self.fresh())  # for checks, whose number depends on how fast copies are
        self._global_streams = global_streams
        self._get, self._set = get_state, set_state
        self._by = by
        self.copies, self.replays = False, False
        self.spacing: float = math.inf
        self._kept_so_far, self._to_check = 0, list[Way]()
        self._streams = Streams(simulator.env)
        self._move = self._streams.seed if set_state is not None else self._streams.move

    def fresh(self) -> int:
        """Give a seed that was not used before."""
        return int(self.rng.integers(2**32))

    def reseed(self, env: Any) -> int:
        """Set the random streams anew, and tell the seed."""
        seed = self.fresh()
        self._move(env, seed)
        return seed

    def mark(self, env: Any) -> int | None:
        """Set the streams anew before a step within a walk, where a state that is set brings none along."""
        return None if self._set is None else self.reseed(env)

    def root(self, seed: int) -> tuple[Way, Seen]:
        """Begin an episode."""
        seen = self._reset(seed)
        return Way(None, seed, -1, seen.label), seen

    def _reset(self, seed: int) -> Seen:
        env = self.simulator.env
        self._streams.seed_before_reset(env, seed)
        return self.simulator.reset(env, seed)

    def check(self) -> None:
        """Find out what leads back to a place, and how far apart to keep copies; refuse where nothing does."""
        seed = self._number()
        self._reset(seed)
        self._streams.learn(self.simulator.env, lambda: self.simulator.reset(self.simulator.env, seed))
        replays = self._check_replays(seed)
        if self._set is not None:
            kept = self._check_kept(seed)
            if not kept.works:
                raise InvalidInput(f"set_state does not restore what get_state gave: {kept.why}; correct them")
            self.copies, self.replays = True, replays.works
        elif self._by == "replays":
            self.replays = replays.works
        else:
            kept = self._check_kept(seed)
            self.copies, self.replays = kept.works, replays.works and self._by == "auto"
        if not (self.copies or self.replays):
            reasons = [] if self._by == "replays" else [f"copies do not work ({kept.why})"]
            reasons += [] if self._by == "copies" else [f"taking the same actions again does not ({replays.why})"]
            fix = "give get_state= and set_state=, functions that read and restore all of the environment's state"
            fix += "; does it draw from a generator outside itself? use self.np_random"
            raise InvalidInput(f"{self.simulator.name}: {', and '.join(reasons)}; {fix}")
        if self.copies:
            self.spacing = self._timed(seed) if self.replays else 0
        if not self._global_streams:
            self._streams.expect_no_global()

    def global_used(self) -> bool:
        """Whether the environment drew from global streams that were not set anew, so that all is in doubt."""
        return self._streams.global_used()

    def _timed(self, seed: int) -> float:
        """How many steps take as long as to keep a place and come back to it."""
        env = self.simulator.env
        seen = self._reset(seed)
        rounds, start = 0, time.perf_counter()
        while rounds < 3 or (time.perf_counter() - start < _SECONDS_OF_TIMING and rounds < 20):
            again = self._restored(self._keep(env))
            rounds += 1
        a_copy = (time.perf_counter() - start) / rounds / 2
        steps, start = 0, time.perf_counter()
        while steps < _TRACE and not (seen.terminated or seen.truncated):
            seen = self.simulator.step(again, self._any(seen))
            steps += 1
        a_step = (time.perf_counter() - start) / max(steps, 1)
        return min(a_copy / a_step, _LONGEST_SPACING)

    def _number(self) -> int:
        return int(self._own.integers(2**32))

    def _any(self, seen: Seen) -> int:
        """Choose an action that is allowed."""
        allowed = seen.allowed or range(len(self.simulator.actions.labels))
        return int(allowed[int(self._own.integers(len(allowed)))])

    def _keep(self, env: Any) -> Any:
        return copy.deepcopy(env if self._get is None else self._get(env))

    def _restored(self, kept: Any) -> Any:
        if self._set is None:
            return copy.deepcopy(kept)
        self._set(self.simulator.env, copy.deepcopy(kept))
        return self.simulator.env

    def _trace(self, env: Any, actions: list[int], seed: int) -> list[Seen]:
        """Take actions until the episode ends; without any, make some up."""
        self._streams.seed(env, seed)
        trace: list[Seen] = []
        chosen = list(actions)
        for n in range(_TRACE):
            if len(chosen) <= n:
                chosen.append(self._any(trace[-1]) if trace else chosen[0])
            trace.append(self.simulator.step(env, chosen[n]))
            if trace[-1].terminated or trace[-1].truncated:
                break
        actions[:] = chosen
        return trace

    def _check_replays(self, seed: int) -> _Check:
        traces = steps = 0
        while traces < _TRACES or steps < _TRACE:  # of short episodes more
            number = self._number()
            first = self._reset(seed)
            actions = [self._any(first)]
            trace = self._trace(self.simulator.env, actions, number)
            traces, steps = traces + 1, steps + len(trace)
            again = self._reset(seed)
            why = _difference([first], [again]) or _difference(trace, self._trace(self.simulator.env, actions, number))
            if why:
                return _Check(works=False, why=why)
        return _Check(works=True)

    def _check_kept(self, seed: int) -> _Check:
        """Whether two copies and their original agree, one after the other, so that none moves another."""
        env = self.simulator.env
        for _ in range(_TRACES):
            number, actions = self._number(), [self._any(self._reset(seed))]
            try:
                kept = self._keep(env)
                first, second = self._restored(kept), None
                if self._set is None:
                    second = copy.deepcopy(env)
            except Exception as error:  # noqa: BLE001 - whatever an environment holds may refuse to be copied
                return _Check(works=False, why=f"{type(error).__name__}: {error}"[:120])
            trace = self._trace(first, actions, number)
            others = [self._restored(kept)] if second is None else [second, self._restored(kept), env]
            for other in others:
                why = _difference(trace, self._trace(other, actions, number))
                if why:
                    return _Check(works=False, why=why)
        return _Check(works=True)

    def keep(self, way: Way, env: Any) -> None:
        """Keep the end of a way, if the last kept place is far enough behind it."""
        if not self.copies or way.kept is not None or (way.since < self.spacing and (way.before or self.replays)):
            return
        way.kept = self._keep(env)
        way.since = 0
        self._kept_so_far += 1
        n = self._kept_so_far
        if self._set is None and self.replays and n & (n - 1) == 0:  # the first, second, fourth, …
            self._to_check.append(way)

    def check_places(self) -> None:
        """Compare some copies with environments that took all actions of their ways again."""
        while self._to_check:
            way, number = self._to_check.pop(), self._number()
            again, seen = self.go(way, from_start=True)
            actions = [self._any(seen or Seen(None, 0.0, terminated=False, truncated=False, allowed=None))]
            trace = self._trace(again, actions, number)
            if _difference(trace, self._trace(self._restored(way.kept), actions, number)):
                raise CopiesWrong

    @property
    def may_blame_copies(self) -> bool:
        """Whether what goes wrong may come from copies, and there is another way."""
        return self.copies and self.replays and self._set is None

    def blame_copies(self) -> None:
        """Give up copies where they may be to blame."""
        if self.may_blame_copies:
            raise CopiesWrong

    def go(self, way: Way, *, from_start: bool = False) -> tuple[Any, Seen | None]:
        """Stand at the end of a way: the environment, and what its last step showed, if one was taken."""
        missing: list[Way] = []
        here = way
        while here.before is not None and (here.kept is None or from_start):
            missing.append(here)
            here = here.before
        seen: Seen | None = None
        if here.kept is None or (from_start and self.replays):
            env, seen = self.simulator.env, self._reset(here.seed or 0)
        else:
            env = self._restored(here.kept)
        for step in reversed(missing):
            if step.seed is not None:
                self._move(env, step.seed)
            seen = self.simulator.step(env, step.action)
        return env, seen


def _difference(one: list[Seen], other: list[Seen]) -> str:
    """Say where two traces differ; "" where they agree."""
    for n, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            what = next(field for field in Seen._fields if getattr(a, field) != getattr(b, field))
            name = "state" if what == "label" else what
            return f"after {n + 1} steps the {name} was {getattr(a, what)!r:.60} and {getattr(b, what)!r:.60}"
    return "" if len(one) == len(other) else "one of two episodes ended earlier"

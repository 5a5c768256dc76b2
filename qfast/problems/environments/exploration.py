"""Finding all states of an environment and what every action does there, by walks that try what was not yet tried.

Every walk begins at a state that lacks tries, with random streams set anew, and goes on for as long as it meets such
states: tries of one pair of state and action come from different ways, at the price of a step each. Where two tries
differ, the pair is tried again on both ways: outcomes that differ on one way are random, and outcomes that are always
one thing on the one way and always another on the other show that the state hides something.
"""

import heapq
import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qfast.errors import InvalidInput
from qfast.problems.environments.findings import Words, differences
from qfast.problems.environments.simulator import Seen
from qfast.problems.environments.ways import Returns, Way
from qfast.progress import Work

if TYPE_CHECKING:
    from qfast.model.labels import Label

__all__ = ["DrawnBefore", "Exploration", "Outcome"]

_LONGEST_WALK: Final = 64  # so that ways stay short
_TRIES_ON_BOTH_WAYS: Final = 32
_ENOUGH_ALIKE: Final = 8  # of them, on both ways
_LONGEST_CHECK: Final = 1_000
_REDRAWS: Final = 20_000  # resets, at most, that look for the same way with other draws
_SECONDS_OF_REDRAWS: Final = 2.0
_IDLE_EPISODES: Final = 20_000  # fresh episodes in a row that bring nothing new
_FAR: Final = 2**62
_ROUNDING: Final = 1e-9  # of a reward, as a share
_ROUNDING_AT_0: Final = 1e-12
_PATIENCE: Final = 16  # steps in states that lack nothing, at most, before a walk begins anew
_BETWEEN_REPORTS: Final = 0.05  # seconds
_LEAST_CHECKS: Final = 2_000


class Outcome(NamedTuple):
    """Where one try led."""

    state: int
    reward: float
    terminated: bool


class DrawnBefore(Exception):
    """Outcomes depend on what was drawn by chance before and nobody saw, as a dealer's card: episodes must be fresh."""


class _Truncated(NamedTuple):
    """The environment's own truncation: the way to it, and how long it is."""

    length: int
    way: Way


class Exploration:
    """The states of an environment that were found, and what was seen there.

    Attributes
    ----------
    labels : list of label
    acts : list of tuple of int, or None
        The allowed actions of each state; None where episodes only end.
    found : list of list of dict
        How often each outcome of each state and action was seen.
    starts : dict of int to Way
        Where resets led, and the first that did.
    random : set of (int, int)
        Pairs of state and action whose outcomes are random.
    own_limit : int or None
        Steps after which the environment truncates by itself.

    With `seeds`, resets use those alone. With `fresh`, every walk begins with a reset, since what was drawn before
    matters though nobody sees it.
    """

    def __init__(
        self,
        returns: Returns,
        *,
        repeats: int,
        samples: int | None,
        max_states: int,
        report: Callable[[Work], None],
        seeds: list[int] | None,
        fresh: bool,
        names: Sequence[str] | None = None,
    ) -> None:
        self.returns, self.simulator = returns, returns.simulator
        self.names = list(names or map(str, self.simulator.actions.labels))
        self._words = Words(self.simulator.name, self.names, self.simulator.actions.labels)
        self.labels: list[Label] = []
        self.index: dict[Label, int] = {}
        self.acts: list[tuple[int, ...] | None] = []
        self.found: list[list[dict[Outcome, int]]] = []
        self.starts: dict[int, Way] = {}
        self.random: set[tuple[int, int]] = set()
        self.n_pairs = 0
        self._ways: list[Way] = []
        self._first: list[list[Way | None]] = []  # the first try of each pair
        self._tries: list[int] = []
        self._acting: list[int] = []  # in the order in which they were found
        self._late: set[int] = set()  # to which only ways that were truncated lead, so far
        self._depth: list[int] = []  # steps from the start, as far as is known
        self._before: list[tuple[int, int] | None] = []  # the state and action before, on the shortest way
        self._next: list[tuple[int, int]] = []  # a heap of depths and states
        self._samples = samples
        self._target = repeats if samples is None else min(repeats, samples)
        self._sampling = fresh
        self._seeds, self._fresh = seeds, fresh
        self._max_states = max_states
        self._all = tuple(range(len(self.names)))
        self._cut: _Truncated | None = None
        self._longest = 0
        self._report, self._began, self._phase, self._next_report = report, time.monotonic(), "", 0.0

    def start(self, seed: int) -> int:
        """Reset, and tell the state that it led to."""
        way, seen = self.returns.root(seed)
        state = self._state(seen, way, self.simulator.env)
        if state not in self.starts:
            self.starts[state] = way
            self._relax(state, 0, None)
        return state

    def tell(self, phase: str, done: int, total: int, unit: str) -> None:
        """Report progress, now and then."""
        now = time.monotonic()
        if phase != self._phase or done == total or now >= self._next_report:
            self._phase, self._next_report = phase, now + _BETWEEN_REPORTS
            self._report(Work(phase, done, total, unit, self.simulator.steps, now - self._began))

    def _state(self, seen: Seen, way: Way, env: Any) -> int:
        """The number of the state that was met; a new one is noted."""
        state = self.index.get(seen.label)
        if state is None:
            state = self.index[seen.label] = len(self.labels)
            if state >= self._max_states:
                raise InvalidInput(self._words.too_many(self.labels, self._max_states))
            self.labels.append(seen.label)
            self.acts.append(None)
            self.found.append([])
            self._first.append([])
            self._tries.append(0)
            self._ways.append(way)
            self._depth.append(_FAR)
            self._before.append(None)
        if seen.terminated:
            return state
        acts = self._all if seen.allowed is None else seen.allowed
        if self.acts[state] is None:
            self.acts[state] = acts
            self.found[state] = [{} for _ in self._all]
            self._first[state] = [None] * len(self._all)
            self._ways[state] = way
            self._acting.append(state)
            self.n_pairs += len(acts)
            self.returns.keep(way, env)
            if seen.truncated:
                self._late.add(state)
        else:
            if self.acts[state] != acts:
                raise self._words.two_masks(seen.label, (self.acts[state] or (), acts), (self._ways[state], way))
            late = state in self._late and not seen.truncated
            if late or 2 * way.length < self._ways[state].length:  # much shorter
                self._ways[state] = way
                self.returns.keep(way, env)
                self._late.discard(state)
        return state

    def explore(self) -> None:
        """Try every action of every state that can be reached, as often as wanted."""
        if self._fresh:
            self._play()
            return
        done: set[int] = set()
        while self._next:
            _, state = heapq.heappop(self._next)
            if state in done or not self._is_within(state):
                continue
            done.add(state)
            self._shorten(state)
            self._fill(state)
            self.tell("exploring", len(done), len(self._acting), "states")
        if self._samples is None:
            return
        self._target, self._sampling = self._samples, True
        n = 0
        while n < len(self._acting):  # sampling may still find new ones
            # From the last ones found back to the start: what is seldom met is filled first, and the rest on the way.
            for state in reversed(self._acting[n:]):
                if self._is_within(state):
                    self._fill(state)
                n += 1
                self.tell("sampling", n, len(self._acting), "states")

    def was_tried(self, state: int) -> bool:
        """Whether anything was tried in a state; not where episodes only end, or the environment truncates before."""
        return self._tries[state] > 0 or (self.acts[state] == () and self._is_within(state))

    def _is_within(self, state: int) -> bool:
        """Whether an episode can act in a state before the environment truncates it by itself."""
        return self._cut is None or self._depth[state] < self._cut.length

    def _relax(self, state: int, depth: int, before: tuple[int, int] | None) -> None:
        """Note a way to a state, and what it shortens further on."""
        todo = [(state, depth, before)]
        while todo:
            at, depth, before = todo.pop()
            if depth >= self._depth[at]:
                continue
            self._depth[at], self._before[at] = depth, before
            heapq.heappush(self._next, (depth, at))
            for action, tried in enumerate(self.found[at]):
                todo += [(o.state, depth + 1, (at, action)) for o in tried if not o.terminated]

    def _shorten(self, state: int) -> None:
        """Take the shortest way to a state to which only truncated ones led."""
        if state not in self._late or not self.returns.replays:
            return
        actions, here = [], state
        while (before := self._before[here]) is not None:
            actions.append(before[1])
            here = before[0]
        way = self.starts[here]
        for action in reversed(actions):
            way = Way(way, None, action)  # without labels: where all is certain nobody asks what chance drew
        _, seen = self.returns.go(way)
        if seen is not None and seen.label == self.labels[state] and not seen.truncated:
            self._ways[state] = way
            self._late.discard(state)

    def _play(self) -> None:
        """Play episodes from the start until every pair was tried as often as wanted, or nothing more comes."""
        self._target = self._samples or self._target
        idle, tried, wanted = 0, 0, 1
        while tried < wanted and idle < _IDLE_EPISODES:
            way, seen = self._begin()
            self._walk(self._state(seen, way, self.simulator.env), self.simulator.env, way)
            before, tried = tried, sum(self._tries)
            wanted = self._target * self.n_pairs
            idle = 0 if tried > before else idle + 1
            self.tell("sampling", min(tried, wanted), wanted, "tries")
        for state in self._acting:
            for action in self.acts[state] or ():
                if not self.found[state][action]:
                    msg = f"{self.simulator.name}: in the state {self.labels[state]!r:.60}, which is seldom met,"
                    raise InvalidInput(f"{msg} the action {self.names[action]} was never tried; raise samples")
                if len(self.found[state][action]) > 1:
                    self.random.add((state, action))

    def _begin(self) -> tuple[Way, Seen]:
        """Begin a fresh episode."""
        rng = self.returns.rng
        seed = self.returns.fresh() if self._seeds is None else self._seeds[int(rng.integers(len(self._seeds)))]
        return self.returns.root(seed)

    def _fill(self, state: int) -> None:
        """Walk from a state until each of its actions has been tried as often as wanted."""
        acts = self.acts[state] or ()
        while self._tries[state] < self._target * len(acts):
            env = self._arrive(self._ways[state], state)
            self._walk(state, env, self._ways[state])
            self.returns.check_places()

    def check(self) -> None:
        """Walk at random, and compare with what was found: what a state hides may show far from where it began."""
        if not any(self._tries):
            raise InvalidInput(
                f"{self.simulator.name} allows no action in any state that episodes begin in; see to its action_mask, "
                f"or use action_mask=False"
            )
        budget = max(self.n_pairs, _LEAST_CHECKS)
        began, walks, rng = self.simulator.steps, 0, self.returns.rng
        while (taken := self.simulator.steps - began) < budget:
            self.tell("checking", min(taken, budget), budget, "steps")
            if walks % 2:
                state = self._acting[int(rng.integers(len(self._acting)))]
                way, env = self._ways[state], None
            else:
                way, seen = self._begin()
                state, env = self.index.get(seen.label, -1), self.simulator.env
                self.returns.keep(way, self.simulator.env)
            walks += 1
            if state < 0 or not self._tries[state]:
                continue
            # After a reset the environment itself goes on, no copy: what reset(seed) does not set differs then.
            env = self._arrive(way, state) if env is None else env
            seed: int | None = self.returns.reseed(env)
            for _ in range(min(_LONGEST_CHECK, budget - taken)):
                acts = self.acts[state] or ()
                action = acts[int(rng.integers(len(acts)))]
                seen = self.simulator.step(env, action)
                way = Way(way, seed, action, seen.label)
                seed = self.returns.mark(env)
                self._see_length(seen, way)
                known, to = self.found[state][action], self.index.get(seen.label)
                if to is None or _known(known, to, seen) is None:
                    self._differs(state, action, way, seen)
                    break  # the environment stands elsewhere now
                if seen.terminated or seen.truncated or not self._tries[to]:
                    break
                if seen.allowed is not None and seen.allowed != self.acts[to]:
                    both = self.acts[to] or (), seen.allowed
                    raise self._words.two_masks(seen.label, both, (self._ways[to], way))
                state = to

    def _arrive(self, way: Way, state: int, *, from_start: bool = False) -> Any:
        """Stand at the end of a way that leads to a state."""
        env, seen = self.returns.go(way, from_start=from_start)
        label = self.simulator.label_now(env) if seen is None else seen.label
        if label != self.labels[state] and not (label is None and seen is None):
            self.returns.blame_copies()
            told = self._words.way(way)
            raise InvalidInput(
                f"{self.simulator.name}: {told} led to the state {self.labels[state]!r:.60}, and when it was done "
                f"again to {label!r:.60}; let the environment draw from self.np_random alone, or give get_state= and "
                f"set_state="
            )
        return env

    def _walk(self, state: int, env: Any, way: Way) -> None:
        """Walk on for as long as tries are wanted where the walk comes."""
        step, target = self.simulator.step, self._target
        # To go on through states that lack nothing may be cheaper than to come back to one that does.
        patience = idle = min(way.length // 2, _PATIENCE) if self._sampling else 0
        if self._fresh:
            patience = idle = _LONGEST_CHECK
        seed: int | None = self.returns.reseed(env)
        for _ in range(_LONGEST_CHECK if self._sampling else _LONGEST_WALK):
            acts, tries = self.acts[state] or (), self._tries[state]
            wanted = tries < target * len(acts) and (self._cut is None or self._is_within(state))
            if not wanted and not (idle and acts):
                return
            action = acts[tries % len(acts)] if wanted else self._towards_lack(state, acts)
            seen = step(env, action)
            way = Way(way, seed, action, seen.label)
            seed = self.returns.mark(env)
            if seen.truncated or way.length > self._longest:
                self._see_length(seen, way)
            if wanted:
                idle = patience
                self._tries[state] = tries + 1
                to = self._state(seen, way, env)
                if not seen.terminated and self._depth[state] + 1 < self._depth[to]:
                    self._relax(to, self._depth[state] + 1, (state, action))
                if not self._note(state, action, to, seen, way):
                    return
            else:
                idle -= 1
                to = self.index.get(seen.label, -1)
            if seen.terminated or seen.truncated or to < 0:
                return
            state = to

    def _towards_lack(self, state: int, acts: tuple[int, ...]) -> int:
        """Choose an action that may lead to a state that lacks tries."""
        for action in acts:
            for outcome in self.found[state][action]:
                to = outcome.state
                if not outcome.terminated and self._tries[to] < self._target * len(self.acts[to] or ()):
                    return action
        return acts[int(self.returns.rng.integers(len(acts)))]

    def _note(self, state: int, action: int, to: int, seen: Seen, way: Way) -> bool:
        """Note the outcome of a try; False where the environment had to be moved elsewhere for it."""
        known = self.found[state][action]
        outcome = _known(known, to, seen)
        if outcome is not None:
            known[outcome] += 1
            return True
        news = bool(known) and (state, action) not in self.random and not self._fresh
        if not known:
            self._first[state][action] = way
        known[Outcome(to, seen.reward, seen.terminated)] = 1
        if news:
            self._differs(state, action, way, seen)
        return not news

    def _see_length(self, seen: Seen, way: Way) -> None:
        """Note the environment's own truncation, which must come after the same number of steps always."""
        if seen.terminated:
            return
        if seen.truncated:
            if self._cut is None or way.length < self._cut.length:
                self._cut = _Truncated(way.length, way)
        elif way.length > self._longest:
            self._longest = way.length
        if self._cut is not None and self._cut.length <= self._longest:
            raise InvalidInput(
                f"{self.simulator.name} truncates an episode after {self._cut.length} steps "
                f"({self._words.way(self._cut.way)}), but not another one of {self._longest}: what decides that is "
                f"hidden from the state; let it be part of it, by state=, or let the environment return terminated "
                f"where its rules end an episode"
            )

    @property
    def own_limit(self) -> int | None:
        """Steps after which the environment truncates by itself, as far as was seen."""
        return None if self._cut is None else self._cut.length

    def _differs(self, state: int, action: int, way: Way, seen: Seen) -> None:
        """Decide whether outcomes that differ are random, or come from something that the state hides."""
        first = self._first[state][action]
        if first is None or first.before is None or way.before is None:
            return
        ways = first.before, way.before
        both: tuple[set[Seen], set[Seen]] = (set(), set())
        for n in range(_TRIES_ON_BOTH_WAYS):
            for tried, at in zip(both, ways, strict=True):
                tried.add(self._again(at, state, action))
            alike = n >= _ENOUGH_ALIKE and both[0] == both[1]
            if len(both[0]) > 1 or len(both[1]) > 1 or alike:
                self.random.add((state, action))
                if self._samples is None:
                    raise InvalidInput(self._words.is_random(self.labels[state], action, both[0] | both[1] | {seen}))
                return
        for tried, at in zip(both, ways, strict=True):
            if self.returns.may_blame_copies and self._again(at, state, action, from_start=True) not in tried:
                self.returns.blame_copies()
        if self._drawn_before(min(ways, key=lambda some: some.length), action):
            if self._samples is None:
                raise InvalidInput(self._words.is_random(self.labels[state], action, both[0] | both[1]))
            raise DrawnBefore
        inside = []
        for at in ways:
            env, _ = self.returns.go(at)
            inside.append(dict(vars(getattr(env, "unwrapped", env))))
        outcomes = next(iter(both[0])), next(iter(both[1]))
        raise self._words.hides(self.labels[state], action, ways, outcomes, differences(*inside))

    def _again(self, way: Way, state: int, action: int, *, from_start: bool = False) -> Seen:
        """Give the outcome of an action after one way, with random streams set anew; masks do not count."""
        env = self._arrive(way, state, from_start=from_start)
        self.returns.reseed(env)
        return _bare(self.simulator.step(env, action))

    def _drawn_before(self, way: Way, action: int) -> bool:
        """Whether a way that looks just the same, but for chance, may lead to another outcome."""
        _, actions = way.actions()
        labels = way.labels()
        outcomes: set[Seen] = set()
        stop = time.monotonic() + _SECONDS_OF_REDRAWS
        for _ in range(_REDRAWS):
            _, begun = self._begin()
            env = self.simulator.env
            self.returns.reseed(env)
            if begun.label == labels[0] and all(
                self.simulator.step(env, act).label == label for act, label in zip(actions, labels[1:], strict=True)
            ):
                outcomes.add(_bare(self.simulator.step(env, action)))
                if len(outcomes) > 1:
                    return True
            if time.monotonic() > stop:
                break
        return False


def _known(known: dict[Outcome, int], to: int, seen: Seen) -> Outcome | None:
    """Find an outcome among those seen before; rewards may differ by rounding."""
    outcome: Any = (to, seen.reward, seen.terminated)  # equal to an Outcome, and cheaper
    if outcome in known:
        return outcome  # type: ignore[no-any-return]
    for other in known:
        alike = math.isclose(other.reward, seen.reward, rel_tol=_ROUNDING, abs_tol=_ROUNDING_AT_0)
        if other.state == to and other.terminated == seen.terminated and alike:
            return other
    return None


def _bare(seen: Seen) -> Seen:
    """Leave what a step showed without mask, truncation and the last digits of its reward."""
    return seen._replace(reward=float(f"{round(seen.reward, 12):.9g}"), truncated=False, allowed=None)

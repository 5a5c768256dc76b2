"""An MDP from a function that says what a step does: all states that can be reached are found and tabulated."""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

from qfast.arguments import shown, whole
from qfast.errors import Interrupted, InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.from_table import Found, check_sum, outcome_parts
from qfast.problems.naming import is_name
from qfast.progress import Work, WorkReporter, work_reporter

__all__ = ["from_step"]

# Chance shows within few calls; after so many only each sixteenth is made twice.
_ALL_TWICE: Final = 1_000
_THEN: Final = 16

_BETWEEN_REPORTS: Final = 0.1  # seconds

_LEAVE_OUT: Final = "where an action is impossible, let actions(state) leave it out"

_FORMS: Final = "(next state, reward, terminated), or a list of (probability, next state, reward, terminated)"


def from_step(
    step: Callable[[Any, Any], Any],
    start: Any,
    actions: Sequence[Hashable] | Callable[[Any], Iterable[Hashable]],
    *,
    max_states: int = 1_000_000,
    max_episode_steps: int | None = None,
    name: str | None = None,
    progress: bool | WorkReporter | None = None,
) -> MDP:
    """Make an MDP from a function: ``step(state, action)`` says what an action does in a state.

    All states that can be reached are found breadth-first from the start, and numbered in that order. The table is
    exact: it holds what `step` says, and nothing is sampled. The function stays here; only the table travels.

    Parameters
    ----------
    step : callable
        ``step(state, action)`` gives ``(next state, reward, terminated)``, or where there is chance a list of
        ``(probability, next state, reward, terminated)``. It must depend on nothing but its arguments, and change
        neither. Calls are made twice to check that (the first 1,000, then each sixteenth).
    start : state, dict of state to float, or list of states
        The state in which episodes begin, the probability of each, or several that are equally likely. States are
        anything hashable: numbers, texts, tuples, ….
    actions : sequence, or callable
        All actions, or a function of the state that gives those which are possible in it. A state without any is an
        end, which a step may only enter terminated.
    max_states : int, default 1,000,000
        More states than this are an error.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.
    name : str, optional
        What the problem is called.
    progress : bool or callable, optional
        As in `qfast.train`; a callable gets `qfast.progress.Work` events.

    Returns
    -------
    MDP
        Its `states` and `actions` are those of the functions. What files cannot keep becomes plain: members of an
        enumeration their names, data classes and sets tuples.

    Raises
    ------
    InvalidInput
        If `step` gives something else, or different answers to the same question; a state is not hashable; there are
        too many states; or the probabilities of a list do not sum to 1 within 1e-6.
    Interrupted
        On Ctrl-C.

    Examples
    --------
    >>> from qfast.problems import from_step
    >>> def step(floor, action):
    ...     floor = min(floor + 1, 3) if action == "up" else max(floor - 1, 0)
    ...     return floor, -1.0, floor == 3
    >>> mdp = from_step(step, 0, ["up", "down"])
    >>> mdp.states, mdp.actions, mdp.next_state[:, :, 0].tolist()
    ((0, 1, 2, 3), ('up', 'down'), [[1, 0], [2, 0], [3, 1], [3, 3]])
    """
    most = whole("max_states", max_states)
    if not callable(step):
        raise InvalidInput(f"step is {shown(step)}, not a function; give one of state and action that returns {_FORMS}")
    possible = _possible(actions)
    found = Found((), () if callable(actions) else possible(None))
    starts = _starts(start)
    try:
        with work_reporter(progress) as report:
            _explore(step, possible, starts, found, most, report)
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {len(found.state_of):,} states were found") from None
    if not found.action_of:
        begin = next(iter(starts), None)
        raise InvalidInput(f"no action is possible in {begin!r:.60}, where episodes begin; let actions give some")
    return found.mdp(None, starts, max_episode_steps=max_episode_steps, name=name)


def _explore(
    step: Callable[[Any, Any], Any],
    possible: Callable[[Any], Sequence[Hashable]],
    starts: Mapping[Hashable, float],
    found: Found,
    most: int,
    report: WorkReporter,
) -> None:
    """Find all states, breadth-first, and what their actions do."""
    for state in starts:
        found.state_of.setdefault(state, len(found.state_of))
    todo = deque(starts)
    planned = set(starts)
    calls, done = 0, 0
    began = told = time.monotonic()
    while todo:
        now = time.monotonic()
        if now - told > _BETWEEN_REPORTS:
            told = now
            report(Work("exploring", done, len(planned), "states", calls, now - began))
        done += 1
        state = todo.popleft()
        for action in possible(state):
            try:
                result = step(state, action)
                calls += 1
                outcomes = _outcomes(result, state, action)
                if calls <= _ALL_TWICE or calls % _THEN == 0:
                    _check_same(result, step(state, action), state, action)
            except InvalidInput:
                raise
            except Exception as error:
                error.add_note(f"in step({state!r:.60}, {action!r:.60}), which from_step called")
                raise
            for probability, entered, _, terminated in outcomes:
                if not terminated and entered not in planned and probability > 0:
                    planned.add(entered)
                    todo.append(entered)
            found.add(state, action, outcomes)
        if len(found.state_of) > most:
            raise InvalidInput(
                f"more than max_states={most:,} states can be reached, such as {state!r:.60}; "
                f"set max_states higher, or let step say less in its states"
            )
    report(Work("exploring", done, done, "states", calls, time.monotonic() - began))


def _possible(actions: Any) -> Callable[[Any], Sequence[Hashable]]:
    """Give a function of the state that lists its actions."""
    if callable(actions):

        def listed(state: Any) -> Sequence[Hashable]:
            return _names(actions(state), f"actions({state!r:.60})")

        return listed
    fixed = _names(actions, "actions")
    if not fixed:
        raise InvalidInput("actions is empty; give at least one action, or a function of the state")
    return lambda _: fixed


def _names(given: Any, what: str) -> Sequence[Hashable]:
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes)):
        raise InvalidInput(f"{what} is {shown(given)}; give a list of actions, or a function of the state that does")
    if isinstance(given, (set, frozenset)):
        raise InvalidInput(f"{what} is a set, which has no order; give a list")
    listed = list(given)
    for i, action in enumerate(listed):
        if not is_name(action):
            raise InvalidInput(f"{what} holds {action!r:.60}, which is not hashable; use a tuple")
        if action in listed[:i]:
            raise InvalidInput(f"{what} holds {action!r:.60} twice; actions must differ")
    return listed


def _starts(start: Any) -> dict[Hashable, float]:
    """Give the states in which episodes begin, and their probabilities."""
    if isinstance(start, Mapping):
        return {state: share for state, share in start.items() if share != 0}
    if isinstance(start, list):
        if not start:
            raise InvalidInput("start is an empty list; give at least one state")
        starts: dict[Hashable, float] = {}
        for state in start:
            _check_state(state, "start holds")
            starts[state] = starts.get(state, 0.0) + 1.0 / len(start)
        return starts
    _check_state(start, "start is")
    return {start: 1.0}


def _check_state(state: Any, what: str) -> None:
    if not is_name(state):
        raise InvalidInput(f"{what} {shown(state)}, {state!r:.60}, which is not hashable; use a tuple for a state")


def _check_same(first: Any, second: Any, state: Any, action: Any) -> None:
    """Refuse a function that answers the same question in two ways."""
    try:
        same = bool(first == second)
    except (TypeError, ValueError):  # arrays, which are refused for what they are
        return
    if not same:
        alike = ", or give your states __eq__ and __hash__" * (repr(first) == repr(second))
        raise InvalidInput(
            f"step({state!r:.60}, {action!r:.60}) gave {first!r:.80} and then {second!r:.80}; where there is chance "
            f"return a list of (probability, next state, reward, terminated), and keep nothing outside the state{alike}"
        )


def _outcomes(result: Any, state: Any, action: Any) -> list[tuple[float, Hashable, float, bool]]:
    """Read what a step gave."""
    if type(result) is tuple and len(result) == 3:
        entered, reward, terminated = result
        plain = type(reward) is float or (type(reward) is int and abs(reward) <= 2**53)
        if plain and type(terminated) is bool and reward - reward == 0 and is_name(entered):
            return [(1.0, entered, reward, terminated)]
        result = [(1.0, *result)]
    name = f"step({state!r:.60}, {action!r:.60})"
    if not isinstance(result, list) or not result:
        more = ""
        if isinstance(result, tuple) and len(result) in (4, 5):
            more = "; a step has neither truncation nor information here"
        raise InvalidInput(f"{name} gave {result!r:.80}; return {_FORMS}{more}")
    outcomes = []
    for k, outcome in enumerate(result):
        parts = outcome_parts(outcome, name if len(result) == 1 else f"{name}[{k}]", _LEAVE_OUT)
        if parts[0] == 0 and len(result) > 1:
            continue  # it cannot happen, and names no state
        _check_state(parts[1], f"{name} leads to")
        outcomes.append(parts)
    check_sum(name, outcomes)
    return outcomes

"""An MDP from a table ``P`` as Gymnasium's toy_text environments hold it, and as people write such tables."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from qfast.arguments import array_of, is_number, is_whole, shown
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.model.mdp_checks import SUM_TOLERANCE
from qfast.problems.from_matrices import finished
from qfast.problems.naming import is_name, known, label_for, start_of, terminal_marks
from qfast.problems.outcomes import Outcomes

__all__ = ["Found", "check_sum", "from_P", "in_order", "outcome_parts", "truth_value"]

_FOUR: Final = "(probability, next state, reward, terminated)"

_LEFT_OUT: Final = "leave an action that is impossible out of P, or give it an empty list"

# The probability, what comes next by name, reward and flag.
_Named = tuple[float, Hashable, float, bool]


class Found:
    """States and outcomes in the order in which they are found; states and actions get numbers as they come."""

    def __init__(self, states: Sequence[Hashable] = (), actions: Sequence[Hashable] = ()) -> None:
        """Begin with the states and actions whose order is fixed."""
        self.state_of: dict[Hashable, int] = {name: i for i, name in enumerate(states)}
        self.action_of: dict[Hashable, int] = {name: i for i, name in enumerate(actions)}
        self.rows: list[tuple[int, int, int]] = []  # state, action, number of outcomes
        self.probability: list[float] = []
        self.next_state: list[int] = []
        self.reward: list[float] = []
        self.terminated: list[bool] = []

    def add(self, state: Hashable, action: Hashable, outcomes: Sequence[tuple[float, Hashable, float, bool]]) -> None:
        """Add a row; states and actions that are new get the next numbers."""
        s = self.state_of.setdefault(state, len(self.state_of))
        a = self.action_of.setdefault(action, len(self.action_of))
        self.rows.append((s, a, len(outcomes)))
        for probability, entered, reward, terminated in outcomes:
            self.probability.append(probability)
            self.next_state.append(self.state_of.setdefault(entered, len(self.state_of)))
            self.reward.append(reward)
            self.terminated.append(terminated)

    def mdp(self, terminal: Any, start: Any, **options: Any) -> MDP:
        """Make the problem; `terminal` and `start` are in the user's names, the other options those of `qfast.MDP`."""
        n_states, n_actions = len(self.state_of), len(self.action_of)
        by_row = np.array(self.rows, dtype=np.int64).reshape(-1, 3)
        pair = by_row[:, 0] * n_actions + by_row[:, 1]
        outcomes = Outcomes.of(
            np.repeat(pair, by_row[:, 2]), self.probability, self.next_state, self.reward, self.terminated
        )
        possible = np.zeros((n_states, n_actions), dtype=np.bool_)
        possible.ravel()[pair] = True
        names = list(self.state_of)
        ends = terminal_marks(terminal, self.state_of, n_states)
        self._check_ends(outcomes, possible, ends, names)
        return finished(
            outcomes, possible, ends | ~possible.any(axis=1), start=start_of(start, self.state_of, n_states),
            states=list(map(label_for, names)), actions=list(map(label_for, self.action_of)), **options,
        )  # fmt: skip

    def _check_ends(self, outcomes: Outcomes, possible: Any, ends: Any, names: list[Hashable]) -> None:
        """Refuse outcomes that go on in a state without actions."""
        stuck = ~possible.any(axis=1) & ~ends
        into = stuck[outcomes.next_state] & ~outcomes.terminated & (outcomes.probability > 0)
        for k in np.flatnonzero(into)[:1]:
            s, a = divmod(int(outcomes.pair[k]), len(self.action_of))
            action, entered = list(self.action_of)[a], names[int(outcomes.next_state[k])]
            raise InvalidInput(
                f"state {names[s]!r:.40} and action {action!r:.40} lead to {entered!r:.40} with terminated=False, "
                f"but no action is possible there; set terminated=True, or give {entered!r:.40} actions"
            )


def from_P(  # noqa: N802 - P is the name of the table in Gymnasium
    P: Any,  # noqa: N803
    R: Any = None,  # noqa: N803
    *,
    start: Any = None,
    terminal: Any = None,
    max_episode_steps: int | None = None,
    state_names: Sequence[str] | None = None,
    action_names: Sequence[str] | None = None,
    layout: str | Sequence[str] | None = None,
    name: str | None = None,
) -> MDP:
    """Make an MDP from a table ``P[s][a] = [(probability, next state, reward, terminated), …]``.

    Outcomes that agree in next state, reward and flag are added up; where the outcomes of every row are equally
    likely, they are kept apart or repeated instead, so that all K outcomes have the probability 1/K (see
    `qfast.problems.outcomes`). Either way the distribution is the same.

    Parameters
    ----------
    P : dict or list (n_states) of dict or list (n_actions) of list of tuple
        The table. Keys name states and actions; lists number them from 0. Numbered states come in ascending order,
        others in the order of P. A row may be one single outcome. An action that is missing in a state, or has an
        empty list or None, is not allowed there; a state without any (``{}``, ``[]``, None) is terminal. The flag may
        be 0 or 1, the next state an integral float. What a terminated outcome enters need not be in P: a name that is
        not there becomes a terminal state; -1 and None stand for no state, and the outcome ends where it began.
        With `R`, a row is ``{next state: probability}``, or the probabilities of all states.
    R : dict, list or array_like, optional
        Rewards apart from the probabilities: ``R[s][a][s']``, ``R[s][a]`` or ``R[s]``. Those left out of dicts are 0.
        Entering a state without actions, or one of `terminal`, then ends the episode.
    start : state, dict of state to float, or array_like of float, shape (n_states,), optional
        The state in which episodes begin, or the probability of each, as Gymnasium's ``initial_state_distrib`` and the
        ``isd`` of gym hold it. By default the first state.
    terminal : state, sequence of states, or array of bool of shape (n_states,), optional
        States that end the episode on entering, whatever the flags say; their own rows are not read.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.
    state_names, action_names : sequence of str, optional
        Names for printing. By default those in P.
    layout, name : optional
        Map for printing, and what the problem is called; see `qfast.MDP`.

    Raises
    ------
    InvalidInput
        If an outcome is no tuple of four, one that is not terminated leads to a state that is not in P or has no
        action, or the probabilities of a row do not sum to 1 within 1e-6; and as `qfast.MDP` does.

    Examples
    --------
    >>> from qfast.problems import from_P
    >>> P = {0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
    >>> from_P(P).probability
    array([[[0.5, 0.5]],
    <BLANKLINE>
           [[0.5, 0.5]]])
    >>> from_P({"hall": {"wait": [(1.0, "hall", -1.0, False)], "go": [(1.0, "out", 0.0, True)]}}).states
    ('hall', 'out')
    """
    reader = _Reader(_levels(P), R)
    table, rows, extras = reader.table, reader.rows(), reader.extras
    found = Found(in_order([*table, *extras]), in_order(action for actions in table.values() for action in actions))
    for state, action, outcomes in rows:
        found.add(state, action, outcomes)
    states = list(found.state_of)
    if start is None:
        start = states[0]
    elif extras and not is_name(start) and not isinstance(start, Mapping):
        start = _spread_out(start, table, found.state_of)
    if extras and state_names is not None and len(state_names) == len(table):
        own = dict(zip(in_order(table), state_names, strict=True))
        state_names = [own.get(state, str(state)) for state in states]
    return found.mdp(
        terminal, start, max_episode_steps=max_episode_steps, state_names=state_names, action_names=action_names,
        layout=layout, name=name,
    )  # fmt: skip


def _level(value: object, name: str) -> Iterable[tuple[Hashable, Any]]:
    """Give keys and values of a dict, or numbers and values of a list; nothing for None."""
    if isinstance(value, Mapping):
        return value.items()
    if value is None and name != "P":
        return ()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and name == "P" and value.ndim in (2, 3):
        raise InvalidInput(f"P is an array of shape {value.shape}; use qfast.from_matrices(P, R)")
    is_array = isinstance(value, np.ndarray) and value.ndim > 0
    if is_array or (isinstance(value, Sequence) and not isinstance(value, (str, bytes))):
        return enumerate(value)  # type: ignore[arg-type]
    msg = f"{name} is {shown(value)}, not a dict or a list; give P[s][a] = [(p, next, reward, ended), …]"
    raise InvalidInput(msg)


def _levels(P: object) -> dict[Hashable, dict[Hashable, Any]]:  # noqa: N803
    """Give the rows by state and action; actions without outcomes are left out."""
    table: dict[Hashable, dict[Hashable, Any]] = {}
    for state, actions in _level(P, "P"):
        named = _level(actions, f"P[{state!r}]")
        table[state] = {action: row for action, row in named if row is not None and not _is_empty(row)}
    if not any(table.values()):
        raise InvalidInput("P has no action in any state; give P[s][a] = [(p, next, reward, ended), …]")
    return table


def _is_empty(row: Any) -> bool:
    return hasattr(row, "__len__") and len(row) == 0


def in_order(names: Iterable[Hashable]) -> list[Hashable]:
    """Give each name once: numbers in ascending order if all are numbers, else as they come."""
    once = list(dict.fromkeys(names))
    return sorted(once) if all(is_whole(name) for name in once) else once  # type: ignore[type-var]


def _spread_out(start: Any, table: Mapping[Hashable, Any], index: Mapping[Hashable, int]) -> Any:
    """Give the states that are not in P the probability 0, where `start` has one for each of those that are."""
    given = array_of("start", start, "iuf", "give a state, or a probability for each")
    if given.shape != (len(table),):
        return start
    full = np.zeros(len(index))
    full[[index[state] for state in in_order(table)]] = given
    return full


class _Reader:
    """Reads the rows of a table, by name; `extras` are the states that are entered but not in it."""

    def __init__(self, table: dict[Hashable, dict[Hashable, Any]], rewards: Any) -> None:
        self.table = table
        self.rewards = rewards
        self.extras: dict[Hashable, None] = {}
        self._states = in_order(table)
        self._place = {state: i for i, state in enumerate(self._states)}
        self._actions = {a: i for i, a in enumerate(in_order(a for actions in table.values() for a in actions))}
        if rewards is not None:
            self._check_keys()

    def rows(self) -> list[tuple[Hashable, Hashable, list[_Named]]]:
        """Read all rows, each checked."""
        read = self._outcomes if self.rewards is None else self._shares
        found = []
        for state, actions in self.table.items():
            for action, row in actions.items():
                name = f"P[{state!r}][{action!r}]"
                outcomes = read(state, action, row, name)
                check_sum(name, outcomes)
                found.append((state, action, outcomes))
        return found

    def _outcomes(self, state: Hashable, _action: Hashable, row: Any, name: str) -> list[_Named]:
        """Read a row of outcomes, or one that is a single outcome."""
        if isinstance(row, Mapping):
            raise InvalidInput(f"{name} is a dict, as {{next state: probability}}; give the rewards too: from_P(P, R)")
        if not isinstance(row, (Sequence, np.ndarray)) or isinstance(row, (str, bytes)):
            raise InvalidInput(f"{name} is {shown(row)}, not a list of {_FOUR}")
        if len(row) == 4 and is_number(row[0]):
            row = [row]
        outcomes = []
        for k, outcome in enumerate(row):
            probability, entered, reward, terminated = outcome_parts(outcome, f"{name}[{k}]")
            if probability == 0 and len(row) > 1:
                continue  # it cannot happen, and names no state
            named = self._entered(entered, state, terminated, f"{name}[{k}]")
            outcomes.append((probability, named, reward, terminated))
        return outcomes

    def _entered(self, entered: Any, state: Hashable, terminated: bool, name: str) -> Hashable:
        """Name the state that is entered; without one, a terminated outcome ends where it began."""
        if is_name(entered) and entered in self.table:
            return entered  # type: ignore[no-any-return]
        if not terminated:
            raise InvalidInput(
                f"{name} leads to {entered!r:.60}, which is no state of P, with terminated=False; "
                f"give P that state (states are {known(self._states)}), or set terminated=True"
            )
        if entered is None or (is_number(entered) and entered == -1):
            return state
        if not is_name(entered):
            raise InvalidInput(f"{name} leads to {entered!r:.60}, which is not hashable; use a tuple")
        self.extras[entered] = None
        return entered  # type: ignore[no-any-return]

    def _shares(self, state: Hashable, action: Hashable, row: Any, name: str) -> list[_Named]:
        """Read a row of probabilities of next states, and their rewards."""
        if isinstance(row, Mapping):
            shares = list(row.items())
        else:
            if any(isinstance(part, (tuple, list)) for part in row):
                raise InvalidInput(f"{name} holds outcomes, which have their rewards with them; leave R out")
            values = array_of(name, row)
            if values.shape != (len(self.table),):
                n = len(self.table)
                msg = f"{name} has shape {values.shape}; with R give {{next state: probability}}, or all {n} of them"
                raise InvalidInput(msg)
            shares = list(zip(self._states, values.tolist(), strict=True))
        outcomes = []
        for entered, share in shares:
            probability = _checked(f"{name}[{entered!r}]", "probability", share)
            if probability > 0:
                if entered not in self.table:
                    msg = f"{name} leads to {entered!r:.60}, which is no state of P (they are {known(self._states)})"
                    raise InvalidInput(f"{msg}; give P that state, with {{}} if it is terminal")
                outcomes.append((probability, entered, self._reward(state, action, entered), not self.table[entered]))
        return outcomes

    def _reward(self, state: Hashable, action: Hashable, entered: Hashable) -> float:
        """Look a reward up: as many levels as there are; what a dict leaves out is 0."""
        value = self.rewards
        for key, places in ((state, self._place), (action, self._actions), (entered, self._place)):
            if isinstance(value, Mapping):
                value = value.get(key, 0.0)
            elif not is_number(value):
                try:
                    value = value[places[key]]
                except (TypeError, IndexError, KeyError) as error:
                    msg = f"R has nothing for {state!r:.40}, {action!r:.40}, {entered!r:.40}; give R[s][a][s'] or less"
                    raise InvalidInput(msg) from error
        return _checked(f"R of {state!r:.40}, {action!r:.40}, {entered!r:.40}", "the reward", value)

    def _check_keys(self) -> None:
        """Refuse rewards of states and actions that P does not have."""
        for state, by_action in self.rewards.items() if isinstance(self.rewards, Mapping) else ():
            if state not in self.table:
                msg = f"R names the state {state!r:.60}, which P does not have; it has {known(self.table)}"
                raise InvalidInput(msg)
            for action in by_action if isinstance(by_action, Mapping) else ():
                if action not in self._actions:
                    msg = f"R[{state!r:.40}] names {action!r:.60}, which is no action; P has {known(self._actions)}"
                    raise InvalidInput(msg)
                for entered in by_action[action] if isinstance(by_action[action], Mapping) else ():
                    if entered not in self.table:
                        where = f"R[{state!r:.40}][{action!r:.40}]"
                        msg = f"{where} names {entered!r:.60}, which is no state of P; it has {known(self.table)}"
                        raise InvalidInput(msg)


def check_sum(name: str, outcomes: Sequence[tuple[float, Any, float, bool]]) -> None:
    """Refuse probabilities of a row that do not sum to 1."""
    total = math.fsum(outcome[0] for outcome in outcomes)
    if abs(total - 1.0) > SUM_TOLERANCE:
        msg = f"the probabilities of {name} sum to {total:.9g}, not 1; add the missing outcome or divide by the sum"
        raise InvalidInput(msg)


def outcome_parts(outcome: Any, name: str, impossible: str = _LEFT_OUT) -> tuple[float, Any, float, bool]:
    """Check one outcome but for the state that it enters; nothing is rounded."""
    is_row = isinstance(outcome, Sequence) or (isinstance(outcome, np.ndarray) and outcome.ndim == 1)
    if not is_row or len(outcome) != 4:
        raise InvalidInput(f"{name}={outcome!r:.60} is no {_FOUR}; give these four")
    probability, entered, reward, terminated = outcome
    if isinstance(entered, (float, np.floating)) and float(entered).is_integer():
        entered = int(entered)
    return (
        _checked(name, "probability", probability), entered, _checked(name, "reward", reward, impossible),
        truth_value(terminated, name),
    )  # fmt: skip


def truth_value(terminated: Any, name: str) -> bool:
    """Take True and False, also as 0 and 1."""
    if isinstance(terminated, (bool, np.bool_)) or (is_number(terminated) and terminated in (0, 1)):
        return bool(terminated)
    msg = f"{name} has terminated={terminated!r:.60}; give True where the outcome ends the episode, else False"
    raise InvalidInput(msg)


def _checked(name: str, what: str, value: Any, impossible: str = _LEFT_OUT) -> float:
    """Check a probability or a reward."""
    if not is_number(value):
        raise InvalidInput(f"{name} has {what}={value!r:.60}; give a number")
    beyond = isinstance(value, int) and abs(value) > 10**308  # float64
    if beyond or not math.isfinite(value) or (what == "probability" and value < 0):
        rule = "at least 0" if what == "probability" else "finite"
        if what != "probability" and value < 0:
            rule += f"; {impossible}"
        raise InvalidInput(f"{name} has {what}={value!s:.60}; it must be {rule}")
    return float(value)

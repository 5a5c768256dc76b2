"""An MDP from a table ``P`` as Gymnasium's toy_text environments hold it."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from qfast.arguments import is_number, is_whole
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.model.mdp_checks import SUM_TOLERANCE
from qfast.problems.outcomes import Outcome, tables_of_rows

__all__ = ["GymTable", "from_P"]

_Row: TypeAlias = Sequence[Sequence[object]]
GymTable: TypeAlias = Mapping[int, Mapping[int, _Row] | Sequence[_Row]] | Sequence[Mapping[int, _Row] | Sequence[_Row]]
"""``P[s][a]`` is a list of ``(probability, next state, reward, terminated)``; both levels dicts or lists."""


def from_P(  # noqa: N802 - P is the name of the table in Gymnasium
    P: GymTable,  # noqa: N803
    *,
    start: ArrayLike = 0,
    max_episode_steps: int | None = None,
    state_names: Sequence[str] | None = None,
    action_names: Sequence[str] | None = None,
    layout: str | Sequence[str] | None = None,
) -> MDP:
    """Make an MDP from a table ``P[s][a] = [(probability, next state, reward, terminated), …]``.

    Outcomes that agree in next state, reward and flag are added up; where the outcomes of every row are equally
    likely, they are kept apart or repeated instead, so that all K outcomes have the probability 1/K (see
    `qfast.problems.outcomes`). Either way the distribution is the same.

    Parameters
    ----------
    P : dict or list (n_states) of dict or list (n_actions) of list of tuple
        The table. States and actions are numbered from 0. An action that is missing in a state, or has an empty
        list, is not allowed there.
    start : int or array_like of float, shape (n_states,), default 0
        The state in which episodes begin, or the probability of each.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.
    state_names, action_names : sequence of str, optional
        Names for printing.
    layout : str or sequence of str, optional
        Map for printing; see `qfast.MDP`.

    Raises
    ------
    InvalidInput
        If keys have gaps, an outcome is no tuple of four, a next state is no integer or out of range, or the
        probabilities of a row do not sum to 1 within 1e-6; and as `qfast.MDP` does.

    Examples
    --------
    >>> from qfast.problems import from_P
    >>> P = {0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
    >>> mdp = from_P(P)
    >>> mdp.probability
    array([[[0.5, 0.5]],
    <BLANKLINE>
           [[0.5, 0.5]]])
    """
    by_state = _level(P, "P")
    n_states = len(by_state)
    by_action = [_level(actions, f"P[{s}]", gaps=True) for s, actions in enumerate(by_state)]
    n_actions = max(len(actions) for actions in by_action)
    rows: list[list[list[Outcome]]] = []
    allowed = np.ones((n_states, n_actions), dtype=np.bool_)
    for s, actions in enumerate(by_action):
        rows.append([])
        for a in range(n_actions):
            row = actions[a] if a < len(actions) else None
            outcomes = _outcomes(row, f"P[{s}][{a}]", n_states) if row is not None else []
            if not outcomes:
                allowed[s, a] = False
                outcomes = [(1.0, s, 0.0, True)]  # never read, but a table has no holes
            rows[-1].append(outcomes)
    return tables_of_rows(rows).mdp(
        start=start,
        max_episode_steps=max_episode_steps,
        allowed=allowed,
        state_names=state_names,
        action_names=action_names,
        layout=layout,
    )


def _level(value: object, name: str, *, gaps: bool = False) -> list[object]:
    """Give a dict with keys 0, 1, … or a list as a list; absent keys become None where gaps are allowed."""
    if isinstance(value, Mapping):
        keys = list(value)
        if not keys or not all(is_whole(k) and k >= 0 for k in keys):
            raise InvalidInput(f"{name} has the keys {keys[:5]}; number states and actions from 0")
        length = int(max(keys)) + 1
        if not gaps and length != len(keys):
            absent = next(k for k in range(length) if k not in value)
            msg = f"{name} has no entry {absent} but one for {length - 1}; give every state, also terminal ones"
            raise InvalidInput(msg)
        return [value.get(k) for k in range(length)]
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value) > 0:
        return list(value)
    msg = f"{name} is {type(value).__name__}, not a filled dict or list; give P[s][a] = [(p, next, reward, ended), …]"
    raise InvalidInput(msg)


def _outcomes(row: object, name: str, n_states: int) -> list[Outcome]:
    """Check one row of outcomes."""
    if not isinstance(row, Sequence):
        msg = f"{name} is {type(row).__name__}, not a list of (probability, next state, reward, terminated)"
        raise InvalidInput(msg)
    outcomes: list[Outcome] = []
    for k, outcome in enumerate(row):
        if not isinstance(outcome, Sequence) or len(outcome) != 4:
            msg = f"{name}[{k}]={outcome!r} is no (probability, next state, reward, terminated); give these four"
            raise InvalidInput(msg)
        outcomes.append(_outcome(outcome, f"{name}[{k}]", n_states))
    total = math.fsum(outcome[0] for outcome in outcomes)
    if outcomes and abs(total - 1.0) > SUM_TOLERANCE:
        msg = f"the probabilities of {name} sum to {total:.9g}, not 1; add the missing outcome or divide by the sum"
        raise InvalidInput(msg)
    return outcomes


def _outcome(outcome: Sequence[object], name: str, n_states: int) -> Outcome:
    """Check one outcome, without rounding anything."""
    probability, next_state, reward, terminated = outcome
    if not is_whole(next_state):
        raise InvalidInput(f"{name} has the next state {next_state!r}; states are integers")
    if not 0 <= next_state < n_states:
        msg = f"{name} has the next state {next_state}, outside [0, {n_states - 1}]; give P an entry for every state"
        raise InvalidInput(msg)
    if not isinstance(terminated, (bool, np.bool_)):
        msg = f"{name} has terminated={terminated!r}; give True where the outcome ends the episode, else False"
        raise InvalidInput(msg)
    numbers = []
    for what, value in (("probability", probability), ("reward", reward)):
        if not is_number(value):
            raise InvalidInput(f"{name} has {what}={value!r:.60}; give a number")
        if not math.isfinite(value) or (what == "probability" and value < 0):
            rule = "at least 0" if what == "probability" else "finite"
            if what == "reward" and value < 0:
                rule += "; leave an action that is impossible out of P, or give it an empty list"
            raise InvalidInput(f"{name} has {what}={value}; it must be {rule}")
        numbers.append(float(value))
    return numbers[0], int(next_state), numbers[1], bool(terminated)

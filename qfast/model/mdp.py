"""The problem to learn: a finite Markov decision process made of lookup tables.

For a state ``s`` and an action ``a`` there are K outcomes; outcome ``k`` comes with probability
``probability[s, a, k]``, gives ``reward[s, a, k]``, leads to ``next_state[s, a, k]``, and ends the episode where
``terminated[s, a, k]``. In the notation of Sutton & Barto (2018), section 3.1::

    p(s', r | s, a) = sum of probability[s, a, k] over the k with next_state[s, a, k] = s' and reward[s, a, k] = r

``terminated`` belongs to the outcome, not to the state that it enters: nothing is bootstrapped beyond such an
outcome. An episode that only reaches ``max_episode_steps`` is truncated, and bootstraps as usual.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import shown
from qfast.errors import InvalidInput
from qfast.model import mdp_checks
from qfast.model.labels import Label, checked_labels, checked_title, label_of, names_of
from qfast.model.mdp_files import LATER, OPTIONS, TABLES, Saved
from qfast.model.mdp_text import described
from qfast.model.reachability import Edges, reach, terminal_starts

if TYPE_CHECKING:
    from qfast.exact.sampling import SamplingError

__all__ = ["MDP", "check_mdp"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class MDP(Saved):
    """A finite Markov decision process: a frozen, validated value made of lookup tables.

    Tables are copied, checked and made read-only. Nothing is rounded or renormalised. Two MDPs are equal when
    everything in them is, labels, names of states and layout included, and only their `name` left aside; they can be
    dictionary keys, be pickled and be saved.

    Parameters
    ----------
    next_state : array_like of int, shape (S, A) or (S, A, K)
        The state that each outcome leads to, in [0, S).
    reward : array_like of float, shape (S, A) or (S, A, K)
        Reward of each outcome, finite.
    terminated : array_like of bool, shape (S, A) or (S, A, K)
        True where the outcome ends the episode.
    probability : array_like of float, shape (S, A, K), optional
        Probability of each outcome, at least 0; each row sums to 1 within 1e-6 and is kept as given. Outcomes with
        probability 0 are padding. By default all K outcomes are equally likely.
    start : int or array_like of float, shape (S,), default 0
        The state in which episodes begin, or the probability of beginning in each.
    max_episode_steps : int, optional
        Steps after which an episode is truncated, at least 1. By default there is no limit.
    allowed : array_like of bool, shape (S, A), optional
        True where an action may be taken. By default every action may.
    state_names, action_names : sequence of str, optional
        Unique names for printing, one each. By default the labels as text (`states`, `actions`), long ones cut and
        those that would look alike in quotation marks; without labels "0", "1", ….
    layout : str or sequence of str, optional
        A map for printing: rows of equal length, one character a cell. The cells other than walls (``#``) are the
        states 0, 1, … in reading order.
    states, actions : sequence, optional
        Unique labels: what you call the states and actions yourself, in the order of the tables. A label is a text,
        a number, a bool, None, or a tuple of labels; NumPy's scalars become Python's, and lists and arrays tuples.
        Labels are kept in files. By default 0, 1, ….
    name : str, optional
        A short title of the problem, which does not count for equality.
    counts : array_like of int, shape (S, A), optional
        The number of samples that the probabilities of a pair of state and action come from; 0 where they are exact.
        By default all are.

    Attributes
    ----------
    next_state, reward, terminated, probability : ndarray of int64, float64, bool and float64, shape (S, A, K)
    start : ndarray of float64, shape (S,)
    allowed : ndarray of bool, shape (S, A), or None
        None where every action is allowed.
    max_episode_steps, state_names, action_names, layout, name
        As given, the middle three as tuples of str.
    states, actions : tuple
        The labels; numbers where none were given.
    counts : ndarray of int64, shape (S, A), or None
        None where every probability is exact.

    Raises
    ------
    InvalidInput
        For a wrong shape or dtype; a next state or start out of range; a reward that is not finite; probabilities
        that do not sum to 1; a terminal start; a reachable state without an allowed action; a limit below 1; names
        or labels that are too few or not unique; a label that files cannot keep; a layout with another number of
        cells.

    Notes
    -----
    A start counts as terminal when every outcome of every allowed action there is a terminated transition to itself
    and it either pays nothing or is entered by a terminated outcome from elsewhere: a bandit is a valid problem.

    Examples
    --------
    Two states in a row and an end; action 1 moves on and pays 1 at the end.

    >>> from qfast.model.mdp import MDP
    >>> mdp = MDP(
    ...     next_state=[[0, 1], [0, 2], [2, 2]],
    ...     reward=[[0, 0], [0, 1], [0, 0]],
    ...     terminated=[[False, False], [False, True], [True, True]],
    ... )
    >>> mdp
    MDP with 3 states, 2 actions, 1 outcome each (deterministic)
      start     state 0
      states    2 to act in, 1 terminal
      rewards   0 to 1
      limit     none
      actions   0, 1
    """

    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    probability: NDArray[np.float64]
    start: NDArray[np.float64]
    max_episode_steps: int | None
    allowed: NDArray[np.bool_] | None
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    layout: tuple[str, ...] | None
    name: str | None
    counts: NDArray[np.int64] | None
    _states: tuple[Label, ...] | None
    _actions: tuple[Label, ...] | None

    def __init__(
        self,
        next_state: ArrayLike,
        reward: ArrayLike,
        *,
        terminated: ArrayLike,
        probability: ArrayLike | None = None,
        start: ArrayLike = 0,
        max_episode_steps: int | None = None,
        allowed: ArrayLike | None = None,
        state_names: Sequence[str] | None = None,
        action_names: Sequence[str] | None = None,
        layout: str | Sequence[str] | None = None,
        states: Iterable[Any] | None = None,
        actions: Iterable[Any] | None = None,
        name: str | None = None,
        counts: ArrayLike | None = None,
    ) -> None:
        """Check and freeze the tables; see the class."""
        tables = mdp_checks.outcome_tables(next_state, reward, terminated, probability)
        n_states, n_actions, _ = tables[0].shape
        labels = checked_labels("states", states, n_states), checked_labels("actions", actions, n_actions)
        if state_names is None and labels[0] is not None:
            state_names = names_of(labels[0])
        if action_names is None and labels[1] is not None:
            action_names = names_of(labels[1])
        self.__setstate__(
            {
                **dict(zip(TABLES, tables, strict=False)),
                "start": mdp_checks.start_distribution(start, n_states),
                "max_episode_steps": mdp_checks.episode_limit(max_episode_steps),
                "allowed": mdp_checks.action_mask(allowed, (n_states, n_actions)),
                "state_names": mdp_checks.checked_names("state_names", state_names, n_states),
                "action_names": mdp_checks.checked_names("action_names", action_names, n_actions),
                "layout": mdp_checks.layout_rows(layout, n_states),
                "states": labels[0],
                "actions": labels[1],
                "name": checked_title(name),
                "counts": mdp_checks.sample_counts(counts, (n_states, n_actions)),
            }
        )
        self._check_start()
        self._check_actions()

    def __getstate__(self) -> dict[str, Any]:
        """Give the fields alone, so that pickles carry nothing that can be computed again."""
        fields = {name: getattr(self, name) for name in (*TABLES, *OPTIONS, "name", "counts")}
        return fields | {"states": self._states, "actions": self._actions}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the fields and make the arrays read-only, which a pickle of an array does not remember."""
        for name, value in {**dict.fromkeys(LATER), **state}.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, f"_{name}" if name in ("states", "actions") else name, value)

    @property
    def n_states(self) -> int:
        """Number of states S, terminal and unreachable ones included."""
        return int(self.next_state.shape[0])

    @property
    def n_actions(self) -> int:
        """Number of actions A."""
        return int(self.next_state.shape[1])

    @property
    def n_outcomes(self) -> int:
        """Number of outcomes K of each state and action, padding included."""
        return int(self.next_state.shape[2])

    @property
    def is_deterministic(self) -> bool:
        """Whether there is one outcome for each state and action (K = 1); the start may still be random."""
        return self.n_outcomes == 1

    @cached_property
    def states(self) -> tuple[Any, ...]:
        """What the user calls the states, in the order of the tables; their numbers where no labels were given."""
        return tuple(range(self.n_states)) if self._states is None else self._states

    @cached_property
    def actions(self) -> tuple[Any, ...]:
        """What the user calls the actions, in the order of the tables; their numbers where no labels were given."""
        return tuple(range(self.n_actions)) if self._actions is None else self._actions

    @cached_property
    def _number_of(self) -> dict[Label, int]:
        return {label: number for number, label in enumerate(self.states)}

    def index(self, state: Any) -> int:
        """Give the number of a state, its row in every table, by its label.

        Parameters
        ----------
        state : label
            One of `states`; lists and arrays count as tuples, and NumPy's scalars as Python's.

        Returns
        -------
        int
            In [0, S).

        Raises
        ------
        InvalidInput
            If no state is called so.

        Examples
        --------
        >>> mdp = MDP([[1], [1]], [[1.0], [0.0]], terminated=[[True], [True]], states=[(0, 0), (0, 1)])
        >>> mdp.states, mdp.state_names, mdp.index((0, 1))
        (((0, 0), (0, 1)), ('(0, 0)', '(0, 1)'), 1)
        """
        label = label_of(state, "the state")
        if label not in self._number_of:
            first = ", ".join(map(repr, self.states[:3])) + (", …" if self.n_states > 3 else "")
            raise InvalidInput(f"{label!r:.60} is none of the {self.n_states:,} states ({first:.120}); see mdp.states")
        return self._number_of[label]

    @property
    def start_state(self) -> int | None:
        """The state in which every episode begins, or None where there are several."""
        states = np.flatnonzero(self.start)
        return int(states[0]) if states.size == 1 else None

    @cached_property
    def decision_states(self) -> NDArray[np.bool_]:
        """The states in which an agent can act, shape (S,), read-only.

        These are the starts and what can be reached from them by possible outcomes that do not end the episode.
        """
        going_on = self._possible & ~self.terminated
        return _read_only(reach(Edges.of(self.next_state, going_on), self.start > 0))

    @cached_property
    def terminal_states(self) -> NDArray[np.bool_]:
        """The states that episodes end in, shape (S,), read-only.

        These are entered by a terminated outcome from a decision state and are no decision states themselves.
        """
        ends = self._possible & self.terminated & self.decision_states[:, None, None]
        marks = np.zeros(self.n_states, dtype=np.bool_)
        marks[self.next_state[ends]] = True
        return _read_only(marks & ~self.decision_states)

    @property
    def _possible(self) -> NDArray[np.bool_]:
        """Outcomes of positive probability of allowed actions, shape (S, A, K), bool."""
        possible = self.probability > 0
        return possible if self.allowed is None else possible & self.allowed[:, :, None]

    def _name(self, state: int) -> str:
        """Give the number of a state and, where it says more, its name."""
        name = self.state_names[state]
        return str(state) if name == str(state) else f"{state} ({name})"

    def _check_start(self) -> None:
        terminal = terminal_starts(self.next_state, self.reward, self.terminated, self._possible)
        wrong = np.flatnonzero(terminal & (self.start > 0))
        if wrong.size == 0:
            return
        ends = "every outcome there ends the episode in the same state"
        if self.start_state is not None:
            raise InvalidInput(
                f"start={wrong[0]} is a terminal state ({ends}); start in a state from which an action leads elsewhere"
            )
        listed = ", ".join(map(self._name, wrong[:5].tolist())) + (", …" if wrong.size > 5 else "")
        raise InvalidInput(
            f"start gives {self.start[wrong].sum():.6g} to terminal states ({listed}: {ends}), where an episode would "
            f"be over before an action counts; set start to 0 there and divide it by its sum"
        )

    def _check_actions(self) -> None:
        if self.allowed is None:
            return
        for state in np.flatnonzero(self.decision_states & ~self.allowed.any(axis=1))[:1]:
            raise InvalidInput(
                f"state {self._name(state)} can be reached but allows no action; "
                f"allow one, or mark the outcomes that lead there as terminated"
            )

    def check_ends(self) -> None:
        """Make sure that no episode can run forever.

        With a limit every episode ends. Without one, some terminated outcome must be reachable from every state in
        which an agent can act, so that random behaviour over the allowed actions ends the episode with
        probability 1.

        Raises
        ------
        InvalidInput
            If there is no limit and no way to an end from a state, which the message names.

        Examples
        --------
        >>> MDP([[0]], [[1.0]], terminated=[[False]]).check_ends()
        Traceback (most recent call last):
            ...
        qfast.errors.InvalidInput: from state 0 no outcome that ends the episode can be reached and ...
        """
        if self.max_episode_steps is not None:
            return
        ending: NDArray[np.bool_] = np.any(self._possible & self.terminated, axis=(1, 2))
        back = Edges.of(self.next_state, self._possible & ~self.terminated, backwards=True)
        endless = self.decision_states & ~reach(back, ending)
        for state in np.flatnonzero(endless)[:1]:
            others = int(endless.sum()) - 1
            also = f" (and {others} more)" if others else ""
            raise InvalidInput(
                f"from state {self._name(state)}{also} no outcome that ends the episode can be "
                f"reached and there is no limit, so an episode would never end; "
                f"set max_episode_steps, for example with_limit(200)"
            )

    def with_limit(self, max_episode_steps: int | None) -> "MDP":
        """Give the same problem, with the same tables, and another episode limit.

        Parameters
        ----------
        max_episode_steps : int or None
            Steps after which an episode is truncated, at least 1; None for no limit.

        Returns
        -------
        MDP

        Examples
        --------
        >>> MDP([[0]], [[1.0]], terminated=[[True]]).with_limit(7).max_episode_steps
        7
        """
        return self._with(max_episode_steps=mdp_checks.episode_limit(max_episode_steps))

    def with_name(self, name: str | None) -> "MDP":
        """Give the same problem another name; None for none.

        Parameters
        ----------
        name : str or None
            A short text on one line, which repr, tables and `qfast show` print.

        Returns
        -------
        MDP
            Equal to this one: the name makes no difference.

        Examples
        --------
        >>> MDP([[0]], [[1.0]], terminated=[[True]]).with_name("coin").name
        'coin'
        """
        return self._with(name=checked_title(name))

    def _with(self, **changes: Any) -> "MDP":
        """Give a copy with some fields, already checked, changed."""
        changed = object.__new__(type(self))
        changed.__setstate__(self.__getstate__() | changes)
        return changed

    def sampling_error(self, gamma: float, policy: ArrayLike | None = None) -> "SamplingError":
        """Estimate how wrong a value may be since probabilities come from samples; see `qfast.exact.sampling_error`."""
        from qfast.exact.sampling import sampling_error

        return sampling_error(self, gamma, policy)

    def to_P(self, *, labels: bool = False) -> dict[Any, dict[Any, list[tuple[float, Any, float, bool]]]]:  # noqa: N802
        """Give Gymnasium's table ``P[s][a]``, by numbers or by your labels; see `qfast.problems.to_P`."""
        from qfast.problems.files.writers import to_P

        return to_P(self, labels=labels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the MDP but its `name`, 64 hexadecimal digits; the same on every machine."""
        total = hashlib.sha256()
        fields = self.__getstate__()
        # A title changes nothing; and without labels and counts the digest is that of files which know of none.
        later = {name: value for name in LATER if (value := fields.pop(name)) is not None and name != "name"}
        for name in (*TABLES, "allowed", *(["counts"] if "counts" in later else [])):
            table = later.pop(name) if name in later else fields.pop(name)
            if table is None:
                total.update(f"{name} none;".encode())
                continue
            portable = np.ascontiguousarray(table, dtype=table.dtype.newbyteorder("<"))
            total.update(f"{name} {portable.dtype.str} {portable.shape};".encode())
            total.update(portable.data)
        total.update(json.dumps(fields | later, sort_keys=True).encode())
        return total.hexdigest()

    def __eq__(self, other: object) -> bool:
        """Compare everything but the name, by digest."""
        return self.digest == other.digest if isinstance(other, MDP) else NotImplemented

    def __hash__(self) -> int:
        """Hash by digest."""
        return int(self.digest[:15], 16)

    def __repr__(self) -> str:
        """Describe the problem on one screen."""
        return described(self)


# Python 3.11 computes a cached property under a lock of the class; the thread that holds it does not come along to a
# forked child, which would wait for ever.
for _property in vars(MDP).values():
    if isinstance(_property, cached_property) and hasattr(_property, "lock") and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_property.lock._at_fork_reinit)


def check_mdp(mdp: Any, name: str = "mdp") -> MDP:
    """Refuse anything but an MDP, with what makes one out of what was given."""
    if isinstance(mdp, MDP):
        return mdp
    fix = "use qfast.corridor(), qfast.grid(…), qfast.from_gymnasium(…) or qfast.MDP(…)"
    if isinstance(mdp, (str, os.PathLike)):
        text = str(os.fspath(mdp))
        is_id = re.fullmatch(r".*-v\d+", text)
        call = "MDP.load" if text.endswith(".npz") else "from_gymnasium" if is_id else "problems.resolve"
        fix = f"use qfast.{call}({text!r:.60})"
    elif hasattr(mdp, "unwrapped") and hasattr(mdp, "step"):
        fix = "use qfast.from_gymnasium(env), which reads its table, or qfast.from_env(env), which needs none"
    elif isinstance(getattr(mdp, "mdp", None), MDP):
        fix = "use its .mdp"
    elif isinstance(mdp, (dict, list)):
        fix = "use qfast.from_P(P) for a table P[s][a], or qfast.MDP(next_state, reward, terminated=…)"
    raise InvalidInput(f"{name} is {shown(mdp)}, not an MDP; {fix}")


def _read_only(marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    marks.setflags(write=False)
    return marks

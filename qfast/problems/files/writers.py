"""MDPs as others read them: Gymnasium's table P, and Storm's explicit format.

Source of the second: the page "DRN input format" of Storm's documentation (stormchecker.org).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from qfast.arguments import flag, path_of
from qfast.errors import LeftOutWarning, warn_caller
from qfast.model.mdp import MDP, check_mdp
from qfast.storage.archive import replacing
from qfast.text import printable

__all__ = ["to_P", "write_drn"]

# What Storm takes for an action's name without further ado.
_PLAIN: Final = re.compile(r"[\w.+-]+", re.ASCII)


def to_P(mdp: MDP, *, labels: bool = False) -> dict[Any, dict[Any, list[tuple[float, Any, float, bool]]]]:  # noqa: N802
    """Give the table ``P[s][a] = [(probability, next state, reward, terminated), …]``, as Gymnasium has it.

    Parameters
    ----------
    mdp : MDP
    labels : bool, default False
        Whether states and actions are called as in ``mdp.states`` and ``mdp.actions``, not by their numbers.

    Returns
    -------
    dict
        Outcomes of probability 0 and actions that are not allowed are left out. The start (``mdp.start``), the episode
        limit and names have no place in P; `qfast.from_P` takes them beside it.

    Examples
    --------
    >>> from qfast.problems import corridor, from_P
    >>> P = corridor().to_P()
    >>> P[3]
    {0: [(1.0, 2, -1.0, False)], 1: [(1.0, 4, 2.0, True)]}
    >>> bool((from_P(P).next_state == corridor().next_state).all())
    True
    """
    check_mdp(mdp)
    states, actions = range(mdp.n_states), range(mdp.n_actions)
    names = (mdp.states, mdp.actions) if flag("labels", labels) else (states, actions)
    tables = (mdp.probability, mdp.next_state, mdp.reward, mdp.terminated)
    probability, next_state, reward, terminated = (table.tolist() for table in tables)
    allowed = np.ones((mdp.n_states, mdp.n_actions), np.bool_) if mdp.allowed is None else mdp.allowed
    return {
        names[0][s]: {
            names[1][a]: [
                (p, names[0][after], r, end)
                for p, after, r, end in zip(
                    probability[s][a], next_state[s][a], reward[s][a], terminated[s][a], strict=True
                )
                if p > 0
            ]
            for a in np.flatnonzero(allowed[s]).tolist()
        }
        for s in states
    }


def write_drn(mdp: MDP, path: str | os.PathLike[str]) -> Path:
    """Write an MDP in Storm's explicit format (``.drn``), whole or not at all.

    A terminal state is labelled ``terminal`` and stays as it is, for no reward.  An outcome that ends
    the episode in a state where others go on leads to one such state more, the last.  The reward of an action is the
    mean over its outcomes, which leaves values as they are; actions that are not allowed are missing; names of states
    are comments, and names of actions are kept if they are letters, digits and ``_.+-`` alone.

    Parameters
    ----------
    mdp : MDP
    path : path-like
        The file; an existing one is replaced.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    InvalidInput, OSError
        If the folder does not exist, or the file cannot be written.

    Warns
    -----
    LeftOutWarning
        If there is an episode limit, or the starts are not equally likely: the format has no place for them.

    Examples
    --------
    >>> import tempfile
    >>> from qfast.problems import corridor, write_drn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_drn(corridor(length=2), folder + "/corridor.drn").read_text().expandtabs(2))
    // corridor
    @type: MDP
    @parameters
    <BLANKLINE>
    @reward_models
    reward
    @nr_states
    2
    @nr_choices
    3
    @model
    state 0 [0] init
      action -1 [0]
        0 : 1
      action 1 [2]
        1 : 1
    state 1 [0] terminal
      action -1 [0]
        1 : 1
    <BLANKLINE>
    """
    check_mdp(mdp)
    target = path_of(path, to_write=True)
    starts = mdp.start[mdp.start > 0]
    lost = [] if mdp.max_episode_steps is None else [f"the limit of {mdp.max_episode_steps:,} steps an episode"]
    lost += ["how likely each start is"] if np.ptp(starts) > 1e-9 else []
    text = "\n".join(_drn(mdp, lost)) + "\n"
    with replacing(target) as stream:
        stream.write(text.encode())
    if lost:
        warn_caller(f"{printable(target)}: a .drn has no place for {' and '.join(lost)}", LeftOutWarning)
    return target


def _drn(mdp: MDP, lost: list[str]) -> Iterator[str]:
    possible = mdp._possible
    ends = mdp.terminal_states
    elsewhere = bool((possible & mdp.terminated & ~ends[mdp.next_state])[~ends].any())
    taken: Any = possible.any(axis=2)
    yield f"// {printable(mdp.name or 'MDP')}"
    yield from (f"// without {what}" for what in lost)
    yield from ("@type: MDP", "@parameters", "", "@reward_models", "reward", "@nr_states")
    yield str(mdp.n_states + elsewhere)
    yield "@nr_choices"
    n_choices = np.where(ends, 1, np.maximum(taken.sum(axis=1), 1)).sum()
    yield str(int(n_choices) + elsewhere)
    yield "@model"
    plain = all(_PLAIN.fullmatch(name) for name in mdp.action_names)
    first = mdp.action_names[0] if plain else "0"  # no name that others do not have
    for s in range(mdp.n_states):
        if mdp.state_names[s] != str(s):
            yield f"// {mdp.state_names[s]}"
        if ends[s] or not taken[s].any():
            yield from _stays(s, first)
            continue
        yield f"state {s} [0]" + " init" * bool(mdp.start[s] > 0)
        for a in np.flatnonzero(taken[s]).tolist():
            share = mdp.probability[s, a]
            mean = float(share @ mdp.reward[s, a] / share.sum())
            yield f"\taction {mdp.action_names[a] if plain else a} [{_number(mean)}]"
            gone = mdp.terminated[s, a] & ~ends[mdp.next_state[s, a]]
            entered, where = np.unique(np.where(gone, mdp.n_states, mdp.next_state[s, a]), return_inverse=True)
            total = np.bincount(where.reshape(-1), share)
            yield from (f"\t\t{t} : {_number(p)}" for t, p in zip(entered.tolist(), total.tolist(), strict=True) if p)
    if elsewhere:
        yield from _stays(mdp.n_states, first)


def _stays(state: int, action: str) -> Iterator[str]:
    yield from (f"state {state} [0] terminal", f"\taction {action} [0]", f"\t\t{state} : 1")


def _number(value: float) -> str:
    """The shortest text that gives the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)

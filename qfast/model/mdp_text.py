"""The one-screen description of an MDP."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qfast.model.mdp import MDP

__all__ = ["describe"]

_MAX_ROWS = 15
_MAX_COLUMNS = 76
_MAX_NAMES = 12


def describe(mdp: "MDP", *, possible: NDArray[np.bool_]) -> str:
    """Describe an MDP on one screen: sizes, start, rewards, limit, names and the top of its layout.

    Parameters
    ----------
    mdp : MDP
        The problem.
    possible : ndarray of bool, shape (S, A, K)
        The outcomes of positive probability of allowed actions; the rewards of these are described.

    Returns
    -------
    str
        At most 23 lines of at most 80 characters, unless names are longer.

    Examples
    --------
    >>> from qfast.model.mdp import MDP
    >>> print(repr(MDP([[0]], [[1.0]], terminated=[[True]])).splitlines()[0])
    MDP with 1 state, 1 action, 1 outcome each (deterministic)
    """
    outcomes = "1 outcome each (deterministic)" if mdp.is_deterministic else f"up to {mdp.n_outcomes} outcomes each"
    start = f"one of {np.count_nonzero(mdp.start)} states"
    if mdp.start_state is not None:
        start = f"state {mdp.state_names[mdp.start_state]}"
    used = mdp.reward[possible & mdp.decision_states[:, None, None]]
    limit = "none" if mdp.max_episode_steps is None else f"{mdp.max_episode_steps} steps an episode"
    names = ", ".join(mdp.action_names[:_MAX_NAMES]) + (", …" if mdp.n_actions > _MAX_NAMES else "")
    lines = [
        f"MDP with {_count(mdp.n_states, 'state')}, {_count(mdp.n_actions, 'action')}, {outcomes}",
        f"  start     {start}",
        f"  states    {int(mdp.decision_states.sum())} to act in, {int(mdp.terminal_states.sum())} terminal",
        f"  rewards   {used.min():.6g} to {used.max():.6g}",
        f"  limit     {limit}",
        f"  actions   {names}",
    ]
    if mdp.allowed is not None:
        lines.append(f"  allowed   {int(mdp.allowed.sum())} of {mdp.allowed.size} actions")
    if mdp.layout is not None:
        shown = mdp.layout[:_MAX_ROWS]
        lines += [f"  {row[:_MAX_COLUMNS]}{'…' if len(row) > _MAX_COLUMNS else ''}" for row in shown]
        lines += [f"  … {len(mdp.layout) - _MAX_ROWS} more rows"] if len(mdp.layout) > _MAX_ROWS else []
    return "\n".join(lines)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"

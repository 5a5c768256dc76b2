"""What an MDP says of itself: one screen of text."""

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from qfast.model.mdp import MDP

__all__ = ["described"]

_MAX_ROWS: Final = 15
_MAX_COLUMNS: Final = 76
_MAX_NAMES: Final = 12


def described(mdp: "MDP") -> str:
    """Describe an MDP on one screen: sizes, start, rewards, limit, names and the top of its layout."""
    outcomes = "1 outcome each (deterministic)" if mdp.is_deterministic else f"up to {mdp.n_outcomes} outcomes each"
    start = f"one of {np.count_nonzero(mdp.start)} states"
    if mdp.start_state is not None:
        start = f"state {mdp.state_names[mdp.start_state]}"
    used = mdp.reward[mdp._possible & mdp.decision_states[:, None, None]]
    limit = "none" if mdp.max_episode_steps is None else f"{mdp.max_episode_steps} steps an episode"
    names = ", ".join(mdp.action_names[:_MAX_NAMES]) + (", …" if mdp.n_actions > _MAX_NAMES else "")
    title = f"{mdp.name}: " if mdp.name else ""
    lines = [
        f"{title}MDP with {_count(mdp.n_states, 'state')}, {_count(mdp.n_actions, 'action')}, {outcomes}",
        f"  start     {start}",
        f"  states    {int(mdp.decision_states.sum())} to act in, {int(mdp.terminal_states.sum())} terminal",
        f"  rewards   {used.min():.6g} to {used.max():.6g}",
        f"  limit     {limit}",
        f"  actions   {names}",
    ]
    if mdp.allowed is not None:
        lines.append(f"  allowed   {int(mdp.allowed.sum())} of {mdp.allowed.size} actions")
    if mdp.counts is not None:
        n = mdp.counts[mdp.counts > 0]
        lines.append(f"  sampled   {_count(n.size, 'pair')} of state and action, at least {n.min():,} times each")
    if mdp.layout is not None:
        top = mdp.layout[:_MAX_ROWS]
        lines += [f"  {row[:_MAX_COLUMNS]}{'…' if len(row) > _MAX_COLUMNS else ''}" for row in top]
        lines += [f"  … {len(mdp.layout) - _MAX_ROWS} more rows"] if len(mdp.layout) > _MAX_ROWS else []
    return "\n".join(lines)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"

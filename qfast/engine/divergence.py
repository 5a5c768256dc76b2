"""Agents that have diverged: their Q holds what is no number any more."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.errors import DivergedWarning, warn_caller
from qfast.model.learner import Learner
from qfast.model.mdp import MDP

__all__ = ["diverged_agents", "forbidden_pairs", "warn_of_divergence", "why_diverged"]

_AT_ONCE = 2**22  # values of Q that are looked at together


def forbidden_pairs(mdp: MDP) -> NDArray[np.bool_] | None:
    """The pairs (S, A) whose Q is -inf throughout; None where there are none.

    Rows without any allowed action belong to states that no agent acts in; they keep finite values.
    """
    return None if mdp.allowed is None else ~mdp.allowed & mdp.allowed.any(axis=1, keepdims=True)


def diverged_agents(q: NDArray[Any], forbidden: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Tell which agents' Q (n, S, A) or (n, S, A, 2) holds inf or NaN, forbidden pairs aside; shape (n,).

    Examples
    --------
    >>> diverged_agents(np.array([[[0.0, 1.0]], [[np.nan, 1.0]]]), None).tolist()
    [False, True]
    """
    found = np.zeros(len(q), np.bool_)
    step = max(1, _AT_ONCE // max(1, q[:1].size))
    for first in range(0, len(q), step):
        finite = np.isfinite(q[first : first + step])
        if forbidden is not None:
            finite[:, forbidden] = True
        found[first : first + step] = ~finite.reshape(len(finite), -1).all(axis=1)
    return found


def why_diverged(learner: Learner) -> str:
    """Why Q of a learner may grow without end, and what to do."""
    why = f"their Q grew beyond what {learner.dtype.name} holds, to inf or NaN"
    larger = " or dtype='float64'" if learner.dtype == np.float32 else ""
    if learner.traces:
        why += f", as {learner.traces} traces make it where a pair's traces times alpha exceed 1"
        return f"{why}; use a smaller alpha or lambda_"
    return f"{why}; use a smaller alpha, smaller rewards{larger}"


def warn_of_divergence(n_diverged: int, n_agents: int, learner: Learner) -> None:
    """Warn the caller of `qfast.train` or `qfast.resume`, if agents have diverged."""
    if n_diverged:
        have = "1 of 1 agent has" if n_agents == 1 else f"{n_diverged:,} of {n_agents:,} agents have"
        text = f"{have} diverged: {why_diverged(learner)} (run.diverged tells which)"
        warn_caller(text, DivergedWarning)

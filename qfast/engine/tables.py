"""From an MDP to the flat lookup arrays that the kernel reads, and what they select at compile time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.kernel.environment import make_alias
from qfast.kernel.memory import SMALL
from qfast.kernel.state import Tables
from qfast.model.learner import Learner
from qfast.model.mdp import MDP
from qfast.model.rates import Rate

__all__ = [
    "action_values",
    "alias_table",
    "explore_threshold",
    "forbidden_pairs",
    "goal_reward",
    "make_tables",
    "outcome_kind",
    "start_states",
]

_EQUAL = 1e-12  # absolute difference up to which probabilities count as equal


def alias_table(probability: NDArray[np.float64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Alias tables of distributions (..., K) (Walker 1977, as Vose 1991 has them): thresholds and other outcomes.

    A random word w gives ``column, part = divmod(w * K, 2**32)``; the outcome is the column itself if ``part`` is below
    its threshold, else its other outcome.  Probabilities are met to within K / 2**32.
    """
    threshold, other = make_alias(probability)
    return threshold, other


def _all_equal(probability: NDArray[np.float64]) -> bool:
    return bool(np.abs(probability - 1 / probability.shape[-1]).max() <= _EQUAL)


def outcome_kind(mdp: MDP) -> str:
    """How the kernel draws outcomes: "one" (K = 1), "equal" (K equally likely ones everywhere) or "alias"."""
    if mdp.n_outcomes == 1:
        return "one"
    return "equal" if _all_equal(mdp.probability) else "alias"


def start_states(mdp: MDP) -> NDArray[np.int32]:
    """The states that episodes begin in, in increasing order, shape (n,), int32."""
    return np.flatnonzero(mdp.start).astype(np.int32)


def goal_reward(mdp: MDP) -> float:
    """The reward that makes an episode a success: the largest that ends one; infinity if none can."""
    endings = mdp.terminated & (mdp.probability > 0) & mdp.decision_states[:, None, None]
    if mdp.allowed is not None:
        endings &= mdp.allowed[:, :, None]
    return float(mdp.reward[endings].max()) if endings.any() else float("inf")


def forbidden_pairs(mdp: MDP) -> NDArray[np.bool_] | None:
    """The pairs (S, A) whose Q is -inf throughout; None where there are none.

    Rows without any allowed action belong to states that no agent acts in; they keep finite values.
    """
    return None if mdp.allowed is None else ~mdp.allowed & mdp.allowed.any(axis=1, keepdims=True)


def _interleave(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.uint32]:
    pairs = np.stack([first.astype(np.uint32), second.astype(np.uint32)], axis=-1)
    return np.ascontiguousarray(pairs).reshape(-1)


def _model(mdp: MDP, dtype: np.dtype[Any]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    state = np.where(mdp.terminated, -1 - mdp.next_state, mdp.next_state).astype(np.int32)
    with np.errstate(over="ignore"):  # not read where Q is float64, or of outcomes that cannot occur
        bits = mdp.reward.astype(np.float32).view(np.int32)
    reward = mdp.reward.reshape(-1) if dtype == np.float64 else np.empty(0)
    model = np.stack([state, bits], axis=-1).reshape(-1)
    return np.pad(model, (0, max(0, 2 * SMALL - model.size))), np.ascontiguousarray(reward)


def _allowed(mdp: MDP) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    if mdp.allowed is None:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    actions = np.argsort(~mdp.allowed, axis=1, kind="stable").astype(np.int32)
    return np.maximum(mdp.allowed.sum(axis=1), 1).astype(np.int32), actions.reshape(-1)


def explore_threshold(epsilon: NDArray[np.float64]) -> NDArray[np.int32]:
    """Turn exploration rates into the whole numbers of 24 bits that the kernel compares with."""
    return np.rint(epsilon * 2**24).astype(np.int32)


def action_values(mdp: MDP) -> NDArray[np.float64]:
    """The actions' names as numbers, which the article's rule takes for their values."""
    try:
        values = np.array([float(name) for name in mdp.action_names])
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise InvalidInput(
            f"rule='article' takes an action's name for its value, and {', '.join(mdp.action_names[:6])} are not all "
            "numbers; use qfast.corridor(), or action_names such as ['-1', '1']"
        )
    return values


def make_tables(mdp: MDP, learner: Learner, *, goal: float) -> Tables:
    """Make the kernel's tables; a terminated episode succeeds from the reward `goal` on."""
    dtype, nothing = learner.dtype, np.empty(0)

    def schedule(rate: Rate, kind: str = "episode") -> NDArray[np.float64]:
        return rate.values if rate.kind == kind else nothing

    model, reward = _model(mdp, dtype)
    alias = start_alias = np.empty(0, np.uint32)
    if outcome_kind(mdp) == "alias":
        alias = _interleave(*alias_table(mdp.probability))
    starts = start_states(mdp)
    if not _all_equal(mdp.start[starts]):
        start_alias = _interleave(*alias_table(mdp.start[starts]))
    n_allowed, allowed = _allowed(mdp)
    return Tables(
        model=model,
        reward=reward,
        alias=alias,
        starts=starts,
        start_alias=start_alias,
        n_allowed=n_allowed,
        allowed=allowed,
        alpha=schedule(learner.alpha).astype(dtype),
        explore=explore_threshold(schedule(learner.epsilon)),
        temperature=(1 / schedule(learner.temperature)).astype(np.float32),
        trace_decay=schedule(learner.lambda_).astype(dtype),
        alpha_of_visit=schedule(learner.alpha, "visit").astype(dtype),
        action_value=(action_values(mdp) if learner.rule == "article" else nothing).astype(dtype),
        n_outcomes=mdp.n_outcomes,
        limit=mdp.max_episode_steps or 0,
        n_step=learner.n,
        trace_cutoff=dtype.type(learner.trace_cutoff),
        goal_reward=dtype.type(goal),
    )

"""How large Q can become, and whether its element type can hold that and the updates that lead there."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput, PrecisionWarning, warn_caller
from qfast.model.learner import Learner
from qfast.model.mdp import MDP

__all__ = ["check_magnitudes", "lost_updates", "warn_of_lost_updates"]

#: Q, a target and their difference have to fit: a quarter of the largest number leaves room for sums of them.
_ROOM: Final = 4
#: Rewards that differ by a smaller share of the largest one differ by rounding alone.
_ROUNDING: Final = 1e-6


def _possible(mdp: MDP) -> NDArray[np.bool_]:
    """The outcomes (S, A, K) that can occur wherever an agent can be."""
    return mdp._possible & mdp.decision_states[:, None, None]


def _largest(mdp: MDP, possible: NDArray[np.bool_]) -> tuple[float, float]:
    """The largest absolute rewards of outcomes that end an episode, and of others."""
    size = np.abs(mdp.reward)
    ends = possible & mdp.terminated
    return float(size.max(where=ends, initial=0.0)), float(size.max(where=possible & ~ends, initial=0.0))


def _reach(mdp: MDP, gamma: float, possible: NDArray[np.bool_]) -> float:
    """The largest absolute value that Q can have in theory; with gamma = 1, that a return within the limit can have."""
    last, each = _largest(mdp, possible)
    with np.errstate(over="ignore"):
        if gamma < 1:
            return max(last, float(np.float64(each) / (1 - gamma)))
        return float(np.float64(each) * (mdp.max_episode_steps or 1) + last)


def check_magnitudes(mdp: MDP, learner: Learner, record: str | None = None) -> None:
    """Refuse rewards whose values Q cannot hold, with the bound."""
    possible = _possible(mdp)
    most, most_ever = (float(np.finfo(dtype).max) / _ROOM for dtype in (learner.dtype, np.float64))
    largest = float(learner.gamma.values.max(initial=0.0))
    for gamma, what in ((largest, "Q"), (1.0, "returns")):  # which are sums without a discount
        reach = _reach(mdp, gamma, possible)
        if reach > most:
            reward = float(np.abs(mdp.reward).max(where=possible, initial=0.0))
            how = "max|reward| / (1 - gamma)" if gamma < 1 else "max|reward| * max_episode_steps"
            wider = "use dtype='float64', or " if learner.dtype == np.float32 and reach <= most_ever else ""
            raise InvalidInput(
                f"rewards up to {reward:.4g} with gamma={largest:g} may lead {what} to {reach:.4g} ({how}), beyond "
                f"{most:.4g}, a quarter of what {learner.dtype.name} holds; {wider}divide the rewards by a constant"
            )
    if record == "summary" and reach > float(np.finfo(np.float32).max):
        raise InvalidInput(
            f"returns may come to {reach:.4g}, and the quantiles of record='summary' are counted in float32; "
            "use record='returns' or None, or divide the rewards by a constant"
        )


def lost_updates(mdp: MDP, learner: Learner) -> str | None:
    """Say where updates are too small for the values, so that Q would stick before it has learned; else None.

    Q + alpha * change is Q again where alpha * |change| is below half the distance of Q from the next number.  The
    change that is typical once Q is nearly right is the spread of the rewards; where all are equal, their size.  Step
    sizes that shrink by design (schedules, by visits) count with their largest value; 0 is meant as it is.
    """
    possible = _possible(mdp)
    if not possible.any():
        return None
    low = float(mdp.reward.min(where=possible, initial=np.inf))
    high = float(mdp.reward.max(where=possible, initial=-np.inf))
    size = max(abs(low), abs(high))
    if size == 0:
        return None
    alike = high / 2 - low / 2 <= _ROUNDING * size
    change = size if alike else high - low
    alpha = learner.alpha.values.reshape(-1)
    if learner.alpha.kind in ("episode", "visit"):
        alpha = alpha.max(keepdims=True)
    values = _surely_reached(mdp, learner.gamma.values.reshape(-1), possible)
    with np.errstate(all="ignore"):
        half = np.spacing(values.astype(learner.dtype)).astype(np.float64) / 2
    lost = (alpha > 0) & (alpha * change < half)
    if not lost.any():
        return None
    at = int(np.flatnonzero(lost)[0])
    alpha, half, values = (np.broadcast_to(array, lost.shape)[at] for array in (alpha, half, values))
    agents = f" ({int(lost.sum()):,} agents)" if lost.size > 1 else ""
    what = "their size" if alike else "their spread"
    fix = "use dtype='float64', or a larger alpha" if learner.dtype == np.float32 else "use a larger alpha"
    return (
        f"alpha={alpha:g}{agents} times a change typical of the rewards, {what} of {change:.4g}, is below {half:.3g}, "
        f"half the distance between {learner.dtype.name} numbers at {values:.6g}, which Q can reach: such updates are "
        f"lost, and Q sticks before it is right; {fix}"
    )


def warn_of_lost_updates(mdp: MDP, learner: Learner) -> None:
    """Warn the caller of `qfast.train` or `qfast.resume`, if updates will be lost."""
    if (text := lost_updates(mdp, learner)) is not None:
        warn_caller(text, PrecisionWarning)


def _surely_reached(mdp: MDP, gamma: NDArray[np.float64], possible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A size that values have for each gamma: the largest reward over as many steps as count, at most one a state.

    Where episodes end they are rarely longer than there are states, and a bound from gamma alone would be far too high.
    """
    ends = bool((possible & mdp.terminated).any())
    most = min(mdp.max_episode_steps or np.inf, mdp.n_states if ends else np.inf)
    with np.errstate(divide="ignore"):
        steps = np.minimum(1 / (1 - gamma), most)
    last, each = _largest(mdp, possible)
    values: NDArray[np.float64] = np.maximum(last, each * np.where(np.isfinite(steps), steps, 1.0))
    return values

"""What the functions of `qfast.exact` accept, checked before anything is computed."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP, check_mdp

__all__ = [
    "Bools",
    "Floats",
    "Ints",
    "check_fraction",
    "check_limit",
    "check_mdp",
    "check_policies",
    "check_policy",
    "check_positive",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

# Rows of a stochastic policy may miss 1 by what single precision does to a softmax over many actions.
_ROW_SUM_TOLERANCE = 1e-6
_MOST_STEPS = 2**31 - 1


def _number(name: str, value: object, fix: str) -> float:
    # bool is refused too: gamma=True would be read as 1.
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidInput(f"{name}={value!r:.60} is not one number; {fix}")
    return float(value)


def check_fraction(name: str, value: object, fix: str) -> float:
    """Return a number in [0, 1] as a float (gamma, epsilon)."""
    number = _number(name, value, fix)
    if not 0.0 <= number <= 1.0:
        raise InvalidInput(f"{name}={value!r:.60} is outside [0, 1]; {fix}")
    return number


def check_positive(name: str, value: object, fix: str) -> float:
    """Return a number in (0, 1) as a float (tolerances, which are shares)."""
    number = _number(name, value, fix)
    if not 0.0 < number < 1.0:
        raise InvalidInput(f"{name}={value!r:.60} is outside (0, 1); {fix}")
    return number


def check_limit(limit: object, mdp: MDP) -> int:
    """Return the number of steps an episode may take; None stands for the MDP's own limit."""
    if limit is None:
        if mdp.max_episode_steps is None:
            msg = "limit=None, and the MDP has no max_episode_steps either; give a limit in steps such as 100"
            raise InvalidInput(msg)
        return mdp.max_episode_steps
    if isinstance(limit, bool | np.bool_) or not isinstance(limit, int | np.integer):
        raise InvalidInput(f"limit={limit!r:.60} is not a whole number; give a limit in steps such as 100")
    if limit < 1:
        raise InvalidInput(f"limit={limit} is below 1; give a limit in steps such as 100")
    if limit > _MOST_STEPS:
        msg = f"limit={limit} is above {_MOST_STEPS:,}; give a smaller limit, or use evaluate_policies for none"
        raise InvalidInput(msg)
    return int(limit)


def _array(name: str, value: ArrayLike) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{name} is not a rectangular array ({error}); give an action for each state") from error
    if array.dtype.kind == "b":
        raise InvalidInput(
            f"{name} has dtype bool; give one action for each state, as run.policy() does, or probabilities of actions "
            "(what the sets of actions of run.policies() are worth, run.census() tells)"
        )
    if array.dtype.kind not in "iuf":
        msg = f"{name} has dtype {array.dtype}; give actions (integers) or probabilities of actions (floats)"
        raise InvalidInput(msg)
    return array


def check_policies(policies: ArrayLike, mdp: MDP, acting: Bools, *, name: str = "policies") -> Ints:
    """Return deterministic policies as int64 (n_policies, n_states); rows of states without choice are set to 0.

    ``acting`` marks the states whose action matters; elsewhere (terminal states) any number is accepted.
    """
    array = _array(name, policies)
    shape = (mdp.n_states,)
    if array.dtype.kind == "f":
        msg = f"{name} has dtype {array.dtype}; actions are integers in [0, {mdp.n_actions - 1}], one for each state"
        raise InvalidInput(msg)
    if array.ndim != 2 or array.shape[1:] != shape:
        msg = f"{name} has shape {array.shape}; it must be (n_policies, n_states) with n_states={mdp.n_states}"
        raise InvalidInput(msg)
    chosen = np.where(acting, array, 0).astype(np.int64)
    outside = (chosen < 0) | (chosen >= mdp.n_actions)
    if outside.any():
        row, state = (int(i) for i in np.argwhere(outside)[0])
        raise InvalidInput(
            f"{name} takes action {chosen[row, state]} in state {mdp.state_names[state]!r}, "
            f"outside [0, {mdp.n_actions - 1}]; give an action of the MDP"
        )
    if mdp.allowed is not None:
        masked = ~mdp.allowed[np.arange(mdp.n_states), chosen] & acting
        if masked.any():
            row, state = (int(i) for i in np.argwhere(masked)[0])
            raise InvalidInput(
                f"{name} takes action {mdp.action_names[chosen[row, state]]!r} in state {mdp.state_names[state]!r}, "
                f"which is not allowed there; choose one of the actions in mdp.allowed[{state}]"
            )
    return chosen


def check_policy(policy: ArrayLike, mdp: MDP, acting: Bools) -> Floats:
    """Return one policy, given as actions (n_states,) or probabilities (n_states, n_actions), as probabilities.

    Rows are divided by their sums; rows of states in which nobody acts are set to 0.
    """
    array = _array("policy", policy)
    shape = (mdp.n_states, mdp.n_actions)
    if array.shape == (mdp.n_states,):
        actions = check_policies(array[None], mdp, acting, name="policy")[0]
        rows = np.zeros(shape)
        rows[np.arange(mdp.n_states), actions] = 1.0
        rows[~acting] = 0.0
        return rows
    if array.shape != shape:
        raise InvalidInput(
            f"policy has shape {array.shape}; give an action for each state, ({mdp.n_states},), or a probability "
            f"for each state and action, {shape} (for several policies at once: evaluate_policies)"
        )
    rows = np.where(acting[:, None], array, 0.0).astype(np.float64)
    if not (np.isfinite(rows) & (rows >= 0.0)).all():
        state, action = (int(i) for i in np.argwhere(~(np.isfinite(rows) & (rows >= 0.0)))[0])
        msg = f"policy[{state}, {action}]={rows[state, action]} is not a probability; give numbers in [0, 1]"
        raise InvalidInput(msg)
    off = (np.abs(rows.sum(axis=1) - 1.0) > _ROW_SUM_TOLERANCE) & acting
    if off.any():
        state = int(np.flatnonzero(off)[0])
        raise InvalidInput(f"policy[{state}] sums to {rows[state].sum():.9g}, not 1; divide each row by its sum")
    if mdp.allowed is not None and (rows[~mdp.allowed] > 0.0).any():
        state, action = (int(i) for i in np.argwhere((rows > 0.0) & ~mdp.allowed)[0])
        msg = f"policy[{state}, {action}]={rows[state, action]}, but the action is not allowed there; set it to 0"
        raise InvalidInput(msg)
    rows[acting] /= rows[acting].sum(axis=1, keepdims=True)
    return rows

"""An environment as a thing that is reset and stepped: everything it gives is checked and turned into labels."""

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from qfast.arguments import is_number, optional, shown
from qfast.errors import InvalidInput
from qfast.model.labels import Label, label_of
from qfast.problems.environments.spaces import Actions, actions_of, observed
from qfast.problems.gym_adapter import make_env, registered_limit, wrappers_of

if TYPE_CHECKING:
    import gymnasium

__all__ = ["Environment", "Seen", "Simulator", "name_of", "opened"]

Environment: TypeAlias = "str | gymnasium.Env[Any, Any] | Callable[[], gymnasium.Env[Any, Any]]"
_NO_LIMIT: Final = 2**62


class Seen(NamedTuple):
    """What one step, or a reset, shows."""

    label: Label
    reward: float
    terminated: bool
    truncated: bool
    allowed: tuple[int, ...] | None  # numbers of actions; None where the environment does not say


@contextmanager
def opened(env: Any, env_kwargs: dict[str, object]) -> "Iterator[gymnasium.Env[Any, Any]]":
    """Make an environment of an id or a function, and close it at the end; one that is given stays open."""
    optional("gymnasium", "gym", "environments need it")
    if env_kwargs and not isinstance(env, str):
        raise InvalidInput(f"{', '.join(env_kwargs)} can change an environment by its id alone; give the id instead")
    made = env
    if isinstance(env, str):
        made = make_env(env, env_kwargs)
    elif isinstance(env, type) or (callable(env) and not hasattr(env, "action_space")):
        try:
            made = env()
        except Exception as error:  # the user's own function may raise anything
            kind = "class" if isinstance(env, type) else "function"
            fix = "give one that makes an environment without arguments, such as lambda: MyEnv(…)"
            msg = f"env, a {kind}, raised {type(error).__name__}: {error}; {fix}"
            raise InvalidInput(msg) from error
    if hasattr(made, "single_action_space"):
        raise InvalidInput(f"env is {shown(made)}: this is a vector environment; give a single one")
    if not all(hasattr(made, name) for name in ("reset", "step", "action_space")):
        msg = f"env is {shown(made)}, no environment of Gymnasium (reset, step, action_space)"
        raise InvalidInput(f"{msg}; give an id, an environment or a function that makes one")
    try:
        yield made
    finally:
        if made is not env and hasattr(made, "close"):
            made.close()


def name_of(env: Any) -> str:
    """Name an environment by its id or, without one, by its class."""
    spec = getattr(env, "spec", None)
    return str(getattr(spec, "id", None) or type(getattr(env, "unwrapped", env)).__name__)


class Simulator:
    """What is asked of an environment, or of any copy of it, in labels and numbers of actions.

    Parameters
    ----------
    env : gymnasium.Env
    state : callable, optional
        Names the state: a function of the environment, or of observation and info.
    action_mask : bool
        Whether ``info["action_mask"]`` says which actions are allowed.
    """

    def __init__(self, env: Any, state: Any, *, action_mask: bool) -> None:
        self.env = env
        self.name = name_of(env)
        self.actions: Actions = actions_of(env.action_space)
        self.limit = registered_limit(env) if hasattr(env, "spec") else None
        self.steps = 0
        self._state, self.of_env = state, _takes_env(state)
        self._mask = action_mask
        self._masks: dict[bytes, tuple[int, ...]] = {}
        self._values = self.actions.values
        self._plain = all(type(value) is int for value in self._values)

    @contextmanager
    def without_limit(self) -> Iterator[None]:
        """Switch the TimeLimit wrappers off, whose counting is no part of a state."""
        from gymnasium.wrappers import TimeLimit

        limits = [wrapper for wrapper in wrappers_of(self.env) if type(wrapper) is TimeLimit]
        before = [wrapper._max_episode_steps for wrapper in limits]
        for wrapper in limits:
            wrapper._max_episode_steps = _NO_LIMIT
        try:
            yield
        finally:
            for wrapper, limit in zip(limits, before, strict=True):
                wrapper._max_episode_steps = limit

    def reset(self, env: Any, seed: int | None) -> Seen:
        """Begin an episode."""
        try:
            result = env.reset(seed=seed)
        except Exception as error:  # an environment may raise anything
            raise InvalidInput(f"{self.name}: reset(seed={seed}) raised {_told(error)}; correct it") from error
        if not isinstance(result, tuple) or len(result) != 2:
            msg = f"{self.name}: reset gave {shown(result)}, not (observation, info)"
            raise InvalidInput(f"{msg}; write it as Gymnasium has it")
        observation, info = result
        return Seen(self._label(env, observation, info), 0.0, False, False, self._allowed(info))

    def step(self, env: Any, action: int) -> Seen:
        """Take the action of this number."""
        self.steps += 1
        value = self._values[action] if self._plain else self.actions.value(action)
        try:
            result = env.step(value)
        except Exception as error:  # an environment may raise anything
            msg = f"{self.name}: step({value!r:.40}) raised {_told(error)}"
            fix = "where an action is impossible let info['action_mask'] say so, or let it change nothing"
            raise InvalidInput(f"{msg}; {fix}") from error
        if type(result) is not tuple or len(result) != 5:
            given = f"{len(result)} values" if isinstance(result, tuple) else shown(result)
            msg = f"{self.name}: step gave {given}, not (observation, reward, terminated, truncated, info)"
            raise InvalidInput(f"{msg}; write it as Gymnasium has it, without `done`")
        observation, reward, terminated, truncated, info = result
        if type(reward) is not float:
            reward = float(reward) if type(reward) is int else self._number(reward)
        if not math.isfinite(reward):
            raise InvalidInput(f"{self.name}: step gave the reward {reward}, which is not finite; correct it")
        if type(terminated) is not bool or type(truncated) is not bool:
            terminated, truncated = self._flag("terminated", terminated), self._flag("truncated", truncated)
        label = observed(observation) if self._state is None else self._label(env, observation, info)
        allowed = self._allowed(info) if self._mask and info else None
        return Seen(label, reward, terminated, truncated, allowed)

    def label_now(self, env: Any) -> Label:
        """Name the state that an environment is in, where that can be asked; else None."""
        return self._label(env, None, None) if self.of_env else None

    def _number(self, reward: Any) -> float:
        if isinstance(reward, np.ndarray) and reward.size == 1:
            reward = reward.item()
        if is_number(reward) or isinstance(reward, (bool, np.bool_)):
            return float(reward)
        raise InvalidInput(f"{self.name}: step gave the reward {shown(reward)}; let it be a number")

    def _flag(self, name: str, value: Any) -> bool:
        if isinstance(value, np.ndarray) and value.shape == ():
            value = value.item()
        if isinstance(value, (bool, np.bool_)) or (is_number(value) and value in (0, 1)):
            return bool(value)
        raise InvalidInput(f"{self.name}: step gave {name}={shown(value)}; let it be True or False")

    def _label(self, env: Any, observation: Any, info: Any) -> Label:
        if self._state is None:
            return observed(observation)
        try:
            value = self._state(env) if self.of_env else self._state(observation, info)
        except Exception as error:  # the user's own function may raise anything
            fix = "with one parameter it gets the environment (env.unwrapped is the inner one)"
            raise InvalidInput(f"state= raised {_told(error)}; {fix}, with two the observation and info") from error
        return label_of(value, "what state= gave")

    def _allowed(self, info: Any) -> tuple[int, ...] | None:
        if not self._mask or not info or "action_mask" not in info:
            return None
        mask = info["action_mask"]
        if type(mask) is not np.ndarray:
            return self.actions.mask(mask)
        key = mask.tobytes()
        if key not in self._masks:
            self._masks[key] = self.actions.mask(mask)
        return self._masks[key]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _takes_env(state: Any) -> bool:
    """Whether `state=` is a function of the environment; else of observation and info."""
    if state is None:
        return False
    rule = "give a function of the environment, or of (observation, info)"
    if not callable(state):
        raise InvalidInput(f"state is {shown(state)}, no function; {rule}")
    try:
        kinds = [p for p in inspect.signature(state).parameters.values() if p.default is p.empty]
    except ValueError:  # some built-in functions have no signature
        return True
    n = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in kinds)
    if n not in (1, 2):
        raise InvalidInput(f"state is a function of {n} parameters; {rule}")
    return n == 1

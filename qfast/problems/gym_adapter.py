"""MDPs from Gymnasium environments that hold their own table ``P``."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qfast.arguments import optional, shown
from qfast.errors import InvalidInput, MissingLimitWarning, warn_caller
from qfast.model.labels import title_of
from qfast.model.mdp import MDP
from qfast.model.mdp_checks import episode_limit
from qfast.problems.blackjack import blackjack
from qfast.problems.from_table import from_P
from qfast.problems.textbook_grids import TAXI_ACTIONS

if TYPE_CHECKING:
    import gymnasium

__all__ = ["NoTable", "from_gymnasium", "make_env", "printing_of", "registered_limit", "wrappers_of"]

# Gymnasium's wrappers that change neither what a step does nor what it pays; any other may, and so may a class of the
# user's own with one of these names: the table would not show it.
_HARMLESS_WRAPPERS: Final = (
    "HumanRendering", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RecordVideo",
    "RenderCollection", "TimeLimit",
)  # fmt: skip
_LAKE: Final = frozenset("SFHG")


class NoTable(InvalidInput):
    """The environment holds no table of its transitions."""


def from_gymnasium(
    env: "str | gymnasium.Env[Any, Any]",
    *,
    start: Any = None,
    max_episode_steps: int | None = None,
    **env_kwargs: object,
) -> MDP:
    """Make an MDP from a Gymnasium environment that holds its table, such as those of toy_text.

    Read are ``env.unwrapped.P``, ``env.unwrapped.initial_state_distrib`` (or ``isd``, as gym called it) and
    ``env.spec.max_episode_steps``. Outcomes are merged or spread as `from_P` does; names of actions and the map are
    added for the environments of toy_text. Blackjack has no table; its rules are `blackjack`, which is exact.

    Parameters
    ----------
    env : str or gymnasium.Env
        An id, such as ``"FrozenLake-v1"``, or an environment, also an unwrapped one of gym; one that is given is
        neither stepped nor closed.
    start : state, dict of state to float, or array_like of float, shape (n_states,), optional
        The state in which episodes begin, or the probability of each, in place of the environment's own.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default the limit that Gymnasium has for the environment; where
        it has none there is a warning. For no limit at all use ``from_gymnasium(…).with_limit(None)``.
    **env_kwargs
        With an id: the environment's own options, handed to ``gymnasium.make``, which checks them; for example
        ``is_slippery=False`` or ``map_name="8x8"``.

    Returns
    -------
    MDP
        The problem.

    Raises
    ------
    MissingExtra
        If Gymnasium is not installed.
    InvalidInput
        If Gymnasium cannot make the environment, it has no table or one that does not tell all (Taxi with
        ``fickle_passenger=True``), it is wrapped in something that may change steps or rewards, or options are given
        beside an environment; and as `from_P` does.

    Warns
    -----
    MissingLimitWarning
        If neither Gymnasium nor the caller sets a limit (CliffWalking), so that early episodes may be very long.

    Examples
    --------
    >>> from qfast.problems import from_gymnasium
    >>> mdp = from_gymnasium("FrozenLake-v1")
    >>> mdp.n_states, mdp.n_outcomes, mdp.max_episode_steps
    (16, 3, 100)
    >>> from_gymnasium("FrozenLake-v1", is_slippery=False).is_deterministic
    True
    """
    gymnasium = optional("gymnasium", "gym", "from_gymnasium needs it")
    limit = episode_limit(max_episode_steps)
    if isinstance(env, str):
        _check_lake(env, env_kwargs.get("desc"))
        made = make_env(env, env_kwargs)
        try:
            return _converted(made, env, start, limit)
        finally:
            made.close()
    if not isinstance(env, gymnasium.Env) and getattr(getattr(env, "unwrapped", env), "P", None) is None:
        msg = f"env is {shown(env)}, neither an id nor a Gymnasium environment; give an id such as 'FrozenLake-v1'"
        raise InvalidInput(msg)
    if env_kwargs:
        msg = f"{', '.join(env_kwargs)} cannot change an environment that exists already; give its id instead"
        raise InvalidInput(msg)
    return _converted(env, _title(env), start, limit)


def _title(env: Any) -> str:
    """Name an environment that was made already: by its id, or by its class."""
    spec = getattr(env, "spec", None)
    return type(getattr(env, "unwrapped", env)).__name__ if spec is None else str(spec.id)


def make_env(name: str, env_kwargs: dict[str, object]) -> "gymnasium.Env[Any, Any]":
    """Make an environment, and turn whatever goes wrong into one line."""
    import gymnasium

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a hint to a newer version comes again, as the reason of the error
            made: gymnasium.Env[Any, Any] = gymnasium.make(name, **env_kwargs)  # type: ignore[arg-type]
    except Exception as error:  # an environment's constructor may raise anything
        options = "".join(f", {key}={value!r:.60}" for key, value in env_kwargs.items())
        what = "options" if env_kwargs else "id"
        reason = " ".join(str(error).split()) or "it gives no reason"
        if not isinstance(error, (gymnasium.error.Error, ImportError, TypeError, ValueError)):
            reason = f"{type(error).__name__}: {reason}"  # a KeyError's text is a bare key
        raise InvalidInput(f"Gymnasium cannot make {name!r:.60}{options}: {reason}; correct the {what}") from error
    return made


def _check_lake(name: str, desc: Any) -> None:
    """Refuse a map of FrozenLake without a start, or with letters that have no meaning there."""
    if not name.rpartition("/")[2].startswith("FrozenLake") or desc is None:
        return
    try:
        rows = [row if isinstance(row, str) else "".join(_letter(cell) for cell in row) for row in desc]
    except TypeError:
        rows = []
    fix = "give rows of equal length of the letters S (start), F (frozen), H (hole) and G (goal), as in ['SF', 'FG']"
    if isinstance(desc, (str, bytes)) or not rows or any(len(row) != len(rows[0]) or not row for row in rows):
        raise InvalidInput(f"the map desc={desc!r:.60} of {name} is no rectangle of letters; {fix}")
    letters = "".join(rows)
    for letter in letters:
        if letter not in _LAKE:
            raise InvalidInput(f"the map of {name} has the letter {letter!r}, which has no meaning there; {fix}")
    if "S" not in letters:
        raise InvalidInput(f"the map of {name} has no S, so that no episode can begin; {fix}")


def _letter(cell: Any) -> str:
    return cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)


def _converted(env: Any, name: str, start: Any, max_episode_steps: int | None) -> MDP:
    from gymnasium.envs.toy_text import BlackjackEnv, FrozenLakeEnv

    _check_wrappers(env, name)
    inner: Any = getattr(env, "unwrapped", env)
    limit = max_episode_steps if max_episode_steps is not None else registered_limit(env)
    if type(inner) is BlackjackEnv:
        made = blackjack(natural=bool(inner.natural), sab=bool(inner.sab), start=start, max_episode_steps=limit)
        return made.with_name(title_of(name))
    _check_table(inner, name)
    if isinstance(inner, FrozenLakeEnv):
        _check_lake(name, getattr(inner, "desc", None))
    for own in ("initial_state_distrib", "isd"):
        start = getattr(inner, own, None) if start is None else start
    if start is None:
        raise InvalidInput(f"{name} has no initial_state_distrib and no isd; say where episodes begin: start=…")
    if limit is None:
        warn_caller(
            f"{name} has no limit on the length of episodes, so early ones may be very long; "
            f"set max_episode_steps, for example 200",
            MissingLimitWarning,
        )
    actions, layout = printing_of(inner)
    mdp = from_P(inner.P, start=start, max_episode_steps=limit, action_names=actions, layout=layout)
    return mdp.with_name(title_of(name))


def wrappers_of(env: Any) -> Iterator["gymnasium.Wrapper[Any, Any, Any, Any]"]:
    """The wrappers around an environment, the outermost first."""
    import gymnasium

    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env


def _check_wrappers(env: Any, name: str) -> None:
    import gymnasium

    harmless = {getattr(gymnasium.wrappers, wrapper, None) for wrapper in _HARMLESS_WRAPPERS}
    inner = getattr(env, "unwrapped", env)
    if not isinstance(env, gymnasium.Env) and inner is not env:  # gym's wrappers are no classes of Gymnasium's
        raise InvalidInput(f"{name} is wrapped, whose effect the table P does not show; give env.unwrapped")
    for kind in map(type, wrappers_of(env)):
        if kind not in harmless:
            own = "a class of your own called " * (kind.__name__ in _HARMLESS_WRAPPERS)
            raise InvalidInput(
                f"{name} is wrapped in {own}{kind.__name__}, whose effect the table P does not show; "
                f"give env.unwrapped if it does not matter"
            )


def _check_table(inner: Any, name: str) -> None:
    if getattr(inner, "P", None) is None:
        raise NoTable(
            f"{name} cannot be used: it has no table P of its transitions; qfast.from_env needs no table, and finds "
            f"one by acting"
        )
    if getattr(inner, "fickle_passenger", False):
        raise InvalidInput(
            f"{name} with fickle_passenger=True cannot be used: passengers change their mind outside the table P, "
            f"which does not show it; use fickle_passenger=False"
        )


def registered_limit(env: Any) -> int | None:
    """Find the smallest limit that TimeLimit wrappers set or, without any, that of the registration."""
    from gymnasium.wrappers import TimeLimit

    limits = [int(wrapper._max_episode_steps) for wrapper in wrappers_of(env) if isinstance(wrapper, TimeLimit)]
    spec = getattr(env, "spec", None)
    return min(limits, default=None if spec is None else spec.max_episode_steps)


def printing_of(inner: Any) -> tuple[tuple[str, ...] | None, list[str] | None]:
    """Give the names of actions and the map of the environments that qfast knows."""
    from gymnasium.envs.toy_text import CliffWalkingEnv, FrozenLakeEnv, TaxiEnv

    if isinstance(inner, FrozenLakeEnv):
        desc: Any = inner.desc
        return ("left", "down", "right", "up"), ["".join(cell.decode() for cell in row) for row in desc]
    if isinstance(inner, CliffWalkingEnv):
        cells = np.where(inner._cliff, "C", ".")
        cells[np.unravel_index(inner.start_state_index, cells.shape)] = "S"
        cells[-1, -1] = "G"
        return ("up", "right", "down", "left"), ["".join(row) for row in cells.tolist()]
    if isinstance(inner, TaxiEnv):
        return TAXI_ACTIONS, None
    return None, None

"""What is measured of every agent of a study: the outcomes, and what each means."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.mdp import MDP

__all__ = ["BUILT_IN", "TRUTH", "AgentBlock", "Outcome", "choose_outcomes", "final_window"]


@dataclass(frozen=True, eq=False)
class AgentBlock:
    """Some agents of one configuration at the end of their training: what an outcome of the user's own is given.

    Attributes
    ----------
    q : ndarray of float32 or float64, shape (n, S, A)
        Their action values, in units of reward; -inf where an action is not allowed.  With double Q-learning the mean
        of both tables.
    returns : ndarray, shape (n, episodes)
        Undiscounted sum of rewards of each episode.
    lengths : ndarray of int32, shape (n, episodes)
        Steps of each episode.
    agents : ndarray of int64, shape (n,)
        The agents' numbers: ``qfast.train(…, first_agent=agents[i], n_agents=1)`` makes one of them again.
    settings : dict
        The configuration's settings, as `qfast.train` takes them.
    mdp : MDP
        The problem.
    """

    q: NDArray[Any]
    returns: NDArray[Any]
    lengths: NDArray[np.int32]
    agents: NDArray[np.int64]
    settings: dict[str, Any]
    mdp: MDP


@dataclass(frozen=True)
class Outcome:
    """One number of every agent.

    Attributes
    ----------
    name : str
    long_name, units, description : str
    higher_is_better : bool
    is_bool : bool
        Whether it is True or False.
    function : callable or None
        Of the user's: takes an `AgentBlock` and gives (n,) numbers.
    """

    name: str
    long_name: str
    units: str
    description: str
    higher_is_better: bool = True
    is_bool: bool = False
    function: Callable[[AgentBlock], Any] | None = field(default=None, compare=False)


#: The outcomes that need the exact solution of the problem.
TRUTH: Final = ("greedy_return", "regret", "optimal", "first_optimal")

BUILT_IN: Final = {
    outcome.name: outcome
    for outcome in (
        Outcome(
            "auc", "mean return over all episodes", "reward",
            "mean undiscounted return of the agent's episodes, from the first to the last: the normalised area under "
            "its learning curve",
        ),
        Outcome(
            "final_return", "mean return of the last episodes", "reward",
            "mean undiscounted return of the agent's last {window:,} episodes (a tenth of all), still exploring",
        ),
        Outcome(
            "greedy_return", "return of the greedy policy", "reward",
            "exact expected undiscounted return of an episode of the agent's greedy policy at the end of training, "
            "within the episode limit if there is one; NaN where the sum never settles",
        ),
        Outcome(
            "regret", "regret of the greedy policy", "reward",
            "V* minus the exact discounted value of the agent's greedy policy at the end of training, from the start",
            higher_is_better=False,
        ),
        Outcome(
            "optimal", "greedy policy is optimal", "1",
            "whether the agent's greedy policy at the end of training is optimal where it matters", is_bool=True,
        ),
        Outcome(
            "first_optimal", "first optimal episode", "episodes",
            "first checkpoint from which on the agent's greedy policy was optimal at every checkpoint up to the end; "
            "inf for never (censored)", higher_is_better=False,
        ),
        Outcome(
            "steps", "steps used", "steps", "environment transitions of the agent over all its episodes",
            higher_is_better=False,
        ),
    )
}  # fmt: skip

_TAKEN: Final = (
    "configuration", "label", "problem", "agent", "episode", "quantile", "quantile_episode", "checkpoint",
    "return_mean", "return_std", "return_quantile", "share_optimal", "regret_mean", "first_agent", "agents_run",
    "agents_diverged",
)  # fmt: skip


def final_window(episodes: int) -> int:
    """How many episodes count as the last ones: a tenth of all, at least one.

    Examples
    --------
    >>> final_window(1_000), final_window(5)
    (100, 1)
    """
    return max(1, episodes // 10)


def choose_outcomes(given: Any, settings: Sequence[str]) -> tuple[Outcome, ...]:
    """Turn what the user asked for into outcomes.

    Parameters
    ----------
    given : None, mapping of str to callable, or sequence of str and callables
        None: all built-in ones; a mapping: those, and the user's own; a sequence: only what is named in it.
    settings : sequence of str
        Names that the dataset has for other things.

    Returns
    -------
    tuple of Outcome

    Raises
    ------
    InvalidInput
        If one is unknown, named twice, or no function.

    Examples
    --------
    >>> [outcome.name for outcome in choose_outcomes(["auc", "optimal"], ())]
    ['auc', 'optimal']
    """
    if given is None:
        return tuple(BUILT_IN.values())
    if isinstance(given, Mapping):
        chosen = [*BUILT_IN.values(), *(_own(name, function) for name, function in given.items())]
    elif isinstance(given, Sequence) and not isinstance(given, str) and given:
        chosen = [_named(item) for item in given]
    else:
        msg = f"outcomes={given!r:.60} is no mapping of names to functions; use {{'name': function}} or a list of names"
        raise InvalidInput(msg)
    names = [outcome.name for outcome in chosen]
    for i, name in enumerate(names):
        if name in names[:i]:
            msg = f"outcomes: {name!r} is there twice; name each once, and your own unlike {', '.join(BUILT_IN)}"
            raise InvalidInput(msg)
        if name in _TAKEN or name in settings:
            msg = f"outcomes: {name!r} already names something else in the dataset; choose another name"
            raise InvalidInput(msg)
    return tuple(chosen)


def _named(item: Any) -> Outcome:
    if isinstance(item, Outcome):
        return item
    return BUILT_IN[item] if isinstance(item, str) and item in BUILT_IN else _own(getattr(item, "__name__", item), item)


def _own(name: Any, function: Any) -> Outcome:
    if not callable(function):
        if isinstance(function, str):
            msg = f"outcomes: {function!r} is unknown; use {', '.join(BUILT_IN)}, or a function of your own"
        else:
            msg = f"outcomes: {name!r} is {function!r:.40}, no function; give one that takes an AgentBlock"
        raise InvalidInput(msg)
    if not isinstance(name, str) or not name.isidentifier():
        msg = f"outcomes: {name!r} cannot be a name; use an identifier, as in {{'last_return': function}}"
        raise InvalidInput(msg)
    first_line = (getattr(function, "__doc__", None) or "").strip().split("\n")[0]
    return Outcome(name, name.replace("_", " "), "1", first_line or "an outcome of the user's own", function=function)

"""What an agent is: its learning rule, its exploration and its rates, checked once."""

from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import choice, number, whole
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.model.rates import Rate, as_rate, constant
from qfast.model.settings import DEFAULTS, RATES, SETTINGS, Setting

__all__ = ["Learner", "make_learner"]


@dataclass(frozen=True)
class Learner:
    """Every setting of the agents of a run, checked.  Made by `make_learner`; `qfast.train` says what they mean.

    Attributes
    ----------
    rule, explore : str
        The learning rule, and the way actions are chosen.
    n : int
        Steps that an update looks ahead.
    traces : {"accumulating", "replacing"} or None
    trace_cutoff : float
        Traces below it are dropped.
    alpha, gamma, initial_q : Rate
        Step size, discount, and the value that Q starts with.
    epsilon, temperature, c, lambda_ : Rate
        Exploration rate, softmax temperature, UCB's bonus, trace decay; neutral where they have no meaning.
    ties : {"random", "first", "last"}
        Which of several greedy actions is taken.
    dtype : numpy.dtype
        float32 or float64.
    """

    rule: str
    n: int
    traces: str | None
    trace_cutoff: float
    explore: str
    alpha: Rate
    gamma: Rate
    epsilon: Rate
    initial_q: Rate
    temperature: Rate
    lambda_: Rate
    c: Rate
    ties: str
    dtype: np.dtype[Any]

    @property
    def shown(self) -> tuple[str, ...]:
        """The rates that have a meaning for this learner, but for Q's first value."""
        return tuple(name for name in RATES if name != "initial_q" and SETTINGS[name].is_used(vars(self)))

    def given(self) -> dict[str, Any]:
        """The settings that have a meaning, as `make_learner` takes them."""
        return {name: getattr(self, name) for name, setting in SETTINGS.items() if setting.is_used(vars(self))}

    def first(self, count: int) -> "Learner":
        """Make the same learner for the first ``count`` agents."""
        return replace(self, **{name: getattr(self, name).first(count) for name in RATES})

    def words(self) -> dict[str, str]:
        """Each setting that has a meaning, in words."""
        words = {"rule": self.rule, "explore": self.explore}
        if self.traces:
            words["traces"] = self.traces
        rates = {name: repr(getattr(self, name)) for name in (*self.shown, "initial_q")}
        return words | rates | {"ties": self.ties, "dtype": self.dtype.name}

    def options(self) -> dict[str, Any]:
        """Everything that is not a rate, ready for JSON."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in RATES}
        return plain | {"dtype": self.dtype.name}


def take_tied(best: NDArray[np.bool_], ties: str) -> NDArray[np.bool_]:
    """Of equally good actions (…, A), keep those that the tie rule may take.

    >>> [take_tied(np.array([False, True, True]), ties).tolist() for ties in ("random", "last")]
    [[False, True, True], [False, False, True]]
    """
    taken = best
    if ties == "first":
        taken = best & (best.cumsum(axis=-1) == 1)
    elif ties == "last":
        taken = best & (best[..., ::-1].cumsum(axis=-1)[..., ::-1] == 1)
    return taken


def _refuse(condition: object, message: str) -> None:
    if condition:
        raise InvalidInput(message)


def _check_used(setting: Setting, value: Any, settings: dict[str, Any]) -> None:
    """Refuse a setting that has no meaning beside the others, and the absence of one that is needed."""
    if setting.goes_with is None:
        return
    name, (condition, values) = setting.name, setting.goes_with
    actual, given = settings[condition], setting.is_given(value)
    if given and not setting.is_used(settings):
        beside = f"without {condition}" if actual is None else f"with {condition}={actual!r}"
        homes = " or ".join(f"{condition}={home!r}" for home in values)
        raise InvalidInput(f"{name}={value!r:.40} has no meaning {beside}; use {homes}, or leave it out")
    needed = setting.kind == "rate" and setting.own_default is None and setting.is_used(settings)
    _refuse(
        needed and not given,
        f"{condition}={actual!r} need {name}, {setting.help}, in [{setting.low:g}, {setting.high:g}]; use {name}=0.9",
    )


def _check_combination(settings: dict[str, Any]) -> None:
    """Refuse options that contradict each other."""
    rule, n, traces = (settings[name] for name in ("rule", "n", "traces"))
    whole("n", n, most=int(SETTINGS["n"].high), fix="use n=1 for one-step updates")
    _refuse(
        n > 1 and rule in ("double_q_learning", "article"),
        f"n={n} has no meaning for rule={rule!r}; use n=1, or 'q_learning', 'sarsa' or 'expected_sarsa'",
    )
    _refuse(n > 1 and traces, f"n={n} and traces={traces!r} exclude each other; use one of the two")
    _refuse(
        traces and rule not in ("q_learning", "sarsa"),
        f"traces={traces!r} have no meaning for rule={rule!r}; use 'q_learning' (Watkins's Q(lambda)) or 'sarsa'",
    )
    number("trace_cutoff", settings["trace_cutoff"], "[0, 1)", "use 0 to keep every trace")
    _refuse(
        rule == "expected_sarsa" and settings["explore"] == "ucb",
        "rule='expected_sarsa' needs the probabilities of actions, and explore='ucb' has none; "
        "use explore='epsilon_greedy' or 'softmax'",
    )


def make_learner(*, n_agents: int, episodes: int, mdp: MDP | None = None, **given: Any) -> Learner:
    """Check the settings of a run's agents, as `qfast.train` takes them; those left out have their defaults.

    Tables, with a value for each state and action, need the problem that they are for.

    >>> make_learner(n_agents=2, episodes=3, epsilon=[0.3, 0.2, 0.1]).epsilon
    by_episode(3 values from 0.3 to 0.1)
    """
    unknown = given.keys() - SETTINGS.keys()
    if unknown:
        raise TypeError(f"{min(unknown)!r} is no setting of a learner")
    settings = DEFAULTS | given
    if settings["dtype"] is not None:  # to NumPy that is float64
        with suppress(TypeError):  # np.float32 and the like are names, too
            settings["dtype"] = np.dtype(settings["dtype"]).name
    choices = [setting for setting in SETTINGS.values() if setting.kind == "choice"]
    for setting in choices:
        if settings[setting.name] is not None or setting.default is not None:
            choice(setting.name, settings[setting.name], setting.choices)
    _check_combination(settings)
    for setting in SETTINGS.values():
        _check_used(setting, settings[setting.name], settings)
    element = np.dtype(settings["dtype"])
    largest = float(np.finfo(element).max) / 4  # so that a difference of two values is a number, too

    pairs = None if mdp is None else np.ones((mdp.n_states, mdp.n_actions), np.bool_)
    if mdp is not None and mdp.allowed is not None:
        pairs = mdp.allowed | ~mdp.allowed.any(axis=1, keepdims=True)  # nobody acts where nothing is allowed

    def rate(setting: Setting) -> Rate:
        value = settings[setting.name]
        if not setting.is_used(settings):
            return constant(setting.neutral)
        if setting.own_default is not None and not setting.is_given(value):
            value = setting.own_default
        low, high = max(setting.low, -largest), min(setting.high, largest)
        return as_rate(
            value, setting.name, n_agents=n_agents, episodes=episodes, low=low, high=high,
            schedule=setting.schedule, visits=setting.by_visits, pairs=pairs if setting.by_pair else None,
        )  # fmt: skip

    rates = {name: rate(SETTINGS[name]) for name in RATES}
    plain = {setting.name: settings[setting.name] for setting in choices}
    return Learner(
        **plain | rates | {"n": int(settings["n"]), "trace_cutoff": float(settings["trace_cutoff"]), "dtype": element}
    )

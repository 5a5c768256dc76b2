"""Every setting of a learner, once: its default, what it may be, when it has a meaning, and a line of help.

The signatures' checks, files, the command line's options, what a study can vary and what is shown come from this table.
A new setting is a row here, a parameter of `qfast.train` and `qfast.study`, a field of `Learner`, and its meaning in
the kernel and in the oracle of the tests.  Nothing is imported: the command line's help needs no NumPy.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["DEFAULTS", "DEFAULT_EPSILON", "RATES", "SETTINGS", "Setting", "meaningful", "settings_in"]

#: The default of epsilon, told apart from a number that the user gave by its identity.
DEFAULT_EPSILON: Final = float("0.1")


@dataclass(frozen=True)
class Setting:
    """One setting of a learner."""

    name: str  # as `qfast.train` calls it
    default: Any  # where nothing is given
    kind: Literal["rate", "count", "number", "choice"]  # a rate is a number, one for each agent, or a schedule
    help: str  # what it is, in half a line
    choices: tuple[str, ...] = ()
    low: float = 0.0  # the range of numbers, ends included
    high: float = 1.0
    schedule: bool = False  # whether a rate may change with the episode
    by_visits: bool = False  # or with the visits to a pair
    by_pair: bool = False  # whether it may be a table, with a value for each state and action
    goes_with: tuple[str, tuple[str, ...]] | None = None  # the setting, and its values, beside which it has a meaning
    own_default: float | None = None  # what it is where it has a meaning and nothing is given; None if it must be given
    neutral: float = 0.0  # what the kernel gets of a rate where it has no meaning
    resumable: bool = False  # whether `qfast.resume` takes a new value

    @property
    def option(self) -> str:
        """Its name on the command line, without the hyphens in front."""
        return self.name.rstrip("_").replace("_", "-")

    def is_used(self, settings: Mapping[str, Any]) -> bool:
        """Whether it has a meaning beside other settings; those that are missing have their defaults."""
        if self.goes_with is None:
            return True
        condition, values = self.goes_with
        value = settings.get(condition, DEFAULTS[condition])
        return isinstance(value, str) and value in values

    def is_given(self, value: Any) -> bool:
        """Whether a value was chosen: None and the default that `qfast.train` has say nothing."""
        return not (value is None or value is self.default or (self.kind == "number" and value == self.default))


_TRACES: Final = ("accumulating", "replacing")

_TABLE: Final = (
    Setting("alpha", 0.1, "rate", "step size", schedule=True, by_visits=True, resumable=True),
    Setting("gamma", 0.9, "rate", "discount"),
    Setting(
        "epsilon", DEFAULT_EPSILON, "rate", "exploration rate", schedule=True,
        goes_with=("explore", ("epsilon_greedy",)), own_default=0.1, resumable=True,
    ),
    Setting("initial_q", 0.0, "rate", "value Q starts with", low=-math.inf, high=math.inf, by_pair=True),
    Setting(
        "rule", "q_learning", "choice", "learning rule",
        ("q_learning", "sarsa", "expected_sarsa", "double_q_learning", "article"),
    ),
    Setting("n", 1, "count", "steps that an update looks ahead", low=1, high=100_000),  # a lane remembers each
    Setting("traces", None, "choice", "eligibility traces, with lambda", _TRACES),
    Setting(
        "lambda_", None, "rate", "decay of the traces", schedule=True, goes_with=("traces", _TRACES), resumable=True
    ),
    Setting(
        "trace_cutoff", 0.0, "number", "traces below it are dropped", high=math.nextafter(1, 0),
        goes_with=("traces", _TRACES),
    ),
    Setting(
        "explore", "epsilon_greedy", "choice", "how actions are chosen", ("epsilon_greedy", "greedy", "softmax", "ucb")
    ),
    Setting(
        "temperature", None, "rate", "temperature of softmax", low=1e-6, high=1e12, schedule=True,
        goes_with=("explore", ("softmax",)), own_default=1.0, neutral=1.0, resumable=True,
    ),
    Setting("c", None, "rate", "weight of UCB's bonus", high=1e6, goes_with=("explore", ("ucb",)), own_default=2.0),
    Setting("ties", "random", "choice", "which of equally good actions is taken", ("random", "first", "last")),
    Setting("dtype", "float32", "choice", "numbers in Q", ("float32", "float64")),
)  # fmt: skip

#: The settings by name, in the order in which they are listed.
SETTINGS: Final[dict[str, Setting]] = {setting.name: setting for setting in _TABLE}

#: What they are where nothing is given.
DEFAULTS: Final[dict[str, Any]] = {setting.name: setting.default for setting in _TABLE}

#: The names of those that are rates.
RATES: Final = tuple(setting.name for setting in _TABLE if setting.kind == "rate")


def settings_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the learner's settings out of a function's arguments."""
    return {name: arguments[name] for name in SETTINGS if name in arguments}


def meaningful(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put the default in place of each setting that has no meaning beside the others.

    >>> meaningful({"explore": "greedy", "epsilon": 0.3, "alpha": 0.5})
    {'explore': 'greedy', 'epsilon': 0.1, 'alpha': 0.5}
    """
    return {
        name: value if SETTINGS[name].is_used(settings) else SETTINGS[name].default for name, value in settings.items()
    }

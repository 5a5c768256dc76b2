"""What is measured of every agent of a study, what each metric means, and how well one has to be known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP

if TYPE_CHECKING:
    from qfast.stats import PrecisionRule

__all__ = [
    "BUILT_IN", "TRUTH", "AgentBlock", "Goal", "Metric", "choose_metrics", "final_window", "looks", "make_goal",
    "own_metric",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class AgentBlock:
    """Some agents of one configuration at the end of their training: what a metric of the user's own is given.

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
class Metric:
    """One number of every agent of a study: what is measured, in which unit, and which direction is good.

    Parameters
    ----------
    function : callable or None
        Takes an `qfast.studies.AgentBlock`, n agents of one configuration at the end of their training, and returns an
        array of n numbers (or bools).  Infinite numbers stay infinite; NaN says that an agent's number is undefined.
        None for metrics that qfast measures itself, and for those read from a file.
    name : str, optional
        An identifier, under which the dataset has it; by default the function's own name.
    higher_is_better : bool
        Which direction is good.  There is no default: a winner depends on it.
    unit : str, default "1"
        What one unit is, such as ``"reward"``; ``"1"`` for a pure number.
    is_time : bool, default False
        Whether it is the episode in which something first happened, with inf for never.  Then quantiles may be
        "never", and a mean is a restricted mean: what never happened counts as the number of episodes trained.
    title : str, optional
        The name in words; by default the name itself.
    description : str, optional
        What it measures, in a sentence; by default the first line of the function's docstring.
    is_bool : bool, default False
        Whether it is True or False.
    interval_censored : bool, default False
        Whether a time is seen at checkpoints only: then it lies after the checkpoint before, and not after its value.

    Raises
    ------
    InvalidInput
        If the function cannot be called, the direction is missing, the name is no identifier, or a time has another
        unit than episodes.

    Examples
    --------
    >>> import qfast
    >>> def failures(block):
    ...     return (block.returns == 0).sum(axis=1)
    >>> metric = qfast.Metric(failures, higher_is_better=False, unit="episodes")
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, metrics=["auc", metric], n_agents=200, episodes=100,
    ...                     seed=0, progress=False)
    >>> study.metrics, study.compare("epsilon=0.1", "epsilon=0.4", "failures").better
    (['auc', 'failures'], 'a')
    """

    function: Callable[[AgentBlock], Any] | None = field(default=None, compare=False)
    name: str = ""
    higher_is_better: bool = field(default=cast("bool", None), kw_only=True)
    unit: str = field(default="", kw_only=True)
    is_time: bool = field(default=False, kw_only=True)
    title: str = field(default="", kw_only=True)
    description: str = field(default="", kw_only=True)
    is_bool: bool = field(default=False, kw_only=True)
    interval_censored: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Check it, and fill in what follows from the function."""
        if self.function is not None and not callable(self.function):
            raise InvalidInput(f"Metric: {self.function!r:.40} is no function; give one that takes an AgentBlock")
        own = getattr(self.function, "__name__", "")
        name = self.name or (own if own.isidentifier() else "")
        if not isinstance(name, str) or (name and not name.isidentifier()):
            msg = f"Metric: {name!r:.40} cannot be a name; use an identifier, as in Metric(function, 'last_return', …)"
            raise InvalidInput(msg)
        if not isinstance(self.higher_is_better, (bool, np.bool_)):
            value = f"higher_is_better={self.higher_is_better!r:.40}"
            raise InvalidInput(f"Metric: {value} is neither True nor False; say which direction is good")
        for flag in ("is_time", "is_bool", "interval_censored"):
            if not isinstance(getattr(self, flag), (bool, np.bool_)):
                msg = f"Metric: {flag}={getattr(self, flag)!r:.40} is neither True nor False; use one of them"
                raise InvalidInput(msg)
        for text in ("unit", "title", "description"):
            if not isinstance(getattr(self, text), str):
                raise InvalidInput(f"Metric: {text}={getattr(self, text)!r:.40} is no text; use one such as 'steps'")
        if self.interval_censored and not self.is_time:
            raise InvalidInput("Metric: interval_censored=True has no meaning without is_time=True; leave it out")
        unit = self.unit or ("episodes" if self.is_time else "1")
        if self.is_time and unit != "episodes":
            raise InvalidInput(
                f"Metric: a time is in episodes, and unit={unit!r}; leave is_time out: infinite scores stay infinite, "
                "and medians and ranks are given"
            )
        first_line = (getattr(self.function, "__doc__", None) or "").strip().split("\n")[0]
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "title", self.title or name.replace("_", " "))
        object.__setattr__(self, "description", self.description or first_line)

    @property
    def axis(self) -> str:
        """Label of an axis: the name in words with its unit."""
        return self.title if self.unit in ("", "1") else f"{self.title} ({self.unit})"

    @property
    def direction(self) -> str:
        """Say which direction is good."""
        return "higher is better" if self.higher_is_better else "lower is better"


#: The metrics that need the exact solution of the problem.
TRUTH: Final = ("greedy_return", "regret", "optimal", "first_optimal")

BUILT_IN: Final = {
    metric.name: metric
    for metric in (
        Metric(
            name="auc", title="mean return over all episodes", unit="reward", higher_is_better=True,
            description="mean undiscounted return of the agent's episodes, from the first to the last: the normalised "
            "area under its learning curve",
        ),
        Metric(
            name="final_return", title="mean return of the last episodes", unit="reward", higher_is_better=True,
            description="mean undiscounted return of the agent's last {window:,} episodes (a tenth of all), still "
            "exploring",
        ),
        Metric(
            name="greedy_return", title="return of the greedy policy {within}", unit="reward", higher_is_better=True,
            description="exact expected undiscounted return of an episode of the agent's greedy policy at the end of "
            "training, {within}{settles}",
        ),
        Metric(
            name="regret", title="regret of the greedy policy", unit="reward", higher_is_better=False,
            description="V* minus the exact discounted value of the agent's greedy policy at the end of training, from "
            "the start, both without an episode limit; inf where the policy collects costs without end",
        ),
        Metric(
            name="optimal", title="greedy policy is optimal", higher_is_better=True, is_bool=True,
            description="whether the agent's greedy policy at the end of training is optimal where it matters",
        ),
        Metric(
            name="first_optimal", title="first optimal episode", higher_is_better=False, is_time=True,
            interval_censored=True,
            description="first checkpoint from which on the agent's greedy policy was optimal at every checkpoint up "
            "to the end: it became so after the checkpoint before; inf for never",
        ),
        Metric(
            name="steps", title="steps used", unit="steps", higher_is_better=False,
            description="environment transitions of the agent over all its episodes",
        ),
    )
}  # fmt: skip

_TAKEN: Final = (
    "configuration", "label", "problem", "agent", "episode", "quantile", "quantile_episode", "checkpoint",
    "return_mean", "return_std", "return_quantile", "share_optimal", "regret_mean", "first_agent", "agents_run",
    "agents_diverged",
)  # fmt: skip


def final_window(episodes: int) -> int:
    """How many episodes count as the last ones: a tenth of all, at least one."""
    return max(1, episodes // 10)


def choose_metrics(given: Any, settings: Sequence[str]) -> tuple[Metric, ...]:
    """What is measured, out of what the user gave as ``metrics=``."""
    if given is None:
        return tuple(BUILT_IN.values())
    if isinstance(given, Mapping):
        chosen = [*BUILT_IN.values(), *(_own(item, name) for name, item in given.items())]
    elif isinstance(given, (str, Metric)) or callable(given):
        chosen = [_own(given)]
    elif isinstance(given, Sequence) and given:
        chosen = [_own(item) for item in given]
    else:
        msg = f"metrics={given!r:.60} names nothing to measure; use for example ['auc', 'optimal'], or leave it out"
        raise InvalidInput(msg)
    names = [metric.name for metric in chosen]
    for i, name in enumerate(names):
        if name in names[:i]:
            msg = f"metrics: {name!r} is there twice; name each once, and your own unlike {', '.join(BUILT_IN)}"
            raise InvalidInput(msg)
        if name in _TAKEN or name in settings:
            raise InvalidInput(f"metrics: {name!r} already names something else in the dataset; choose another name")
    return tuple(chosen)


def _own(item: Any, name: Any = None) -> Metric:
    """What one item asks for; the key of a mapping is its name."""
    if isinstance(item, str) and name is None:
        if item in BUILT_IN:
            return BUILT_IN[item]
        raise InvalidInput(f"metrics: {item!r} is unknown; use {', '.join(BUILT_IN)}, or a qfast.Metric of your own")
    if not isinstance(item, Metric):
        called = name or getattr(item, "__name__", None)
        if callable(item):
            msg = (
                f"metrics: {called!r} is a function, and nothing says which direction is good; "
                "use qfast.Metric(function, higher_is_better=True) or False"
            )
        else:
            msg = f"metrics: {called or item!r:.40} is no metric ({item!r:.40}); use a built-in name or a qfast.Metric"
        raise InvalidInput(msg)
    if name is not None and name != item.name:
        title = "" if item.title == item.name.replace("_", " ") else item.title
        item = replace(item, name=name, title=title)
    metric: Metric = item
    if not item.name:
        msg = f"metrics: {item.function!r:.60} has no name; use for example qfast.Metric(function, 'last_return', …)"
        raise InvalidInput(msg)
    if item.function is None and item != BUILT_IN.get(item.name):
        msg = f"metrics: {item.name!r} has no function; use qfast.Metric(function, {item.name!r}, higher_is_better=…)"
        raise InvalidInput(msg)
    return metric


def own_metric(metric: Metric) -> dict[str, Any]:
    """All of a metric but its name and function, as JSON holds it: ``Metric(function, name, **own_metric(…))``."""
    return {part.name: getattr(metric, part.name) for part in fields(Metric) if part.name not in ("function", "name")}


#: Agents at the first look, and what the later numbers are multiples of.
_FIRST: Final = 1024
_STEP: Final = 512
_GROWTH: Final = 1.25

#: The metric that a lone number is about.
_DEFAULT: Final = "auc"


@dataclass(frozen=True)
class Goal:
    """What has to be known how well: which of the study's metrics, and the rule."""

    metric: int
    name: str
    rule: "PrecisionRule"

    def described(self) -> dict[str, Any]:
        """The goal as JSON holds it."""
        return {"metric": self.name, **asdict(self.rule)}


def make_goal(given: Any, metrics: Sequence[Metric]) -> Goal | None:
    """Turn what the user asked for into a goal: a half-width or a PrecisionRule, of "auc" or the metric named."""
    if given is None:
        return None
    from qfast.stats import PrecisionRule

    name, rule = _DEFAULT, given
    if isinstance(given, Mapping):
        if len(given) != 1:
            raise InvalidInput(f"precision={given!r:.60} must name one metric; use for example {{'auc': 0.05}}")
        ((name, rule),) = given.items()
    names = [metric.name for metric in metrics]
    if name not in names:
        raise InvalidInput(f"precision: {name!r} is no metric of this study; use one of {', '.join(names)}")
    number = names.index(name)
    if metrics[number].is_time:
        msg = f"precision: {name} is a time that may never come, and has no mean; use 'optimal', the share of agents"
        raise InvalidInput(msg)
    if not isinstance(rule, PrecisionRule):
        if isinstance(rule, bool) or not isinstance(rule, (int, float)):
            msg = f"precision={rule!r:.60} is no half-width; use a number such as 0.05, or a qfast.stats.PrecisionRule"
            raise InvalidInput(msg)
        rule = PrecisionRule(float(rule), quantity="share" if metrics[number].is_bool else "mean")
    return Goal(number, name, rule)


def looks(n_agents: int) -> list[int]:
    """The numbers of agents at which a study looks: a quarter more each time, up to the limit."""
    numbers = [min(_FIRST, n_agents)]
    while numbers[-1] < n_agents:
        more = -(-int(numbers[-1] * _GROWTH) // _STEP) * _STEP
        numbers.append(min(n_agents, max(more, numbers[-1] + _STEP)))
    return numbers

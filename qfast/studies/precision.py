"""When a study has run enough agents: at fixed numbers of them, an interval that is valid at every look decides."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from qfast.errors import InvalidInput
from qfast.studies.metrics import Metric

if TYPE_CHECKING:
    from qfast.stats import PrecisionRule

__all__ = ["Goal", "looks", "make_goal"]

#: Agents at the first look, and what the later numbers are multiples of.
_FIRST: Final = 1024
_STEP: Final = 512
_GROWTH: Final = 1.25

#: The metric that a lone number is about.
_DEFAULT: Final = "auc"


@dataclass(frozen=True)
class Goal:
    """What has to be known how well.

    Attributes
    ----------
    metric : int
        Place of the metric among those of the study.
    name : str
    rule : PrecisionRule
    """

    metric: int
    name: str
    rule: "PrecisionRule"

    def described(self) -> dict[str, Any]:
        """The goal as JSON holds it."""
        return {"metric": self.name, **asdict(self.rule)}


def make_goal(given: Any, metrics: Sequence[Metric]) -> Goal | None:
    """Turn what the user asked for into a goal.

    Parameters
    ----------
    given : None, float, PrecisionRule, or mapping of one metric's name to a float or PrecisionRule
    metrics : sequence of Metric

    Returns
    -------
    Goal or None

    Raises
    ------
    InvalidInput
        If the metric is not one of the study's, or the half-width is no positive number.
    """
    if given is None:
        return None
    from qfast.stats import PrecisionRule

    name, rule = _DEFAULT, given
    if isinstance(given, Mapping):
        if len(given) != 1:
            msg = f"precision={given!r:.60} must name one metric; use for example {{'auc': 0.05}}"
            raise InvalidInput(msg)
        ((name, rule),) = given.items()
    names = [metric.name for metric in metrics]
    if name not in names:
        msg = f"precision: {name!r} is no metric of this study; use one of {', '.join(names)}"
        raise InvalidInput(msg)
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
    """The numbers of agents at which a study looks: a quarter more each time, up to the limit.

    Examples
    --------
    >>> looks(5_000)
    [1024, 1536, 2048, 2560, 3584, 4608, 5000]
    """
    numbers = [min(_FIRST, n_agents)]
    while numbers[-1] < n_agents:
        more = -(-int(numbers[-1] * _GROWTH) // _STEP) * _STEP
        numbers.append(min(n_agents, max(more, numbers[-1] + _STEP)))
    return numbers

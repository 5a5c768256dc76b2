"""What the pictures of studies share: which configurations are shown, and how they are told apart without colour."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.plots.canvas import COLOURS
from qfast.studies.select import Metric, StudyData, ranked
from qfast.studies.texts import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST_LINES", "Look", "agents_text", "axis_of", "left_out", "look", "say", "shown", "thin"]

#: More lines than this cannot be told apart in one picture.
MOST_LINES: Final = 6

# Solid, dashed, dash-dotted, dotted, long-dashed, dash-dot-dotted: with a marker each, they are told apart in grey.
_LINES: Final = ("-", (0, (5, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.4)), (0, (9, 3)), (0, (5, 1.5, 1, 1.5, 1, 1.5)))
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")

_MOST_POINTS: Final = 240


class Look(NamedTuple):
    """Colour, line style and marker of one configuration."""

    color: str
    linestyle: Any
    marker: str


def look(i: int) -> Look:
    """Give the i-th look; from the seventh on they repeat."""
    return Look(COLOURS[i % len(COLOURS)], _LINES[i % len(_LINES)], _MARKERS[i % len(_MARKERS)])


def shown(
    study: StudyData, configurations: Sequence[Any] | None, metric: Metric, most: int = MOST_LINES
) -> tuple[list[int], str]:
    """Which configurations a picture has, and what to say if it has not all: by default the best ones.

    Raises
    ------
    InvalidInput
        If there is none, one twice, or more than can be told apart.
    """
    n = len(study.labels)
    if configurations is None:
        if n <= most:
            return list(range(n)), ""
        if len({str(settings.get("problem")) for settings in study.configurations}) > 1:
            msg = f"{n} configurations of several problems, whose metrics have no common scale; name some to be drawn"
            raise InvalidInput(msg)
        return ranked(study, metric, range(n)).order[:most], f"the {most} best of {n:,} by {metric.title}"
    if isinstance(configurations, np.ndarray):
        configurations = np.atleast_1d(configurations).tolist()
    if isinstance(configurations, str) or not isinstance(configurations, Sequence):
        msg = f"configurations={configurations!r:.60} is no list; use for example [0, 1] or labels"
        raise InvalidInput(msg)
    chosen = [study.find(c) for c in configurations]
    if not chosen or len(set(chosen)) < len(chosen):
        msg = f"configurations={list(configurations)!r:.80} is empty or names one twice; name each once"
        raise InvalidInput(msg)
    if len(chosen) > most:
        msg = f"configurations names {len(chosen)}, and {most} can be told apart in one picture; name fewer"
        raise InvalidInput(msg)
    return chosen, "" if len(chosen) == n else f"{len(chosen)} of {n:,} configurations"


def left_out(label: str, scores: NDArray[np.float64]) -> str:
    """Say which agents a picture cannot show: those with infinite or undefined scores; empty where it shows all.

    Examples
    --------
    >>> left_out("alpha=0.1", np.array([1.0, np.inf, np.nan, 2.0]))
    'alpha=0.1: 25 % infinite, 25 % undefined, not drawn'
    """
    shares = (("infinite", np.isinf(scores).mean()), ("undefined", np.isnan(scores).mean()))
    told = [f"{percent(float(share))} {word}" for word, share in shares if share]
    return f"{label}: {', '.join(told)}, not drawn" if told else ""


def axis_of(metric: Metric, scores: Sequence[NDArray[np.float64]], episodes: int) -> str:
    """Label of an axis with a metric's scores: of times also what never is, and what a checkpoint tells."""
    texts = [metric.axis]
    if metric.is_time and any(np.isinf(x).any() for x in scores):
        texts.append(f"never: {episodes:,}")
    if metric.interval_censored:
        texts.append("at the checkpoint that saw it")
    return texts[0] if len(texts) == 1 else f"{texts[0]}\n({'; '.join(texts[1:])})"


def agents_text(counts: Sequence[int]) -> str:
    """Say how many agents a configuration has.

    Examples
    --------
    >>> agents_text([1000, 1000]), agents_text([100, 250])
    ('1,000 agents each', '100 to 250 agents each')
    """
    low, high = min(counts), max(counts)
    each = " each" if len(counts) > 1 else ""
    if low != high:
        return f"{low:,} to {high:,} agents{each}"
    return f"{low:,} agent{'' if low == 1 else 's'}{each}"


def say(ax: "Axes", *texts: str, labels: Sequence[str] = ()) -> None:
    """Write what a picture shows above it, in as many lines as it takes; long labels on the left leave less room."""
    inches = ax.figure.get_window_extent().width / ax.figure.dpi * ax.get_position().width
    width = max(30, int(14.5 * inches) - max((len(label) - 8 for label in labels), default=0))
    lines: list[str] = []
    for text in filter(None, texts):
        joined = f"{lines[-1]}; {text}" if lines else text
        if lines and len(joined) <= width:
            lines[-1] = joined
        else:
            lines += textwrap.wrap(text, width)
    ax.set_title("\n".join(lines), loc="left", fontsize="small")


def thin(n: int, most: int = _MOST_POINTS) -> NDArray[np.int64]:
    """Indices of at most this many of n points, the first and the last among them."""
    if n <= most:
        return np.arange(n)
    return np.unique(np.rint(np.linspace(0, n - 1, most)).astype(np.int64))

"""What all pictures share: axes, colours and looks, which configurations are drawn, and the texts around them."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import shown
from qfast.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qfast.studies.select import Metric, StudyData

#: The palette of Okabe & Ito (2008), made for people who do not see all colours, without yellow and black.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
#: What is neither good nor bad: walls, ends, what is left over.
GREY: Final = "#BBBBBB"
#: More lines than this cannot be told apart in one picture.
MOST_LINES: Final = 6

# Solid, dashed, dash-dotted, dotted, long-dashed, dash-dot-dotted: with a marker each, they are told apart in grey.
_LINES: Final = ("-", (0, (5, 2)), (0, (6, 2, 1, 2)), (0, (1, 1.4)), (0, (9, 3)), (0, (5, 1.5, 1, 1.5, 1, 1.5)))
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")


def matplotlib(module: str) -> Any:
    """Import a module of matplotlib, or raise MissingExtra."""
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise MissingExtra('matplotlib is not installed; pictures need it: pip install "qfast[plot]"') from error


def axes_of(ax: "Axes | None", size: tuple[float, float] = (6.4, 4.0)) -> "Axes":
    """Give the axes to draw on: those given, or those of a new figure (which is not shown)."""
    if ax is not None:
        if not isinstance(ax, matplotlib("axes").Axes):
            raise InvalidInput(f"ax is {shown(ax)}, not matplotlib axes; use those of plt.subplots(), or leave ax out")
        given: Axes = ax
        return given
    _, new = matplotlib("pyplot").subplots(figsize=size, layout="constrained")
    made: Axes = new
    return made


@contextmanager
def off_screen() -> Iterator[None]:
    """Draw into memory, whatever windows there are; figures made inside are forgotten at the end."""
    matplotlib("pyplot").switch_backend("agg")
    try:
        yield
    finally:
        matplotlib("pyplot").close("all")


def colormap_of(name: str) -> Any:
    """Give a colormap that shows what has no value (NaN) in light grey."""
    return matplotlib("cm").ScalarMappable(cmap=name).get_cmap().with_extremes(bad="#E4E4E4")


def plain_frame(ax: "Axes") -> None:
    """Take away the lines around the axes that say nothing."""
    ax.spines[["top", "right"]].set_visible(False)


def percent_axis(axis: Any) -> None:
    """Label an axis of shares in percent."""
    axis.set_major_formatter(matplotlib("ticker").PercentFormatter(1.0))


def share_axis(ax: "Axes", label: str) -> None:
    """Let the axis upwards go from 0 to 100 %."""
    ax.set_ylabel(label)
    ax.set_ylim(-0.02, 1.02)
    percent_axis(ax.yaxis)


def colour_of(color: Any) -> Any:
    """Give a colour as matplotlib takes it: the first of the palette where none is given."""
    if color is None:
        return COLOURS[0]
    if not matplotlib("colors").is_color_like(color):
        raise InvalidInput(f"color is {shown(color)}, no colour of matplotlib; use for example 'tab:blue' or '#0072B2'")
    return color


class Look(NamedTuple):
    """Colour, line style and marker of one configuration."""

    color: str
    linestyle: Any
    marker: str


def look(i: int) -> Look:
    """Give the i-th look; from the seventh on they repeat."""
    return Look(COLOURS[i % len(COLOURS)], _LINES[i % len(_LINES)], _MARKERS[i % len(_MARKERS)])


def choose(
    study: "StudyData", configurations: Sequence[Any] | None, metric: "Metric", most: int = MOST_LINES
) -> tuple[list[int], str]:
    """Which configurations a picture has, and what to say if it has not all: by default the best ones."""
    from qfast.studies.select import ranked

    n = len(study.labels)
    if configurations is None:
        if n <= most:
            return list(range(n)), ""
        if len({str(settings.get("problem")) for settings in study.configurations}) > 1:
            msg = f"{n} configurations of several problems, whose metrics have no common scale; name some to be drawn"
            raise InvalidInput(msg)
        return ranked(study, metric, range(n)).order[:most], f"the {most} best of {n:,} by {metric.title}"
    return find_all(configurations, study.find, n, most)


def find_all(configurations: Any, find: Callable[[Any], int], n: int, most: int = MOST_LINES) -> tuple[list[int], str]:
    """Find those of n configurations that a user named, and say it if they are not all."""
    if isinstance(configurations, np.ndarray):
        configurations = np.atleast_1d(configurations).tolist()
    if isinstance(configurations, str) or not isinstance(configurations, Sequence):
        raise InvalidInput(f"configurations={configurations!r:.60} is no list; use for example [0, 1] or labels")
    chosen = [find(c) for c in configurations]
    if not chosen or len(set(chosen)) < len(chosen):
        raise InvalidInput(f"configurations={list(configurations)!r:.80} is empty or names one twice; name each once")
    if len(chosen) > most:
        msg = f"configurations names {len(chosen)}, and {most} can be told apart in one picture; name fewer"
        raise InvalidInput(msg)
    return chosen, "" if len(chosen) == n else f"{len(chosen)} of {n:,} configurations"


def axis_of(metric: "Metric", scores: Sequence[NDArray[np.float64]], episodes: int) -> str:
    """Label of an axis with a metric's scores: of times also what never is, and what a checkpoint tells."""
    texts = []
    if metric.is_time and any(np.isinf(x).any() for x in scores):
        texts.append(f"never: {episodes:,}")
    if metric.interval_censored:
        texts.append("at the checkpoint that saw it")
    return f"{metric.axis}\n({'; '.join(texts)})" if texts else metric.axis


def quantiles_of(scores: NDArray[np.float64], p: Any) -> NDArray[np.float64]:
    """Quantiles over agents with a defined score; where scores are infinite one of them, and nothing in between."""
    known = scores[~np.isnan(scores)]
    if not known.size:
        return np.full(np.shape(p), np.nan)
    found: NDArray[np.float64] = np.quantile(known, p, method="linear" if np.isfinite(known).all() else "inverted_cdf")
    return found


def agents_text(counts: Sequence[int]) -> str:
    """Say how many agents a configuration has.

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


def cell_text(ax: "Axes", row: int, column: int, text: str, shade: float = 0.0) -> None:
    """Write into a cell of a map, dark on light; shade is how light it is, in [0, 1]."""
    color = "black" if shade > 0.55 else "white"
    ax.text(column, row, text, ha="center", va="center", fontsize="small", color=color)


def finish(ax: "Axes", *texts: str, labels: Sequence[str] = (), legend: bool = True) -> None:
    """Say what a picture shows, name its lines, and leave out the frame."""
    plain_frame(ax)
    say(ax, *texts, labels=labels)
    if legend:
        ax.legend(frameon=False, fontsize="small")


def thin(n: int, most: int = 240) -> NDArray[np.int64]:
    """Indices of at most this many of n points, the first and the last among them."""
    if n <= most:
        return np.arange(n)
    return np.unique(np.rint(np.linspace(0, n - 1, most)).astype(np.int64))

"""What all pictures share: axes, colours, and how matplotlib is found."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from qfast.arguments import shown
from qfast.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "GREY",
    "HATCH",
    "axes_of",
    "colormap_of",
    "colour_of",
    "distinct_colours",
    "off_screen",
    "percent_axis",
    "plain_frame",
]

#: The palette of Okabe & Ito (2008), made for people who do not see all colours, without yellow and black.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
#: What is neither good nor bad: walls, ends, what is left over.
GREY: Final = "#BBBBBB"
#: A second way to tell colours apart, for print in black and white.
HATCH: Final = "////"


def matplotlib(module: str) -> Any:
    """Import a module of matplotlib.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        msg = 'matplotlib is not installed; pictures need it: pip install "qfast[plot]"'
        raise MissingExtra(msg) from error


def axes_of(ax: "Axes | None", size: tuple[float, float] = (6.4, 4.0)) -> "Axes":
    """Give the axes to draw on: those given, or those of a new figure (which is not shown)."""
    if ax is not None:
        if not isinstance(ax, matplotlib("axes").Axes):
            msg = f"ax is {shown(ax)}, not matplotlib axes; use those of plt.subplots(), or leave ax out"
            raise InvalidInput(msg)
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


def colour_of(color: Any) -> Any:
    """Give a colour as matplotlib takes it: the first of the palette where none is given."""
    if color is None:
        return COLOURS[0]
    if not matplotlib("colors").is_color_like(color):
        msg = f"color is {shown(color)}, no colour of matplotlib; use for example 'tab:blue' or '#0072B2'"
        raise InvalidInput(msg)
    return color


def distinct_colours(n: int) -> Sequence[str]:
    """Give n colours; from the seventh on they repeat."""
    return [COLOURS[i % len(COLOURS)] for i in range(n)]

"""Pictures as SVG that stands in the page itself: small, with text as text, and without any address."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Final

from qfast.plots.canvas import matplotlib
from qfast.plots.canvas import look
from qfast.plots.curves import study_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qfast.studies.select import StudyData

__all__ = ["Sketchbook", "curve_panels"]

# As wide as a phone's screen in points, so that text keeps its size there and grows on larger screens.
_WIDTH: Final = 5.0
_STYLE: Final[dict[str, Any]] = {
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "qfast",
    "font.family": ["DejaVu Sans"],
    "path.simplify_threshold": 0.5,
}


@contextmanager
def _plain_style() -> Iterator[None]:
    style = matplotlib("style")
    with style.context(["default", _STYLE]):
        yield


class Sketchbook:
    """Draws the pictures of one page; each has ids of its own."""

    def __init__(self) -> None:
        self.n = 0

    def draw(self, alt: str, paint: Callable[["Axes"], Any], *, height: float = 3.5, width: float = _WIDTH) -> str:
        """Draw on one pair of axes and give the SVG."""
        return self.compose(alt, lambda figure: paint(figure.add_subplot()), height=height, width=width)

    def compose(self, alt: str, paint: Callable[["Figure"], Any], *, height: float = 3.5, width: float = _WIDTH) -> str:
        """Draw on a whole figure and give the SVG."""
        self.n += 1
        with _plain_style():
            figure = matplotlib("figure").Figure(figsize=(width, height), layout="constrained")
            paint(figure)
            stream = io.StringIO()
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(stream, format="svg", metadata=nothing)
        return inline(stream.getvalue(), f"f{self.n}", alt)


def inline(svg: str, prefix: str, alt: str) -> str:
    """Turn a file of matplotlib into an element of a page: unique ids, short numbers and fonts, a title to be read."""
    body = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="([^"]+)"', body)
    content = body[body.index(">") + 1 : body.rindex("</svg>")]
    content = re.sub(r"<metadata>.*?</metadata>", "", content, flags=re.DOTALL)
    content = re.sub(r"<style[^>]*>.*?</style>", "", content, flags=re.DOTALL)
    content = re.sub(r"<!--.*?-->", "", content, flags=re.DOTALL)
    content = content.replace("xlink:href=", "href=")
    content = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', content)
    content = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', content)
    content = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", content)
    # A hundredth of a point is finer than any screen; texts keep their digits.
    content = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0]), content)
    content = re.sub(r"font: ((?:bold |italic |\d00 )*)([\d.]+px)[^;\"]*", _font, content)
    content = re.sub(r"\n\s*", "\n", content).strip()
    box = view.group(1) if view else "0 0 360 252"
    title = f'<title id="{prefix}-title">{escape(alt, quote=False)}</title>'
    return f'<svg viewBox="{box}" role="img" aria-labelledby="{prefix}-title">{title}\n{content}\n</svg>'


def _font(found: re.Match[str]) -> str:
    weight = "; font-weight: bold" if ("bold" in found[1] or "700" in found[1]) else ""
    return f"font-size: {found[2]}{weight}"


def curve_panels(study: "StudyData", configurations: Sequence[int], *, smooth: int) -> Callable[["Figure"], None]:
    """Small pictures side by side: each configuration's agents, with the means of the others in grey."""

    def paint(figure: "Figure") -> None:
        n_columns = 2 if len(configurations) > 1 else 1
        n_rows = -(-len(configurations) // n_columns)
        grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        for place, (i, ax) in enumerate(zip(configurations, grid.flat, strict=False)):
            for other in configurations:
                if other != i:
                    study_curves(study, [other], band=None, smooth=smooth, ax=ax)
                    ax.lines[-1].set(color="#BBBBBB", linestyle="-", marker="", linewidth=0.8)
            study_curves(study, [i], band="agents", smooth=smooth, ax=ax)
            style = look(place)
            ax.lines[-1].set(color=style.color, linestyle="-", marker="")
            ax.collections[-1].set(facecolor=style.color, edgecolor=style.color)
            legend = ax.get_legend()
            if legend is not None:
                legend.remove()
            ax.set_title(str(study.labels[i]), loc="left", fontsize="small")
            ax.label_outer()
        for ax in list(grid.flat)[len(configurations) :]:
            ax.remove()

    return paint

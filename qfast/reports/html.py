"""Pieces of a page: text that is safe, tables that scroll, and pictures as SVG that stands in the page itself."""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qfast.plots.canvas import look, matplotlib
from qfast.plots.curves import study_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qfast.studies.select import StudyData

# As wide as a phone's screen in points, so that text keeps its size there and grows on larger screens.
_WIDTH: Final = 5.0
_DRAWN: Final[dict[str, Any]] = {
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "qfast",
    "font.family": ["DejaVu Sans"],
    "path.simplify_threshold": 0.5,
}

# Dark text on white, one column, tables that scroll by themselves on a phone, no figure cut by a page's end.
_STYLE = """
:root{color-scheme:light;--ink:#1b1b1b;--soft:#555;--line:#d4d4d4;--wash:#f4f6f8;--accent:#005a8f}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:72rem;padding:1rem 1.1rem 3rem;color:var(--ink);background:#fff;
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.65rem;line-height:1.2;margin:.6rem 0 .3rem}
h2{font-size:1.25rem;margin:2.4rem 0 .5rem;padding-top:.6rem;border-top:2px solid var(--ink)}
h3{font-size:1.05rem;margin:1.7rem 0 .4rem}
p,ul,ol,dl{margin:.5rem 0;max-width:44rem}
li{margin:.3rem 0}
a{color:var(--accent)}
.lead{font-size:1.1rem}
.soft,figcaption .soft{color:var(--soft)}
nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;max-width:none}
.finding{background:var(--wash);border-left:4px solid var(--accent);padding:.6rem 1rem;max-width:none}
.finding ul{padding-left:1.1rem}
.scroll{overflow-x:auto;margin:.3rem 0 1rem}
.scroll:focus-visible{outline:2px solid var(--accent)}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}
figure.table{max-width:none}
figure.table figcaption{color:var(--soft);max-width:44rem}
th,td{padding:.25rem .7rem .25rem 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
thead th{border-bottom:2px solid var(--ink);vertical-align:bottom}
th:first-child,td.text,th.text{text-align:left;font-weight:600}
td.text{font-weight:400}
figure{margin:1.2rem 0;max-width:40rem}
figure svg{width:100%;height:auto;display:block;background:#fff}
figure svg text{font-family:"DejaVu Sans",Verdana,Arial,sans-serif}
figure svg *{stroke-linejoin:round;stroke-linecap:butt}
figcaption{margin-top:.4rem;font-size:.925rem;max-width:40rem}
dl{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.15rem 1.2rem}
dt{font-weight:600}
dd{margin:0;overflow-wrap:anywhere}
pre{background:var(--wash);padding:.7rem .9rem;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.875rem}
code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{margin-top:3rem;border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}
@media (min-width:60rem){.gallery{display:grid;grid-template-columns:1fr 1fr;gap:.5rem 2.2rem;align-items:start}}
@media (max-width:30rem){body{padding:.6rem .8rem 2rem}dl{grid-template-columns:1fr;gap:0}dt{margin-top:.4rem}
th[scope=row]{white-space:normal;min-width:7.5rem}}
@media print{@page{margin:16mm}body{max-width:none;padding:0;font-size:10pt}nav{display:none}
h2,h3{break-after:avoid}figure,tr,.finding{break-inside:avoid}
.gallery{display:grid;grid-template-columns:1fr 1fr;gap:0 .6cm}
figure{max-width:11cm}figure.table{max-width:none;break-inside:auto}.scroll{overflow:visible}
table{font-size:7.5pt}th,td{white-space:normal;padding-right:.5rem}a{color:inherit;text-decoration:none}}
""".strip()


class Part(NamedTuple):
    """A section: what links to it, its title, and all of it."""

    anchor: str
    title: str
    html: str


def section(anchor: str, title: str, *parts: str) -> Part:
    """A section with its heading."""
    heading = f'<h2 id="{anchor}-title">{escape(title, quote=False)}</h2>'
    body = "\n".join((heading, *parts))
    return Part(anchor, title, f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n{body}\n</section>')


def paragraph(text: str, *, kind: str = "") -> str:
    """A paragraph."""
    named = f' class="{kind}"' if kind else ""
    return f"<p{named}>{escape(text, quote=False)}</p>"


def code(text: str) -> str:
    """A text to be copied."""
    return f"<pre><code>{escape(text, quote=False)}</code></pre>"


def bullets(texts: Iterable[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{escape(text, quote=False)}</li>" for text in texts) + "</ul>"


def definitions(pairs: Mapping[str, Any]) -> str:
    """A list of names and what they stand for."""
    items = (f"<dt>{escape(str(k), quote=False)}</dt><dd>{escape(str(v), quote=False)}</dd>" for k, v in pairs.items())
    return f"<dl>{''.join(items)}</dl>"


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> str:
    """A table whose first column names the row; on a narrow screen it scrolls by itself."""

    def kind(i: int) -> str:
        return ' class="text"' if i < text_columns else ""

    head = "".join(f'<th scope="col"{kind(i)}>{escape(cell, quote=False)}</th>' for i, cell in enumerate(header))
    body = []
    for row in rows:
        first = f'<th scope="row">{escape(row[0], quote=False)}</th>'
        rest = "".join(f"<td{kind(i)}>{escape(cell, quote=False)}</td>" for i, cell in enumerate(row[1:], 1))
        body.append(f"<tr>{first}{rest}</tr>")
    label = escape(caption)
    return (
        f'<figure class="table"><figcaption>{escape(caption, quote=False)}</figcaption>'
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table aria-label="{label}">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{chr(10).join(body)}</tbody></table></div></figure>"
    )


def gallery(*figures: str) -> str:
    """Pictures, two beside each other where the screen is wide."""
    return f'<div class="gallery">\n{chr(10).join(figures)}\n</div>'


def figure(svg: str, finding: str, explanation: str = "") -> str:
    """A picture with the sentence that it shows, and how to read it."""
    more = f' <span class="soft">{escape(explanation, quote=False)}</span>' if explanation else ""
    return f"<figure>\n{svg}\n<figcaption>{escape(finding, quote=False)}{more}</figcaption></figure>"


def page(title: str, body: str) -> str:
    """A whole page; it loads nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return "\n".join((
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f"<title>{escape(title, quote=False)}</title>",
        f"<style>\n{_STYLE}\n</style>",
        "</head>",
        f"<body>\n{body}\n</body>",
        "</html>",
        "",
    ))  # fmt: skip


# --- pictures --------------------------------------------------------------------------------------------------------


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
        with matplotlib("style").context(["default", _DRAWN]):
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

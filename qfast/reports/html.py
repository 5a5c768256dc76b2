"""Pieces of a page: text that is safe, tables that scroll, figures with captions."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["STYLE", "bullets", "definitions", "figure", "gallery", "page", "paragraph", "section", "table"]

# Dark text on white, one column, tables that scroll by themselves on a phone, no figure cut by a page's end.
STYLE = """
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


def paragraph(text: str, *, kind: str = "") -> str:
    """A paragraph."""
    return f"<p{_kind(kind)}>{escape(text, quote=False)}</p>"


def bullets(texts: Iterable[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{escape(text, quote=False)}</li>" for text in texts) + "</ul>"


def definitions(pairs: Mapping[str, Any]) -> str:
    """A list of names and what they stand for."""
    items = (f"<dt>{escape(str(k), quote=False)}</dt><dd>{escape(str(v), quote=False)}</dd>" for k, v in pairs.items())
    return f"<dl>{''.join(items)}</dl>"


def section(anchor: str, title: str, *parts: str) -> str:
    """A section with its heading."""
    heading = f'<h2 id="{anchor}-title">{escape(title, quote=False)}</h2>'
    return f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n{heading}\n' + "\n".join(parts) + "\n</section>"


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
        f"<style>\n{STYLE}\n</style>",
        "</head>",
        f"<body>\n{body}\n</body>",
        "</html>",
        "",
    ))  # fmt: skip


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""

"""The section of a report that no other tool has: how many seeds it takes, and what fewer would have said."""

import numpy as np

from qfast import plots
from qfast.reports.context import Context
from qfast.reports.html import figure, gallery, paragraph, section, table
from qfast.studies.misrank import USUAL_SEEDS, StudyMisranking
from qfast.studies.seeds import find_seeds
from qfast.studies.texts import percent

__all__ = ["seeds"]


def seeds(context: Context) -> tuple[str, str, str] | None:
    """Misranking over k, of the two best and of all, and the seeds needed."""
    pair = context.pair
    if pair is None:
        return None
    anchor, title = context.anchor("seeds"), context.heading("How many seeds does it take?")
    if isinstance(pair, str):
        return anchor, title, section(anchor, title, paragraph(pair))
    parts = [paragraph(f"Here {pair.words}.")]
    svg = context.sketch.draw(
        f"Share of experiments that name the wrong winner or miss the difference, over seeds. {pair.sentence}",
        lambda ax: plots.misranking_curve(pair, ax=ax),
        height=3.7,
    )
    doubt = "The study itself leaves open which of the two is better." if pair.in_doubt else ""
    pictures = [figure(svg, _capital(pair.sentence), doubt)]
    tables = [_usual(pair, "The two best")]
    everything = context.best_of_all
    if isinstance(everything, StudyMisranking):
        svg = context.sketch.draw(
            f"Which configuration experiments name as the best, over seeds. {everything.sentence}",
            lambda ax: plots.named_shares(everything, ax=ax),
            height=3.7,
        )
        pictures.append(figure(svg, _capital(everything.sentence), _instead(everything)))
        tables.append(_usual(everything, f"The best of all {len(everything.labels)}"))
    parts += [gallery(*pictures), *tables]
    a, b = context.order[:2]
    rows = []
    for power in (0.8, 0.9, 0.95):
        found = find_seeds(
            context.study, a, b, context.metric.name, half_width=None, power=power, alpha=1 - context.level,
            level=context.level, paired=False, missing=context.missing, where=None, rng=context.rng,
        )  # fmt: skip
        _, [cells] = found.table()
        rows.append([percent(power), cells[1], cells[2], cells[3] if len(cells) > 3 else "-"])
        target = found.rows[0].needed
    test = target.target.split(" to find")[0]
    header = ["power asked for", "seeds of each", "range (the populations are finite)", "found by that many"]
    parts.append(table(f"Seeds for a {test} to tell the two best apart ({target.method})", header, rows))
    parts += [paragraph(f"With care: {text}.", kind="soft") for text in found.cautions]
    return anchor, title, section(anchor, title, *parts)


def _usual(found: StudyMisranking, caption: str) -> str:
    """The table at the numbers of seeds that are usual."""
    header, rows = found.table()
    kept = [row for row, k in zip(rows, found.k.tolist(), strict=True) if k in USUAL_SEEDS or k == int(found.k.max())]
    return table(f"{caption}: {', '.join(found.labels[:2]) if found.is_pair else found.metric.title}", header, kept)


def _instead(found: StudyMisranking) -> str:
    """Which one is named in place of the best, at five seeds."""
    k = found.k.tolist()
    i = k.index(5) if 5 in k else 0
    named = found.named[i].copy()
    best = list(getattr(found.result, "best", (0,)))
    named[best] = -1
    other = int(np.argmax(named))
    if named[other] <= 0:
        return ""
    share = percent(float(named[other]))
    return f"With {k[i]} seeds most often in its place: {found.labels[other]}, in {share} of experiments."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if "=" not in text.partition(" ")[0] else text

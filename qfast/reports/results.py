"""The sections of a report that say how configurations did: tables and pictures, each with its finding."""

import numpy as np

from qfast import plots
from qfast.errors import InvalidInput
from qfast.plots.settings import centres, crossed_pairs, setting_text, slice_of
from qfast.reports.context import Context
from qfast.reports.html import Part, bullets, curve_panels, figure, gallery, paragraph, table
from qfast.studies.best import Winner
from qfast.studies.misrank import USUAL_SEEDS, StudyMisranking
from qfast.studies.profile import profile_study
from qfast.studies.seeds import find_seeds
from qfast.studies.select import full_settings, ranked, scores_of
from qfast.studies.texts import number, with_interval
from qfast.text import in_percent


def summaries(context: Context) -> Part:
    """Two tables: how well numbers are known, and how agents differ."""
    found, o = context.summary, context.metric
    known = table(
        f"{o.axis}: how well it is known, {100 * found.level:g} % confidence intervals (they shrink with more agents)",
        *found.certainty(),
    )
    spread = table(f"{o.axis}: how the agents differ (this does not shrink)", *found.spread())
    note = [paragraph(f"{_capital(found.note)}.", kind="soft")] if found.note else []
    for head, told in (("Not defined:", found.undefined), ("With care:", found.cautions)):
        note += [paragraph(head, kind="soft"), bullets(told[:12])] if told else []
    return context.section("summary", "Every configuration", known, spread, *note)


def curves(context: Context) -> Part | None:
    """Learning curves, once with the agents and once with the uncertainty of the mean."""
    data, drawn = context.study.dataset, context.drawn
    if "return_mean" not in data:
        return None
    last = data["return_mean"].to_numpy()[:, -context.smooth :].mean(axis=1)
    top, low = max(drawn, key=lambda i: last[i]), min(drawn, key=lambda i: last[i])
    label = context.study.labels
    ends = f"At the end of training {label[top]} has the highest mean return, {number(float(last[top]), 0.01)}"
    ends += f", and {label[low]} the lowest of those shown, {number(float(last[low]), 0.01)}." if top != low else "."
    texts, pictures = [], []
    if "return_quantile" in data and np.unique(data["return_quantile"].to_numpy()[drawn]).size <= 2:
        texts.append(paragraph(
            "Returns of single episodes take two values only, so that bands over agents would say nothing; how the "
            "agents differ is shown below."
        ))  # fmt: skip
    elif "return_quantile" in data:
        quantiles = data["return_quantile"].to_numpy()[..., -1]
        widths = quantiles[:, -1] - quantiles[:, 0]
        wide = max(drawn, key=lambda i: widths[i])
        between = [number(float(quantiles[wide, end]), float(widths[wide]) / 50 or None) for end in (0, -1)]
        share = f"{100 * float(data['quantile'][-1] - data['quantile'][0]):g} %"
        text = (
            f"Single agents differ most in {label[wide]}: in the last episode {share} of them have returns between "
            f"{between[0]} and {between[1]}."
        )
        svg = context.sketch.compose(
            f"Learning curves of {len(drawn)} configurations with bands over agents. {text}",
            curve_panels(context.study, drawn, smooth=context.smooth),
            height=0.7 + 1.75 * -(-len(drawn) // 2) if len(drawn) > 1 else 3.4,
        )
        how = f"Line: mean; band: where {share} of the agents are; grey: means of the others. {context.drawn_note}"
        pictures.append(figure(svg, text, how))
    pictures.append(context.picture(
        "Mean learning curves with confidence intervals", ends,
        lambda ax: plots.study_curves(context.study, drawn, band="mean", smooth=context.smooth, ax=ax),
        f"Bands: 95 % confidence interval of the mean, which says nothing of single agents. {context.drawn_note}",
    ))  # fmt: skip
    return context.section("curves", "Learning curves", *texts, gallery(*pictures))


def sensitivities(context: Context) -> Part | None:
    """The metric over each setting, and a map over two."""
    if not context.varied or len(context.chosen) < 2:
        return None
    study, o = context.study, context.metric
    settings, measured = full_settings(study), centres(study, o, context.chosen)
    means = {i: value for i, (value, _, _) in measured.found.items()}
    std = context.summary.best.summary.std.value
    std = std if np.isfinite(std) else 0.0
    parts = []
    for name in (name for name in context.varied if name != "problem"):
        line, others = slice_of(study, o, [name], context.where)
        line = [i for i in line if np.isfinite(means[i])]
        low, high = min(line, key=means.__getitem__, default=0), max(line, key=means.__getitem__, default=0)
        if low == high:
            continue
        digits = std / 10 or None
        ends = [f"{number(means[i], digits)} ({name}={setting_text(settings[i][name])})" for i in (low, high)]
        ratio = (means[high] - means[low]) / std if std else 0.0
        text = f"Over {name} the {measured.word} goes from {ends[0]} to {ends[1]}"
        text += f" with {others}" if others else ""
        text += f": {ratio:.2g} times the standard deviation over agents." if ratio else "."
        parts.append(context.picture(
            f"{o.title} over {name}", text,
            lambda ax, name=name: plots.sensitivity(study, name, o.name, where=context.where, ax=ax),  # type: ignore[misc]
        ))  # fmt: skip
    two = next(crossed_pairs(study), None)
    if two is not None and set(two) <= set(context.varied):
        plane, others = slice_of(study, o, two, context.where)
        best = settings[ranked(study, o, plane).order[0]]
        where = ", ".join(f"{name}={setting_text(best[name])}" for name in two)
        parts.append(context.picture(
            f"{o.title} over {two[0]} and {two[1]}",
            f"The best pair is {where}" + (f", with {others}." if others else "."),
            lambda ax: plots.sensitivity_map(study, two, o.name, where=context.where, ax=ax),
            "Light is good.",
            height=max(2.7, 1.5 + 0.4 * len(context.varied[two[1]])),
        ))  # fmt: skip
    return context.section("sensitivity", "Sensitivity to the settings", gallery(*parts)) if parts else None


def distributions(context: Context) -> Part:
    """How the metric is distributed over agents, and the performance profile."""
    study, o = context.study, context.metric
    shown = context.chosen if len(context.chosen) <= 12 else context.order[:12]
    best = context.summary.best
    std = best.summary.std
    text = f"The agents of {best.label} have a standard deviation of {with_interval(std)}"
    if not std.defined:
        text = f"The standard deviation over the agents of {best.label} is not defined"
    elif len(context.order) > 1 and context.ranking.by_mean:
        rows = {row.configuration: row for row in context.summary.rows}
        gap = abs(best.summary.mean.value - rows[context.order[1]].summary.mean.value)
        if gap > 0:
            text += f", {std.value / gap:.2g} times the distance to the second best mean ({gap:.3g})"
    pictures = [context.picture(
        f"Distribution of {o.title} over agents", f"{text}.",
        lambda ax: plots.score_distribution(study, o.name, shown, ax=ax),
        f"Shown are the {len(shown)} best of {len(context.chosen)}." if len(shown) < len(context.chosen) else "",
        height=1.3 + 0.36 * len(shown),
    )]  # fmt: skip
    texts = []
    scores = {i: scores_of(study, o, i) for i in context.drawn}
    finite = np.unique(np.concatenate(list(scores.values())))
    finite = finite[np.isfinite(finite)]
    tau = np.unique(np.quantile(finite, np.linspace(0, 1, min(1000, finite.size)))) if finite.size else np.zeros(1)
    try:
        profile = profile_study(
            study, o.name, thresholds=tau, level=context.level, missing=context.missing, where=context.where
        )
    except InvalidInput as error:
        texts.append(paragraph(f"{_capital(str(error))}."))
    else:
        bar, sign = best.summary.median.value, 1 if o.higher_is_better else -1
        word = "at or above" if o.higher_is_better else "at or below"
        listed = []
        for i, x in scores.items():
            known = x[~np.isnan(x)]
            share = in_percent(float((sign * known >= sign * bar).mean())) if known.size else "-"
            listed.append(f"{study.labels[i]}: {share}")
        height = number(bar, std.value / 10 if std.defined and std.value else None, time=o.is_time)
        labels = [str(study.labels[i]) for i in context.drawn]
        pictures.append(context.picture(
            f"Performance profiles of {o.title}",
            f"Share of agents {word} {height}, the median of the best configuration: {'; '.join(listed)}.",
            lambda ax: plots.performance_profiles(profile, labels, ax=ax),
            f"Each band holds the whole curve at once. {context.drawn_note}".strip(),
        ))  # fmt: skip
    return context.section("distributions", "Distribution over agents", gallery(*pictures), *texts)


def comparisons(context: Context) -> Part | None:
    """Every pair, or every pair with the best."""
    pairs = context.comparisons
    if pairs is None:
        return None
    picture = context.picture(
        "Probabilities of improvement", pairs.pairs[0].sentence,
        lambda ax: plots.improvement(pairs, ax=ax),
        height=1.5 + (0.34 * len(pairs.order) if len(pairs) >= len(pairs.order) else 0.26 * min(len(pairs), 20)),
    )  # fmt: skip
    listed = table(f"Comparisons: {pairs.words}", *pairs.table(), text_columns=2)
    return context.section(
        "comparisons", "Which differ, and by how much", picture, paragraph(pairs.told_apart), listed
    )


def winner(context: Context) -> Part | None:
    """The best configuration where it won, and on fresh seeds."""
    best = context.best
    if best is None:
        return None
    why = "The best of many is best partly by luck; agents that had no part in the choice say what it is really worth."
    body = [paragraph(str(best))]
    if isinstance(best, Winner):
        body = [paragraph(why), table(f"{best.label}: {best.metric.axis}", *best.table()), paragraph(best.sentence)]
    return context.section("winner", "The winner on fresh seeds", *body)


def seeds(context: Context) -> Part | None:
    """How often few seeds mislead about the two best and about all, and the seeds needed: no other tool has that."""
    pair, everything = context.pair, context.best_of_all
    if pair is None:
        return None
    title = "How many seeds does it take?"
    if isinstance(pair, str):
        return context.section("seeds", title, paragraph(pair))
    pictures = [context.picture(
        "Share of experiments that name the wrong winner or miss the difference, over seeds", _capital(pair.sentence),
        lambda ax: plots.misranking_curve(pair, ax=ax),
        "The study itself leaves open which of the two is better." if pair.in_doubt else "",
        height=3.7,
    )]  # fmt: skip
    tables = [_usual_seeds(pair, "The two best")]
    if isinstance(everything, StudyMisranking):
        pictures.append(context.picture(
            "Which configuration experiments name as the best, over seeds", _capital(everything.sentence),
            lambda ax: plots.named_shares(everything, ax=ax),
            _instead_of_best(everything),
            height=3.7,
        ))  # fmt: skip
        tables.append(_usual_seeds(everything, f"The best of all {len(everything.labels)}"))
    a, b = context.order[:2]
    rows = []
    for power in (0.8, 0.9, 0.95):
        found = find_seeds(
            context.study, a, b, context.metric.name, half_width=None, power=power,
            alpha=1 - context.level, level=context.level, paired=False, missing=context.missing, where=None,
            rng=context.rng,
        )  # fmt: skip
        _, [cells] = found.table()
        rows.append([in_percent(power), cells[1], cells[2], cells[3] if len(cells) > 3 else "-"])
    target = found.rows[0].needed
    test = target.target.split(" to find")[0]
    header = ["power asked for", "seeds of each", "range (the populations are finite)", "found by that many"]
    tables.append(table(f"Seeds for a {test} to tell the two best apart ({target.method})", header, rows))
    cautions = [paragraph(f"With care: {text}.", kind="soft") for text in found.cautions]
    return context.section("seeds", title, paragraph(f"Here {pair.words}."), gallery(*pictures), *tables, *cautions)


def _usual_seeds(found: StudyMisranking, caption: str) -> str:
    """The table at the numbers of seeds that are usual."""
    header, rows = found.table()
    kept = [row for row, k in zip(rows, found.k.tolist(), strict=True) if k in USUAL_SEEDS or k == int(found.k.max())]
    return table(f"{caption}: {', '.join(found.labels[:2]) if found.is_pair else found.metric.title}", header, kept)


def _instead_of_best(found: StudyMisranking) -> str:
    """Which one is named in place of the best, at five seeds."""
    k = found.k.tolist()
    i = k.index(5) if 5 in k else 0
    named = found.named[i].copy()
    named[list(getattr(found.result, "best", (0,)))] = -1
    other = int(np.argmax(named))
    if named[other] <= 0:
        return ""
    share = in_percent(float(named[other]))
    return f"With {k[i]} seeds most often in its place: {found.labels[other]}, in {share} of experiments."


def _capital(text: str) -> str:
    """Begin a sentence, unless it begins with a setting such as alpha=0.1."""
    return text[:1].upper() + text[1:] if "=" not in text.partition(" ")[0] else text


def optimality(context: Context) -> Part | None:
    """The share of agents with an optimal policy, over episodes."""
    data, study = context.study.dataset, context.study
    if "share_optimal" not in data:
        return None
    share = data["share_optimal"].to_numpy()[:, -1].astype(float)
    top, low = max(context.chosen, key=lambda i: share[i]), min(context.chosen, key=lambda i: share[i])
    text = f"At the last checkpoint {in_percent(float(share[top]))} of the agents of {study.labels[top]} are optimal"
    if top != low:
        text += f", the most, and {in_percent(float(share[low]))} of those of {study.labels[low]}, the least"
    most = sorted(context.chosen, key=lambda i: -share[i])[: len(context.drawn)]
    drawn = [i for i in context.chosen if i in most]
    picture = context.picture(
        "Share of optimal agents over episodes", f"{text}.",
        lambda ax: plots.study_share_optimal(study, drawn, ax=ax),
        f"Shown are the {len(drawn)} with the most." if len(drawn) < len(context.chosen) else "",
    )  # fmt: skip
    return context.section("optimal", "Share of optimal agents", picture)

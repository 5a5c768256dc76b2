"""The sections of a report that say how configurations did: tables and pictures, each with its finding."""

import numpy as np

from qfast import plots
from qfast.errors import InvalidInput
from qfast.plots.settings import centre, crossed_pairs, has_means, slice_of
from qfast.reports.context import Context
from qfast.reports.html import bullets, figure, gallery, paragraph, section, table
from qfast.reports.pictures import curve_panels
from qfast.studies.best import Winner
from qfast.studies.profile import profile_study
from qfast.studies.select import full_settings, ranked, restricted, scores_of
from qfast.studies.texts import number, percent, with_interval

__all__ = ["comparisons", "curves", "distributions", "optimality", "sensitivities", "summaries", "winner"]

Part = tuple[str, str, str]


def summaries(context: Context) -> Part:
    """Two tables: how well numbers are known, and how agents differ."""
    anchor, title = context.anchor("summary"), context.heading("Every configuration")
    found, o = context.summary, context.metric
    known = table(
        f"{o.axis}: how well it is known, {100 * found.level:g} % confidence intervals (they shrink with more agents)",
        *found.certainty(),
    )
    spread = table(f"{o.axis}: how the agents differ (this does not shrink)", *found.spread())
    note = [paragraph(f"{found.note[0].upper()}{found.note[1:]}.", kind="soft")] if found.note else []
    for head, told in (("Not defined:", found.undefined), ("With care:", found.cautions)):
        note += [paragraph(head, kind="soft"), bullets(told[:12])] if told else []
    return anchor, title, section(anchor, title, known, spread, *note)


def curves(context: Context) -> Part | None:
    """Learning curves, once with the agents and once with the uncertainty of the mean."""
    data = context.study.dataset
    if "return_mean" not in data:
        return None
    anchor, title = context.anchor("curves"), context.heading("Learning curves")
    last = data["return_mean"].to_numpy()[:, -context.smooth :].mean(axis=1)
    top = max(context.drawn, key=lambda i: last[i])
    low = min(context.drawn, key=lambda i: last[i])
    label = context.study.labels
    ends = f"At the end of training {label[top]} has the highest mean return, {number(float(last[top]), 0.01)}"
    ends += f", and {label[low]} the lowest of those shown, {number(float(last[low]), 0.01)}." if top != low else "."
    parts = []
    if "return_quantile" in data and np.unique(data["return_quantile"].to_numpy()[context.drawn]).size <= 2:
        parts.append(paragraph(
            "Returns of single episodes take two values only, so that bands over agents would say nothing; how the "
            "agents differ is shown below."
        ))  # fmt: skip
    elif "return_quantile" in data:
        quantiles = data["return_quantile"].to_numpy()[..., -1]
        widths = quantiles[:, -1] - quantiles[:, 0]
        wide = max(context.drawn, key=lambda i: widths[i])
        size = float(widths[wide]) / 50 or None
        share = f"{100 * float(data['quantile'][-1] - data['quantile'][0]):g} %"
        text = (
            f"Single agents differ most in {label[wide]}: in the last episode {share} of them have returns between "
            f"{number(float(quantiles[wide, 0]), size)} and {number(float(quantiles[wide, -1]), size)}."
        )
        rows = -(-len(context.drawn) // 2)
        svg = context.sketch.compose(
            f"Learning curves of {len(context.drawn)} configurations with bands over agents. {text}",
            curve_panels(context.study, context.drawn, smooth=context.smooth),
            height=0.7 + 1.75 * rows if len(context.drawn) > 1 else 3.4,
        )
        how = f"Line: mean; band: where {share} of the agents are; grey: means of the others. {context.drawn_note}"
        parts.append(figure(svg, text, how))
    svg = context.sketch.draw(
        f"Mean learning curves with confidence intervals. {ends}",
        lambda ax: plots.study_curves(context.study, context.drawn, band="mean", smooth=context.smooth, ax=ax),
    )
    how = f"Bands: 95 % confidence interval of the mean, which says nothing of single agents. {context.drawn_note}"
    parts.append(figure(svg, ends, how))
    pictures = [part for part in parts if part.startswith("<figure")]
    texts = [part for part in parts if part not in pictures]
    return anchor, title, section(anchor, title, *texts, gallery(*pictures))


def sensitivities(context: Context) -> Part | None:
    """The metric over each setting, and a map over two."""
    if not context.varied or len(context.chosen) < 2:
        return None
    anchor, title = context.anchor("sensitivity"), context.heading("Sensitivity to the settings")
    study, o = context.study, context.metric
    by_mean, _ = has_means(study, o, context.chosen)
    scores = {i: restricted(study, o, scores_of(study, o, i)) for i in context.chosen}
    means = {i: centre(x, by_mean=by_mean)[0] for i, x in scores.items()}
    settings, word = full_settings(study), "mean" if by_mean else "median"
    std = context.summary.best.summary.std.value
    std = std if np.isfinite(std) else 0.0
    parts = []
    names = [name for name in context.varied if name != "problem"]
    for name in names:
        line, others = slice_of(study, o, [name], context.where)
        line = [i for i in line if np.isfinite(means[i])]
        if not line:
            continue
        low, high = min(line, key=means.__getitem__), max(line, key=means.__getitem__)
        if low == high:
            continue
        ends = [f"{number(means[i], std / 10 or None)} ({name}={_v(settings[i][name])})" for i in (low, high)]
        text = f"Over {name} the {word} goes from {ends[0]} to {ends[1]}"
        text += f" with {others}" if others else ""
        ratio = (means[high] - means[low]) / std if std else 0.0
        text += f": {ratio:.2g} times the standard deviation over agents." if ratio else "."
        svg = context.sketch.draw(
            f"{o.title} over {name}. {text}",
            lambda ax, name=name: plots.sensitivity(study, name, o.name, where=context.where, ax=ax),  # type: ignore[misc]
        )
        parts.append(figure(svg, text))
    two = next(crossed_pairs(study), None)
    if two is not None and set(two) <= set(context.varied):
        plane, others = slice_of(study, o, two, context.where)
        best = ranked(study, o, plane).order[0]
        where = ", ".join(f"{k}={_v(settings[best][k])}" for k in two)
        text = f"The best pair is {where}" + (f", with {others}." if others else ".")
        svg = context.sketch.draw(
            f"{o.title} over {two[0]} and {two[1]}. {text}",
            lambda ax: plots.sensitivity_map(study, two, o.name, where=context.where, ax=ax),
            height=max(2.7, 1.5 + 0.4 * len(context.varied[two[1]])),
        )
        parts.append(figure(svg, text, "Light is good."))
    if not parts:
        return None
    return anchor, title, section(anchor, title, gallery(*parts))


def _v(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def distributions(context: Context) -> Part:
    """How the metric is distributed over agents, and the performance profile."""
    anchor, title = context.anchor("distributions"), context.heading("Distribution over agents")
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
    text += "."
    svg = context.sketch.draw(
        f"Distribution of {o.title} over agents. {text}",
        lambda ax: plots.score_distribution(study, o.name, shown, ax=ax),
        height=1.3 + 0.36 * len(shown),
    )
    some = f"Shown are the {len(shown)} best of {len(context.chosen)}." if len(shown) < len(context.chosen) else ""
    parts = [figure(svg, text, some)]
    drawn = np.unique(np.concatenate([scores_of(study, o, i) for i in context.drawn]))
    drawn = drawn[np.isfinite(drawn)]
    tau = np.unique(np.quantile(drawn, np.linspace(0, 1, min(1000, drawn.size)))) if drawn.size else np.zeros(1)
    try:
        profile = profile_study(
            study, o.name, thresholds=tau, level=context.level, missing=context.missing, where=context.where
        )
    except InvalidInput as error:
        why = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return anchor, title, section(anchor, title, gallery(*parts), paragraph(why))
    bar, sign = best.summary.median.value, 1 if o.higher_is_better else -1
    word = "at or above" if o.higher_is_better else "at or below"
    listed = []
    for i in context.drawn:
        scores = scores_of(study, o, i)
        scores = scores[~np.isnan(scores)]
        share = percent(float((sign * scores >= sign * bar).mean())) if scores.size else "-"
        listed.append(f"{study.labels[i]}: {share}")
    digits = std.value / 10 if std.defined and std.value else None
    height = number(bar, digits, time=o.is_time)
    text = f"Share of agents {word} {height}, the median of the best configuration: {'; '.join(listed)}."
    labels = [str(study.labels[i]) for i in context.drawn]
    svg = context.sketch.draw(
        f"Performance profiles of {o.title}. {text}",
        lambda ax: plots.performance_profiles(profile, labels, ax=ax),
    )
    parts.append(figure(svg, text, f"Each band holds the whole curve at once. {context.drawn_note}".strip()))
    return anchor, title, section(anchor, title, gallery(*parts))


def comparisons(context: Context) -> Part | None:
    """Every pair, or every pair with the best."""
    pairs = context.comparisons
    if pairs is None:
        return None
    anchor, title = context.anchor("comparisons"), context.heading("Which differ, and by how much")
    text = pairs.pairs[0].sentence
    svg = context.sketch.draw(
        f"Probabilities of improvement. {text}",
        lambda ax: plots.improvement(pairs, ax=ax),
        height=1.5 + (0.34 * len(pairs.order) if len(pairs) >= len(pairs.order) else 0.26 * min(len(pairs), 20)),
    )
    listed = table(f"Comparisons: {pairs.words}", *pairs.table(), text_columns=2)
    parts = [figure(svg, text), paragraph(pairs.told_apart), listed]
    return anchor, title, section(anchor, title, *parts)


def winner(context: Context) -> Part | None:
    """The best configuration where it won, and on fresh seeds."""
    best = context.best
    if best is None:
        return None
    anchor, title = context.anchor("winner"), context.heading("The winner on fresh seeds")
    if not isinstance(best, Winner):
        return anchor, title, section(anchor, title, paragraph(best))
    why = "The best of many is best partly by luck; agents that had no part in the choice say what it is really worth."
    body = [paragraph(why), table(f"{best.label}: {best.metric.axis}", *best.table()), paragraph(best.sentence)]
    return anchor, title, section(anchor, title, *body)


def optimality(context: Context) -> Part | None:
    """The share of agents with an optimal policy, over episodes."""
    data, study = context.study.dataset, context.study
    if "share_optimal" not in data:
        return None
    anchor, title = context.anchor("optimal"), context.heading("Share of optimal agents")
    share = data["share_optimal"].to_numpy()[:, -1].astype(float)
    top, low = max(context.chosen, key=lambda i: share[i]), min(context.chosen, key=lambda i: share[i])
    text = f"At the last checkpoint {percent(float(share[top]))} of the agents of {study.labels[top]} are optimal"
    if top != low:
        text += f", the most, and {percent(float(share[low]))} of those of {study.labels[low]}, the least"
    text += "."
    drawn = sorted(context.chosen, key=lambda i: -share[i])[: len(context.drawn)]
    drawn = [i for i in context.chosen if i in drawn]
    note = f"Shown are the {len(drawn)} with the most." if len(drawn) < len(context.chosen) else ""
    svg = context.sketch.draw(
        f"Share of optimal agents over episodes. {text}",
        lambda ax: plots.study_share_optimal(study, drawn, ax=ax),
    )
    return anchor, title, section(anchor, title, figure(svg, text, note))

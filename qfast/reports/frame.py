"""The frame of a report: the findings in short, the settings, how intervals were made, how to get it again."""

from collections.abc import Sequence
from html import escape
from typing import Any

from qfast.plots.canvas import agents_text
from qfast.plots.settings import setting_text
from qfast.reports.context import Context
from qfast.reports.html import Part, bullets, code, definitions, paragraph, section, table
from qfast.studies.best import Winner
from qfast.studies.misrank import StudyMisranking
from qfast.studies.select import settings_json
from qfast.studies.summary import ConfigurationSummary
from qfast.studies.texts import with_interval
from qfast.text import in_percent


def head(context: Context, title: str, parts: Sequence[Part]) -> str:
    """Title, what was run, the findings, and where everything is."""
    data, study = context.study.dataset, context.study
    n = len(study.labels)
    how = (
        "agent i has the same random numbers in every configuration of a problem (paired)"
        if study.paired
        else "every configuration has random numbers of its own (independent)"
    )
    steps = f"; {int(data.attrs['n_steps']):,} agent-steps" if "n_steps" in data.attrs else ""
    many = f"{n:,} configurations" if n > 1 else "1 configuration"
    sizes = [row.n for problem in context.problems for row in context.within(problem).summary.rows]
    agents = agents_text(sizes).removesuffix(" each")
    lead = f"{many} of {agents} each, {int(data.attrs['episodes']):,} episodes an agent; {how}{steps}."
    judged = f"Judged by {context.metric.axis}: {context.metric.description or context.metric.name}"
    judged = f"{judged.rstrip('.')} ({context.metric.direction})."
    found = [text for problem in context.problems for text in _findings(context.within(problem))]
    links = "".join(f'<li><a href="#{p.anchor}">{escape(p.title, quote=False)}</a></li>' for p in parts)
    return "\n".join((
        "<header>",
        f"<h1>{escape(title, quote=False)}</h1>",
        paragraph(lead, kind="lead"),
        paragraph(judged, kind="soft"),
        "</header>",
        f'<section class="finding" aria-label="Findings in short">{bullets(found)}</section>',
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>',
    ))  # fmt: skip


def _findings(context: Context) -> list[str]:
    """The findings, one sentence each."""
    prefix = "" if context.problem is None else f"{context.problem}: "
    best = context.summary.best
    found = [_best_sentence(context, best)]
    pairs = context.comparisons
    if pairs is not None:
        found.append(pairs.pairs[0].sentence)
        same = pairs.equals_of_best
        if same and len(pairs.order) > 2:
            some = "; ".join(same[:3]) + (f"; and {len(same) - 3} more" if len(same) > 3 else "")
            verb = "are" if len(same) > 1 else "is"
            test = pairs.pairs[0].comparison.test
            found.append(f"{some} {verb} not told apart from the best by {test} with Holm's correction.")
    if isinstance(context.best, Winner):
        found.append(context.best.sentence)
    pair = context.pair
    if isinstance(pair, StudyMisranking):
        found.append(f"How many seeds: {pair.sentence}")
    if best.optimal is not None and context.metric.name != "optimal":
        share = in_percent(best.optimal.value)
        text = f"The greedy policy is optimal for {share} of the agents of {best.label}"
        shares = {row.label: row.optimal.value for row in context.summary.rows if row.optimal is not None}
        most = max(shares, key=shares.__getitem__)
        often = "" if most == best.label else f"; most often for {most}, {in_percent(shares[most])}"
        found.append(f"{text}{often}.")
    return [prefix + text for text in found]


def _best_sentence(context: Context, best: ConfigurationSummary) -> str:
    """What the best configuration has, and how its agents differ."""
    one, time, many = best.summary, context.metric.is_time, len(context.chosen) > 1
    if context.ranking.undecided:
        return f"Which is the best cannot be said: {context.ranking.undecided}."
    if one.mean.defined and context.ranking.by_mean:
        mean = with_interval(one.mean, time=time, after=best.after.get("mean"))
        text = f"{best.label} has {'the best mean' if many else 'the mean'}, {mean}"
    else:
        median = with_interval(one.median, time=time, after=best.after.get("median"))
        its = f"its {context.ranking.words}; its median is" if many else "the median"
        text = f"{best.label} has {its} {median}"
    if one.std.defined:
        text += f"; its agents have a standard deviation of {with_interval(one.std)}"
    if best.range_known:
        content, sure = (f"{100 * x:g} %" for x in (one.tolerance.content, one.tolerance.confidence))
        lie = f"at least {content} of all such agents lie within {context.summary.range_text(best)}"
        text += f"; {lie} ({sure} confidence)"
    return f"{text}."


def settings(context: Context) -> Part:
    """What was varied and what was not."""
    data = context.study.dataset
    varied = [[name, ", ".join(_value(v) for v in values)] for name, values in context.varied.items()]
    problems = settings_json(context.study, "problems")
    parts = []
    if varied:
        parts.append(table("What was varied", ["setting", "values"], varied, text_columns=2))
    if problems:
        parts += ["<h3>Problem</h3>" if len(problems) == 1 else "<h3>Problems</h3>", definitions(problems)]
    fixed = {name: _value(value) for name, value in settings_json(context.study, "settings").items()} | {
        "agents": f"{context.study.n_agents:,} of each configuration",
        "episodes": f"{int(data.attrs['episodes']):,}",
        "seed": data.attrs.get("seed", ""),
        "random numbers": "paired" if context.study.paired else "independent",
    }
    return section("settings", "Settings", *parts, "<h3>The same for all</h3>", definitions(fixed))


def _value(value: Any) -> str:
    if isinstance(value, dict):  # a schedule
        return str(value.get("text", value))
    return "-" if value is None else setting_text(value)


def methods(context: Context) -> Part:
    """How every kind of interval was made."""
    first = context.within(context.problems[0])
    summary, pairs, found = first.summary, first.comparisons, first.pair
    names = {
        "mean": "mean", "median": "median", "iqm": "interquartile mean", "std": "standard deviation over agents",
        "quantiles": "quantiles over agents", "tolerance": "range that holds 90 % of agents", "share": "share",
        "optimal": "share optimal", "happened": "share ever",
    }  # fmt: skip
    made = {names.get(name, name): "; ".join(how) for name, how in summary.methods.items()}
    if pairs is not None:
        c, many = pairs.pairs[0].comparison, f"{len(pairs):,} pair{'s' * (len(pairs) > 1)}"
        made |= {
            "difference of means": f"{c.difference.interval.method}; {c.test}",
            "probability of improvement": c.probability_of_improvement.interval.method,
            "effect size": c.effect_size.interval.method,
            "p-values": f"corrected for {many} by {pairs.method.capitalize()}'s method",
        }
    if isinstance(found, StudyMisranking):
        ways = dict.fromkeys((*found.methods, *getattr(found.result, "missed_method", ())))
        made["wrong winner, missed"] = "; ".join(ways)
    text = (
        f"Intervals are {100 * context.level:g} % confidence intervals, each by itself: they say how well a number is "
        "known and shrink as agents are added. The standard deviation, the quantiles and the range that holds 90 % of "
        "the agents say how much agents differ; these do not shrink."
    )
    extra = [f"{note[0].upper()}{note[1:]}." for note in (summary.note, summary.stopping) if note]
    if context.missing == "drop":
        extra.append("Agents whose score is undefined are left out of every answer; each says how many are left.")
    body = [paragraph(text), *(paragraph(t) for t in extra), definitions(made)]
    return section("methods", "How the intervals were made", *body)


def reproduce(context: Context) -> Part:
    """What makes the same numbers again, bit for bit."""
    attrs = context.study.dataset.attrs
    command = str(attrs.get("command", "")).strip()
    parts = [
        paragraph("Each agent depends on the seed and its number alone, so this gives the same numbers again:"),
        code(command) if command else paragraph("(not recorded)"),
    ]
    shell = str(attrs.get("shell", "")).strip()
    if shell:
        parts += [paragraph("Or, on the command line:"), code(shell)]
    facts = {
        "qfast": attrs.get("qfast_version", ""), "seed": attrs.get("seed", ""),
        "agent-steps": f"{int(attrs['n_steps']):,}" if "n_steps" in attrs else "",
        "seconds": f"{float(attrs['seconds']):.1f}" if "seconds" in attrs else "",
    }  # fmt: skip
    parts.append(definitions({k: v for k, v in facts.items() if v != ""}))
    return section("reproduce", "How to get it again", *parts)

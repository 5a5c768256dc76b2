"""Studies in words: what a person reads first."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from qfast.model.rates import Rate, Shape
from qfast.studies.settings import value_in_words

if TYPE_CHECKING:
    from qfast.studies.result import Study

__all__ = ["as_code", "describe_study", "problems_in_words", "streams_in_words", "table", "values_in_words"]

_ROWS = 12  # configurations that are shown
_WIDTH = 56  # of a label


def streams_in_words(study: "Study") -> str:
    """How the configurations' random streams belong together."""
    if study.paired:
        within = " of a problem" if "problem" in study.varied else ""
        return f"paired: agent i has the same random stream in every configuration{within}"
    return "unpaired: every configuration has random streams of its own"


def problems_in_words(study: "Study") -> list[str]:
    """Each problem, by the name that the study has for it if it was given one, and its sizes."""
    problems = json.loads(study.dataset.attrs["problems"])
    return [text if name == "problem" else f"{name}: {text}" for name, text in problems.items()]


def table(study: "Study", *, rows: int = _ROWS) -> list[tuple[str, ...]]:
    """The configurations as rows of cells, with a row of headings: means, spreads, and the share of optimal agents."""
    heads = ["configuration"]
    usual = ("auc", "final_return", "greedy_return", "regret", "steps")
    metrics: list[str] = [name for name in usual if name in study.metrics]
    metrics = ([name for name in metrics if not study.is_constant(name)] or metrics)[:2]
    metrics = metrics or [name for name in study.metrics if name not in ("optimal", "first_optimal")][:2]
    for name in metrics:
        heads += [f"{name} mean", "std"]
    shares = "optimal" in study.metrics
    lines = [tuple(heads + ["optimal"] * shares)]
    for number, label in enumerate(study.labels[:rows]):
        cells = [label if len(label) <= _WIDTH else f"{label[: _WIDTH - 1]}…"]
        for name in metrics:
            scores = study.scores(name, number)
            if np.isfinite(scores).all():
                cells += [f"{scores.mean():.5g}", f"{scores.std(ddof=1):.3g}"] if scores.size > 1 else ["-", "-"]
            else:
                cells += ["not defined", "-"]
        if shares:
            scores = study.scores("optimal", number)
            cells.append(f"{100 * scores.mean():.4g} %" if scores.size else "-")
        lines.append(tuple(cells))
    return lines


def describe_study(study: "Study") -> str:
    """Describe a study on one screen."""
    attributes, n = study.dataset.attrs, len(study)
    steps, seconds = int(attributes["n_steps"]), float(attributes["seconds"])
    speed = f", {steps / seconds / 1e6:,.0f} million a second" if seconds > 0 else ""
    run = study.dataset["agents_run"].to_numpy()
    agents = f"{study.n_agents:,} agents each"
    if (run < study.n_agents).any():
        several = f"{run.min():,} to {run.max():,}" if run.min() < run.max() else f"{run.min():,}"
        agents = f"{several} of at most {study.n_agents:,} agents each"
    lines = [
        f"Study of {n:,} configuration{'s' * (n > 1)}, {agents}, {study.episodes:,} episodes",
        *(f"  problem    {line}" for line in problems_in_words(study)),
        f"  varied     {', '.join(values_in_words(study, name) for name in study.varied) or 'nothing'}",
        f"  streams    seed {study.seed}; {streams_in_words(study)}",
        f"  steps      {steps:,} in {seconds:.3g} s{speed}",
        f"  metrics    {', '.join(study.metrics)}",
    ]
    cells = table(study)
    widths = [max(len(line[j]) for line in cells) for j in range(len(cells[0]))]
    for line in cells:
        rest = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join([line[0].ljust(widths[0]), *rest]).rstrip())
    if n > _ROWS:
        lines.append(f"  … and {n - _ROWS:,} more")
    lines.append("  (std: the spread of the agents, not the error of the mean)")
    return "\n".join(lines)


def as_code(value: Any) -> str:
    """A setting's value as Python code; rows of numbers and tabulated rates in words."""
    if isinstance(value, (Shape, Rate)):
        return f"qfast.{value!r}"
    return f"<{value_in_words(value)}>" if isinstance(value, np.ndarray) else repr(value)


def values_in_words(study: "Study", name: str) -> str:
    """What a setting varies over."""
    values = list(dict.fromkeys(one[name] for one in study.configurations if name in one))
    shown = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
    text = ", ".join(shown) if len(shown) <= 5 else f"{shown[0]}, {shown[1]}, …, {shown[-1]} ({len(shown)} values)"
    return f"{name} ({text})"



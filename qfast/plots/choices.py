"""Pictures of a choice between configurations: how often one does better, and how often few seeds mislead."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import takes
from qfast.plots.canvas import (
    COLOURS,
    GREY,
    Look,
    agents_text,
    axes_of,
    cell_text,
    colormap_of,
    finish,
    look,
    matplotlib,
    percent_axis,
    say,
)
from qfast.stats._check import check_count
from qfast.studies.compare import AllComparisons
from qfast.studies.misrank import USUAL_SEEDS, StudyMisranking
from qfast.text import in_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_MOST_CELLS: Final = 12
_MOST_ROWS: Final = 20
# Of the numbers beside marks, in points: the height of a line, and the width of a character.
_LINE, _WIDE = 10.0, 5.4
_HATCHES: Final = ("//", "\\\\", "xx", "--", "||")


@takes("AllComparisons", "use what study.compare_all() gave")
def improvement(comparisons: AllComparisons, *, ax: "Axes | None" = None) -> "Axes":
    """Draw probabilities of improvement: a matrix of all pairs, or against one configuration with intervals.

    Parameters
    ----------
    comparisons : AllComparisons
        From ``study.compare_all()``.  All pairs get a cell each; of more than 12 configurations, or with ``against=``,
        at most 20 pairs with the best one, or with the one named, get a line with its interval.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Pairs that the corrected test does not tell apart are in brackets, or hollow.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> ax = improvement(study.compare_all(), ax=Figure().add_subplot())
    >>> sorted(text.get_text() for text in ax.texts)
    ['44', '56']
    """
    n = len(comparisons.order)
    complete = len(comparisons) == n * (n - 1) // 2
    return _matrix(comparisons, ax) if complete and n <= _MOST_CELLS else _forest(comparisons, ax)


def _subject(comparisons: AllComparisons) -> str:
    """What is compared, of how many agents."""
    counts = [n for p in comparisons.pairs for n in (p.comparison.n_a, p.comparison.n_b)]
    paired = "paired" if comparisons.pairs[0].comparison.paired else "independent"
    about = next((pair.about for pair in comparisons.pairs if pair.about), "")
    texts = (comparisons.metric.title, f"{agents_text(counts)}, {paired}", about)
    return "; ".join(filter(None, texts))


def _matrix(comparisons: AllComparisons, ax: "Axes | None") -> "Axes":
    """A cell for each ordered pair."""
    n = len(comparisons.order)
    p = comparisons.probability_of_improvement()
    place = {c: i for i, c in enumerate(comparisons.order)}
    for pair in comparisons.pairs:
        if pair.no_verdict:
            p[place[pair.a], place[pair.b]] = p[place[pair.b], place[pair.a]] = np.nan
    ax = axes_of(ax, (3.0 + 0.62 * n, 1.4 + 0.42 * n))
    image = ax.imshow(p, cmap=colormap_of("cividis"), vmin=0, vmax=1, aspect="auto")
    for pair in comparisons.pairs:
        i, j = place[pair.a], place[pair.b]
        for row, column in ((i, j), (j, i)):
            value = float(p[row, column])
            if np.isnan(value):
                cell_text(ax, row, column, "?", 1.0)
                continue
            text = in_percent(value, 0).removesuffix(" %")
            cell_text(ax, row, column, text if pair.better is not None else f"({text})", value)
    # Numbers to the right, names and numbers on the left: names twice would leave no room for the cells.
    names = [f"{i}: {label}" for i, label in enumerate(comparisons.labels, 1)]
    ax.set_xticks(range(n), [str(i) for i in range(1, n + 1)])
    ax.set_yticks(range(n), names)
    ax.set_ylabel("this one does better …")
    ax.set_xlabel("… than this one")
    percent_axis(ax.figure.colorbar(image, ax=ax, label="share of cases, ties half").ax.yaxis)
    same = "on the same seed" if comparisons.pairs[0].comparison.paired else "agent against agent"
    brackets = "in brackets: not told apart" if comparisons.n_different < len(comparisons) else ""
    brackets += "; ?: no verdict, scores are undefined" if any(pair.no_verdict for pair in comparisons.pairs) else ""
    say(ax, _subject(comparisons), same, "cells in %", brackets, labels=names)
    return ax


def _forest(comparisons: AllComparisons, ax: "Axes | None") -> "Axes":
    """A row with an interval for each pair that has one configuration in common."""
    shared = set.intersection(*({pair.a, pair.b} for pair in comparisons.pairs))
    # Of all pairs, those with the best one; against one configuration, all.
    centre = comparisons.order[0] if len(shared) != 1 else next(iter(shared))
    every = [pair for pair in comparisons.pairs if centre in (pair.a, pair.b)]
    pairs = every[:_MOST_ROWS]
    ax = axes_of(ax, (6.4, 1.3 + 0.28 * len(pairs)))
    names = []
    for row, pair in enumerate(pairs):
        e = pair.comparison.probability_of_improvement
        value, ends = e.value, (e.interval.low, e.interval.high)
        if pair.a == centre:  # the other one is of interest
            value, ends = 1 - value, (1 - ends[1], 1 - ends[0])
        names.append(pair.label_b if pair.a == centre else pair.label_a)
        ax.plot(ends, [row, row], color=COLOURS[0], linewidth=2)
        face = COLOURS[0] if pair.better is not None else "white"
        ax.plot([value], [row], marker="o", color=COLOURS[0], markerfacecolor=face, linestyle="none")
    ax.axvline(0.5, color="#555555", linewidth=0.8, linestyle="--")
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(-0.02, 1.02)
    percent_axis(ax.xaxis)
    label = comparisons.labels[comparisons.order.index(centre)]
    ax.set_xlabel(f"probability of doing better than\n{label}")
    level = pairs[0].comparison.probability_of_improvement.interval.level
    hollow = "hollow: not told apart" if any(pair.better is None for pair in pairs) else ""
    some = f"the {len(pairs)} best of {len(every):,} others" if len(pairs) < len(every) else ""
    lines = f"lines: {100 * level:.4g} % confidence intervals"
    finish(ax, _subject(comparisons), some, lines, "ties half", hollow, labels=names, legend=False)
    return ax


@takes("StudyMisranking", "use what study.misranking(…) gave")
def misranking_curve(found: StudyMisranking, *, risk: float = 0.05, ax: "Axes | None" = None) -> "Axes":
    """Draw how often an experiment with k seeds names the wrong winner, or misses a real difference, over k.

    Parameters
    ----------
    found : StudyMisranking
        From ``study.misranking(…)``; ``study.plot_misranking(…)`` chooses a fine grid of k.
    risk : float, default 0.05
        The acceptable probability to be wrong, in (0, 1): where the curve crosses it for the last time is marked.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Bands are two standard errors to either side: of the resampling, and of a pair also as populations are finite.

    Raises
    ------
    InvalidInput
        If risk is outside (0, 1).

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> misranking_curve(study.misranking(rng=0), ax=Figure().add_subplot()).get_xlabel()
    'seeds of each configuration in an experiment'
    """
    least = found.trustworthy(risk)
    marks: list[tuple[Floats, Look, Floats | None, int | None]] = []
    order = np.argsort(found.k, kind="stable")
    k, wrong, error = found.k[order], found.wrong[order], found.wrong_error[order]
    ax = axes_of(ax, (6.4, 4.4))
    first, second = look(0), look(1)
    if found.missed is not None and found.missed_error is not None:
        result: Any = found.result
        missed = found.missed[order]
        _line(ax, k, missed, found.missed_error[order], second,
              f"misses the difference ({result.test} at {result.alpha:g})", linewidth=1.8, zorder=3)  # fmt: skip
        marks = [(missed, second, wrong, None)]
    _line(ax, k, wrong, error, first, "names the wrong winner (by the mean)", linewidth=2.2, zorder=4)
    marks.append((wrong, first, None, least))
    guess = 0.5 if found.is_pair else 1 - 1 / len(found.labels)
    top = 1.0 if found.missed is not None else min(1.0, max(float(wrong.max()), guess) + 0.04)
    _seed_axis(ax, k, 0.92, 1.12)
    ax.spines["left"].set_bounds(0, top)
    ax.set_yticks([t for t in (0, 0.2, 0.4, 0.6, 0.8, 1.0) if t <= top])
    right = ax.get_xlim()[1]
    for height, text in ((guess, "a coin" if found.is_pair else "a guess"), (risk, f"{100 * risk:g} %")):
        ax.axhline(height, color="#777777", linewidth=0.8, linestyle=":", zorder=1)
        ax.annotate(text, (right, height), (-2, 2), textcoords="offset points", ha="right", va="bottom",
                    fontsize="small", color="#555555")  # fmt: skip
    if least is not None and least > 1:
        ax.plot([least, least], [0, risk], color=first.color, linewidth=1.2, zorder=4)
        ax.plot([least], [risk], marker="v", color=first.color, markersize=7, zorder=5)
        ax.annotate(f"{least:,} seeds", (least, risk), (0, 8), textcoords="offset points", ha="center", va="bottom",
                    fontweight="bold", color=first.color, zorder=6,
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})  # fmt: skip
    ax.set_ylabel("share of experiments")
    percent_axis(ax.yaxis)
    which = f"{found.labels[0]} (better) or {found.labels[1]}" if found.is_pair else f"the best of {len(found.labels)}"
    finish(
        ax, f"{found.metric.title}: {which}", _truth(found), found.about, "bands: ± 2 standard errors", legend=False
    )
    ax.legend(frameon=False, fontsize="small", loc="upper right", borderaxespad=0)
    # The legend has a strip of its own above the highest value and its number; the title takes room, too.
    height = ax.get_window_extent().height * 72 / ax.figure.dpi - _LINE * ax.get_title(loc="left").count("\n")
    ax.set_ylim(0, top / max(1 - (36 if found.missed is not None else 22) / height, 0.5))
    for p, style, other, crossing in marks:  # now that it is known how much room there is
        _marks(ax, k, p, style, other, crossing)
    return ax


def _truth(found: StudyMisranking) -> str:
    how = "experiments share random numbers" if found.paired else "independent seeds"
    return f"truth: {found.n_agents:,} agents each; {how}"


def _line(ax: "Axes", k: Any, p: Floats, error: Floats, style: Look, label: str, **width: Any) -> None:
    """Draw probabilities over seeds with their band."""
    low, high = np.maximum(p - 2 * error, 0), np.minimum(p + 2 * error, 1)
    ax.fill_between(k, low, high, color=style.color, alpha=0.18, linewidth=0, zorder=2)
    ax.plot(k, p, color=style.color, linestyle=style.linestyle, label=label, **width)


def _marks(ax: "Axes", k: Any, p: Floats, style: Look, other: Floats | None, crossing: int | None) -> None:
    """Mark the usual numbers of seeds, with their probabilities where there is room."""
    where = [i for i, seeds in enumerate(k.tolist()) if seeds in USUAL_SEEDS]
    ax.plot(k[where], p[where], color=style.color, marker=style.marker, linestyle="none", markersize=5, zorder=5)
    end = (-np.inf, 0.0)
    for i in where:
        crowded = other is not None and abs(p[i] - other[i]) < 0.09
        near = crossing is not None and p[i] < 0.13 and abs(np.log10(k[i] / crossing)) < 0.35
        if p[i] < 0.015 or crowded or near or p[i] > 0.985:
            continue
        text = in_percent(float(p[i]))
        x, y = ax.transData.transform((k[i], p[i])) * 72 / ax.figure.dpi
        above = x > end[0] or abs(y - end[1]) > _LINE  # of the number to the left
        ax.annotate(
            text, (k[i], p[i]), (4, 5) if above else (-4, -5), textcoords="offset points", fontsize="small",
            color=style.color, zorder=6, ha="left" if above else "right", va="bottom" if above else "top",
        )  # fmt: skip
        end = (x + _WIDE * len(text), y) if above else end


def _seed_axis(ax: "Axes", k: Any, before: float = 1.0, after: float = 1.0) -> None:
    """An axis of seeds, with ticks where people choose them: 1, 3, 10, 30, … and 5."""
    ax.set_xscale("log")
    ax.set_xlim(before * float(k[0]), after * float(k[-1]))
    ticks = sorted({t * 10**e for e in range(7) for t in (1, 3)} | set(USUAL_SEEDS))
    ticks = [t for t in ticks if t <= float(k[-1]) * 1.1]
    ax.set_xticks(ticks, [f"{t:,}" for t in ticks])
    ax.xaxis.set_minor_locator(matplotlib("ticker").NullLocator())
    ax.set_xlabel("seeds of each configuration in an experiment")


@takes("StudyMisranking", "use what study.misranking(…) gave")
def named_shares(found: StudyMisranking, *, top: int = 5, ax: "Axes | None" = None) -> "Axes":
    """Draw which configuration an experiment with k seeds names as the best, as shares of all experiments.

    Parameters
    ----------
    found, ax
        As in `misranking_curve`.
    top : int, default 5
        Configurations besides the best with an area of their own, those named most often; the others share one.

    Returns
    -------
    matplotlib.axes.Axes
        What lies above the thick line is wrong.

    Raises
    ------
    InvalidInput
        If top is no whole number of at least 1.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> lake = qfast.problems.frozen_lake(slip=0.0)
    >>> study = qfast.study(lake, vary={"epsilon": [0.1, 0.2, 0.4]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> named_shares(study.misranking(rng=0), ax=Figure().add_subplot()).get_ylabel()
    'share of experiments that name it'
    """
    most = check_count(top, "top")
    order = np.argsort(found.k, kind="stable")
    k, named = found.k[order], found.named[order]
    best = list(getattr(found.result, "best", (0,)))
    others = [i for i in np.argsort(-named.max(axis=0), kind="stable").tolist() if i not in best]
    own = [i for i in others[:most] if named[:, i].max() > 0]
    rest = [i for i in others if i not in own]
    right = named[:, best].sum(axis=1)
    layers: list[tuple[Floats, str, str, str | None]] = [
        (right, " and ".join(found.labels[i] for i in best) + " (the best)", COLOURS[0], None)
    ]
    for n, i in enumerate(own):
        layers.append((named[:, i], found.labels[i], COLOURS[1 + n % (len(COLOURS) - 1)], _HATCHES[n % len(_HATCHES)]))
    if rest and named[:, rest].sum() > 0:
        layers.append((named[:, rest].sum(axis=1), f"{len(rest)} others", GREY, None))
    ax = axes_of(ax, (6.4, 4.4))
    floor = np.zeros(k.size)
    for share, label, color, hatch in layers:
        ax.fill_between(k, floor, floor + share, facecolor=color, alpha=0.75, hatch=hatch, edgecolor="white",
                        linewidth=0.4, label=label)  # fmt: skip
        floor = floor + share
    ax.plot(k, right, color="black", linewidth=2)
    _seed_axis(ax, k)
    ax.set_ylim(0, 1)
    ax.set_ylabel("share of experiments that name it")
    percent_axis(ax.yaxis)
    title = f"{found.metric.title}: which of {len(found.labels)}"
    finish(ax, title, _truth(found), "above the black line: wrong", legend=False)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], fontsize="small", loc="lower right", framealpha=0.9)
    return ax

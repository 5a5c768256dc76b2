"""The pictures of a run: throughput on a log axis, rules and options, growth curves, start-up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.growth import AXES
from benchmarks.results import Results
from benchmarks.tables import contender_titles
from benchmarks.variants import BOTH, VARIANTS
from benchmarks.workloads import BUILDERS, workload

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_all", "draw_growth", "draw_speed_up", "draw_start_up", "draw_throughput", "draw_variants"]

# Okabe & Ito (2008), told apart by the colour-blind too; light and dark alternate, so grey print works.
_COLOURS = {
    "q_learning": "#0072B2",
    "plain_numba": "#E69F00",
    "jax_batched": "#009E73",
    "numpy_batched": "#F0E442",
    "gymnasium_loop": "#CC79A7",
    "python_article": "#999999",
}
_SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_OUTLINE: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.4}
_STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "qfast",
    "svg.fonttype": "none",
    "figure.dpi": 150,
}


def draw_throughput(results: Results, ax: Axes) -> Axes:
    """Agent-steps a second of qfast and the peers, by workload, on a log axis; lines from lowest to highest round."""
    measured = [name for name in BUILDERS if results.contenders(name)]
    shown = {key: title for key, title in contender_titles().items() if any(results.rate(n, key) for n in measured)}
    width = 0.9 / max(1, len(shown))
    places = {name: [key for key in shown if results.rate(name, key)] for name in measured}
    for key, title in shown.items():
        found = [(name, rate) for name in measured if (rate := results.rate(name, key))]
        beside = [places[name].index(key) - (len(places[name]) - 1) / 2 for name, _ in found]
        at = np.array([measured.index(name) for name, _ in found]) + np.array(beside) * width
        middle = np.array([rate.middle for _, rate in found]) * 1e6
        low, high = (np.array([getattr(rate, end) for _, rate in found]) * 1e6 for end in ("low", "high"))
        ax.bar(at, middle, width, label=title, color=_COLOURS[key], **_OUTLINE)
        ax.vlines(at, low, high, color="black", linewidth=0.8)
        for x, top, value in zip(at, high, middle, strict=True):
            text = f"{value / 1e6:.0f}" if value >= 1e7 else f"{value / 1e6:.2g}"
            weight = "bold" if key == "q_learning" else "normal"
            ax.text(x, top * 1.12, text, ha="center", va="bottom", fontsize=6, fontweight=weight)
    ax.set_yscale("log")
    ax.set_ylim(top=ax.get_ylim()[1] * 2)
    ax.set_xticks(range(len(measured)), [workload(name).title for name in measured])
    ax.set_ylabel("agent-steps a second, one thread")
    ax.set_title("numbers on the bars: million agent-steps a second", fontsize=7, loc="left")
    ax.legend(ncols=len(shown), fontsize=6.5, frameon=False, loc="lower center", bbox_to_anchor=(0.48, 1.06))
    return ax


def draw_variants(results: Results, ax: Axes) -> Axes:
    """Rules and options as shares of Q-learning's throughput on W1 and W3; a tick marks what was asked for."""
    shown = [v for v in VARIANTS.values() if any(results.share(name, v.name) for name in BOTH)]
    for i, name in enumerate(BOTH):
        found = [(y, share) for y, v in enumerate(shown) if (share := results.share(name, v.name))]
        at = np.array([y for y, _ in found]) + (i - 0.5) * 0.38
        title = workload(name).title
        ax.barh(at, [s.middle for _, s in found], 0.38, label=title, color=_SERIES[2 * i], **_OUTLINE)
        ax.hlines(at, [s.low for _, s in found], [s.high for _, s in found], color="black", linewidth=0.8)
    asked = np.array([(v.least, y - 0.42, y + 0.42) for y, v in enumerate(shown) if v.least]).reshape(-1, 3)
    ax.vlines(*asked.T, color="#D55E00", linewidth=2, label="asked for")
    ax.axvline(1 / 3, color="grey", linestyle=":", linewidth=1, label="a third")
    ax.axvline(1, color="grey", linewidth=0.6)
    ax.set_yticks(range(len(shown)), [v.title for v in shown])
    ax.invert_yaxis()
    ax.set_xlabel("throughput, as a share of Q-learning's in the same round (median; lines: lowest to highest round)")
    ax.legend(frameon=False, fontsize=7, loc="center right")  # beside the short bars of the traces
    return ax


def draw_growth(results: Results, axis: str, ax: Axes) -> Axes:
    """Cost of an agent-step over one axis; the band goes from the lowest round to the highest."""
    for i, (series, curve) in enumerate(results.curve(axis).items()):
        x, costs, colour = [size for size, _, _ in curve], [cost for _, cost, _ in curve], _SERIES[i % 5]
        line = "os^Dv"[i % 5] + "-"
        ax.plot(x, [cost.middle for cost in costs], line, color=colour, label=series, markersize=3, linewidth=1)
        ax.fill_between(x, [c.low for c in costs], [c.high for c in costs], color=colour, alpha=0.2, linewidth=0)
        if axis == "states":  # 64 agents are in flight
            _mark_caches(ax, curve[0][2] / x[0], x[-1], results.data["about"]["machine"]["caches"])
    if axis in ("agents", "episodes", "states"):
        ax.set_xscale("log")
    else:
        ax.set_xticks(sorted({x for _, x in AXES[axis].chosen(results.data["mode"])}))
    ax.set_ylim(bottom=0)
    ax.set_xlabel(axis)
    ax.set_ylabel("ns an agent-step")
    if len(results.curve(axis)) > 1:
        ax.legend(frameon=False, fontsize=6)
    else:
        ax.set_title(next(iter(results.curve(axis))), fontsize=7)
    return ax


def draw_speed_up(results: Results, ax: Axes) -> Axes:
    """How many times faster two threads are than one, by workload."""
    found = {name: speed_up for name in BUILDERS if (speed_up := results.speed_up(name))}
    x = range(len(found))
    ax.bar(x, [s.middle for s in found.values()], 0.6, color=_SERIES[0], **_OUTLINE)
    ax.vlines(x, [s.low for s in found.values()], [s.high for s in found.values()], color="black", linewidth=0.8)
    ax.axhline(1.85, color="#D55E00", linewidth=1, label="asked for")
    ax.set_xticks(x, list(found))
    ax.set_ylim(0, max([2.2, *(1.05 * s.high for s in found.values())]))
    ax.set_ylabel("2 threads: times faster")
    ax.legend(frameon=False, fontsize=6, loc="upper left")
    return ax


def _mark_caches(ax: Axes, bytes_a_state: float, most: int, caches: dict[str, int]) -> None:
    """Lines at the numbers of states whose tables, of all agents in flight, just fill a cache."""
    for name, size in caches.items():
        x = size / bytes_a_state
        if x < most:
            ax.axvline(x, color="grey", linestyle=":", linewidth=0.8)
            ax.text(x, 0.98, f" {name}", transform=ax.get_xaxis_transform(), va="top", fontsize=6, color="#555555")


def draw_start_up(results: Results, ax: Axes) -> Axes:
    """Seconds of whole processes, from start to exit."""
    found = {results.data["titles"][name]: results.start_up(name) for name in results.data["start_up"]}
    values = {title: seconds for title, seconds in found.items() if seconds}
    y = range(len(values))
    ax.barh(y, [v.middle for v in values.values()], color=_SERIES[0], **_OUTLINE)
    ax.hlines(y, [v.low for v in values.values()], [v.high for v in values.values()], color="black", linewidth=0.8)
    ax.set_yticks(y, list(values))
    ax.invert_yaxis()
    ax.set_xlabel("seconds from start to exit (median; lines: lowest to highest round)")
    return ax


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Draw every picture that the run has measurements for; the files."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    files = []

    def save(figure: Any, name: str) -> None:
        figure.savefig(folder / name, metadata={"Date": None} if name.endswith("svg") else None, bbox_inches="tight")
        plt.close(figure)
        files.append(folder / name)

    with mpl.rc_context(_STYLE):
        if results.has("throughput"):
            for name in ("throughput.svg", "throughput.png"):
                figure, ax = plt.subplots(figsize=(7.2, 2.8))
                draw_throughput(results, ax)
                save(figure, name)
        if results.has("variants"):
            figure, ax = plt.subplots(figsize=(7.2, 5.6))
            draw_variants(results, ax)
            save(figure, "variants.png")
        drawn = [axis for axis in AXES if results.curve(axis)]
        if drawn:
            figure, axes = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
            figure.suptitle("median over rounds; bands and lines go from the lowest round to the highest", fontsize=8)
            for axis, ax in zip(drawn, axes.flat, strict=False):
                draw_speed_up(results, ax) if axis == "threads" else draw_growth(results, axis, ax)
            for ax in axes.flat[len(drawn) :]:
                ax.remove()
            save(figure, "growth.png")
        if results.has("start_up"):
            figure, ax = plt.subplots(figsize=(7.2, 2.4))
            draw_start_up(results, ax)
            save(figure, "start_up.png")
    return files

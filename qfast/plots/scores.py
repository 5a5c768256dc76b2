"""Pictures of a metric's distribution over agents: violins, empirical distribution functions, profiles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import takes
from qfast.errors import InvalidInput
from qfast.plots.canvas import (
    MOST_LINES,
    agents_text,
    axes_of,
    axis_of,
    choose,
    find_all,
    finish,
    look,
    quantiles_of,
    share_axis,
    thin,
)
from qfast.stats._check import check_open_unit
from qfast.studies.profile import StudyProfile
from qfast.studies.select import StudyData, metric_of, restricted, scores_of
from qfast.text import in_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS: Final = 60
_MOST_ROWS: Final = 24
_DARK: Final = "#222222"

Floats = NDArray[np.float64]


@takes("Study", "use what qfast.study or qfast.load_study gave")
def score_distribution(
    study: StudyData,
    metric: str | None = None,
    configurations: Sequence[Any] | None = None,
    *,
    kind: str = "violin",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw how a metric is distributed over the agents of each configuration.

    Parameters
    ----------
    study : Study
    metric : str, optional
        One of ``study.metrics``; by default ``"auc"``.
    configurations : sequence, optional
        Which ones, by index, label or settings; by default all, or the best: 24 violins, six functions.
    kind : {"violin", "ecdf"}, default "violin"
        "violin": a histogram of 60 bins above and below a line, not smoothed, so that scores which only take a few
        values look so; "ecdf": the share of agents up to each score.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        For an unknown metric, kind or configuration.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> score_distribution(study, kind="ecdf", ax=Figure().add_subplot()).get_ylabel()
    'share of agents up to the score'
    """
    if not isinstance(kind, str) or kind not in ("violin", "ecdf"):
        raise InvalidInput(f"kind={kind!r} is unknown; use 'violin' or 'ecdf'")
    asked, violins = metric_of(study, metric), kind == "violin"
    chosen, selection = choose(study, configurations, asked, _MOST_ROWS if violins else MOST_LINES)
    labels, raw = [str(study.labels[i]) for i in chosen], [scores_of(study, asked, i) for i in chosen]
    scores = [np.sort(restricted(study, asked, x)) for x in raw]
    if violins:
        ax = axes_of(ax, (6.4, 1.4 + 0.45 * len(chosen)))
        _violins(ax, scores, labels)
        text = "line: middle 90 %, box: middle half, white: median, dot: mean"
    else:
        ax = axes_of(ax)
        _functions(ax, scores, labels)
        text = "empirical distribution functions"
    ax.set_xlabel(axis_of(asked, raw, int(study.dataset.attrs["episodes"])))
    texts = [selection, agents_text([x.size for x in scores]), text]
    texts += [_left_out(label, x) for label, x in zip(labels, scores, strict=True)]
    finish(ax, *texts, labels=labels if violins else (), legend=not violins and bool(ax.get_lines()))
    return ax


def _left_out(label: str, scores: Floats) -> str:
    """Say which agents a picture cannot show: those with infinite or undefined scores; empty where it shows all.

    >>> _left_out("alpha=0.1", np.array([1.0, np.inf, np.nan, 2.0]))
    'alpha=0.1: 25 % infinite, 25 % undefined, not drawn'
    """
    shares = (("infinite", np.isinf(scores).mean()), ("undefined", np.isnan(scores).mean()))
    told = [f"{in_percent(float(share))} {word}" for word, share in shares if share]
    return f"{label}: {', '.join(told)}, not drawn" if told else ""


def _steps(ax: "Axes", x: Floats, y: Floats, place: int, label: str) -> None:
    """Draw a step function in the look of a place, with about eight markers."""
    ax.step(x, y, where="post", **look(place)._asdict(), markersize=4, markevery=max(1, x.size // 8), label=label)


def _functions(ax: "Axes", scores: list[Floats], labels: list[str]) -> None:
    """Draw the empirical distribution functions of sorted scores; infinite ones count."""
    for place, (whole, label) in enumerate(zip(scores, labels, strict=True)):
        x = whole[np.isfinite(whole)]
        if not x.size:
            continue
        part = thin(x.size, 160)
        below, defined = int((whole == -np.inf).sum()), int((~np.isnan(whole)).sum())
        height = (below + part + 1) / defined
        _steps(ax, np.r_[x[0], x[part]], np.r_[below / defined, height], place, label)
    share_axis(ax, "share of agents up to the score")


def _violins(ax: "Axes", scores: list[Floats], labels: list[str]) -> None:
    """Draw a histogram of sorted scores to either side of a line, with quantiles and the mean, in a row each."""
    finite = [x[np.isfinite(x)] for x in scores]
    some = [x for x in finite if x.size] or [np.zeros(1)]
    low, high = min(float(x[0]) for x in some), max(float(x[-1]) for x in some)
    # A few stray agents must not squeeze all others into three bins.
    core = [np.quantile(x, (0.001, 0.999)) for x in some]
    low, high = max(low, min(c[0] for c in core)), min(high, max(c[1] for c in core))
    room = 0.02 * (high - low) or 0.5
    edges = np.linspace(low - room, high + room, _BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    for row, x in enumerate(scores):
        if not finite[row].size:
            continue
        counts, _ = np.histogram(np.clip(finite[row], low, high), edges)
        half = 0.42 * counts / counts.max()
        ax.fill_between(middle, row - half, row + half, step="mid", color=look(row).color, alpha=0.45, linewidth=0)
        # Infinite agents count: a line that reaches them goes to the edge.
        q = np.clip(quantiles_of(x, (0.05, 0.25, 0.5, 0.75, 0.95)), edges[0], edges[-1])
        ax.plot(q[[0, 4]], [row, row], color=_DARK, linewidth=1)
        ax.plot(q[[1, 3]], [row, row], color=_DARK, linewidth=4, solid_capstyle="butt")
        ax.plot([q[2]], [row], marker="|", color="white", markersize=7, markeredgewidth=2)
        if finite[row].size == x.size:
            ax.plot([x.mean()], [row], marker="o", color="white", markeredgecolor=_DARK, markersize=4)
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)


@takes("StudyProfile", "use what study.profile(…) gave")
def performance_profiles(
    profile: StudyProfile, configurations: Sequence[str] | None = None, *, ax: "Axes | None" = None
) -> "Axes":
    """Draw performance profiles: the share of agents that do better than each threshold.

    Parameters
    ----------
    profile : StudyProfile
        From ``study.profile()``.
    configurations : sequence of str, optional
        Labels, at most six; by default all, or the six with the best average.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Each band holds the whole curve at once (Dvoretzky, Kiefer, Wolfowitz, Massart).

    Raises
    ------
    InvalidInput
        For labels that are not in the profile, or more than six.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> performance_profiles(study.profile(), ax=Figure().add_subplot()).get_ylabel()
    'share of agents above the threshold'
    """
    level = check_open_unit(profile.level, "level", 0.95)
    n = len(profile.labels)
    widths = np.diff(profile.thresholds)
    area = np.array([p.share[:-1] @ widths if widths.size else p.share[0] for p in profile.profiles])

    def find(label: Any) -> int:
        if label not in profile.labels:
            msg = f"configurations names {label!r}, which the profile lacks; use for example {profile.labels[0]!r}"
            raise InvalidInput(msg)
        return profile.labels.index(label)

    if configurations is None:
        order = np.argsort(-area if profile.metric.higher_is_better else area, kind="stable").tolist()
        configurations = profile.labels if n <= MOST_LINES else [profile.labels[i] for i in order[:MOST_LINES]]
    chosen, some = find_all(configurations, find, n)
    ax = axes_of(ax)
    x = profile.thresholds
    for place, i in enumerate(chosen):
        p = profile.profiles[i]
        # Points where the curve falls by another part of it, so that no part is coarse.
        falls = np.searchsorted(-p.share, -np.linspace(1, 0, 160))
        part = np.unique(np.clip([0, *falls, x.size - 1], 0, x.size - 1))
        color = look(place).color
        ax.fill_between(x[part], p.low[part], p.high[part], step="post", color=color, alpha=0.16, linewidth=0)
        _steps(ax, x[part], p.share[part], place, profile.labels[i])
    better = "above" if profile.metric.higher_is_better else "below"
    ax.set_xlabel(f"threshold: {axis_of(profile.metric, (), 0)}")
    share_axis(ax, f"share of agents {better} the threshold")
    ax.margins(x=0.01)
    counts = agents_text([profile.profiles[i].n for i in chosen])
    finish(ax, some, counts, profile.about, f"bands: {100 * level:g} % confidence for the whole curve")
    return ax

"""Pictures of a metric over the settings that were varied: lines over one, a map over two."""

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import shown, takes
from qfast.errors import InvalidInput
from qfast.plots.canvas import (
    MOST_LINES,
    agents_text,
    axes_of,
    axis_of,
    cell_text,
    colormap_of,
    finish,
    look,
    matplotlib,
    quantiles_of,
    say,
)
from qfast.stats import estimate_mean, estimate_quantile
from qfast.studies.select import (
    Metric,
    StudyData,
    full_settings,
    infinite_text,
    metric_of,
    ranked,
    restricted,
    scores_of,
    select,
    undefined_text,
)
from qfast.studies.texts import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@takes("Study", "use what qfast.study or qfast.load_study gave")
def sensitivity(
    study: StudyData,
    setting: str | None = None,
    metric: str | None = None,
    *,
    lines: str | None = None,
    where: Mapping[str, Any] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw a metric over one setting: the mean with its confidence interval, and where the agents are.

    Parameters
    ----------
    study : Study
    setting : str, optional
        What goes to the right; by default the setting with the most values.
    metric : str, optional
        One of ``study.metrics``; by default ``"auc"``.
    lines : str, optional
        A second setting, with a line for each of its values; by default the next one that has at most six.
    where : mapping, optional
        Values of the other settings; those that are not named stand as in the best configuration, as the title says.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Caps are 95 % confidence intervals of the mean; bands, or bars of a setting with names, hold 90 % of the agents.

    Raises
    ------
    InvalidInput
        For an unknown setting, metric or value.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> study = qfast.study(vary={"alpha": [0.1, 0.3, 0.5]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> sensitivity(study, ax=Figure().add_subplot()).get_xlabel()
    'alpha'
    """
    asked = metric_of(study, metric)
    values = _values(study, where)
    x_name = max(values, key=lambda name: len(values[name])) if setting is None else _known(setting, values, "setting")
    if lines is not None:
        if _known(lines, values, "lines") == x_name:
            raise InvalidInput(f"lines={lines!r} is the setting on the axis; name another one")
        if len(values[lines]) > MOST_LINES:
            n = len(values[lines])
            msg = f"lines={lines!r} has {n} values, and {MOST_LINES} can be told apart; use sensitivity_map"
            raise InvalidInput(msg)
    else:
        few = [name for name in values if name not in {x_name, *(where or {})} and len(values[name]) <= MOST_LINES]
        lines = next((name for name in few if crossed(study, x_name, name)), None)
    chosen, fixed = slice_of(study, asked, [x_name, *([lines] if lines else [])], where)
    ax = axes_of(ax)
    axis = _Axis(values[x_name])
    settings = full_settings(study)
    groups: list[tuple[str, list[int]]] = [("", chosen)]
    if lines:
        found = [v for v in values[lines] if any(settings[i][lines] == v for i in chosen)]
        groups = [(f"{lines}={setting_text(v)}", [i for i in chosen if settings[i][lines] == v]) for v in found]
    measured = centres(study, asked, chosen)
    for place, (label, group) in enumerate(groups):
        style = look(place)
        members = sorted(group, key=lambda i: axis.values.index(settings[i][x_name]))
        at = np.array([axis.position(settings[i][x_name]) for i in members])
        value, down, up = np.array([measured.found[i] for i in members]).T
        scores = [restricted(study, asked, scores_of(study, asked, i)) for i in members]
        ends = np.array([quantiles_of(x, (0.05, 0.95)) for x in scores])
        low, high = np.where(np.isfinite(ends), ends, np.nan).T
        if axis.numeric:
            ax.fill_between(at, low, high, facecolor=style.color, alpha=0.12, edgecolor=style.color, linewidth=0.5)
        else:  # names have nothing between them
            at += 0.12 * (place - (len(groups) - 1) / 2)
            ax.vlines(at, low, high, color=style.color, alpha=0.5, linewidth=2)
        ax.errorbar(
            at, value, [down, up], color=style.color, linestyle=style.linestyle if axis.numeric else "none",
            marker=style.marker, markersize=5, capsize=3, label=label or measured.word,
        )  # fmt: skip
    axis.mark(ax)
    ax.set_xlabel(x_name)
    ax.set_ylabel(axis_of(asked, [scores_of(study, asked, i) for i in chosen], int(study.dataset.attrs["episodes"])))
    ax.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    bands = f"{'bands' if axis.numeric else 'long bars'}: 90 % of the agents"
    caps = f"caps: 95 % confidence interval of the {measured.word}"
    finish(ax, fixed, measured.agents, caps, bands, measured.note, legend=bool(lines))
    return ax


@takes("Study", "use what qfast.study or qfast.load_study gave")
def sensitivity_map(
    study: StudyData,
    settings: Sequence[str] | None = None,
    metric: str | None = None,
    *,
    where: Mapping[str, Any] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the mean of a metric over two settings, as a map.

    Parameters
    ----------
    study : Study
    settings : (str, str), optional
        What goes to the right and what goes up; by default the two settings with the most values.
    metric, where, ax
        As in `sensitivity`.

    Returns
    -------
    matplotlib.axes.Axes
        Light is good, whichever direction is; a frame marks the best.  Each cell has its number, where there is room.

    Raises
    ------
    InvalidInput
        For unknown settings, metrics or values, or if only one setting was varied.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> vary = {"alpha": [0.1, 0.5], "epsilon": [0.1, 0.2]}
    >>> study = qfast.study(vary=vary, n_agents=100, episodes=50, seed=0, progress=False)
    >>> ax = sensitivity_map(study, ax=Figure().add_subplot())
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('alpha', 'epsilon')
    """
    asked = metric_of(study, metric)
    values = _values(study, where)
    if settings is None:
        settings = next(crossed_pairs(study), list(values))
    several = isinstance(settings, Sequence) and not isinstance(settings, str)
    names = [_known(name, values, "settings") for name in settings] if several else [str(settings)]
    if len(names) != 2 or names[0] == names[1]:
        two = ", ".join(map(repr, values))
        raise InvalidInput(f"settings={settings!r:.60} are not two that were varied; a map needs two of {two}")
    chosen, fixed = slice_of(study, asked, names, where)
    settings_of = full_settings(study)
    ran = [{settings_of[i][name] for i in chosen} for name in names]
    columns, rows = (_ordered([v for v in values[n] if v in seen]) for n, seen in zip(names, ran, strict=True))
    grid = np.full((len(rows), len(columns)), np.nan)
    measured = centres(study, asked, chosen)
    for i, (value, _, _) in measured.found.items():
        grid[rows.index(settings_of[i][names[1]]), columns.index(settings_of[i][names[0]])] = value
    ax = axes_of(ax, (2.2 + 0.62 * len(columns), 1.4 + 0.45 * len(rows)))
    good = "cividis" if asked.higher_is_better else "cividis_r"
    image = ax.imshow(grid, cmap=colormap_of(good), origin="lower", aspect="auto")
    shade = np.asarray(image.norm(grid), dtype=np.float64)
    shade = shade if asked.higher_is_better else 1 - shade
    known_cells = grid[np.isfinite(grid)]
    error = float(np.ptp(known_cells)) / 10 or None if known_cells.size else None
    if grid.size <= 120:
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                cell_text(ax, row, column, number(float(value), error), float(shade[row, column]))
    best = settings_of[ranked(study, asked, chosen).order[0]]
    row, column = rows.index(best[names[1]]), columns.index(best[names[0]])
    corner = (column - 0.5, row - 0.5)
    frame = matplotlib("patches").Rectangle(corner, 1, 1, fill=False, edgecolor="#D55E00", linewidth=3)
    frame.set_clip_on(False)
    ax.add_patch(frame)
    ax.set_xticks(range(len(columns)), [setting_text(v) for v in columns])
    ax.set_yticks(range(len(rows)), [setting_text(v) for v in rows])
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    ax.figure.colorbar(image, ax=ax, label=textwrap.fill(f"{measured.word} of {asked.axis}", 24))
    widest = max(max(down, up) for _, down, up in measured.found.values())
    known = f"{measured.word}s known to ± {number(widest, widest)} or better (95 %)" if np.isfinite(widest) else ""
    names = [setting_text(v) for v in rows]
    say(ax, fixed, measured.agents, known, "frame: best", measured.note, labels=names)
    return ax


class Centres(NamedTuple):
    """Means; medians, with a note that says why, if not all configurations have a mean."""

    word: str
    note: str
    agents: str  # how many
    found: dict[int, tuple[float, float, float]]  # and how far the interval reaches down and up


def centres(study: StudyData, metric: Metric, chosen: Sequence[int]) -> Centres:
    """Sum up each configuration by one number with its interval."""
    undefined, infinite = undefined_text(study, metric, chosen), infinite_text(study, metric, chosen)
    by_mean = not undefined and not infinite
    note = "" if by_mean else f"medians, since {undefined.partition(';')[0] or infinite}"
    scores = {i: restricted(study, metric, scores_of(study, metric, i)) for i in chosen}
    counts = [x.size for x in scores.values()]
    found = {i: _centre(x, by_mean=by_mean) for i, x in scores.items()}
    return Centres("mean" if by_mean else "median", note, agents_text([*counts, counts[0]]), found)


def _centre(scores: NDArray[np.float64], *, by_mean: bool) -> tuple[float, float, float]:
    """A mean or a median, and how far its interval reaches down and up; NaN where there is none."""
    scores = scores[~np.isnan(scores)]
    if not scores.size:
        return np.nan, 0.0, 0.0
    e = estimate_mean(scores) if by_mean else estimate_quantile(scores, 0.5)
    if not np.isfinite(e.value):
        return np.nan, 0.0, 0.0
    down, up = e.value - e.interval.low, e.interval.high - e.value
    return e.value, down if np.isfinite(down) else 0.0, up if np.isfinite(up) else 0.0


def crossed(study: StudyData, a: str, b: str) -> bool:
    """Whether two settings both vary among the configurations that have both."""
    both = [(one[a], one[b]) for one in full_settings(study) if one[a] is not None and one[b] is not None]
    return len({x for x, _ in both}) > 1 and len({y for _, y in both}) > 1


def crossed_pairs(study: StudyData) -> Iterator[tuple[str, str]]:
    """Pairs of settings that vary together, those with the most values first."""
    values = values_of(study.configurations)
    names = sorted((name for name in values if name != "problem"), key=lambda name: -len(values[name]))
    yield from (pair for pair in combinations(names, 2) if crossed(study, *pair))


def values_of(configurations: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Values of each setting that was varied, in the order of the configurations."""
    found: dict[str, dict[Any, None]] = defaultdict(dict)
    for settings in configurations:
        for name, value in settings.items():
            found[name][value] = None
    return {name: list(values) for name, values in found.items()}


def _values(study: StudyData, where: Any) -> dict[str, list[Any]]:
    """Values of what was varied; `where` must be a mapping."""
    if where is not None and not isinstance(where, Mapping):
        raise InvalidInput(f"where is {shown(where)}, no mapping; use for example where={{'alpha': 0.1}}")
    return values_of(study.configurations)


def _known(name: str, values: Mapping[str, Any], option: str) -> str:
    if not isinstance(name, str) or name not in values:
        raise InvalidInput(f"{option} names {name!r:.60}, which did not vary; use {', '.join(map(repr, values))}")
    return name


def slice_of(
    study: StudyData, metric: Metric, free: Sequence[str], where: Mapping[str, Any] | None
) -> tuple[list[int], str]:
    """Configurations that differ in the free settings only, and how the others stand: as in the best of them."""
    settings = full_settings(study)
    chosen = [i for i in select(study, where) if all(settings[i][name] is not None for name in free)]
    if not chosen:
        msg = f"where={dict(where or {})!r} leaves no configuration that has {' and '.join(free)}; name others"
        raise InvalidInput(msg)
    best = settings[ranked(study, metric, chosen).order[0]]
    fixed = [name for name in best if name not in free and len({one[name] for one in settings}) > 1]
    chosen = [i for i in chosen if all(settings[i][name] == best[name] for name in fixed)]
    return chosen, ", ".join(f"{name}={setting_text(best[name])}" for name in fixed if best[name] is not None)


def setting_text(value: Any) -> str:
    """A setting's value, as short as it can be."""
    return f"{value:g}" if isinstance(value, int | float | np.number) and not isinstance(value, bool) else str(value)


def _ordered(values: list[Any]) -> list[Any]:
    return sorted(values) if all(isinstance(v, int | float | np.number) for v in values) else values


class _Axis:
    """Where the values of a setting stand: numbers to scale, names side by side."""

    def __init__(self, values: list[Any]) -> None:
        self.values = _ordered(values)
        self.numeric = all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in values)

    def position(self, value: Any) -> float:
        """Where a value stands."""
        return float(value) if self.numeric else float(self.values.index(value))

    def mark(self, ax: "Axes") -> None:
        """Set up the axis to the right."""
        first, last = self.values[0], self.values[-1]
        if not self.numeric:
            ax.set_xlim(-0.5, len(self.values) - 0.5)
        elif first > 0 and len(self.values) > 2 and last / first >= 20:
            ax.set_xscale("log")
            ax.xaxis.set_minor_locator(matplotlib("ticker").NullLocator())
        if len(self.values) <= 12:
            ax.set_xticks([self.position(v) for v in self.values], [setting_text(v) for v in self.values])

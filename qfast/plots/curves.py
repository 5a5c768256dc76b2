"""Pictures over episodes, of a run and of a study: the learning curve, and how many agents are optimal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import takes
from qfast.engine.curve import LEVELS
from qfast.errors import InvalidInput
from qfast.plots.canvas import agents_text, axes_of, choose, colour_of, finish, look, plain_frame, share_axis, thin
from qfast.run import Run, check_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qfast.studies.select import StudyData

# What the band of a learning curve may be: of a run, as the legend says it; of a study, as the title says it.
_BANDS: Final = {
    "agents": ("90 % of the agents", "where {share} of the agents are"),
    "std": ("± one standard deviation over agents", "mean ± one standard deviation over agents"),
    "mean": ("95 % confidence interval of the mean",) * 2,
}
_OPACITY: Final = {"agents": 0.18, "std": 0.25, "mean": 0.35}
_Z: Final = 1.959963984540054  # the normal distribution's 97.5 % quantile
_LOG: Final = 10  # checkpoints whose distances differ by more are drawn on a logarithmic axis

Floats = NDArray[np.float64]


def learning_curve(
    run: Run,
    *,
    quantity: str = "returns",
    band: str | None = "agents",
    smooth: int = 1,
    label: str | None = None,
    color: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw return or length of the episodes, as the mean over agents with a band.

    Parameters
    ----------
    run : Run
        Trained with ``record="summary"`` or ``"returns"``.
    quantity : {"returns", "lengths"}, default "returns"
        Undiscounted sum of rewards, or steps, of each episode.
    band : {"agents", "std", "mean"} or None, default "agents"
        "agents": where 90 % and 50 % of the agents are; "std": one standard deviation over agents to either side of the
        mean; "mean": the 95 % confidence interval of the mean (normal approximation), which alone shrinks with the
        number of agents.
    smooth : int, default 1
        Average over this many episodes in a row.  With ``record="returns"`` each agent's episodes are averaged before
        anything is counted over agents; with ``record="summary"`` bands are averages of those of single episodes.
    label, color : str, optional
        Name of the run in the legend, and a colour as in matplotlib.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        For an unknown option, or if the run has no record.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> run = qfast.train(n_agents=50, episodes=100, seed=0, progress=False)
    >>> ax = learning_curve(run, ax=Figure().add_subplot())
    >>> ax.get_xlabel()
    'episode'
    """
    check_run(run)
    if not isinstance(quantity, str) or quantity not in ("returns", "lengths"):
        raise InvalidInput(f"quantity={quantity!r:.60} is unknown; use 'returns' or 'lengths'")
    smooth = _check_options(band, smooth, run.episodes)
    mean, std, quantiles = _summary(run, quantity, smooth)
    single = " in single episodes" if smooth > 1 and run.returns is None else ""
    ax = axes_of(ax)
    episode = np.arange(mean.size) + (smooth + 1) / 2  # the middle of those averaged; the first episode is 1
    color = colour_of(color)
    n = f"{run.n_agents:,} agents" if run.n_agents > 1 else "1 agent"
    name = "" if label is None else f"{label}: "
    ax.plot(episode, mean, color=color, label=f"{name}mean of {n}")
    if run.n_agents > 1 and band is not None:
        outer = (*_edges(band, mean, std, quantiles, run.n_agents), _OPACITY[band], _BANDS[band][0])
        inner = [(quantiles[1], quantiles[-2], 0.3, "50 % of the agents")] if band == "agents" else []
        for low, high, alpha, text in [outer, *inner]:
            ax.fill_between(episode, low, high, color=color, alpha=alpha, linewidth=0, label=name + text + single)
    _label(ax, smooth, "return (sum of rewards)" if quantity == "returns" else "length (steps)")
    plain_frame(ax)
    ax.legend(frameon=False)
    return ax


@takes("Study", "use what qfast.study or qfast.load_study gave")
def study_curves(
    study: "StudyData",
    configurations: Sequence[Any] | None = None,
    *,
    band: str | None = "agents",
    smooth: int = 1,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw the learning curves of a study: the mean return over agents, episode by episode, with a band.

    Parameters
    ----------
    study : Study
        With ``curves=True``.
    configurations : sequence, optional
        Which ones, at most six, by index, label or settings; by default all, or the six best by ``"auc"``.
    band, smooth, ax
        As in `learning_curve`; "agents" is one band, and bands are averages of those of single episodes.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        For an unknown option or configuration, or if the study has no curves.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> study_curves(study, ax=Figure().add_subplot()).get_title(loc="left")
    '200 agents each; bands: where 90 % of the agents are'
    """
    from qfast.studies.select import metric_of

    data = study.dataset
    if "return_mean" not in data:
        _check_options(band, 1, 1)
        raise InvalidInput("the study has no curves; run it with curves=True")
    smooth = _check_options(band, smooth, data["return_mean"].sizes["episode"])
    chosen, selection = choose(study, configurations, metric_of(study))
    counts = [_n_agents(study, i) for i in chosen]
    ax = axes_of(ax)
    at, mean = _averaged(data["return_mean"], smooth)
    points = thin(at.size)
    every = max(1, points.size // 8)
    for place, (i, n) in enumerate(zip(chosen, counts, strict=True)):
        style = look(place)
        if band is not None and n > 1:
            x, low, high = _study_edges(study, band, i, n, smooth)
            part = thin(x.size)
            ax.fill_between(
                x[part], low[part], high[part], facecolor=style.color, edgecolor=style.color, linewidth=0.5,
                alpha=0.16 if len(chosen) > 1 else 0.25,
            )  # fmt: skip
        ax.plot(
            at[points], mean[i][points], **style._asdict(), markevery=(every // 2, every), markersize=4,
            label=str(study.labels[i]),
        )  # fmt: skip
    _label(ax, smooth, "return (sum of rewards)")
    texts = [selection, agents_text(counts)]
    if band is not None and max(counts) > 1:
        share = f"{100 * float(data['quantile'][-1] - data['quantile'][0]):g} %" if band == "agents" else ""
        texts.append(f"bands: {_BANDS[band][1].format(share=share)}{' in single episodes' if smooth > 1 else ''}")
    finish(ax, *texts)
    return ax


def _check_options(band: Any, smooth: Any, episodes: int) -> int:
    """Refuse an unknown band, and episodes to average over that there are not."""
    if band is not None and (not isinstance(band, str) or band not in _BANDS):
        raise InvalidInput(f"band={band!r:.60} is unknown; use one of {', '.join(map(repr, _BANDS))}, or None")
    whole = isinstance(smooth, (int, np.integer)) and not isinstance(smooth, (bool, np.bool_))
    if not whole or not 1 <= smooth <= episodes:
        msg = f"smooth={smooth!r:.60} is no number of episodes in [1, {episodes:,}]; use 1 to smooth nothing"
        raise InvalidInput(msg)
    return int(smooth)


def _label(ax: "Axes", smooth: int, quantity: str) -> None:
    ax.set_xlabel("episode" if smooth == 1 else f"episode (averages over {smooth:,} in a row)")
    ax.set_ylabel(quantity)
    ax.margins(x=0)


def _edges(band: str, mean: Floats, std: Floats, quantiles: Any, n: int) -> tuple[Floats, Floats]:
    """Lower and upper edge of a band; of quantiles the outermost."""
    if band == "agents":
        return quantiles[0], quantiles[-1]
    half = std if band == "std" else _Z * std / np.sqrt(n)
    return mean - half, mean + half


def _summary(run: Run, quantity: str, smooth: int) -> tuple[Floats, Floats, Floats]:
    """Mean, standard deviation (episodes,) and quantiles (5, episodes) over agents, of averages over episodes."""
    record = run.returns if quantity == "returns" else run.lengths
    if record is not None:
        values = _smooth(record.astype(np.float64), smooth)
        std = values.std(axis=0, ddof=1) if run.n_agents > 1 else np.zeros(values.shape[1])
        return values.mean(axis=0), std, np.quantile(values, LEVELS, axis=0)
    if run.curve is None:
        msg = 'the run has no record of its episodes; train with record="summary" (the default) or "returns"'
        raise InvalidInput(msg)
    summary = run.curve.returns if quantity == "returns" else run.curve.lengths
    return _smooth(summary.mean, smooth), _smooth(summary.std, smooth), _smooth(summary.quantiles, smooth)


def _study_edges(study: "StudyData", band: str, i: int, n: int, smooth: int) -> tuple[Floats, Floats, Floats]:
    """Episodes, lower and upper edge of the band of one configuration."""
    data = study.dataset
    if band == "agents":
        if "return_quantile" not in data:
            raise InvalidInput("the study kept no quantiles over agents; use band='std', 'mean' or None")
        x, quantiles = _averaged(data["return_quantile"], smooth)
        return x, quantiles[i][0], quantiles[i][-1]
    x, mean = _averaged(data["return_mean"], smooth)
    _, std = _averaged(data["return_std"], smooth)
    return x, *_edges(band, mean[i], std[i], None, n)


def _averaged(curve: Any, smooth: int) -> tuple[Floats, Floats]:
    """Episodes (the middle of those averaged) and smoothed values of a curve, episodes last."""
    dimension = curve.dims[-1]
    values = curve.to_numpy().astype(np.float64)
    at = curve[dimension].to_numpy() if dimension in curve.coords else 1 + np.arange(values.shape[-1])
    n = smooth if dimension == "episode" else 1  # quantiles that were kept for fewer episodes stay as they are
    return _smooth(at.astype(np.float64), n), _smooth(values, n)


def _smooth(values: Floats, n: int) -> Floats:
    """Average over n neighbours along the last axis, which gets n - 1 shorter."""
    if n == 1:
        return values
    total = np.cumsum(np.concatenate([np.zeros((*values.shape[:-1], 1)), values], axis=-1), axis=-1)
    averages: Floats = (total[..., n:] - total[..., :-n]) / n
    return averages


def _n_agents(study: "StudyData", configuration: int) -> int:
    """Agents that were run of a configuration."""
    from qfast.studies.select import metric_of, scores_of

    return scores_of(study, metric_of(study), configuration).size


def share_optimal(run: Run, *, label: str | None = None, color: str | None = None, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of agents whose greedy policy is optimal, and of those that stay so, over episodes.

    Parameters
    ----------
    run : Run
        Trained with ``checkpoints=``.
    label, color, ax
        As in `learning_curve`.

    Returns
    -------
    matplotlib.axes.Axes
        The band is Wilson's 95 % confidence interval (Wilson 1927) of the share, at each checkpoint by itself.

    Raises
    ------
    InvalidInput
        If the run has no checkpoints.
    MissingExtra
        If matplotlib or SciPy is not installed.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> run = qfast.train(n_agents=50, episodes=100, seed=0, checkpoints=10, progress=False)
    >>> share_optimal(run, ax=Figure().add_subplot()).get_ylabel()
    'share of agents'
    """
    from qfast.stats.interval import share_interval

    check_run(run)
    first = run.first_optimal()
    share = run.checkpoints.share_optimal if run.checkpoints is not None else first.share
    ax = axes_of(ax)
    color = colour_of(color)
    name = "" if label is None else f"{label}: "
    low, high = share_interval(share, run.n_agents)
    when = first.checkpoints
    ax.plot(when, share, color=color, marker="o", markersize=3, label=f"{name}optimal ({run.n_agents:,} agents)")
    ax.fill_between(when, low, high, color=color, alpha=0.25, linewidth=0, label=f"{name}95 % confidence interval")
    ax.plot(when, first.share, color=color, linestyle="--", label=f"{name}optimal from then on, to the end")
    steps = np.diff(when)
    if when[0] > 0 and steps.size > 1 and steps.max() > _LOG * steps.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel("episodes trained (checkpoints)")
    share_axis(ax, "share of agents")
    plain_frame(ax)
    ax.legend(frameon=False)
    return ax


@takes("Study", "use what qfast.study or qfast.load_study gave")
def study_share_optimal(
    study: "StudyData", configurations: Sequence[Any] | None = None, *, ax: "Axes | None" = None
) -> "Axes":
    """Draw the share of agents whose greedy policy is optimal, over episodes, for each configuration.

    Parameters
    ----------
    study : Study
        With checkpoints.
    configurations, ax
        As in `study_curves`; by default all, or the six with the most optimal agents.

    Returns
    -------
    matplotlib.axes.Axes
        The bands are Wilson's 95 % confidence intervals (Wilson 1927), at each checkpoint by itself.

    Raises
    ------
    InvalidInput
        For an unknown configuration, or if the study has no checkpoints.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> study_share_optimal(study, ax=Figure().add_subplot()).get_ylabel()
    'share of agents with an optimal policy'
    """
    from qfast.stats.interval import share_interval
    from qfast.studies.select import metric_of

    data = study.dataset
    if "share_optimal" not in data:
        raise InvalidInput("the study has no checkpoints; run it with checkpoints=20, for example")
    metric = metric_of(study, "optimal" if "optimal" in study.metrics else None)
    chosen, selection = choose(study, configurations, metric)
    at = data["checkpoint"].to_numpy()
    shares = data["share_optimal"].to_numpy().astype(np.float64)
    counts = [_n_agents(study, i) for i in chosen]
    ax = axes_of(ax)
    for place, (i, n) in enumerate(zip(chosen, counts, strict=True)):
        style = look(place)
        ax.fill_between(at, *share_interval(shares[i], n), color=style.color, alpha=0.2, linewidth=0)
        ax.plot(at, shares[i], **style._asdict(), markersize=4, label=str(study.labels[i]))
    ax.set_xlabel("episodes trained (checkpoints)")
    share_axis(ax, "share of agents with an optimal policy")
    finish(ax, selection, agents_text(counts), "bands: 95 % confidence interval of the share (Wilson)")
    return ax

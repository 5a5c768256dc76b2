"""Pictures of a study over episodes: return, and the share of agents that are optimal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import takes
from qfast.errors import InvalidInput
from qfast.plots.canvas import axes_of, percent_axis, plain_frame
from qfast.plots.curves import BANDS, _smooth, _wilson
from qfast.plots.looks import agents_text, look, say, shown, thin
from qfast.studies.select import StudyData, metric_of, scores_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["study_curves", "study_share_optimal"]

Floats = NDArray[np.float64]

_Z: Final = 1.959963984540054  # the normal distribution's 97.5 % quantile

_BAND_TEXTS: Final = {
    "agents": "bands: where {share} of the agents are",
    "std": "bands: mean ± one standard deviation over agents",
    "mean": "bands: 95 % confidence interval of the mean",
}


@takes("Study", "use what qfast.study or qfast.load_study gave")
def study_curves(
    study: StudyData,
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
    band : {"agents", "std", "mean"} or None, default "agents"
        "agents": between the outermost quantiles over agents that were kept; "std": mean plus and minus one standard
        deviation over agents; "mean": the 95 % confidence interval of the mean (normal approximation).  The first two
        are about agents and do not shrink with their number, the last one does.
    smooth : int, default 1
        Average over this many episodes in a row; bands are averages of those of single episodes.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        For an unknown option or configuration, or if the study has no curves.
    MissingExtra
        If matplotlib is not installed.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> study_curves(study, ax=Figure().add_subplot()).get_title(loc="left")
    '200 agents each; bands: where 90 % of the agents are'
    """
    data = study.dataset
    if band is not None and (not isinstance(band, str) or band not in BANDS):
        msg = f"band={band!r} is unknown; use one of {', '.join(map(repr, BANDS))}, or None"
        raise InvalidInput(msg)
    if "return_mean" not in data:
        msg = "the study has no curves; run it with curves=True"
        raise InvalidInput(msg)
    episodes = data["return_mean"].sizes["episode"]
    whole = isinstance(smooth, (int, np.integer)) and not isinstance(smooth, (bool, np.bool_))
    if not whole or not 1 <= smooth <= episodes:
        msg = f"smooth={smooth!r} is no number of episodes in [1, {episodes:,}]; use 1 to smooth nothing"
        raise InvalidInput(msg)
    chosen, selection = shown(study, configurations, metric_of(study))
    counts = [_n_agents(study, i) for i in chosen]
    ax = axes_of(ax)
    at, mean = _averaged(data["return_mean"], int(smooth))
    points = thin(at.size)
    for place, i in enumerate(chosen):
        style = look(place)
        if band is not None and counts[place] > 1:
            x, low, high = _band(study, band, i, counts[place], int(smooth))
            part = thin(x.size)
            edge: dict[str, Any] = {
                "linewidth": 0.5,
                "edgecolor": style.color,
                "alpha": 0.16 if len(chosen) > 1 else 0.25,
            }
            ax.fill_between(x[part], low[part], high[part], facecolor=style.color, **edge)
        every = max(1, points.size // 8)
        ax.plot(
            at[points], mean[i][points], color=style.color, linestyle=style.linestyle, marker=style.marker,
            markevery=(every // 2, every), markersize=4, label=str(study.labels[i]),
        )  # fmt: skip
    ax.set_xlabel("episode" if smooth == 1 else f"episode (averages over {smooth:,} in a row)")
    ax.set_ylabel("return (sum of rewards)")
    ax.margins(x=0)
    plain_frame(ax)
    texts = [selection, agents_text(counts)]
    if band is not None and max(counts) > 1:
        share = f"{100 * float(data['quantile'][-1] - data['quantile'][0]):g} %" if band == "agents" else ""
        texts.append(_BAND_TEXTS[band].format(share=share) + (" in single episodes" if smooth > 1 else ""))
    say(ax, *texts)
    ax.legend(frameon=False, fontsize="small")
    return ax


def _n_agents(study: StudyData, configuration: int) -> int:
    """Agents that were run of a configuration."""
    return scores_of(study, metric_of(study), configuration).size


def _averaged(curve: Any, smooth: int) -> tuple[Floats, Floats]:
    """Episodes (the middle of those averaged) and smoothed values of a curve, episodes last."""
    dimension = curve.dims[-1]
    values = curve.to_numpy().astype(np.float64)
    at = curve[dimension].to_numpy() if dimension in curve.coords else 1 + np.arange(values.shape[-1])
    at = at.astype(np.float64)
    n = smooth if dimension == "episode" else 1  # quantiles that were kept for fewer episodes stay as they are
    return _smooth(at, n), _smooth(values, n)


def _band(study: StudyData, band: str, i: int, n: int, smooth: int) -> tuple[Floats, Floats, Floats]:
    """Episodes, lower and upper edge of a band."""
    data = study.dataset
    if band == "agents":
        if "return_quantile" not in data:
            msg = "the study kept no quantiles over agents; use band='std', 'mean' or None"
            raise InvalidInput(msg)
        x, quantiles = _averaged(data["return_quantile"], smooth)
        return x, quantiles[i][0], quantiles[i][-1]
    x, mean = _averaged(data["return_mean"], smooth)
    _, std = _averaged(data["return_std"], smooth)
    half = std[i] if band == "std" else _Z * std[i] / np.sqrt(n)
    return x, mean[i] - half, mean[i] + half


@takes("Study", "use what qfast.study or qfast.load_study gave")
def study_share_optimal(
    study: StudyData, configurations: Sequence[Any] | None = None, *, ax: "Axes | None" = None
) -> "Axes":
    """Draw the share of agents whose greedy policy is optimal, over episodes, for each configuration.

    Parameters
    ----------
    study : Study
        With checkpoints.
    configurations : sequence, optional
        As in `study_curves`; by default all, or the six with the most optimal agents.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The bands are Wilson's 95 % confidence intervals (Wilson 1927), at each checkpoint by itself.

    Raises
    ------
    InvalidInput
        For an unknown configuration, or if the study has no checkpoints.
    MissingExtra
        If matplotlib is not installed.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> study_share_optimal(study, ax=Figure().add_subplot()).get_ylabel()
    'share of agents with an optimal policy'
    """
    data = study.dataset
    if "share_optimal" not in data:
        msg = "the study has no checkpoints; run it with checkpoints=20, for example"
        raise InvalidInput(msg)
    asked = metric_of(study, "optimal" if "optimal" in study.metrics else None)
    chosen, selection = shown(study, configurations, asked)
    at = data["checkpoint"].to_numpy()
    share = data["share_optimal"].to_numpy().astype(np.float64)
    counts = [_n_agents(study, i) for i in chosen]
    ax = axes_of(ax)
    for place, (i, n) in enumerate(zip(chosen, counts, strict=True)):
        style = look(place)
        low, high = _wilson(share[i], n)
        ax.fill_between(at, low, high, color=style.color, alpha=0.2, linewidth=0)
        ax.plot(
            at, share[i], color=style.color, linestyle=style.linestyle, marker=style.marker, markersize=4,
            label=str(study.labels[i]),
        )  # fmt: skip
    ax.set_xlabel("episodes trained (checkpoints)")
    ax.set_ylabel("share of agents with an optimal policy")
    ax.set_ylim(-0.02, 1.02)
    percent_axis(ax.yaxis)
    plain_frame(ax)
    texts = [selection, agents_text(counts), "bands: 95 % confidence interval of the share (Wilson)"]
    say(ax, *texts)
    ax.legend(frameon=False, fontsize="small")
    return ax

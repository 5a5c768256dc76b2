"""Pictures over episodes: the learning curve, and how many agents are optimal."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from qfast.engine.curve import LEVELS
from qfast.errors import InvalidInput
from qfast.plots.canvas import axes_of, colour_of, percent_axis, plain_frame
from qfast.run import Run
from qfast.run_argument import check_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BANDS", "learning_curve", "share_optimal"]

#: What the band of a learning curve may be.
BANDS: Final = ("agents", "std", "mean")

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
        "agents": where 90 % and 50 % of the agents are (quantiles over agents); "std": mean plus and minus one standard
        deviation over agents; "mean": the 95 % confidence interval of the mean (normal approximation).  The first two
        are about agents and do not shrink with their number, the last one does.
    smooth : int, default 1
        Average over this many episodes in a row.  With ``record="returns"`` each agent's episodes are averaged before
        anything is counted over agents; with ``record="summary"`` bands are averages of those of single episodes.
    label : str, optional
        Name of the run in the legend.
    color : str, optional
        As in matplotlib.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        For an unknown option, or if the run has no record.
    MissingExtra
        If matplotlib is not installed.

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
        msg = f"quantity={quantity!r:.60} is unknown; use 'returns' or 'lengths'"
        raise InvalidInput(msg)
    if band is not None and (not isinstance(band, str) or band not in BANDS):
        msg = f"band={band!r:.60} is unknown; use one of {', '.join(map(repr, BANDS))}, or None"
        raise InvalidInput(msg)
    whole = isinstance(smooth, (int, np.integer)) and not isinstance(smooth, (bool, np.bool_))
    if not whole or not 1 <= smooth <= run.episodes:
        msg = f"smooth={smooth!r:.60} is no number of episodes in [1, {run.episodes:,}]; use 1 to smooth nothing"
        raise InvalidInput(msg)
    mean, std, quantiles = _summary(run, quantity, int(smooth))
    single = " in single episodes" if smooth > 1 and run.returns is None else ""
    ax = axes_of(ax)
    episode = np.arange(mean.size) + (smooth + 1) / 2  # the middle of those averaged; the first episode is 1
    color = colour_of(color)
    n = f"{run.n_agents:,} agents" if run.n_agents > 1 else "1 agent"
    name = "" if label is None else f"{label}: "
    ax.plot(episode, mean, color=color, label=f"{name}mean of {n}")
    if run.n_agents > 1 and band is not None:
        for low, high, alpha, text in _bands(band, mean, std, quantiles, run.n_agents):
            ax.fill_between(episode, low, high, color=color, alpha=alpha, linewidth=0, label=name + text + single)
    ax.set_xlabel("episode" if smooth == 1 else f"episode (averages over {smooth:,} in a row)")
    ax.set_ylabel("return (sum of rewards)" if quantity == "returns" else "length (steps)")
    ax.margins(x=0)
    plain_frame(ax)
    ax.legend(frameon=False)
    return ax


def _bands(
    band: str, mean: Floats, std: Floats, quantiles: Floats, n: int
) -> list[tuple[Floats, Floats, float, str]]:
    """Give lower and upper edges, opacity, and what each band is."""
    if band == "agents":
        return [
            (quantiles[0], quantiles[-1], 0.18, "90 % of the agents"),
            (quantiles[1], quantiles[-2], 0.3, "50 % of the agents"),
        ]
    if band == "std":
        return [(mean - std, mean + std, 0.25, "± one standard deviation over agents")]
    error = _Z * std / np.sqrt(n)
    return [(mean - error, mean + error, 0.35, "95 % confidence interval of the mean")]


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


def _smooth(values: Floats, n: int) -> Floats:
    """Average over n neighbours along the last axis, which gets n - 1 shorter."""
    if n == 1:
        return values
    total = np.cumsum(np.concatenate([np.zeros((*values.shape[:-1], 1)), values], axis=-1), axis=-1)
    averages: Floats = (total[..., n:] - total[..., :-n]) / n
    return averages


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
        If matplotlib is not installed.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> run = qfast.train(n_agents=50, episodes=100, seed=0, checkpoints=10, progress=False)
    >>> share_optimal(run, ax=Figure().add_subplot()).get_ylabel()
    'share of agents'
    """
    check_run(run)
    first = run.first_optimal()
    share = run.checkpoints.share_optimal if run.checkpoints is not None else first.share
    ax = axes_of(ax)
    color = colour_of(color)
    name = "" if label is None else f"{label}: "
    low, high = _wilson(share, run.n_agents)
    when = first.checkpoints
    ax.plot(when, share, color=color, marker="o", markersize=3, label=f"{name}optimal ({run.n_agents:,} agents)")
    ax.fill_between(when, low, high, color=color, alpha=0.25, linewidth=0, label=f"{name}95 % confidence interval")
    ax.plot(when, first.share, color=color, linestyle="--", label=f"{name}optimal from then on, to the end")
    steps = np.diff(when)
    if when[0] > 0 and steps.size > 1 and steps.max() > _LOG * steps.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel("episodes trained (checkpoints)")
    ax.set_ylabel("share of agents")
    ax.set_ylim(-0.02, 1.02)
    percent_axis(ax.yaxis)
    plain_frame(ax)
    ax.legend(frameon=False)
    return ax


def _wilson(share: Floats, n: int) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of a share of n."""
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)

"""Pictures of a population at the end: what agents think of actions, and which policies they have."""

from typing import TYPE_CHECKING, Final

import numpy as np

from qfast.errors import InvalidInput
from qfast.plots.canvas import COLOURS, GREY, HATCH, axes_of, distinct_colours, percent_axis, plain_frame
from qfast.run import Run
from qfast.run_argument import check_run
from qfast.text import percent
from qfast.truth import Census

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["census_bars", "q_distribution"]

_BINS: Final = 60
_TALL: Final = 0.85  # of the highest bar, where histograms are 1 apart


def q_distribution(
    run: Run, *, state: int | str | None = None, gamma: float | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw how Q(s, a) is distributed over agents: a histogram for each action of a state, one above the other.

    Parameters
    ----------
    run : Run
    state : int or str, optional
        A state, by its number or its name; by default the most probable start.
    gamma : float, optional
        The discount of Q*, in [0, 1]; by default the run's.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        All histograms have the same scale, which the label below gives; a line in each marks Q*.

    Raises
    ------
    InvalidInput
        If agents cannot act in that state, or each agent has its own discount and none is given.
    MissingExtra
        If matplotlib or SciPy is not installed.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> run = qfast.train(n_agents=50, episodes=100, seed=0, progress=False)
    >>> q_distribution(run, state="3", ax=Figure().add_subplot()).get_title(loc="left")
    'Q(3, a) of 50 agents'
    """
    check_run(run)
    from qfast.exact import solve

    mdp, number = run.mdp, _state(run, state)
    if gamma is None and run.gamma.kind != "constant":
        msg = f"gamma={run.gamma!r}: there is no common Q*; give gamma= to mark one"
        raise InvalidInput(msg)
    truth = solve(mdp, float(run.gamma.values) if gamma is None else gamma).q[number]
    allowed = [a for a in range(mdp.n_actions) if mdp.allowed is None or mdp.allowed[number, a]]
    q = run.q[:, number, allowed].astype(np.float64)
    low, high = min(q.min(), truth[allowed].min()), max(q.max(), truth[allowed].max())
    room = 0.02 * (high - low) or 0.5
    edges = np.linspace(low - room, high + room, _BINS + 1)
    counts = np.stack([np.histogram(q[:, i], edges)[0] for i in range(len(allowed))])
    highest = counts.max()
    ax = axes_of(ax, (6.4, 1.4 + 0.75 * max(len(allowed), 2)))
    for i, (a, color) in enumerate(zip(allowed, distinct_colours(len(allowed)), strict=True)):
        floor = len(allowed) - 1 - i  # the first action on top
        steps = floor + _TALL * counts[i] / highest
        ax.stairs(steps, edges, baseline=floor, fill=True, color=color, alpha=0.45)
        ax.stairs(steps, edges, baseline=floor, color=color, linewidth=0.9)
        ax.plot([truth[a]] * 2, [floor, floor + _TALL], color="black", linestyle="--", linewidth=1.2, marker="v",
                markevery=[1], markersize=6, label="Q*" if i == 0 else None)  # fmt: skip
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(-0.08, len(allowed))
    ax.set_yticks(range(len(allowed)), [mdp.action_names[a] for a in reversed(allowed)])
    ax.set_xlabel(f"Q, in units of reward; the highest bar is {100 * highest / run.n_agents:.3g} % of the agents")
    ax.set_ylabel("action")
    ax.set_title(f"Q({mdp.state_names[number]}, a) of {run.n_agents:,} agents", loc="left")
    plain_frame(ax)
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    return ax


def _state(run: Run, state: int | str | None) -> int:
    """Find a state in which agents can act."""
    mdp = run.mdp
    if state is None:
        return int(np.argmax(mdp.start))
    names = mdp.state_names
    whole = isinstance(state, (int, np.integer)) and not isinstance(state, (bool, np.bool_))
    number = int(state) if whole else names.index(state) if isinstance(state, str) and state in names else -1
    if not 0 <= number < mdp.n_states:
        fix = f"use a number in [0, {mdp.n_states - 1}] or a name such as {names[0]!r:.40}"
        msg = f"state={state!r:.60} does not exist; {fix}"
        raise InvalidInput(msg)
    if not mdp.decision_states[number]:
        other = int(np.flatnonzero(mdp.decision_states)[0])
        msg = f"state={state!r:.60} is one in which no agent can act; use another, such as {other}"
        raise InvalidInput(msg)
    return number


def census_bars(
    census: Run | Census, *, top: int = 10, gamma: float | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw the share of agents that have each greedy policy, the most frequent first.

    Parameters
    ----------
    census : Run or Census
    top : int, default 10
        Policies with a bar of their own; the others share the last one.
    gamma : float, optional
        The discount to judge a run by; by default its own.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Optimal policies are blue, others orange and hatched; beside each bar its exact value and its probability of
        success.

    Raises
    ------
    InvalidInput
        As in `qfast.truth.census`; or for a number below 1.
    MissingExtra
        If matplotlib or SciPy is not installed.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> run = qfast.train(n_agents=50, episodes=100, seed=0, progress=False)
    >>> census_bars(run, ax=Figure().add_subplot()).get_title()
    '50 agents, 1 greedy policy, 100 % of the agents optimal'
    """
    if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 1:
        msg = f"top={top!r:.60} is not a whole number of at least 1; use 10"
        raise InvalidInput(msg)
    counted = census if isinstance(census, Census) else check_run(census, "census").census(gamma=gamma)
    n = min(int(top), len(counted))
    share, fine = counted.share[:n], counted.is_optimal[:n]
    rest = len(counted) - n
    ax = axes_of(ax, (6.4, 1.3 + 0.3 * (n + (rest > 0))))
    looks = ((True, COLOURS[0], None, "optimal"), (False, COLOURS[1], HATCH, "not optimal"))
    for optimal, color, hatch, label in looks:
        rows = np.flatnonzero(fine == optimal)
        if rows.size:
            ax.barh(rows, share[rows], color=color, hatch=hatch, edgecolor="white", label=label)
    names = [f"policy {i}" for i in range(n)]
    texts = [f"value {counted.value[i]:.4g}, success {percent(float(counted.success[i]))}" for i in range(n)]
    if rest:
        others = counted.share[n:]
        good = float(others[counted.is_optimal[n:]].sum())
        ax.barh(n, others.sum(), color=GREY, edgecolor="white", label="others together")
        names.append(f"{rest:,} more")
        texts.append(f"{percent(good)} of the agents optimal")
    shares = [*share, *([counted.share[n:].sum()] if rest else [])]
    for row, (value, text) in enumerate(zip(shares, texts, strict=True)):
        ax.annotate(text, (value, row), (4, 0), textcoords="offset points", va="center", fontsize="small")
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    widest = float(max(shares))
    ax.set_xlim(0, 1.55 * widest)  # room for the texts
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= max(widest, 0.02) * 1.001])
    ax.set_xlabel("share of agents")
    percent_axis(ax.xaxis)
    ax.set_title(counted.sentence(), fontsize="medium")
    plain_frame(ax)
    if rest or not fine.all():
        ax.legend(frameon=False, loc="center right")
    return ax

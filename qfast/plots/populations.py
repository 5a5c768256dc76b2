"""Pictures of a population at the end: maps of values and disagreement, Q over agents, and their policies."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import flag
from qfast.errors import InvalidInput
from qfast.model.learner import take_tied
from qfast.model.mdp import MDP
from qfast.plots.canvas import COLOURS, GREY, axes_of, colormap_of, percent_axis, plain_frame
from qfast.problems.policy_map import cells
from qfast.run import Run, check_run
from qfast.text import percent
from qfast.truth import Census

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Where an action leads on the map: to the right, and down.
_DIRECTIONS: Final = {
    "left": (-1, 0), "west": (-1, 0), "-1": (-1, 0), "back": (-1, 0),
    "right": (1, 0), "east": (1, 0), "1": (1, 0), "+1": (1, 0), "forward": (1, 0),
    "up": (0, -1), "north": (0, -1), "down": (0, 1), "south": (0, 1),
    "up-left": (-1, -1), "up-right": (1, -1), "down-left": (-1, 1), "down-right": (1, 1),
    "stay": (0, 0),
}  # fmt: skip
_LONG: Final = 0.62  # of an arrow, in cells
_MOST_CELLS: Final = 900  # beyond that arrows are too small to be seen
_BINS: Final = 60
_TALL: Final = 0.85  # of the highest bar, where histograms are 1 apart


def value_map(run: Run, *, agent: int | None = None, arrows: bool = True, ax: "Axes | None" = None) -> "Axes":
    r"""Draw what states are worth to an agent, :math:`\max_a Q(s, a)`, and what it does in them.

    Parameters
    ----------
    run : Run
        Of a problem with a layout.
    agent : int, optional
        Position of the agent in ``run.q``; by default Q is averaged over all agents.
    arrows : bool, default True
        Whether to draw the greedy actions, by the run's tie rule: all of them where several are and ``ties="random"``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Walls are dark, ends and cells that cannot be reached grey, with the letters of the layout.

    Raises
    ------
    InvalidInput
        If the problem has no layout, or there is no such agent.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> run = qfast.train(n_agents=50, episodes=100, seed=0, progress=False)
    >>> value_map(run, agent=0, ax=Figure().add_subplot()).get_title()
    'Q of agent 0 and its greedy actions'
    """
    arrows = flag("arrows", arrows)
    check_run(run)
    if agent is None:
        q = run.q.mean(axis=0, dtype=np.float64)
        title = f"Q averaged over {run.n_agents:,} agents, and its greedy actions"
    else:
        position = run.position(agent)
        q = run.q[position].astype(np.float64)
        title = f"Q of agent {run.first_agent + position:,} and its greedy actions"
    values = q.max(axis=1)
    ax = _draw(run.mdp, values, "max Q(s, a), in units of reward", "viridis", ax)
    if arrows:
        _draw_arrows(ax, run.mdp, take_tied(q == values[:, None], run.ties))
    ax.set_title(title if arrows else title.partition(" and its")[0].rstrip(","))
    return ax


def disagreement_map(run: Run, *, arrows: bool = True, ax: "Axes | None" = None) -> "Axes":
    r"""Draw how much agents disagree about what to do: the entropy of the greedy action over agents, in each state.

    .. math:: H(s) = -\sum_a p(a|s) \log_2 p(a|s)

    with p(a|s) the share of agents that would take a in s; of an agent with several greedy actions, where
    ``ties="random"``, each has an equal part.

    Parameters
    ----------
    run, arrows, ax
        As in `value_map`; here arrows show the action that most agents would take.

    Returns
    -------
    matplotlib.axes.Axes
        From 0 bits (all agree) to the logarithm of the number of actions (all actions are equally popular).

    Raises
    ------
    InvalidInput
        If the problem has no layout.

    Examples
    --------
    >>> import qfast
    >>> from matplotlib.figure import Figure
    >>> run = qfast.train(n_agents=50, episodes=100, seed=0, progress=False)
    >>> disagreement_map(run, ax=Figure().add_subplot()).get_title()
    'Disagreement of 50 agents, and what most would do'
    """
    arrows = flag("arrows", arrows)
    check_run(run)
    share = greedy_shares(run)
    positive = np.where(share > 0, share, 1.0)
    entropy = -(share * np.log2(positive)).sum(axis=1)
    most = max(1.0, float(np.log2(run.mdp.n_actions)))
    ax = _draw(run.mdp, entropy, "entropy of the greedy action, in bits", "cividis", ax, (0.0, most))
    if arrows:
        _draw_arrows(ax, run.mdp, share >= share.max(axis=1, keepdims=True) - 1e-12)
    ax.set_title(f"Disagreement of {run.n_agents:,} agents" + (", and what most would do" if arrows else ""))
    return ax


def greedy_shares(run: Run) -> Floats:
    """Share of agents that would take each action greedily, shape (S, A); rows sum to 1."""
    votes = np.zeros(run.q.shape[1:])
    for begin in range(0, run.n_agents, 1024):  # in parts, to spare memory
        q = run.q[begin : begin + 1024]
        best = take_tied(q == q.max(axis=2, keepdims=True), run.ties)
        votes += (best / best.sum(axis=2, keepdims=True)).sum(axis=0)
    return votes / run.n_agents


def _draw(
    mdp: MDP, values: Floats, label: str, colours: str, ax: "Axes | None", limits: tuple[Any, Any] = (None, None)
) -> "Axes":
    """Colour the cells in which agents act, and write the layout's letters into the others."""
    if mdp.layout is None:
        raise InvalidInput("the problem has no layout, so there is no map to draw on; give MDP(…, layout=[…])")
    rows = cells(mdp)
    height, width = len(rows), max(map(len, rows))
    picture, wall = np.full((height, width), np.nan), np.zeros((height, width), np.bool_)
    for i, row in enumerate(rows):
        for j, state in enumerate(row):
            wall[i, j] = state < 0
            if state >= 0 and mdp.decision_states[state]:
                picture[i, j] = values[state]
    side, flat = min(0.9, 9.0 / max(width, height)), 2 * height <= width
    room = (0.4, 1.6) if flat else (2.0, 0.8)  # for the colours' scale, below or to the right
    ax = axes_of(ax, (max(width * side + room[0], 4.5), height * side + room[1]))
    image = ax.imshow(picture, cmap=colormap_of(colours), vmin=limits[0], vmax=limits[1])
    ax.imshow(np.where(wall, 1.0, np.nan), cmap="gray_r", vmin=-0.4, vmax=1.4)
    for i, row in enumerate(rows):
        for j, state in enumerate(row):
            if state >= 0 and not mdp.decision_states[state]:
                ax.text(j, i, mdp.layout[i][j], ha="center", va="center", color="#444444")
    ax.figure.colorbar(image, ax=ax, label=label, location="bottom" if flat else "right", shrink=0.9)
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def _draw_arrows(ax: "Axes", mdp: MDP, chosen: Bools) -> None:
    """Draw sets of actions (S, A): an arrow each; the name where an action has no direction."""
    places = [
        (i, j, state)
        for i, row in enumerate(cells(mdp))
        for j, state in enumerate(row)
        if state >= 0 and mdp.decision_states[state]
    ]
    if len(places) > _MOST_CELLS:
        return
    tails: list[tuple[float, float, float, float]] = []
    for i, j, state in places:
        actions = np.flatnonzero(chosen[state] & (True if mdp.allowed is None else mdp.allowed[state]))
        if len(actions) == mdp.n_actions > 2:
            ax.plot(j, i, marker="o", markersize=5, color="white", markeredgecolor="black", markeredgewidth=0.5)
            continue
        for a in actions:
            name = mdp.action_names[a]
            x, y = _DIRECTIONS.get(name.lower(), (0, 0))
            if (x, y) == (0, 0):
                ax.text(j, i, name[:1], ha="center", va="center", color="white", fontweight="bold")
                continue
            size = _LONG / np.hypot(x, y) if len(actions) == 1 else _LONG / 1.6 / np.hypot(x, y)
            begin = 0.5 if len(actions) == 1 else 0.0  # one arrow in the middle; several from there
            tails.append((j - begin * x * size, i - begin * y * size, x * size, y * size))
    if tails:
        x0, y0, dx, dy = np.array(tails).T
        ax.quiver(
            x0, y0, dx, dy, angles="xy", scale_units="xy", scale=1, units="xy", width=0.075, headwidth=3.2,
            headlength=3.2, headaxislength=3.0, facecolor="white", edgecolor="black", linewidth=0.5,
        )  # fmt: skip


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
        All histograms have the scale that the label below gives; a line in each marks Q*.

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
        raise InvalidInput(f"gamma={run.gamma!r}: there is no common Q*; give gamma= to mark one")
    truth = solve(mdp, float(run.gamma.values) if gamma is None else gamma).q[number]
    allowed = [a for a in range(mdp.n_actions) if mdp.allowed is None or mdp.allowed[number, a]]
    q = run.q[:, number, allowed].astype(np.float64)
    low, high = min(q.min(), truth[allowed].min()), max(q.max(), truth[allowed].max())
    room = 0.02 * (high - low) or 0.5
    edges = np.linspace(low - room, high + room, _BINS + 1)
    counts = np.stack([np.histogram(q[:, i], edges)[0] for i in range(len(allowed))])
    highest = counts.max()
    ax = axes_of(ax, (6.4, 1.4 + 0.75 * max(len(allowed), 2)))
    for i, a in enumerate(allowed):
        color = COLOURS[i % len(COLOURS)]
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
        raise InvalidInput(f"state={state!r:.60} does not exist; {fix}")
    if not mdp.decision_states[number]:
        other = int(np.flatnonzero(mdp.decision_states)[0])
        raise InvalidInput(f"state={state!r:.60} is one in which no agent can act; use another, such as {other}")
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
    gamma, ax
        As in `q_distribution`, to judge a run by.

    Returns
    -------
    matplotlib.axes.Axes
        Optimal policies are blue, others orange and hatched; beside each bar its exact value and success probability.

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
        raise InvalidInput(f"top={top!r:.60} is not a whole number of at least 1; use 10")
    counted = census if isinstance(census, Census) else check_run(census, "census").census(gamma=gamma)
    n = min(int(top), len(counted))
    share, fine = counted.share[:n], counted.is_optimal[:n]
    rest = len(counted) - n
    ax = axes_of(ax, (6.4, 1.3 + 0.3 * (n + (rest > 0))))
    # Hatched, so that they are told apart in print in black and white, too.
    for optimal, color, hatch, label in (
        (True, COLOURS[0], None, "optimal"), (False, COLOURS[1], "////", "not optimal")
    ):  # fmt: skip
        rows = np.flatnonzero(fine == optimal)
        if rows.size:
            ax.barh(rows, share[rows], color=color, hatch=hatch, edgecolor="white", label=label)
    names = [f"policy {i}" for i in range(n)]
    texts = [f"value {counted.value[i]:.4g}, success {percent(float(counted.success[i]))}" for i in range(n)]
    shares = share.tolist()
    if rest:
        others = counted.share[n:]
        good = float(others[counted.is_optimal[n:]].sum())
        ax.barh(n, others.sum(), color=GREY, edgecolor="white", label="others together")
        names.append(f"{rest:,} more")
        texts.append(f"{percent(good)} of the agents optimal")
        shares.append(others.sum())
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

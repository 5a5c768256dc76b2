"""Pictures of a map: values and policies of one agent or of the mean, and where agents disagree."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import flag
from qfast.errors import InvalidInput
from qfast.model.learner import take_tied
from qfast.model.mdp import MDP
from qfast.plots.canvas import axes_of, colormap_of
from qfast.problems.policy_map import cells
from qfast.run import Run
from qfast.run_argument import check_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["disagreement_map", "greedy_shares", "value_map"]

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
    MissingExtra
        If matplotlib is not installed.

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
    ax = _draw(run.mdp, values, "max Q(s, a), in units of reward", "viridis", None, ax)
    if arrows:
        _draw_arrows(ax, run.mdp, take_tied(q == values[:, None], run.ties))
    ax.set_title(title if arrows else title.partition(" and its")[0].rstrip(","))
    return ax


def disagreement_map(run: Run, *, arrows: bool = True, ax: "Axes | None" = None) -> "Axes":
    r"""Draw how much agents disagree about what to do: the entropy of the greedy action over agents, in each state.

    .. math:: H(s) = -\sum_a p(a|s) \log_2 p(a|s)

    with p(a|s) the share of agents that would take a in s; an agent with several greedy actions counts for each of them
    with an equal part where ``ties="random"``.

    Parameters
    ----------
    run : Run
        Of a problem with a layout.
    arrows : bool, default True
        Whether to draw the action that most agents would take.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        From 0 bits (all agree) to the logarithm of the number of actions (all actions are equally popular).

    Raises
    ------
    InvalidInput
        If the problem has no layout.
    MissingExtra
        If matplotlib is not installed.

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
    ax = _draw(run.mdp, entropy, "entropy of the greedy action, in bits", "cividis", (0.0, most), ax)
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
    mdp: MDP, values: Floats, label: str, colours: str, limits: tuple[float, float] | None, ax: "Axes | None"
) -> "Axes":
    """Colour the cells in which agents act, and write the layout's letters into the others."""
    if mdp.layout is None:
        msg = "the problem has no layout, so there is no map to draw on; give MDP(…, layout=[…])"
        raise InvalidInput(msg)
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
    colormap = colormap_of(colours)
    low, high = (None, None) if limits is None else limits
    image = ax.imshow(picture, cmap=colormap, vmin=low, vmax=high)
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
    everywhere = [(i, j, state) for i, row in enumerate(cells(mdp)) for j, state in enumerate(row)]
    places = [(i, j, state) for i, j, state in everywhere if state >= 0 and mdp.decision_states[state]]
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


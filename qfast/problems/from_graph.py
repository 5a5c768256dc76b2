"""An MDP from a graph: walk along the edges to a goal."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import array_of, choice, first_at, is_number, number, shown
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.model.reachability import Edges, reach
from qfast.problems.from_matrices import finished
from qfast.problems.naming import is_name, known, label_for, start_of, terminal_marks
from qfast.problems.outcomes import Outcomes

__all__ = ["from_graph"]

# Entries of a table with an action for every node; more should have one for every way out.
_MOST_ENTRIES: Final = 25_000_000


class _Ways(NamedTuple):
    """Nodes, and for each edge where it begins, where it leads, and what it pays."""

    nodes: list[Hashable]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    reward: NDArray[np.float64]


def from_graph(
    graph: Any,
    goal: Any,
    *,
    start: Any = None,
    weight: str = "weight",
    goal_reward: float = 0.0,
    actions: str = "nodes",
    max_episode_steps: int | None = None,
    name: str | None = None,
) -> MDP:
    """Make an MDP of walks on a graph to a goal.

    Nodes are the states. Entering the goal ends the episode, and so does a node without a way out. An edge costs its
    weight, 1 where it has none, so that an optimal policy walks the shortest ways, and undiscounted the value of a node
    is its distance to the goal, negative.

    Parameters
    ----------
    graph : networkx graph, mapping, or array_like of shape (S, S)
        A graph of networkx, directed or not; ``{node: [neighbour, …]}`` or ``{node: {neighbour: weight}}``; or a
        matrix. A matrix that holds ``-1`` or ``-inf`` is one of rewards, where that means no way; any other, also
        SciPy's sparse ones, is one of weights, where 0 and infinity mean that.
    goal : node, sequence of nodes, or None
        Where walks end. None: nowhere but at dead ends, so that a limit is needed.
    start : node, dict of node to float, or array_like of float, shape (S,), optional
        The node in which episodes begin, or the probability of each. By default all from which the goal can be
        reached, equally likely.
    weight : str, default "weight"
        The attribute of a networkx edge that holds its weight.
    goal_reward : float, default 0
        Paid on entering the goal, beside what the edge costs or pays.
    actions : {"nodes", "edges"}, default "nodes"
        ``"nodes"``: an action for each node, allowed where an edge leads there. ``"edges"``: action k takes the k-th
        edge out of a node, in the graph's order; for large graphs, and several edges between two nodes.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.
    name : str, optional
        What the problem is called.

    Raises
    ------
    InvalidInput
        If the goal or a start is no node, a weight is no finite number, a matrix is not square, there are parallel
        edges or too many nodes for ``actions="nodes"``; and as `qfast.MDP` does.

    Examples
    --------
    Six rooms, of which the last is outside: a matrix of rewards as in many introductions.

    >>> from qfast.problems import from_graph
    >>> R = [
    ...     [-1, -1, -1, -1, 0, -1],
    ...     [-1, -1, -1, 0, -1, 100],
    ...     [-1, -1, -1, 0, -1, -1],
    ...     [-1, 0, 0, -1, 0, -1],
    ...     [0, -1, -1, 0, -1, 100],
    ...     [-1, 0, -1, -1, 0, 100],
    ... ]
    >>> mdp = from_graph(R, goal=5)
    >>> mdp.allowed[3].tolist(), float(mdp.reward[1, 5, 0])
    ([False, True, True, False, True, False], 100.0)
    """
    by_node = choice("actions", actions, ("nodes", "edges")) == "nodes"
    ways = _ways(graph, weight)
    n = len(ways.nodes)
    index = {node: i for i, node in enumerate(ways.nodes)}
    ends = _goals(goal, index)
    first = np.bincount(ways.source, minlength=n)
    if by_node:
        if n * n > _MOST_ENTRIES:
            msg = f"the graph has {n:,} nodes, too many for an action each; use actions='edges', one for each way out"
            raise InvalidInput(msg)
        column, n_actions, labels = ways.target, n, [label_for(node) for node in ways.nodes]
        pairs, counts = np.unique(ways.source * n + column, return_counts=True)
        for pair in pairs[counts > 1][:1]:
            one, other = ways.nodes[int(pair) // n], ways.nodes[int(pair) % n]
            msg = f"there are several edges from {one!r:.40} to {other!r:.40}; use actions='edges' to tell them apart"
            raise InvalidInput(msg)
    else:
        column = np.arange(ways.source.size) - np.repeat(np.cumsum(first) - first, first)
        n_actions, labels = int(first.max()), list(range(int(first.max())))
    possible = np.zeros((n, n_actions), dtype=np.bool_)
    possible[ways.source, column] = True
    reward = ways.reward + number("goal_reward", goal_reward) * ends[ways.target]
    size = ways.source.size
    outcomes = Outcomes.of(ways.source * n_actions + column, np.ones(size), ways.target, reward, np.zeros(size))
    given = goal is not None
    begins = _beginnings(ways, ends, first, given=given) if start is None else start_of(start, index, n)
    return finished(
        outcomes, possible, ends | (first == 0), start=begins, max_episode_steps=max_episode_steps,
        states=[label_for(node) for node in ways.nodes], actions=labels, name=name,
    )  # fmt: skip


def _goals(goal: Any, index: Mapping[Hashable, int]) -> NDArray[np.bool_]:
    if goal is not None and is_name(goal) and not isinstance(goal, (tuple, frozenset)) and goal not in index:
        raise InvalidInput(f"goal={goal!r:.60} is no node of the graph; nodes are {known(index)}")
    try:
        return terminal_marks(goal, index, len(index))
    except InvalidInput as error:
        raise InvalidInput(str(error).replace("terminal", "goal").replace("state", "node")) from error


def _beginnings(ways: _Ways, ends: NDArray[np.bool_], first: NDArray[np.int64], *, given: bool) -> NDArray[np.float64]:
    """Begin in any node from which there is a way to the goal."""
    starts = (first > 0) & ~ends
    if given:
        backwards = Edges.from_pairs(ways.target, ways.source, n_states=len(ways.nodes))
        starts &= reach(backwards, ends)
        if not starts.any():
            raise InvalidInput("no way leads to the goal; add edges to it, or choose another one")
    return starts / max(1, int(starts.sum()))


def _ways(graph: Any, weight: str) -> _Ways:
    """Read a graph of whatever kind; edges come out sorted by where they begin."""
    if hasattr(graph, "edges") and hasattr(graph, "nodes") and hasattr(graph, "is_directed"):
        edges = [(u, v, data.get(weight, 1.0)) for u, v, data in graph.edges(data=True)]
        if not graph.is_directed():
            edges += [(v, u, cost) for u, v, cost in edges if u != v]
        return _listed(list(graph.nodes), edges)
    if isinstance(graph, Mapping):
        edges = []
        for node, others in graph.items():
            if not isinstance(others, Iterable) or isinstance(others, (str, bytes)):
                raise InvalidInput(f"graph[{node!r:.40}] is {shown(others)}; give its neighbours, or a dict of weights")
            weights = others if isinstance(others, Mapping) else dict.fromkeys(others, 1.0)
            edges += [(node, other, cost) for other, cost in weights.items()]
        return _listed(list(dict.fromkeys([*graph, *(other for _, other, _ in edges)])), edges)
    return _matrix(graph)


def _listed(nodes: list[Hashable], edges: list[tuple[Hashable, Hashable, Any]]) -> _Ways:
    if not edges:
        raise InvalidInput("the graph has no edge; there is nothing to decide")
    index = {node: i for i, node in enumerate(nodes)}
    for one, other, cost in edges:
        if not is_number(cost) or not np.isfinite(cost):
            raise InvalidInput(f"the edge from {one!r:.40} to {other!r:.40} has the weight {cost!r:.40}; use a number")
    source, target = (np.array([index[edge[i]] for edge in edges], dtype=np.int64) for i in (0, 1))
    cost = np.array([float(edge[2]) for edge in edges])
    order = np.argsort(source, kind="stable")
    return _Ways(nodes, source[order], target[order], -cost[order])


def _matrix(graph: Any) -> _Ways:
    """Read a matrix: of rewards if it holds -1, else of weights."""
    if hasattr(graph, "tocoo"):
        coo = graph.tocoo()
        shape, source, target, value = coo.shape, coo.row, coo.col, np.asarray(coo.data, dtype=np.float64)
        kept = (value != 0) & ~np.isposinf(value)
        source, target, value = (array[kept] for array in (source, target, value))
        by_reward = False
    else:
        array = array_of("graph", graph, "biuf", "give a graph of networkx, a dict of neighbours, or a matrix")
        shape = array.shape
        if array.ndim != 2:
            raise InvalidInput(f"graph has shape {shape}; a matrix is (S, S), with a row for each node")
        barred = np.isneginf(array)
        if barred.any() and (np.isposinf(array) | (array == -1)).any():
            msg = "graph holds -inf beside -1 or infinity, and each can stand for no way; give one of them alone"
            raise InvalidInput(msg)
        no_way = (array == -1) | barred  # of rewards; of costs it is 0 or infinity
        by_reward = bool(no_way.any())
        source, target = np.nonzero(~no_way) if by_reward else np.nonzero((array != 0) & ~np.isinf(array))
        value = array[source, target].astype(np.float64)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InvalidInput(f"graph has shape {shape}; a matrix is (S, S), with a row for each node")
    wrong = ~np.isfinite(value) | ((value < 0) & (not by_reward))
    if wrong.any():
        (k,) = first_at(wrong)
        raise InvalidInput(
            f"graph[{source[k]}, {target[k]}]={value[k]:g}; weights are positive, with 0 or infinity for no way; "
            f"in a matrix of rewards -1 stands for no way"
        )
    if source.size == 0:
        raise InvalidInput("the graph has no edge; there is nothing to decide")
    order = np.lexsort((target, source))
    sign = 1.0 if by_reward else -1.0
    source, target = (end.astype(np.int64)[order] for end in (source, target))
    return _Ways(list(range(int(shape[0]))), source, target, sign * value[order])

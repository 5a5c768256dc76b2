"""Problems from graphs: distances are networkx's, the rooms are those of the introductions."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from qfast.errors import InvalidInput
from qfast.exact import solve
from qfast.problems import from_graph

ROOMS = [
    [-1, -1, -1, -1, 0, -1],
    [-1, -1, -1, 0, -1, 100],
    [-1, -1, -1, 0, -1, -1],
    [-1, 0, 0, -1, 0, -1],
    [0, -1, -1, 0, -1, 100],
    [-1, 0, -1, -1, 0, 100],
]


def test_the_rooms():
    mdp = from_graph(ROOMS, 5)
    # The classic table, scaled to 100: the end is entered once here, so it needs no scaling.
    q = solve(mdp, 0.8).q
    assert [q[0, 4], q[1, 3], q[1, 5], q[2, 3], q[3, 1], q[3, 2], q[3, 4], q[4, 0], q[4, 3], q[4, 5]] == pytest.approx(
        [80, 64, 100, 64, 80, 51.2, 80, 64, 64, 100]
    )
    assert mdp.start.tolist() == [0.2] * 5 + [0]
    assert from_graph(np.array(ROOMS, dtype=float), 5) == mdp


def lattice():
    graph = nx.grid_2d_graph(5, 4)
    graph.remove_edge((0, 1), (1, 1))
    for i, (u, v) in enumerate(graph.edges):
        graph[u][v]["weight"] = 1.0 + i % 3
    return graph


@pytest.mark.parametrize("actions", ["nodes", "edges"])
def test_values_are_distances(actions):
    graph = lattice()
    mdp = from_graph(graph, (4, 3), actions=actions)
    distance = nx.single_source_dijkstra_path_length(graph, (4, 3))
    value = solve(mdp, 1.0).v
    for node, far in distance.items():
        assert value[mdp.index(node)] == pytest.approx(-far)


def test_weights_and_directions():
    graph = nx.DiGraph([("a", "b"), ("b", "c"), ("a", "c"), ("d", "a")])
    graph["a"]["c"]["cost"] = 5.0
    mdp = from_graph(graph, "c", weight="cost", goal_reward=10.0, start="a")
    assert mdp.start_state == mdp.index("a")
    assert solve(mdp, 1.0).start_value == pytest.approx(8.0)
    assert mdp.actions == mdp.states == ("a", "b", "c", "d")
    assert from_graph(graph, "c", weight="cost", start={"a": 0.5, "d": 0.5}).start.tolist() == [0.5, 0, 0, 0.5]


def test_dicts_and_matrices_are_the_same_graph():
    weights = {0: {1: 2.0, 2: 9.0}, 1: {2: 3.0}, 2: {}}
    wanted = from_graph(weights, 2)
    matrix = np.array([[0, 2, 9], [0, 0, 3], [0, 0, 0.0]])
    assert from_graph(matrix, 2) == from_graph(sp.csr_array(matrix), 2) == wanted
    assert from_graph(np.where(matrix == 0, np.inf, matrix), 2) == wanted
    assert from_graph(nx.from_numpy_array(matrix, create_using=nx.DiGraph), 2) == wanted
    assert solve(wanted, 1.0).v[0] == -5
    assert from_graph({"a": ["b"], "b": ["a", "c"]}, "c").n_states == 3


def test_several_goals_none_and_dead_ends():
    line = nx.path_graph(5)
    assert solve(from_graph(line, [0, 4]), 1.0).v.tolist() == pytest.approx([0, -1, -2, -1, 0])
    assert from_graph(line, None, max_episode_steps=10).start.tolist() == [0.2] * 5
    dead = {"a": ["b", "end"], "b": [], "c": ["b"]}
    mdp = from_graph(dead, "end")
    assert mdp.terminal_states[[mdp.index("b"), mdp.index("end")]].all()
    assert mdp.start[mdp.index("c")] == 0  # from there the goal cannot be reached


def test_parallel_edges():
    graph = nx.MultiDiGraph()
    graph.add_edge("a", "b", weight=3.0)
    graph.add_edge("a", "b", weight=2.0)
    with pytest.raises(InvalidInput, match="several edges from 'a' to 'b'; use actions='edges'"):
        from_graph(graph, "b")
    assert solve(from_graph(graph, "b", actions="edges"), 1.0).start_value == -2


@pytest.mark.parametrize(
    ("graph", "goal", "options", "message"),
    [
        (lattice(), "x", {}, "goal='x' is no node"),
        (lattice(), (9, 9), {}, "goal names 9, which is no node"),
        (lattice(), (4, 3), {"start": (7, 7)}, r"start=\(7, 7\) is no state"),
        ([[0, 1]], 1, {}, r"graph has shape \(1, 2\); a matrix is \(S, S\)"),
        ([[0, -2], [1, 0]], 1, {}, r"graph\[0, 1\]=-2; weights are positive"),
        ([[0, 0], [0, 0]], 1, {}, "no edge"),
        (3, 1, {}, "graph has shape"),
        ("abc", 1, {}, "graph has dtype"),
        ({"a": 3}, 1, {}, r"graph\['a'\] is 3; give its neighbours"),
        ({"a": {"b": "far"}}, "b", {}, "has the weight 'far'"),
        ({"a": ["b"], "c": ["a"]}, "c", {}, "no way leads to the goal"),
        (lattice(), (4, 3), {"actions": "ways"}, "actions='ways' is unknown"),
        (nx.path_graph(6000), 3, {}, "6,000 nodes, too many for an action each; use actions='edges'"),
    ],
)
def test_what_is_refused(graph, goal, options, message):
    with pytest.raises(InvalidInput, match=message):
        from_graph(graph, goal, **options)


def test_large_graphs_take_their_ways_out():
    mdp = from_graph(nx.path_graph(6000), 0, actions="edges")
    assert mdp.next_state.shape == (6000, 2, 1)
    assert solve(mdp, 1.0).v[5999] == pytest.approx(-5999)


def test_minus_infinity_is_no_way_of_rewards():
    no = -np.inf
    mdp = from_graph([[no, 1, no], [no, no, 5], [no, no, no]], 2)
    assert (mdp.reward[0, 1, 0], mdp.reward[1, 2, 0]) == (1, 5)
    for other in (np.inf, -1):
        with pytest.raises(InvalidInput, match="-inf beside -1 or infinity"):
            from_graph([[no, 1, other], [no, no, 5], [no, no, no]], 2)
    with pytest.raises(InvalidInput, match="goal names 0 twice"):
        from_graph([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [0, 0, 1])

"""Problems from matrices: layouts told apart by shape, sparse ones never dense, impossible actions and ends."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from qfast.errors import InvalidInput
from qfast.exact import solve
from qfast.problems import forest, from_matrices, from_P

rng = np.random.default_rng(4)
S, A = 5, 3
P = rng.dirichlet(np.full(S, 0.5), size=(A, S))
P[P < 0.02] = 0.0
P /= P.sum(axis=2, keepdims=True)
R = rng.normal(size=(S, A))
FULL = rng.normal(size=(A, S, S))


def expected(reward):
    """The same problem, written out row for row."""

    def row(a, s):
        return [(P[a, s, k], k, reward(a, s, k), False) for k in range(S) if P[a, s, k] > 0]

    return from_P([[row(a, s) for a in range(A)] for s in range(S)])


@pytest.mark.parametrize(
    "layout",
    [
        P,
        P.tolist(),
        P.transpose(1, 0, 2),
        list(P),
        [sp.csr_matrix(matrix) for matrix in P],
        [sp.coo_array(matrix) for matrix in P],
        tuple(sp.csc_array(matrix) for matrix in P),
        list(P.transpose(1, 0, 2)),
        np.array([sp.csr_matrix(matrix) for matrix in P] + [None], dtype=object)[:-1],
    ],
    ids=["ASS", "lists", "SAS", "list", "csr", "coo", "csc", "list of SA", "objects"],
)
def test_layouts_of_probabilities(layout):
    assert from_matrices(layout, R) == expected(lambda a, s, k: R[s, a])


@pytest.mark.parametrize(
    ("rewards", "reward"),
    [
        (R[:, 0], lambda a, s, k: R[s, 0]),
        (R, lambda a, s, k: R[s, a]),
        (sp.csr_matrix(R), lambda a, s, k: R[s, a]),
        (FULL, lambda a, s, k: FULL[a, s, k]),
        (FULL.transpose(1, 0, 2), lambda a, s, k: FULL[a, s, k]),
        (list(FULL), lambda a, s, k: FULL[a, s, k]),
        ([sp.csr_array(matrix) for matrix in FULL], lambda a, s, k: FULL[a, s, k]),
    ],
    ids=["S", "SA", "sparse SA", "ASS", "SAS", "list", "sparse list"],
)
def test_layouts_of_rewards(rewards, reward):
    assert from_matrices(P, rewards) == expected(reward)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_the_product_form(kind):
    s_indices, a_indices = np.divmod(np.arange(S * A), A)
    order = rng.permutation(S * A)
    rows = P.transpose(1, 0, 2).reshape(S * A, S)[order]
    mdp = from_matrices(kind(rows), R.ravel()[order], s_indices=s_indices[order], a_indices=a_indices[order])
    assert mdp == expected(lambda a, s, k: R[s, a])
    fewer = order[order != 4]
    rows = P.transpose(1, 0, 2).reshape(S * A, S)[fewer]
    mdp = from_matrices(kind(rows), R.ravel()[fewer], s_indices=s_indices[fewer], a_indices=a_indices[fewer])
    assert np.argwhere(~mdp.allowed).tolist() == [[1, 1]]


def test_as_many_actions_as_states_need_a_word():
    square = rng.dirichlet(np.ones(3), size=(3, 3))
    with pytest.raises(InvalidInput, match=r"P has shape \(3, 3, 3\), which fits \(A, S, S\) and \(S, A, S\); say"):
        from_matrices(square, np.zeros((3, 3)))
    one = from_matrices(square, np.zeros((3, 3)), axes="ASS")
    other = from_matrices(square.transpose(1, 0, 2), np.zeros((3, 3)), axes="SAS")
    assert one == other == from_matrices(list(square), np.zeros((3, 3)))
    with pytest.raises(InvalidInput, match=r"R has shape \(3, 3, 3\), which fits"):
        from_matrices(list(square), np.zeros((3, 3, 3)))
    assert from_matrices(list(square), square, axes="ASS") == from_matrices(square, list(square), axes="ASS")


def test_impossible_actions_become_a_mask():
    barred = R.copy()
    barred[1, 2] = -np.inf
    assert np.argwhere(~from_matrices(P, barred).allowed).tolist() == [[1, 2]]
    full = FULL.copy()
    full[2, 1] = -np.inf
    assert np.argwhere(~from_matrices(P, full).allowed).tolist() == [[1, 2]]
    zeros = P.copy()
    zeros[2, 1] = 0.0
    assert np.argwhere(~from_matrices(zeros, R).allowed).tolist() == [[1, 2]]
    full[2, 1, np.flatnonzero(P[2, 1])[0]] = 1.0
    with pytest.raises(InvalidInput, match="-inf for some next states of state 1 and action 2 and finite for others"):
        from_matrices(P, full)


def test_ends():
    chain = np.array([[[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1]], [[1, 0, 0], [1, 0, 0], [0, 0, 1]]])
    cost = np.array([[-1, -1], [-1, -1], [0, 0]])
    mdp = from_matrices(chain, cost, terminal=2)
    assert mdp == from_matrices(chain, cost, terminal=[2]) == from_matrices(chain, cost, terminal="absorbing")
    assert mdp == from_matrices(chain, cost, terminal=np.array([False, False, True]))
    assert mdp.terminal_states.tolist() == [False, False, True]
    assert solve(mdp, 1.0).v[:2] == pytest.approx([-4, -2])
    assert not from_matrices(chain, cost).terminated.any()
    bare = chain.copy()
    bare[:, 2] = 0.0
    assert from_matrices(bare, cost) == mdp  # a state without an action
    named = from_matrices(chain, cost, terminal="end", states=["a", "b", "end"], start="b")
    assert (named.states, named.start_state) == (("a", "b", "end"), 1)
    with pytest.raises(InvalidInput, match="terminal names 'z', which is no state; states are 'a', 'b', 'end'"):
        from_matrices(chain, cost, terminal="z", states=["a", "b", "end"])


def test_rewards_that_nobody_would_get_are_refused():
    chain = np.array([[[0.5, 0.5], [0, 1]], [[1, 0], [0, 1]]])
    with pytest.raises(InvalidInput, match=r"R pays 1 for acting in state 1, which is terminal.*broadcast_to"):
        from_matrices(list(chain), [0, 1], terminal=1)
    mdp = from_matrices(chain, np.broadcast_to([0, 1], (2, 2, 2)), terminal=1, axes="ASS")
    assert solve(mdp, 1.0).v[0] == pytest.approx(1)


def test_ten_thousand_states_without_a_dense_matrix():
    n = 10_000
    state = np.arange(n)
    ahead, back = np.minimum(state + 1, n - 1), np.maximum(state - 1, 0)

    def matrix(target):
        return sp.csr_array((np.full(n, 0.9), (state, target)), shape=(n, n)) + sp.csr_array(
            (np.full(n, 0.1), (state, state)), shape=(n, n)
        )

    rewards = [sp.csr_array(([1.0], ([n - 2], [n - 1])), shape=(n, n))] * 2
    tracemalloc.start()
    mdp = from_matrices([matrix(ahead), matrix(back)], rewards, terminal=n - 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (mdp.n_states, mdp.n_outcomes) == (n, 2)
    assert mdp.reward.sum() == 1.0
    assert peak < 20e6  # n * n booleans alone would be 100 MB


@pytest.mark.parametrize(
    ("p", "r", "options", "message"),
    [
        (np.zeros((3, 4, 5)), R, {}, r"P has shape \(3, 4, 5\), which does not fit \(A, S, S\) or \(S, A, S\)"),
        (P[0], R, {}, r"P has shape \(5, 5\); give \[P\] for a single action"),
        (P[0, 0], R, {}, r"P has shape \(5,\); give"),
        (P, R, {"axes": "SAS"}, r"does not fit \(S, A, S\)"),
        (P, R, {"axes": "XYZ"}, "axes='XYZ' is unknown"),
        (P, R.T, {}, r"R has shape \(3, 5\); transpose it; with 5 states and 3 actions give \(5,\), \(5, 3\)"),
        (P, np.zeros(4), {}, r"R has shape \(4,\); with 5 states"),
        (P, [sp.eye(5)] * 2, {}, "R holds 2 matrices of shape"),
        (P, np.full((S, A), np.nan), {}, "R holds nan for state 0 and action 0"),
        (P * 0.9, R, {}, "the probabilities of state 0 and action 0 sum to 0.9, not 1"),
        (-P, R, {}, r"is outside \[0, 1\]"),
        ([sp.csr_matrix(-P[0])] * 3, R, {}, r"P\[0\]\[0, \d\]=-.* is outside"),
        ([sp.eye(5), sp.eye(4)], R, {}, r"P\[1\] has shape \(4, 4\)"),
        (P, R, {"start": 7}, "start=7 is no state"),
        (P, R, {"start": np.ones(3)}, r"start has shape \(3,\)"),
        (P, R, {"terminal": 9}, "terminal names 9, which is no state"),
        (P[0], R[:, 0], {"s_indices": range(5)}, "needs both s_indices and a_indices"),
        (P[0], R[:, 0], {"s_indices": range(5), "a_indices": [0] * 4}, r"a_indices has shape \(4,\)"),
        (P[0], R[:, 0], {"s_indices": [0, 1, 2, 3, 9], "a_indices": [0] * 5}, r"s_indices\[4\]=9 is out of range"),
        (P[0], R[:, 0], {"s_indices": [0, 1, 2, 3, 3], "a_indices": [0] * 5}, "state 3 and action 0 have two rows"),
        (P[0], R, {"s_indices": range(5), "a_indices": [0] * 5}, "one reward for each of the 5 rows"),
        (P, R, {"states": 3}, "states is 3; give a list of 5 labels"),
        (P, R, {"states": ["a"]}, "states holds 1 labels"),
    ],
)
def test_what_is_refused(p, r, options, message):
    with pytest.raises(InvalidInput, match=message):
        from_matrices(p, r, **options)


def test_labels_may_be_lists_and_the_start_a_tuple():
    line = [np.array([[0.0, 1.0], [0.0, 1.0]])]
    mdp = from_matrices(line, [1, 1], states=[["a", 1], ["b", 2]], start=(0.5, 0.5), max_episode_steps=5)
    assert (mdp.states, mdp.start.tolist()) == ((("a", 1), ("b", 2)), [0.5, 0.5])
    assert from_matrices(line, [1, 1], states=mdp.states, start=("b", 2), max_episode_steps=5).start_state == 1


def test_rows_that_are_too_wide_are_refused():
    n = 3000
    wide = sp.csr_array(([1.0 / n] * n, ([0] * n, range(n))), shape=(n, n)) + sp.csr_array(
        ([1.0] * (n - 1), (range(1, n), range(1, n))), shape=(n, n)
    )
    with pytest.raises(InvalidInput, match=r"state 0 and action 0 have 3,000 outcomes, so that the tables would hold"):
        from_matrices([wide] * 40, np.zeros((n, 40)))


def test_the_toolboxs_forest():
    p = np.array([[[0.1, 0.9, 0], [0.1, 0, 0.9], [0.1, 0, 0.9]], [[1, 0, 0]] * 3])
    mdp = from_matrices([sp.csr_matrix(matrix) for matrix in p], [[0, 0], [0, 1], [4, 2]])
    assert solve(mdp, 0.9).v == pytest.approx([26.244, 29.484, 33.484])
    assert np.array_equal(forest().reward, mdp.reward)


def packed(array):
    """An array of objects that holds the matrices."""
    held = np.empty(len(array), dtype=object)
    held[:] = [sp.coo_array(matrix) for matrix in array]
    return held


@pytest.mark.parametrize(
    "kind", [list, tuple, np.ndarray.tolist, lambda array: [sp.csc_array(m) for m in array], packed]
)
def test_the_layout_that_is_named_counts_for_lists_too(kind):
    square, paid = rng.dirichlet(np.ones(3), size=(3, 3)), rng.normal(size=(3, 3, 3))
    for axes in ("SAS", "ASS"):
        wanted = from_matrices(square, paid, axes=axes)
        assert from_matrices(kind(square), paid, axes=axes) == wanted
        assert from_matrices(square, kind(paid), axes=axes) == wanted
    by_state = P.transpose(1, 0, 2), FULL.transpose(1, 0, 2)
    for named in ({}, {"axes": "SAS"}):
        assert from_matrices(*map(kind, by_state), **named) == from_matrices(P, FULL)
    with pytest.raises(InvalidInput, match=r"P has shape \(5, 3, 5\), which does not fit \(A, S, S\)"):
        from_matrices(kind(by_state[0]), R, axes="ASS")
    with pytest.raises(InvalidInput, match=r"P has shape \(3, 5, 5\), which does not fit \(S, A, S\)"):
        from_matrices(kind(P), R, axes="SAS")


def test_sparse_matrices_by_state_have_one_shape():
    with pytest.raises(InvalidInput, match=r"P\[1\] has shape \(3, 2\) and P\[0\] \(2, 3\); give one shape"):
        from_matrices([sp.csr_array((2, 3)), sp.csr_array((3, 2)), sp.csr_array((2, 3))], np.zeros(3))


def test_product_forms_that_are_too_large_or_empty():
    with pytest.raises(InvalidInput, match=r"a_indices\[1\]=1000000000 makes"):
        from_matrices(np.eye(2), [0, 0], s_indices=[0, 1], a_indices=[0, 10**9])
    none = np.zeros(0, dtype=int)
    with pytest.raises(InvalidInput, match="P has no row"):
        from_matrices(np.zeros((0, 2)), none, s_indices=none, a_indices=none)

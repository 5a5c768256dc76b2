"""Each way to solve a chain against the dense textbook system."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from qfast.errors import InvalidInput
from qfast.exact import chains
from qfast.exact.chains import Chain, backward_search, can_reach, settle


def random_chain(seed: int, n: int, n_outcomes: int, *, going_on: float = 1.0) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(n), n_outcomes)
    weight = rng.dirichlet(np.ones(n_outcomes), n).ravel() * going_on
    transition = sparse.csr_array(sparse.coo_array((weight, (row, rng.integers(0, n, row.size))), shape=(n, n)))
    return transition, rng.normal(size=n)


def dense(transition: Any, right: np.ndarray, gamma: float) -> np.ndarray:
    return np.asarray(np.linalg.solve(np.eye(right.size) - gamma * transition.toarray(), right))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("n_outcomes", [1, 3])
def test_the_sum_is_the_textbooks(n_outcomes: int, gamma: float) -> None:
    transition, right = random_chain(1, 60, n_outcomes, going_on=0.9)
    expected = dense(transition, right, gamma)
    np.testing.assert_allclose(chains.chain_sum(transition, right, gamma), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["lu", "krylov", "sweep", "krylov then lu", "krylov then sweep"])
@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_every_method_for_large_chains(method: str, gamma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    transition, right = random_chain(2, 500, 3, going_on=0.95)
    monkeypatch.setattr(chains, "_LU_STATES", 0)
    monkeypatch.setattr(chains, "_LU_CHEAP", np.inf if method == "lu" else 0.0)
    monkeypatch.setattr(chains, "_LU_POSSIBLE", np.inf if "lu" in method else 0.0)
    if method == "sweep":
        monkeypatch.setattr(chains, "_krylov", lambda _system, _right, start, _atol: (start, False))
    elif " then " in method:
        monkeypatch.setattr(chains, "_KRYLOV_STEPS", 1)
    found = chains.chain_sum(transition, right, gamma)
    np.testing.assert_allclose(found, dense(transition, right, gamma), rtol=0, atol=1e-10)


def test_blocks_are_solved_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [random_chain(seed, 9, 2) for seed in range(11)]
    together = sparse.csr_array(sparse.block_diag([transition for transition, _ in blocks]))
    right = np.concatenate([reward for _, reward in blocks])
    monkeypatch.setattr(chains, "_DENSE_NUMBERS", 250)  # three blocks of 9 x 9 a batch
    found = chains.chain_sum(together, right, 0.9, n_blocks=11).reshape(11, 9)
    for values, (transition, reward) in zip(found, blocks, strict=True):
        np.testing.assert_allclose(values, dense(transition, reward, 0.9), rtol=0, atol=1e-12)


def test_what_never_ends_is_reported_and_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    transition, right = random_chain(3, 500, 3)
    for name, value in (("_LU_STATES", 0), ("_LU_CHEAP", 0.0), ("_LU_POSSIBLE", 0.0), ("_MAX_SWEEPS", 50)):
        monkeypatch.setattr(chains, name, value)
    with pytest.raises(InvalidInput, match="did not converge"):
        chains.chain_sum(transition, right + 1.0, 1.0)


def test_the_envelope_tells_a_corridor_from_a_random_graph() -> None:
    n = 300
    corridor = sparse.csr_array(sparse.diags_array([np.full(n - 1, 0.5)] * 2, offsets=[-1, 1]))
    shuffle = np.random.default_rng(4).permutation(n)
    assert chains._envelope(sparse.csr_array(corridor[shuffle][:, shuffle])) <= 4 * n
    assert chains._envelope(random_chain(5, n, 3)[0]) > 100 * n


def test_searches() -> None:
    """0 -> 1 -> 2, 3 alone."""
    transition = sparse.csr_array(np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1.0]]))
    reached, step = backward_search(transition, np.array([False, False, True, False]))
    assert reached.tolist() == [True, True, True, False]
    assert step[:2].tolist() == [1, 2]
    assert step[2] == 4
    assert step[3] < 0
    assert can_reach(transition, np.zeros(4, dtype=bool)).tolist() == [False] * 4


def chain_of(matrix: list[list[float]], reward: list[float], *, ending: list[bool] | None = None) -> Chain:
    values = np.array(reward, dtype=float)
    ends = np.zeros(values.size, dtype=bool) if ending is None else np.array(ending)
    return Chain(sparse.csr_array(np.array(matrix, dtype=float)), values, values, values, ends)


@pytest.mark.parametrize(
    ("reward", "expected"),
    [([0, 0], 0.0), ([1, 0], np.inf), ([0, -1], -np.inf), ([1, -1], np.nan), ([2, -1], np.inf), ([1, -2], -np.inf)],
)
def test_loops_settle_or_not(reward: list[float], expected: float) -> None:
    limit, quiet = settle(chain_of([[0, 1], [1, 0]], reward))
    np.testing.assert_array_equal(limit, [expected] * 2)
    assert quiet.all() == (reward == [0, 0])


def test_the_mean_of_a_large_loop() -> None:
    """A ring of 600 states, more than are solved densely: its mean decides."""
    n = 600
    ring = np.roll(np.eye(n), 1, axis=1).tolist()
    for extra, expected in ((0.0, np.nan), (1.0, np.inf), (-1.0, -np.inf)):
        limit, _ = settle(chain_of(ring, [1.0 + extra, *[1.0, -1.0] * (n // 2 - 1), -1.0]))
        np.testing.assert_array_equal(limit, np.full(n, expected))


def test_what_can_still_end_is_finite() -> None:
    limit, quiet = settle(chain_of([[0.5, 0.5], [0, 0]], [1, 1], ending=[False, True]))
    assert limit.tolist() == [0, 0]
    assert not quiet.any()

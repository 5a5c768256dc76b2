"""The standard error of values whose probabilities come from samples."""

from typing import Any

import numpy as np
import pytest

from qfast import problems
from qfast.errors import InvalidInput
from qfast.exact import evaluate_policy, sampling_error, solve
from qfast.model.mdp import MDP


def two_coins(counts: Any = ((100, 0), (50, 0), (0, 0))) -> MDP:
    """In state 0 a coin goes on to state 1 (0.4) or ends, there another one pays (0.3); action 1 pays 0."""
    return MDP(
        [[[1, 2], [2, 2]], [[2, 2], [2, 2]], [[2, 2], [2, 2]]],
        [[[0, 0], [0, 0]], [[2, 0], [0, 0]], [[0, 0], [0, 0]]],
        terminated=[[[False, True], [True, True]], [[True, True]] * 2, [[True, True]] * 2],
        probability=[[[0.4, 0.6], [1, 0]], [[0.3, 0.7], [1, 0]], [[1, 0], [1, 0]]],
        counts=counts,
    )


def sampled(mdp: MDP, n: int, rng: np.random.Generator) -> MDP:
    rows = mdp.probability.reshape(-1, mdp.n_outcomes)
    counted = rng.multinomial(n, rows / rows.sum(axis=1, keepdims=True)).reshape(mdp.probability.shape)
    return MDP(
        mdp.next_state, mdp.reward, terminated=mdp.terminated, probability=counted / n, start=mdp.start,
        max_episode_steps=mdp.max_episode_steps, counts=np.full(counted.shape[:2], n),
    )  # fmt: skip


def test_by_hand() -> None:
    found = two_coins().sampling_error(0.5)
    first = (0.5 * 0.6) ** 2 * 0.4 * 0.6 / 99  # gamma V(1), V(1) = 0.3 * 2
    second = (0.5 * 0.4) ** 2 * 4 * 0.3 * 0.7 / 49  # visits gamma * 0.4
    assert found.value == pytest.approx(0.5 * 0.4 * 0.6)
    assert found.standard_error == pytest.approx(np.sqrt(first + second))
    assert found.variance[:2, 0] == pytest.approx([first, second])
    assert found.fewest == 50
    assert "most of it  from state 1, action 0" in repr(found)
    half = sampling_error(two_coins(), 0.5, [[0.5, 0.5], [1, 0], [1, 0]])
    assert half.standard_error == pytest.approx(found.standard_error / 2)


def test_what_is_exact_or_not_met_has_no_error() -> None:
    assert two_coins(None).sampling_error(0.9).standard_error == 0
    assert two_coins(None).sampling_error(0.9).fewest == 0
    assert "all that the policy meets is exact" in repr(two_coins(None).sampling_error(0.9))
    other = two_coins().sampling_error(0.9, [1, 0, 0])
    assert (other.value, other.standard_error, other.fewest) == (0, 0, 0)


def test_one_sample_leaves_the_error_unknown() -> None:
    found = two_coins(((100, 0), (1, 0), (0, 0))).sampling_error(0.9)
    assert np.isnan(found.standard_error)
    assert "state 1, action 0 was sampled once" in repr(found)


def test_loops_without_discount() -> None:
    """A step ends with 1/4; waiting in a loop of zeros for ever adds nothing."""
    mdp = MDP(
        [[[0, 1]], [[1, 1]]], [[[1, 1]], [[0, 0]]], terminated=[[[False, True]], [[True, True]]],
        probability=[[[0.75, 0.25]], [[0.5, 0.5]]], counts=[[1001], [0]],
    )  # fmt: skip
    # V = 1/p with p = 1/4: dV/dp = 16 and Var p = p (1 - p) / 1000.
    assert mdp.sampling_error(1.0).standard_error == pytest.approx(16 * np.sqrt(0.25 * 0.75 / 1000))
    waits = MDP([[0]], [[0.0]], terminated=[[False]], max_episode_steps=9, counts=[[5]])
    assert waits.sampling_error(1.0).standard_error == 0


def test_bad_input() -> None:
    with pytest.raises(InvalidInput, match="gamma=2 is outside"):
        two_coins().sampling_error(2)
    with pytest.raises(InvalidInput, match=r"policy has shape \(2,\)"):
        two_coins().sampling_error(0.9, [0, 0])


def test_the_standard_error_is_the_spread_of_values() -> None:
    """100 samples of a slippery lake: the estimates spread as the errors say, and intervals of 95 % hold."""
    lake, rng = problems.resolve("frozen_lake"), np.random.default_rng(7)
    truth, best = solve(lake, 0.95).start_value, solve(lake, 0.95).policy
    found = [sampling_error(sampled(lake, 200, rng), 0.95, best) for _ in range(100)]
    values, errors = (np.array([getattr(one, name) for one in found]) for name in ("value", "standard_error"))
    assert truth == pytest.approx(evaluate_policy(lake, best, 0.95).start_value)
    assert 0.8 < values.std() / errors.mean() < 1.25  # the standard deviation of 100 has 7 % of error itself
    assert np.mean(np.abs(values - truth) < 1.96 * errors) > 0.87  # 1 in 1,000 of 100 intervals of 95 % does worse


@pytest.mark.long
@pytest.mark.parametrize(("n", "gamma", "least"), [(100, 0.99, 0.93), (1000, 1.0, 0.92), (30, 1.0, 0.83)])
def test_coverage_of_the_optimal_value(n: int, gamma: float, least: float) -> None:
    lake, rng = problems.resolve("frozen_lake"), np.random.default_rng(1)
    truth = solve(lake, gamma).start_value
    found = [sampling_error(sampled(lake, n, rng), gamma) for _ in range(300)]
    assert np.mean([abs(one.value - truth) < 1.96 * one.standard_error for one in found]) > least

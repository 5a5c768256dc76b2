"""The benchmark suite's workloads and peers: right tables, right answers, and a `check` that refuses wrong ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from benchmarks.peers import PEERS, numpy_batched, plain_numba
from benchmarks.workloads import BUILDERS, Spread, WrongAnswer, check, greedy_return, optimal_q, workload

SHAPES = {"W1": (5, 2, 1), "W2": (16, 4, 3), "W3": (48, 4, 1), "W4": (500, 6, 1), "W5": (10_000, 8, 4)}
QUICK_AGENTS = {"gymnasium_loop": 2, "python_article": 5}
PAIRS = [(peer, name) for peer in PEERS for name in ("W1", "W2") if PEERS[peer].can_train(workload(name))]


# ---------------------------------------------------------------- workloads
@pytest.mark.parametrize("name", BUILDERS)
def test_tables_are_consistent(name: str) -> None:
    problem = workload(name)
    assert problem.name == name
    assert problem.next_state.shape == problem.reward.shape == problem.terminated.shape == SHAPES[name]
    assert (problem.next_state.dtype, problem.reward.dtype, problem.terminated.dtype) == (
        np.dtype(np.int32),
        np.dtype(np.float32),
        np.dtype(np.bool_),
    )
    assert problem.next_state.min() >= 0
    assert problem.next_state.max() < problem.n_states
    assert not problem.next_state.flags.writeable
    assert problem.probability.sum(axis=2) == pytest.approx(1)
    assert problem.start_distribution.sum() == pytest.approx(1)


def test_corridor_pays_as_the_article_does() -> None:
    corridor = workload("W1")
    assert corridor.reward[:4, :, 0].tolist() == [[0, 1], [-1, 1], [-1, 1], [-1, 2]]
    assert corridor.next_state[:4, :, 0].tolist() == [[0, 1], [0, 2], [1, 3], [2, 4]]
    assert np.argwhere(corridor.terminated[:4]).tolist() == [[3, 1, 0]]
    assert optimal_q(corridor)[:4, 1] == pytest.approx([4.168, 3.52, 2.8, 2])


def test_frozen_lake_slips_a_third_each_way_and_holes_end_the_episode() -> None:
    lake = workload("W2")
    left = list(zip(lake.next_state[14, 0], lake.reward[14, 0], lake.terminated[14, 0], strict=True))
    assert Counter(left) == {(10, 0, False): 1, (13, 0, False): 1, (14, 0, False): 1}
    right = list(zip(lake.next_state[14, 2], lake.reward[14, 2], lake.terminated[14, 2], strict=True))
    assert (15, 1, True) in right
    assert lake.terminated[6, :, :].any(axis=1).all()  # state 6 lies between the holes 5 and 7
    assert greedy_return(lake, optimal_q(lake)[None])[0] == pytest.approx(0.74, abs=0.001)


def test_cliff_is_no_end_and_taxi_starts_anywhere() -> None:
    cliff, taxi = workload("W3"), workload("W4")
    assert (cliff.next_state[36, 1, 0], cliff.reward[36, 1, 0], cliff.terminated[36, 1, 0]) == (36, -100, False)
    assert cliff.start.tolist() == [36]
    assert taxi.start.size == 300
    assert greedy_return(cliff, optimal_q(cliff)[None])[0] == -13


# ---------------------------------------------------------------- what a right answer is
@pytest.mark.parametrize("name", ["W1", "W3"])
def test_learned_start_value_is_the_optimal_one_where_learning_converges(name: str) -> None:
    problem = workload(name)
    best = optimal_q(problem)
    for expected in problem.expected.values():
        assert expected.start_value.mean == pytest.approx(best[problem.start].max(axis=1).mean(), abs=1e-4)
        assert expected.greedy_return.mean == greedy_return(problem, best[None])[0]


@pytest.mark.parametrize("name", ["W2", "W4", "W5"])
def test_learned_policy_is_better_than_chance_and_no_better_than_the_best(name: str) -> None:
    problem = workload(name)
    best = greedy_return(problem, optimal_q(problem, tolerance=1e-4)[None])[0]
    rng = np.random.default_rng(1)
    chance = greedy_return(problem, rng.random((3, problem.n_states, problem.n_actions))).mean()
    earned = problem.expected[problem.ties].greedy_return.mean
    assert chance + 0.1 * (best - chance) < earned < best


def test_tolerance_narrows_with_the_square_root_of_the_agents() -> None:
    assert Spread(0, 2, 0.5).tolerance(4) == 5.5
    assert Spread(0, 2, 0.5).tolerance(400) == 1.0


def test_check_refuses_wrong_tables_wrong_counts_and_nan() -> None:
    corridor = workload("W1")
    q = np.repeat(optimal_q(corridor)[None], 100, axis=0)
    steps = round(100 * corridor.expected["first"].steps.mean)
    assert check(corridor, q, steps)["start_value"] == pytest.approx(4.168)
    with pytest.raises(WrongAnswer, match=r"W1: steps is .* over 100 agents; it should be"):
        check(corridor, q, round(1.02 * steps))
    with pytest.raises(WrongAnswer, match="start_value"):
        check(corridor, 0.99 * q, steps)
    with pytest.raises(WrongAnswer, match="start_value is nan"):
        check(corridor, np.where(q > 4, np.nan, q), steps)
    turned = q.copy()
    turned[:, 2] = turned[:, 2, ::-1]  # the start is worth the same, but the policy runs in circles
    with pytest.raises(WrongAnswer, match="greedy_return"):
        check(corridor, turned, steps)


# ---------------------------------------------------------------- peers
@pytest.mark.parametrize(("peer", "name"), PAIRS)
def test_peer_gives_the_right_answer(peer: str, name: str) -> None:
    if missing := PEERS[peer].missing():
        pytest.skip(f"needs {', '.join(missing)}")
    problem = workload(name)
    n_agents = QUICK_AGENTS.get(peer, problem.quick_agents)
    result = PEERS[peer].train(problem, n_agents, 3)
    assert result.q.shape == (n_agents, problem.n_states, problem.n_actions)
    assert result.seconds > 0
    PEERS[peer].check(problem, result)


@pytest.mark.parametrize("peer", PEERS)
def test_peer_is_reproducible_and_seeds_differ(peer: str) -> None:
    if missing := PEERS[peer].missing():
        pytest.skip(f"needs {', '.join(missing)}")
    problem = replace(workload("W1"), episodes=20, limit=30)
    first, again, other = (PEERS[peer].train(problem, 3, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.q, again.q)
    assert first.agent_steps == again.agent_steps
    assert not np.array_equal(first.q, other.q)


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer != "python_article"])
def test_peer_counts_a_cut_episode_as_long_as_its_limit(peer: str) -> None:
    if missing := PEERS[peer].missing():
        pytest.skip(f"needs {', '.join(missing)}")
    corridor = workload("W1")
    endless = replace(corridor, terminated=np.zeros_like(corridor.terminated), episodes=6, limit=70)
    result = PEERS[peer].train(endless, 3, 1)
    assert result.agent_steps == 3 * 6 * 70


def test_plain_numba_is_the_same_loop_with_argmax() -> None:
    problem = replace(workload("W1"), episodes=50)
    by_hand, by_argmax = (plain_numba.train(problem, 8, 1, greedy=greedy) for greedy in ("first", "argmax"))
    assert np.array_equal(by_hand.q, by_argmax.q)


def test_numpy_ties_are_uniform_over_every_set_of_maxima() -> None:
    action, draws = numpy_batched._tie_breaker(4)
    for maxima in range(1, 16):
        chosen = Counter(action[maxima * draws : (maxima + 1) * draws].tolist())
        assert set(chosen) == {a for a in range(4) if maxima >> a & 1}
        assert len(set(chosen.values())) == 1


def test_agents_to_time_stay_within_a_peers_bounds() -> None:
    problem = workload("W4")
    assert PEERS["gymnasium_loop"].n_agents(problem) == 1
    assert PEERS["numpy_batched"].n_agents(problem) == 1_024
    assert PEERS["numpy_batched"].n_agents(problem, quick=True) == problem.quick_agents
    assert PEERS["plain_numba"].n_agents(problem, scale=0.1) == 50


def test_optional_peer_names_what_is_missing() -> None:
    assert PEERS["jax_batched"].missing() == (() if find_spec("jax") else ("jax",))

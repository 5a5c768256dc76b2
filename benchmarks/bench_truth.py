"""Agents against the truth: ``pytest benchmarks/bench_truth.py --benchmark-only``."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import qfast
from benchmarks.timing import interleave, ratio

LAKE = qfast.problems.frozen_lake("8x8")
ROUNDS = 5


def train(n_agents: int, episodes: int, checkpoints: int | None = None) -> qfast.Run:
    return qfast.train(
        LAKE, n_agents=n_agents, episodes=episodes, gamma=0.99, seed=1, record=None, checkpoints=checkpoints,
        threads=1, progress=False,
    )  # fmt: skip


def test_regret_optimality_and_census(benchmark: BenchmarkFixture, mode: str) -> None:
    """After training, of 10,000 agents on FrozenLake 8x8."""
    run = train(*((64, 20) if mode == "once" else (10_000, 1_000)))
    run.census()  # compile

    def measure() -> tuple[np.ndarray, np.ndarray, qfast.truth.Census]:
        return run.regret(), run.is_optimal(), run.census()

    regret, optimal, census = benchmark.pedantic(measure, rounds=1 if mode == "once" else ROUNDS)
    assert (regret[optimal] < 1e-9).all()
    assert (regret >= 0).all()
    assert census.agents.sum() == run.n_agents
    benchmark.extra_info["policies"] = len(census.agents)


def test_policies(benchmark: BenchmarkFixture, mode: str) -> None:
    """How many different ones 10,000 agents on FrozenLake 8x8 have, as print(run) tells."""
    run = train(*((64, 20) if mode == "once" else (10_000, 1_000)))
    run.policies()  # compile
    policies, agents = benchmark.pedantic(run.policies, rounds=1 if mode == "once" else ROUNDS)
    assert agents.sum() == run.n_agents
    benchmark.extra_info["policies"] = len(policies)


@pytest.mark.parametrize("episodes", [1_000, 5_000])
def test_checkpoints(benchmark: BenchmarkFixture, mode: str, episodes: int) -> None:
    """CPU time of training with 20 checkpoints over training without, in turn."""
    n_agents, episodes, rounds = (64, 40, 1) if mode == "once" else (2_000, episodes, ROUNDS)
    train(64, 20, checkpoints=20)  # compile

    def seconds(checkpoints: int | None) -> float:
        began = process_time()
        run = train(n_agents, episodes, checkpoints)
        assert checkpoints is None or run.checkpoints is not None
        return process_time() - began

    def measure() -> dict[str, list[float]]:
        return interleave({"with": lambda: seconds(20), "without": lambda: seconds(None)}, rounds)

    found = benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info["with 20 checkpoints over without"] = str(ratio(found["with"], found["without"]))

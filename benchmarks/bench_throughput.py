"""Agent-steps a second of every rule and option: ``pytest benchmarks/bench_throughput.py --benchmark-only``."""

from __future__ import annotations

from dataclasses import replace

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.variants import Trained, Variant, check_trained, expected_of, train
from benchmarks.workloads import Workload, workload

STEPS = 20_000_000  # agent-steps of a measurement, about


def same_agents(given: Workload, variant: Variant) -> int:
    """Agents to time, the same on every machine and in every run, so that two saved runs can be compared."""
    steps = expected_of(given, variant.answer).steps.mean
    return max(64, round(STEPS / steps / 64) * 64)


def test_throughput(benchmark: BenchmarkFixture, mode: str, name: str, variant: Variant) -> None:
    given = workload(name)
    train(replace(given, episodes=1), variant, n_agents=1)  # compile
    n_agents = given.quick_agents if mode == "once" else same_agents(given, variant)

    def measure() -> Trained:
        return train(given, variant, n_agents=n_agents)

    benchmark.group = f"throughput: {given.title}"
    done = benchmark.pedantic(measure, rounds=5)
    check_trained(given, variant, done.run.q, done.agent_steps)
    benchmark.extra_info["million steps a second"] = round(done.steps_per_second / 1e6, 1)
    benchmark.extra_info["agents"] = n_agents

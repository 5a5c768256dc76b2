"""Cost at growing sizes; the time shown is of a whole training, ``ns a step`` stands in the saved file."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.growth import point


def test_growth(benchmark: BenchmarkFixture, mode: str, axis: str, series: str, x: int) -> None:
    measured = point(axis, series, x, mode)
    measured.check()  # compiles, too
    benchmark.group = f"growth: {axis}, {series}"
    steps, seconds = benchmark.pedantic(measured.run, rounds=5)
    assert steps >= x  # no axis counts anything that an agent-step could be shared among
    benchmark.extra_info["ns a step"] = round(seconds / steps * 1e9, 3)
    benchmark.extra_info["agents"] = measured.n_agents

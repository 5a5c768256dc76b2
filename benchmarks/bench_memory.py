"""The peak of memory of a training in a process of its own; the bytes stand in the saved file."""

from __future__ import annotations

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.processes import MemoryCase, measure_memory


def test_memory(benchmark: BenchmarkFixture, case: MemoryCase) -> None:
    benchmark.group = "memory"
    found = benchmark.pedantic(measure_memory, (case,), rounds=1)
    assert 0 < found["results"] < found["peak"]
    benchmark.extra_info |= found

"""Whole processes, from start to exit; each must do what it is for."""

from __future__ import annotations

from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.processes import Process, time_process


def test_start_up(benchmark: BenchmarkFixture, mode: str, tmp_path: Path, process: Process) -> None:
    if mode != "once":
        time_process(process, tmp_path)  # so that its files are in memory, and what is cached is cached
    benchmark.group = "start-up"
    seconds = benchmark.pedantic(time_process, (process, tmp_path), rounds=2 if process.fresh else 5)
    assert seconds > 0

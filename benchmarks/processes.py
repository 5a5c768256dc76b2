"""Whole processes: start-up, first compile, a training from the shell's point of view, and the peak of memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.machine import environment
from benchmarks.workloads import WrongAnswer, workload

__all__ = ["MEMORY", "START_UP", "MemoryCase", "Process", "measure_memory", "time_process", "train_process"]

_TRIVIAL = """\
from numba import njit


@njit(cache=True)
def add(a, b):
    return a + b


assert add(1, 2) == 3
"""


@dataclass(frozen=True)
class Process:
    """A process whose whole life is timed.

    Attributes
    ----------
    name, title : str
    arguments : tuple of str
        Of the interpreter.  ``{folder}`` stands for a scratch folder.
    says : str
        What its standard output must contain.
    fresh : bool
        Whether it begins with nothing compiled.
    """

    name: str
    title: str
    arguments: tuple[str, ...]
    says: str = ""
    fresh: bool = False


_TRAIN = ("-m", "qfast", "train", "--seed", "0", "--agents", "10000")
START_UP = {
    process.name: process
    for process in (
        Process("python", "python: nothing", ("-c", "pass")),
        Process("numpy", "import numpy", ("-c", "import numpy")),
        Process("numba", "import numba", ("-c", "import numba")),
        Process("trivial", "import numba, call one cached function", ("{folder}/trivial.py",)),
        Process("import", "import qfast", ("-c", "import qfast; print(qfast.__version__)"), says="."),
        Process("help", "qfast --help", ("-m", "qfast", "--help"), says="train"),
        Process("train", "qfast train, 10,000 agents, compiled before", _TRAIN, says="4.1680"),
        Process("first", "qfast train, 10,000 agents, nothing compiled", _TRAIN, says="4.1680", fresh=True),
    )
}


def time_process(process: Process, folder: Path, cache: Path | None = None) -> float:
    """Run a process once; seconds from start to exit.

    Parameters
    ----------
    process : Process
    folder : Path
        For scratch files; kept from one call to the next, so that what is cached there is found again.
    cache : Path, optional
        Where numba keeps what it compiled; by default where it usually does.

    Raises
    ------
    benchmarks.workloads.WrongAnswer
        If it failed or did not say what it should.
    """
    script = folder / "trivial.py"
    if not script.exists():  # writing it again would make what is cached look out of date
        script.write_text(_TRIVIAL, "utf-8")
    command = [sys.executable, *(part.format(folder=folder) for part in process.arguments)]
    with TemporaryDirectory(prefix="qfast-fresh-") as fresh:
        env = environment(Path(fresh) if process.fresh else cache)
        began = perf_counter()
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=folder)
        seconds = perf_counter() - began
    if done.returncode or process.says not in done.stdout:
        raise WrongAnswer(f"{process.title}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    return seconds


def train_process(
    contender: str,
    name: str,
    n_agents: int,
    cache: Path | None = None,
    *,
    record: str | None = None,
    fresh: bool = False,
) -> tuple[float, dict[str, Any]]:
    """Train by `benchmarks.whole` in a process of its own: seconds from start to exit, and what it printed."""
    arguments = [contender, name, str(n_agents), *([record] if record else [])]
    with TemporaryDirectory(prefix="qfast-fresh-") as folder:
        env = environment(Path(folder) if fresh else cache)
        began = perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.whole", *arguments],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = perf_counter() - began
    if done.returncode:
        raise WrongAnswer(f"{' '.join(arguments)}: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    check_whole(name, n_agents, found)
    return seconds, found


def check_whole(name: str, n_agents: int, found: dict[str, Any]) -> None:
    """Hold what a process printed against the known answer.

    Raises
    ------
    benchmarks.workloads.WrongAnswer
    """
    given = workload(name)
    expected = given.expected[given.ties]
    for what, value in (("start_value", found["start_value"]), ("steps", found["steps"] / n_agents)):
        spread = getattr(expected, what)
        if not abs(value - spread.mean) <= spread.tolerance(n_agents):
            raise WrongAnswer(f"{name}: {what} is {value:.6g} on average; it should be {spread.mean:.6g}")


@dataclass(frozen=True)
class MemoryCase:
    """A training whose peak of memory is measured."""

    workload: str
    n_agents: int
    record: str | None

    @property
    def title(self) -> str:
        """A few words for tables."""
        return f"{self.workload}, {self.n_agents:,} agents, record={self.record!r}"


MEMORY = {
    "full": [
        MemoryCase("W1", 10_000, None),
        MemoryCase("W1", 10_000, "summary"),
        MemoryCase("W1", 10_000, "returns"),
        MemoryCase("W1", 1_000_000, "summary"),
        MemoryCase("W1", 100_000, "returns"),
        MemoryCase("W4", 10_000, None),
        MemoryCase("W5", 2_000, None),
    ],
    "quick": [MemoryCase("W1", 10_000, "summary"), MemoryCase("W1", 10_000, "returns"), MemoryCase("W4", 2_000, None)],
    "once": [MemoryCase("W1", 1_000, "returns")],
}


def measure_memory(case: MemoryCase, cache: Path | None = None) -> dict[str, Any]:
    """Peak of a process, bytes of its results, and what lies between."""
    _, found = train_process("qfast", case.workload, case.n_agents, cache, record=case.record)
    return {
        "title": case.title,
        "peak": found["peak"],
        "results": found["results"],
        "above": found["peak"] - found["results"],
    }

"""Runs that meet faults: what they must equal, and the machinery to bring the faults about."""

import signal
import subprocess
import sys
import time

import pytest
from processes import environment

from qfast.engine.journal import Collector


def pytest_collection_modifyitems(items):
    """Dask's event loops warn of what is none of ours: sockets that its own shutdown leaves to the collector."""
    for item in items:
        if "dask" in item.path.name:
            for warning in ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"):
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture
def script(tmp_path):
    """Start a Python process on some lines of code in an empty folder; it is killed at the end, if it still runs."""
    started = []

    def start(code, *arguments, wait=True, timeout=120, **options):
        variables = environment(**options.pop("env", {}))
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)], cwd=tmp_path, env=variables, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip
        started.append(process)
        if not wait:
            return process
        output, errors = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def until():
    """Wait until something is true."""

    def wait(condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it never happened"
            time.sleep(0.02)

    return wait


@pytest.fixture
def at_first(monkeypatch):
    """Do something, once, as soon as the first agents are complete: a training's progress is told at times only."""

    def at(act):
        take = Collector.take

        def took(collector, block):
            monkeypatch.setattr(Collector, "take", take)
            take(collector, block)
            act()

        monkeypatch.setattr(Collector, "take", took)

    return at

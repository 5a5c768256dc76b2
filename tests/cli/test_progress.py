"""Progress inside Python: the events, who gets them, and what a stream gets."""

import io
import sys

import pytest

from qfast import progress as module
from qfast.errors import InvalidInput
from qfast.progress import Progress, default_reporter, describe


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def training(done, seconds=1.0):
    return Progress("training", done, 100, done * 1_000_000, seconds)


def test_rates_and_time_left():
    assert training(25, 5.0).steps_per_second == 5e6
    assert training(25, 5.0).seconds_left == 15.0
    assert training(0, 0.0).steps_per_second == 0.0
    assert training(0, 5.0).seconds_left is None
    assert training(100, 5.0).seconds_left == 0.0


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Progress("compiling", 0, 5, 0, 0.0), "compiling ..."),
        (Progress("training", 0, 5, 0, 0.0), "training    0 %   0 of 5 agents   0 million steps/s   -:-- left"),
        (
            Progress("training", 1, 10_000_000, 10**9, 0.5),
            "training    0 %   1 of 10,000,000 agents   2 billion steps/s   1388:53:20 left",
        ),
    ],
)
def test_describe(event, text):
    assert describe(event) == text
    assert len(describe(event)) < 80


def test_a_callable_gets_the_first_of_each_phase_ten_a_second_and_the_last(clock):
    got = []
    with default_reporter(got.append) as report:
        report(Progress("compiling", 0, 100, 0, 0.0))
        for done in range(1, 101):
            clock[0] += 0.01
            report(training(done))
        report(Progress("done", 100, 100, 0, 1.0))
    assert [event.phase for event in got] == ["compiling", *["training"] * (len(got) - 2), "done"]
    assert [got[1].agents_done, got[-2].agents_done] == [1, 100]
    assert 10 <= len(got) - 2 <= 12


def test_what_a_callable_raises_ends_the_run():
    def stop(event):
        raise RuntimeError(event.phase)

    with pytest.raises(RuntimeError, match="compiling"), default_reporter(stop) as report:
        report(Progress("compiling", 0, 1, 0, 0.0))


@pytest.mark.parametrize("choice", [1, 0, "yes", [], 1.5])
def test_anything_else_is_refused(choice):
    with pytest.raises(InvalidInput, match="progress="), default_reporter(choice):
        pass


@pytest.mark.parametrize("choice", [None, False])
def test_silent_where_there_is_no_terminal_or_nobody_asked(monkeypatch, choice):
    stream = io.StringIO() if choice is None else Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with default_reporter(choice) as report:
        report(training(50))
    assert stream.getvalue() == ""


def test_true_writes_lines_into_a_file(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with default_reporter(True) as report:
        report(Progress("compiling", 0, 100, 0, 0.0))
        for done in range(0, 101, 10):
            clock[0] += 1.0
            report(training(done))
    lines = sys.stderr.getvalue().splitlines()
    assert lines[0] == "compiling ..."
    assert lines[-1].startswith("training  100 %   100 of 100 agents")
    assert len(lines) == 4  # at 1 and 6 seconds, and the last


def test_a_terminal_without_rich_gets_one_line_that_is_wiped(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("TERM", "xterm")
    with default_reporter() as report:
        for done in (10, 100):
            report(training(done))
    parts = sys.stderr.getvalue().split("\r")
    assert [part.split("  ")[0].strip() for part in parts] == ["", "training", "training", "", ""]
    assert len(parts[3]) >= len(parts[2])


def test_only_one_of_two_displays_is_shown(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with default_reporter(True) as first:
        with default_reporter(True) as second:
            second(training(1))
        assert sys.stderr.getvalue() == ""
        first(training(2))
    with default_reporter(True) as third:
        third(training(3))
    assert len(sys.stderr.getvalue().splitlines()) == 2


def test_a_broken_stream_does_not_end_the_run(monkeypatch):
    class Broken(Terminal):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Broken())
    monkeypatch.setenv("TERM", "dumb")
    with default_reporter(True) as report:
        report(training(1))
    assert isinstance(sys.stderr, Broken)


@pytest.mark.parametrize("stream", [None, "closed"])
def test_no_stream_at_all(monkeypatch, stream):
    if stream == "closed":
        stream = Terminal()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    got = []
    for choice in (None, True):
        with default_reporter(choice) as report:
            got.append(report(training(1)))
    assert got == [None, None]

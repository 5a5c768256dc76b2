"""Progress of long work: the events, and who gets to see them.

`qfast.train` reports to one callable from the thread that called it: once before the kernel is compiled or loaded,
after every finished block of agents, and once at the end; what looks into an environment reports `Work`. What a person
sees goes to standard error, never to standard output, so that output can be piped.
"""

import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any, Final, Literal, Protocol

from qfast.errors import InvalidInput

__all__ = ["Event", "Progress", "Reporter", "Work", "WorkReporter", "default_reporter", "describe", "work_reporter"]

#: Shortest time between two reports of one phase, in seconds.
_INTERVAL: Final = 0.1

#: The same where every report is a line of its own, as in a log file.
_INTERVAL_OF_LINES: Final = 5.0

# Two bars on one terminal would overwrite each other: of several runs at once, the first is shown.
_SHOWN = threading.Lock()


class Event(Protocol):
    """What a display needs to know of an event."""

    @property
    def phase(self) -> str:
        """What is being done."""

    @property
    def is_last(self) -> bool:
        """Whether all is done, so that the event must be shown."""

    @property
    def parts(self) -> tuple[int, int] | None:
        """How many of how many are done; None where nobody knows yet."""

    @property
    def status(self) -> str:
        """What stands beside a bar."""

    @property
    def line(self) -> str:
        """All of it in one line of at most 80 characters."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Attributes
    ----------
    phase : {"compiling", "training", "done"}
        ``"compiling"``: the kernel is being compiled or loaded from the cache, nothing is trained yet.
    agents_done : int
        Agents that have finished all their episodes, at most `n_agents`.
    n_agents : int
        Agents of the run.
    steps : int
        Agent-steps taken so far, also by agents that are still under way.
    seconds : float
        Time since training began, without compiling; 0 before.

    Examples
    --------
    >>> event = Progress("training", agents_done=2_500, n_agents=10_000, steps=11_000_000, seconds=0.1)
    >>> event.steps_per_second, round(event.seconds_left, 3)
    (110000000.0, 0.3)
    """

    phase: Literal["compiling", "training", "done"]
    agents_done: int
    n_agents: int
    steps: int
    seconds: float

    @property
    def steps_per_second(self) -> float:
        """Agent-steps a second so far; 0 before the first block is done."""
        return self.steps / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time left in seconds if the other agents take as long as those done; None before the first block is."""
        if self.agents_done == 0:
            return None
        return self.seconds * (self.n_agents - self.agents_done) / self.agents_done

    @property
    def is_last(self) -> bool:
        """Whether all agents are done."""
        return self.agents_done >= self.n_agents

    @property
    def parts(self) -> tuple[int, int] | None:
        """Agents done, of all; None while the kernel is being compiled."""
        return None if self.phase == "compiling" else (self.agents_done, self.n_agents)

    @property
    def status(self) -> str:
        """What stands beside a bar."""
        if self.phase == "compiling":
            return "(once for each kind of problem)"
        return f"{self.agents_done:,}/{self.n_agents:,} agents  {_rate(self)}  {_left(self)}"

    @property
    def line(self) -> str:
        """The event in one line of at most 80 characters."""
        if self.phase == "compiling":
            return "compiling ..."
        if self.phase == "done":
            return f"done   {self.agents_done:,} agents   {self.steps:,} steps   {_rate(self)}"
        share = self.agents_done * 100 // self.n_agents
        done = f"{self.agents_done:,} of {self.n_agents:,} agents"
        return f"training  {share:3} %   {done}   {_rate(self)}   {_left(self)}"


@dataclass(frozen=True, slots=True)
class Work:
    """How far work with an environment has come: `qfast.from_env`, `from_step`, `discretise`, `replay`.

    Attributes
    ----------
    phase : {"resetting", "exploring", "sampling", "checking", "replaying"}
    done, total : int
        Of `unit`; while states are being explored the total is what has been found so far.
    unit : str
        What is counted, such as ``"states"``.
    steps : int
        Steps that the environment has taken.
    seconds : float
        Time since the work began.

    Examples
    --------
    >>> Work("exploring", 120, 404, "states", 24_000, 1.5).line
    'exploring   29 %   120 of 404 states   24,000 steps   1.5 s'
    """

    phase: str
    done: int
    total: int
    unit: str
    steps: int
    seconds: float

    @property
    def is_last(self) -> bool:
        """Whether all is done; while states are found this says nothing."""
        return self.done >= self.total and self.phase != "exploring"

    @property
    def parts(self) -> tuple[int, int] | None:
        """Parts done, of all."""
        return self.done, self.total

    @property
    def status(self) -> str:
        """What stands beside a bar."""
        return f"{self.done:,}/{self.total:,} {self.unit}  {self.steps:,} steps  {self.seconds:.3g} s"

    @property
    def line(self) -> str:
        """The event in one line of at most 80 characters."""
        share = self.done * 100 // max(self.total, 1)
        done = f"{self.done:,} of {self.total:,} {self.unit}"
        return f"{self.phase}  {share:3} %   {done}   {self.steps:,} steps   {self.seconds:.3g} s"


Reporter = Callable[[Progress], None]
WorkReporter = Callable[[Work], None]


def describe(event: Event) -> str:
    """Describe an event in one line of at most 80 characters."""
    return event.line


@contextmanager
def default_reporter(progress: bool | Callable[[Any], None] | None = None) -> Iterator[Callable[[Any], None]]:
    """Choose who is told about progress, by what `qfast.train` takes; the display goes when the context ends.

    Whoever it is gets at most ten events a second: the first of each phase, one each tenth of a second, and the last.
    """
    if callable(progress):
        yield _Throttle(progress, _INTERVAL)
        return
    _check(progress)
    stream = sys.stderr
    wanted = stream is not None and (_is_terminal(stream) if progress is None else progress)
    if not wanted or not _SHOWN.acquire(blocking=False):
        yield _ignore
        return
    try:
        display = _display(stream)
        try:
            yield display
        finally:
            with suppress(OSError, ValueError):  # the terminal may be gone; the run must not be
                display.close()
    finally:
        _SHOWN.release()


@contextmanager
def _ctrl_c_kept(report: Callable[[Any], None]) -> Iterator[Callable[[Any], None]]:
    """Give a reporter that raises a Ctrl-C again which got lost in a destructor, or in code that swallows all."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield report
        return
    pressed: list[int] = []

    def note(number: int, frame: Any) -> None:
        pressed.append(number)
        usual(number, frame)

    def checked(event: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        report(event)

    signal.signal(signal.SIGINT, note)
    try:
        yield checked
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def work_reporter(progress: "bool | WorkReporter | None") -> Iterator["WorkReporter"]:
    """Choose who is told about work that calls the user's own code; a Ctrl-C that gets lost in it counts anyway."""
    with default_reporter(progress) as shown, _ctrl_c_kept(shown) as report:
        yield report


def _check(progress: object) -> None:
    if progress is not None and not isinstance(progress, bool):
        msg = f"progress={progress!r:.60} is neither None, True, False nor a callable; use None for a terminal alone"
        raise InvalidInput(msg)


def _ignore(event: Event) -> None:
    """Show nothing."""


class _Throttle:
    """Passes on at most one event each `interval` seconds, except the first of a phase and the last agent's."""

    def __init__(self, report: Callable[[Any], None], interval: float) -> None:
        self._report = report
        self._interval = interval
        self._phase = ""
        self._next = -math.inf

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.phase == self._phase and not event.is_last and now < self._next:
            return
        self._phase = event.phase
        self._next = now + self._interval
        self._report(event)


class _Line:
    """One line that is written over and over, and wiped at the end."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._length = 0
        self._show = _Throttle(self._draw, _INTERVAL)

    def __call__(self, event: Event) -> None:
        self._show(event)

    def _draw(self, event: Event) -> None:
        # One column stays free: a full line would wrap, and the carriage return would then miss its start.
        text = describe(event)[: max(shutil.get_terminal_size().columns - 1, 1)]
        self._write(text)
        self._length = len(text)

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(f"\r{text:<{self._length}}")
            self._stream.flush()

    def close(self) -> None:
        """Wipe the line."""
        if self._length:
            self._write("")
            self._stream.write("\r")
            self._stream.flush()


class _Lines:
    """A line for each event, for files and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._show = _Throttle(self._write, _INTERVAL_OF_LINES)

    def __call__(self, event: Event) -> None:
        self._show(event)

    def _write(self, event: Event) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(describe(event) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Leave the lines where they are."""


class _Bar:
    """A live bar drawn by rich, which redraws from a thread of its own: it moves while a block is computed."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Display

        self._display = Display(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=14),  # leaves the last columns free, where the terminal writes ^C
            TextColumn("{task.fields[status]}"),
            console=Console(stderr=True),
            refresh_per_second=1 / _INTERVAL,
            transient=True,
            redirect_stdout=False,  # what others print stays on the stream they chose
            redirect_stderr=False,
        )
        self._task = self._display.add_task("", total=None, status="")

    def __call__(self, event: Event) -> None:
        with suppress(OSError, ValueError):
            self._draw(event)

    def _draw(self, event: Event) -> None:
        self._display.start()  # here, where close() follows whatever happens; does nothing the second time
        done, total = event.parts or (0, None)
        self._display.update(
            self._task, description=event.phase.replace("done", "training"), total=total, completed=done,
            status=event.status,
        )  # fmt: skip

    def close(self) -> None:
        """Remove the bar."""
        self._display.stop()


def _display(stream: IO[str]) -> Any:
    """Choose the best display that the stream can show."""
    if _is_terminal(stream):
        if os.environ.get("TERM", "") not in ("", "dumb", "unknown"):
            with suppress(ImportError):
                return _Bar()
        return _Line(stream)
    # A notebook is no terminal, yet shows a line that is written over.
    return _Line(stream) if type(stream).__module__.startswith("ipykernel") else _Lines(stream)


def _is_terminal(stream: IO[str]) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _rate(event: Progress) -> str:
    per_second = event.steps_per_second
    return f"{per_second / 1e6:.3g} million steps/s" if per_second < 1e9 else f"{per_second / 1e9:.3g} billion steps/s"


def _left(event: Progress) -> str:
    if event.seconds_left is None:
        return "-:-- left"
    minutes, seconds = divmod(math.ceil(event.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"

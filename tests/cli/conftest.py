"""The command line as a user meets it: a process of its own, with pipes, files or a terminal around it."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import warnings
from types import SimpleNamespace
from unittest import mock

import processes
import pytest

import qfast

COMMAND = [sys.executable, "-m", "qfast"]


def environment(**changes):
    """This process's environment without what would change the output; a value of None takes a name away."""
    usual = dict.fromkeys(("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")) | {"PYTHONIOENCODING": "utf-8"}
    return processes.environment(**usual | {"TERM": "xterm"} | changes)


def in_this_process(folder, arguments):
    """Call the command line's own function in a folder, with this process's warnings as a new one has them."""
    from qfast.cli import main

    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(streams[0]),
        contextlib.redirect_stderr(streams[1]),
        mock.patch.object(sys, "argv", ["qfast", *arguments]),
        warnings.catch_warnings(),
    ):
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)
        returncode = main(arguments)
    output, errors = (stream.buffer.getvalue().decode("utf-8") for stream in streams)
    return SimpleNamespace(returncode=returncode, stdout=output, stderr=errors)


@pytest.fixture(scope="session")
def make_environment():
    return environment


@pytest.fixture
def command(tmp_path):
    """Run ``qfast`` in an empty folder and wait for it.

    What a command says is looked at in this process, which has imported everything; one with an environment or streams
    of its own gets a process.
    """

    def run(*arguments, env=None, **options):
        if env is None and not options:
            return in_this_process(tmp_path, [str(argument) for argument in arguments])
        settings = {"cwd": tmp_path, "capture_output": True, "text": True, "encoding": "utf-8", "timeout": 120}
        settings |= {"stdin": subprocess.DEVNULL, "env": environment(**(env or {}))}
        if "stdout" in options or "stderr" in options:
            settings.pop("capture_output")
            settings |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.run([*COMMAND, *map(str, arguments)], check=False, **(settings | options))

    return run


@pytest.fixture(scope="session")
def run_file(tmp_path_factory):
    """A saved run: 50 agents, 60 episodes of the corridor, all returns recorded."""
    path = tmp_path_factory.mktemp("runs") / "run.npz"
    qfast.train(n_agents=50, episodes=60, seed=1, record="returns", progress=False).save(path)
    return path


@pytest.fixture
def start(tmp_path):
    """Start ``qfast`` with chosen streams on a terminal of 24 lines and 80 columns.

    The object that it gives has the process and ``read(until)``: what the terminal got until that function is true
    of it, or to the end.
    """
    pty = pytest.importorskip("pty")
    opened = []

    def begin(*arguments, on=("stderr",), env=None, prefix=(), size=(24, 80)):
        import fcntl
        import struct
        import termios

        terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        streams = {name: end if name in on else subprocess.PIPE for name in ("stdout", "stderr")}
        process = subprocess.Popen(
            [*prefix, *COMMAND, *map(str, arguments)],
            cwd=tmp_path,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a process group of its own, as a shell gives it to each job
            **streams,
        )
        os.close(end)
        opened.append((process, terminal))
        seen = bytearray()

        def read(until=None):
            with contextlib.suppress(OSError):  # Linux: the other end is closed
                while until is None or not until(seen.decode("utf-8", "replace")):
                    data = os.read(terminal, 4096)
                    if not data:
                        break
                    seen.extend(data)
            return seen.decode("utf-8", "replace")

        return SimpleNamespace(process=process, read=read)

    yield begin
    for process, terminal in opened:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        os.close(terminal)


@pytest.fixture
def without(tmp_path):
    """Give a PYTHONPATH on which a package cannot be imported."""

    def hide(package, error="ImportError('hidden by the test')"):
        folder = tmp_path / "hidden"
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(f"raise {error}\n")
        return os.pathsep.join([str(folder), environment()["PYTHONPATH"]])

    return hide


@pytest.fixture
def closed_pipe():
    """Give the writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)

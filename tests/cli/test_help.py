"""--help and --version: at once, and for every command."""

import re
import signal
import sys

import pytest

import qfast

COMMANDS = ("train", "resume", "study", "rollout", "replay", "show", "plot", "report", "problems")
HEAVY = ("numba", "numpy", "llvmlite", "scipy", "rich", "gymnasium", "matplotlib", "xarray", "pandas")


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS), ["--version"], []])
def test_help_imports_nothing_heavy(command, make_environment, arguments):
    done = command(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.returncode == 0
    loaded = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "argparse" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_fits_the_terminal(command, name):
    done = command(name, "--help", env={"COLUMNS": "80"})
    assert done.stdout.startswith(f"usage: qfast {name} ")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stderr == ""


def test_help_names_every_command(command):
    listed = re.findall(r"^    (\w+) ", command("--help").stdout, flags=re.MULTILINE)
    assert listed == list(COMMANDS)


def test_no_command_shows_the_help(command):
    assert command().stdout == command("--help").stdout


def test_version(command):
    assert command("--version").stdout == f"qfast {qfast.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Unix signals")
@pytest.mark.parametrize("unbuffered", [None, "1"])
def test_help_into_a_closed_pipe_is_silent(command, closed_pipe, unbuffered):
    done = command("--help", stdout=closed_pipe, env={"PYTHONUNBUFFERED": unbuffered})
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")

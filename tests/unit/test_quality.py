"""The linter and the type checker find nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command", [["ruff", "check"], ["mypy", "--no-incremental", "--cache-dir", "/dev/null"]], ids=lambda c: c[0]
)
def test_nothing_is_found(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    command = (ROOT / "README.md").read_text("utf-8").split("<!-- test command -->")[1].split("```")[1]
    lines = command.strip().splitlines()[1:]
    assert len(lines) == 1
    assert lines[0] in script

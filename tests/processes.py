"""Python processes of the tests' own, which find qfast and the tests."""

import os
import subprocess
import sys
from pathlib import Path

import qfast

ROOT = Path(qfast.__file__).parents[1]


def environment(**changes):
    """This process's variables, with a PYTHONPATH that leads here first; a value of None takes a name away."""
    paths = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | changes
    return {name: str(value) for name, value in variables.items() if value is not None}


def run_python(*arguments, **variables):
    """What a Python process says that ends well: its standard output."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment(**variables), capture_output=True, text=True,
        timeout=3600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout

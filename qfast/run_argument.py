"""What counts as a run where a function takes one, and what to do with what does not."""

import os
from typing import Any

from qfast.arguments import shown
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.run import Run

__all__ = ["check_run"]


def check_run(run: Any, name: str = "run") -> Run:
    """Refuse anything but a Run, with what makes one out of what was given."""
    if isinstance(run, Run):
        return run
    fix = "use what qfast.train or qfast.load gave"
    if isinstance(run, (str, os.PathLike)):
        fix = f"use qfast.load({os.fspath(run)!r:.60})"
    elif isinstance(run, MDP):
        fix = "train agents on it first: qfast.train(mdp)"
    elif hasattr(run, "configurations"):
        fix = "a study answers through its own methods, such as study.summary() or study.plot_curves()"
    msg = f"{name} is {shown(run)}, not a Run; {fix}"
    raise InvalidInput(msg)

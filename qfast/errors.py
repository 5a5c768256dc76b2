"""What qfast raises and warns with: one class for each thing a caller may want to catch.

Every message names the value, the rule that it breaks and the fix, in that order, for example
``alpha=1.5 is outside [0, 1]; use a step size such as 0.1``.
"""

import os
import re
import sys
import warnings

__all__ = [
    "BadFile", "DamagedPartWarning", "DivergedWarning", "HiddenState", "Interrupted", "InvalidInput", "LeftOutWarning",
    "MissingExtra",
    "MissingLimitWarning", "PrecisionWarning", "QfastError", "Unfinished", "warn_caller",
]  # fmt: skip

_LINE_BREAKS = re.compile(r"\s*\n\s*")


class QfastError(Exception):
    """Base class of every error that qfast raises on purpose."""


class InvalidInput(QfastError, ValueError):
    """A value, a type, a shape or a combination of options that cannot be used; always said on one line."""

    def __init__(self, message: str = "") -> None:
        super().__init__(_LINE_BREAKS.sub(" ", message))  # what was given may be anything, and its repr long


class HiddenState(InvalidInput):
    """A state of an environment hides something: what an action does in it depends on the way there.

    Attributes
    ----------
    ways : tuple of (int, list)
        Two ways to the state: the seed of a reset, and the actions after it.
    """

    def __init__(self, message: str = "", ways: tuple[tuple[int, list[object]], ...] = ()) -> None:
        super().__init__(message)
        self.ways = ways


class MissingExtra(QfastError, ImportError):
    """An optional package is not installed; the message names the extra to install."""


class BadFile(QfastError, ValueError):
    """A file that is truncated, damaged, foreign, or of a version that this qfast cannot read."""


class LeftOutWarning(UserWarning):
    """What was written has no place for a part of the problem, such as its episode limit."""


class MissingLimitWarning(UserWarning):
    """A problem whose episodes may be very long was built without ``max_episode_steps``."""


class DamagedPartWarning(UserWarning):
    """A part of unfinished work cannot be read any more; it is made again."""


class DivergedWarning(UserWarning):
    """Agents have diverged: their Q holds inf or NaN, and what they do means nothing any more."""


class PrecisionWarning(UserWarning):
    """Updates of Q will be lost to rounding, so that learning will stop before its end."""


class Unfinished(QfastError, RuntimeError):
    """Training failed on the way: a worker died, the disk is full; what was complete is kept.

    Attributes
    ----------
    run : qfast.Run or None
        As of `Interrupted`.  With ``out=``, starting again with the same settings goes on from there.
    study : qfast.Study or None
        The same for a study.
    """

    def __init__(self, message: str, run: object = None, study: object = None) -> None:
        super().__init__(message)
        self.run, self.study = run, study


class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; what was complete is kept.

    Attributes
    ----------
    run : qfast.Run or None
        A run of the agents that had come to the end of their training, the first ones of the population; None where
        there were none.
    study : qfast.Study or None
        Of a study: what had come in, with NaN for agents that had not; None where no configuration was complete.
    """

    def __init__(self, message: str, run: object = None, study: object = None) -> None:
        super().__init__(message)
        self.run, self.study = run, study


def warn_caller(text: str, category: type[Warning]) -> None:
    """Warn at the line of the user's own that called qfast, however deep inside of it this is."""
    inside, level, frame = os.path.dirname(__file__) + os.sep, 1, sys._getframe()  # noqa: PTH120
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)

"""The command line: ``qfast train``, ``study``, ``show`` and the others that ``qfast --help`` lists.

This is the only floor that prints. Results go to standard output; progress, warnings and errors to standard error.
Nothing heavier than argparse is imported before a command runs, so that ``--help`` answers at once.
"""

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with the process's arguments, or with others, and give the exit status.

    It is 0, or 2 after an error that was reported, or 70 after a defect of qfast itself. After SIGINT, SIGTERM or a
    closed pipe the process ends by that signal instead, which a shell shows as 130, 143 or 141.

    Examples
    --------
    >>> main(["problems", "corridor"])  # doctest: +ELLIPSIS
    corridor: MDP with 5 states, 2 actions, ...
    0
    """
    from qfast.cli.signals import die

    try:
        from qfast.cli.app import run

        return run(argv)
    except KeyboardInterrupt:  # in the moment before `run` has its own way to end
        return die()

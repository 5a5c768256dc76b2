"""The command line as a whole: its commands, and how every one of them ends."""

import contextlib
import logging
import signal
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final

from qfast import __version__
from qfast.cli import plot, show, study, train
from qfast.cli.options import STYLE, Parser, UsageError, add_verbose
from qfast.cli.output import finish_stdout, tell
from qfast.cli.signals import die, stoppable
from qfast.errors import QfastError

# Exit status after an error that was reported, and after a defect of qfast itself (EX_SOFTWARE of sysexits.h).
_FAILED, _DEFECT = 2, 70

_EPILOG: Final = """\
examples:
  qfast train                               10,000 agents learn a corridor
  qfast train FrozenLake-v1 --out lake.npz  the same on ice; keep the result
  qfast show lake.npz --agent 0             what one of them has learned
  qfast rollout lake.npz                    what all of them do with it
  qfast study --vary alpha=0.1,0.5          which setting learns better

"qfast COMMAND --help" says more. Results go to standard output, the rest to
standard error. Exit status: 0; 2 after an error; 70 after a defect of qfast;
what is interrupted ends by the signal (130 or 143 in a shell).
"""


def build_parser() -> Parser:
    """Make the parser; its namespaces hold ``run``, the function that carries the command out.

    >>> build_parser().parse_args(["train", "--agents", "1e6"]).agents
    1000000
    """
    description = "Train thousands of independent tabular Q-learning agents at once."
    parser = Parser(prog="qfast", description=description, epilog=_EPILOG, **STYLE)
    parser.add_argument("--version", action="version", version=f"qfast {__version__}", help="show the version and exit")
    add_verbose(parser)
    parser.set_defaults(verbose=False, run=lambda _: parser.print_help())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    for add in (
        train.add_train, train.add_resume, study.add_study, show.add_rollout, show.add_replay, show.add_show,
        plot.add_plot, plot.add_report, show.add_problems,
    ):  # fmt: skip
        add(commands)
    return parser


def run(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, carry the command out, and turn every way to end into a status and at most one line."""
    arrived: list[int] = []
    verbose = False
    try:
        with stoppable() as arrived:
            with contextlib.suppress(SystemExit):  # --help and --version; an error is a `UsageError`
                arguments = build_parser().parse_args(argv)
                verbose = arguments.verbose
                with _reporting(verbose=verbose):
                    arguments.run(arguments)
            finish_stdout()
    except KeyboardInterrupt:
        return die(arrived[0] if arrived else signal.SIGINT)
    except BrokenPipeError:
        return die(signal.SIGPIPE) if hasattr(signal, "SIGPIPE") else _FAILED
    except (QfastError, UsageError, OSError, Warning) as error:
        return _fail(_said(error), _FAILED)
    except MemoryError:
        return _fail("out of memory; use fewer --agents, or --record none", _FAILED)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets one line
        if verbose:
            traceback.print_exc()
        told = "" if verbose else " (-v shows where)"
        return _fail(f"defect in qfast, please report it: {type(error).__name__}: {error}{told}", _DEFECT)
    return 0


def _fail(text: str, status: int) -> int:
    """Complain, with whatever was written before on its way, or given up."""
    with contextlib.suppress(OSError):
        finish_stdout()
    tell(f"error: {text}")
    return status


def _said(error: Exception) -> str:
    """Give an error's message; of an OSError, what failed and on which file, without its number."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, QfastError):
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror}"
    return str(error)


@contextlib.contextmanager
def _reporting(*, verbose: bool) -> Iterator[None]:
    """Send qfast's log, with -v down to the article's debug lines, and warnings to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("[%(levelname)-5s] %(message)s"))
    log = logging.getLogger("qfast")
    level = log.level

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        tell(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        log.addHandler(handler)
        log.setLevel(logging.DEBUG if verbose else logging.WARNING)
        try:
            yield
        finally:
            log.removeHandler(handler)
            log.setLevel(level)

"""The arguments that commands share, and how their texts become values."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from qfast.model.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from qfast.model.rates import Shape

    # A parser or a group of its arguments; argparse gives their common base class no public name.
    Container = argparse._ActionsContainer

__all__ = [
    "Parser",
    "Ramp",
    "UsageError",
    "add_json",
    "add_out",
    "add_run_file",
    "add_setting",
    "add_subcommand",
    "add_verbose",
    "given",
    "learning_settings",
    "new_parser",
    "number",
    "rate",
    "whole",
]


# An abbreviated option would change its meaning when an option is added.
_STYLE: Final[Any] = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}


# What arguments of qfast.train are called in the shell, where they are called otherwise.
_ARGUMENTS: Final = {"n_agents": "agents", "lambda_": "lambda", "mdp": "problem", "max_episode_steps": "max_steps"}
_IN_SHELL: Final = {
    "epsilon, which": "--epsilon 1:0.05, or 1:0.05:exponential: a schedule over the episodes",
    "alpha, which": "--alpha 0.5:0.01: a schedule over the episodes",
    "mdp": "PROBLEM, its name without an option before it",
    "rule=": "--rule double_q_learning",
    "the problem's": "--max-steps",
}


class UsageError(Exception):
    """The arguments cannot be understood."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UsageError` in place of printing the usage and exiting."""

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        """Write the help; argparse would swallow the error of a closed pipe."""
        if file is not None:
            file.write(message)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and answer an option that does not exist with the one that was meant."""
        found, rest = super().parse_known_args(args, namespace)
        for text in rest:
            if text.startswith("--") and len(text) > 2:
                option = text.partition("=")[0]
                close = self._meant(option)
                self.error(f"unrecognized arguments: {option}" + (f"; {close}" if close else ""))
        return found, rest

    def _meant(self, option: str) -> str:
        """The option that was or may have been meant, in words, or ""."""
        from qfast.arguments import meant

        known = {name[2:].replace("-", "_"): name for action in self._actions for name in action.option_strings}
        known |= {name: known[own] for name, own in _ARGUMENTS.items() if own in known}
        if any(action.dest == "problem" for action in self._actions):
            known["mdp"] = "PROBLEM"
        said = meant(option.lstrip("-"), known)
        for name, shell in _IN_SHELL.items():
            if said.startswith(f"use {name}"):
                return f"use {shell}" if shell.split()[0].rstrip(",") in known.values() else ""
        for name in sorted(known, key=len, reverse=True):
            for before in ("use ", "did you mean "):
                rest = said.removeprefix(before + name)
                if rest != said and not rest[:1].isalnum() and rest[:1] != "_":
                    return before + known[name] + rest
        return ""

    def error(self, message: str) -> NoReturn:
        """Raise the message and where to find help."""
        raise UsageError(f"{message} (see {self.prog} --help)")


@dataclass(frozen=True)
class Ramp:
    """A schedule as written on the command line.

    Attributes
    ----------
    start, stop : float
        The rate in the first and in the last episode.
    shape : {"linear", "exponential"}
        How it gets from one to the other.
    """

    start: float
    stop: float
    shape: str

    def schedule(self) -> "Shape":
        """Make the schedule; NumPy is imported here."""
        from qfast.model.rates import exponential, linear

        return {"linear": linear, "exponential": exponential}[self.shape](self.start, self.stop)


def whole(text: str) -> int:
    """Read a whole number; ``1e6`` and ``1_000_000`` are welcome.

    Examples
    --------
    >>> whole("1e6"), whole("10_000")
    (1000000, 10000)
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
        if value.is_integer():
            return int(value)
    except (ValueError, OverflowError):
        pass
    msg = f"{_quoted(text)} is not a whole number; give one such as 1000"
    raise argparse.ArgumentTypeError(msg)


def number(text: str) -> float:
    """Read a number.

    Examples
    --------
    >>> number("0.9")
    0.9
    """
    try:
        return float(text)
    except ValueError:
        msg = f"{_quoted(text)} is not a number; give one such as 0.9"
        raise argparse.ArgumentTypeError(msg) from None


def rate(text: str) -> float | Ramp:
    """Read a rate: a number, or ``START:STOP``, or ``START:STOP:SHAPE``.

    Examples
    --------
    >>> rate("0.1"), rate("1:0.01:exponential")
    (0.1, Ramp(start=1.0, stop=0.01, shape='exponential'))
    """
    first, *rest = text.split(":")
    shape = rest[1] if len(rest) > 1 else "linear"
    try:
        start = float(first)
        stop = float(rest[0]) if rest else start
        usable = len(rest) <= 2 and shape in ("linear", "exponential")
    except ValueError:
        usable = False
    if not usable:
        msg = f"{_quoted(text)} is no rate; give a number such as 0.1, or START:STOP, or START:STOP:exponential"
        raise argparse.ArgumentTypeError(msg)
    return Ramp(start, stop, shape) if rest else start


def given(value: "float | Ramp | None") -> "float | Shape | None":
    """Turn what `rate` read into what `qfast.train` takes."""
    return value.schedule() if isinstance(value, Ramp) else value


def add_setting(parser: "Container", setting: Setting) -> None:
    """Add the option of one of a learner's settings; one that is not given has no value."""
    readers: dict[str, Callable[[str], Any]] = {
        "rate": rate if setting.schedule else number, "number": number, "count": whole, "choice": str
    }  # fmt: skip
    metavars = {"rate": "RATE" if setting.schedule else "X", "number": "X", "count": "N", "choice": "NAME"}
    usual = setting.default if setting.own_default is None else setting.own_default
    texts = [name if name != usual else f"{name} (default)" for name in setting.choices]
    shown = f": {', '.join(texts)}" if texts else "" if usual is None else f" ({usual:g})"
    parser.add_argument(
        f"--{setting.option}", dest=setting.name, metavar=metavars[setting.kind], type=readers[setting.kind],
        choices=setting.choices or None, help=f"{setting.help}{shown}",
    )  # fmt: skip


def learning_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of a learner that were given, as `qfast.train` takes them."""
    values = {name: getattr(arguments, name, None) for name in SETTINGS}
    return {name: given(value) for name, value in values.items() if value is not None}


def _quoted(text: str) -> str:
    """Quote what was given, cut to a length that fits into a message."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def new_parser(prog: str, description: str, epilog: str) -> Parser:
    """Make the parser of the whole command line.

    Parameters
    ----------
    prog, description, epilog : str
        As in argparse; line breaks are kept.
    """
    return Parser(prog=prog, description=description, epilog=epilog, **_STYLE)


def add_verbose(parser: "Container") -> None:
    """Add -v, which may stand before and after the command; the last default must not undo the first."""
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="show the log (standard error)"
    )


def add_json(parser: "Container") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="write one JSON object, and nothing else")


def add_out(parser: "Container") -> None:
    """Add --out."""
    parser.add_argument("--out", metavar="FILE", help="save the run to this .npz; an existing one is replaced")


def add_run_file(parser: "Container") -> None:
    """Add the file that a command reads."""
    parser.add_argument("file", metavar="RUN", help="a run that --out saved")


def add_subcommand(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], *, sentence: str, epilog: str = ""
) -> Parser:
    """Add a command.

    Parameters
    ----------
    commands : object
        What ``add_subparsers`` returned.
    name : str
        The command.
    run : callable
        What carries it out.
    sentence : str
        One sentence, in small letters and without a full stop.
    epilog : str, optional
        Examples.

    Returns
    -------
    Parser
        To add its arguments to.
    """
    description = f"{sentence[0].upper()}{sentence[1:]}."
    parser: Parser = commands.add_parser(name, help=sentence, description=description, epilog=epilog, **_STYLE)
    parser.set_defaults(run=run)
    add_verbose(parser)
    return parser

"""The parser of the command line, and the arguments that several commands have."""

import argparse
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from qfast.cli.values import number, rate, whole
from qfast.model.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    # A parser or a group of its arguments; argparse gives their common base class no public name.
    Container = argparse._ActionsContainer

# An abbreviated option would change its meaning when an option is added.
STYLE: Final[Any] = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}

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
        from qfast.arguments import meant  # with NumPy

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


def add_subcommand(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], *, sentence: str, epilog: str = ""
) -> Parser:
    """Add a command that a function carries out; its sentence is in small letters and without a full stop."""
    description = f"{sentence[0].upper()}{sentence[1:]}."
    parser: Parser = commands.add_parser(name, help=sentence, description=description, epilog=epilog, **STYLE)
    parser.set_defaults(run=run)
    add_verbose(parser)
    return parser


def add_verbose(parser: "Container") -> None:
    """Add -v, which may stand before and after the command; the last default must not undo the first."""
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="show the log (standard error)"
    )


def add_json(parser: "Container") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="write one JSON object, and nothing else")


def add_run_file(parser: "Container") -> None:
    """Add the file that a command reads."""
    parser.add_argument("file", metavar="RUN", help="a run that --out saved")


def add_threads(parser: "Container") -> None:
    """Add --threads."""
    parser.add_argument("--threads", metavar="N", type=whole, help="by default all processors")


def add_amount(parser: "Container", whose: str) -> None:
    """Add how much is trained, and with which random numbers."""
    parser.add_argument("--agents", metavar="N", type=whole, default=10_000, help=f"{whose} (10000)")
    parser.add_argument("--episodes", metavar="N", type=whole, default=1_000, help="episodes of each (1000)")
    parser.add_argument("--seed", metavar="N", type=whole, help="by default a fresh one, which is shown")


def add_learning(parser: argparse.ArgumentParser) -> None:
    """Add what the agents are."""
    learning = parser.add_argument_group("learning")
    add_settings(learning, SETTINGS.values())
    learning.add_argument("--max-steps", metavar="N", type=whole, help="steps after which an episode is cut off")


def add_answer(parser: "Container", metric: str, *, missing: str | None = "keep", rng: int | None = 0) -> None:
    """Add how a study is asked."""
    parser.add_argument("--metric", metavar="NAME", help=f"what {metric}, auc by default")
    left = "drop: leave agents out whose score is undefined, and say how many are left"
    parser.add_argument("--missing", choices=("keep", "drop"), default=missing, help=left)
    parser.add_argument("--rng", metavar="N", type=whole, default=rng, help="seed of the resampling, 0 by default")


def add_settings(parser: "Container", settings: Iterable[Setting]) -> None:
    """Add options of a learner's settings; one that is not given has no value."""
    for setting in settings:
        kinds: dict[str, tuple[Callable[[str], Any], str]] = {
            "rate": (rate, "RATE") if setting.schedule else (number, "X"),
            "number": (number, "X"),
            "count": (whole, "N"),
            "choice": (str, "NAME"),
        }
        reader, metavar = kinds[setting.kind]
        usual = setting.default if setting.own_default is None else setting.own_default
        texts = [name if name != usual else f"{name} (default)" for name in setting.choices]
        shown = f": {', '.join(texts)}" if texts else "" if usual is None else f" ({usual:g})"
        parser.add_argument(
            f"--{setting.option}", dest=setting.name, metavar=metavar, type=reader, choices=setting.choices or None,
            help=f"{setting.help}{shown}",
        )  # fmt: skip


def learning_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of a learner that were given, as `qfast.train` takes them."""
    values = {name: getattr(arguments, name, None) for name in SETTINGS}
    return {name: value for name, value in values.items() if value is not None}

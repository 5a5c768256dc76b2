"""The parser of the command line, the arguments that several commands have, and how texts become their values."""

import argparse
import ast
from collections.abc import Callable, Iterable
from math import exp, log
from typing import TYPE_CHECKING, Any, Final, NoReturn

from qfast.errors import InvalidInput
from qfast.model.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from qfast.model.mdp import MDP
    from qfast.model.rates import Shape

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

#: Settings by the names that options have.
_NAMES: Final = {setting.option.replace("-", "_"): setting.name for setting in SETTINGS.values()}
_MOST: Final = 10_000  # values of one range; a typing error must not fill the memory


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


def add_environment(parser: "Container") -> None:
    """Add what an environment needs that is named by PROBLEM."""
    add_env_options(parser)
    tries = "tries of each action in each state of an environment that is random and has no table"
    parser.add_argument("--samples", metavar="N", type=whole, help=tries)


def add_env_options(parser: "Container") -> None:
    """Add options of an environment."""
    options = "an option of the environment, such as is_slippery=False; again for another one"
    parser.add_argument("--env", metavar="KEY=VALUE", type=env_option, action="append", default=[], help=options)


def named_problem(name: str, arguments: argparse.Namespace) -> "MDP":
    """Find the problem that a command names."""
    from qfast.problems import resolve

    options = dict(arguments.env)
    limit = getattr(arguments, "max_steps", None)
    return resolve(name, max_episode_steps=limit, env_options=options, samples=arguments.samples, progress=None)


def add_learning(parser: argparse.ArgumentParser) -> None:
    """Add what the agents are."""
    learning = parser.add_argument_group("learning")
    add_settings(learning, SETTINGS.values())
    learning.add_argument("--max-steps", metavar="N", type=whole, help="steps after which an episode is cut off")
    add_environment(parser.add_argument_group("environment"))


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


def whole(text: str) -> int:
    """Read a whole number; ``1e6`` and ``1_000_000`` are welcome.

    >>> whole("1e6"), whole("10_000")
    (1000000, 10000)
    """
    for read in (int, _whole_float):
        try:
            return read(text)
        except (ValueError, OverflowError):
            pass
    raise argparse.ArgumentTypeError(f"{_quoted(text)} is not a whole number; give one such as 1000")


def _whole_float(text: str) -> int:
    value = float(text)
    if not value.is_integer():
        raise ValueError
    return int(value)


def env_option(text: str) -> tuple[str, Any]:
    """Read an option of an environment: a value of Python, or else text.

    >>> env_option("is_slippery=False"), env_option("map_name=8x8")
    (('is_slippery', False), ('map_name', '8x8'))
    """
    key, found, value = text.partition("=")
    if not found or not key.isidentifier():
        fix = "give one as key=value; PROBLEM, its name, has no option before it"
        raise argparse.ArgumentTypeError(f"{_quoted(text)} is no option of an environment; {fix}")
    words = {"true": True, "false": False, "none": None}
    if value.lower() in words:
        return key, words[value.lower()]
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{_quoted(text)} is not a number; give one such as 0.9") from None


def rate(text: str) -> "float | Shape":
    """Read a rate: a number, or ``START:STOP``, or ``START:STOP:SHAPE``.

    >>> rate("0.1"), rate("1:0.01:exponential")
    (0.1, exponential(1, 0.01))
    """
    first, *rest = text.split(":")
    shape = rest[1] if len(rest) > 1 else "linear"
    try:
        start, stop = float(first), float(rest[0] if rest else first)
        usable = len(rest) <= 2 and shape in ("linear", "exponential")
    except ValueError:
        usable = False
    if not usable:
        msg = f"{_quoted(text)} is no rate; give a number such as 0.1, or START:STOP, or START:STOP:exponential"
        raise argparse.ArgumentTypeError(msg)
    if not rest:
        return start
    from qfast.model import rates  # with NumPy

    try:
        return rates.linear(start, stop) if shape == "linear" else rates.exponential(start, stop)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def vary(text: str) -> tuple[str, list[Any]]:
    """Read ``name=value,value,…``: the setting as `qfast.study` calls it, and its values.

    >>> vary("alpha=0.1,0.5"), vary("epsilon=0.1:0.3:3")
    (('alpha', [0.1, 0.5]), ('epsilon', [0.1, 0.2, 0.3]))
    """
    name, equals, listed = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        msg = f"{text[:60]!r} is no setting with values; give for example alpha=0.05,0.1,0.5"
        raise argparse.ArgumentTypeError(msg)
    name = _NAMES.get(name, name)
    tokens = [token.strip() for token in listed.split(",")]
    if "" in tokens:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} has an empty value; give for example {name}=0.05,0.1,0.5")
    return name, [value for token in tokens for value in _values(name, token)]


def _values(name: str, token: str) -> list[Any]:
    """The values that one part between commas stands for."""
    if token.lower() == "none":
        return [None]
    if name in SETTINGS and SETTINGS[name].kind == "choice":
        return [token]
    parts = token.split(":")
    if len(parts) >= 3 and parts[2].isdigit():
        return _range(token, parts)
    try:
        value = rate(token)
    except argparse.ArgumentTypeError as error:
        if isinstance(error.__cause__, InvalidInput):
            raise
        if ":" in token or token[:1] in "0123456789.+-":
            raise argparse.ArgumentTypeError(
                f"{token[:60]!r} is no value; give a number, START:STOP:COUNT for evenly spaced ones "
                "(START:STOP:COUNT:log on a log scale), or START:STOP for a rate that changes over the episodes"
            ) from None
        return [token]  # a word; `qfast.study` knows whether it may be one
    return [int(value) if name == "n" and isinstance(value, float) and value.is_integer() else value]


def _range(token: str, parts: list[str]) -> list[float]:
    """Evenly spaced values, both ends among them; rounded to 12 digits, so that 0.1 is 0.1."""
    try:
        start, stop, count = float(parts[0]), float(parts[1]), int(parts[2])
    except ValueError:
        start, stop, count = 0.0, 0.0, 0
    on_log = parts[3:] == ["log"]
    if not 1 <= count <= _MOST or (parts[3:] and not on_log) or (on_log and min(start, stop) <= 0):
        msg = f"{token[:60]!r} is no range; give START:STOP:COUNT such as 0.01:0.3:5, or with :log and ends above 0"
        raise argparse.ArgumentTypeError(msg)
    if count == 1:
        return [start]
    shares = [i / (count - 1) for i in range(count)]
    if on_log:
        spaced = [exp(log(start) + (log(stop) - log(start)) * share) for share in shares]
    else:
        spaced = [start + (stop - start) * share for share in shares]
    return [float(f"{value:.12g}") for value in spaced]


def precision(text: str) -> float | dict[str, float]:
    """Read ``HALF-WIDTH`` or ``METRIC=HALF-WIDTH``, as `qfast.study` takes it.

    >>> precision("optimal=0.01"), precision("0.05")
    ({'optimal': 0.01}, 0.05)
    """
    name, equals, value = text.rpartition("=")
    try:
        return {name.strip(): float(value)} if equals else float(value)
    except ValueError:
        msg = f"{text[:60]!r} is no half-width; give a number such as 0.05, or a metric's as in optimal=0.01"
        raise argparse.ArgumentTypeError(msg) from None


def _quoted(text: str) -> str:
    """Quote what was given, cut to a length that fits into a message."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")

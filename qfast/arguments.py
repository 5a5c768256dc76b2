"""Arguments: checks of what is given, the right names for wrong ones, optional packages; each says what would do."""

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeGuard, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.errors import InvalidInput, MissingExtra
from qfast.text import printable

__all__ = [
    "MOST", "array_of", "choice", "explained", "first_at", "flag", "is_number", "is_whole", "meant", "number",
    "optional", "path_of", "shown", "takes", "whole",
]  # fmt: skip

#: Numbers of states, of outcomes and of steps are counted in 32 bits.
MOST: Final = 2**31 - 1

_P = ParamSpec("_P")
_R = TypeVar("_R")

_LIMIT: Final = "the problem's own limit: mdp.with_limit(200)"
_WORDS: Final = {
    "alpha, the step size": "learning_rate lr step_size stepsize eta learningrate",
    "alpha, which takes a schedule: alpha=qfast.linear(0.5, 0.01), or qfast.by_visits()":
        "alpha_decay lr_decay learning_rate_decay alpha_schedule lr_schedule",
    "gamma, the discount": "discount discount_factor discount_rate discounting df",
    "episodes":
        "n_episodes num_episodes nb_episodes no_episodes total_episodes max_episodes n_train_episodes "
        "training_episodes epochs n_epochs iterations n_iterations",
    "episodes: training is counted in episodes": "total_timesteps timesteps n_timesteps total_steps num_steps",
    "epsilon, which takes a schedule: epsilon=qfast.linear(1.0, 0.05), or qfast.exponential(1.0, 0.05)":
        "epsilon_decay eps_decay epsilon_min eps_min min_epsilon epsilon_end eps_end final_epsilon epsilon_start "
        "eps_start initial_epsilon epsilon_schedule exploration_decay decay_rate exploration_fraction "
        "exploration_final_eps exploration_initial_eps",
    "epsilon, the exploration rate": "eps exploration_rate exploration exploration_prob",
    "n_agents: each agent is a seed of its own":
        "n_seeds num_seeds seeds n_runs num_runs runs repetitions n_repeats n_trials n_reps",
    "n_agents": "num_agents nb_agents agents n_learners population_size n_envs num_envs",
    "seed": "random_state random_seed rng rng_seed np_random",
    _LIMIT: "max_steps max_episode_steps episode_length horizon time_limit",
    "mdp, the first argument: qfast.from_gymnasium(env) makes one":
        "env environment problem env_id env_name problems",
    "initial_q": "q_init init_q q0 initial_value initial_values optimistic_init q_start",
    "n, the steps that an update looks ahead": "n_step n_steps steps lookahead",
    "lambda_, the decay of the traces": "lam lmbda lambd lamda trace_decay lambda",
    "temperature, of explore='softmax'": "tau temp softmax_temperature beta",
    "explore": "policy exploration_strategy strategy exploration_policy behaviour",
    "rule": "algorithm algo method update learner update_rule",
    "rule='double_q_learning'": "double double_q",
    "ties": "tie_breaking tie_break tiebreak tie",
    "threads": "n_jobs n_threads num_threads n_workers num_workers workers jobs",
    "progress": "verbose progress_bar show_progress tqdm",
    "out": "path output filename save save_path folder file",
    "dtype": "precision_dtype float_type",
    "c, of explore='ucb'": "c_ucb ucb_c confidence",
    "vary": "grid param_grid parameters params sweep",
    "checkpoints": "eval_every eval_freq evaluate_every n_checkpoints",
}  # fmt: skip

#: What the field calls things, and what they are called here; the first word is an argument, if it is one.
_OTHER_NAMES: Final = {name: said for said, names in _WORDS.items() for name in names.split()}


def meant(name: str, known: Iterable[str]) -> str:
    """Say what an unknown name was or may have been meant for; "" where nothing comes near.

    >>> meant("learning_rate", ["alpha", "gamma"]), meant("gama", ["gamma"]), meant("colour", ["gamma"])
    ('use alpha, the step size', 'did you mean gamma?', '')
    """
    import difflib  # slow to import and needed only here

    names = list(known)
    plain = name.lower().replace("-", "_").strip("_")
    if plain in names:
        return f"use {plain}"
    said = _OTHER_NAMES.get(plain, "")
    argument = said.partition(",")[0].partition(":")[0].partition("=")[0]
    if said and (argument in names or said is _LIMIT):
        return f"use {said}"
    close = difflib.get_close_matches(plain, names, n=1, cutoff=0.7)
    return f"did you mean {close[0]}?" if close else ""


def explained(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function answer arguments that it does not have with those that it has; its signature stays."""
    signature = inspect.signature(function)
    needed = [p.name for p in signature.parameters.values() if p.default is p.empty]
    by_position = [p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        name = getattr(function, "__name__", "the function")
        unknown = [key for key in kwargs if key not in signature.parameters]
        if unknown:
            fix = meant(unknown[0], signature.parameters) or f"it has {', '.join(signature.parameters)}"
            raise InvalidInput(f"{name}() has no argument {unknown[0]}; {fix}")
        if len(args) > len(by_position):
            first = ", ".join(by_position)
            others = [p for p in signature.parameters if p not in by_position]
            msg = f"{name}({first}, …) got {len(args)} arguments without a name; name all others, as in {others[0]}=…"
            raise InvalidInput(msg)
        twice = [key for key in by_position[: len(args)] if key in kwargs]
        missing = [key for key in needed if key not in kwargs and key not in by_position[: len(args)]]
        if twice or missing:
            problem = f"got {twice[0]} twice; give it once" if twice else f"needs {missing[0]}; give {missing[0]}=…"
            raise InvalidInput(f"{name}() {problem}")
        return function(*args, **kwargs)

    return call


def takes(kind: str, fix: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function refuse a first argument of another class than `kind`, which is named so as not to be imported."""

    def decorated(function: Callable[_P, _R]) -> Callable[_P, _R]:
        first = next(iter(inspect.signature(function).parameters))

        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            given = args[0] if args else kwargs.get(first)
            if kind not in [cls.__name__ for cls in type(given).__mro__]:
                raise InvalidInput(f"{first} is {shown(given)}, not a {kind}; {fix}".replace(" a All", " an All"))
            return function(*args, **kwargs)

        return call

    return decorated


def is_whole(value: object) -> TypeGuard[int]:
    """Whether this is one whole number; True and False are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is one real number, NaN and infinity included; True and False are none."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def whole(name: str, value: Any, least: int = 1, most: int = MOST, *, fix: str = "") -> int:
    """Give a whole number from `least` to `most` as Python's, which never overflows.

    >>> whole("length", 1, 2)
    Traceback (most recent call last):
        ...
    qfast.errors.InvalidInput: length=1 is not a whole number of at least 2; use one such as 5
    """
    if not is_whole(value) or value < least:
        fix = fix or f"use one such as {max(least, 5)}"
        raise InvalidInput(f"{name}={value!r:.60} is not a whole number of at least {least:,}; {fix}")
    if value > most:
        raise InvalidInput(f"{name}={value!r:.60} is above {most:,}; use a smaller number")
    return int(value)


def number(name: str, value: Any, interval: str = "(-inf, inf)", fix: str = "use a number such as 1.0") -> float:
    """Give a real number within an interval, written as usual, as float.

    >>> number("gamma", 1, "[0, 1)", "use a discount such as 0.9")
    Traceback (most recent call last):
        ...
    qfast.errors.InvalidInput: gamma=1 is outside [0, 1); use a discount such as 0.9
    """
    low, high = map(float, interval[1:-1].split(","))
    if is_number(value) and (
        low < value < high or (value == low and interval[0] == "[") or (value == high and interval[-1] == "]")
    ):
        with contextlib.suppress(OverflowError):  # a whole number beyond float64 is not finite
            return float(value)
    if interval == "(-inf, inf)":
        rule = "not finite" if is_number(value) else "not a number"
    else:
        rule = f"outside {interval}" if is_number(value) else f"not a number in {interval}"
    raise InvalidInput(f"{name}={value!r:.60} is {rule}; {fix}")


def choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Give one of some names.

    >>> choice("moves", "queen", ("four", "king"))
    Traceback (most recent call last):
        ...
    qfast.errors.InvalidInput: moves='queen' is unknown; use one of 'four', 'king'
    """
    names = list(choices)
    if not isinstance(value, str) or value not in names:
        raise InvalidInput(f"{name}={value!r:.60} is unknown; use one of {', '.join(map(repr, names))}")
    return value


def array_of(name: str, value: ArrayLike, kinds: str = "", rule: str = "") -> NDArray[Any]:
    """Turn a value into an array whose dtype is of one of some kinds (as in ``dtype.kind``), where any are given."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        msg = f"{name} is not a rectangular array ({error}); give nested lists of equal lengths or a NumPy array"
        raise InvalidInput(msg) from error
    if kinds and array.dtype.kind not in kinds:
        raise InvalidInput(f"{name} has dtype {array.dtype}; {rule}")
    return array


def first_at(marks: NDArray[np.bool_]) -> tuple[int, ...]:
    """The index of the first True."""
    return tuple(int(i) for i in np.argwhere(marks)[0])


def flag(name: str, value: Any) -> bool:
    """Refuse what is neither True nor False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise InvalidInput(f"{name} is {shown(value)}, neither True nor False; use one of them")


def optional(name: str, extra: str, purpose: str) -> Any:
    """Import an optional package; `purpose` is a clause such as "pictures need it".  Without it, a MissingExtra.

    The result is Any: SciPy and others ship no types.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(f'{name} is not installed; {purpose}: pip install "qfast[{extra}]"') from error


def path_of(path: Any, name: str = "path", *, to_write: bool = False) -> Path:
    """Give a path as such; to be written to, it must not be a folder."""
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        msg = f"{name} is {shown(path)}, no name of a file; use a text such as 'run.npz', or a pathlib.Path"
        raise InvalidInput(msg)
    found = Path(path)
    if "\0" in str(found):
        msg = f"{name}={str(found)!r:.60} has a null character in it, which no file's name can have; leave it out"
        raise InvalidInput(msg)
    if to_write and found.is_dir():
        raise InvalidInput(f"{printable(found)} is a folder; name a file in it, such as {printable(found / 'run.npz')}")
    return found


def shown(value: object) -> str:
    """Say in a few words what was given, whatever it is, on one line.

    >>> shown("FrozenLake-v1"), shown(3), shown([1, 2])
    ("'FrozenLake-v1'", '3', 'a list')
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}…"
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return f"an array of shape {shape}"
    return f"{'an' if kind[:1] in 'AEIOUaeio' or kind == 'MDP' else 'a'} {kind}"

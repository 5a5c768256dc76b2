"""The design of a study: which configurations there are, and what the agents of each are."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from qfast.arguments import meant
from qfast.errors import InvalidInput
from qfast.model.learner import Learner, make_learner
from qfast.model.mdp import MDP, check_mdp
from qfast.model.rates import Shape
from qfast.model.settings import DEFAULTS, SETTINGS, Setting
from qfast.problems import corridor
from qfast.studies.settings import as_key, encode, is_number, normal, value_in_words, values_of
from qfast.text import check_printable

__all__ = ["PROBLEM", "Configuration", "Design", "make_design"]

#: The dimension that several problems make.
PROBLEM: Final = "problem"

@dataclass(frozen=True)
class Configuration:
    """One combination of settings: its number, label, values by name, problem and learner."""

    number: int
    values: dict[str, Any]
    label: str
    arguments: dict[str, Any]
    problem: str
    mdp: MDP
    learner: Learner


@dataclass(frozen=True)
class Design:
    """All configurations of a study, and what they were made from."""

    configurations: tuple[Configuration, ...]
    names: tuple[str, ...]
    vary: list[dict[str, list[Any]]]
    fixed: dict[str, Any]
    problems: dict[str, MDP]

    def __len__(self) -> int:
        """Count the configurations."""
        return len(self.configurations)


def make_design(
    mdp: "MDP | Mapping[str, MDP] | None",
    vary: Any,
    fixed: Mapping[str, Any],
    *,
    n_agents: int,
    episodes: int,
) -> Design:
    """Check problems and settings, and make every configuration; parameters and errors as in `qfast.study`."""
    problems = _problems(mdp)
    grids = _grids(vary)
    names = tuple(dict.fromkeys(itertools.chain.from_iterable(grids)))
    plain = {name: normal(name, value) for name, value in fixed.items()}
    # A row of numbers has to say what it is for, which its length alone may not do.
    used: set[str] = set()
    made: list[Configuration] = []
    for problem, grid in itertools.product(problems, grids):
        for values in itertools.product(*grid.values()):
            own = dict(zip(grid, values, strict=True))
            arguments = _arguments(plain, own, used)
            shown = {PROBLEM: problem} if len(problems) > 1 else {}
            shown |= {
                name: arguments[name] for name in names if name in arguments and SETTINGS[name].is_used(arguments)
            }
            label = ", ".join(f"{name}={_in_words(value)}" for name, value in shown.items()) or problem
            try:
                learner = make_learner(n_agents=n_agents, episodes=episodes, mdp=problems[problem], **arguments)
            except InvalidInput as error:
                raise InvalidInput(f"{error} (in the configuration {label})" if shown else str(error)) from error
            made.append(Configuration(len(made), shown, label, arguments, problem, problems[problem], learner))
    _refuse_unused(plain, used, names)
    _refuse_twice(made)
    kept = {name: encode(plain[name]) for name in plain if name not in names and name in used}
    described = [{name: [encode(value) for value in values] for name, values in grid.items()} for grid in grids]
    dimensions = ((PROBLEM,) if len(problems) > 1 else ()) + names
    return Design(_with_unique_labels(_with_distinct_values(made)), dimensions, described, kept, problems)


def _problems(mdp: Any) -> dict[str, MDP]:
    if mdp is None:
        return {"corridor": corridor()}
    if isinstance(mdp, MDP):
        return {"problem": mdp}
    if not isinstance(mdp, Mapping):
        check_mdp(mdp)
    if not mdp:
        raise InvalidInput("mdp={} holds no problem; use {'corridor': qfast.corridor(), …}, or one MDP")
    for name, problem in mdp.items():
        if not isinstance(name, str) or not name.strip() or not isinstance(problem, MDP):
            pair = f"{name!r:.40}: {problem!r:.40}"
            msg = f"mdp: {pair} is not a name and an MDP; use for example {{'corridor': qfast.corridor()}}"
            raise InvalidInput(msg)
        check_printable("mdp", name)
    return dict(mdp)


def _grids(vary: Any) -> list[dict[str, list[Any]]]:
    """The grids to walk through, each a dict of lists; checked."""
    given = list(vary) if isinstance(vary, Sequence) and not isinstance(vary, str) else [vary]
    if not given or not all(isinstance(grid, Mapping) for grid in given):
        raise InvalidInput(f"vary={vary!r:.60} is not a mapping; use for example vary={{'alpha': [0.1, 0.5]}}")
    for grid in given:
        for name in grid:
            if name not in SETTINGS:
                other = meant(name, SETTINGS) if isinstance(name, str) else ""
                hint = f"; {other}" if other else f"; what can is {', '.join(SETTINGS)}"
                if name in ("mdp", PROBLEM):
                    hint = "; for several problems give mdp={'name': mdp, …}"
                raise InvalidInput(f"vary: {name!r} cannot vary{hint}")
    return [{name: values_of(name, values) for name, values in grid.items()} for grid in given]


def _arguments(fixed: Mapping[str, Any], own: Mapping[str, Any], used: set[str]) -> dict[str, Any]:
    """Give all settings of a configuration: those that vary, and the fixed ones that have a meaning beside them."""
    arguments = {**fixed, **own}
    for name, setting in SETTINGS.items():
        if setting.is_used(arguments):
            used.add(name)
        elif name in own and setting.is_given(own[name]):
            condition, home = _home(setting)
            fix = f"add {condition}={home!r}, or leave it out"
            if condition in own:
                fix = f"give it a grid of its own: vary=[{{{condition!r}: [{home!r}], {name!r}: […]}}, {{…}}]"
            value = arguments.get(condition)
            raise InvalidInput(f"vary: {name} has no meaning with {condition}={value!r}; {fix}")
        elif name in arguments:
            arguments[name] = setting.default
    return arguments


def _home(setting: Setting) -> tuple[str, str]:
    """A setting, and one of its values, beside which this one has a meaning."""
    assert setting.goes_with is not None
    condition, values = setting.goes_with
    return condition, values[0]


def _refuse_unused(fixed: Mapping[str, Any], used: set[str], names: Sequence[str]) -> None:
    """A fixed setting that no configuration has a use for is a mistake."""
    for name, value in fixed.items():
        if name not in used and name not in names and as_key(value) != as_key(DEFAULTS[name]):
            condition, home = _home(SETTINGS[name])
            raise InvalidInput(
                f"{name}={value!r:.40} has no meaning in any configuration; "
                f"use {condition}={home!r} in some of them, or leave it out"
            )


def _identity(configuration: Configuration) -> str:
    """What two configurations that are the same share; schedules of a formula compare by it."""
    parts = {name: as_key(value) for name, value in configuration.arguments.items()}
    return repr((configuration.problem, sorted(parts.items())))


def _refuse_twice(made: Sequence[Configuration]) -> None:
    seen: dict[str, Configuration] = {}
    for configuration in made:
        twin = seen.setdefault(_identity(configuration), configuration)
        if twin is not configuration:
            msg = f"vary gives the configuration {configuration.label} twice; leave it out of one of the grids"
            raise InvalidInput(msg)


def _in_words(value: Any) -> str:
    return repr(value) if isinstance(value, Shape) else value_in_words(value)


def _distinct_words(values: Sequence[Any]) -> list[str]:
    """The values of a setting in words; those that differ and look alike, as rows of numbers may, are numbered."""
    texts = [_in_words(value) for value in values]
    keys: dict[str, list[str]] = {}
    for text, value in zip(texts, values, strict=True):
        alike = keys.setdefault(text, [])
        if (key := as_key(value)) not in alike:
            alike.append(key)
    return [
        f"{text} (no. {keys[text].index(as_key(value)) + 1})" if len(keys[text]) > 1 else text
        for text, value in zip(texts, values, strict=True)
    ]


def _with_distinct_values(made: Sequence[Configuration]) -> list[Configuration]:
    """Number values that look alike in the labels, too."""
    labels: list[list[str]] = [[] for _ in made]
    for name in dict.fromkeys(itertools.chain.from_iterable(configuration.values for configuration in made)):
        having = [i for i, configuration in enumerate(made) if name in configuration.values]
        words = _distinct_words([made[i].values[name] for i in having])
        for i, text in zip(having, words, strict=True):
            labels[i].append(f"{name}={text}")
    return [
        replace(configuration, label=", ".join(parts) or configuration.label)
        for configuration, parts in zip(made, labels, strict=True)
    ]


def _with_unique_labels(made: Sequence[Configuration]) -> tuple[Configuration, ...]:
    """Rows of numbers may look alike in words: number the labels that are there more than once."""
    labels = [configuration.label for configuration in made]
    again: dict[str, int] = {}
    result = []
    for configuration in made:
        label = configuration.label
        if labels.count(label) > 1:
            again[label] = again.get(label, 0) + 1
            label = f"{label} (no. {again[label]})"
        result.append(replace(configuration, label=label))
    return tuple(result)


def coordinate(configurations: Sequence[Configuration], name: str) -> Any:
    """The values of one setting over the configurations: numbers as float64, else text; NaN or "" for none."""
    missing = object()
    values = [configuration.values.get(name, missing) for configuration in configurations]
    if all(value is missing or is_number(value) for value in values):
        return np.array([np.nan if value is missing else value for value in values], np.float64)
    words = iter(_distinct_words([value for value in values if value is not missing]))
    return np.array(["" if value is missing else next(words) for value in values])

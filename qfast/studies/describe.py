"""A study in words, as a person reads it first; and as Python that makes it again."""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qfast.errors import QfastError
from qfast.model.mdp import MDP
from qfast.model.rates import Rate, Shape
from qfast.model.seeding import seed_in_code
from qfast.model.settings import DEFAULTS
from qfast.studies.metrics import BUILT_IN
from qfast.studies.settings import as_key, decode, value_in_words
from qfast.text import columns

if TYPE_CHECKING:
    from qfast.studies.result import Study

__all__ = [
    "as_code", "default_quantile_episodes", "describe_study", "problem_code", "problems_in_words", "streams_in_words",
    "study_code", "values_in_words",
]  # fmt: skip

_ROWS: Final = 12  # configurations that are shown
_WIDTH: Final = 56  # of a label
#: Outcomes of a problem that is written out, at most; a larger one is loaded from a file.
_MOST_WRITTEN: Final = 256
#: States and actions of Gymnasium's environments, so that no other is built.
_SIZES: Final = {
    "FrozenLake-v1": (16, 4), "FrozenLake8x8-v1": (64, 4), "CliffWalking-v1": (48, 4),
    "CliffWalkingSlippery-v1": (48, 4), "Taxi-v4": (500, 6),
}  # fmt: skip
_INDENT: Final = "    "


def describe_study(study: "Study") -> str:
    """Describe the study on one screen."""
    attributes, n = study.dataset.attrs, len(study)
    steps, seconds = int(attributes["n_steps"]), float(attributes["seconds"])
    speed = f", {steps / seconds / 1e6:,.0f} million a second" if seconds > 0 else ""
    run = study.dataset["agents_run"].to_numpy()
    agents = f"{study.n_agents:,} agents each"
    if (run < study.n_agents).any():
        several = f"{run.min():,} to {run.max():,}" if run.min() < run.max() else f"{run.min():,}"
        agents = f"{several} of at most {study.n_agents:,} agents each"
    lines = [
        f"Study of {n:,} configuration{'s' * (n > 1)}, {agents}, {study.episodes:,} episodes",
        *(f"  problem    {line}" for line in problems_in_words(study)),
        f"  varied     {', '.join(values_in_words(study, name) for name in study.varied) or 'nothing'}",
        f"  streams    seed {study.seed}; {streams_in_words(study)}",
        f"  steps      {steps:,} in {seconds:.3g} s{speed}",
        f"  metrics    {', '.join(study.metrics)}",
        *(f"  {line}" for line in columns(*_table(study))),
    ]
    if n > _ROWS:
        lines.append(f"  … and {n - _ROWS:,} more")
    lines.append("  (std: the spread of the agents, not the error of the mean)")
    return "\n".join(lines)


def _table(study: "Study") -> tuple[list[str], list[list[str]]]:
    """Header and rows of the first configurations: means, spreads, and the share of optimal agents."""
    usual = ("auc", "final_return", "greedy_return", "regret", "steps")
    names: list[str] = [name for name in usual if name in study.metrics]
    names = ([name for name in names if not study.is_constant(name)] or names)[:2]
    names = names or [name for name in study.metrics if name not in ("optimal", "first_optimal")][:2]
    rows = []
    for number, label in enumerate(study.labels[:_ROWS]):
        cells = [label if len(label) <= _WIDTH else f"{label[: _WIDTH - 1]}…"]
        for scores in (study.scores(name, number) for name in names):
            if not np.isfinite(scores).all():
                cells += ["not defined", "-"]
            else:
                cells += [f"{scores.mean():.5g}", f"{scores.std(ddof=1):.3g}"] if scores.size > 1 else ["-", "-"]
        if "optimal" in study.metrics:
            scores = study.scores("optimal", number)
            cells.append(f"{100 * scores.mean():.4g} %" if scores.size else "-")
        rows.append(cells)
    heads = [head for name in names for head in (f"{name} mean", "std")]
    return ["configuration", *heads, *(["optimal"] if "optimal" in study.metrics else [])], rows


def problems_in_words(study: "Study") -> list[str]:
    """Each problem, by the name that the study has for it if it was given one, and its sizes."""
    problems = json.loads(study.dataset.attrs["problems"])
    return [text if name == "problem" else f"{name}: {text}" for name, text in problems.items()]


def streams_in_words(study: "Study") -> str:
    """How the configurations' random streams belong together."""
    if study.paired:
        within = " of a problem" if "problem" in study.varied else ""
        return f"paired: agent i has the same random stream in every configuration{within}"
    return "unpaired: every configuration has random streams of its own"


def values_in_words(study: "Study", name: str) -> str:
    """What a setting varies over."""
    values = list(dict.fromkeys(one[name] for one in study.configurations if name in one))
    shown = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
    text = ", ".join(shown) if len(shown) <= 5 else f"{shown[0]}, {shown[1]}, …, {shown[-1]} ({len(shown)} values)"
    return f"{name} ({text})"


def as_code(value: Any) -> str:
    """A setting's value as Python code; rows of numbers and tabulated rates in words."""
    if isinstance(value, (Shape, Rate)):
        return f"qfast.{value!r}"
    return f"<{value_in_words(value)}>" if isinstance(value, np.ndarray) else repr(value)


def study_code(
    problems: Mapping[str, MDP],
    vary: list[dict[str, list[Any]]],
    fixed: Mapping[str, Any],
    about: Mapping[str, Any],
    checkpoints: list[int],
) -> str:
    """Write the program that makes a study again; what is left to the reader stands in comments.

    `vary` and `fixed` are as in `Design`, `about` is what tells the study from every other, and `checkpoints` what
    `qfast.study` measures at by default.
    """
    names = ["problem" if len(problems) == 1 else f"problem_{i}" for i in range(len(problems))]
    lines: list[str] = ["import qfast", ""]
    notes: list[str] = []
    for variable, (name, mdp) in zip(names, problems.items(), strict=True):
        code, note = problem_code(name, mdp)
        lines += [f"# {note}"] if note else []
        lines.append(f"{variable} = {code}")
    alone = list(problems) == ["problem"]
    given = names[0] if alone else "{" + ", ".join(f"{n!r}: {v}" for n, v in zip(problems, names, strict=True)) + "}"
    grids = [
        "{" + ", ".join(f"{name!r}: [{', '.join(map(_value, values))}]" for name, values in grid.items()) + "}"
        for grid in vary
    ]
    changed = [name for name, value in fixed.items() if as_key(decode(value)) != as_key(DEFAULTS[name])]
    options = {"vary": grids[0] if len(grids) == 1 else f"[{', '.join(grids)}]"}
    options |= {name: repr(about[name]) for name in ("n_agents", "episodes")}
    options |= {name: _value(fixed[name]) for name in changed}
    options |= {"first_agent": repr(about["first_agent"])} if about["first_agent"] else {}
    options |= {} if about["paired"] else {"paired": "False"}
    options |= _measured(about, checkpoints, notes)
    options["seed"] = seed_in_code(about["seed"])
    if "numpy." in "".join(options.values()):
        lines[:1] = ["import numpy", "import qfast"]
    lines += [f"# {note}" for note in notes]
    call = [f"{_INDENT}{given},", *(f"{_INDENT}{name}={text}," for name, text in options.items())]
    return "\n".join([*lines, "study = qfast.study(", *call, ")"])


def _measured(about: Mapping[str, Any], checkpoints: list[int], notes: list[str]) -> dict[str, str]:
    """What is measured, where it is not what a study measures by default."""
    options: dict[str, str] = {}
    kept = [name for name in about["metrics"] if name not in about["own_metrics"]]
    if about["own_metrics"]:
        own = ", ".join(about["own_metrics"])
        notes.append(f"left out, since functions are not kept: metrics={{…}} with your own {own}")
    if kept != list(BUILT_IN):
        options["metrics"] = repr(kept or ["steps"])
    if about["checkpoints"] != checkpoints:
        options["checkpoints"] = repr(about["checkpoints"] or None)
    if about["curves"] != default_quantile_episodes(about["episodes"]):
        options["curves"] = repr(about["curves"] or False)
    goal = about["precision"]
    if goal is not None and goal["metric"] in kept:
        bounds = {name: tuple(value) if isinstance(value, list) else value for name, value in goal.items()}
        rule = ", ".join(f"{name}={value!r}" for name, value in bounds.items() if name != "metric")
        options["precision"] = f"{{{goal['metric']!r}: qfast.stats.PrecisionRule({rule})}}"
    return options


def default_quantile_episodes(episodes: int) -> int:
    """How many episodes get quantiles over agents by default: 50, evenly spaced."""
    return min(50, episodes)


def _value(encoded: Any) -> str:
    """Code for a setting's value, as JSON holds it."""
    if not isinstance(encoded, dict):
        return repr(encoded)
    value = decode(encoded)
    if isinstance(value, Shape):
        return f"qfast.{value.name}({value.start!r}, {value.stop!r})"
    if isinstance(value, np.ndarray) and value.size <= _MOST_WRITTEN and np.isfinite(value).all():
        return repr(value.tolist())
    return f"qfast.studies.settings.decode({encoded!r})"


def problem_code(name: str, mdp: MDP) -> tuple[str, str]:
    """Write an expression that gives a problem, and what to know of it.

    >>> import qfast
    >>> problem_code("lake", qfast.problems.frozen_lake().with_limit(50))
    ("qfast.problems.resolve('frozen_lake', max_episode_steps=50)", '')
    """
    for known, build, code in _builders(name, mdp):
        built = _built(known, build)
        if built is None or built.n_states != mdp.n_states or built.n_actions != mdp.n_actions:
            continue
        if built == mdp:
            return code, ""
        if mdp.max_episode_steps is not None and built.with_limit(mdp.max_episode_steps) == mdp:
            limit = f"max_episode_steps={mdp.max_episode_steps}"
            return f"{code.removesuffix(')')}{'' if code.endswith('()') else ', '}{limit})", ""
    if mdp.next_state.size <= _MOST_WRITTEN:
        return _written(mdp), ""
    file = "".join(c if c.isalnum() or c in "-_." else "_" for c in name) + ".npz"
    return f"qfast.MDP.load({file!r})", f"study.problems[{name!r}].save({file!r}) writes this file"


def _builders(name: str, mdp: MDP) -> Iterator[tuple[str, Callable[[str], MDP], str]]:
    """What may have built a problem: its name, what builds it of that, and the code for it."""
    from qfast import problems

    yield "corridor", lambda _: problems.corridor(), "qfast.corridor()"
    for known in problems.names():
        if known != "corridor":
            yield known, problems.resolve, f"qfast.problems.resolve({known!r})"
    for known, size in _SIZES.items():
        if size == mdp.next_state.shape[:2] and "gymnasium" in sys.modules:
            yield known, problems.from_gymnasium, f"qfast.from_gymnasium({known!r})"
    if name not in problems.names() and name not in problems.GYMNASIUM_IDS and "." in name:  # a file, perhaps
        yield f"./{name}", lambda _: problems.resolve(name), f"qfast.problems.resolve({name!r})"


_BUILT: dict[str, MDP | None] = {}


def _built(known: str, build: Callable[[str], MDP]) -> MDP | None:
    """Build a problem once; None where it cannot be built here."""
    if known not in _BUILT or known.startswith("./"):
        try:
            with warnings.catch_warnings():  # about limits: whoever built it has been told
                warnings.simplefilter("ignore")
                _BUILT[known] = build(known)
        except (QfastError, OSError):
            _BUILT[known] = None
    return _BUILT[known]


def _written(mdp: MDP) -> str:
    """A small problem, table by table."""
    arrays = mdp.to_arrays()
    parts = {name: arrays[name].tolist() for name in ("next_state", "reward", "terminated", "probability")}
    if (mdp.probability == 1 / mdp.n_outcomes).all():
        del parts["probability"]
    sure = mdp.start_state is not None and mdp.start.max() == 1.0
    parts["start"] = mdp.start_state if sure else mdp.start.tolist()
    if mdp.max_episode_steps is not None:
        parts["max_episode_steps"] = mdp.max_episode_steps
    if mdp.allowed is not None:
        parts["allowed"] = mdp.allowed.tolist()
    for name, count in (("state_names", mdp.n_states), ("action_names", mdp.n_actions)):
        if getattr(mdp, name) != tuple(map(str, range(count))):
            parts[name] = list(getattr(mdp, name))
    parts |= {name: list(getattr(mdp, name)) for name in ("states", "actions") if name in arrays}
    if mdp.counts is not None:
        parts["counts"] = mdp.counts.tolist()
    if mdp.name is not None:
        parts["name"] = mdp.name
    if mdp.layout is not None:
        parts["layout"] = list(mdp.layout)
    return f"qfast.MDP({', '.join(f'{name}={value!r}' for name, value in parts.items())})"

"""A study as Python that runs: the call that makes it again, with its problems built or loaded."""

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from qfast.errors import QfastError
from qfast.model.mdp import MDP
from qfast.model.rates import Shape
from qfast.model.seeding import seed_in_code
from qfast.model.settings import DEFAULTS
from qfast.studies.metrics import BUILT_IN
from qfast.studies.settings import as_key, decode

__all__ = ["default_quantile_episodes", "problem_code", "study_code"]

#: Outcomes of a problem that is written out, at most; a larger one is loaded from a file.
_MOST_WRITTEN: Final = 256
#: States and actions of Gymnasium's environments, so that no other is built.
_SIZES: Final = {
    "FrozenLake-v1": (16, 4), "FrozenLake8x8-v1": (64, 4), "CliffWalking-v1": (48, 4),
    "CliffWalkingSlippery-v1": (48, 4), "Taxi-v4": (500, 6),
}  # fmt: skip
_INDENT: Final = "    "


def study_code(
    problems: Mapping[str, MDP], vary: list[dict[str, list[Any]]], fixed: Mapping[str, Any], about: Mapping[str, Any],
    checkpoints: list[int],
) -> str:  # fmt: skip
    """Write the program that makes a study again.

    Parameters
    ----------
    problems : mapping of str to MDP
    vary, fixed : list of dict, mapping
        As in `qfast.studies.design.Design`.
    about : mapping
        What tells the study from every other.
    checkpoints : list of int
        What `qfast.study` measures at by default.

    Returns
    -------
    str
        Lines of Python; what is left to the reader stands in comments.
    """
    names = [_variable(i, len(problems)) for i in range(len(problems))]
    lines: list[str] = ["import qfast", ""]
    notes: list[str] = []
    for variable, (name, mdp) in zip(names, problems.items(), strict=True):
        code, note = problem_code(name, mdp)
        lines += [f"# {note}"] if note else []
        lines.append(f"{variable} = {code}")
    alone = len(problems) == 1 and next(iter(problems)) == "problem"
    given = names[0] if alone else "{" + ", ".join(f"{n!r}: {v}" for n, v in zip(problems, names, strict=True)) + "}"
    grids = [
        "{" + ", ".join(f"{name!r}: [{', '.join(map(_value, values))}]" for name, values in grid.items()) + "}"
        for grid in vary
    ]
    plain = {name: decode(value) for name, value in fixed.items()}
    changed = [name for name, value in plain.items() if as_key(value) != as_key(DEFAULTS[name])]
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
        rule = ", ".join(f"{name}={_bounds(value)!r}" for name, value in goal.items() if name != "metric")
        options["precision"] = f"{{{goal['metric']!r}: qfast.stats.PrecisionRule({rule})}}"
    return options


def _bounds(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def default_quantile_episodes(episodes: int) -> int:
    """How many episodes get quantiles over agents by default: 50, evenly spaced."""
    return min(50, episodes)


def _variable(i: int, n: int) -> str:
    return "problem" if n == 1 else f"problem_{i}"


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

    Examples
    --------
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


def _builders(name: str, mdp: MDP) -> "list[tuple[str, Callable[[], MDP], str]]":
    """What may have built a problem: its name, a way to build it, and the code for that."""
    from qfast import problems

    ids = [known for known, size in _SIZES.items() if size == mdp.next_state.shape[:2] and "gymnasium" in sys.modules]
    found: list[tuple[str, Callable[[], MDP], str]] = [("corridor", problems.corridor, "qfast.corridor()")]
    found += [(known, lambda known=known: problems.resolve(known), f"qfast.problems.resolve({known!r})")  # type: ignore[misc]
              for known in problems.names() if known != "corridor"]  # fmt: skip
    found += [(known, lambda known=known: problems.from_gymnasium(known), f"qfast.from_gymnasium({known!r})")  # type: ignore[misc]
              for known in ids]  # fmt: skip
    if name not in problems.names() and name not in problems.GYMNASIUM_IDS and "." in name:  # a file, perhaps
        found.append((f"./{name}", lambda: problems.resolve(name), f"qfast.problems.resolve({name!r})"))
    return found


_BUILT: dict[str, MDP | None] = {}


def _built(known: str, build: "Callable[[], MDP]") -> MDP | None:
    """Build a problem once; None where it cannot be built here."""
    if known not in _BUILT or known.startswith("./"):
        try:
            with warnings.catch_warnings():  # about limits: whoever built it has been told
                warnings.simplefilter("ignore")
                _BUILT[known] = build()
        except (QfastError, OSError):
            _BUILT[known] = None
    return _BUILT[known]


def _written(mdp: MDP) -> str:
    """A small problem, table by table."""
    arrays = mdp.to_arrays()
    parts = [f"next_state={arrays['next_state'].tolist()}", f"reward={arrays['reward'].tolist()}"]
    parts.append(f"terminated={arrays['terminated'].tolist()}")
    if not (mdp.probability == 1 / mdp.n_outcomes).all():
        parts.append(f"probability={arrays['probability'].tolist()}")
    sure = mdp.start_state is not None and mdp.start.max() == 1.0
    parts.append(f"start={mdp.start_state if sure else mdp.start.tolist()}")
    if mdp.max_episode_steps is not None:
        parts.append(f"max_episode_steps={mdp.max_episode_steps}")
    if mdp.allowed is not None:
        parts.append(f"allowed={mdp.allowed.tolist()}")
    for name, count in (("state_names", mdp.n_states), ("action_names", mdp.n_actions)):
        if getattr(mdp, name) != tuple(map(str, range(count))):
            parts.append(f"{name}={list(getattr(mdp, name))!r}")
    parts += [f"{name}={list(getattr(mdp, name))!r}" for name in ("states", "actions") if name in arrays]
    if mdp.counts is not None:
        parts.append(f"counts={mdp.counts.tolist()}")
    if mdp.name is not None:
        parts.append(f"name={mdp.name!r}")
    if mdp.layout is not None:
        parts.append(f"layout={list(mdp.layout)!r}")
    return f"qfast.MDP({', '.join(parts)})"

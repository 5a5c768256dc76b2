"""A problem that a Python file makes: ``my_env.py:Room``."""

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from qfast.errors import InvalidInput, QfastError
from qfast.model.labels import title_of
from qfast.model.mdp import MDP
from qfast.problems.environments.from_env import from_env
from qfast.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["maker", "read_python", "split"]


def split(name: str) -> tuple[Path, str] | None:
    """Take ``my_env.py:Room`` apart; None if it is no such name."""
    file, found, what = name.rpartition(".py:")
    if found:
        return Path(f"{file}.py"), what
    return (Path(name), "") if name.endswith(".py") else None


def read_python(path: Path, what: str, *, env_options: Mapping[str, Any], **options: Any) -> MDP:
    """Run a file, and make an MDP of something in it: an MDP, an environment, or what makes one of them.

    Environments go through `from_env`, which gets the other options.
    """
    path = path.resolve()  # as tracebacks have it
    with _importable(path.parent):
        made = maker(path, what, env_options)
        try:
            if callable(made) and not hasattr(made, "step") and not isinstance(getattr(made, "func", None), type):
                first = made()  # a function: of an MDP, or of an environment
                made = first if isinstance(first, MDP) else made
            mdp = made if isinstance(made, MDP) else from_env(made, **options)
        except QfastError:
            raise
        except Exception as error:
            raise InvalidInput(f"{path.name}:{what} {_told(error, path)}; mend it") from error
    return mdp if mdp.name else mdp.with_name(title_of(what))


def maker(path: Path, what: str, env_options: Mapping[str, Any]) -> Any:
    """Run a file, and give what it has under a name; with the options, where that makes something."""
    path = path.resolve()
    if not path.is_file():
        raise InvalidInput(f"there is no file {printable(path.name)} in {printable(path.parent)}; name another one")
    with _importable(path.parent):
        module = _run(path)
    if not what or not hasattr(module, what):
        there = [name for name, value in vars(module).items() if _is_own(name, value, module)]
        told = f"it has {', '.join(there[:8])}" if there else "it makes none"
        missing = f"has no {what}" if what else "may make several problems"
        raise InvalidInput(f"{printable(path.name)} {missing}; name what to learn, as in {path.name}:Room ({told})")
    made = getattr(module, what)
    if callable(made):
        return partial(made, **env_options)
    if env_options:
        raise InvalidInput(f"{path.name}:{what} is there already, and takes no options; leave --env out")
    return made


def _is_own(name: str, value: Any, module: ModuleType) -> bool:
    """Whether something in a module may make a problem: no import, no private name."""
    own = getattr(value, "__module__", None) == module.__name__
    return not name.startswith("_") and (isinstance(value, MDP) or (callable(value) and own) or hasattr(value, "step"))


def _run(path: Path) -> ModuleType:
    name = f"qfast_problem_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"{printable(path)} is no Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and copies look it up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InvalidInput(f"{printable(path.name)} {_told(error, path)}; mend the file") from error
    return module


def _told(error: Exception, path: Path) -> str:
    """What went wrong in the user's file, and in which line of it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f" in line {error.lineno}" if isinstance(error, SyntaxError) else f" in line {lines[-1]}" if lines else ""
    return f"raised {type(error).__name__}{where}: {' '.join(str(error).split()):.200}"


@contextmanager
def _importable(folder: Path) -> "Iterator[None]":
    """Let the file import what stands beside it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))

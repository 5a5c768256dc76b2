"""The one place where SciPy is imported: floor 3 needs it, ``import qfast`` does not.

The modules are handed on as ``Any``: SciPy ships no type information, and one untyped seam is easier to
see than one in every file.
"""

from importlib import import_module
from typing import Any

from qfast.errors import MissingExtra

__all__ = ["mstats", "special", "stats"]


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(f'{name} is not installed; the statistics need SciPy: pip install "qfast[study]"') from error


stats: Any = _import("scipy.stats")
mstats: Any = _import("scipy.stats.mstats")
special: Any = _import("scipy.special")

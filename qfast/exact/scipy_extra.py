"""The one place where `qfast.exact` imports SciPy, so that the rest of qfast runs without it.

The modules are handed on as ``Any``: SciPy ships no type information, and one untyped seam is easier to see than
one in every file.
"""

from importlib import import_module
from typing import Any

from qfast.errors import MissingExtra

__all__ = ["csgraph", "linalg", "sparse"]


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        msg = f'{name} is not installed; exact solutions need SciPy: pip install "qfast[study]"'
        raise MissingExtra(msg) from error


sparse: Any = _import("scipy.sparse")
csgraph: Any = _import("scipy.sparse.csgraph")
linalg: Any = _import("scipy.sparse.linalg")

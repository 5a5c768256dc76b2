"""The one place where xarray is imported: a study needs it, ``import qfast`` does not."""

from importlib import import_module
from typing import Any

from qfast.errors import MissingExtra

__all__ = ["need"]


def need(name: str, purpose: str) -> Any:
    """Import an optional package.

    Raises
    ------
    MissingExtra
        If it is not installed; the message says what it is for.

    Examples
    --------
    >>> need("xarray", "a study").__name__
    'xarray'
    """
    try:
        return import_module(name)
    except ImportError as error:
        msg = f'{name} is not installed; {purpose} needs it: pip install "qfast[study]"'
        raise MissingExtra(msg) from error

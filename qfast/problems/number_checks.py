"""Checks of the numbers and choices that builders of problems take."""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from qfast.errors import InvalidInput

__all__ = ["finite", "one_of", "probability", "whole"]


_MOST: Final = 2**31 - 1


def finite(name: str, value: float) -> float:
    """Give a finite real number as float.

    Parameters
    ----------
    name : str
        Its name, for the error.
    value : float
        The number.

    Returns
    -------
    float
        The same.

    Raises
    ------
    InvalidInput
        If it is no number, NaN or infinite.

    Examples
    --------
    >>> finite("goal", 2)
    2.0
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InvalidInput(f"{name}={value!r:.60} is no number; give a finite number such as 1.0")
    try:
        settled = math.isfinite(value)
    except OverflowError:  # a whole number beyond float64
        settled = False
    if not settled:
        raise InvalidInput(f"{name}={value!r:.60} is not finite; give a finite number such as 1.0")
    return float(value)


def probability(name: str, value: float) -> float:
    """Give a number in [0, 1] as float.

    Parameters
    ----------
    name : str
        Its name, for the error.
    value : float
        The number.

    Returns
    -------
    float
        The same.

    Raises
    ------
    InvalidInput
        If it is no number or outside [0, 1].

    Examples
    --------
    >>> probability("slip", 0.2)
    0.2
    """
    if not 0.0 <= finite(name, value) <= 1.0:
        raise InvalidInput(f"{name}={value} is outside [0, 1]; give a probability such as 0.2")
    return float(value)


def whole(name: str, value: int, *, at_least: int) -> int:
    """Give a whole number as int.

    Parameters
    ----------
    name : str
        Its name, for the error.
    value : int
        The number.
    at_least : int
        The smallest that makes sense.

    Returns
    -------
    int
        The same.

    Raises
    ------
    InvalidInput
        If it is no integer or too small.

    Examples
    --------
    >>> whole("length", 5, at_least=2)
    5
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise InvalidInput(f"{name}={value!r:.60} is no integer; give one such as {max(at_least, 5)}")
    if value < at_least:
        raise InvalidInput(f"{name}={value} is below {at_least}; give an integer such as {max(at_least, 5)}")
    if value > _MOST:
        raise InvalidInput(f"{name}={value:,} is above {_MOST:,}, more than a table can hold; give a smaller number")
    return int(value)


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Give a choice by name.

    Parameters
    ----------
    name : str
        What is chosen, for the error.
    value : str
        The choice.
    choices : iterable of str
        What there is.

    Returns
    -------
    str
        The same.

    Raises
    ------
    InvalidInput
        If there is no such choice; the message lists them.

    Examples
    --------
    >>> one_of("moves", "king", ("four", "king"))
    'king'
    """
    names = list(choices)
    if not isinstance(value, str) or value not in names:
        raise InvalidInput(f"{name}={value!r:.60} is unknown; choose one of {', '.join(map(repr, names))}")
    return value

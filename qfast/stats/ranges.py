"""Ranges of scores: bounds that a caller knows, and numbers so large or small that their squares leave float64."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, check_scores
from qfast.stats.interval import Estimate

__all__ = ["check_bounds", "in_range", "power_of_two", "rescaled"]

# Fourth powers, and sums of a million of them, stay far inside float64 between these.
_LARGE, _SMALL = 2.0**200, 2.0**-200


def check_bounds(bounds: tuple[float, float], scores: ArrayLike | None = None) -> tuple[float, float]:
    """Two finite numbers in order that no score lies outside of."""
    pair = np.asarray(bounds)
    if pair.shape != (2,) or pair.dtype.kind not in "iuf" or not np.isfinite(pair).all() or pair[0] >= pair[1]:
        raise InvalidInput(f"bounds={bounds!r} are not two finite numbers in order; use for example (0.0, 1.0)")
    if scores is not None:
        x = check_scores(scores)
        outside = np.flatnonzero((x < pair[0]) | (x > pair[1]))
        if outside.size:
            i = outside[0]
            raise InvalidInput(f"scores[{i}]={x[i]} is outside bounds={bounds!r}; give bounds that hold")
    return float(pair[0]), float(pair[1])


def power_of_two(*populations: Floats) -> float:
    """A power of two by which finite scores are divided, exactly, where their squares would overflow; else 1."""
    largest = max(float(np.abs(x).max()) for x in populations)
    if largest == 0.0 or _SMALL < largest < _LARGE:
        return 1.0
    # One less than would be needed for 1: the power itself must be a float.
    return math.ldexp(1.0, min(max(math.frexp(largest)[1], -1021), 1023))


def in_range(x: Floats) -> tuple[Floats, float]:
    """Finite scores in a unit in which their powers are floats, and that unit."""
    unit = power_of_two(x)
    return (x, 1.0) if unit == 1.0 else (x / unit, unit)


def rescaled(estimate: Estimate, unit: float) -> Estimate:
    """An estimate back in the unit of the scores; ends that no float can hold are infinite."""
    if unit == 1.0 or not estimate.defined:
        return estimate
    value, low, high = (number * unit for number in (estimate.value, estimate.interval.low, estimate.interval.high))
    interval = replace(estimate.interval, low=low, high=high)
    if math.isinf(value):
        interval = replace(interval, method=f"{interval.method}; beyond the range of float64")
    return replace(estimate, value=value, interval=interval)

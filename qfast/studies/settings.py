"""Values of settings as labels, coordinates and JSON."""

import base64
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from qfast.errors import InvalidInput
from qfast.model.rates import Rate, Shape, exponential, linear

__all__ = ["as_key", "decode", "encode", "is_number", "normal", "value_in_words", "values_of"]

_MANY: Final = 1000  # numbers from which on JSON holds them compressed
_SCHEDULES: Final = {"linear": linear, "exponential": exponential}


def is_number(value: Any) -> bool:
    """Tell whether a value is one plain number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def normal(name: str, value: Any) -> Any:
    """Give a setting's value in plain types: NumPy's scalars as Python's, a dtype by its name."""
    if name == "dtype" and value is not None:
        try:
            return np.dtype(value).name
        except TypeError:
            return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    if isinstance(value, (list, tuple)):
        try:
            return np.asarray(value)
        except ValueError:  # rows of several lengths: refused where it is used
            return value
    return value


def values_of(name: str, values: Any) -> list[Any]:
    """Check what was given for one setting to vary over: several values, none of them twice."""
    single = isinstance(values, (str, bytes, Mapping, Rate, Shape)) or not isinstance(values, Iterable)
    if single or (isinstance(values, np.ndarray) and values.ndim == 0):
        msg = f"vary: {name}={values!r:.60} is not a list of values; use {name}=[{values!r:.60}], or leave it fixed"
        raise InvalidInput(msg)
    found = [normal(name, value) for value in values]
    if not found:
        raise InvalidInput(f"vary: {name} is an empty list; give at least one value, or leave it out")
    keys = [as_key(value) for value in found]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise InvalidInput(f"vary: {name} holds {value_in_words(found[i])} twice; give each value once")
    return found


def as_key(value: Any) -> str:
    """A text that two values share if they mean the same, 1 and 1.0 among them."""
    return repr(float(value)) if is_number(value) else repr(encode(value))


def value_in_words(value: Any) -> str:
    """A value as a label shows it."""
    if value is None:
        return "none"
    if isinstance(value, float):
        short = f"{value:.6g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, np.ndarray):
        size = " x ".join(f"{length:,}" for length in value.shape)
        return f"{size} values" if value.size else "no values"
    return str(value)


def encode(value: Any) -> Any:
    """Turn a setting's value into what JSON knows, so that `decode` gives it back."""
    if isinstance(value, Shape):
        return {"schedule": value.name, "start": value.start, "stop": value.stop}
    if isinstance(value, Rate):
        return {"rate": value.kind, "text": value.text, "values": _numbers(value.values)}
    if isinstance(value, np.ndarray):
        return {"array": _numbers(value)}
    if isinstance(value, np.generic):
        return value.item()
    return value


def decode(value: Any) -> Any:
    """Give back what `encode` was given."""
    if not isinstance(value, dict):
        return value
    if "schedule" in value:
        return _SCHEDULES[value["schedule"]](value["start"], value["stop"])
    if "rate" in value:
        return Rate(value["rate"], _array(value["values"]), value["text"])
    return _array(value["array"])


def _numbers(values: Any) -> Any:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        return repr(values)[:200]  # no numbers: it will be refused where it is used
    if array.size < _MANY and np.isfinite(array).all():  # JSON has no infinities
        return array.astype(np.float64).tolist()
    packed = zlib.compress(np.ascontiguousarray(array, "<f8").tobytes(), 9)
    return {"shape": list(array.shape), "zlib": base64.b64encode(packed).decode("ascii")}


def _array(numbers: Any) -> Any:
    if isinstance(numbers, dict):
        raw = zlib.decompress(base64.b64decode(numbers["zlib"]))
        return np.frombuffer(raw, "<f8").astype(np.float64).reshape(numbers["shape"])
    return np.asarray(numbers, np.float64)

"""What all modules here share: SciPy, the names of types, and the checks of what is given."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import choice, is_number, is_whole, number, optional, whole
from qfast.errors import InvalidInput

__all__ = [
    "Floats", "Ints", "Missing", "Rng", "check_bounds", "check_count", "check_counts", "check_finite",
    "check_half_width", "check_hits", "check_missing", "check_open_unit", "check_rng", "check_scores", "check_share",
    "special", "stats",
]  # fmt: skip

special: Any = optional("scipy.special", "study", "the statistics need SciPy")
stats: Any = optional("scipy.stats", "study", "the statistics need SciPy")

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

# SPEC 7: whatever numpy.random.default_rng takes.
Rng: TypeAlias = np.random.Generator | np.random.SeedSequence | int | None

# What to do with agents that ran and have no score.
Missing: TypeAlias = Literal["keep", "drop"]


def check_missing(missing: str) -> bool:
    """Whether undefined scores stay (they might be anything) and are not left out."""
    if missing not in get_args(Missing):
        raise InvalidInput(f"missing={missing!r} is unknown; use 'keep' (they might be anything) or 'drop'")
    return missing == "keep"


def check_scores(scores: ArrayLike, name: str = "scores", *, at_least: int = 1) -> Floats:
    """Scores of one configuration, one number an agent, infinite or nan too, as a contiguous (n_agents,) array."""
    try:
        array = np.asarray(scores)
    except ValueError as error:
        raise InvalidInput(f"{name} is not an array: {error}; give one number an agent") from error
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{name} has dtype {array.dtype}; give numbers or booleans, one an agent")
    if array.ndim != 1:
        raise InvalidInput(
            f"{name} has shape {array.shape}, not (n_agents,); call once for each configuration, "
            f"for example with {name}[0]"
        )
    if array.size < at_least:
        raise InvalidInput(f"{name} has {array.size} agents, fewer than the {at_least} needed; run more agents")
    return np.ascontiguousarray(array, dtype=np.float64)


def check_finite(values: ArrayLike, name: str) -> Floats:
    """Finite numbers that are no scores, (n,)."""
    out = check_scores(values, name)
    bad = np.flatnonzero(~np.isfinite(out))
    if bad.size:
        raise InvalidInput(f"{name}[{bad[0]}]={out[bad[0]]} is not finite; leave it out")
    return out


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


def check_open_unit(value: float, name: str, example: float) -> float:
    """A number strictly between 0 and 1: a level, a share, a power."""
    return number(name, value, "(0, 1)", f"use a number such as {example}")


def check_half_width(value: float) -> float:
    """Half the width of an interval, above 0 and finite."""
    if not (is_number(value) and 0 < value < np.inf):
        raise InvalidInput(f"half_width={value!r} is not above 0; use a width in the unit of the scores")
    return float(value)


def check_share(quantity: str, scores: Floats | None = None) -> bool:
    """Whether a question is about a share, which takes scores of 0 and 1, and not about a mean."""
    of_share = choice("quantity", quantity, ("mean", "share")) == "share"
    if of_share and scores is not None and not np.isin(scores, (0.0, 1.0)).all():
        raise InvalidInput("scores for quantity='share' hold other values than 0 and 1; give scores >= bar instead")
    return of_share


def check_count(n: int, name: str, *, at_least: int = 1) -> int:
    """One whole number, at least ``at_least``; numbers of agents may be beyond 32 bits."""
    return whole(name, n, at_least, 2**63 - 1)


def check_hits(successes: int, n: int, undefined: int) -> tuple[int, int, int]:
    """Agents that succeeded, agents of which it is known, and further ones of which it is not."""
    agents = check_count(n, "n")
    hits = check_count(successes, "successes", at_least=0)
    if hits > agents:
        raise InvalidInput(f"successes={hits} is above n={agents}; count the successes among the n agents")
    return hits, agents, check_count(undefined, "undefined", at_least=0)


def check_counts(k: int | Sequence[int] | Ints) -> Ints:
    """One number of seeds or several, each at least 1, as an int64 vector."""
    array = np.atleast_1d(np.asarray(k))
    if array.dtype.kind not in "iu" or array.ndim != 1 or array.size == 0:
        raise InvalidInput(f"k={k!r} is not a whole number or a vector of them; use for example [1, 3, 5, 10]")
    if (array < 1).any():
        raise InvalidInput(f"k={k!r} holds {array.min()}; use whole numbers that are at least 1")
    return array.astype(np.int64)


def check_rng(rng: Rng) -> np.random.Generator:
    """Turn a seed, a SeedSequence, a generator or None into a generator (SPEC 7)."""
    if not (rng is None or is_whole(rng) or isinstance(rng, np.random.SeedSequence | np.random.Generator)):
        raise InvalidInput(f"rng={rng!r} is not a seed or a generator; use numpy.random.default_rng(7), for example")
    if isinstance(rng, int | np.integer) and rng < 0:
        raise InvalidInput(f"rng={rng} is negative; use a whole number >= 0")
    return np.random.default_rng(rng)

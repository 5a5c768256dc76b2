"""Where an agent's random stream comes from, so that anyone can make it again in plain Python.

A run has a seed, an agent has a number (0, 1, …).  NumPy's `SeedSequence` turns the seed into two 64-bit keys, and
the splitmix64 finaliser (Steele, Lea & Flood 2014) turns keys and number into the 96 bits that start the agent's own
sfc32 stream (Doty-Humphrey, PractRand 0.93, 2010)::

    k0, k1 = numpy.random.SeedSequence(seed).generate_state(2, numpy.uint64)
    z0 = mix(k0 + (i + 1) * 0x9E3779B97F4A7C15)             # modulo 2**64; differs for all i
    z1 = mix(k1 + z0)
    a, b, c, d = z0 % 2**32, z0 >> 32, z1 % 2**32, 1        # then 12 draws are thrown away

    def mix(z):
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
        return z ^ z >> 31

    def draw():
        word = (a + b + d) % 2**32
        a, b, c, d = b ^ b >> 9, c + 8 * c, rotate_left(c, 21) + word, d + 1        # modulo 2**32
        return word

The stream depends on the seed and the agent's number alone: not on how many agents there are, nor on how they are
divided over blocks, threads or machines.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.errors import InvalidInput

__all__ = [
    "Seed", "agent_streams", "as_seed_sequence", "next_words", "seed_as_given", "seed_from_json", "seed_in_code",
    "seed_in_words", "seed_number", "seed_of_problem", "seed_to_json",
]  # fmt: skip

#: What counts as a seed.
Seed = int | Sequence[int] | SeedSequence | None

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WARM_UP = 12
_POOL: Final = 4  # NumPy's own size of a SeedSequence's pool
_MOST_POOL: Final = 1024  # mixing a pool takes its size squared
_MOST_BITS: Final = 4096  # of entropy and spawn key together: a number that JSON can hold


def as_seed_sequence(seed: Seed) -> SeedSequence:
    """Turn a seed into NumPy's SeedSequence; None draws fresh entropy from the operating system."""
    if isinstance(seed, SeedSequence):
        sequence = seed
    elif isinstance(seed, (bool, float, np.floating, np.bool_)):
        msg = f"seed={seed!r:.60} is not a whole number; use an int of at least 0, or None for fresh entropy"
        raise InvalidInput(msg)
    else:
        try:
            sequence = SeedSequence(int(seed) if isinstance(seed, np.integer) else seed)
        except (TypeError, ValueError, OverflowError) as error:
            msg = f"seed={seed!r:.60} cannot seed a run; use an int of at least 0, or None for fresh entropy"
            raise InvalidInput(msg) from error
    _check_size(sequence)
    return sequence


def _check_size(sequence: SeedSequence) -> None:
    """Refuse what takes long to mix, or could not be written down."""
    if not _POOL <= sequence.pool_size <= _MOST_POOL:
        msg = f"a seed's pool_size={sequence.pool_size} is outside {_POOL} … {_MOST_POOL:,}; use a smaller one"
        raise InvalidInput(msg)
    bits = sum(max(int(part).bit_length(), 32) for part in (*_flat(sequence.entropy), *_flat(sequence.spawn_key)))
    if bits > _MOST_BITS:
        raise InvalidInput(f"a seed of {bits:,} bits is above {_MOST_BITS:,}; use a smaller number, or fewer of them")


def _flat(value: Any) -> list[int]:
    """The numbers of entropy or of a spawn key, in a row, as NumPy mixes them."""
    if value is None:
        return []
    if isinstance(value, str):  # NumPy takes "7" and "0x7" within a sequence
        return [int(value, 16 if value.lower().startswith("0x") else 10)]
    if isinstance(value, (int, np.integer)):
        return [int(value)]
    return [number for part in value for number in _flat(part)]


def seed_to_json(seed: SeedSequence) -> dict[str, Any]:
    """Say which seed this is, ready for JSON: all that its streams depend on.

    >>> seed_to_json(SeedSequence(5, spawn_key=(1,), pool_size=8))
    {'entropy': 5, 'spawn_key': [1], 'pool_size': 8}
    """
    entropy = seed.entropy
    one = isinstance(entropy, (int, np.integer))
    return {
        "entropy": int(entropy) if one else _flat(entropy),  # type: ignore[arg-type]
        "spawn_key": _flat(seed.spawn_key),
        "pool_size": int(seed.pool_size),
    }


def seed_from_json(content: Mapping[str, Any]) -> SeedSequence:
    """Make the seed that `seed_to_json` has described."""
    try:
        entropy, key, pool = (content[name] for name in ("entropy", "spawn_key", "pool_size"))
        numbers = [*(entropy if isinstance(entropy, list) else [entropy]), *key, pool]
        if all(type(number) is int and number >= 0 for number in numbers) and _POOL <= pool <= _MOST_POOL:
            sequence = SeedSequence(entropy, spawn_key=tuple(key), pool_size=pool)
            _check_size(sequence)
            return sequence
    except (KeyError, TypeError):
        pass
    msg = f"{content!r:.80} describes no seed; it has entropy, a spawn_key and a pool_size of whole numbers"
    raise InvalidInput(msg)


def seed_as_given(seed: SeedSequence) -> Seed:
    """Give a seed as `qfast.train` takes it, as short as it can be: a number, a list of them, or the whole sequence."""
    content = seed_to_json(seed)
    return content["entropy"] if _is_plain(content) else seed


def seed_in_code(content: Mapping[str, Any]) -> str:
    """Write what `seed_to_json` gave as Python, for a call that makes the same streams again.

    >>> seed_in_code(seed_to_json(SeedSequence(5))), seed_in_code(seed_to_json(SeedSequence(5, pool_size=8)))
    ('5', 'numpy.random.SeedSequence(5, pool_size=8)')
    """
    if _is_plain(content):
        return f"{content['entropy']}"
    key = f", spawn_key={tuple(content['spawn_key'])}" if content["spawn_key"] else ""
    pool = f", pool_size={content['pool_size']}" if content["pool_size"] != _POOL else ""
    return f"numpy.random.SeedSequence({content['entropy']}{key}{pool})"


def seed_in_words(content: Mapping[str, Any]) -> str:
    """Write what `seed_to_json` gave for a reader.

    >>> seed_in_words(seed_to_json(SeedSequence(5, spawn_key=(1,), pool_size=8)))
    '5 with spawn key (1,) and pool size 8'
    """
    key = f"spawn key {tuple(content['spawn_key'])}" if content["spawn_key"] else ""
    pool = f"pool size {content['pool_size']}" if content["pool_size"] != _POOL else ""
    return f"{content['entropy']}" + (f" with {' and '.join(filter(None, (key, pool)))}" if key or pool else "")


def seed_number(content: Mapping[str, Any]) -> Any:
    """Give what `seed_to_json` gave as the one number that is enough, or else the whole of it.

    >>> seed_number(seed_to_json(SeedSequence(5))), seed_number(seed_to_json(SeedSequence([5])))
    (5, {'entropy': [5], 'spawn_key': [], 'pool_size': 4})
    """
    return content["entropy"] if _is_plain(content) and isinstance(content["entropy"], int) else content


def seed_of_problem(seed: SeedSequence, name: str) -> SeedSequence:
    """Make the seed of one of several problems from the seed of all and its name: the streams have nothing in common.

    The spawn key goes on with the first four 32-bit words (little-endian) of the name's SHA-256 in UTF-8.

    >>> seed_of_problem(SeedSequence(5), "lake").spawn_key
    (35586671, 232641896, 3580504142, 861351712)
    """
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], "<u4").tolist()
    return SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *words), pool_size=seed.pool_size)


def _is_plain(content: Mapping[str, Any]) -> bool:
    """Whether a seed's numbers alone make it again."""
    return not content["spawn_key"] and content["pool_size"] == _POOL


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def agent_streams(seed: SeedSequence, first: int, count: int) -> NDArray[np.uint32]:
    """Make the sfc32 states of agents ``first`` … ``first + count - 1``: words a, b, c, d, uint32 (4, count)."""
    k0, k1 = seed.generate_state(2, np.uint64)
    number = np.arange(first, first + count, dtype=np.uint64) + np.uint64(1)
    z0 = _mix(np.asarray(k0 + number * _GOLDEN))
    z1 = _mix(np.asarray(k1 + z0))
    low = np.uint64(0xFFFFFFFF)
    streams = np.stack([z0 & low, z0 >> np.uint64(32), z1 & low, np.ones_like(z0)]).astype(np.uint32)
    for _ in range(_WARM_UP):
        next_words(streams)
    return streams


def next_words(streams: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Draw one word (n,) from each of the streams (4, n), which are moved on in place."""
    a, b, c, d = streams
    words: NDArray[np.uint32] = a + b + d
    rotated: NDArray[Any] = (c << np.uint32(21)) | (c >> np.uint32(11))
    streams[:] = b ^ (b >> np.uint32(9)), c + (c << np.uint32(3)), rotated + words, d + np.uint32(1)
    return words

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

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.errors import InvalidInput

__all__ = ["Seed", "agent_streams", "as_seed_sequence", "next_words"]

#: What counts as a seed.
Seed = int | Sequence[int] | SeedSequence | None

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WARM_UP = 12


def as_seed_sequence(seed: Seed) -> SeedSequence:
    """Turn a seed into NumPy's SeedSequence.

    Parameters
    ----------
    seed : int, sequence of int, SeedSequence or None
        None draws fresh entropy from the operating system.

    Returns
    -------
    numpy.random.SeedSequence
        Its ``entropy`` (and ``spawn_key``) say how to make it again.

    Raises
    ------
    InvalidInput
        If the seed is negative or not a whole number.

    Examples
    --------
    >>> as_seed_sequence(7).entropy
    7
    """
    if isinstance(seed, SeedSequence):
        return seed
    if isinstance(seed, (bool, float, np.floating, np.bool_)):
        msg = f"seed={seed!r:.60} is not a whole number; use an int of at least 0, or None for fresh entropy"
        raise InvalidInput(msg)
    parts = np.atleast_1d(seed) if isinstance(seed, np.ndarray) else seed
    if isinstance(parts, (Sequence, np.ndarray)) and any(isinstance(p, (Sequence, np.ndarray, bool)) for p in parts):
        msg = f"seed={seed!r:.60} is no row of whole numbers; use an int of at least 0, or None for fresh entropy"
        raise InvalidInput(msg)
    try:
        return SeedSequence(int(seed) if isinstance(seed, np.integer) else seed)
    except (TypeError, ValueError) as error:
        msg = f"seed={seed!r:.60} cannot seed a run; use an int of at least 0, or None for fresh entropy"
        raise InvalidInput(msg) from error


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def agent_streams(seed: SeedSequence, first: int, count: int) -> NDArray[np.uint32]:
    """Make the starting states of agents ``first`` … ``first + count - 1``.

    Parameters
    ----------
    seed : numpy.random.SeedSequence
        The run's seed.
    first, count : int
        The agents' numbers.

    Returns
    -------
    ndarray of uint32, shape (4, count)
        The words a, b, c, d of each agent's sfc32 stream.

    Examples
    --------
    >>> one = agent_streams(as_seed_sequence(0), 41, 1)
    >>> many = agent_streams(as_seed_sequence(0), 0, 100)
    >>> bool((one[:, 0] == many[:, 41]).all())
    True
    """
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
    """Draw one word from each stream, in place.

    Parameters
    ----------
    streams : ndarray of uint32, shape (4, n)
        As `agent_streams` makes them; moved on by one draw.

    Returns
    -------
    ndarray of uint32, shape (n,)

    Examples
    --------
    >>> streams = agent_streams(as_seed_sequence(0), 0, 2)
    >>> next_words(streams).shape
    (2,)
    """
    a, b, c, d = streams
    words: NDArray[np.uint32] = a + b + d
    rotated: NDArray[Any] = (c << np.uint32(21)) | (c >> np.uint32(11))
    streams[:] = b ^ (b >> np.uint32(9)), c + (c << np.uint32(3)), rotated + words, d + np.uint32(1)
    return words

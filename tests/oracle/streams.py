"""The agents' random streams: one agent in plain integers, and many at once in NumPy.

The generator is sfc32 (Doty-Humphrey, PractRand 0.93, 2010), seeded for each agent from
``numpy.random.SeedSequence(seed)`` and the agent's number through the finaliser of splitmix64 (Steele, Lea and Flood,
OOPSLA 2014).
"""

import numpy as np

MASK32 = 2**32 - 1
MASK64 = 2**64 - 1
THROWN_AWAY = 12


def mix(z):
    """The finaliser of splitmix64, on one Python integer."""
    z &= MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    return z ^ (z >> 31)


class Stream:
    """The words of one agent, one after the other."""

    def __init__(self, a, b, c, d):
        self.a, self.b, self.c, self.d = (int(word) for word in (a, b, c, d))

    @classmethod
    def of(cls, seed, agent):
        """Make the stream of an agent of a run."""
        sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        k0, k1 = (int(k) for k in sequence.generate_state(2, np.uint64))
        z0 = mix(k0 + (agent + 1) * 0x9E3779B97F4A7C15)
        z1 = mix(k1 + z0)
        stream = cls(z0 & MASK32, z0 >> 32, z1 & MASK32, 1)
        for _ in range(THROWN_AWAY):
            stream.word()
        return stream

    @classmethod
    def that_begins(cls, first, second, b=0x12345678, d=1):
        """Make a stream whose next two words are given."""
        a = (first - b - d) & MASK32
        nine_c = (second - (b ^ (b >> 9)) - (d + 1)) & MASK32  # c + (c << 3) becomes the next b
        return cls(a, b, nine_c * pow(9, -1, 2**32) & MASK32, d)

    @property
    def words(self):
        """The words of its state."""
        return self.a, self.b, self.c, self.d

    def word(self):
        """The next word, in [0, 2**32)."""
        a, b, c, d = self.a, self.b, self.c, self.d
        word = (a + b + d) & MASK32
        self.a = b ^ (b >> 9)
        self.b = (c + (c << 3)) & MASK32
        self.c = (((c << 21) | (c >> 11)) + word) & MASK32
        self.d = (d + 1) & MASK32
        return word


def many_words(seed, agents, n_words):
    """The first words of many agents, uint32 (n_words, agents): the same streams, for statistics on millions."""
    k0, k1 = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    with np.errstate(over="ignore"):
        z0 = _mix_array(k0 + (np.asarray(agents, np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
        z1 = _mix_array(k1 + z0)
    a, b, c = z0.astype(np.uint32), (z0 >> np.uint64(32)).astype(np.uint32), z1.astype(np.uint32)
    words = np.empty((n_words, a.size), np.uint32)
    for t in range(-THROWN_AWAY, n_words):
        word = a + b + np.uint32(t + THROWN_AWAY + 1)
        a, b, c = b ^ (b >> np.uint32(9)), c + (c << np.uint32(3)), ((c << np.uint32(21)) | (c >> np.uint32(11))) + word
        if t >= 0:
            words[t] = word
    return words


def _mix_array(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))

"""The agents' random words: uniform, in time and over agents, in every bit, and in both uses of one word.

Each assertion has a false-alarm rate of 1e-6 at a seed fixed beforehand (see `oracle.chance`).
"""

import numpy as np
import pytest
from oracle.chance import assert_counts, assert_independent, assert_mean, assert_uniform
from oracle.streams import Stream, many_words
from scipy import stats

from qfast.model.seeding import agent_streams, as_seed_sequence, next_words

MANY_AGENTS = 100_000


def one_agent(seed, n_words):
    stream = Stream.of(seed, 0)
    return np.array([stream.word() for _ in range(n_words)])


def differing_bits(left, right):
    """In how many of 32 bits each pair of words differs."""
    return np.unpackbits(np.ascontiguousarray(left ^ right).view(np.uint8)).reshape(-1, 32).sum(axis=1)


SAMPLES = {
    "one agent, long": lambda: one_agent(11, 300_000),
    "the first word of many agents": lambda: many_words(12, np.arange(MANY_AGENTS), 1)[0],
    "many agents, some words each": lambda: many_words(13, np.arange(2**40, 2**40 + 20_000), 50).ravel(),
    "the first word of agent 0, many seeds": lambda: np.array([Stream.of(seed, 0).word() for seed in range(30_000)]),
}


@pytest.fixture(scope="module", params=SAMPLES)
def words(request):
    return SAMPLES[request.param]().astype(np.uint32)


@pytest.mark.parametrize(("seed", "agent"), [(0, 0), (1, 0), (0, 1), (2**100 + 3, 7), (5, 10**9), (5, 2**31 + 1)])
def test_streams_of_the_library_are_those_of_the_specification(seed, agent):
    plain = Stream.of(seed, agent)
    expected = [plain.word() for _ in range(50)]
    streams = agent_streams(as_seed_sequence(seed), agent, 3)
    assert [int(next_words(streams)[0]) for _ in range(50)] == expected
    assert many_words(seed, [agent, agent + 1], 50)[:, 0].tolist() == expected


def test_first_words_of_a_known_agent():
    # A change here would change every result that anyone has kept.
    stream = Stream.of(3, 7)
    assert [stream.word() for _ in range(3)] == [2530089053, 1624614549, 1427790798]


def test_every_bit_is_fair(words):
    for bit in range(32):
        ones = int(((words >> np.uint32(bit)) & np.uint32(1)).sum())
        assert_counts([ones, words.size - ones], [1, 1])


def test_every_byte_is_uniform(words):
    for shift in (0, 8, 16, 24):
        assert_uniform((words >> np.uint32(shift)) & np.uint32(255), 256)


def test_words_are_uniform_as_a_whole(words):
    statistic = stats.kstest(words / 2**32, "uniform")
    assert statistic.pvalue > 1e-6


@pytest.mark.parametrize("shift", [28, 14, 0])
def test_neighbouring_words_are_independent(words, shift):
    digits = (words >> np.uint32(shift)) & np.uint32(15)
    for lag in (1, 2, 3, 7):
        blocks = digits[: digits.size // (2 * lag) * 2 * lag].reshape(-1, 2, lag)  # no word is in two pairs
        assert_independent(blocks[:, 0], blocks[:, 1], 16, 16)


def test_neighbouring_words_differ_in_half_of_the_bits(words):
    for lag in (1, 2, 64):
        assert_mean(differing_bits(words[lag:], words[:-lag]), 16, np.sqrt(8))


@pytest.mark.parametrize("step", [1, 2, 63, 64])
def test_streams_of_neighbouring_agents_are_independent_word_by_word(step):
    words = many_words(14, np.arange(4_000), 200)
    left, right = words[:, :-step], words[:, step:]
    assert_mean(differing_bits(left, right), 16, np.sqrt(8))
    for shift in (28, 0):
        one = (words >> np.uint32(shift)) & np.uint32(15)
        first, second = one[:, : -step : 2 * step], one[:, step :: 2 * step]
        n = min(first.shape[1], second.shape[1])
        assert_independent(first[:, :n], second[:, :n], 16, 16)


def test_streams_of_neighbouring_seeds_are_independent_word_by_word():
    one, other = (many_words(seed, np.arange(4_000), 100) for seed in (100, 101))
    assert_mean(differing_bits(one, other), 16, np.sqrt(8))
    assert_independent(one >> np.uint32(28), other >> np.uint32(28), 16, 16)


def test_serial_correlation_is_nil():
    words = many_words(15, np.arange(100), 10_000).astype(float) / 2**32 - 0.5
    for lag in (1, 2, 3, 10):
        products = words[lag:] * words[:-lag]
        assert_mean(products, 0, 1 / 12)  # neighbouring products are uncorrelated where words are independent


def test_first_words_of_many_agents_collide_as_often_as_chance_has_it():
    # Birthdays: pairs of equal words among n are close to Poisson with mean n (n - 1) / 2**33.
    first = many_words(16, np.arange(1_000_000), 1)[0]
    collisions, mean = first.size - np.unique(first).size, first.size * (first.size - 1) / 2**33
    law = stats.poisson(mean)
    assert min(law.cdf(collisions), law.sf(collisions - 1)) > 0.5e-6


def test_starting_states_of_a_million_agents_all_differ():
    streams = np.ascontiguousarray(agent_streams(as_seed_sequence(17), 0, 1_000_000)[:3].T)
    assert np.unique(streams.view("V12")).size == 1_000_000


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 9])
def test_both_uses_of_one_word_are_uniform_and_independent(words, n):
    # divmod(word n, 2**32): `which` picks among n, the rest decides something else.
    product = words.astype(np.uint64) * np.uint64(n)
    which, part = product >> np.uint64(32), product & np.uint64(0xFFFFFFFF)
    assert_independent(which, part >> np.uint64(28), n, 16)


def test_these_tests_would_notice_a_fault(words):
    with pytest.raises(AssertionError):
        assert_uniform(np.where(words % 10 == 0, words | np.uint32(1 << 31), words) >> np.uint32(24), 256)
    with pytest.raises(AssertionError):
        assert_mean(words / 2**32 + 0.02, 0.5, np.sqrt(1 / 12))
    with pytest.raises(AssertionError):
        assert_counts([words.size, 1], [1, 0])
    with pytest.raises(AssertionError, match="too few"):
        assert_counts([3, 4], [1, 1])

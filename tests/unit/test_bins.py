"""Counts of values in bins: exact where there are few, bounded where there are many, the same in whatever order."""

import pickle

import numpy as np
import pytest

from qfast.engine.bins import MOST, Bins
from qfast.engine.curve import LEVELS, SummaryBuilder


def counted(values, size=64, order=None):
    """What blocks of `size` agents give together."""
    whole = Bins(values.shape[1])
    firsts = range(0, len(values), size)
    for first in firsts if order is None else order.permutation(firsts):
        part = Bins(values.shape[1])
        part.add(values[first : first + size])
        whole.merge(pickle.loads(pickle.dumps(part)))
    return whole


def cut(values, dropped=0):
    bits = values.astype(np.float32).view(np.uint32) >> np.uint32(16 + dropped) << np.uint32(16 + dropped)
    return bits.view(np.float32)


def quantiles(values, dropped):
    ranks = [int(np.ceil(level * len(values))) - 1 for level in LEVELS]
    return np.sort(cut(values, dropped), axis=0)[ranks]


MADE = {
    "whole numbers": lambda rng, shape: rng.integers(-400, 300, shape).astype(np.float32),
    "continuous": lambda rng, shape: rng.normal(size=shape).astype(np.float32),
    "ranges that differ": lambda rng, shape: rng.normal(size=shape) * 10.0 ** rng.integers(-9, 9, shape[0])[:, None],
}


@pytest.mark.parametrize("kind", MADE)
def test_bins_are_few_and_depend_on_the_values_alone(kind):
    values = MADE[kind](np.random.default_rng(0), (1_000, 50))
    whole = counted(values)
    # As few bits are dropped as have to be.
    filled = [np.unique(cut(values, dropped)).size for dropped in range(8)]
    assert whole.dropped == next(dropped for dropped, count in enumerate(filled) if count <= MOST)
    assert (whole.dropped == 0) == (kind == "whole numbers")
    assert whole.boxes.size == filled[whole.dropped]
    np.testing.assert_array_equal(whole.quantiles(LEVELS), quantiles(values, whole.dropped))
    for size, seed in ((64, 1), (192, 2), (1_000, 3)):
        other = counted(values, size, np.random.default_rng(seed))
        assert other.dropped == whole.dropped
        order, same = (np.argsort(bins.boxes) for bins in (other, whole))
        np.testing.assert_array_equal(other.counts[order], whole.counts[same])
    assert whole.counts.nbytes <= 2 * (MOST + 64) * 50


def test_a_block_takes_no_more_memory_than_its_agents_do():
    part = Bins(500)
    part.add(np.random.default_rng(0).normal(size=(64, 500)))
    assert not part.counts.size
    assert part.raw[0][0].nbytes == 64 * 500 * 2
    few = Bins(500)
    few.add(np.ones((1_024, 500), np.float32))
    assert few.counts.nbytes == 1 * 500 * 2
    assert not few.raw


def test_values_beyond_float32_are_counted():
    values = np.array([[1e300], [-1e300], [np.nan], [1.0]]).repeat(30, axis=0)
    bins = Bins(1)
    bins.add(values)
    assert bins.quantiles((0.25, 0.5)).ravel().tolist() == [-np.inf, 1.0]
    wide = Bins(1)
    wide.add(np.concatenate([values, np.random.default_rng(0).normal(size=(1_000, 1)) * 1e200]))
    assert wide.n_agents == 1_120


def test_a_saved_summary_goes_on_with_the_precision_that_it_had():
    rng = np.random.default_rng(5)
    returns, lengths = rng.normal(size=(640, 40)), rng.integers(1, 9, (640, 40)).astype(np.int32)

    def builder(first, size):
        part = SummaryBuilder(40)
        part.add(0, first, returns[first : first + size], lengths[first : first + size])
        return part

    at_once, begun = builder(0, 640), SummaryBuilder(40)
    for first in range(0, 320, 64):
        begun.merge(builder(first, 64))
    begun = SummaryBuilder.from_arrays(begun.to_arrays(), 40)
    for first in range(320, 640, 64):
        begun.merge(builder(first, 64))
    expected, found = (one.curve().to_arrays("") for one in (at_once, begun))
    assert all(found[name].tobytes() == expected[name].tobytes() for name in expected)
    assert begun.returns[0].bins.dropped == at_once.returns[0].bins.dropped >= 1

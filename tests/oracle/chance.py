"""Tests of counts against expected ones, with a false-alarm rate.

Seeds are fixed, so a test that passes passes always.  The rate says how likely it was that a correct program would have
failed for the seed written down: one in a million for each assertion.
"""

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-6


def assert_counts(counts, expected):
    """Pearson's chi-square test of counts against expected ones, which are scaled to the same total.

    Cells expected empty must be empty.  Cells with fewer than 20 expected are counted together.
    """
    counts, expected = np.ravel(counts).astype(float), np.ravel(expected).astype(float)
    assert counts.shape == expected.shape
    assert not counts[expected == 0].any()
    n_possible = np.count_nonzero(expected)
    expected = expected * counts.sum() / expected.sum()
    order = np.argsort(expected)
    together = max(np.searchsorted(np.cumsum(expected[order]), 20) + 1, np.count_nonzero(expected < 20))
    counts, expected = (np.append(x[order[together:]], x[order[:together]].sum()) for x in (counts, expected))
    assert counts.size > 1 or n_possible == 1, "too few observations to tell anything"
    if counts.size > 1:
        statistic = ((counts - expected) ** 2 / expected).sum()
        p_value = stats.chi2.sf(statistic, counts.size - 1)
        assert p_value > FALSE_ALARM, f"chi-square {statistic:.1f} for {counts.size} cells: p={p_value:.2g}"


def assert_uniform(values, n_cells):
    """Chi-square test that whole numbers are uniform over 0 … n_cells - 1."""
    counts = np.bincount(np.ravel(values).astype(np.int64), minlength=n_cells)
    assert counts.size == n_cells
    assert_counts(counts, np.ones(n_cells))


def assert_independent(left, right, n_left, n_right):
    """Chi-square test that pairs of whole numbers are uniform and independent."""
    cells = np.ravel(left).astype(np.int64) * n_right + np.ravel(right).astype(np.int64)
    assert_uniform(cells, n_left * n_right)


def assert_mean(values, mean, deviation):
    """Normal test of the mean of many independent values with a known mean and standard deviation."""
    z = (np.mean(values) - mean) / (deviation / np.sqrt(np.size(values)))
    assert 2 * stats.norm.sf(abs(z)) > FALSE_ALARM, f"mean {np.mean(values):.9g}, expected {mean:.9g}: z={z:.2f}"

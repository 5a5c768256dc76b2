"""Do the intervals that a study adds hold the truth as often as they say?  Counted as in ``test_coverage.py``."""

import numpy as np
import pytest
from made_studies import made_study
from scipy import stats as sp

FALSE_ALARM = 1e-4
N_STUDIES = 150


def assert_coverage(hits, allowed):
    low = sp.binom.ppf(FALSE_ALARM, N_STUDIES, allowed[0])
    high = sp.binom.isf(FALSE_ALARM, N_STUDIES, allowed[1])
    assert low <= hits <= high, f"{hits} of {N_STUDIES}, {low:.0f} to {high:.0f} are allowed"


@pytest.mark.parametrize("paired", [True, False])
def test_simultaneous_intervals_of_differences_hold_together(paired):
    rng = np.random.default_rng(20)
    truth, hits = np.array([0.0, 0.3, 1.0]), 0
    for _ in range(N_STUDIES):
        scores = truth[:, None] + rng.normal(size=(3, 60)) * [[1.0], [2.0], [0.5]] + paired * rng.normal(size=60)
        vary = {"alpha": [0.1, 0.2, 0.3]}
        study = made_study(vary, n_agents=60, metrics={"auc": scores}, paired=paired, curves=False)
        pairs = study.compare_all(simultaneous=True).pairs
        hits += all(truth[p.a] - truth[p.b] in p.comparison.difference.interval for p in pairs)
    assert_coverage(hits, (0.95, 1.0))


def test_times_that_may_never_come():
    """An exponential time with a mean of 80 episodes, followed for 100: its restricted mean, median and share."""
    rng = np.random.default_rng(21)
    mean, median, share = 80 * (1 - np.exp(-100 / 80)), 80 * np.log(2), 1 - np.exp(-100 / 80)
    hits = np.zeros(3, dtype=int)
    for _ in range(N_STUDIES):
        times = rng.exponential(80, size=(1, 120))
        times[times > 100] = np.inf
        study = made_study({"alpha": [0.1]}, n_agents=120, metrics={"first_optimal": times}, curves=False)
        row = study.summary("first_optimal").rows[0]
        ends = row.summary.mean.interval, row.summary.median.interval, row.happened.interval
        hits += [value in interval for value, interval in zip((mean, median, share), ends, strict=True)]
    assert_coverage(hits[0], (0.94, 0.96))
    assert_coverage(hits[1], (0.95, 1.0))
    assert_coverage(hits[2], (0.93, 0.97))

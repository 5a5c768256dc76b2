"""Every kind of interval holds the truth as often as it says, or carries a caution in most studies that says why not.

The populations, and the table that stands in the documentation of `qfast.stats`, are those of ``coverage_table.py``.
"""

import pytest
from scipy import stats as sp
from statistical.coverage_table import POPULATIONS, SIZES, measure

FALSE_ALARM = 1e-5
# At 95 %.  Approximate intervals may be off by this much without a word.
LEAST = 0.93


def check(name: str, n: int, studies: int) -> None:
    for kind, found in measure(name, n, studies).items():
        if found.cautioned >= 0.5 * found.n:
            continue
        least = sp.binom.ppf(FALSE_ALARM, found.n, LEAST)
        assert found.held >= least, f"{kind}, {name}, {n} agents: {found.held} of {found.n}, {least:.0f} are needed"


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", POPULATIONS)
def test_intervals_hold_or_say_why_not(name: str, n: int) -> None:
    check(name, n, 40)


@pytest.mark.long
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", POPULATIONS)
def test_intervals_hold_or_say_why_not_long(name: str, n: int) -> None:
    check(name, n, 2000)


def test_cautions_are_no_habit() -> None:
    # Where nothing is wrong most studies hear no word of warning.
    for kind, found in measure("normal", 30, 60).items():
        assert found.cautioned <= 0.25 * found.n, kind

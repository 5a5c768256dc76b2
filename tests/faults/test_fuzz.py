"""Whatever is given to it: a clear error, or what was asked for.  `faults.fuzz` makes the cases."""

import pytest
from processes import run_python

from faults.fuzz import SURFACES, fuzz

#: Cases in the normal run, and in the long one: 100,000 in all.
CASES = {
    "mdp": (400, 15_000), "from_P": (400, 15_000), "grid": (400, 15_000), "rate": (400, 15_000), "train": (400, 15_000),
    "short training": (100, 5_000),
    "damaged file": (150, 7_000), "forged file": (200, 8_000), "command line": (80, 5_000),
}  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
def test_odd_input(surface):
    count = CASES[surface][0]
    assert 0 < fuzz(surface, count) < count


@pytest.mark.long
@pytest.mark.parametrize("surface", SURFACES)
def test_a_hundred_thousand_odd_inputs(surface):
    assert sum(count for _, count in CASES.values()) == 100_000
    count = CASES[surface][1]
    assert 0 < fuzz(surface, count, seed=1) < count


@pytest.mark.parametrize(
    "how_many", [(), pytest.param((60, 100), marks=pytest.mark.long, id="every variant, a hundred problems each")]
)
def test_no_index_leaves_a_table(tmp_path, how_many):
    environment = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": tmp_path}
    assert "all indices were inside" in run_python("-m", "oracle.checked", *how_many, **environment)

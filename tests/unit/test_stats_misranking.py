"""Misranking: every exact way against plain enumeration of all experiments, the others against the exact ones."""

import itertools
import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats as sp

from qfast.errors import InvalidInput
from qfast.stats import misranking, misranking_of_best, seeds_for_winner, summarize
from qfast.stats.estimates import mean_of
from qfast.stats.experiment import compositions, find_lattice, mass, sum_mass

# Small populations with ties inside and between; the second pair is on no lattice.
UP, DOWN = [0.0, 2.0, 2.0, 3.0], [1.0, 1.0, 2.0, 0.0]
UP_ODD, DOWN_ODD = [0.0, math.sqrt(2), math.pi, 3.3], [0.1, 0.2 + math.e / 10, 2.0, math.sqrt(5)]


def p_value(x: Sequence[float], y: Sequence[float], *, paired: bool) -> float:
    """SciPy's t-test, which warns where one sample has no spread (and is right all the same)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float((sp.ttest_rel(x, y) if paired else sp.ttest_ind(x, y, equal_var=False)).pvalue)


def brute_force(a: list[float], b: list[float], k: int, *, paired: bool) -> list[float]:
    """P(wrong winner), P(tie), P(missed), P(opposite) over all experiments, a the better one."""
    pairs = list(zip(a, b, strict=True))
    if paired:
        experiments = [tuple(zip(*e, strict=True)) for e in itertools.product(pairs, repeat=k)]
    else:
        experiments = list(itertools.product(itertools.product(a, repeat=k), itertools.product(b, repeat=k)))
    totals = np.zeros(4)
    for x, y in experiments:
        gap = round(sum(x) - sum(y), 9)
        totals[:2] += [(gap < 0) + (gap == 0) / 2, gap == 0]
        significant = False
        if k > 1:
            d = np.subtract(x, y)
            flat = np.ptp(d) < 1e-9 if paired else np.ptp(x) == np.ptp(y) == 0
            # Two or three seeds without spread prove nothing: exact tests have p >= 0.1.
            significant = not flat and p_value(x, y, paired=paired) < 0.05
        totals[2:] += [not (significant and gap > 0), significant and gap < 0]
    return list(totals / len(experiments))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_exact_ways_equal_the_enumeration_of_all_experiments(k: int, paired: bool) -> None:
    found = misranking(UP, DOWN, k, paired=paired)
    expected = brute_force(UP, DOWN, k, paired=paired)
    assert [float(v[0]) for v in (found.wrong_winner, found.tied, found.missed, found.opposite)] == pytest.approx(
        expected, abs=1e-12
    )
    assert found.wrong_winner_error[0] == found.missed_error[0] == 0.0
    assert "exact" in found.wrong_winner_method[0]
    assert "exact" in found.missed_method[0]


@pytest.mark.parametrize("paired", [False, True])
def test_scores_on_no_lattice_are_resampled_within_the_stated_error(paired: bool) -> None:
    k = [1, 2, 3]
    found = misranking(UP_ODD, DOWN_ODD, k, paired=paired, n_resamples=20_000, rng=5)
    assert found.wrong_winner_method == ("exact, ranks", "resampled, 20,000", "resampled, 20,000")
    for i, seeds in enumerate(k):
        wrong, _, missed, _ = brute_force(UP_ODD, DOWN_ODD, seeds, paired=paired)
        # 4.5 standard errors: a false alarm in about 1 of 10,000 choices of the seed.
        assert abs(found.wrong_winner[i] - wrong) <= 4.5 * found.wrong_winner_error[i] + 1e-12
        assert abs(found.missed[i] - missed) <= 4.5 * found.missed_error[i] + 1e-12
    assert (found.wrong_winner_error[1:] > 0).all()
    assert (found.wrong_winner_error <= 0.5 / math.sqrt(20_000 - 1)).all()


def test_resampled_test_agrees_with_the_enumerated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.random(500) < 0.9) * 1.0, (rng.random(500) < 0.6) * 1.0
    exact = misranking(a, b, [2, 5, 20])
    monkeypatch.setattr("qfast.stats.experiment.MOST_PAIRS", 0)
    monkeypatch.setattr("qfast.stats.experiment.MOST_CELLS", 0)
    drawn = misranking(a, b, [2, 5, 20], rng=2)
    assert exact.missed_method[2] == "exact, enumeration"
    assert drawn.missed_method[2] == "resampled, 10,000"
    for name in ("missed", "wrong_winner"):
        error = getattr(drawn, f"{name}_error")
        assert (np.abs(getattr(drawn, name) - getattr(exact, name)) <= 4.5 * error).all()


@pytest.mark.parametrize("k", [1, 5, 30, 200])
def test_shares_by_the_binomial(k: int) -> None:
    a, b = [1] * 6 + [0] * 4, [1] * 5 + [0] * 5
    p, q = sp.binom.pmf(np.arange(k + 1), k, 0.6), sp.binom.pmf(np.arange(k + 1), k, 0.5)
    joint = np.outer(p, q)
    wrong = np.triu(joint, 1).sum() + np.trace(joint) / 2
    found = misranking(a, b, k)
    assert found.wrong_winner[0] == pytest.approx(wrong, abs=1e-12)
    assert found.tied[0] == pytest.approx(np.trace(joint), abs=1e-12)


def test_missed_share_by_the_binomial_and_scipys_test() -> None:
    k = 6
    found = misranking([1] * 9 + [0], [1] * 4 + [0] * 6, k)
    missed = 0.0
    for i, j in itertools.product(range(k + 1), repeat=2):
        x, y = [1.0] * i + [0.0] * (k - i), [1.0] * j + [0.0] * (k - j)
        constant = i in (0, k) and j in (0, k)
        significant = i != j if constant else p_value(x, y, paired=False) < 0.05
        if not (significant and i > j):
            missed += sp.binom.pmf(i, k, 0.9) * sp.binom.pmf(j, k, 0.4)
    assert found.missed[0] == pytest.approx(missed, abs=1e-12)


def test_many_seeds_by_edgeworth_meet_the_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.geometric(0.2, 5000) + 0.0, rng.geometric(0.205, 5000) + 0.0
    exact = misranking(a, b, [1500, 4000])
    assert exact.wrong_winner_method == ("exact, convolution",) * 2
    assert exact.missed_method == ("noncentral t",) * 2
    monkeypatch.setattr("qfast.stats.experiment.MOST_CELLS", 0)
    limit = misranking(a, b, [1500, 4000])
    assert limit.wrong_winner_method == ("Edgeworth",) * 2
    assert np.isnan(limit.wrong_winner_error).all()
    assert limit.wrong_winner == pytest.approx(exact.wrong_winner, abs=2e-4)


def test_noncentral_t_meets_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.5, 1.0, 2000), rng.normal(0.0, 2.0, 2000)
    for paired in (False, True):
        drawn = misranking(a, b, 60, paired=paired, rng=1)
        with monkeypatch.context() as patch:
            patch.setattr("qfast.stats.experiment.MOST_DRAWN", 1)
            limit = misranking(a, b, 60, paired=paired)
        assert limit.missed_method == ("noncentral t",)
        assert limit.missed[0] == pytest.approx(drawn.missed[0], abs=0.02)
        assert limit.wrong_winner[0] == pytest.approx(drawn.wrong_winner[0], abs=0.01)


def test_lower_is_better_and_names_turn_with_their_populations() -> None:
    found = misranking(UP, DOWN, [2, 3])
    assert found.better == "a"
    assert misranking(DOWN, UP, [2, 3]).better == "b"
    regret = misranking(-np.array(UP), -np.array(DOWN), [2, 3], higher_is_better=False)
    for other in (misranking(DOWN, UP, [2, 3]), regret):
        assert other.wrong_winner == pytest.approx(found.wrong_winner, abs=1e-14)
        assert other.missed == pytest.approx(found.missed, abs=1e-14)
    assert regret.better == "a"
    assert regret.difference.value == pytest.approx(-found.difference.value)


def test_rng_is_spec_7() -> None:
    def wrong(rng: object) -> list[float]:
        return misranking(UP_ODD, DOWN_ODD, [3, 4], rng=rng, n_resamples=500).wrong_winner.tolist()

    assert wrong(7) == wrong(7) == wrong(np.random.default_rng(7)) == wrong(np.random.SeedSequence(7))
    assert wrong(7) != wrong(8)
    with pytest.raises(InvalidInput, match="rng='x'"):
        wrong("x")
    with pytest.raises(InvalidInput, match="rng=-1 is negative"):
        wrong(-1)


def test_result_prints_a_line_for_each_k() -> None:
    assert len(str(misranking(UP, DOWN, [1, 2, 3])).splitlines()) == 6


@pytest.mark.parametrize("k", [0, [1, 0], 2.5, [], [[1]], "3"])
def test_bad_k_is_named(k: object) -> None:
    with pytest.raises(InvalidInput, match="k="):
        misranking(UP, DOWN, k)


def test_rounding_of_scores_makes_no_difference() -> None:
    # Tenths: 0.1 + 0.2 against 0.3, and differences that are 0.1 or nearly so.
    tenths = misranking([0.1 + 0.2, 0.4, 0.6], [0.3, 0.3, 0.5], [2, 3], paired=True)
    whole = misranking([3, 4, 6], [3, 3, 5], [2, 3], paired=True)
    assert tenths.wrong_winner == pytest.approx(whole.wrong_winner)
    assert tenths.missed == pytest.approx(whole.missed)
    assert tenths.tied == pytest.approx([1 / 9, 1 / 27])


def test_other_bad_input_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"a and b have the same mean \(1\)"):
        misranking([0.0, 2.0], [1.0, 1.0], 3)
    # 0.1 + 0.2 is not 0.3 in floats; it is still no difference.
    with pytest.raises(InvalidInput, match="the same mean"):
        misranking([0.1 + 0.2, 0.3], [0.3, 0.3], 3)
    with pytest.raises(InvalidInput, match="paired=True"):
        misranking(UP, DOWN[:3], 3, paired=True)
    with pytest.raises(InvalidInput, match="alpha="):
        misranking(UP, DOWN, 3, alpha=5)
    with pytest.raises(InvalidInput, match="scores have the same mean in all"):
        misranking_of_best([[1.0, 2.0], [2.0, 1.0]], 3)
    with pytest.raises(InvalidInput, match="holds 1 configurations"):
        misranking_of_best([[1.0, 2.0]], 3)
    with pytest.raises(InvalidInput, match="k=2000 is too large"):
        misranking_of_best([UP_ODD, DOWN_ODD], 2000)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("third", [[0.0, 2.0, 2.0, 3.0], [2.0, 2.0, 2.0, 1.0]])
def test_best_of_three_equals_the_enumeration(k: int, third: list[float]) -> None:
    populations = [DOWN, UP, third]
    named = np.zeros(3)
    experiments = list(itertools.product(*(itertools.product(p, repeat=k) for p in populations)))
    for experiment in experiments:
        sums = np.array([sum(x) for x in experiment])
        named += (sums == sums.max()) / (sums == sums.max()).sum()
    found = misranking_of_best(populations, k)
    assert found.best == (1, 2)
    assert found.named[0] == pytest.approx(named / len(experiments), abs=1e-12)
    assert found.wrong[0] == pytest.approx(named[0] / len(experiments), abs=1e-12)
    assert (found.method, found.wrong_error.tolist()) == (("exact",), [0.0])


def test_best_of_two_is_misranking() -> None:
    for paired in (False, True):
        pair = misranking(UP, DOWN, [1, 4], paired=paired)
        best = misranking_of_best([UP, DOWN], [1, 4], paired=paired, rng=1, n_resamples=20_000)
        assert (np.abs(best.wrong - pair.wrong_winner) <= 4.5 * best.wrong_error + 1e-12).all()
        assert best.method[0].startswith("resampled" if paired else "exact")


def test_best_of_scores_on_no_lattice() -> None:
    populations = [UP_ODD, DOWN_ODD, [0.3, 0.4, 1.0 / 3.0]]
    found = misranking_of_best(populations, [1, 2], rng=9, n_resamples=20_000)
    assert found.method == ("exact", "resampled, 20,000")
    for i, k in enumerate((1, 2)):
        experiments = list(itertools.product(*(itertools.product(p, repeat=k) for p in populations)))
        right = np.mean([sum(e[0]) > max(sum(e[1]), sum(e[2])) for e in experiments])
        assert abs(found.wrong[i] - (1 - right)) <= 4.5 * found.wrong_error[i] + 1e-12


def test_best_of_regrets_is_the_smallest() -> None:
    found = misranking_of_best([UP, DOWN], 2, higher_is_better=False)
    assert found.best == (1,)
    assert found.wrong[0] == pytest.approx(misranking(DOWN, UP, 2, higher_is_better=False).wrong_winner[0])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 2.0, 5.0], [0, 2, 5]),
        ([6.0, 10.0, 26.0], [0, 1, 5]),
        ([0.1, 0.3, 0.1 + 0.2 * 3], [0, 1, 3]),
        ([-200.0, -13.0, -13.0], [0, 1, 1]),
        ([7.0, 7.0], [0, 0]),
    ],
)
def test_lattice_is_the_greatest_common_step(values: list[float], expected: list[int]) -> None:
    assert find_lattice([np.array(values)])[0].tolist() == expected


def test_no_lattice_is_invented() -> None:
    assert find_lattice([np.random.default_rng(0).normal(size=50)]) is None
    assert find_lattice([np.array(UP_ODD), np.array(DOWN_ODD)]) is None
    # Far from zero the rounding of the scores themselves is too coarse to tell.
    assert find_lattice([np.array([1e16, 1e16 + 12, 1e16 + 24])]) is None


def test_two_populations_share_one_zero() -> None:
    a, b = find_lattice([np.array([10.0, 14.0]), np.array([4.0, 8.0])])
    assert (a.tolist(), b.tolist()) == ([3, 5], [0, 2])


def test_mass_of_a_sum_is_the_convolution() -> None:
    p = mass(np.array([0, 1, 1, 4]), 5)
    expected = np.array([1.0])
    for _ in range(7):
        expected = np.convolve(expected, p)
    assert sum_mass(p, 7) == pytest.approx(expected, abs=1e-15)
    assert sum_mass(np.ones(1), 9).tolist() == [1.0]


def test_compositions_list_every_way_once() -> None:
    rows = compositions(4, 3)
    assert sorted(map(tuple, rows.tolist())) == sorted(t for t in itertools.product(range(5), repeat=3) if sum(t) == 4)


def test_one_far_outlier_merges_no_other_scores() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.3, 1, 2000), rng.normal(0, 1, 2000)
    b[0] = -1e10
    first = (a[:, None] < b).mean()  # all pairs, no ties: 0.4196
    pair, best = misranking(a, b, [1, 5], rng=0), misranking_of_best([a, b], [1, 5], rng=0)
    draw = np.random.default_rng(1)
    five = [x[draw.integers(2000, size=(100_000, 5))].mean(axis=1) for x in (a, b)]
    fifth, error = (five[0] < five[1]).mean(), math.sqrt(0.25 / 100_000)
    for found, method in ((pair.wrong_winner, pair.wrong_winner_method), (best.wrong, best.method)):
        assert found[0] == pytest.approx(first, abs=1e-12)
        assert "exact" in method[0]
        assert abs(found[1] - fifth) < 4.5 * math.hypot(0.005, error)
        assert found[1] == pytest.approx(0.33, abs=0.02)


@pytest.mark.parametrize("outlier", [1e10, 1e13, -1e15])
def test_an_outlier_in_both_hides_no_difference(outlier: float) -> None:
    rng = np.random.default_rng(2)
    a, b = np.append(rng.normal(1.0, 1, 200), outlier), np.append(rng.normal(0, 1, 200), outlier)
    expected = (a[:, None] < b).mean() + (a[:, None] == b).mean() / 2
    assert misranking(a, b, 1).wrong_winner[0] == pytest.approx(expected, abs=1e-12)
    assert misranking(a, b, 1).better == "a"
    assert misranking_of_best([a, b], 1).best == (0,)
    assert find_lattice([a, b]) is None


def test_rewards_near_the_largest_float() -> None:
    # All values are multiples of 4e307; their sums and squares are no floats.
    up, down = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 2.0, 1.0, 4.0])
    large, small = misranking(4e307 * up, 4e307 * down, [1, 3]), misranking(up, down, [1, 3])
    assert large.wrong_winner == pytest.approx(small.wrong_winner, abs=1e-12)
    assert large.missed == pytest.approx(small.missed, abs=1e-12)
    assert large.wrong_winner_population_error == pytest.approx(small.wrong_winner_population_error)


@pytest.mark.parametrize("paired", [False, True])
def test_means_whose_sum_is_no_float(paired: bool) -> None:
    up, down = np.array([1.7, 1.69, 1.71, 1.68]), np.array([1.6, 1.7, 1.5, 1.69])
    large, small = (
        misranking(1e308 * up, 1e308 * down, [1, 3], paired=paired, rng=0),
        misranking(up, down, [1, 3], paired=paired, rng=0),
    )
    assert large.wrong_winner == pytest.approx(small.wrong_winner, abs=1e-12)
    assert large.difference.value == pytest.approx(1e308 * small.difference.value)
    assert [mean_of(1e308 * x) for x in (up, down)] == pytest.approx([1e308 * x.mean() for x in (up, down)])
    assert mean_of(np.array([1.0, 1.0, 1.0 - 2**-53]) * np.finfo(float).max) <= np.finfo(float).max
    # A difference beyond all floats: the winner is known, and the difference says why it is no number.
    beyond = misranking(1e308 * up, -1e308 * down, [1, 3], paired=paired, rng=0)
    assert (beyond.better, beyond.wrong_winner.tolist(), beyond.in_doubt) == ("a", [0.0, 0.0], False)
    assert "not defined: it is beyond the range of float64" in str(beyond)
    spread = summarize([1.7e308, -1.7e308] * 3 + [1.6e308])
    assert math.isfinite(spread.mean.value)
    assert "beyond the range" in spread.std.reason
    assert "inf [" not in str(spread)


def test_a_table_never_says_zero_of_what_was_only_not_seen() -> None:
    rng = np.random.default_rng(3)
    found = misranking(rng.normal(3, 1, 500), rng.normal(0, 1, 500), [1, 20], rng=0, n_resamples=1000)
    assert found.wrong_winner[1] == 0.0
    assert "< 0.003" in str(found).splitlines()[-1]
    assert "independent seeds" in str(found)
    paired = misranking(UP_ODD, DOWN_ODD, 2, paired=True, rng=0)
    assert paired.seeds == "shared random numbers"
    assert paired.seeds in str(paired)


def test_best_of_many_has_the_error_of_its_populations() -> None:
    # Two configurations: the same number as a pair's, which comes from the delta method.
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.5, 1, 400), rng.normal(0, 1, 400)
    pair, best = misranking(a, b, [2, 10], rng=0), misranking_of_best([a, b], [2, 10], rng=0)
    assert best.wrong_population_error == pytest.approx(pair.wrong_winner_population_error, rel=0.15)
    paired = misranking_of_best([a, b], [2, 10], rng=0, paired=True)
    expected = misranking(a, b, [2, 10], rng=0, paired=True).wrong_winner_population_error
    assert paired.wrong_population_error == pytest.approx(expected, rel=0.2)
    # Refilled populations of five settings: the spread of the answer over them is the error stated.
    rows = [rng.normal(m, 1, 100) for m in (0.6, 0.3, 0.0, 0.0, -0.3)]
    found = misranking_of_best(rows, 10, rng=0, n_resamples=2000)
    again = [[rng.choice(x, 100) for x in rows] for _ in range(60)]
    named = [misranking_of_best(r, 10, rng=1, n_resamples=400).named[0, found.best[0]] for r in again]
    assert found.wrong_population_error[0] == pytest.approx(np.std(named), rel=0.4)


def test_a_winner_in_doubt_is_called_so() -> None:
    rng = np.random.default_rng(5)
    equal = misranking_of_best([rng.normal(size=100) for _ in range(5)], [1, 30], rng=0)
    assert equal.in_doubt
    assert len(equal.rivals) >= 3
    assert "in doubt: not told from" in str(equal)
    assert misranking(rng.normal(size=100), rng.normal(size=100), 3, rng=0).in_doubt
    assert not misranking([2.0] * 50, [1.0] * 50, 3).in_doubt
    clear = misranking_of_best([rng.normal(m, 1, 400) for m in (2.0, 0.0, 1.0)], [1, 30], rng=0)
    assert (clear.best, clear.rivals, clear.in_doubt) == ((0,), (), False)


@pytest.mark.parametrize("paired", [False, True])
def test_enough_seeds_for_a_winner_and_their_range(paired: bool) -> None:
    rng = np.random.default_rng(6)
    truth = math.ceil(2 * (sp.norm.isf(0.05) / 0.2) ** 2)  # 136 seeds of each for a gap of 0.2 standard deviations
    held = 0
    for _ in range(40):
        found = seeds_for_winner([rng.normal(0.2, 1, 1000), rng.normal(0, 1, 1000)], paired=paired)
        held += found.n_low <= truth <= (found.n_high or math.inf)
        assert found.n_low <= found.n
    assert held >= 34  # 38 expected; fewer than 34 in 1 of 500 choices of the seed
    many = seeds_for_winner([rng.normal(m, 1, 4000) for m in (0.5, 0.0, 0.0)])
    # Two rivals err nearly twice as often as one.
    assert many.n > seeds_for_winner([rng.normal(0.5, 1, 4000), rng.normal(0, 1, 4000)]).n
    doubt = seeds_for_winner([rng.normal(size=100) for _ in range(5)], paired=paired)
    assert doubt.n_high is None
    assert seeds_for_winner([[1.0, 2.0], [2.0, 1.0]]).n is None

"""What is said of experiments elsewhere holds for independent seeds, unless the user asks for shared ones."""

import numpy as np
import pytest
from made_studies import made_study

import qfast


@pytest.fixture(scope="module")
def study():
    """Two settings whose agents hardly differ on the same seed: a small difference beside a large common noise."""
    rng = np.random.default_rng(3)
    common, own = rng.normal(size=2000), rng.normal(size=(2, 2000))
    scores = common + 0.1 * own + np.array([[0.0], [0.1]])
    return made_study({"alpha": [0.1, 0.11]}, n_agents=2000, metrics={"auc": scores}, paired=True, curves=False)


def test_independent_seeds_by_default(study):
    alone, shared = study.misranking(k=5, rng=0), study.misranking(k=5, rng=0, paired=True)
    # Normal theory: Phi(-0.1 sqrt(5) / sqrt(2.02)) = .44, and Phi(-0.1 sqrt(5) / sqrt(0.02)) = .06.
    assert alone.wrong[0] == pytest.approx(0.44, abs=0.02)
    assert shared.wrong[0] == pytest.approx(0.06, abs=0.02)
    assert "with independent seeds an experiment of 5 seeds of each names" in alone.sentence
    assert "with independent seeds" in str(alone)
    assert "with shared random numbers (paired) an experiment of 5 seeds" in shared.sentence


def test_seeds_needed_says_which_experiments_are_meant(study):
    alone, shared = study.seeds_needed(rng=0), study.seeds_needed(rng=0, paired=True)
    # 2 (1.96 + 0.84)^2 1.01 / 0.1^2 = 1,586 and (1.96 + 0.84)^2 0.02 / 0.1^2 = 16 (and two for the t distribution).
    assert alone.n == pytest.approx(1586, rel=0.15)
    assert shared.n == pytest.approx(18, abs=3)
    assert "; independent seeds" in str(alone)
    assert "; shared random numbers" in str(shared)


def test_frozen_lake_with_two_step_sizes():
    """Of 5,000 agents each: five independent seeds err in 35 %, 266 are enough for Welch's test (shared: 9.7 %, 31)."""
    lake, vary = qfast.problems.frozen_lake(), {"alpha": [0.1, 0.11]}
    options = {"n_agents": 5000, "episodes": 1000, "gamma": 0.99, "seed": 0, "metrics": "auc", "checkpoints": None}
    study = qfast.study(lake, vary=vary, curves=False, **options, progress=False)
    assert study.misranking(k=5, rng=0).wrong[0] == pytest.approx(0.35, abs=0.01)
    assert study.misranking(k=5, rng=0, paired=True).wrong[0] == pytest.approx(0.097, abs=0.01)
    needed = study.seeds_needed(rng=0).rows[0].needed
    assert (needed.n, needed.n_low, needed.n_high) == (266, 197, 378)
    assert study.seeds_needed(rng=0, paired=True).n == 31


def test_compare_stays_paired(study):
    assert study.compare(0, 1).comparison.paired
    assert study.compare(0, 1).better == "b"


def test_a_probability_of_nearly_nothing_is_not_zero():
    scores = np.random.default_rng(0).normal(size=(2, 300)) + np.array([[0.0], [3.0]])
    found = made_study({"alpha": [0.1, 0.2]}, n_agents=300, metrics={"auc": scores}, paired=False).misranking(
        k=[1, 5, 30], rng=0
    )
    assert "in 0 %" not in found.sentence


def test_rounding_is_no_loss():
    scores = np.random.default_rng(0).normal(size=300) + 10
    alike = np.stack([scores, scores[::-1], np.sort(scores), scores - 30])
    found = made_study({"alpha": [0.1, 0.2, 0.3, 0.4]}, n_agents=300, metrics={"auc": alike}, paired=False).misranking(
        k=[1, 100], rng=0
    )
    assert len({float(x.mean()) for x in alike[:3]}) > 1  # equal but for rounding
    assert found.loss.tolist() == [0.0, 0.0]


def test_the_best_of_equals_is_in_doubt():
    """Five equal settings: who wins is chance, and the answer says that it does not know."""
    scores = np.random.default_rng(5).normal(size=(5, 100))
    vary = {"alpha": [0.1, 0.2, 0.3, 0.4, 0.5]}
    found = made_study(vary, n_agents=100, metrics={"auc": scores}, curves=False).misranking(k=[5, 100, 1000], rng=0)
    assert found.in_doubt
    assert "does not tell it from" in found.sentence
    assert (found.wrong_error > 0.02).all()
    assert found.enough.n_high is None
    assert "upwards, without end" in found.sentence

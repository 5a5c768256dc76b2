"""Precision: agents are added until an interval is narrow enough, at numbers of agents that are fixed beforehand."""

import numpy as np
import pytest

import qfast
from qfast.stats import PrecisionRule
from qfast.studies.metrics import looks

LAKE = qfast.problems.frozen_lake("4x4", slip=0.0)
VARY = {"epsilon": [0.05, 0.6]}


def make(precision, **changes):
    settings = {"vary": VARY, "n_agents": 6_000, "episodes": 60, "gamma": 0.95, "seed": 1, "progress": False}
    settings |= {"curves": False, "checkpoints": None, "metrics": ["auc", "optimal"]}
    return qfast.study(LAKE, precision=precision, **(settings | changes))


@pytest.fixture(scope="module")
def everyone():
    return make(None)


def first_narrow(scores, rule):
    return next(n for n in looks(6_000) if n == 6_000 or rule.look(scores[:n]).narrow_enough)


def test_paired_configurations_go_on_together(everyone):
    rule = PrecisionRule(0.006)
    needed = [first_narrow(everyone.scores("auc", c), rule) for c in range(2)]
    assert needed[0] != needed[1]
    made = make(0.006)
    assert made.dataset["agents_run"].values.tolist() == [max(needed)] * 2
    np.testing.assert_array_equal(made.scores("auc", 0), everyone.scores("auc", 0)[: max(needed)])
    assert np.isnan(made.scores("auc")[:, max(needed) :]).all()
    assert made.n_agents == 6_000
    assert max(needed) < 6_000
    assert f"{max(needed):,} of at most 6,000 agents each" in repr(made)


def test_unpaired_ones_stop_one_by_one():
    made = make({"auc": PrecisionRule(0.006)}, paired=False)
    everyone = make(None, paired=False)
    needed = [first_narrow(everyone.scores("auc", c), PrecisionRule(0.006)) for c in range(2)]
    assert made.dataset["agents_run"].values.tolist() == needed
    assert made.dataset["optimal"].dtype == np.float64  # NaN where no agent was run
    assert len(made.to_dataframe()) == sum(needed)
    assert made.to_dataframe()["optimal"].dtype == np.bool_


def test_shares(everyone):
    rule = PrecisionRule(0.03, quantity="share")
    needed = max(first_narrow(everyone.scores("optimal", c), rule) for c in range(2))
    assert make({"optimal": 0.03}).dataset["agents_run"].values.tolist() == [needed] * 2


def test_the_limit_holds(everyone):
    made = make(1e-9)
    assert made.dataset.equals(everyone.dataset)


def test_bits_and_folders(tmp_path, monkeypatch):
    once = make(0.006, curves=True, checkpoints=3)
    monkeypatch.setattr("qfast.studies.reduce._MOST_AGENTS", 64)
    monkeypatch.setattr("qfast.studies.folder._INTERVAL", 0.0)
    again = make(0.006, curves=True, checkpoints=3, out=tmp_path, threads=1)
    assert again.dataset.equals(once.dataset)
    monkeypatch.setattr("qfast.engine.scheduler.run_piece", None)
    assert make(0.006, curves=True, checkpoints=3, out=tmp_path).dataset.equals(once.dataset)
    assert qfast.load_study(tmp_path).dataset.equals(once.dataset)


def test_looks_are_fixed_beforehand():
    numbers = looks(100_000)
    assert numbers[0] == 1024
    assert numbers[-1] == 100_000
    assert (np.diff(numbers) > 0).all()
    assert not (np.array(numbers[:-1]) % 512).any()
    assert looks(10) == [10]

"""What is measured of agents: its direction, unit and kind, on every face and in every file."""


import numpy as np
import pytest

import qfast
from qfast import Metric
from qfast.errors import BadFile, InvalidInput

LAKE = qfast.problems.frozen_lake("4x4", slip=0.0)


def failures(block):
    """Episodes without a reward."""
    return (block.returns == 0).sum(axis=1)


def make(**options):
    settings = {"vary": {"epsilon": [0.1, 0.4]}, "n_agents": 200, "episodes": 100, "gamma": 0.95, "seed": 0}
    return qfast.study(LAKE, **(settings | options), progress=False)


@pytest.fixture(scope="module")
def study():
    return make(metrics={"failures": Metric(failures, higher_is_better=False, unit="episodes")})


def test_fewer_failures_are_better(study):
    found = study.compare(0, 1, "failures")
    fewer = "a" if study.scores("failures", 0).mean() < study.scores("failures", 1).mean() else "b"
    assert found.better == fewer == study.compare(0, 1, "auc").better
    assert study.best("failures").label == study.labels["ab".index(fewer)]
    assert "lower is better" in str(study.summary("failures"))


@pytest.mark.parametrize("name", ["study.nc", "study.zarr", "folder"])
def test_files_remember_name_unit_and_direction(study, tmp_path, name):
    if name == "folder":
        own = Metric(failures, higher_is_better=False, unit="episodes")
        make(metrics={"failures": own}, out=tmp_path / name)
    else:
        study.save(tmp_path / name)
    read = qfast.load_study(tmp_path / name)
    metric = read.summary("failures").metric
    assert (metric.name, metric.unit, metric.higher_is_better, metric.is_time) == ("failures", "episodes", False, False)
    assert metric.description == "Episodes without a reward."
    assert read.compare(0, 1, "failures").sentence == study.compare(0, 1, "failures").sentence
    with pytest.raises(InvalidInput, match=r"failures is a metric of your own.*does not hold"):
        read.best("failures")


def test_times_of_the_users_own_may_never_come():
    first = Metric(
        lambda block: np.where(block.returns.any(axis=1), (block.returns > 0).argmax(axis=1) + 1.0, np.inf),
        "first_success", higher_is_better=False, is_time=True,
    )  # fmt: skip
    study = make(metrics=["auc", first])
    assert study.metrics == ["auc", "first_success"]
    scores = study.scores("first_success", 0)
    assert np.isinf(scores).any()
    row = study.summary("first_success").rows[0]
    assert row.summary.mean.value == pytest.approx(np.minimum(scores, 100).mean())
    assert row.happened.value == np.isfinite(scores).mean()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"function": failures}, "higher_is_better=None is neither True nor False"),
        ({"function": 3, "higher_is_better": True}, "3 is no function"),
        ({"function": failures, "name": "two words", "higher_is_better": True}, "cannot be a name"),
        ({"function": failures, "higher_is_better": True, "is_time": True, "unit": "steps"}, "a time is in episodes"),
    ],
)
def test_a_metric_says_all_that_is_needed(options, told):
    with pytest.raises(InvalidInput, match=told):
        Metric(**options)


def test_which_return_is_meant(study):
    assert study.dataset["greedy_return"].attrs["long_name"] == "return of the greedy policy within 100 steps"
    endless = qfast.study(vary={}, n_agents=64, episodes=5, seed=0, progress=False)
    about = endless.dataset["greedy_return"].attrs
    assert about["long_name"] == "return of the greedy policy without an episode limit"
    assert about["description"].endswith("without an episode limit; undefined, NaN, where the sum never settles")


def test_files_of_earlier_states_are_refused(study, tmp_path, monkeypatch):
    monkeypatch.setattr("qfast.studies.storage._FORMAT", "qfast study 1")
    path = study.save(tmp_path / "study.nc")
    monkeypatch.undo()
    with pytest.raises(BadFile, match="written by an earlier state of qfast"):
        qfast.load_study(path)

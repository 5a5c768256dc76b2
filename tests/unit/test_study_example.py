"""README's worked study, with made numbers in place of training."""

import numpy as np
import pytest
from made_studies import made_study

from benchmarks import study_example

pytest.importorskip("matplotlib")


def test_the_best_of_each_rule_are_compared_and_drawn(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    means = np.array([0.5, 0.7, 0.6, 0.3, 0.65, 0.4])
    scores = means[:, None] + 0.2 * rng.normal(size=(6, 200))
    vary = {"rule": list(study_example.RULES), "alpha": list(study_example.ALPHAS)}
    study = made_study(vary, n_agents=200, paired=False, metrics={"greedy_return": scores})
    monkeypatch.setattr(study_example, "run_study", lambda **_: study)
    monkeypatch.setattr(study_example, "N_RESAMPLES", 200)
    assert study_example.best_of_each(study) == [1, 4]
    study_example.main(["--out", str(tmp_path / "a.svg"), "--agents", "200"])
    out = capsys.readouterr().out
    assert "better: rule=q_learning, alpha=0.1; worse: rule=double_q_learning, alpha=0.1" in out
    text = (tmp_path / "a.svg").read_text("utf-8")
    assert "names the wrong winner (by the mean)" in text
    assert "empirical distribution functions" in text

"""Several problems in one study: each has random streams of its own, and every agent can be made again."""

import json

import numpy as np
import pytest

import qfast
from qfast.model.seeding import seed_from_json

LAKES = {name: qfast.problems.frozen_lake("4x4", slip=slip) for name, slip in (("dry", 0.0), ("damp", 0.05))}


def make(mdp=LAKES, **options):
    settings = {"vary": {"epsilon": [0.2, 0.4]}, "n_agents": 400, "episodes": 60, "gamma": 0.95, "seed": 5}
    return qfast.study(mdp, **(settings | options), progress=False)


@pytest.fixture(scope="module")
def study():
    return make()


def test_similar_problems_do_not_correlate():
    steps = {"a": -1.0, "b": -1.1}
    grids = {name: qfast.grid("S..\n...\n..G", step_reward=r, max_episode_steps=500) for name, r in steps.items()}
    options = {"vary": {}, "metrics": ["auc"], "checkpoints": None}
    shared = [make(mdp, **options).scores("auc", 0) for mdp in grids.values()]
    assert np.corrcoef(*shared)[0, 1] > 0.5  # the same streams in both
    scores = make(grids, **options).scores("auc")
    assert abs(np.corrcoef(*scores)[0, 1]) < 0.16  # three standard errors over 400 agents


def test_within_a_problem_agents_stay_paired(study):
    words = json.loads(study.dataset.attrs["problem_seeds"])
    for name, mdp in LAKES.items():
        alone = make(mdp, seed=seed_from_json(words[name]))
        for i, label in enumerate(alone.labels):
            np.testing.assert_array_equal(study.scores("auc", f"problem={name}, {label}"), alone.scores("auc", i))


def test_a_study_of_one_problem_has_the_seeds_own_streams():
    one = make(LAKES["dry"], vary={}, n_agents=64)
    run = qfast.train(LAKES["dry"], n_agents=64, episodes=60, gamma=0.95, seed=5, record="returns", progress=False)
    np.testing.assert_array_equal(one.scores("steps", 0), run.lengths.sum(axis=1))


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("kind", ["memory", "study.nc", "folder"])
def test_train_makes_any_agent_again(tmp_path, paired, kind):
    options = {"paired": paired, "n_agents": 70, "first_agent": 3, "seed": np.random.SeedSequence(9, pool_size=8)}
    study = make(out=tmp_path / kind if kind == "folder" else None, **options)
    if kind == "study.nc":
        study.save(tmp_path / kind)
    if kind != "memory":
        study = qfast.load_study(tmp_path / kind)
    for c in range(len(study)):
        agent = qfast.train(
            study.problems[study.configurations[c]["problem"]], **study.settings(c), seed=study.seed_sequence(c),
            episodes=study.episodes, first_agent=int(study.dataset["first_agent"][c]) + 69, n_agents=1,
            record="returns", progress=False,
        )  # fmt: skip
        assert agent.lengths.sum() == study.scores("steps", c)[69]


def test_settings_without_meaning_are_left_out():
    vary = [{"explore": ["epsilon_greedy"], "epsilon": [0.2]}, {"explore": ["greedy"]}]
    study = make(LAKES["dry"], vary=vary, n_agents=64)
    for c in range(2):
        run = qfast.train(
            LAKES["dry"], **study.settings(c), seed=study.seed_sequence(c), episodes=60, n_agents=64, record="returns",
            progress=False,
        )  # fmt: skip
        np.testing.assert_array_equal(run.lengths.sum(axis=1), study.scores("steps", c))


def test_the_winner_is_run_again_with_the_seed_of_its_problem(study):
    again = study.rerun({"problem": "damp", "epsilon": 0.4}, 64, progress=False)
    assert again.seed_sequence(0).spawn_key == study.seed_sequence("problem=damp, epsilon=0.4").spawn_key
    assert again.dataset["first_agent"].to_numpy().tolist() == [400]

"""Seeds of every form: written down with all that their streams depend on, and made again."""

import json

import numpy as np
import pytest
from numpy.random import SeedSequence

import qfast
from qfast.cli.run_page import seed_of
from qfast.errors import BadFile, InvalidInput
from qfast.model.seeding import (
    as_seed_sequence,
    seed_as_given,
    seed_from_json,
    seed_in_code,
    seed_in_words,
    seed_to_json,
)

SEEDS = [
    0, 2**128 - 1, [1, 2], np.array([3, 2**40]), np.int64(7), ["0x1f", 2], [[1, 2], [3]],
    SeedSequence(5, pool_size=8), SeedSequence(5, spawn_key=(1, 2**40)),
    SeedSequence([5, 6], spawn_key=(0,), pool_size=5),
    SeedSequence(9, pool_size=8).spawn(2)[1],
]  # fmt: skip
SMALL = {"n_agents": 20, "episodes": 10, "progress": False}


def state(seed):
    return seed.generate_state(8).tolist()


@pytest.mark.parametrize("given", SEEDS, ids=repr)
def test_a_seed_is_written_down_and_made_again(given):
    seed = as_seed_sequence(given)
    content = json.loads(json.dumps(seed_to_json(seed)))
    assert state(seed_from_json(content)) == state(seed)
    assert state(as_seed_sequence(seed_as_given(seed))) == state(seed)
    assert state(as_seed_sequence(eval(seed_in_code(content), {"numpy": np}))) == state(seed)


@pytest.mark.parametrize("given", [SeedSequence(5, pool_size=8), SeedSequence(5, spawn_key=(1,))], ids=repr)
def test_what_is_made_with_a_seed_says_all_of_it(tmp_path, given):
    run = qfast.train(seed=given, **SMALL)
    assert (run.q != qfast.train(seed=5, **SMALL).q).any()
    again = qfast.load(run.save(tmp_path / "run.npz"))
    for seed in (run.seed, again.seed):
        np.testing.assert_array_equal(qfast.train(seed=seed, **SMALL).q, run.q)
    assert seed_in_words(seed_to_json(given)) in repr(again)
    assert seed_of(again) == seed_to_json(given)

    made = qfast.study(vary={"alpha": [0.1]}, seed=given, out=tmp_path / "study", **SMALL)
    read = qfast.load_study(tmp_path / "study")
    assert read.dataset.equals(made.dataset)
    assert state(seed_from_json(json.loads(read.dataset.attrs["seed_sequence"]))) == state(given)
    assert f"seed={seed_in_code(seed_to_json(given))}" in read.dataset.attrs["command"]
    for other in (5, SeedSequence(5, pool_size=9)):
        with pytest.raises(InvalidInput, match=r"begun with seed\."):
            qfast.study(vary={"alpha": [0.1]}, seed=other, out=tmp_path / "study", **SMALL)
    fresh = made.rerun(0, 5, progress=False).scores("auc")
    later = qfast.study(vary={"alpha": [0.1]}, seed=given, first_agent=20, **SMALL | {"n_agents": 5}).scores("auc")
    np.testing.assert_array_equal(fresh, later)


@pytest.mark.parametrize(
    ("seed", "told"),
    [
        (SeedSequence(1, pool_size=1025), "pool_size=1025 is outside 4"),
        (2**4096, "4,097 bits is above 4,096"),
        ([1] * 200, "6,400 bits"),
        ([-1], "cannot seed a run"),
        (["x"], "cannot seed a run"),
    ],
)
def test_seeds_that_cannot_be(seed, told):
    with pytest.raises(InvalidInput, match=told):
        as_seed_sequence(seed)


WHOLE = {"entropy": 5, "spawn_key": [], "pool_size": 4}


@pytest.mark.parametrize(
    "content",
    [
        WHOLE | {"pool_size": 10**6}, WHOLE | {"pool_size": 3}, WHOLE | {"entropy": None}, WHOLE | {"entropy": -1},
        WHOLE | {"entropy": True}, WHOLE | {"spawn_key": 3}, WHOLE | {"spawn_key": [0.5]}, WHOLE | {"pool_size": "4"},
        WHOLE | {"entropy": 2**5000}, {}, [], None,
    ],
    ids=str,
)  # fmt: skip
def test_descriptions_that_describe_no_seed(content):
    with pytest.raises(InvalidInput):
        seed_from_json(content)


def test_a_file_cannot_ask_for_a_large_pool(tmp_path, monkeypatch):
    run = qfast.train(seed=1, **SMALL)
    about = run.about() | {"seed": WHOLE | {"pool_size": 10**6}}
    monkeypatch.setattr(qfast.Run, "about", lambda _: about)
    with pytest.raises(BadFile, match="describes no seed"):
        qfast.load(run.save(tmp_path / "run.npz"))

"""What Q starts with: a number, one an agent, a table of states and actions, or a table an agent."""

import json
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

import qfast
from qfast.engine import blocks
from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.plan import make_plan
from qfast.exact import solve
from qfast.model.learner import make_learner
from qfast.model.rates import Rate
from qfast.studies.settings import decode, encode

N_AGENTS = 150  # three blocks
SETTINGS: dict[str, Any] = {"n_agents": N_AGENTS, "episodes": 20, "seed": 3, "progress": False}
TABLES = np.random.default_rng(0).uniform(-1, 3, (N_AGENTS, 5, 2))
TABLE = TABLES[7]


def train(**settings: Any) -> qfast.Run:
    return qfast.train(**SETTINGS | settings)


def masked() -> qfast.MDP:
    corridor = qfast.corridor()
    allowed = np.ones((5, 2), np.bool_)
    allowed[0, 0] = False
    return qfast.MDP(
        corridor.next_state, corridor.reward, terminated=corridor.terminated, start=corridor.start, allowed=allowed
    )


def begun(mdp: qfast.MDP, initial_q: Any, **settings: Any) -> Any:
    """Q of 64 agents before their first step; no kernel is needed for that."""
    learner = make_learner(n_agents=64, episodes=1, mdp=mdp, initial_q=initial_q, **settings)
    plan = make_plan(mdp, learner, np.random.SeedSequence(0), first_agent=0, episodes=1, record=None)
    arrays = AgentArrays.empty(plan, 64)
    blocks._begin(plan, 0, arrays, learner.initial_q.for_agents(0, 64, learner.dtype))
    return arrays.q


@pytest.mark.parametrize("table", [TABLE, TABLES], ids=["(S, A)", "(n, S, A)"])
def test_q_starts_with_the_table(table):
    run = train(alpha=0.0, initial_q=table)
    assert (run.q == np.broadcast_to(table.astype(np.float32), run.q.shape)).all()


@pytest.mark.parametrize("table", [TABLE, TABLES[:64]], ids=["(S, A)", "(n, S, A)"])
def test_both_tables_of_double_q_learning_start_with_it(table):
    q = begun(qfast.corridor(), table, rule="double_q_learning")
    assert q.shape == (64, 5, 2, 2)
    assert (q == np.broadcast_to(table.astype(np.float32), (64, 5, 2))[..., None]).all()


def test_equal_tables_are_a_number():
    number = train(initial_q=1.5)
    for same in (np.full((5, 2), 1.5), np.full(TABLES.shape, 1.5), np.full(N_AGENTS, 1.5), [[1.5] * 2] * 5):
        assert (train(initial_q=same).q == number.q).all()
    assert repr(train(initial_q=np.full((5, 2), 1.5)).initial_q) == "table(5 x 2 values from 1.5 to 1.5)"
    assert "started at per_agent(150 tables from -0.99" in repr(train(initial_q=TABLES))


def test_an_agent_has_the_table_of_its_number():
    run = train(initial_q=TABLES)
    alone = train(initial_q=TABLES[100], n_agents=1, first_agent=100)
    assert (run.q[100] == alone.q[0]).all()


def test_pools_resume_and_files_keep_it(tmp_path):
    run = train(initial_q=TABLES)
    with ThreadPoolExecutor(2) as pool:
        assert (train(initial_q=TABLES, executor=pool).q == run.q).all()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert (train(initial_q=TABLES, executor=pool).q == run.q).all()
    begun = qfast.load(train(initial_q=TABLES, episodes=8).save(tmp_path / "run.npz"))
    assert begun.initial_q == run.initial_q
    resumed = qfast.resume(begun, episodes=12, progress=False)
    assert (resumed.q == run.q).all()
    assert resumed.initial_q == run.initial_q
    on_disk = train(initial_q=TABLE, out=tmp_path / "folder")
    assert qfast.load(tmp_path / "folder").initial_q == on_disk.initial_q
    with pytest.raises(qfast.InvalidInput, match="with those settings"):
        train(initial_q=TABLE + 1, out=tmp_path / "folder")
    assert (qfast.evaluate(run, episodes=2, progress=False).returns >= 0).all()


def test_the_first_agents_keep_their_tables():
    learner = train(initial_q=TABLES, alpha=0.0).learner.first(3)
    assert (learner.initial_q.values == TABLES[:3]).all()


def test_values_of_forbidden_actions_do_not_count():
    mdp = masked()
    best = solve(mdp, 0.9).q
    assert best[0, 0] == -np.inf
    known = best > -np.inf
    for table in (best, np.stack([best] * 64), np.where(known, best, 7.0), np.where(known, best, np.nan)):
        assert (begun(mdp, table) == best.astype(np.float32)).all()
    with pytest.raises(qfast.InvalidInput, match="initial_q=-inf in state 0 for action 0 is outside"):
        train(initial_q=best)


@pytest.mark.parametrize(
    ("initial_q", "message"),
    [
        (TABLE.T, r"initial_q has shape \(2, 5\); give .* \(150,\) .*, \(5, 2\) .* or \(150, 5, 2\) for a table an"),
        (TABLES[:9], r"initial_q has shape \(9, 5, 2\)"),
        (np.zeros(5), r"initial_q has shape \(5,\)"),
        (TABLES[:, None], r"initial_q has shape \(150, 1, 5, 2\)"),
        (np.where(TABLE[3, 1] == TABLE, np.nan, TABLE), "initial_q=nan in state 3 for action 1 is outside"),
        (np.where(TABLES[9, 3, 1] == TABLES, 1e39, TABLES), r"initial_q=1e\+39 for agent 9 in state 3 for action 1 is"),
        (TABLE.astype(str), "initial_q must be numbers"),
        (Rate("pair", np.zeros((2, 5)), "table"), r"initial_q has shape \(2, 5\)"),
        (Rate("pair", np.zeros(5), "table"), r"initial_q has shape \(5,\)"),
    ],
)
def test_bad_tables_get_one_clear_error(initial_q, message):
    with pytest.raises(qfast.InvalidInput, match=message):
        train(initial_q=initial_q)


@pytest.mark.parametrize("name", ["alpha", "gamma", "epsilon"])
def test_other_rates_are_no_tables(name):
    with pytest.raises(qfast.InvalidInput, match=rf"{name} has shape \(5, 2\); give a number, or an array of shape"):
        train(**{name: np.full((5, 2), 0.1)})


def test_studies_vary_tables(tmp_path):
    tables = [TABLE, TABLE + 1]
    options: dict[str, Any] = {"n_agents": 64, "episodes": 10, "seed": 0, "progress": False}
    study = qfast.study(vary={"initial_q": [0.0, *tables], "alpha": [0.1, 0.5]}, out=tmp_path / "s", **options)
    assert study.labels[2] == "initial_q=5 x 2 values (no. 1), alpha=0.1"
    assert study.labels[5] == "initial_q=5 x 2 values (no. 2), alpha=0.5"
    auc = study.dataset["auc"].mean("agent")
    assert study.grid(auc).shape == (3, 2)  # not two tables in one place
    assert study.grid(auc).to_numpy().ravel().tolist() == auc.to_numpy().tolist()
    again = qfast.study(vary={"initial_q": [0.0, *tables], "alpha": [0.1, 0.5]}, out=tmp_path / "s", **options)
    assert (again.dataset["auc"] == study.dataset["auc"]).all()
    loaded = qfast.load_study(study.save(tmp_path / "study.nc"))
    assert loaded.labels == study.labels
    assert (np.asarray(loaded.settings(5)["initial_q"]) == tables[1]).all()


def test_a_study_on_several_problems_needs_tables_that_fit_each():
    problems = {"short": qfast.corridor(3), "long": qfast.corridor(5)}
    with pytest.raises(qfast.InvalidInput, match=r"initial_q has shape \(5, 2\).*configuration problem=short"):
        qfast.study(problems, vary={"initial_q": [TABLE, 0.0]}, n_agents=9, episodes=3, progress=False)


def test_infinities_of_forbidden_actions_travel_through_json():
    mdp = masked()
    best = solve(mdp, 0.9).q
    text = json.dumps(encode(best), allow_nan=False)
    assert (decode(json.loads(text)) == best).all()

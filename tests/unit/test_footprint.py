"""What a run is said to take of memory against what it takes, measured in a process of its own."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import run_python

import qfast
from qfast.engine import footprint
from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.bins import MOST
from qfast.engine.blocks import run_block, run_piece
from qfast.engine.footprint import Footprint, memory_needed
from qfast.engine.plan import make_plan
from qfast.model.learner import make_learner

MEASURE = """
import ctypes, gc, json, sys
import numpy as np, qfast
import qfast.studies.job, qfast.training_checks

said = []
for module in (qfast.studies.job, qfast.training_checks):
    def noted(*args, real=module.memory_needed, **kwargs):
        said.append(real(*args, **kwargs))
        return said[-1]
    module.memory_needed = noted

def resident(name):
    with open("/proc/self/status") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))

def noisy(mdp):
    rng = np.random.default_rng(0)
    return qfast.MDP(mdp.next_state, rng.normal(size=mdp.reward.shape), terminated=mdp.terminated, start=0)

def wide(n_states):
    rng = np.random.default_rng(0)
    shape = (n_states, 2, 1)
    return qfast.MDP(rng.integers(0, n_states, shape), np.zeros(shape), start=0, max_episode_steps=300,
                     terminated=np.zeros(shape, bool))

def measure(run, mdp, settings):
    settings = {"seed": 0, "progress": False, "threads": 2} | settings
    few = settings | {"n_agents": 64, "episodes": min(settings["episodes"], 100)}
    run(mdp, **few)  # compiles, imports
    said.clear(), gc.collect(), ctypes.CDLL(None).malloc_trim(0)
    base = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    kept = run(mdp, **settings)
    return said[0], resident("VmHWM") - base

corridor = qfast.corridor()
cases = json.loads(sys.argv[1])
for name, (kind, settings) in cases.items():
    mdp = corridor
    if kind == "noisy":
        mdp = noisy(corridor)
    if kind == "wide":
        mdp = wide(500_000)
    run = qfast.study if kind == "study" else qfast.train
    print(json.dumps([name, *measure(run, mdp, settings)]))
"""

CHEAP = {
    "Q": ("corridor", {"n_agents": 300_000, "episodes": 2}),
    "returns": ("corridor", {"n_agents": 20_000, "episodes": 400, "record": "returns"}),
    "checkpoints": (
        "corridor",
        {"n_agents": 20_000, "episodes": 60, "checkpoints": 60, "record": "returns", "keep_q": False},
    ),
    "continuous rewards": ("noisy", {"n_agents": 512, "episodes": 8_000}),
}
LONG = {
    "traces": ("wide", {"n_agents": 64, "episodes": 1, "traces": "replacing", "lambda_": 0.9, "record": None}),
    "n steps": ("corridor", {"n_agents": 64, "episodes": 30_000, "n": 100_000, "record": None}),
    "double": ("corridor", {"n_agents": 300_000, "episodes": 2, "rule": "double_q_learning", "record": None}),
    "study": ("study", {"vary": {"alpha": [0.1, 0.2, 0.3]}, "n_agents": 200_000, "episodes": 20}),
    "study with all quantiles": (
        "study",
        {"vary": {"alpha": [0.1, 0.2]}, "n_agents": 250_000, "episodes": 80, "curves": "all"},
    ),
}


def assert_as_said(cases):
    measured = [json.loads(line) for line in run_python("-c", MEASURE, json.dumps(cases)).splitlines()]
    assert [name for name, *_ in measured] == list(cases)
    wrong = {name: (said / 1e6, peak / 1e6) for name, said, peak in measured if not 1 / 1.3 <= said / peak <= 1.3}
    assert not wrong, f"MB said and taken: {wrong}"


linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are reset as Linux does it")


@linux
def test_memory_is_what_was_said():
    assert_as_said(CHEAP)


@linux
@pytest.mark.long
def test_memory_is_what_was_said_of_rarer_kinds():
    assert_as_said(LONG)


def a_plan(mdp=None, *, record="summary", episodes=1_000, keep_q=True, **settings):
    learner = make_learner(n_agents=10, episodes=episodes, **settings)
    return make_plan(
        qfast.corridor() if mdp is None else mdp, learner, np.random.SeedSequence(0), first_agent=0,
        episodes=episodes, record=record, keep_q=keep_q,
    )  # fmt: skip


def test_what_is_dropped_does_not_grow_with_the_agents():
    plan, how = a_plan(), Footprint(8, 256, keep_q=False)
    # Counts of 64 bits at the most, and the tree of moments.
    assert memory_needed(plan, 10**15, how) < 4 * memory_needed(plan, 10**6, how)
    assert memory_needed(plan, 10**6, how) < 40e6
    kept = memory_needed(plan, 10**9, replace(how, keep_q=True))
    assert kept == pytest.approx(10**9 * (5 * 2 * 4 + 20), rel=0.01)


def test_traces_of_huge_problems_get_fewer_lanes():
    chain = qfast.problems.chain(500_000).with_limit(50)
    settings = {"traces": "replacing", "lambda_": 0.9, "record": None}
    assert a_plan(**settings).spec.lanes == 64
    plan = a_plan(chain, **settings)
    assert plan.spec.lanes == plan.spec.width == 8
    # A block's own Q for each of its agents, and lists of traces of 50 pairs, whatever the problem has.
    assert memory_needed(plan, 1, Footprint(1, 64)) < 4e6 + 8 * 4e6 + 2e6
    # Without a low limit an episode may meet every pair.
    plan = a_plan(qfast.problems.chain(500_000).with_limit(10**7), **settings)
    assert memory_needed(plan, 64, Footprint(1, 64)) > 64 * 4e6 + 8 * 12e6


def test_how_many_bins_are_expected():
    def bins(mdp):
        return footprint.filled_bins(a_plan(mdp), 1_000)

    lake = qfast.problems.frozen_lake()
    assert bins(lake) == (3, 101)
    rng = np.random.default_rng(0)
    noisy = qfast.MDP(
        lake.next_state, rng.normal(size=lake.reward.shape), terminated=lake.terminated, probability=lake.probability,
        start=lake.start, max_episode_steps=100,
    )  # fmt: skip
    assert MOST // 2 < bins(noisy)[0] <= MOST


def refusal(monkeypatch, free, **settings):
    monkeypatch.setattr("qfast.training_checks.available_memory", lambda: int(free))
    with pytest.raises(qfast.InvalidInput) as caught:
        qfast.train(**{"progress": False, "threads": 2} | settings)
    return str(caught.value)


def advice(text):
    """The settings that a refusal names."""
    words = text.split("what would fit: ")[1].split(", or ")
    named = dict(word.split(" (")[0].split("=") for word in words if "=" in word)
    return {name: eval(value.replace(",", "")) for name, value in named.items()}


@pytest.mark.parametrize(
    ("free", "settings"),
    [
        (3e9, {"n_agents": 10**6, "episodes": 500, "checkpoints": 500}),
        (5e6, {"n_agents": 10_000, "record": "returns", "episodes": 400}),
        (6e7, {"n_agents": 10**9, "episodes": 50}),
        (6e7, {"n_agents": 512, "episodes": 10**6, "keep_q": False}),
        (8e7, {"mdp": "chain", "n_agents": 2_000, "episodes": 5, "record": None}),
    ],
    ids=["checkpoints", "returns", "agents", "episodes", "states"],
)
def test_what_a_refusal_says_would_fit_does_fit(monkeypatch, tmp_path, free, settings):
    if "mdp" in settings:
        settings = settings | {"mdp": qfast.problems.chain(20_000).with_limit(50)}
    ways = advice(refusal(monkeypatch, free, **settings))
    assert ways
    monkeypatch.setattr("qfast.execution.collect", lambda *_, **__: 1 / 0)  # it would begin
    for name, value in ways.items():
        changed = {name: tmp_path / "folder" if name == "out" else value}
        with pytest.raises(ZeroDivisionError):
            qfast.train(**{"progress": False, "threads": 2} | settings | changed)


def test_where_nothing_would_fit_nothing_is_advised(monkeypatch):
    text = refusal(monkeypatch, 1000, n_agents=2)
    assert "what would fit" not in text
    assert "no smaller number of agents or episodes would fit; use a smaller problem, or free memory" in text


def test_an_evaluation_and_a_resumed_run_are_checked_too(monkeypatch):
    run = qfast.train(n_agents=2_000, episodes=20, seed=0, record="returns", progress=False)
    monkeypatch.setattr("qfast.training_checks.available_memory", lambda: 10**5)
    with pytest.raises(qfast.InvalidInput, match=r"n_agents=2,000 needs 0.00.* GB"):
        qfast.evaluate(run, progress=False)
    monkeypatch.setattr("qfast.training_checks.available_memory", lambda: 5 * 10**7)
    with pytest.raises(qfast.InvalidInput, match=r"needs 0.32.* GB.*what would fit: .*episodes=") as caught:
        qfast.resume(run, episodes=10_000, progress=False)
    assert "keep_q" not in str(caught.value)


def test_a_study_says_what_would_fit(monkeypatch):
    monkeypatch.setattr("qfast.studies.job.available_memory", lambda: 10**8)
    settings = {"vary": {"alpha": [0.1, 0.2]}, "episodes": 50, "progress": False, "metrics": ["auc"]}
    with pytest.raises(qfast.InvalidInput, match=r"n_agents=|curves=False") as caught:
        qfast.study(**settings, n_agents=10**7)
    most = int(str(caught.value).split("n_agents=")[1].replace(",", ""))
    monkeypatch.setattr("qfast.studies.job.Job", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        qfast.study(**settings, n_agents=most)


def test_finished_blocks_do_not_hold_what_is_dropped():
    plan = a_plan(episodes=5, record="returns", keep_q=False)
    expected = run_block(plan, 0, 128).arrays.returns
    for size in (0, 64):
        arrays = run_piece(plan, 0, 128, size).arrays
        assert arrays.q.nbytes == arrays.rng.nbytes == arrays.state.nbytes == 0
        np.testing.assert_array_equal(arrays.returns, expected)
        kept = sum(array.nbytes for array in vars(arrays).values())
        assert kept == 128 * AgentArrays.row_bytes(plan, records_only=True)

"""The kernel's counters of 32 bits, put forward to their end: they stay there, and lead nowhere outside."""

from dataclasses import replace

import numpy as np
from numba import uint64
from processes import run_python

import qfast
from qfast.engine.tables import make_tables
from qfast.kernel.jit import kernel
from qfast.kernel.lanes import set_lanes
from qfast.kernel.memory import flatten, load
from qfast.kernel.spec import Spec
from qfast.kernel.state import make_lanes
from qfast.kernel.step import count_step

MOST = 2**31 - 1
BANDIT = qfast.MDP([[1, 1], [1, 1]], [[1.0, 0.0], [0.0, 0.0]], terminated=[[True, True]] * 2)


def test_visits_stay_at_the_largest_number():
    # Counted alike for UCB and for the step size; without lambda a trace is the pair alone.
    settings = {"alpha": qfast.by_visits([0.5, 0.25]), "explore": "ucb", "rule": "sarsa"}
    settings |= {"traces": "accumulating", "lambda_": 0.0, "seed": 0, "progress": False}
    run = qfast.train(BANDIT.with_limit(9), n_agents=3, episodes=4, **settings)
    run.visits[...] = MOST - 1
    run.q[...] = 0.0
    more = qfast.resume(run, episodes=20, progress=False)
    assert more.visits.min() >= MOST - 1
    assert more.visits[:, 0].max() == MOST
    # The last step size holds: n updates towards 1 leave (3/4)**n of the distance.
    n = np.log(1 - more.q[:, 0, 0].astype(float)) / np.log(0.75)
    assert (n > 10).all()
    assert np.allclose(n, n.round(), atol=0.05)


@kernel
def count_one_step(spec, tables, lanes):
    tables, lanes = flatten(spec, tables), flatten(spec, lanes)
    none = set_lanes(spec, uint64(0))
    count_step(spec, tables, lanes, 0, load(spec, lanes.length, 0), none, none)


def test_lengths_stay_at_the_largest_number():
    learner = qfast.train(BANDIT, n_agents=1, episodes=1, seed=0, progress=False).learner
    tables, spec = make_tables(BANDIT, learner, goal=1.0), Spec(n_actions=2, records="episodes")
    lanes = make_lanes(spec)
    lanes.length[:4] = 0, MOST - 2, MOST - 1, MOST
    count_one_step(spec, tables, lanes)
    assert lanes.length[:4].tolist() == [1, MOST - 1, MOST, MOST]


def test_the_largest_limit_is_reached_before_the_count_could_wrap():
    longest = BANDIT.with_limit(MOST)
    learner = qfast.train(BANDIT, n_agents=1, episodes=1, seed=0, progress=False).learner
    spec = Spec(n_actions=2, records="episodes", limited=True, rule="sarsa")
    lanes = make_lanes(spec)
    lanes.length[:2] = MOST - 2, MOST - 1
    count_one_step(spec, make_tables(longest, learner, goal=1.0), lanes)
    assert lanes.length[:2].tolist() == [MOST - 1, MOST]
    assert lanes.resting[:2].tolist() == [0, 1]  # the episode is cut: the next step begins another one


def test_steps_are_counted_in_64_bits_whatever_the_random_streams_count():
    run = qfast.train(n_agents=5, episodes=3, seed=0, record="returns", progress=False)
    rng = run.rng.copy()
    rng[3] = 2**32 - np.arange(1, 6)
    more = qfast.resume(replace(run, rng=rng), episodes=20, progress=False)
    assert more.n_steps == more.lengths.sum()
    assert make_lanes(Spec(n_actions=2)).entered.dtype == np.int64


LANES_WITHOUT_AGENTS = """
import qfast
from qfast.kernel import state
state.NEVER = 3  # as if they had run on idle through 2**31 - 4 episodes
mdp = qfast.MDP([[1, 1], [1, 1]], [[1.0, 0.0], [0.0, 0.0]], terminated=[[True, True]] * 2)
run = qfast.train(mdp, n_agents=1, episodes=40, seed=0, record="returns", progress=False)
assert run.n_steps == 40 and run.state.tolist() == [0] and run.lengths.tolist() == [[1] * 40], run
"""


def test_a_lane_without_an_agent_never_comes_to_the_end_of_its_count(tmp_path):
    # In a process and a cache of its own: the constant is compiled in.
    run_python("-c", LANES_WITHOUT_AGENTS, NUMBA_CACHE_DIR=tmp_path)

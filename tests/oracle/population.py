"""Agents of the oracle as `qfast.train` and `qfast.resume` would give them, for hand-computed tests.

`test_bits` ties the kernel to the oracle bit for bit, so a test of what a rule means need not compile a variant of the
kernel: it asks the oracle.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import qfast
from oracle.learner import learn
from qfast.model.learner import Learner, make_learner
from qfast.model.settings import RATES

__all__ = ["Population", "resume", "train"]

PLAIN = ("ties", "rule", "n", "traces", "trace_cutoff", "explore")  # what is handed to the oracle as it is


@dataclass(frozen=True)
class Population:
    """Some agents of one run; a changed `q` or `q_tables` is what `resume` goes on with."""

    mdp: qfast.MDP
    learner: Learner
    streams: list[Any] = field(repr=False)
    state: list[int]
    q: np.ndarray[Any, Any]  # (n, S, A)
    q_tables: np.ndarray[Any, Any] | None  # (n, 2, S, A)
    visits: np.ndarray[Any, Any]  # (n, S, A)
    returns: np.ndarray[Any, Any]  # (n, episodes)
    lengths: np.ndarray[Any, Any]  # (n, episodes)

    @property
    def n_steps(self):
        """Steps of all agents together."""
        return int(self.lengths.sum())


def train(mdp=None, *, n_agents, episodes, seed=0, record="returns", progress=False, **settings):
    """Train some agents; parameters as those of `qfast.train`."""
    assert record == "returns"
    assert progress is False
    problem = qfast.corridor() if mdp is None else mdp
    learner = make_learner(n_agents=n_agents, episodes=episodes, mdp=problem, **settings)
    agents = [
        learn(problem, seed=seed, agent=i, episodes=episodes, **_settings(learner, i)) for i in range(n_agents)
    ]
    return _population(problem, learner, agents)


def resume(run, *, episodes, alpha=None):
    """Train them on."""
    learner = run.learner
    if alpha is not None:
        learner = make_learner(n_agents=len(run.q), episodes=episodes, mdp=run.mdp, alpha=alpha, **_plain(learner))
    tables = run.q[:, None] if run.q_tables is None else run.q_tables
    agents = [
        learn(
            run.mdp, stream=run.streams[i], state=run.state[i], tables=tables[i], visits=run.visits[i],
            episodes=episodes, **_settings(learner, i),
        )
        for i in range(len(run.q))
    ]  # fmt: skip
    more = _population(run.mdp, learner, agents)
    return Population(
        run.mdp, learner, more.streams, more.state, more.q, more.q_tables, more.visits,
        np.concatenate([run.returns, more.returns], axis=1), np.concatenate([run.lengths, more.lengths], axis=1),
    )  # fmt: skip


def _population(problem, learner, agents):
    tables = np.array([one.q_tables for one in agents])
    return Population(
        problem, learner, [one.stream for one in agents], [one.state for one in agents],
        np.array([one.q for one in agents]), tables if tables.shape[1] == 2 else None,
        np.array([one.visits for one in agents]), np.array([one.returns for one in agents]),
        np.array([one.lengths for one in agents]),
    )  # fmt: skip


def _settings(learner, agent):
    """The settings of one agent, as the oracle takes them."""
    mine = {name: getattr(learner, name) for name in PLAIN} | {"dtype": learner.dtype.name}
    for name in RATES:
        rate = getattr(learner, name)
        if rate.kind == "visit":
            mine |= {name: 0.0, "alpha_by_visits": rate.values}
        else:
            mine[name] = rate.values if rate.kind == "episode" else rate.for_agents(agent, 1, np.float64)[0]
    return mine


def _plain(learner):
    """The settings other than alpha that have a meaning for a learner."""
    own = {name: getattr(learner, name) for name in learner.shown if name != "alpha"}
    return own | {name: getattr(learner, name) for name in (*PLAIN, "initial_q", "dtype")}

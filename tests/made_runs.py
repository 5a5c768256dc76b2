"""Runs whose agents have the Q that a test gives them: nothing is trained, and nothing compiled."""

import numpy as np

from qfast.model.learner import make_learner
from qfast.model.seeding import as_seed_sequence
from qfast.run import Run


def made_run(mdp, q, *, dtype="float64", **settings):
    """A run of agents with tables `q` (n, S, A), as if trained for one episode with some settings."""
    q = np.array(q, dtype)
    n = len(q)
    learner = make_learner(n_agents=n, episodes=1, dtype=dtype, **settings)
    return Run(
        q=q, q_tables=None, visits=None, returns=None, lengths=None, curve=None, mdp=mdp, learner=learner,
        seed_sequence=as_seed_sequence(0), first_agent=0, episodes=1, record=None, n_steps=0, seconds=0.0,
        rng=np.zeros((4, n), np.uint32), state=np.zeros(n, np.int32),
    )  # fmt: skip

"""The runs that the faults happen to, and what they must equal."""

from dataclasses import fields

import numpy as np
from oracle.digests import plain, rich, rich_mdp

import qfast

# Compiled by other tests as well: the corridor with its summary.
RUN = {"n_agents": 3_000, "episodes": 100, "seed": 4, "progress": False}


def assert_same(left, right):
    """Equal bits in everything that training makes, as far as it is kept."""
    assert left.n_agents == right.n_agents
    assert left.n_steps == right.n_steps
    for name in ("q", "q_tables", "visits", "returns", "lengths", "rng", "state"):
        one, other = getattr(left, name), getattr(right, name)
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            assert (one.dtype, one.shape) == (other.dtype, other.shape), name
            np.testing.assert_array_equal(one, other, name)
        else:
            assert "not kept" in (repr(one), repr(other)) or one is other is None
    assert (left.curve is None) == (right.curve is None)
    if left.curve is not None:
        for quantity in ("returns", "lengths"):
            for field in fields(qfast.Summary):
                one, other = (getattr(getattr(run.curve, quantity), field.name) for run in (left, right))
                np.testing.assert_array_equal(one, other, f"{quantity} {field.name}")


def same_everywhere(executor):
    """Train everything that an executor can be given, and compare it with what threads give."""
    expected = qfast.train(**RUN)
    assert_same(qfast.train(**RUN, executor=executor), expected)
    assert_same(qfast.train(**RUN, executor=executor, keep_q=False), expected)
    # Rates of single agents are cut to each piece; schedules, masks, several starts, float64.
    assert_same(qfast.train(rich_mdp(), **rich(executor=executor)), qfast.train(rich_mdp(), **rich()))
    half = qfast.train(**plain(episodes=40, executor=executor))
    assert_same(qfast.resume(half, episodes=60, executor=executor), qfast.train(**plain()))

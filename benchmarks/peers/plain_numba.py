"""The loop that a competent numba user writes: `prange` over agents, `np.random`, one agent after another.

Two things were tried and decided by measurement (one core, million agent-steps a second on W1 / W3 / W4):

* ``np.argmax(q[s])`` and ``q[s].max()`` give 58 / 42 / 34, the same by hand with the best value in a local
  variable 61 / 59 / 51; the baseline is the faster one, and `train` still offers the other by ``greedy="argmax"``;
* ``int(np.random.random() * n)`` for ``np.random.randint(n)``, ``fastmath``, no seeding, indexing ``q[i, s, a]``
  instead of a view: within noise of each other.
"""

# ruff: noqa: NPY002 (inside numba, np.random is the generator there is)

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads

from benchmarks.peers import PeerResult
from benchmarks.workloads import Workload, check

__all__ = ["check", "train"]

NO_LIMIT = 2**62


@njit(inline="always")
def _first(row):  # type: ignore[no-untyped-def]
    action, best = 0, row[0]
    for a in range(1, row.size):
        if row[a] > best:
            action, best = a, row[a]
    return action


@njit(inline="always")
def _random(row):  # type: ignore[no-untyped-def]
    action, best, equal = 0, row[0], 1
    for a in range(1, row.size):
        if row[a] > best:
            action, best, equal = a, row[a], 1
        elif row[a] == best:  # reservoir: the m-th of the equals replaces the one held with probability 1/m
            equal += 1
            if np.random.randint(equal) == 0:
                action = a
    return action


@njit(inline="always")
def _maximum(row):  # type: ignore[no-untyped-def]
    best = row[0]
    for a in range(1, row.size):
        best = max(best, row[a])
    return best


@njit(inline="always")
def _argmax(row):  # type: ignore[no-untyped-def]
    return np.argmax(row)


@njit(inline="always")
def _max(row):  # type: ignore[no-untyped-def]
    return row.max()


GREEDY = {"first": (_first, _maximum), "random": (_random, _maximum), "argmax": (_argmax, _max)}


@cache
def _compiled(greedy: str) -> Callable[..., Any]:
    best_action, best_value = GREEDY[greedy]

    @njit(parallel=True)
    def train_all(next_state, reward, terminated, start, q, seed, episodes, limit, alpha, gamma, epsilon):  # type: ignore[no-untyped-def]
        n_outcomes = next_state.shape[2]
        n_steps = 0
        for agent in prange(q.shape[0]):
            np.random.seed(seed + agent)
            table = q[agent]
            steps = 0
            for _ in range(episodes):
                s = start[np.random.randint(start.size)]
                for _ in range(limit):
                    explore = np.random.random() < epsilon
                    a = np.random.randint(table.shape[1]) if explore else best_action(table[s])
                    k = np.random.randint(n_outcomes) if n_outcomes > 1 else 0
                    s_next = next_state[s, a, k]
                    target = reward[s, a, k]
                    if not terminated[s, a, k]:
                        target += gamma * best_value(table[s_next])
                    table[s, a] += alpha * (target - table[s, a])
                    steps += 1
                    if terminated[s, a, k]:
                        break
                    s = s_next
            n_steps += steps
        return n_steps

    return train_all


def train(workload: Workload, n_agents: int, seed: int, *, threads: int = 1, greedy: str | None = None) -> PeerResult:
    """Train `n_agents` agents, agent by agent.

    Parameters
    ----------
    workload : Workload
    n_agents : int
    seed : int
        Agent ``i`` is seeded with ``seed + i``.
    threads : int
        numba threads, at most ``NUMBA_NUM_THREADS``.
    greedy : {"first", "random", "argmax"}, optional
        By default as the workload breaks ties; ``"argmax"`` is ``"first"`` spelt with `np.argmax` and `max`.
    """
    train_all = _compiled(greedy or workload.ties)
    limit = NO_LIMIT if workload.limit is None else workload.limit
    rates = np.float32(workload.alpha), np.float32(workload.gamma), workload.epsilon
    tables = workload.next_state, workload.reward, workload.terminated, workload.start
    shape = workload.n_states, workload.n_actions
    before = get_num_threads()
    set_num_threads(threads)
    try:
        began = perf_counter()
        train_all(*tables, np.zeros((1, *shape), np.float32), seed, 1, 1, *rates)
        compiled = perf_counter()
        q = np.zeros((n_agents, *shape), np.float32)
        steps = int(train_all(*tables, q, seed, workload.episodes, limit, *rates))
        done = perf_counter()
    finally:
        set_num_threads(before)
    return PeerResult(q, steps, done - compiled, compiled - began)

"""NumPy, one step of all agents at a time: the fastest form found.

What makes it fast, each measured at 4,096 agents, where an elementwise pass costs 0.7-2 microseconds:

* everything is a flat ``take(..., mode="clip")`` with 64-bit indices (2.4 us; 32-bit indices 3.1 us, because NumPy
  converts them first; ``mode="raise"`` with ``out=`` copies);
* a row of Q is fetched in one ``take`` along axis 0, padded to a power of two actions, since NumPy has special loops
  for items of 4, 8, 16 and 32 bytes; then transposed once, so that the passes over actions are contiguous;
* who explores is drawn as the gaps between explorers (geometric), 64 steps at a time: a tenth of the random numbers
  that one uniform number an agent-step would take, which alone would cost a quarter of the time on W1;
* terminated outcomes lead to one extra state whose row stays zero, so the bootstrap needs no mask;
* finished agents learn with step size 0 and are dropped every 64 steps.

Carrying the greedy action over from the bootstrap's row (one fetch a step in place of two, with the agents that
ended or stayed where they were fetched again) was 10-30 % slower on W1 to W4: more calls, on short arrays.
"""

from __future__ import annotations

from math import lcm
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import PeerResult
from benchmarks.workloads import Workload, check

__all__ = ["check", "train"]

BLOCK = 8_192  # agents at a time: enough to drown the overhead of a call, few enough for the caches
CHUNK = 64  # steps between two looks at who is finished

Integers = NDArray[np.intp]


def _tie_breaker(n_actions: int) -> tuple[Integers, int]:
    """``action[maxima * draws + draw]`` with `maxima` as bits and a draw below `draws`: exactly uniform over them."""
    if n_actions > 6:
        raise ValueError(f"random ties among {n_actions} actions would need a table of more than 2**6 sets")
    draws = lcm(*range(1, n_actions + 1))
    action = np.zeros((2**n_actions, draws), np.intp)
    for bits in range(1, 2**n_actions):
        best = [a for a in range(n_actions) if bits >> a & 1]
        action[bits] = np.repeat(best, draws // len(best))
    return action.ravel(), draws


def _explorers(rng: np.random.Generator, epsilon: float, n: int) -> Integers:
    """Which of `n` independent trials with probability `epsilon` succeed, in order."""
    if epsilon == 0:
        return np.empty(0, np.intp)
    found = np.cumsum(rng.geometric(epsilon, size=int(n * epsilon * 1.1) + 100)) - 1
    while found[-1] < n:
        more = np.cumsum(rng.geometric(epsilon, size=100)) + found[-1]
        found = np.concatenate([found, more])
    return found[: np.searchsorted(found, n)]


def _train_block(workload: Workload, n_agents: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], int]:
    n_actions, n_outcomes, limit = workload.n_actions, workload.n_outcomes, workload.limit
    end_state = workload.n_states
    width = 1 << (n_actions - 1).bit_length()
    q = np.zeros((n_agents, end_state + 1, width), np.float32)
    flat_q, rows = q.reshape(-1), q.reshape(-1, width)
    next_state = np.where(workload.terminated, end_state, workload.next_state).astype(np.intp).ravel()
    reward = workload.reward.ravel()
    alpha, gamma = np.float32(workload.alpha), np.float32(workload.gamma)
    random_ties = workload.ties == "random"
    tie_breaker, draws = _tie_breaker(n_actions) if random_ties else (np.zeros(1, np.intp), 1)

    def maximum(row: NDArray[np.float32]) -> NDArray[np.float32]:
        best: NDArray[np.float32] = np.maximum(row[0], row[1])
        for a in range(2, n_actions):
            np.maximum(best, row[a], out=best)
        return best

    def greedy(row: NDArray[np.float32], draw: Any) -> Integers:
        if random_ties:
            best = maximum(row)
            maxima = np.equal(row[0], best).view(np.uint8)
            for a in range(1, n_actions):
                maxima |= np.equal(row[a], best).view(np.uint8) << np.uint8(a)
            chosen: Integers = tie_breaker.take(maxima * np.intp(draws) + draw)
            return chosen
        best, action = row[0].copy(), np.zeros(row.shape[1], np.intp)
        for a in range(1, n_actions):
            np.putmask(action, row[a] > best, a)
            np.maximum(best, row[a], out=best)
        return action

    def starts(n: int) -> Integers:
        if workload.start.size == 1:
            return np.full(n, workload.start[0], np.intp)
        return workload.start.take(rng.integers(workload.start.size, size=n)).astype(np.intp)

    agent, s = np.arange(n_agents), starts(n_agents)
    left = np.full(n_agents, workload.episodes)
    began = np.zeros(n_agents, np.intp)  # the time at which the episode began
    rate = np.full(n_agents, alpha)  # 0 once an agent is finished
    time = n_steps = 0
    while agent.size:
        n = agent.size
        base = agent * (end_state + 1)
        explorers = _explorers(rng, workload.epsilon, CHUNK * n)
        cuts = np.searchsorted(explorers, np.arange(CHUNK + 1) * n)
        anything = rng.integers(n_actions, size=explorers.size)
        outcome = rng.integers(n_outcomes, size=(CHUNK, n), dtype=np.uint8) if n_outcomes > 1 else None
        draw = rng.integers(draws, size=(CHUNK, n), dtype=np.uint8) if random_ties else [0] * CHUNK
        for j in range(CHUNK):
            a = greedy(rows.take(base + s, axis=0, mode="clip").T.copy(), draw[j])
            explore = slice(cuts[j], cuts[j + 1])
            a[explorers[explore] - j * n] = anything[explore]
            cell = (base + s) * width + a
            i = s * n_actions + a
            if outcome is not None:
                i *= n_outcomes
                i += outcome[j]
            s_next = next_state.take(i, mode="clip")
            old = flat_q.take(cell, mode="clip")
            update = maximum(rows.take(base + s_next, axis=0, mode="clip").T.copy())
            update *= gamma
            update += reward.take(i, mode="clip")
            update -= old
            update *= rate
            update += old
            flat_q[cell] = update
            time += 1
            ended = s_next == end_state
            if limit is not None:
                ended |= began <= time - limit
            where = ended.nonzero()[0]
            if where.size:
                s_next[where] = starts(where.size)
                began[where] = time
                still = left[where] - 1
                left[where] = still
                finished = where[still == 0]
                rate[finished] = 0
                n_steps += finished.size * time
            s = s_next
        keep = left > 0
        if not keep.all():
            agent, s, left, began, rate = agent[keep], s[keep], left[keep], began[keep], rate[keep]
    return q[:, :end_state, :n_actions], n_steps


def train(workload: Workload, n_agents: int, seed: int) -> PeerResult:
    """Train `n_agents` agents in blocks of 8,192, all agents of a block in step."""
    rng = np.random.Generator(np.random.SFC64(seed))
    began = perf_counter()
    blocks = [_train_block(workload, min(BLOCK, n_agents - i), rng) for i in range(0, n_agents, BLOCK)]
    q = blocks[0][0] if len(blocks) == 1 else np.concatenate([block for block, _ in blocks])
    return PeerResult(q, sum(n_steps for _, n_steps in blocks), perf_counter() - began)

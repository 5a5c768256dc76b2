"""JAX, one step of all agents at a time in one compiled loop: the best form found for a CPU.

Tried (one core, million agent-steps a second on W1 / W3 / W4):

* Q as one flat array, agent-major 241 / 153 / 75; state-major 233 / 99 / 72;
* with 256-bit vectors 214 / 131 / 50; there also rows of (agent, state) fetched whole 134 / 88 / 43, tables searched by
  compare and select 96 / 5 / -, two or four steps an iteration of the loop 170 and 136 on W1;
* one row fetch a step, the update deferred to the next one: 222 / 153 / 76;
* the action carried into the next step, so that XLA computes it once and not in every fusion that uses it, and
  Q(s, a) fetched anew where there are more than two actions: 236 / 167 / 92.  This file;
* slots that go on with another agent when one is finished: 20-40 % more on W2, whose agents need very different
  numbers of steps, than blocks that wait for their last agent; elsewhere no difference.  This file;
* `vmap` of one agent's loops over episodes and steps, the obvious way: 32 on W1, since every episode lasts as long as
  the longest of all agents.

To measure one thread, pin the process to one core before JAX starts (`pin_to_one_core` in `benchmarks.peers`): XLA
sizes its thread pool by the cores it may use.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from math import sqrt
from time import perf_counter
from typing import Any

if "jax" not in sys.modules:  # XLA reads these once; 512-bit vectors are worth 10-20 % where the CPU has them
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["XLA_FLAGS"] = f"--xla_cpu_prefer_vector_width=512 {os.environ.get('XLA_FLAGS', '')}"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.peers import PeerResult
from benchmarks.workloads import Workload, check

__all__ = ["check", "train"]

CHUNK = 64  # steps between two looks at whether everybody is finished
Array = Any


def _slots(workload: Workload) -> int:
    """Agents in flight, by measurement: fewer the larger the tables, half where ties cost more intermediates."""
    slots = 16_000 / sqrt(workload.n_states * workload.n_actions)
    return max(128, round(slots / 2 if workload.ties == "random" else slots))


def _xorshift(x: Array) -> Array:
    """Marsaglia (2003), xorshift32 with shifts 13, 17, 5: a stream per agent."""
    x = x ^ (x << 13)
    x = x ^ (x >> 17)
    return x ^ (x << 5)


def _below(n: int | Array, bits: Array) -> Array:
    """Turn 16 random bits into a number below `n`."""
    return (bits * jnp.uint32(n) >> 16).astype(jnp.int32)


def _trainer(workload: Workload, n: int, n_agents: int) -> Callable[[Array], tuple[Array, Array]]:
    n_actions, n_outcomes, limit = workload.n_actions, workload.n_outcomes, workload.limit
    size = workload.n_states * n_actions
    # the flag in the highest bit of the next state: one gather less
    model = jnp.asarray((workload.next_state.astype(np.uint32) | workload.terminated * np.uint32(2**31)).ravel())
    rewards, start_states = jnp.asarray(workload.reward.ravel()), jnp.asarray(workload.start)
    alpha, gamma = np.float32(workload.alpha), np.float32(workload.gamma)
    explore_below = np.uint32(round(workload.epsilon * 2**32))
    slot = jnp.arange(n, dtype=jnp.int32)

    def take(array: Array, index: Array) -> Array:
        return array.at[index].get(mode="promise_in_bounds")

    def row(q: Array, agent: Array, s: Array) -> list[Array]:
        return [take(q, agent * size + s * n_actions + a) for a in range(n_actions)]

    def greedy(values: list[Array], bits: Array) -> Array:
        action = jnp.zeros(n, jnp.int32)
        if workload.ties == "random":
            best = _maximum(values)
            equal = [(value == best).astype(jnp.uint32) for value in values]
            which, seen = _below(sum(equal), bits).astype(jnp.uint32), equal[0]
            for a in range(1, n_actions):
                action = jnp.where(seen <= which, a, action)
                seen = seen + equal[a]
            return action
        best = values[0]
        for a in range(1, n_actions):
            action = jnp.where(values[a] > best, a, action)
            best = jnp.maximum(best, values[a])
        return action

    def act(q: Array, agent: Array, s: Array, x: Array) -> tuple[Array, Array, Array | None]:
        """Draw the next action; also Q(s, a) where a select is cheaper than a gather, else None."""
        x = _xorshift(x)
        coin = x
        if workload.ties == "random" or n_outcomes > 1:
            x = _xorshift(x)
        values = row(q, agent, s)
        # the low bits of a draw choose the action and the high ones whether to explore: exact enough at 2**-16
        a = jnp.where(coin < explore_below, _below(n_actions, coin & 0xFFFF), greedy(values, x >> 16))
        return x, a, jnp.where(a == 0, values[0], values[1]) if n_actions == 2 else None

    def start(x: Array) -> tuple[Array, Array]:
        if workload.start.size == 1:
            return x, jnp.full(n, workload.start[0], jnp.int32)
        x = _xorshift(x)
        return x, take(start_states, _below(workload.start.size, x >> 16))

    def step(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        q, agent, s, a, old, x, left, t, n_steps = carry
        cell = s * n_actions + a
        if old is None:
            old = take(q, agent * size + cell)
        # the high bits of this draw have settled ties, the low ones are still unused
        outcome = cell if n_outcomes == 1 else cell * n_outcomes + _below(n_outcomes, x & 0xFFFF)
        packed = take(model, outcome)
        terminated, s_next = packed >> 31 == 1, (packed & 0x7FFFFFFF).astype(jnp.int32)
        future = jnp.where(terminated, np.float32(0), gamma * _maximum(row(q, agent, s_next)))
        live = left > 0
        rate = jnp.where(live, alpha, np.float32(0))
        new = old + rate * (take(rewards, outcome) + future - old)
        q = q.at[agent * size + cell].set(new, mode="promise_in_bounds", unique_indices=True)
        t = t + 1
        ended = terminated if limit is None else terminated | (t >= limit)
        x, s_start = start(x)
        s, t = jnp.where(ended, s_start, s_next), jnp.where(ended, 0, t)
        left = left - (ended & live)
        refill = live & (left == 0) & (agent + n < n_agents)
        agent, left = jnp.where(refill, agent + n, agent), jnp.where(refill, workload.episodes, left)
        x, a, old = act(q, agent, s, x)
        return q, agent, s, a, old, x, left, t, n_steps + live

    def train(x: Array) -> tuple[Array, Array]:
        q, zero = jnp.zeros(n_agents * size, jnp.float32), jnp.zeros(n, jnp.int32)
        left = jnp.full(n, workload.episodes, jnp.int32)
        x, s = start(x)
        x, a, old = act(q, slot, s, x)
        carry = q, slot, s, a, old, x, left, zero, zero

        def chunk(carry: Array) -> Array:
            return lax.fori_loop(0, CHUNK, lambda _, c: step(c), carry)

        carry = lax.while_loop(lambda c: (c[6] > 0).any(), chunk, carry)
        return carry[0], carry[-1]

    return train


def _maximum(values: list[Array]) -> Array:
    best = values[0]
    for value in values[1:]:
        best = jnp.maximum(best, value)
    return best


def train(workload: Workload, n_agents: int, seed: int) -> PeerResult:
    """Train `n_agents` agents in slots that step together; a slot that finishes an agent goes on with another."""
    if n_agents * workload.n_states * workload.n_actions >= 2**31:
        raise ValueError(f"n_agents={n_agents} needs more than 2**31 Q values, which int32 indices cannot reach")
    rounds = -(-n_agents // _slots(workload))
    n = -(-n_agents // rounds)  # every slot trains about as many agents
    seeds = np.random.default_rng(seed).integers(1, 2**32, size=n, dtype=np.uint32)  # 0 is xorshift's fixed point
    began = perf_counter()
    compiled = jax.jit(_trainer(workload, n, n_agents)).lower(seeds).compile()
    ready = perf_counter()
    q, n_steps = compiled(seeds)
    q = np.asarray(q).reshape(n_agents, workload.n_states, workload.n_actions)
    total = int(np.asarray(n_steps).sum(dtype=np.int64))
    return PeerResult(q, total, perf_counter() - ready, ready - began)

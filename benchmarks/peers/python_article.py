"""The program of "An Idiot's Guide To Q-Learning" (2025-05-06) in plain Python, kept as the article has it.

That includes its update, which bootstraps from the *action* it thinks best (-1 or +1) and not from that action's
value, so its table ends near the article's printed 1.9, 1.9, 1.9, 1.1 and not at the true values 4.168 ... 2; `check`
looks for exactly that.  One agent after another; the table is a dict of dicts.
"""

from __future__ import annotations

from random import Random
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import PeerResult
from benchmarks.workloads import Workload, WrongAnswer

ACTIONS = (-1, 1)
GOAL, START = 4, 0
ALPHA, GAMMA, EPSILON = 0.1, 0.9, 0.1

QTable = dict[int, dict[int, float]]


def best_action(q_table: QTable, state: int) -> int:
    row = q_table[state]
    return max(row, key=row.__getitem__)


def apply_action(state: int, action: int) -> int:
    return max(state - 1, 0) if action == -1 else min(state + 1, GOAL)


def state_reward(state: int, next_state: int) -> float:
    if next_state == GOAL:
        return 2.0
    if next_state > state:
        return 1.0
    return -1.0 if next_state < state else 0.0


def train_one(rng: Random, episodes: int) -> tuple[QTable, int]:
    q_table = {state: dict.fromkeys(ACTIONS, 0.0) for state in range(GOAL + 1)}
    n_steps = 0
    for _ in range(episodes):
        state = START
        while state != GOAL:
            action = rng.choice(ACTIONS) if rng.random() < EPSILON else best_action(q_table, state)
            next_state = apply_action(state, action)
            next_action = best_action(q_table, next_state)
            row = q_table[state]
            row[action] += ALPHA * (state_reward(state, next_state) + GAMMA * next_action - row[action])
            state = next_state
            n_steps += 1
    return q_table, n_steps


def train(workload: Workload, n_agents: int, seed: int) -> PeerResult:
    """Train one agent after another on the article's problem; of the workload only `episodes` is used."""
    if workload.name != "W1":
        raise ValueError(f"the article's program solves W1, its own problem, not {workload.name}")
    rng = Random(seed)
    began = perf_counter()
    agents = [train_one(rng, workload.episodes) for _ in range(n_agents)]
    seconds = perf_counter() - began
    q = np.array([[list(row.values()) for row in table.values()] for table, _ in agents])
    return PeerResult(q, sum(n_steps for _, n_steps in agents), seconds)


def check(workload: Workload, q: NDArray[np.floating], agent_steps: int) -> dict[str, float]:
    """Compare with the table the article prints; its last row depends on how a tie in the goal state falls."""
    forward = q[:, :GOAL, 1].mean(axis=0)
    steps = agent_steps / len(q)
    # going back earns at most 0.9: no reward at the wall and a best action of +1 there
    if not (np.allclose(forward, [1.9, 1.9, 1.9, 1.1], atol=1e-3) and (q[:, :GOAL, 0] < 1.0).all()):
        raise WrongAnswer(f"{workload.name}: the article prints 1.9, 1.9, 1.9, 1.1 for going forward, not {forward}")
    expected = workload.expected[workload.ties].steps
    if not abs(steps - expected.mean) <= expected.tolerance(len(q)):
        raise WrongAnswer(f"{workload.name}: {steps:.6g} steps an agent, expected {expected.mean:.6g}")
    return {"start_value": float(forward[0]), "steps": steps, "greedy_return": 5.0}

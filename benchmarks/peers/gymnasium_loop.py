"""The loop of the tutorials: one agent, one Gymnasium environment, one `env.step` at a time."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import gymnasium
import numpy as np

from benchmarks.peers import PeerResult
from benchmarks.workloads import Workload, check

__all__ = ["check", "train"]


class LookupEnv(gymnasium.Env[int, int]):
    """The problems that Gymnasium does not have, as an environment in its style."""

    def __init__(self, workload: Workload) -> None:
        self.observation_space = gymnasium.spaces.Discrete(workload.n_states)  # type: ignore[assignment]
        self.action_space = gymnasium.spaces.Discrete(workload.n_actions)  # type: ignore[assignment]
        self.next_state = workload.next_state.tolist()  # lists: an element of an array costs three times as much
        self.reward_of = workload.reward.tolist()
        self.terminated = workload.terminated.tolist()
        self.starts = workload.start.tolist()
        self.n_outcomes = workload.n_outcomes
        self.state = self.starts[0]

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002 (Gymnasium's signature)
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.state = self.starts[self.np_random.integers(len(self.starts)) if len(self.starts) > 1 else 0]
        return self.state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        s, k = self.state, int(self.np_random.integers(self.n_outcomes)) if self.n_outcomes > 1 else 0
        self.state = self.next_state[s][action][k]
        return self.state, self.reward_of[s][action][k], self.terminated[s][action][k], False, {}


def _make(workload: Workload) -> gymnasium.Env[Any, Any]:
    if workload.gym_id is not None:
        return gymnasium.make(workload.gym_id, max_episode_steps=workload.limit)
    env = LookupEnv(workload)
    return env if workload.limit is None else gymnasium.wrappers.TimeLimit(env, workload.limit)


def train(workload: Workload, n_agents: int, seed: int) -> PeerResult:
    """Train one agent after another; the environment is made once."""
    env = _make(workload)
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    alpha, gamma, epsilon = workload.alpha, workload.gamma, workload.epsilon
    n_actions, random_ties = workload.n_actions, workload.ties == "random"
    n_steps = 0
    began = perf_counter()
    q = np.zeros((n_agents, workload.n_states, n_actions))
    for table in q:
        for _ in range(workload.episodes):
            state, _ = env.reset()
            done = False
            while not done:
                if rng.random() < epsilon:
                    action = int(rng.integers(n_actions))
                elif random_ties:
                    row = table[state]
                    action = int(rng.choice(np.flatnonzero(row == row.max())))
                else:
                    action = int(np.argmax(table[state]))
                next_state, reward, terminated, truncated, _ = env.step(action)
                future = 0.0 if terminated else gamma * np.max(table[next_state])
                table[state, action] += alpha * (float(reward) + future - table[state, action])
                state = next_state
                done = terminated or truncated
                n_steps += 1
    seconds = perf_counter() - began
    env.close()
    return PeerResult(q, n_steps, seconds)

"""What a right answer is: a scalar learner for every rule, written from the equations, and what its agents got.

``python -m benchmarks.references`` trains them (a few minutes) and writes ``references.json``: mean, standard
deviation and slack over agents of the numbers that `benchmarks.workloads.check` looks at.  This learner shares no code
with qfast, and not its random numbers either, so the two agree in distribution only; ``tests/oracle`` has the learner
that agrees in every bit.
"""

from __future__ import annotations

# ruff: noqa: NPY002, B905 -- inside numba: np.random is the only generator there, and zip knows no strict
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from math import sqrt

import numpy as np
from numba import njit, prange

from benchmarks.variants import (
    FEW_EPISODES,
    LAMBDA,
    N_STEPS,
    REFERENCES,
    TEMPERATURE,
    VARIANTS,
    VISITS_POWER,
    reference_key,
)
from benchmarks.workloads import Expected, Spread, Workload, greedy_return, workload

Q_LEARNING, SARSA, EXPECTED_SARSA, DOUBLE, ARTICLE = range(5)
EPSILON_GREEDY, SOFTMAX, UCB = range(3)
FIRST, LAST, RANDOM = range(3)
NO_TRACES, REPLACING, ACCUMULATING = range(3)
TIES = {"first": FIRST, "last": LAST, "random": RANDOM}

#: What differs from epsilon-greedy one-step Q-learning, by the variant's name.
LEARNERS: dict[str, dict[str, int]] = {
    "q_learning": {},
    "sarsa": {"rule": SARSA},
    "expected_sarsa": {"rule": EXPECTED_SARSA},
    "double_q_learning": {"rule": DOUBLE},
    "article": {"rule": ARTICLE},
    "n_step_q": {"n": N_STEPS},
    "n_step_sarsa": {"rule": SARSA, "n": N_STEPS},
    "n_step_expected_sarsa": {"rule": EXPECTED_SARSA, "n": N_STEPS},
    "softmax": {"explore": SOFTMAX},
    "ucb": {"explore": UCB},
    "by_visits": {"by_visits": True},
    "q_replacing": {"traces": REPLACING},
    "q_accumulating": {"traces": ACCUMULATING},
    "sarsa_replacing": {"rule": SARSA, "traces": REPLACING},
    "sarsa_accumulating": {"rule": SARSA, "traces": ACCUMULATING},
    "ties_first": {"ties": FIRST},
    "ties_last": {"ties": LAST},
    "ties_random": {"ties": RANDOM},
}
AGENTS = {"W1": 4_000, "W2": 2_000, "W3": 2_000, "W4": 400, "W5": 200}
#: Other numbers of episodes that Q-learning is measured at: growth over episodes, and slow peers in a quick run.
EPISODES = {"W1": (10, 100, 10_000)} | {name: (episodes,) for name, episodes in FEW_EPISODES.items()}


@njit
def best_action(values, ties):  # type: ignore[no-untyped-def]
    action, equal = 0, 1
    for a in range(1, values.size):
        if values[a] > values[action]:
            action, equal = a, 1
        elif values[a] == values[action]:
            equal += 1
            if ties == LAST or (ties == RANDOM and np.random.randint(equal) == 0):
                action = a
    return action


@njit
def preferences(row, temperature):  # type: ignore[no-untyped-def]
    weights = np.exp((row - row.max()) / temperature)
    return weights / weights.sum()


@njit
def choose(values, counts, explore, ties, epsilon, temperature, c):  # type: ignore[no-untyped-def]
    if explore == SOFTMAX:
        draw, action = np.random.random(), 0
        for share in preferences(values, temperature)[:-1]:
            draw -= share
            action += draw >= 0
        return action
    if explore == UCB:
        logarithm = np.log(max(counts.sum(), 1))
        scores = np.empty(values.size)
        for a in range(values.size):
            scores[a] = values[a] + c * np.sqrt(logarithm / counts[a]) if counts[a] else np.inf
        return best_action(scores, ties)
    return np.random.randint(values.size) if np.random.random() < epsilon else best_action(values, ties)


@njit
def backup(n_step_rewards, gamma, ahead):  # type: ignore[no-untyped-def]
    for r in n_step_rewards[::-1]:
        ahead = r + gamma * ahead
    return ahead


@njit
def learn(  # type: ignore[no-untyped-def]
    next_state, reward, terminated, start, q, seed, episodes, limit, alpha, gamma, epsilon, temperature, c, lambda_,
    power, numbers, rule, explore, ties, n, traces, by_visits,
):  # fmt: skip
    """Train one agent: `q` is (2, S, A), the second table for double Q-learning alone.  Its steps."""
    np.random.seed(seed)
    visits, e = np.zeros(q.shape[1:], np.int64), np.zeros(q.shape[1:])
    table, n_steps = q[0], 0
    for _ in range(episodes):
        s = start[np.random.randint(start.size)]
        a = choose(table[s] + q[1, s], visits[s], explore, ties, epsilon, temperature, c)
        e[:] = 0
        pairs, rewards = [(s, a)][:0], [np.float64(0)][:0]
        for t in range(limit):
            k = np.random.randint(next_state.shape[2])
            s2, r, end = next_state[s, a, k], reward[s, a, k], terminated[s, a, k]
            over = end or t + 1 == limit
            visits[s, a] += 1
            n_steps += 1
            a2, own = 0, 0
            if rule == SARSA:
                if not end:
                    a2 = choose(table[s2], visits[s2], explore, ties, epsilon, temperature, c)
                value = table[s2, a2]
            elif rule == EXPECTED_SARSA:
                value = (1 - epsilon) * table[s2].max() + epsilon * table[s2].mean()
            elif rule == DOUBLE:
                own = np.random.randint(2)
                value = q[1 - own, s2, best_action(q[own, s2], ties)]
            elif rule == ARTICLE:
                value = numbers[best_action(table[s2], ties)]
            else:
                value = table[s2].max()
            if end and rule != ARTICLE:
                value = np.float32(0)
            rate = alpha
            if n > 1:
                pairs.append((s, a))
                rewards.append(r)
                if over:  # of the last n pairs each one's own G, all with the same value ahead, before any update
                    targets = [backup(rewards[i:], gamma, value) for i in range(len(pairs))]
                    for pair, target in zip(pairs, targets):
                        table[pair] += alpha * (target - table[pair])
                elif len(pairs) == n:
                    pair = pairs.pop(0)
                    table[pair] += alpha * (backup(rewards, gamma, value) - table[pair])
                    rewards.pop(0)
            elif traces != NO_TRACES:
                change = alpha * (r + gamma * value - table[s, a])
                e[s, a] = 1 if traces == REPLACING else e[s, a] + 1
                for x in range(e.shape[0]):
                    for y in range(e.shape[1]):
                        table[x, y] += change * e[x, y]
                        e[x, y] *= gamma * lambda_
            else:
                if by_visits:
                    rate = np.float32(visits[s, a] ** -power)
                q[own, s, a] += rate * (r + gamma * value - q[own, s, a])
            if over:
                break
            if rule != SARSA:
                a2 = choose(table[s2] + q[1, s2], visits[s2], explore, ties, epsilon, temperature, c)
                if traces != NO_TRACES and table[s2, a2] < table[s2].max():
                    e[:] = 0  # Watkins: behind an exploratory action nothing was earned by the greedy policy
            s, a = s2, a2
    if rule == DOUBLE:
        q[0] = (q[0] + q[1]) / 2
    return n_steps


@njit(parallel=True)
def learn_all(  # type: ignore[no-untyped-def]
    next_state, reward, terminated, start, q, steps, episodes, limit, alpha, gamma, epsilon, temperature, c, lambda_,
    power, numbers, rule, explore, ties, n, traces, by_visits,
):  # fmt: skip
    for agent in prange(q.shape[0]):
        both = np.zeros((2, q.shape[1], q.shape[2]), np.float32)
        steps[agent] = learn(
            next_state, reward, terminated, start, both, 1_000_003 + agent, episodes, limit, alpha, gamma, epsilon,
            temperature, c, lambda_, power, numbers, rule, explore, ties, n, traces, by_visits,
        )  # fmt: skip
        q[agent] = both[0]


def reference(given: Workload, answer: str, n_agents: int) -> Expected:
    """Train `n_agents` agents by the scalar learner and summarise what they got."""
    options = {"rule": Q_LEARNING, "explore": EPSILON_GREEDY, "ties": TIES[given.ties], "n": 1, "traces": NO_TRACES}
    options |= LEARNERS[answer]
    q = np.empty((n_agents, given.n_states, given.n_actions), np.float32)
    steps = np.empty(n_agents, np.int64)
    learn_all(
        given.next_state, given.reward, given.terminated, given.start, q, steps, given.episodes,
        2**62 if given.limit is None else given.limit, np.float32(given.alpha), np.float32(given.gamma),
        np.float32(given.epsilon), TEMPERATURE, 2.0, LAMBDA, VISITS_POWER,
        np.array([-1, 1] if given.n_actions == 2 else range(given.n_actions), np.float32),
        options["rule"], options["explore"], options["ties"], options["n"], options["traces"],
        bool(options.get("by_visits")),
    )  # fmt: skip
    scored = [greedy_return(given, part) for part in np.array_split(q, -(-n_agents // 16))]
    return Expected(
        start_value=_spread(q[:, given.start].max(axis=2).mean(axis=1, dtype=np.float64)),
        steps=_spread(steps),
        greedy_return=_spread(np.concatenate(scored)),
    )


def _spread(values: np.ndarray) -> Spread:  # type: ignore[type-arg]
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    slack = max(4 * sd / sqrt(values.size), 2e-5 * abs(mean))
    return Spread(*(float(f"{x:.6g}") for x in (mean, sd, slack)))


def wanted() -> Iterator[tuple[Workload, str]]:
    """Every (workload, answer) that a benchmark is held against."""
    for variant in VARIANTS.values():
        if variant.reference is None:
            yield from ((workload(name), variant.name) for name in variant.workloads)
    for name, numbers in EPISODES.items():
        yield from ((replace(workload(name), episodes=episodes), "q_learning") for episodes in numbers)


def main(names: list[str]) -> None:
    """Train what is named, by default what is missing in ``references.json``; ``all`` for everything."""
    found = json.loads(REFERENCES.read_text("utf-8")) if REFERENCES.exists() and names != ["all"] else {}
    for given, answer in wanted():
        key = reference_key(given, answer)
        if key in found and answer not in names:
            continue
        expected = reference(given, answer, AGENTS[given.name])
        found[key] = {what: list(asdict(spread).values()) for what, spread in vars(expected).items()}
        print(key, found[key], flush=True)
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(found[key])}" for key in sorted(found))
        REFERENCES.write_text("{\n" + lines + "\n}\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""A Q-learner in plain Python: one agent, one step at a time, obvious rather than fast.

It shares the specification of an agent with the kernel and nothing else: no lanes, no blocks, no packed words.  Every
number is a NumPy scalar of the element type, so that each operation rounds as the specification says.  The alias
tables are data that both sides read; the property tests check them on their own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from oracle.streams import Stream

from qfast.tables import alias_table

UNIT = 2**24  # epsilon, and the number in [0, 1) that it is compared with, count in steps of 1 / UNIT


@dataclass(frozen=True)
class Learned:
    """What one agent ends with."""

    q: np.ndarray[Any, Any]  # (S, A)
    returns: np.ndarray[Any, Any]  # (episodes,)
    lengths: np.ndarray[Any, Any]  # (episodes,)
    successes: int  # episodes ended by a terminated outcome that gives at least `goal_reward`


def learn(
    mdp,
    *,
    seed=None,
    agent=0,
    stream=None,
    state=None,
    episodes,
    alpha=0.1,
    gamma=0.9,
    epsilon=0.1,
    initial_q=0.0,
    ties="random",
    dtype="float32",
    goal_reward=np.inf,
):
    """Train one agent.

    `alpha` and `epsilon` are a number, or a sequence with one for each episode; `initial_q` is a number or a table.
    With ``alpha=0`` nothing is learned and `initial_q` is the policy to follow.  An agent that goes on has a `stream`
    and the `state` of its next episode; a new one has a `seed` and its number.
    """
    real = np.dtype(dtype).type
    chance = Chance(mdp, Stream.of(seed, agent) if stream is None else stream, ties)
    q = np.full((mdp.n_states, mdp.n_actions), initial_q, dtype)
    for row, actions in zip(q, chance.allowed, strict=True):
        if actions:
            row[[action for action in range(mdp.n_actions) if action not in actions]] = -np.inf
    gamma = real(gamma)
    returns, lengths, successes = [], [], 0
    state = chance.start() if state is None else state
    with np.errstate(over="ignore", invalid="ignore"):
        for episode in range(episodes):
            rate = real(_in_episode(alpha, episode))
            explore = round(float(_in_episode(epsilon, episode)) * UNIT)
            total, length, ended = real(0), 0, False
            while not ended:
                action = chance.action(q[state], state, explore)
                outcome = chance.outcome(state, action)
                next_start = chance.start()  # drawn after every step, used after the last one of an episode
                reward = real(mdp.reward[state, action, outcome])
                after = mdp.next_state[state, action, outcome]
                terminated = mdp.terminated[state, action, outcome]

                target = reward if terminated else reward + gamma * max(q[after, x] for x in chance.allowed[after])
                q[state, action] = q[state, action] + rate * (target - q[state, action])

                total, length = total + reward, length + 1
                ended = terminated or length == mdp.max_episode_steps
                successes += bool(terminated and reward >= real(goal_reward))
                state = next_start if ended else after
            returns.append(total)
            lengths.append(length)
    return Learned(q, np.array(returns, dtype), np.array(lengths), successes)


def _in_episode(rate, episode):
    return rate if np.ndim(rate) == 0 else rate[episode]


def _all_equal(probability):
    return np.allclose(probability, 1 / probability.shape[-1], rtol=0, atol=1e-12)


class Chance:
    """Everything that happens by chance to one agent, from its stream: actions, outcomes, starts."""

    def __init__(self, mdp, stream, ties):
        self.stream, self.ties, self.n_outcomes = stream, ties, mdp.n_outcomes
        everything = np.ones((mdp.n_states, mdp.n_actions), bool) if mdp.allowed is None else mdp.allowed
        self.allowed = [[int(action) for action in np.flatnonzero(row)] for row in everything]
        self.probability = None if _all_equal(mdp.probability) else mdp.probability
        self.starts = [int(state) for state in np.flatnonzero(mdp.start)]
        weights = mdp.start[self.starts]
        self.start_weights = None if _all_equal(weights) else weights

    def action(self, row, state, explore):
        """Epsilon-greedy: `which` of the allowed actions explores; the rest of the word decides whether to explore.

        Where it does not, what the rest exceeds the threshold by is uniform and chooses among the maximal actions.
        """
        actions = self.allowed[state]
        which, part = self._below(len(actions))
        part >>= 8
        if part < explore:
            return actions[which]
        best = max(row[x] for x in actions)
        maximal = [x for x in actions if row[x] == best]
        if self.ties == "first":
            return maximal[0]
        if self.ties == "last":
            return maximal[-1]
        uniform = np.float32(part - explore) * (np.float32(1) / np.float32(max(UNIT - explore, 1)))
        uniform = min(uniform, np.float32(1 - 2**-24))
        return maximal[int(uniform * np.float32(len(maximal)))]

    def outcome(self, state, action):
        """Which of the K outcomes happens."""
        if self.n_outcomes == 1:
            return 0
        return self._weighted(self.n_outcomes, None if self.probability is None else self.probability[state, action])

    def start(self):
        """The state that the next episode begins in."""
        if len(self.starts) == 1:
            return self.starts[0]
        return self.starts[self._weighted(len(self.starts), self.start_weights)]

    def _weighted(self, n, weights):
        which, part = self._below(n)
        if weights is None:
            return which
        threshold, other = alias_table(weights)
        return which if part < int(threshold[which]) else int(other[which])

    def _below(self, n):
        """(which, part) = divmod(word n, 2**32): which is uniform in [0, n), part in [0, 2**32)."""
        return divmod(self.stream.word() * n, 2**32)

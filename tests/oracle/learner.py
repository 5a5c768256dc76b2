"""A learner in plain Python: one agent, one step at a time, obvious rather than fast.

It shares the specification of an agent with the kernel and nothing else: no lanes, no blocks, no packed words.  Every
number is a NumPy scalar of the element type, so that each operation rounds as the specification says.  The alias
tables are data that both sides read; the property tests check them on their own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.exploration import EXPLORE, UNIT
from oracle.rules import RULES, coin
from oracle.streams import Stream
from oracle.world import World

__all__ = ["UNIT", "Learned", "learn"]


@dataclass(frozen=True)
class Learned:
    """What one agent ends with."""

    q: np.ndarray[Any, Any]  # (S, A)
    q_tables: np.ndarray[Any, Any]  # (1 or 2, S, A)
    visits: np.ndarray[Any, Any]  # (S, A)
    returns: np.ndarray[Any, Any]  # (episodes,)
    lengths: np.ndarray[Any, Any]  # (episodes,)
    successes: int  # episodes ended by a terminated outcome that gives at least `goal_reward`
    stream: Stream
    state: int  # where the next episode begins


def learn(
    mdp,
    *,
    seed=None,
    agent=0,
    stream=None,
    state=None,
    tables=None,
    visits=None,
    episodes,
    alpha=0.1,
    alpha_by_visits=None,
    gamma=0.9,
    epsilon=0.1,
    initial_q=0.0,
    ties="random",
    dtype="float32",
    rule="q_learning",
    n=1,
    traces=None,
    lambda_=0.0,
    trace_cutoff=0.0,
    explore="epsilon_greedy",
    temperature=1.0,
    c=2.0,
    goal_reward=np.inf,
):
    """Train one agent.

    `alpha`, `epsilon`, `temperature` and `lambda_` are a number, or a sequence with one for each episode;
    `alpha_by_visits` has a step size for each visit instead; `initial_q` is a number or a table.  With ``alpha=0``
    nothing is learned and `initial_q` is the policy to follow.  An agent that goes on has a `stream` and the `state`
    of its next episode, and may have its own `tables` (1 or 2, S, A) and `visits` (S, A); a new one has a `seed` and
    its number.
    """
    real = np.dtype(dtype).type
    world = World(mdp, Stream.of(seed, agent) if stream is None else stream, dtype)
    one = Agent(world, real, rule, n, traces, trace_cutoff, explore, ties, gamma, c, initial_q)
    if tables is not None:
        one.tables = [np.array(table, real) for table in tables]
    if visits is not None:
        one.visits = visits.copy()
    returns, lengths, successes = [], [], 0
    state = world.start() if state is None else state
    with np.errstate(all="ignore"):
        for episode in range(episodes):
            one.set_rates(
                alpha=_in_episode(alpha, episode), alpha_by_visits=alpha_by_visits,
                epsilon=0.0 if explore == "greedy" else _in_episode(epsilon, episode),
                temperature=_in_episode(temperature, episode), lambda_=_in_episode(lambda_, episode),
            )  # fmt: skip
            state, rewards, terminated = one.episode(state)
            returns.append(_total(rewards, real))
            lengths.append(len(rewards))
            successes += bool(terminated and rewards[-1] >= real(goal_reward))
        tables = np.array(one.tables)
        q = tables[0] if len(tables) == 1 else (tables[0] + tables[1]) * real(0.5)
    return Learned(
        q, tables, one.visits, np.array(returns, dtype), np.array(lengths), successes, world.stream, state
    )  # fmt: skip


def _in_episode(rate, episode):
    return rate if np.ndim(rate) == 0 else rate[episode]


def _total(rewards, real):
    total = real(0)
    for reward in rewards:
        total = total + reward
    return total


class Agent:
    """One agent: its tables, its rates, and what it keeps of the episode under way."""

    def __init__(self, world, real, rule, n, traces, trace_cutoff, explore, ties, gamma, c, initial_q):
        self.world, self.real, self.rule, self.n, self.kind_of_trace = world, real, rule, n, traces
        self.explore, self.ties = explore, ties
        self.gamma, self.trace_cutoff, self.c = real(gamma), real(trace_cutoff), np.float32(c)
        shape = (world.mdp.n_states, world.mdp.n_actions)
        self.tables = [np.full(shape, initial_q, real) for _ in range(2 if rule == "double_q_learning" else 1)]
        self.visits = np.zeros(shape, np.int32)
        for table in self.tables:
            for row, actions in zip(table, world.allowed, strict=True):
                if actions:
                    row[[action for action in range(len(row)) if action not in actions]] = -np.inf

    def set_rates(self, *, alpha, alpha_by_visits, epsilon, temperature, lambda_):
        """Set the rates of an episode."""
        self.alpha, self.alpha_by_visits = self.real(alpha), alpha_by_visits
        self.explore_threshold = round(float(epsilon) * UNIT)
        self.inverse_temperature = np.float32(1 / float(temperature))
        self.trace_decay = self.gamma * self.real(lambda_)

    # --- what it knows ------------------------------------------------------------------------------------------------
    def row(self, state):
        """Q(s, ·) as it acts on it: of two tables the sum."""
        return self.tables[0][state] if len(self.tables) == 1 else self.tables[0][state] + self.tables[1][state]

    def step_size(self, pair):
        """alpha, for this pair."""
        if self.alpha_by_visits is None:
            return self.alpha
        visit = min(int(self.visits[pair]), len(self.alpha_by_visits))
        return self.real(self.alpha_by_visits[visit - 1])

    # --- an episode ---------------------------------------------------------------------------------------------------
    def episode(self, state):
        """Go through an episode.  The next one's start, the rewards, and whether the end was terminated."""
        self.past, self.trace = [], {}  # (pair, reward) of each step; the trace of each pair that has one
        rewards = []
        action = self.choose(state)
        while True:
            self.visits[state, action] += 1
            word = self.world.word() if self.rule in ("double_q_learning", "article") else None
            outcome = self.world.outcome(state, action)
            next_start = self.world.start()  # drawn after every step, used after the last one of an episode
            reward = self.world.reward[state, action, outcome]
            after = int(self.world.mdp.next_state[state, action, outcome])
            terminated = bool(self.world.mdp.terminated[state, action, outcome])
            rewards.append(reward)
            self.past.append(((state, action), reward))
            truncated = not terminated and len(rewards) == self.world.mdp.max_episode_steps

            if terminated and self.rule != "article":
                self.learn(self.real(0), word, ended=True)
            elif self.rule != "sarsa":
                value = RULES[self.rule](self, after, word)
                self.learn(self.gamma * value, word, ended=terminated or truncated)
            elif truncated:
                # The last update needs one more action, chosen in a step that has all its draws and does nothing else.
                resting = self.choose(after)
                self.world.outcome(after, resting)
                next_start = self.world.start()
                self.learn(self.gamma * self.tables[0][after, resting], word, ended=True)
            if terminated or truncated:
                return next_start, rewards, terminated

            next_action = self.choose(after)
            if self.rule == "sarsa":
                self.learn(self.gamma * self.tables[0][after, next_action], word, ended=False)
            state, action = after, next_action

    def choose(self, state):
        """Choose an action; in Watkins's Q(lambda) one that is not greedy cuts the traces."""
        action = EXPLORE[self.explore](self, state)
        if self.rule == "q_learning" and self.row(state)[action] < max(self.row(state)):
            self.trace.clear()
        return action

    # --- updates ------------------------------------------------------------------------------------------------------
    def learn(self, ahead, word, *, ended):
        """Learn from the last step; `ahead` is gamma times the value of the state that it led to."""
        if self.kind_of_trace:
            self.follow_traces(ahead)
        else:
            self.look_back(ahead, self.tables[coin(word)[0] if len(self.tables) == 2 else 0], ended=ended)

    def look_back(self, ahead, q, *, ended):
        """Move the pair of n steps ago towards what it led to; at the end of an episode all of the last n pairs."""
        last, targets = self.past[-self.n :], []
        for _, reward in reversed(last):
            targets.insert(0, reward + ahead)
            ahead = self.gamma * targets[0]
        due = list(zip(last, targets, strict=True))
        if not ended:
            due = due[:1] if len(self.past) >= self.n else []
        for (pair, _), target in due:
            q[pair] = q[pair] + self.step_size(pair) * (target - q[pair])

    def follow_traces(self, ahead):
        """Move every pair that has a trace, as far as its trace says."""
        q, (pair, reward) = self.tables[0], self.past[-1]
        change = self.step_size(pair) * ((reward + ahead) - q[pair])
        one = self.real(1)
        self.trace[pair] = self.trace.get(pair, self.real(0)) + one if self.kind_of_trace == "accumulating" else one
        for visited, trace in list(self.trace.items()):
            q[visited] = q[visited] + change * trace
            self.trace[visited] = self.trace_decay * trace
            if self.trace[visited] < self.trace_cutoff:
                del self.trace[visited]

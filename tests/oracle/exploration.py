"""How an agent chooses its actions.  Each way of exploring is one function of the agent and a state.

A row of Q has -inf where an action is not allowed, so such an action is never maximal and never likely.  Once Q has
diverged nothing may be above -inf, NaN least of all; then the random action is taken in its place.
"""

import numpy as np

from oracle.functions import exp32, log32

UNIT = 2**24  # epsilon, and the number in [0, 1) that it is compared with, count in steps of 1 / UNIT
BELOW_ONE = np.float32(1 - 2**-24)


def epsilon_greedy(agent, state):
    """`which` of the allowed actions explores; the rest of the word decides whether to explore.

    Where it does not, what the rest exceeds the threshold by is uniform and chooses among the maximal actions.
    """
    actions = agent.world.allowed[state]
    which, part = agent.world.below(len(actions))
    part >>= 8
    if part < agent.explore_threshold:
        return actions[which]
    left = max(UNIT - agent.explore_threshold, 1)
    uniform = np.float32(part - agent.explore_threshold) * (np.float32(1) / np.float32(left))
    action = greedy(agent.row(state), agent.ties, uniform)
    lost = agent.world.mdp.allowed is not None and not agent.row(state)[action] > -np.inf
    return actions[which] if lost else action


def softmax(agent, state):
    """Action a with probability w_a / (w_0 + w_1 + …): the first whose running sum exceeds the picked part of it."""
    weights, word = preferences(agent, agent.row(state)), agent.world.word()
    if not add_up(weights) > 0:
        return any_action(agent, state, word)
    pick = unit(word >> 8) * add_up(weights)
    return sum(bool(add_up(weights[: x + 1]) <= pick) for x in range(len(weights) - 1))


def ucb(agent, state):
    """The highest Q(s, a) + c sqrt(ln N(s) / N(s, a)); what was never tried comes first."""
    row, visits = agent.row(state), agent.visits[state]
    logarithm = log32(np.float32(max(visits.sum(), 1)))
    scores = []
    for value, n in zip(row, visits, strict=True):
        bonus = np.float32(np.inf) if n == 0 else agent.c * np.sqrt(logarithm / np.float32(n))
        scores.append(value if value == -np.inf else value + agent.real(bonus))
    word = agent.world.word()
    action = greedy(scores, agent.ties, unit(word >> 8))
    return action if scores[action] > -np.inf else any_action(agent, state, word)


def any_action(agent, state, word):
    """One of the allowed actions, all equally likely."""
    actions = agent.world.allowed[state]
    return actions[word * len(actions) >> 32]


EXPLORE = {"epsilon_greedy": epsilon_greedy, "greedy": epsilon_greedy, "softmax": softmax, "ucb": ucb}


def preferences(agent, row):
    """exp((Q(s, a) - max) / temperature) of each action, in float32."""
    below_best = np.asarray(row) - max(row)
    return exp32(below_best.astype(np.float32) * agent.inverse_temperature)


def greedy(row, ties, uniform):
    """A maximal action; `uniform`, a float32 in [0, 1), chooses where ties are broken at random."""
    best = max(row)
    maximal = [x for x, value in enumerate(row) if value == best]
    if not maximal:  # the first is NaN, and nothing exceeds it
        return len(row) - 1 if ties == "random" else 0
    if ties == "first":
        return maximal[0]
    if ties == "last":
        return maximal[-1]
    return maximal[int(min(uniform, BELOW_ONE) * np.float32(len(maximal)))]


def unit(bits):
    """24 bits as a float32 in [0, 1)."""
    return np.float32(bits) * np.float32(1 / UNIT)


def add_up(values, zero=None):
    """0 + v0 + v1 + … in this order, each sum rounded."""
    total = np.float32(0) if zero is None else zero
    for value in values:
        total = total + value
    return total

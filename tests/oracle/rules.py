"""What the rules take for the value of the state that an update looks ahead to.

Each rule that needs no next action is one function of the agent, that state, and the rule's own random word.
"""

import numpy as np

from oracle.exploration import UNIT, add_up, greedy, preferences, unit


def q_learning(agent, state, word):
    """The largest Q(s', a)."""
    return best_value(agent, state)


def best_value(agent, state):
    """The largest value of the allowed actions; NaN where none is above -inf, as Q of the others is not."""
    best = max(agent.tables[0][state])
    return best if agent.world.mdp.allowed is None or best > -np.inf else agent.real(np.nan)


def expected_sarsa(agent, state, word):
    """The mean of Q(s', a) under the agent's policy."""
    row = agent.tables[0][state]
    if agent.explore == "softmax":
        weights = preferences(agent, row).astype(agent.real)
        products = [w * value for w, value in zip(weights, row, strict=True) if value != -np.inf]
        return add_up(products, agent.real(0)) / add_up(weights, agent.real(0))
    epsilon = agent.real(np.float32(agent.explore_threshold) * np.float32(1 / UNIT))
    values = [value for value in row if agent.world.mdp.allowed is None or value != -np.inf]
    mean = add_up(values, agent.real(0)) / agent.real(len(values))
    return (agent.real(1) - epsilon) * best_value(agent, state) + epsilon * mean


def double_q_learning(agent, state, word):
    """The other table's value of the own table's greedy action."""
    own, other = coin(word)
    action = greedy(agent.tables[own][state], agent.ties, unit(word & (UNIT - 1)))
    lost = agent.world.mdp.allowed is not None and not agent.tables[own][state][action] > -np.inf
    return agent.real(np.nan) if lost else agent.tables[other][state][action]


def article(agent, state, word):
    """The greedy action's own name, taken for a number."""
    action = greedy(agent.row(state), agent.ties, unit(word >> 8))
    return agent.real(float(agent.world.mdp.action_names[action]))


RULES = {
    "q_learning": q_learning,
    "expected_sarsa": expected_sarsa,
    "double_q_learning": double_q_learning,
    "article": article,
}


def coin(word):
    """Double Q-learning's (own, other) table: the highest bit of the word."""
    return (1, 0) if word >> 31 else (0, 1)

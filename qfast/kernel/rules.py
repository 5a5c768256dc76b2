"""The learning rules: what Q(s, a) is moved towards.

A rule is the value of the next state that its target bootstraps from; `step.learn_one_step` does the rest:

    Q(s, a) += alpha * (r + gamma * bootstrap - Q(s, a))

To add one, write its function here, name it in `RULES`, and teach the oracle in `tests/oracle`.
"""

from numba import int32, uint32
from numpy import inf, nan

from qfast.kernel.explore import UNIT, greedy, highest, pick, preference
from qfast.kernel.jit import by_variant, inlined
from qfast.kernel.lanes import as_real, bits_as_i32, full, to_f32, where
from qfast.kernel.memory import load, store


@by_variant
def bootstrap(spec, tables, lanes, at, word):
    """The value of the next state, from its row of Q (`lanes.next_row`); `word` is random."""
    return expected_softmax if spec.rule == "expected_sarsa" and spec.explore == "softmax" else RULES[spec.rule]


def q_learning(spec, tables, lanes, at, word):
    """max_a Q(s', a) (Watkins 1989; Sutton & Barto 2018, eq. 6.8)."""
    return best_value(spec, lanes)


@inlined
def best_value(spec, lanes):
    """The largest value of the next state's allowed actions; NaN where none exceeds -inf, the forbidden ones'."""
    best = highest(spec, lanes.next_row, 0)
    return where(best > -inf, best, nan) if spec.masked else best


def expected_sarsa(spec, tables, lanes, at, word):
    """sum_a pi(a | s') Q(s', a) (van Seijen et al. 2009; S&B 2018, eq. 6.9): (1 - epsilon) max + epsilon mean.

    That is the sum for the epsilon-greedy policy however greedy actions share the ties.
    """
    best = best_value(spec, lanes)
    total = full(spec, lanes.alpha, 0)
    count = total
    for x in range(spec.n_actions):
        value = load(spec, lanes.next_row, x * spec.width)
        if spec.masked:
            count = where(value == -inf, count, count + 1)
            total = where(value == -inf, total, total + value)
        else:
            count = count + 1
            total = total + value
    epsilon = as_real(lanes.alpha, to_f32(load(spec, lanes.explore, at)) * UNIT)
    return (1 - epsilon) * best + epsilon * (total / count)


def expected_softmax(spec, tables, lanes, at, word):
    """sum_a pi(a | s') Q(s', a) for the softmax policy."""
    best = highest(spec, lanes.next_row, 0)
    weights, total = full(spec, lanes.alpha, 0), full(spec, lanes.alpha, 0)
    for x in range(spec.n_actions):
        value = load(spec, lanes.next_row, x * spec.width)
        weight = as_real(lanes.alpha, preference(spec, lanes, at, value, best))
        weights = weights + weight
        total = where(value == -inf, total, total + weight * value)
    return total / weights


def sarsa(spec, tables, lanes, at, word):
    """Q(s', a') of the action a' that is taken (Rummery & Niranjan 1994; S&B 2018, eq. 6.7): see `loop.step`."""
    return full(spec, lanes.alpha, 0)


def double_q_learning(spec, tables, lanes, at, word):
    """Q_other(s', argmax_a Q_own(s', a)); a fair coin says which table is its own (van Hasselt 2010)."""
    W, row = spec.width, at * spec.n_actions
    second = flips_to_second(word)
    for x in range(spec.n_actions):  # lanes.row has served its turn: the action is chosen
        pair = 2 * x * W
        own = where(second, load(spec, lanes.next_row, pair + W), load(spec, lanes.next_row, pair))
        store(spec, lanes.row, row + x * W, own)
    best = greedy(spec, lanes.row, at, to_f32(bits_as_i32(word & uint32(2**24 - 1))) * UNIT)
    value = full(spec, lanes.alpha, 0)
    for x in range(spec.n_actions):
        pair = 2 * x * W
        other = where(second, load(spec, lanes.next_row, pair), load(spec, lanes.next_row, pair + W))
        value = where(best == int32(x), other, value)
    return where(pick(spec, lanes.row, row, best) > -inf, value, nan) if spec.masked else value


@inlined
def flips_to_second(word):
    """The coin of double Q-learning: its highest bit says whether the second table is updated."""
    return bits_as_i32(word) < int32(0)


def article(spec, tables, lanes, at, word):
    """The number of the best action itself, -1 or +1 in the corridor: the article's slip, kept to be shown."""
    best = greedy(spec, lanes.next_row, 0, to_f32(bits_as_i32(word >> uint32(8))) * UNIT)
    value = full(spec, lanes.alpha, tables.action_value[0])
    for x in range(1, spec.n_actions):
        value = where(best == int32(x), tables.action_value[x], value)
    return value


RULES = {
    "q_learning": q_learning,
    "expected_sarsa": expected_sarsa,
    "sarsa": sarsa,
    "double_q_learning": double_q_learning,
    "article": article,
}

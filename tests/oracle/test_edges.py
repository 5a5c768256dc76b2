"""The kernel against the oracle at words that chance would not meet: both sides of every threshold.

A run is resumed with streams whose next two words are chosen, one pair for each agent, for an episode of one step.
"""

from dataclasses import replace

import numpy as np
import pytest

import qfast
from oracle.learner import UNIT, learn
from oracle.streams import Stream
from qfast.engine.tables import alias_table

LARGEST = 2**32 - 1
A, K = 5, 3


def one_step(weights=(0.2, 0.5, 0.3), *, allowed=None):
    """A state whose actions and outcomes all pay differently; every step ends the episode."""
    reward = np.zeros((2, A, K))
    reward[0] = 1 + np.arange(A * K).reshape(A, K)
    probability = np.broadcast_to(weights, (2, A, K))
    return qfast.MDP(
        np.ones((2, A, K), int), reward, terminated=np.ones((2, A, K), bool), probability=probability,
        max_episode_steps=9, allowed=allowed,
    )  # fmt: skip


def assert_same_step(mdp, words, epsilon, **settings):
    """Let one agent for each pair of words take one step."""
    n = len(words)
    streams = [Stream.that_begins(*pair) for pair in words]
    epsilon = np.broadcast_to(epsilon, n)
    run = qfast.train(
        mdp, n_agents=n, episodes=1, alpha=0.0, seed=0, record="returns", progress=False,
        epsilon=qfast.per_agent(epsilon), **settings,
    )  # fmt: skip
    rng = np.array([stream.words for stream in streams], np.uint32).T.copy()
    after = qfast.resume(replace(run, rng=rng), episodes=1, alpha=1.0, progress=False)
    for i, stream in enumerate(streams):
        mine = settings | {"epsilon": float(epsilon[i]), "initial_q": run.q[i]}
        learned = learn(mdp, stream=stream, state=0, episodes=1, alpha=1.0, **mine)
        np.testing.assert_array_equal(after.q[i], learned.q, f"{words[i]}, epsilon={epsilon[i]}")
        assert tuple(after.rng[:, i].tolist()) == stream.words


def word_for(which, part, n):
    """A word w with divmod(w n, 2**32) = (which, part or a little more)."""
    return -(-(which * 2**32 + part) // n)


def test_chosen_words_come_first():
    stream = Stream.that_begins(123, LARGEST)
    assert [stream.word(), stream.word()] == [123, LARGEST]


#: Without a mask unequal outcomes, with one equal ones: two variants for all.
MASK = np.array([[True, False, True, True, False], [False] * A])
PROBLEMS = {False: one_step(), True: one_step([1 / 3] * 3, allowed=MASK)}


@pytest.mark.parametrize("masked", [False, True])
def test_both_sides_of_the_threshold_of_exploration(masked):
    n = 3 if masked else A
    words, epsilons = [], []
    for epsilon in (0.0, 2**-24, 2**-25, 3 * 2**-25, 0.1, 1 / 3, 0.5, 1 - 2**-24, 1 - 2**-25, 1.0):
        threshold = round(epsilon * UNIT)
        for which in range(n):
            for p in (0, threshold - 1, threshold, threshold + 1, UNIT - 1):
                if 0 <= p < UNIT:
                    words.append((word_for(which, p << 8, n), 0))
                    epsilons.append(epsilon)
    assert_same_step(PROBLEMS[masked], words, epsilons, ties="random")


@pytest.mark.parametrize("masked", [False, True])
def test_both_sides_of_every_border_between_ties(masked):
    n = 3 if masked else A
    words, epsilons = [], []
    for epsilon in (0.0, 2**-24, 0.1, 0.5, 0.77, 1 - 2**-22, 1 - 2**-24):
        threshold = round(epsilon * UNIT)
        for border in range(n + 1):
            for beside in range(-3, 4):
                p = threshold + round(border / n * (UNIT - threshold)) + beside
                if threshold <= p < UNIT:
                    words.append((word_for(border % n, p << 8, n), LARGEST))
                    epsilons.append(epsilon)
    assert_same_step(PROBLEMS[masked], words, epsilons, ties="random")


@pytest.mark.parametrize(
    "weights", [(0.2, 0.5, 0.3), (1 / 3 + 1e-9, 1 / 3, 1 / 3 - 1e-9), (1.0, 0.0, 0.0), (0.0, 0.5, 0.5)], ids=str
)
def test_both_sides_of_the_threshold_between_outcomes(weights):
    threshold, _ = alias_table(np.array(weights))
    inverse = pow(K, -1, 2**32)
    seconds = [0, 1, LARGEST - 1, LARGEST]
    for part in threshold.tolist():
        seconds += [(part + beside) * inverse % 2**32 for beside in (-1, 0, 1)]  # w K leaves exactly this part
    seconds += [word_for(column, 0, K) - back for column in range(1, K) for back in (0, 1)]
    assert_same_step(one_step(weights), [(0, word) for word in seconds], 0.5, ties="random")


@pytest.mark.parametrize("first", [0, 1, 2**31, LARGEST])
def test_equal_outcomes_at_the_ends(first):
    seconds = [word_for(column, 0, K) - back for column in range(1, K) for back in (0, 1)] + [0, LARGEST]
    assert_same_step(PROBLEMS[True], [(first, word) for word in seconds], 0.5, ties="random")


def test_ties_with_values_apart():
    # m of 5 actions tie: the k-th of them, and never one of the others.
    mdp = one_step()
    rng = np.random.default_rng(3)
    run = qfast.train(mdp, n_agents=300, episodes=1, alpha=0.0, epsilon=0.0, seed=1, record="returns", progress=False)
    run.q[:, 0] = rng.integers(0, 2, (300, A))
    after = qfast.resume(run, episodes=1, alpha=1.0, progress=False)
    for i in range(300):
        stream = Stream(*run.rng[:, i])
        learned = learn(mdp, stream=stream, state=0, episodes=1, alpha=1.0, epsilon=0.0, initial_q=run.q[i])
        np.testing.assert_array_equal(after.q[i], learned.q)

"""Problems whose states lie on a line: the corridor, the random walk, the chain and river swim."""

import numpy as np

from qfast.arguments import number, whole
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.grids import PROBABILITY
from qfast.problems.titles import titled

__all__ = ["chain", "corridor", "random_walk", "river_swim"]


@titled
def corridor(
    length: int = 5,
    *,
    goal: float = 2.0,
    forward: float = 1.0,
    back: float = -1.0,
    stay: float = 0.0,
    max_episode_steps: int | None = None,
) -> MDP:
    """Make the corridor of the article: walk from state 0 to the last state.

    Action 0, named ``-1``, moves back (and stays in state 0); action 1, named ``1``, moves forward. The episode ends
    on entering the last state, the goal.

    Parameters
    ----------
    length : int, default 5
        Number of states, the goal included; at least 2.
    goal, forward, back, stay : float, default 2, 1, -1 and 0
        Reward of a step that enters the goal, moves forward elsewhere, moves back, or stays.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit, as in the article.

    Notes
    -----
    Source: "An Idiot's Guide To Q-Learning" (2025), whose constants are the defaults. With discount g the value of
    moving forward i steps before the goal (i = 1 beside it) is ``forward * (1 - g**(i - 1)) / (1 - g) +
    goal * g**(i - 1)``; for g = 0.9 that is 2, 2.8, 3.52 and 4.168.

    Examples
    --------
    >>> from qfast.problems import corridor
    >>> mdp = corridor()
    >>> mdp.reward[:, :, 0].tolist()
    [[0.0, 1.0], [-1.0, 1.0], [-1.0, 1.0], [-1.0, 2.0], [0.0, 0.0]]
    """
    last = whole("length", length, 2) - 1
    state = np.arange(last + 1)
    next_state = np.stack([np.maximum(state - 1, 0), np.minimum(state + 1, last)], axis=1)
    rewards = [number("stay", stay), number("back", back), number("forward", forward), number("goal", goal)]
    moved = np.sign(next_state - state[:, None])
    reward = np.choose(np.where(next_state == last, 3, np.choose(moved + 1, (1, 0, 2))), rewards)
    next_state[last], reward[last] = last, 0.0
    return MDP(
        next_state,
        reward,
        terminated=next_state == last,
        max_episode_steps=max_episode_steps,
        action_names=("-1", "1"),
        layout=("S" + "." * (last - 1) + "G",),
    )


@titled
def random_walk(
    n_states: int = 5, *, left: float = 0.0, right: float = 1.0, max_episode_steps: int | None = None
) -> MDP:
    """Make the random walk: one action, one step to the left or to the right with 1/2 each.

    States 1 to `n_states` are the walk, 0 and `n_states` + 1 its ends; episodes begin in the middle. There is
    nothing to decide, so a learner's Q is an estimate of the value of this one policy.

    Parameters
    ----------
    n_states : int, default 5
        Number of states that are no ends; odd, so that there is a middle.
    left, right : float, default 0 and 1
        Reward of the step that enters the left or right end. Other steps pay 0.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 6.2; the 19 states of Example 7.1 are ``random_walk(19, left=-1)``.
    Undiscounted, state i has the value ``left + (right - left) * i / (n_states + 1)``.

    Examples
    --------
    >>> from qfast.problems import random_walk
    >>> random_walk().next_state[3]
    array([[2, 4]])
    """
    n = whole("n_states", n_states)
    if n % 2 == 0:
        raise InvalidInput(f"n_states={n} is even, so the walk has no middle to start in; use {n + 1}")
    state = np.arange(n + 2)
    next_state = np.stack([state - 1, state + 1], axis=1)[:, None, :]
    next_state[0], next_state[-1] = 0, n + 1
    reward = np.zeros(next_state.shape)
    reward[1, 0, 0] = number("left", left)
    reward[n, 0, 1] = number("right", right)
    dots = "." * (n // 2)
    return MDP(
        next_state,
        reward,
        terminated=(next_state == 0) | (next_state == n + 1),
        start=(n + 1) // 2,
        max_episode_steps=max_episode_steps,
        action_names=("walk",),
        layout=(f"G{dots}S{dots}G",),
    )


@titled
def chain(
    n_states: int = 5,
    *,
    slip: float = 0.2,
    far_reward: float = 10.0,
    near_reward: float = 2.0,
    max_episode_steps: int | None = 100,
) -> MDP:
    """Make the chain: patience reaches the far end and its large reward, impatience takes the small one.

    Action 0, ``forward``, moves one state on for no reward, and pays `far_reward` in the last state, where it stays.
    Action 1, ``back``, returns to state 0 and pays `near_reward`. With probability `slip` the other action happens.
    Nothing ends an episode but the limit.

    Parameters
    ----------
    n_states : int, default 5
        Length of the chain, at least 2.
    slip : float in [0, 1], default 0.2
        Probability that the other action happens.
    far_reward, near_reward : float, default 10 and 2
        The two rewards.
    max_episode_steps : int or None, default 100
        Steps after which an episode is truncated; the papers run one episode of 1,000 steps.

    Notes
    -----
    Source: Dearden, Friedman & Russell (1998), "Bayesian Q-learning", AAAI, where it is the problem "Chain"; the slip
    of 0.2 is that of Strens (2000), "A Bayesian framework for reinforcement learning", ICML. With discount 0.99 it is
    best to move forward everywhere.

    Examples
    --------
    >>> from qfast.problems import chain
    >>> mdp = chain()
    >>> mdp.next_state[4].tolist(), mdp.reward[4].tolist(), mdp.probability[4].tolist()
    ([[4, 0], [0, 4]], [[10.0, 2.0], [2.0, 10.0]], [[0.8, 0.2], [0.8, 0.2]])
    """
    n = whole("n_states", n_states, 2)
    other = number("slip", slip, *PROBABILITY)
    state = np.arange(n)
    ahead, home = np.minimum(state + 1, n - 1), np.zeros(n, dtype=np.int64)
    gain = np.where(state == n - 1, number("far_reward", far_reward), 0.0)
    comfort = np.full(n, number("near_reward", near_reward))
    next_state = np.stack([np.stack([ahead, home], axis=1), np.stack([home, ahead], axis=1)], axis=1)
    reward = np.stack([np.stack([gain, comfort], axis=1), np.stack([comfort, gain], axis=1)], axis=1)
    shares = np.array([1.0 - other, other])
    kept = shares > 0
    return MDP(
        next_state[:, :, kept],
        reward[:, :, kept],
        terminated=np.zeros((n, 2), dtype=np.bool_),
        probability=np.broadcast_to(shares[kept], (n, 2, int(kept.sum()))),
        max_episode_steps=max_episode_steps,
        action_names=("forward", "back"),
        layout=("S" + "." * (n - 1),),
    )


@titled
def river_swim(
    n_states: int = 6, *, left_reward: float = 5.0, right_reward: float = 10_000.0, max_episode_steps: int | None = 20
) -> MDP:
    """Make river swim: swimming right is against the current, and only the far right end pays well.

    Action 0, ``left``, always moves left, and pays `left_reward` in state 0. Action 1, ``right``, moves right with
    probability 0.3, stays with 0.6 and drifts left with 0.1; in state 0 it moves right with 0.3 and stays with 0.7;
    in the last state it stays with 0.3, which pays `right_reward`, and drifts left with 0.7. Nothing ends an episode
    but the limit. Episodes begin in state 1 or 2, with 1/2 each.

    Parameters
    ----------
    n_states : int, default 6
        Number of states, at least 3.
    left_reward, right_reward : float, default 5 and 10,000
        The two rewards; divide both by 10,000 to have them in [0, 1].
    max_episode_steps : int or None, default 20
        Steps after which an episode is truncated. The source has none; 20 is the horizon of Osband, Russo & Van Roy
        (2013), "(More) efficient reinforcement learning via posterior sampling", NeurIPS.

    Notes
    -----
    Source: Strehl & Littman (2008), "An analysis of model-based interval estimation for Markov decision processes",
    Journal of Computer and System Sciences 74(8). With discount 0.95 it is best to swim right everywhere.

    Examples
    --------
    >>> from qfast.problems import river_swim
    >>> river_swim().probability[3, 1]
    array([0.1, 0.6, 0.3])
    """
    n = whole("n_states", n_states, 3)
    state = np.arange(n)
    drift = np.stack([np.maximum(state - 1, 0), state, np.minimum(state + 1, n - 1)], axis=1)
    next_state = np.stack([np.repeat(drift[:, :1], 3, axis=1), drift], axis=1)
    shares = np.zeros((n, 2, 3))
    shares[:, 0, 0] = 1.0
    shares[:, 1] = (0.1, 0.6, 0.3)
    shares[0, 1] = (0.0, 0.7, 0.3)
    shares[-1, 1] = (0.7, 0.3, 0.0)
    reward = np.zeros((n, 2, 3))
    reward[0, 0] = number("left_reward", left_reward)
    reward[-1, 1, 1] = number("right_reward", right_reward)
    start = np.zeros(n)
    start[1:3] = 0.5
    return MDP(
        next_state,
        reward,
        terminated=np.zeros((n, 2), dtype=np.bool_),
        probability=shares,
        start=start,
        max_episode_steps=max_episode_steps,
        action_names=("left", "right"),
        layout=("." + "SS" + "." * (n - 3),),
    )

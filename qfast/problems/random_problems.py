"""Problems with chance in them: the maximisation-bias example and random (Garnet) problems."""

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.noise import equally_likely, normal
from qfast.problems.number_checks import finite, whole

__all__ = ["garnet", "maximisation_bias"]


def maximisation_bias(
    n_actions: int = 10,
    *,
    mean: float = -0.1,
    std: float = 1.0,
    n_outcomes: int = 64,
    max_episode_steps: int | None = None,
) -> MDP:
    """Make the maximisation-bias example: a tempting state whose noisy rewards lose on average.

    Episodes begin in state 0, ``A``. Action 0, ``left``, leads to state 1, ``B``, for no reward; action 1, ``right``,
    ends the episode (state 2) for no reward. In B every one of `n_actions` actions ends the episode with a normal
    reward. Q-learning, which takes the maximum over noisy estimates, goes left too often; double Q-learning less so.

    Parameters
    ----------
    n_actions : int, default 10
        Number of actions in B, at least 2. In A only the first two are allowed.
    mean, std : float, default -0.1 and 1
        Mean and standard deviation of the rewards in B.
    n_outcomes : int, default 64
        Into how many equally likely outcomes the normal distribution is cut, see `equally_likely`: the mean is exact,
        the variance at 64 outcomes too small by 0.4 %.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit; no episode is longer than 2 steps.

    Returns
    -------
    MDP
        3 states, `n_actions` actions, `n_outcomes` equally likely outcomes.

    Raises
    ------
    InvalidInput
        If there are fewer than 2 actions or 1 outcome, or a number is not finite.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 6.7 and Figure 6.5, where B has "many" actions; 10 is usual. Undiscounted,
    the value of ``left`` is `mean` and that of ``right`` 0, so an epsilon-greedy agent with epsilon 0.1 that knew
    better would still go left in 5 % of the episodes.

    Examples
    --------
    >>> from qfast.problems import maximisation_bias
    >>> mdp = maximisation_bias()
    >>> print(f"{mdp.reward[1, 4].mean():.6f}")
    -0.100000
    >>> int(mdp.allowed[0].sum())
    2
    """
    n = whole("n_actions", n_actions, at_least=2)
    rewards = equally_likely(normal(mean, std), whole("n_outcomes", n_outcomes, at_least=1))
    next_state = np.full((3, n), 2)
    next_state[0, 0] = 1
    reward = np.zeros((3, n, rewards.size))
    reward[1] = rewards
    allowed = np.ones((3, n), dtype=np.bool_)
    allowed[0, 2:] = False
    return MDP(
        next_state,
        reward,
        terminated=next_state == 2,
        max_episode_steps=max_episode_steps,
        allowed=allowed,
        state_names=("A", "B", "end"),
        action_names=("left", "right", *map(str, range(2, n))),
    )


def garnet(
    n_states: int = 30,
    n_actions: int = 4,
    branching: int = 2,
    *,
    reward_std: float = 1.0,
    seed: int = 0,
    max_episode_steps: int | None = 100,
) -> MDP:
    """Make a random MDP of a given size: a Garnet ("generic average reward non-stationary environment test-bed").

    For every state and action, `branching` different next states are drawn uniformly; their probabilities are the
    gaps between `branching` - 1 uniform cut points of [0, 1]; the reward is normal with mean 0. Nothing ends an
    episode but the limit; episodes begin in any state, equally likely.

    Parameters
    ----------
    n_states, n_actions : int, default 30 and 4
        Size, each at least 1.
    branching : int, default 2
        Number of next states of each state and action, in [1, `n_states`].
    reward_std : float, default 1
        Standard deviation of the rewards over states and actions. Each is fixed once drawn.
    seed : int, default 0
        Seed of the problem, at least 0. The same seed gives the same problem for one version of NumPy: it drives
        ``numpy.random.Generator``.
    max_episode_steps : int or None, default 100
        Steps after which an episode is truncated.

    Returns
    -------
    MDP
        `n_states` states, `n_actions` actions, `branching` outcomes.

    Raises
    ------
    InvalidInput
        If a size is below 1, `branching` is above `n_states`, or `reward_std` is negative.

    Notes
    -----
    Source: Archibald, McKinnon & Thomas (1995), "On the generation of Markov decision processes", Journal of the
    Operational Research Society 46; here in the stationary form of Bhatnagar, Sutton, Ghavamzadeh & Lee (2009),
    "Natural actor-critic algorithms", Automatica 45, section 8, without its state features.

    Examples
    --------
    >>> from qfast.problems import garnet
    >>> garnet(30, 4, 2, seed=1) == garnet(30, 4, 2, seed=1)
    True
    """
    shape = (whole("n_states", n_states, at_least=1), whole("n_actions", n_actions, at_least=1))
    k = whole("branching", branching, at_least=1)
    if k > n_states:
        raise InvalidInput(f"branching={k} is above n_states={n_states}; next states differ, so use at most {n_states}")
    std = normal(0.0, finite("reward_std", reward_std)).stdev
    rng = np.random.Generator(np.random.PCG64(whole("seed", seed, at_least=0)))
    next_state = _different(rng, shape[0], (*shape, k))
    cuts = np.sort(rng.random((*shape, k - 1)), axis=2)
    edges = np.concatenate([np.zeros((*shape, 1)), cuts, np.ones((*shape, 1))], axis=2)
    reward = std * rng.standard_normal(shape)
    return MDP(
        next_state,
        reward,
        terminated=np.zeros(shape, dtype=np.bool_),
        probability=np.diff(edges, axis=2),
        start=np.full(shape[0], 1.0 / shape[0]),
        max_episode_steps=max_episode_steps,
    )


def _different(rng: np.random.Generator, n: int, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Draw rows of different integers below n, uniformly, by Floyd's method for all rows at once.

    Floyd: for j = n - k, …, n - 1 draw t in [0, j]; take t, or j itself if t is in the row already.
    """
    k = shape[2]
    drawn = np.full(shape, -1, dtype=np.int64)
    for i, j in enumerate(range(n - k, n)):
        t = rng.integers(0, j + 1, size=shape[:2])
        taken = (drawn == t[:, :, None]).any(axis=2)
        drawn[:, :, i] = np.where(taken, j, t)
    return drawn

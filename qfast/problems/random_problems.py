"""Problems with chance in them: rewards with a distribution, the maximisation-bias example, random (Garnet) problems.

A distribution of rewards becomes a lookup array: its range is cut at the quantiles 1/K, 2/K, … into K bins of
probability 1/K each, and every bin is replaced by its mean. What this keeps and loses:

- The mean is exact, up to rounding. So are Q* and every other fixed point of learning, because they depend on the
  mean of the rewards alone.
- The variance is too small by what varied inside the bins, most of it in the two outer ones. For a normal
  distribution the ratio of variances is 0.637, 0.861, 0.945, 0.978, 0.991 and 0.996 for K = 2, 4, 8, 16, 32 and 64:
  the error falls a little faster than 1/K.
- Rewards are bounded by the means of the outer bins: for a normal distribution and K = 64, within about 2.5 standard
  deviations.
"""

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import number, whole
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.titles import titled

__all__ = ["equally_likely", "garnet", "maximisation_bias", "normal"]


def normal(mean: float, std: float) -> NormalDist:
    """Give a normal distribution without SciPy, for `equally_likely`.

    Parameters
    ----------
    mean, std : float
        Finite; the standard deviation is at least 0.

    Returns
    -------
    statistics.NormalDist

    Examples
    --------
    >>> from qfast.problems import normal
    >>> normal(-0.1, 1.0)
    NormalDist(mu=-0.1, sigma=1.0)
    """
    if number("std", std) < 0:
        raise InvalidInput(f"std={std} is negative; a standard deviation is at least 0")
    return NormalDist(number("mean", mean), float(std))


def equally_likely(distribution: Any, k: int) -> NDArray[np.float64]:
    """Turn a distribution into K equally likely outcomes with the same mean.

    Outcome i is the mean of the distribution between its quantiles i/K and (i + 1)/K,
    ``K * integral of F^-1(u) du from i/K to (i + 1)/K``. The mean of the outcomes is that of the distribution; their
    variance is smaller, see `qfast.problems.random_problems`.

    Parameters
    ----------
    distribution : statistics.NormalDist or frozen distribution of scipy.stats
        `normal` gives the first, which needs no SciPy; ``scipy.stats.expon(scale=2)`` is an example of the second.
        It may be discrete; it must have a finite mean.
    k : int
        Number of outcomes, at least 1.

    Returns
    -------
    ndarray of float64, shape (k,)
        The outcomes, in ascending order, each with probability 1/k.

    Raises
    ------
    InvalidInput
        If `k` is below 1, the distribution is of another kind, has several dimensions, or has no finite mean.

    Examples
    --------
    >>> from qfast.problems import equally_likely, normal
    >>> equally_likely(normal(0.0, 1.0), 4).round(3)
    array([-1.271, -0.325,  0.325,  1.271])
    """
    k = whole("k", k)
    if isinstance(distribution, NormalDist):
        return distribution.mean + distribution.stdev * _standard_normal(k)
    if not all(hasattr(distribution, name) for name in ("ppf", "cdf", "mean", "expect")):
        raise InvalidInput(
            f"distribution={distribution!r} is no statistics.NormalDist and no frozen distribution of scipy.stats; "
            f"use normal(mean, std), or install SciPy (pip install 'qfast[study]') and give scipy.stats.expon(), say"
        )
    return _by_quantiles(distribution, k)


def _standard_normal(k: int) -> NDArray[np.float64]:
    """Bin means of the standard normal: k (phi(z_i) - phi(z_i+1)), since x phi(x) is the derivative of -phi(x)."""
    standard = NormalDist()
    density = [0.0, *(standard.pdf(standard.inv_cdf(i / k)) for i in range(1, k)), 0.0]
    means = -k * np.diff(density)
    return (means - means[::-1]) / 2  # symmetric to the last bit, so that the mean is exactly 0


def _by_quantiles(distribution: Any, k: int) -> NDArray[np.float64]:
    """Bin means from differences of G(u), the integral of the quantile function from 0 to u.

    With q = F^-1(u), ``G(u) = E[X; X <= q] - q (F(q) - u)``: the second term takes back the part of an atom at q that
    belongs to later bins, and is 0 where the distribution is continuous.
    """
    mean = np.asarray(distribution.mean())
    if mean.ndim > 0 or not math.isfinite(mean):
        raise InvalidInput(f"the distribution has the mean {mean}; give one of one dimension with a finite mean")
    integral = [0.0]
    for i in range(1, k):
        q = float(distribution.ppf(i / k))
        integral.append(float(distribution.expect(ub=q)) - q * (float(distribution.cdf(q)) - i / k))
    integral.append(float(mean))
    return k * np.diff(integral)


@titled
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
    n = whole("n_actions", n_actions, 2)
    rewards = equally_likely(normal(mean, std), whole("n_outcomes", n_outcomes))
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


@titled
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
        Standard deviation, at least 0, of the rewards over states and actions. Each is fixed once drawn.
    seed : int, default 0
        Seed of the problem, at least 0. The same seed gives the same problem for one version of NumPy: it drives
        ``numpy.random.Generator``.
    max_episode_steps : int or None, default 100
        Steps after which an episode is truncated.

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
    shape = (whole("n_states", n_states), whole("n_actions", n_actions))
    k = whole("branching", branching)
    if k > n_states:
        raise InvalidInput(f"branching={k} is above n_states={n_states}; next states differ, so use at most {n_states}")
    std = normal(0.0, number("reward_std", reward_std)).stdev
    rng = np.random.Generator(np.random.PCG64(whole("seed", seed, 0)))
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

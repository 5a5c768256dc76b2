"""Problems of courses and textbooks: gambler, car rental, bandits, inventory, machine replacement, forest."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import flag, is_number, number, whole
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems.from_matrices import finished, from_matrices
from qfast.problems.grids import PROBABILITY
from qfast.problems.outcomes import Outcomes
from qfast.problems.random_problems import equally_likely, normal
from qfast.problems.titles import titled

__all__ = [
    "bandit", "forest", "gamblers_problem", "inventory", "jacks_car_rental", "machine_replacement", "ten_armed_testbed",
]  # fmt: skip


@titled
def gamblers_problem(goal: int = 100, *, p_heads: float = 0.4, max_episode_steps: int | None = None) -> MDP:
    """Make the gambler's problem: stakes on a coin until the capital is 0 or the goal.

    The state is the capital, 0 to `goal`. An action is a stake of 1 to ``goal // 2``, allowed up to
    ``min(capital, goal - capital)``. Heads adds the stake to the capital, tails takes it. Reaching the goal pays 1 and
    ends the episode, as ruin does for nothing. Episodes begin with any capital between, equally likely.

    Parameters
    ----------
    goal : int, default 100
        At least 2.
    p_heads : float in (0, 1), default 0.4
        Probability of heads.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 4.3. The value is the probability of reaching the goal. For
    ``p_heads < 0.5`` bold play is optimal, so that half the goal is worth `p_heads`, a quarter its square, and three
    quarters ``p_heads + (1 - p_heads) * p_heads``: 0.4, 0.16 and 0.64.

    Examples
    --------
    >>> from qfast.problems import gamblers_problem
    >>> mdp = gamblers_problem()
    >>> mdp.next_state[30, 9], mdp.probability[30, 9], mdp.actions[9]
    (array([40, 20]), array([0.4, 0.6]), 10)
    """
    goal = whole("goal", goal, 2)
    p = number("p_heads", p_heads, "(0, 1)", "use a probability such as 0.4")
    capital, stake = np.arange(goal + 1)[:, None], np.arange(1, goal // 2 + 1)
    possible = stake <= np.minimum(capital, goal - capital)
    s, column = np.nonzero(possible)
    pair = np.repeat(s * stake.size + column, 2)
    after = np.stack([s + stake[column], s - stake[column]], axis=1).ravel()
    ends = np.isin(np.arange(goal + 1), (0, goal))
    outcomes = Outcomes.of(pair, np.tile([p, 1.0 - p], s.size), after, after == goal, ends[after])
    return finished(
        outcomes, possible, ends, start=np.where(ends, 0.0, 1.0 / (goal - 1)), max_episode_steps=max_episode_steps,
        actions=stake.tolist(),
    )  # fmt: skip


@titled
def jacks_car_rental(
    max_cars: int = 20,
    *,
    max_moved: int = 5,
    requests: tuple[float, float] = (3.0, 4.0),
    returns: tuple[float, float] = (3.0, 2.0),
    rent: float = 10.0,
    move_cost: float = 2.0,
    free_move: bool = False,
    parking_cost: float = 0.0,
    max_episode_steps: int | None = 100,
) -> MDP:
    """Make Jack's car rental: how many cars to move overnight between two places.

    A state is ``(cars at the first place, cars at the second)`` in the evening; an action is the number of cars moved
    from the first to the second, negative the other way. A day has Poisson numbers of requests, each served if there
    is a car, and of returns, which can be rented from the next day on. Cars beyond `max_cars` disappear. The reward of
    an outcome is the mean over all days that lead to the same next state, so that values are exact, while the spread of
    rewards is a little too small. Nothing ends an episode but the limit; episodes begin in any state, equally likely.

    Parameters
    ----------
    max_cars : int, default 20
        Most cars at a place.
    max_moved : int, default 5
        Most cars moved in a night.
    requests, returns : (float, float), default (3, 4) and (3, 2)
        Means of the daily numbers at the two places.
    rent, move_cost : float, default 10 and 2
        Reward of a car rented, cost of a car moved.
    free_move : bool, default False
        Whether the first car moved from the first place to the second is free (Exercise 4.7).
    parking_cost : float, default 0
        Cost of each place where more than 10 cars stay overnight (4 in Exercise 4.7).
    max_episode_steps : int or None, default 100
        Steps (days) after which an episode is truncated; the source has none.

    Notes
    -----
    Source: Sutton & Barto (2018), Example 4.2, with discount 0.9; the optimal policy is the last one of their Figure
    4.2. The values lie between 421.41 (no car at all) and 636.99.

    Examples
    --------
    >>> from qfast.problems import jacks_car_rental
    >>> mdp = jacks_car_rental(max_cars=4, max_moved=2)
    >>> mdp.states[7], mdp.actions, mdp.allowed[7].tolist()
    ((1, 2), (-2, -1, 0, 1, 2), [True, True, True, True, False])
    """
    most, far = whole("max_cars", max_cars), whole("max_moved", max_moved, 0)
    cost, storage = number("move_cost", move_cost), number("parking_cost", parking_cost)
    free, price = flag("free_move", free_move), number("rent", rent)
    asked, back = _means("requests", requests), _means("returns", returns)
    (share_1, rented_1), (share_2, rented_2) = (_rental_day(most, asked[i], back[i]) for i in (0, 1))
    side = most + 1
    first, second = np.divmod(np.arange(side * side), side)
    moves = np.arange(-far, far + 1)
    possible = (moves <= first[:, None]) & (-moves <= second[:, None])
    s, column = np.nonzero(possible)
    moved = moves[column]
    left = np.minimum(first[s] - moved, most)
    right = np.minimum(second[s] + moved, most)
    share = share_1[left][:, :, None] * share_2[right][:, None, :]
    gain = price * (rented_1[left][:, :, None] + rented_2[right][:, None, :])
    paid = cost * (np.abs(moved) - (free & (moved > 0))) + storage * ((left > 10) * 1.0 + (right > 10))
    reward = gain - paid[:, None, None]
    pair = np.repeat(s * moves.size + column, side * side)
    entered = np.tile(np.arange(side * side), s.size)
    outcomes = Outcomes.of(pair, share.ravel(), entered, reward.ravel(), np.zeros(pair.size))
    return finished(
        outcomes, possible, np.zeros(side * side, dtype=np.bool_), start=np.full(side * side, 1.0 / side**2),
        max_episode_steps=max_episode_steps, states=list(product(range(side), repeat=2)), actions=moves.tolist(),
    )  # fmt: skip


def _means(name: str, means: Any) -> tuple[float, float]:
    if not isinstance(means, (tuple, list)) or len(means) != 2:
        raise InvalidInput(f"{name}={means!r:.60} are no two means; give one for each place, such as (3, 4)")
    one, two = (number(f"{name}[{i}]", mean, "(0, inf)", "use a mean such as 3.0") for i, mean in enumerate(means))
    return one, two


def _rental_day(most: int, requests: float, returns: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give P(cars in the evening | cars in the morning) and the mean number rented given both, each (most + 1)^2."""
    size = most + 1
    coming = _poisson(returns, most)
    share, rented = np.zeros((size, size)), np.zeros((size, size))
    for cars in range(size):
        served = _capped(_poisson(requests, most), cars)
        for lent in range(cars + 1):
            back = _capped(coming, most - cars + lent)
            evening = slice(cars - lent, size)
            share[cars, evening] += served[lent] * back
            rented[cars, evening] += lent * served[lent] * back
    return share, np.divide(rented, share, out=np.zeros_like(rented), where=share > 0)


def _poisson(mean: float, most: int) -> NDArray[np.float64]:
    """Give the probabilities of 0 to `most`."""
    return np.array([math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(most + 1)])


def _capped(shares: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Give the probabilities of 0 to `most` for a number that is cut there."""
    capped = shares[: most + 1].copy()
    capped[most] = max(0.0, 1.0 - capped[:most].sum())
    return capped


@titled
def inventory(
    capacity: int = 3,
    demand: Sequence[float] = (0.25, 0.5, 0.25),
    *,
    price: float = 8.0,
    fixed_cost: float = 4.0,
    unit_cost: float = 2.0,
    holding_cost: float = 1.0,
    max_episode_steps: int | None = 3,
) -> MDP:
    """Make a stochastic inventory: how much to order each month before the demand is known.

    The state is the stock, 0 to `capacity`; an action is an order, which arrives at once and must fit. Then the demand
    falls, and what cannot be served is lost. The reward is the mean income of the month, ``price`` a unit sold, less
    ``fixed_cost + unit_cost * order`` for an order above 0 and ``holding_cost * (stock + order)``. Nothing ends an
    episode but the limit; episodes begin with any stock, equally likely.

    Parameters
    ----------
    capacity : int, default 3
        Largest stock, at least 1.
    demand : sequence of float, default (1/4, 1/2, 1/4)
        Probabilities of a demand of 0, 1, … units.
    price, fixed_cost, unit_cost, holding_cost : float, default 8, 4, 2 and 1
        Income of a unit, and costs.
    max_episode_steps : int or None, default 3
        Months after which an episode is truncated; the source plans for 3.

    Notes
    -----
    Source: Puterman (1994), "Markov Decision Processes", sections 3.2.2 and 4.6.1. Within three months a stock of 0, 1,
    2 and 3 is worth 67/16, 129/16, 194/16 and 227/16; the best first orders are 3, 0, 0 and 0.

    Examples
    --------
    >>> from qfast.problems import inventory
    >>> inventory().reward[:, :, 0].tolist()
    [[0.0, -1.0, -2.0, -5.0], [5.0, 0.0, -3.0, 0.0], [6.0, -1.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0]]
    """
    most = whole("capacity", capacity)
    if not isinstance(demand, (Sequence, np.ndarray)) or isinstance(demand, str):
        raise InvalidInput(f"demand={demand!r:.60} is no list; give the probability of each demand from 0 on")
    shares = np.array([number(f"demand[{d}]", p, *PROBABILITY) for d, p in enumerate(demand)])
    if shares.size == 0 or abs(shares.sum() - 1.0) > 1e-6:
        raise InvalidInput(f"demand sums to {shares.sum():.9g}, not 1; give the probability of each demand from 0 on")
    income, fixed = number("price", price), number("fixed_cost", fixed_cost)
    each, keeping = number("unit_cost", unit_cost), number("holding_cost", holding_cost)
    size = most + 1
    asked = np.arange(shares.size)
    left = np.maximum(np.arange(size)[:, None] - asked, 0)  # (stock, demand)
    sold = np.minimum(np.arange(size)[:, None], asked)
    stock, order = np.arange(size)[:, None], np.arange(size)
    level = stock + order
    possible = level <= most
    held = np.minimum(level, most)
    reward = income * (sold @ shares)[held] - (fixed + each * order) * (order > 0) - keeping * held
    P = np.zeros((size, size, size))  # noqa: N806
    for d, share in enumerate(shares):
        P[stock, order, left[held, d]] += share
    return from_matrices(
        P, np.where(possible, reward, -np.inf), axes="SAS", start=np.full(size, 1.0 / size),
        max_episode_steps=max_episode_steps,
    )  # fmt: skip


@titled
def machine_replacement(*, max_episode_steps: int | None = 100) -> MDP:
    """Make a machine that wears out: run it, overhaul it, or replace it, at what it costs a week.

    States are the machine's condition: as good as new, minor wear, major wear, inoperable. Running costs 0, 1,000 and
    3,000 by defective products in the first three, and wears the machine. An overhaul (only of major wear) costs 4,000
    with the production lost, and leaves minor wear; a replacement costs 6,000 and leaves a new machine; it is all that
    can be done with an inoperable one. Nothing ends an episode but the limit; episodes begin with a new machine.

    Parameters
    ----------
    max_episode_steps : int or None, default 100
        Steps (weeks) after which an episode is truncated; the source has none.

    Notes
    -----
    Source: Hillier & Lieberman, "Introduction to Operations Research", chapter on Markov decision processes, the
    prototype example. It is best to run up to minor wear, overhaul at major wear and replace what is inoperable. With
    discount 0.9 the costs from the four states on are 14,949, 16,262, 18,635 and 19,454; the mean cost a week of this
    policy is 1,667.

    Examples
    --------
    >>> from qfast.problems import machine_replacement
    >>> mdp = machine_replacement()
    >>> mdp.states[2], mdp.actions, mdp.reward[2, :, 0].tolist()
    ('major wear', ('run', 'overhaul', 'replace'), [-3000.0, -4000.0, -6000.0])
    """
    run: Any = [[0, 7 / 8, 1 / 16, 1 / 16], [0, 3 / 4, 1 / 8, 1 / 8], [0, 0, 1 / 2, 1 / 2], [0, 0, 0, 1]]
    none = -np.inf
    to_minor, to_new = np.tile(np.eye(4)[1], (4, 1)), np.tile(np.eye(4)[0], (4, 1))
    cost = [[0, none, none], [-1000, none, -6000], [-3000, -4000, -6000], [none, none, -6000]]
    return from_matrices(
        np.stack([run, to_minor, to_new]), cost, max_episode_steps=max_episode_steps,
        states=("as good as new", "minor wear", "major wear", "inoperable"), actions=("run", "overhaul", "replace"),
    )  # fmt: skip


@titled
def forest(
    n_ages: int = 3,
    *,
    old_reward: float = 4.0,
    cut_reward: float = 2.0,
    p_fire: float = 0.1,
    max_episode_steps: int | None = 100,
) -> MDP:
    """Make forest management: let a forest grow for wildlife, or cut it for wood, while fires happen.

    States are the forest's age, 0 to ``n_ages - 1``. Action 0, ``wait``: a fire sets it back to age 0 with
    probability `p_fire`, else it grows one age, up to the last; waiting pays `old_reward` in the last age and nothing
    before. Action 1, ``cut``: back to age 0, for `cut_reward` in the last age, 1 in those between and nothing in age 0.
    Nothing ends an episode but the limit; episodes begin at age 0.

    Parameters
    ----------
    n_ages : int, default 3
        Number of ages, at least 2.
    old_reward, cut_reward : float, default 4 and 2
        Rewards of waiting and of cutting in the last age.
    p_fire : float in [0, 1], default 0.1
        Probability of a fire in a year.
    max_episode_steps : int or None, default 100
        Steps (years) after which an episode is truncated; the source has none.

    Notes
    -----
    Source: ``forest`` of the MDP toolboxes (Chadès et al., 2014, "MDPtoolbox", Ecography 37), called ``S``, ``r1``,
    ``r2`` and ``p`` there. With discount 0.9 it is best to wait always; the ages are worth 26.244, 29.484 and 33.484.

    Examples
    --------
    >>> from qfast.problems import forest
    >>> forest().reward[:, :, 0].tolist()
    [[0.0, 0.0], [0.0, 1.0], [4.0, 2.0]]
    """
    n, p = whole("n_ages", n_ages, 2), number("p_fire", p_fire, *PROBABILITY)
    P = np.zeros((2, n, n))  # noqa: N806
    P[:, :, 0] = [[p], [1.0]]
    P[0, np.arange(n), np.minimum(np.arange(n) + 1, n - 1)] += 1.0 - p
    R = np.zeros((n, 2))  # noqa: N806
    R[1:, 1] = 1.0
    R[-1] = number("old_reward", old_reward), number("cut_reward", cut_reward)
    return from_matrices(P, R, axes="ASS", max_episode_steps=max_episode_steps, actions=("wait", "cut"))


@titled
def bandit(arms: Sequence[Any], *, std: float = 1.0, n_outcomes: int = 64) -> MDP:
    """Make a k-armed bandit: one state, an action for each arm, and an episode for each pull.

    Parameters
    ----------
    arms : sequence
        What each arm pays: a mean, with normal rewards of deviation `std` around it; a distribution that
        `equally_likely` takes; or a list of ``(probability, reward)``.
    std : float, default 1
        Standard deviation of arms given by their means; 0 for certain rewards.
    n_outcomes : int, default 64
        Into how many equally likely outcomes a distribution is cut, see `equally_likely`: means are exact.

    Notes
    -----
    Source: Sutton & Barto (2018), section 2.1. The value of an arm is its mean, whatever the discount. The step size
    ``qfast.by_visits()`` makes the sample averages of their equation 2.1.

    Examples
    --------
    >>> from qfast.problems import bandit
    >>> mdp = bandit([0.2, [(0.5, 0.0), (0.5, 1.0)]], std=0)
    >>> mdp.n_states, mdp.reward.tolist(), mdp.probability.tolist()
    (1, [[[0.2, 0.2], [0.0, 1.0]]], [[[0.5, 0.5], [0.5, 0.5]]])
    """
    if isinstance(arms, (str, bytes)) or not hasattr(arms, "__len__") or len(arms) == 0:
        raise InvalidInput(f"arms={arms!r:.60} are no list; give one mean, distribution or list of outcomes an arm")
    k = whole("n_outcomes", n_outcomes)
    shape = _spread(std, k)
    shares: list[Any] = []
    rewards: list[Any] = []
    for i, arm in enumerate(arms):
        if isinstance(arm, (list, tuple)):
            if not arm or any(not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in arm):
                raise InvalidInput(f"arms[{i}]={arm!r:.60} is no list of (probability, reward); give such pairs")
            p = np.array([number(f"a probability of arms[{i}]", pair[0], *PROBABILITY) for pair in arm])
            r = np.array([number(f"a reward of arms[{i}]", pair[1]) for pair in arm])
            if abs(p.sum() - 1.0) > 1e-6:
                raise InvalidInput(f"the probabilities of arms[{i}] sum to {p.sum():.9g}, not 1; divide by their sum")
        else:
            r = number(f"arms[{i}]", arm) + shape if is_number(arm) else equally_likely(arm, k)
            p = np.full(r.size, 1.0 / r.size)
        shares.append(p)
        rewards.append(r)
    pair = np.repeat(np.arange(len(rewards)), [r.size for r in rewards])
    size = pair.size
    outcomes = Outcomes.of(pair, np.concatenate(shares), np.zeros(size), np.concatenate(rewards), np.ones(size))
    # The limit says that no policy can go round in circles, so that epsilon may be 0.
    return outcomes.tables(1, len(rewards)).mdp(max_episode_steps=1)


@titled
def ten_armed_testbed(
    n_problems: int = 2000, *, n_arms: int = 10, std: float = 1.0, n_outcomes: int = 64, seed: int = 0
) -> MDP:
    """Make the ten-armed testbed: many bandits in one problem, their arms' means drawn from the normal distribution.

    A state is a bandit, and an episode one pull in one of them, each equally likely. Nothing leads from one to
    another, so that an agent learns all bandits at once, each from its own pulls: ``1000 * n_problems`` episodes make
    about 1,000 pulls of each, and episode i belongs to pull ``i / n_problems``. One agent is one run over the whole
    testbed; its mean return is what the book plots.

    Parameters
    ----------
    n_problems : int, default 2000
        Number of bandits.
    n_arms : int, default 10
        Arms of each, at least 2.
    std : float, default 1
        Standard deviation of the rewards of an arm.
    n_outcomes : int, default 64
        Into how many equally likely outcomes the rewards are cut, see `equally_likely`.
    seed : int, default 0
        Seed of the means, at least 0. The first bandits of a larger testbed are those of a smaller one.

    Notes
    -----
    Source: Sutton & Barto (2018), section 2.3, Figures 2.1 and 2.2. The best of ten arms has the mean 1.54 on average.
    The step size ``qfast.by_visits()`` makes the sample averages of equation 2.1.

    Examples
    --------
    >>> from qfast.problems import ten_armed_testbed
    >>> mdp = ten_armed_testbed(3, n_outcomes=2)
    >>> mdp.n_states, mdp.n_actions, mdp.next_state[2, 0]
    (3, 10, array([2, 2]))
    """
    rng = np.random.Generator(np.random.PCG64(whole("seed", seed, 0)))
    n = whole("n_problems", n_problems)
    means = rng.standard_normal((n, whole("n_arms", n_arms, 2)))
    reward = means[:, :, None] + _spread(std, whole("n_outcomes", n_outcomes))
    own = np.broadcast_to(np.arange(n)[:, None, None], reward.shape)
    ended = np.ones(reward.shape, dtype=np.bool_)
    return MDP(own, reward, terminated=ended, start=np.full(n, 1.0 / n), max_episode_steps=1)


def _spread(std: float, n_outcomes: int) -> NDArray[np.float64]:
    """Give equally likely deviations from a mean."""
    spread = normal(0.0, std)
    return equally_likely(spread, n_outcomes) if spread.stdev > 0 else np.zeros(1)

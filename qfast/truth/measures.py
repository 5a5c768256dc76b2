"""Every agent of a run against the truth: distance of its values, regret of its policy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qfast.run import Run
    from qfast.truth.behaviour import Behaviour
    from qfast.truth.judge import Judge

__all__ = ["Distance", "error", "is_optimal", "judged", "make_run_judge", "regret"]


@dataclass(frozen=True, eq=False, repr=False)
class Distance:
    """How far each agent's Q is from Q*.

    Attributes
    ----------
    sup : ndarray of float64, shape (n_agents,)
        The largest absolute difference over the pairs that count, in units of reward.
    rms : ndarray of float64, shape (n_agents,)
        The root of the weighted mean of squared differences, in units of reward.
    weight : str
        How much each pair counts.
    """

    sup: NDArray[np.float64]
    rms: NDArray[np.float64]
    weight: str

    def __repr__(self) -> str:
        """Sum up over agents."""
        pairs = "all pairs alike" if self.weight == "all" else "pairs as often as the optimal policy meets them"
        lines = [f"Distance of {self.sup.size:,} agents to Q*, {pairs}"]
        for name, values in (("sup", self.sup), ("rms", self.rms)):
            low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
            lines.append(f"  {name}   median {middle:.4g}, and {low:.4g} to {high:.4g} for 90 % of the agents")
        return "\n".join(lines)


def make_run_judge(run: "Run", gamma: float | None, weight: str = "all") -> "Judge":
    """Solve a run's problem, by its own discounts or a given one."""
    from qfast.exact.evaluation import check_gamma
    from qfast.run import check_run
    from qfast.truth.judge import make_judge

    check_run(run)
    given = run.gamma if gamma is None else check_gamma(gamma)
    return make_judge(run.mdp, given, run.ties, weight=weight)


def judged(run: "Run", gamma: float | None = None) -> tuple["Judge", NDArray[np.int64], "Behaviour"]:
    """Find what all agents of a run do where it matters: the judge, the agents' groups, and their behaviour."""
    judge = make_run_judge(run, gamma)
    group = judge.groups(0, run.n_agents)
    return judge, group, judge.behave(run.q, group, judge.no_masks(run.n_agents))


def error(run: "Run", *, weight: str = "all", gamma: float | None = None) -> Distance:
    r"""Measure the distance of each agent's Q to Q*; see `qfast.Run.error`.

    .. math::

        \text{sup} = \max_{(s, a): w > 0} |Q(s, a) - Q^*(s, a)|, \qquad
        \text{rms} = \Bigl(\sum_{s, a} w(s, a) [Q(s, a) - Q^*(s, a)]^2\Bigr)^{1/2}

    Parameters
    ----------
    run : Run
    weight : {"all", "optimal"}, default "all"
        The weights w, which sum to 1.  "all": the same for every allowed action in every state in which an agent can
        act.  "optimal": how often the optimal policy meets the pair, from the start (the on-policy distribution of
        Sutton & Barto 2018, section 9.2, with gamma as there); equally good actions are taken equally often.
    gamma : float, optional
        The discount of Q*, in [0, 1]; by default the run's, and where each agent has its own, each agent's own.

    Returns
    -------
    Distance
        Both norms, (n_agents,) each.

    Raises
    ------
    InvalidInput
        For an unknown weight, or with ``gamma=1`` an infinite value.
    MissingExtra
        If SciPy is not installed.

    Examples
    --------
    >>> import qfast
    >>> run = qfast.train(n_agents=100, episodes=500, seed=0, progress=False)
    >>> distance = error(run, weight="optimal")
    >>> bool((distance.sup < 1e-5).all()), bool((error(run).sup < 1e-5).any())
    (True, False)
    """
    judge = make_run_judge(run, gamma, weight)
    sup, rms = judge.distances(run.q, judge.groups(0, run.n_agents))
    return Distance(sup, rms, weight)


def regret(run: "Run", *, gamma: float | None = None) -> NDArray[np.float64]:
    r"""Compute what each agent's greedy policy loses against the best one; see `qfast.Run.regret`.

    .. math:: \sum_s h(s) [V^*(s) - V^\pi(s)]

    with h the start distribution, both values exact, by linear algebra, and without an episode limit.

    Parameters
    ----------
    run : Run
        Of several equally high values, an agent takes the action that ``run.ties`` says; with "random" each with equal
        probability, which makes the policy a stochastic one.
    gamma : float, optional
        The discount to judge by, in [0, 1]; by default the run's, and where each agent has its own, each agent's own.

    Returns
    -------
    ndarray of float64, shape (n_agents,)
        In units of (discounted) reward, at least 0; exactly 0 where `is_optimal` says True.  With ``gamma=1`` infinite
        where the policy collects costs without end, and NaN where its sum of rewards never settles.

    Raises
    ------
    InvalidInput
        For a gamma out of range, or with ``gamma=1`` an infinite V*.
    MissingExtra
        If SciPy is not installed.

    Examples
    --------
    >>> import qfast
    >>> regret(qfast.train(n_agents=3, episodes=100, seed=0, progress=False)).tolist()
    [0.0, 0.0, 0.0]
    """
    judge, group, behaviour = judged(run, gamma)
    return judge.verdict(behaviour, np.arange(run.n_agents), group).regret


def is_optimal(run: "Run", *, gamma: float | None = None) -> NDArray[np.bool_]:
    """Tell whether each agent's greedy policy is optimal where it matters; see `qfast.Run.is_optimal`.

    Parameters
    ----------
    run : Run
    gamma : float, optional
        As in `regret`.

    Returns
    -------
    ndarray of bool, shape (n_agents,)
        True where each greedy action in each state that the agent's own greedy policy can meet from the start is one of
        the optimal actions there (within the tolerance of `qfast.exact.solve`, a share of 1e-9).  What the agent thinks
        of other states does not matter, and neither does which of several optimal actions it takes.  With ``gamma=1``
        its value must be the optimal one, too: some optimal actions must not be repeated for ever.  (With ``gamma=0``
        regret sees the first step only, this all of them.)

    Raises
    ------
    InvalidInput, MissingExtra
        As in `regret`.

    Examples
    --------
    >>> import qfast
    >>> is_optimal(qfast.train(n_agents=3, episodes=100, seed=0, progress=False)).tolist()
    [True, True, True]
    """
    judge, group, behaviour = judged(run, gamma)
    if (judge.gammas < 1.0).all():
        return behaviour.is_optimal
    return judge.verdict(behaviour, np.arange(run.n_agents), group).is_optimal



r"""How wrong the values of a problem may be because its probabilities come from samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.exact.chains import Floats, can_reach, chain_sum, settled_sum
from qfast.exact.evaluation import check_gamma, evaluate_policy
from qfast.exact.model import acting_states, build_model
from qfast.exact.optimal import solve
from qfast.exact.policies import check_policy
from qfast.exact.results import Result
from qfast.model.mdp import MDP, check_mdp

__all__ = ["SamplingError", "sampling_error"]


@dataclass(frozen=True, eq=False, repr=False)
class SamplingError(Result):
    """How far the value of a policy in a sampled problem may be from its true value, for sampling alone.

    Attributes
    ----------
    value : float
        Value of the start under the policy, with the estimated probabilities.
    standard_error : float
        Standard error of `value`, in units of reward: 0 where all that the policy does is exact, NaN where a pair that
        it meets was sampled once.
    variance : ndarray of float64, shape (S, A)
        What each pair contributes: the sum is the standard error squared. More samples help most where it is largest.
    fewest : int
        The smallest number of samples of a pair that the policy meets; 0 if all of these are exact.
    mdp : MDP
    """

    value: float
    standard_error: float
    variance: Floats
    fewest: int
    mdp: MDP

    def __repr__(self) -> str:
        """Describe the error in a few lines."""
        lines = [f"SamplingError: value {self.value:.6g}, standard error {self.standard_error:.2g}"]
        if not self.fewest:
            return lines[0] + " (all that the policy meets is exact)"
        worst = np.unravel_index(int(np.argmax(np.nan_to_num(self.variance, nan=np.inf))), self.variance.shape)
        state, action = self.mdp.state_names[worst[0]], self.mdp.action_names[worst[1]]
        if self.standard_error > 0:
            lines.append(f"  most of it  from state {state}, action {action}: sample it more often")
        elif np.isnan(self.standard_error):
            lines.append(f"  unknown     since state {state}, action {action} was sampled once; sample it more often")
        lines.append(
            f"  fewest      {self.fewest:,} samples of a pair: outcomes of probability up to "
            f"{min(1.0, 3 / self.fewest):.2g} may never have been seen"
        )
        return "\n".join(lines)


def sampling_error(mdp: MDP, gamma: float, policy: ArrayLike | None = None) -> SamplingError:
    r"""Estimate the standard error that a value has because probabilities were estimated from ``mdp.counts`` samples.

    To first order, an error in the row of a pair changes the value of the start by the expected number of visits to the
    pair times the error in the mean of what follows, and rows are sampled independently (the delta method; Mannor,
    Simester, Sun & Tsitsiklis 2007, "Bias and variance approximation in value function estimates", Management Science
    53(2), 308-322):

    .. math::

        \operatorname{Var} \hat V \approx \sum_{s, a} \bigl(d(s) \pi(a | s)\bigr)^2
        \frac{\operatorname{Var}_k [r_k + \gamma (1 - \text{terminated}_k) V(s'_k)]}{n(s, a) - 1}, \qquad
        d(s) = \sum_t \gamma^t P(S_t = s)

    Parameters
    ----------
    mdp : MDP
    gamma : float
        Discount factor in [0, 1].
    policy : array_like of int, shape (S,), or of float, shape (S, A), optional
        An action for each state, or the probability of each. By default the best policy of the estimated problem, which
        makes `value` the estimate of V*.

    Returns
    -------
    SamplingError

    Raises
    ------
    InvalidInput
        As `solve` and `evaluate_policy`.

    Notes
    -----
    In simulated samples of FrozenLake-v1, 300 each with 30, 100 and 1,000 samples of a pair, `value` +- 1.96 standard
    errors held V* in 95, 97 and 97 % (gamma 0.99), and in 88, 90 and 96 % without discount.

    What it is not: a bound. Inequalities that hold for certain (Hoeffding's for each pair, with the simulation lemma of
    Kearns & Singh 2002) say nothing at usual numbers of samples: with 1,000 of each of 64 pairs, values in [0, 1] and
    gamma 0.99 their bound is 6.3. And

    - an outcome that was never seen has no part in it: see `fewest` (after n samples, outcomes of a probability above
      3/n were seen with 95 %; Hanley & Lippman-Hand 1983);
    - the best policy of a sampled problem is chosen for looking best, so that its estimate of V* is too high on
      average where several policies are nearly as good; a policy that was chosen otherwise has no such bias;
    - the distribution of the start counts as exact, and so does what an environment hides.

    Examples
    --------
    A coin that pays 1 for heads, which 40 of 100 throws were: sqrt(0.4 * 0.6 / 99).

    >>> from qfast.exact import sampling_error
    >>> from qfast.model.mdp import MDP
    >>> coin = MDP([[1], [1]], [[[1, 0]], [[0, 0]]], terminated=[[1], [1]],
    ...            probability=[[[0.4, 0.6]], [[1, 0]]], counts=[[100], [0]])
    >>> sampling_error(coin, 1.0)
    SamplingError: value 0.4, standard error 0.049
      most of it  from state 0, action 0: sample it more often
      fewest      100 samples of a pair: outcomes of probability up to 0.03 may never have been seen
    """
    check_mdp(mdp)
    gamma = check_gamma(gamma)
    acting = acting_states(mdp)
    policy = solve(mdp, gamma).policy if policy is None else policy
    found = evaluate_policy(mdp, policy, gamma)
    rows = check_policy(policy, mdp, acting)
    model = build_model(mdp, acting)
    _, chain, _ = settled_sum(model.mix(rows[model.states]), gamma)
    start = mdp.start[model.states]
    met = np.flatnonzero(can_reach(chain.transition.T.tocsr(), start > 0))
    visits = np.zeros(mdp.n_states)
    onward = chain.transition[met][:, met].T.tocsr()
    visits[model.states[met]] = chain_sum(onward, start[met] / start.sum(), gamma)

    weight = visits[:, None] * rows
    counts = np.zeros(weight.shape, np.int64) if mdp.counts is None else np.where(weight > 0, mdp.counts, 0)
    sampled = np.nonzero(counts)
    probability = mdp.probability[sampled]
    probability = probability / probability.sum(axis=1, keepdims=True)
    follows = np.where(mdp.terminated[sampled], 0.0, found.v[mdp.next_state[sampled]])
    gain = np.where(probability > 0, mdp.reward[sampled] + gamma * follows, 0.0)
    spread = (probability * (gain - (probability * gain).sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    variance = np.zeros(weight.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance[sampled] = np.where(counts[sampled] > 1, weight[sampled] ** 2 * spread / (counts[sampled] - 1), np.nan)
    return SamplingError(
        value=found.start_value,
        standard_error=float(np.sqrt(variance.sum())),
        variance=variance,
        fewest=int(counts[sampled].min(initial=2**62)) if sampled[0].size else 0,
        mdp=mdp,
    )

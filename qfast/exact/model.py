r"""The MDP as dynamic programming wants it: one sparse matrix row for each pair of a state and an action.

With `V` the values of the states in which an agent can act, one sweep over all pairs is

.. math:: Q(s, a) = r(s, a) + \gamma \sum_{s'} P(s' | s, a) V(s')

where the matrix `P` holds only outcomes that go on: a terminated outcome contributes its reward and no bootstrap
(Sutton & Barto 2018, sections 3.4 and 4.4).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from qfast.errors import InvalidInput
from qfast.exact.chains import Chain
from qfast.exact.checks import Bools, Floats, Ints
from qfast.exact.scipy_extra import sparse
from qfast.model.mdp import MDP

__all__ = ["Model", "acting_states", "build_model"]

#: Values are below the largest reward / (1 - gamma): the largest number, 1.8e308, leaves room for every gamma below 1.
_LARGEST: Final = 1e290


def acting_states(mdp: MDP) -> Bools:
    """Mark the states that have a value of their own: all but terminal ones and those without an allowed action."""
    acting: Bools = ~mdp.terminal_states
    return acting if mdp.allowed is None else acting & mdp.allowed.any(axis=1)


@dataclass(frozen=True, eq=False)
class Model:
    """An MDP restricted to the states that are valued, n of them, in their order.

    Attributes
    ----------
    mdp : MDP
        Where it comes from.
    states : ndarray of int64, shape (n,)
        The valued states.
    allowed : ndarray of bool, shape (n, n_actions)
        Which actions may be taken.
    transition : scipy.sparse CSR array, shape (n * n_actions, n)
        Row ``i * n_actions + a``: probability of going on to each valued state.
    reward : ndarray of float64, shape (n, n_actions)
        Expected reward; 0 where the action is not allowed.
    low, high : ndarray of float64, shape (n, n_actions)
        Smallest and largest reward among the outcomes of positive probability.
    ending : ndarray of bool, shape (n, n_actions)
        Whether the episode can end there.
    """

    mdp: MDP
    states: Ints
    allowed: Bools
    transition: Any
    reward: Floats
    low: Floats
    high: Floats
    ending: Bools

    @property
    def n_states(self) -> int:
        """Number of valued states."""
        return int(self.states.size)

    @property
    def n_actions(self) -> int:
        """Number of actions of the MDP."""
        return int(self.allowed.shape[1])

    @property
    def decision(self) -> Bools:
        """Which of the valued states an agent can meet, shape (n,)."""
        reachable: Bools = self.mdp.decision_states[self.states]
        return reachable

    @property
    def rounding(self) -> float:
        """Relative error of one sweep in float64: sums over outcomes, with a margin of four."""
        outcomes = int(np.diff(self.transition.indptr).max(initial=0))
        return 4.0 * (outcomes + 4) * float(np.finfo(np.float64).eps)

    def action_values(self, values: Floats, gamma: float) -> Floats:
        """One sweep: Q (n, n_actions) from V (n,), minus infinity where the action is not allowed."""
        q: Floats = self.reward + gamma * (self.transition @ values).reshape(self.reward.shape)
        if not self.allowed.all():
            q[~self.allowed] = -np.inf
        return q

    def backup(self, q: Floats, epsilon: float) -> Floats:
        """Value of acting epsilon-greedily on Q (n, n_actions): (1 - epsilon) max + epsilon mean over allowed."""
        best: Floats = q.max(axis=1)
        if epsilon == 0.0:
            return best
        total = np.where(self.allowed, q, 0.0).sum(axis=1)
        value: Floats = (1.0 - epsilon) * best + epsilon * total / self.allowed.sum(axis=1)
        return value

    def uniform(self) -> Floats:
        """Probabilities of an action drawn uniformly from those allowed, shape (n, n_actions)."""
        share: Floats = self.allowed / self.allowed.sum(axis=1, keepdims=True)
        return share

    def follow(self, actions: Ints) -> Chain:
        """Return the Markov chain of a deterministic policy (n,)."""
        here = np.arange(self.n_states)
        return Chain(
            self.transition[here * self.n_actions + actions],
            self.reward[here, actions],
            self.low[here, actions],
            self.high[here, actions],
            self.ending[here, actions],
        )

    def mix(self, probabilities: Floats) -> Chain:
        """Return the Markov chain of a stochastic policy (n, n_actions)."""
        taken = probabilities > 0.0
        first = np.zeros(self.n_states + 1, dtype=np.int64)
        np.cumsum(taken.sum(axis=1), out=first[1:])
        weights = sparse.csr_array(
            (probabilities[taken], np.flatnonzero(taken.ravel()), first),
            shape=(self.n_states, self.n_states * self.n_actions),
        )
        return Chain(
            weights @ self.transition,
            (probabilities * self.reward).sum(axis=1),
            np.where(taken, self.low, np.inf).min(axis=1),
            np.where(taken, self.high, -np.inf).max(axis=1),
            np.any(taken & self.ending, axis=1),
        )

    def scatter(self, values: Floats, fill: float = 0.0) -> Floats:
        """Put (n, ...) numbers of the valued states into an array over all states, ``fill`` elsewhere."""
        full = np.full((self.mdp.n_states, *values.shape[1:]), fill)
        full[self.states] = values
        return full


def _probability(mdp: MDP, states: Ints) -> Floats:
    # MDP accepts rows that miss 1 by up to 1e-6; here they must be distributions, or gamma is not the modulus.
    probability = mdp.probability[states]
    normal: Floats = probability / probability.sum(axis=2, keepdims=True)
    return normal


def build_model(mdp: MDP, states: Bools) -> Model:
    """Bring the rows of the marked states (n_states,) into matrix form.

    Parameters
    ----------
    mdp : MDP
        The problem.
    states : ndarray of bool, shape (n_states,)
        Which states are valued, each with an allowed action. What is entered outside of them is worth 0.

    Returns
    -------
    Model
        Rows of actions that are not allowed are empty.

    Raises
    ------
    InvalidInput
        If sums of the rewards could overflow.
    """
    valued = np.flatnonzero(states)
    n, n_actions, n_outcomes = valued.size, mdp.n_actions, mdp.n_outcomes
    allowed = np.ones((n, n_actions), dtype=np.bool_) if mdp.allowed is None else mdp.allowed[valued]
    probability = _probability(mdp, valued)
    next_state, reward = mdp.next_state[valued], mdp.reward[valued]
    possible = (probability > 0.0) & allowed[:, :, None]
    largest = float(np.abs(reward).max(where=possible, initial=0.0))
    if largest > _LARGEST:
        raise InvalidInput(
            f"a reward of size {largest:g} is above {_LARGEST:g}, so that sums of rewards may exceed what float64 "
            "holds; divide the rewards by a constant"
        )
    goes_on = possible & ~mdp.terminated[valued] & states[next_state]

    number = np.zeros(mdp.n_states, dtype=np.int32)
    number[valued] = np.arange(n, dtype=np.int32)
    n_edges = goes_on.sum(axis=2).ravel()
    first = np.zeros(n * n_actions + 1, dtype=np.int64)
    np.cumsum(n_edges, out=first[1:])
    index_type = np.int32 if first[-1] < np.iinfo(np.int32).max else np.int64
    transition = sparse.csr_array(
        (probability[goes_on], number[next_state[goes_on]].astype(index_type), first.astype(index_type)),
        shape=(n * n_actions, n),
    )
    if n_outcomes > 1:
        transition.sum_duplicates()
    return Model(
        mdp=mdp,
        states=valued,
        allowed=allowed,
        transition=transition,
        reward=np.where(allowed, (probability * reward).sum(axis=2), 0.0),
        low=np.where(possible, reward, np.inf).min(axis=2),
        high=np.where(possible, reward, -np.inf).max(axis=2),
        ending=np.any(possible & ~goes_on, axis=2),
    )

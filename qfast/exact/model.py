r"""The MDP as dynamic programming wants it: one sparse matrix row for each pair of a state and an action.

With `V` the values of the states in which an agent can act, one sweep over all pairs is

.. math:: Q(s, a) = r(s, a) + \gamma \sum_{s'} P(s' | s, a) V(s')

where the matrix `P` holds only outcomes that go on: a terminated outcome contributes its reward and no bootstrap
(Sutton & Barto 2018, sections 3.4 and 4.4).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from qfast.errors import InvalidInput
from qfast.exact.chains import Bools, Chain, Floats, Ints, sparse
from qfast.model.mdp import MDP

__all__ = ["Model", "acting_states", "build_model", "in_parts"]

#: Values are below the largest reward / (1 - gamma): the largest number, 1.8e308, leaves room for every gamma below 1.
_LARGEST: Final = 1e290


def acting_states(mdp: MDP) -> Bools:
    """Mark the states that have a value of their own: all but terminal ones and those without an allowed action."""
    acting: Bools = ~mdp.terminal_states
    return acting if mdp.allowed is None else acting & mdp.allowed.any(axis=1)


@dataclass(frozen=True, eq=False)
class Model:
    """An MDP restricted to the states that are valued, n of them, in their order."""

    mdp: MDP
    states: Ints  # (n,)
    allowed: Bools  # (n, A)
    transition: Any  # scipy.sparse CSR (n * A, n): row i * A + a has the probabilities of going on to each valued state
    reward: Floats  # (n, A), expected; 0 where the action is not allowed
    low: Floats  # (n, A), the smallest and the largest reward of positive probability
    high: Floats
    ending: Bools  # (n, A), whether the episode can end there

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
        """Return the chain of a deterministic policy (n,), or of several (m, n) side by side."""
        row = (np.arange(self.n_states) * self.n_actions + actions).ravel()
        reward, low, high, ending = (array.ravel()[row] for array in (self.reward, self.low, self.high, self.ending))
        return Chain(self._side_by_side(self.transition[row]), reward, low, high, ending)

    def mix(self, probabilities: Floats, gain: Floats | None = None) -> Chain:
        """Return the chain of a stochastic policy (n, A), or of several (m, n, A) side by side.

        Rows without an action end the episode.  A `gain` (n, A) takes the reward's place.
        """
        reward, low, high = (self.reward, self.low, self.high) if gain is None else (gain, gain, gain)
        taken = probabilities > 0.0
        flat = taken.reshape(-1, self.n_actions)
        first = np.zeros(len(flat) + 1, dtype=np.int64)
        np.cumsum(flat.sum(axis=1), out=first[1:])
        pair = np.flatnonzero(taken.ravel()) % self.reward.size
        weights = sparse.csr_array((probabilities[taken], pair, first), shape=(len(flat), self.reward.size))
        return Chain(
            self._side_by_side(weights @ self.transition),
            (probabilities * reward).sum(axis=-1).ravel(),
            np.where(taken, low, np.inf).min(axis=-1).ravel(),
            np.where(taken, high, -np.inf).max(axis=-1).ravel(),
            (np.any(taken & self.ending, axis=-1) | ~taken.any(axis=-1)).ravel(),
        )

    def _side_by_side(self, rows: Any) -> Any:
        """Turn the rows (m * n, n) of m chains into one block-diagonal matrix."""
        size = rows.shape[0]
        if size == self.n_states:
            return rows
        shift = np.repeat(np.arange(size) // self.n_states * self.n_states, np.diff(rows.indptr))
        return sparse.csr_array((rows.data, rows.indices + shift, rows.indptr), shape=(size, size))

    def scatter(self, values: Floats, fill: float = 0.0) -> Floats:
        """Put (n, ...) numbers of the valued states into an array over all states, ``fill`` elsewhere."""
        full = np.full((self.mdp.n_states, *values.shape[1:]), fill)
        full[self.states] = values
        return full


def in_parts(n_policies: int, n_states: int, most_rows: int) -> Iterator[slice]:
    """Divide policies so that the rows of all chains that are worked on at once fit in memory."""
    count = max(1, most_rows // n_states)
    return (slice(begin, min(begin + count, n_policies)) for begin in range(0, n_policies, count))


def build_model(mdp: MDP, states: Bools) -> Model:
    """Bring the rows of the marked states (n_states,), each with an allowed action, into matrix form.

    What is entered outside of them is worth 0; rows of actions that are not allowed are empty.  Rewards so large that
    sums of them could overflow are refused.
    """
    valued = np.flatnonzero(states)
    n, n_actions, n_outcomes = valued.size, mdp.n_actions, mdp.n_outcomes
    allowed = np.ones((n, n_actions), dtype=np.bool_) if mdp.allowed is None else mdp.allowed[valued]
    # MDP accepts rows that miss 1 by up to 1e-6; here they must be distributions, or gamma is not the modulus.
    probability = mdp.probability[valued]
    probability = probability / probability.sum(axis=2, keepdims=True)
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

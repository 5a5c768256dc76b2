"""Markov chains with rewards: what a fixed policy makes of an MDP, and what its undiscounted value is worth.

With gamma = 1 a policy's value is a sum without end unless its episodes end. Every state is therefore put into one
of four classes by its graph alone: the sum is finite, plus infinity, minus infinity, or it does not settle (NaN).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from qfast.exact.checks import Bools, Floats, Ints
from qfast.exact.scipy_extra import csgraph, linalg, sparse

__all__ = ["Chain", "backward_search", "can_reach", "settle"]

# A loop whose mean reward is below this share of its largest reward counts as summing to zero: rounding of
# probabilities such as 1/3 must not turn it into an infinity.
_ZERO_MEAN = 1e-9


@dataclass(frozen=True, eq=False)
class Chain:
    """A Markov chain over n states, or several side by side (block diagonal).

    Attributes
    ----------
    transition : scipy.sparse CSR array, shape (n, n)
        Probability of going on from one state to another; what is missing to 1 ends the episode.
    reward : ndarray of float64, shape (n,)
        Expected reward of a step.
    low, high : ndarray of float64, shape (n,)
        Smallest and largest reward that a step can give.
    ending : ndarray of bool, shape (n,)
        Whether a step can end the episode.
    """

    transition: Any
    reward: Floats
    low: Floats
    high: Floats
    ending: Bools

    @property
    def n_states(self) -> int:
        """Number of states, over all blocks."""
        return int(self.reward.size)

    def stop_in(self, stops: Bools) -> "Chain":
        """Return the chain in which marked states (n,) end the episode with reward 0."""
        keep = sparse.diags_array(np.where(stops, 0.0, 1.0))
        transition = sparse.csr_array(keep @ self.transition)
        transition.eliminate_zeros()
        zero = np.zeros_like(self.reward)
        return Chain(
            transition,
            np.where(stops, zero, self.reward),
            np.where(stops, zero, self.low),
            np.where(stops, zero, self.high),
            self.ending | stops,
        )


def backward_search(transition: Any, targets: Bools) -> tuple[Bools, Ints]:
    """Search against the edges, breadth first, from all targets at once.

    Parameters
    ----------
    transition : scipy.sparse CSR array, shape (n, n)
        Stored entries are edges, from row to column.
    targets : ndarray of bool, shape (n,)
        Where the search begins.

    Returns
    -------
    reached : ndarray of bool, shape (n,)
        Targets, and all from which a target can be reached.
    step : ndarray of int64, shape (n,)
        The next state on a shortest way to a target; ``n`` at a target, negative where there is no way.
    """
    n = targets.size
    backward = sparse.csr_array(transition.T)
    seeds = np.flatnonzero(targets)
    indices = np.concatenate([backward.indices, seeds]).astype(np.int32)
    first = np.concatenate([backward.indptr, [backward.indptr[-1] + seeds.size]]).astype(np.int32)
    graph = sparse.csr_array((np.ones(indices.size), indices, first), shape=(n + 1, n + 1))
    order, step = csgraph.breadth_first_order(graph, n, directed=True, return_predecessors=True)
    reached = np.zeros(n + 1, dtype=np.bool_)
    reached[order] = True
    return reached[:n], step[:n].astype(np.int64)


def can_reach(transition: Any, targets: Bools) -> Bools:
    """Mark the states (n,) from which some target can be reached, targets included."""
    if targets.all() or not targets.any():
        return targets.copy()
    return backward_search(transition, targets)[0]


def settle(chain: Chain) -> tuple[Floats, Bools]:
    """Find the states whose undiscounted value is not finite, and those where nothing happens any more.

    Parameters
    ----------
    chain : Chain
        One or several chains.

    Returns
    -------
    limit : ndarray of float64, shape (n,)
        0 where the value is finite; infinity or minus infinity where the episode can go on for ever with rewards
        that add up without bound; NaN where both can happen, or where the sum goes up and down for ever.
    quiet : ndarray of bool, shape (n,)
        States of loops that are never left and in which every reward is 0: their value is 0.
    """
    limit = np.zeros(chain.n_states)
    quiet = np.zeros(chain.n_states, dtype=np.bool_)
    stuck = np.flatnonzero(~can_reach(chain.transition, chain.ending))
    if stuck.size == 0:
        return limit, quiet
    inside = sparse.csr_array(chain.transition[stuck][:, stuck])
    n_classes, label = csgraph.connected_components(inside, directed=True, connection="strong")
    source = np.repeat(np.arange(stuck.size), np.diff(inside.indptr))
    closed = np.ones(n_classes, dtype=np.bool_)
    closed[label[source[label[source] != label[inside.indices]]]] = False

    low, high = np.full(n_classes, np.inf), np.full(n_classes, -np.inf)
    np.minimum.at(low, label, chain.low[stuck])
    np.maximum.at(high, label, chain.high[stuck])
    kind = np.zeros(n_classes)
    kind[closed & (low >= 0.0) & (high > 0.0)] = np.inf
    kind[closed & (high <= 0.0) & (low < 0.0)] = -np.inf
    for mixed in np.flatnonzero(closed & (low < 0.0) & (high > 0.0)):
        members = np.flatnonzero(label == mixed)
        mean = _mean_reward(inside[members][:, members], chain.reward[stuck[members]])
        small = abs(mean) <= _ZERO_MEAN * max(-low[mixed], high[mixed])
        kind[mixed] = np.nan if small else np.copysign(np.inf, mean)
    quiet[stuck] = (closed & (low == 0.0) & (high == 0.0))[label]

    ends_in = {}
    for name, classes in (("up", kind == np.inf), ("down", kind == -np.inf), ("open", np.isnan(kind))):
        targets = np.zeros(chain.n_states, dtype=np.bool_)
        targets[stuck] = classes[label]
        ends_in[name] = can_reach(chain.transition, targets)
    limit[ends_in["up"]] = np.inf
    limit[ends_in["down"]] = -np.inf
    limit[ends_in["open"] | (ends_in["up"] & ends_in["down"])] = np.nan
    return limit, quiet


def _mean_reward(transition: Any, reward: Floats) -> float:
    """Long-run mean reward of a recurrent class: the stationary distribution's."""
    n = reward.size
    # Balance equations with the last one replaced by "sums to 1": regular for a single recurrent class.
    system = np.eye(n) - transition.toarray().T if n <= 500 else None
    right = np.zeros(n)
    right[-1] = 1.0
    if system is not None:
        system[-1] = 1.0
        return float(np.linalg.solve(system, right) @ reward)
    balance = sparse.vstack([(sparse.eye_array(n) - transition.T).tocsr()[:-1], sparse.csr_array(np.ones((1, n)))])
    return float(linalg.spsolve(sparse.csc_array(balance), right) @ reward)

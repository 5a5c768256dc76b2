"""Markov chains with rewards: what a fixed policy makes of an MDP, and what its undiscounted value is worth.

With gamma = 1 a policy's value is a sum without end unless its episodes end. Every state is therefore put into one
of four classes by its graph alone: the sum is finite, plus infinity, minus infinity, or it does not settle (NaN).
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import optional

__all__ = ["Bools", "Chain", "Floats", "Ints", "backward_search", "can_reach", "csgraph", "linalg", "settle", "sparse"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

sparse, csgraph, linalg = (
    optional(f"scipy.{name}", "study", "exact solutions need SciPy")
    for name in ("sparse", "sparse.csgraph", "sparse.linalg")
)

# A loop whose mean reward is below this share of its largest reward counts as summing to zero: rounding of
# probabilities such as 1/3 must not turn it into an infinity.
_ZERO_MEAN = 1e-9


@dataclass(frozen=True, eq=False)
class Chain:
    """A Markov chain over n states, or several side by side (block diagonal)."""

    transition: Any  # scipy.sparse CSR (n, n): what is missing to 1 in a row ends the episode
    reward: Floats  # (n,), expected reward of a step
    low: Floats  # (n,), the smallest and the largest reward that a step can give
    high: Floats
    ending: Bools  # (n,), whether a step can end the episode

    @property
    def n_states(self) -> int:
        """Number of states, over all blocks."""
        return int(self.reward.size)

    def stop_in(self, stops: Bools) -> "Chain":
        """Return the chain in which marked states (n,) end the episode with reward 0."""
        keep = sparse.diags_array(np.where(stops, 0.0, 1.0))
        transition = sparse.csr_array(keep @ self.transition)
        transition.eliminate_zeros()
        reward, low, high = (np.where(stops, 0.0, array) for array in (self.reward, self.low, self.high))
        return Chain(transition, reward, low, high, self.ending | stops)


def backward_search(transition: Any, targets: Bools) -> tuple[Bools, Ints]:
    """Search against the edges (stored entries, row to column), breadth first, from all targets (n,) at once.

    Gives the states from which a target can be reached, targets included, and of each the next state on a shortest way;
    that is n at a target, and negative where there is no way.
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
    """Find the states whose undiscounted value is not finite, and those where nothing happens any more; each (n,).

    The first is 0 where the value is finite, infinity or minus infinity where the episode can go on for ever with
    rewards that add up without bound, and NaN where both can happen, or where the sum goes up and down for ever.  The
    second marks loops that are never left and in which every reward is 0: their value is 0.
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

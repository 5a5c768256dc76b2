r"""Markov chains with rewards, what a fixed policy makes of an MDP: their value, :math:`x = (I - \gamma P)^{-1} b`.

With gamma = 1 it is a sum without end unless episodes end. Every state is therefore put into one of four classes by
its graph alone (`settle`): the sum is finite, plus infinity, minus infinity, or it does not settle (NaN).
The linear system is solved (`chain_sum`) by whichever method its graph makes cheap:

- Every row of `P` has at most one entry (a deterministic problem): path doubling, log2 of the length of a path.
- Many small chains side by side: dense LU of all blocks in one LAPACK call.
- A sparse LU whose fill-in is known to be small beforehand (chains, narrow grids, small problems).
- Everything else, above all large random graphs, whose LU fills in completely: BiCGSTAB (van der Vorst 1992),
  or plain sweeps where that breaks down.  It is written out here, since SciPy's takes its dot products from a threaded
  BLAS: on a busy machine those threads wait for each other (a grid of 34,000 states took 37 s and not 1.7 s), and the
  last digits depend on their number.

No method is trusted: callers measure the residual of what they get.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import optional
from qfast.errors import InvalidInput

__all__ = [
    "Bools", "Chain", "Floats", "Ints", "backward_search", "can_reach", "chain_sum", "csgraph", "linalg", "settle",
    "settled_sum", "sparse", "steps_to_end",
]  # fmt: skip

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

sparse, csgraph, linalg = (
    optional(f"scipy.{name}", "study", "exact solutions need SciPy")
    for name in ("sparse", "sparse.csgraph", "sparse.linalg")
)

# Blocks up to this many states are solved densely when there are several.
_DENSE_STATES = 128
# Numbers in one dense batch: 32 MiB of float64.
_DENSE_NUMBERS = 2**22
# Operations of a sparse LU, estimated from above by its envelope. Below the first bound it is the fastest method;
# up to the second it is what to do where an iterative method does not converge (on a grid of 10^5 states the
# envelope says 10^10, and the LU takes half a second; on a random graph of 3,000 states as much and two seconds).
_LU_CHEAP = 2e8
_LU_POSSIBLE = 3e10
# Below this many states an LU is cheap whatever its fill-in.
_LU_STATES = 400
_KRYLOV_STEPS = 100
_MAX_SWEEPS = 20_000
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


def chain_sum(
    transition: Any, right: Floats, gamma: float, *, n_blocks: int = 1, start: Floats | None = None, atol: float = 0.0
) -> Floats:
    """Solve ``x = right + gamma * transition @ x`` (n,) for `n_blocks` chains of equal size side by side.

    With ``gamma=1`` every state must be able to leave the chain.  An iterative method begins with `start`, and may stop
    at a residual of `atol` (in units of reward; rounding sets a lower limit).  If none converges, which takes
    ``gamma=1`` on a large chain that hardly ever ends, InvalidInput says so.
    """
    n = right.size
    if gamma == 0.0 or transition.nnz == 0:
        return right.copy()
    entries = np.diff(transition.indptr)
    if entries.max() <= 1:
        return _double(transition, entries, right, gamma)
    size = n // n_blocks
    if n_blocks > 1 and size <= _DENSE_STATES:
        return _dense(transition, right, gamma, n_blocks)
    system = sparse.csr_array(sparse.eye_array(n, format="csr") - gamma * transition)
    envelope = 0.0 if size <= _LU_STATES else _envelope(transition)
    if envelope <= _LU_CHEAP:
        return _sparse_lu(system, right)
    total, converged = _krylov(system, right, right if start is None else start, atol)
    if converged:
        return total
    if envelope <= _LU_POSSIBLE:
        return _sparse_lu(system, right)
    return _sweep(transition, system, right, gamma, total, atol)


def settled_sum(chain: Chain, gamma: float, n_blocks: int = 1) -> tuple[Floats, Chain, Floats]:
    """The values of chains side by side; the chains without the states whose value is none; and what these have.

    The last is as `settle` gives it: where it is not 0 it takes the place of the value, which is 0 there.
    """
    limit = np.zeros(chain.n_states)
    if gamma == 1.0:
        limit, quiet = settle(chain)
        chain = chain.stop_in(quiet | (limit != 0.0))
    return chain_sum(chain.transition, chain.reward, gamma, n_blocks=n_blocks), chain, limit


def steps_to_end(chain: Chain, n_blocks: int = 1) -> tuple[float, float]:
    """The most steps that are expected until the end, from any state, and what they are to be divided by for a bound.

    steps = 1 + P steps must hold at least in part: at 0 or below they bound nothing.
    """
    steps = chain_sum(chain.transition, np.ones(chain.n_states), 1.0, n_blocks=n_blocks)
    certain = float((steps - chain.transition @ steps).min(initial=1.0))
    return float(steps.max(initial=0.0)), certain


def _double(transition: Any, entries: Any, right: Floats, gamma: float) -> Floats:
    """Path doubling: the sum over 2^k steps from the sum over 2^(k-1) steps, twice."""
    onward = np.flatnonzero(entries)
    target = np.arange(right.size)
    weight = np.zeros(right.size)
    target[onward] = transition.indices
    weight[onward] = gamma * transition.data
    total = right.copy()
    # 2^64 steps: below that either the path has ended or its weight has.
    for _ in range(64):
        total = total + weight * total[target]
        weight = weight * weight[target]
        target = target[target]
        if weight.max() <= 1e-40:
            break
    return total


def _dense(transition: Any, right: Floats, gamma: float, n_blocks: int) -> Floats:
    """All blocks by LAPACK, in batches of bounded memory."""
    size = right.size // n_blocks
    batch = max(1, _DENSE_NUMBERS // size**2)
    row = np.repeat(np.arange(right.size), np.diff(transition.indptr))
    # Position of each entry in the stack of blocks: block, row and column within the block.
    position = row * size + transition.indices % size
    total = np.empty_like(right)
    for block in range(0, n_blocks, batch):
        count = min(batch, n_blocks - block)
        rows = slice(block * size, (block + count) * size)
        entries = slice(transition.indptr[rows.start], transition.indptr[rows.stop])
        flat = np.bincount(
            position[entries] - rows.start * size, weights=transition.data[entries], minlength=count * size * size
        )
        system = -gamma * flat.reshape(count, size, size)
        system[:, np.arange(size), np.arange(size)] += 1.0
        total[rows] = np.linalg.solve(system, right[rows].reshape(count, size, 1)).ravel()
    return total


def _envelope(transition: Any) -> float:
    """Operations of an LU in the order of reverse Cuthill-McKee: the squared distances from the diagonal, added."""
    order = csgraph.reverse_cuthill_mckee(transition, symmetric_mode=False)
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    row = np.repeat(place, np.diff(transition.indptr))
    reach = np.zeros(order.size)
    np.maximum.at(reach, row, np.abs(row - place[transition.indices]))
    return float((reach**2).sum())


def _sparse_lu(system: Any, right: Floats) -> Floats:
    # Rows are diagonally dominant, so that pivots may stay on the diagonal, where a symmetric order keeps fill low.
    factors = linalg.splu(
        sparse.csc_array(system), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True}
    )
    total: Floats = factors.solve(right)
    total += factors.solve(right - system @ total)  # one step of refinement
    return total


def _krylov(system: Any, right: Floats, start: Floats, atol: float) -> tuple[Floats, bool]:
    """BiCGSTAB, restarted while it gains a digit; with whether the residual is small enough."""
    best, size = start, _residual(system, right, start)
    while size > (goal := max(atol, _floor(right, best))):
        total = _bicgstab(system, right, best, goal)
        after = _residual(system, right, total)
        if not after < 0.1 * size:  # also when it is NaN
            return (total, False) if after < size else (best, False)
        best, size = total, after
    return best, True


def _bicgstab(system: Any, right: Floats, start: Floats, goal: float) -> Floats:
    """Go on until the largest residual is below the goal, at most for some steps (van der Vorst 1992, section 3)."""
    x = start.copy()
    residual = right - system @ x
    shadow = residual.copy()
    direction = residual
    rho = _dot(shadow, residual)
    for _ in range(_KRYLOV_STEPS):
        along = system @ direction
        across = _dot(shadow, along)
        if rho == 0.0 or across == 0.0:  # it broke down
            break
        alpha = rho / across
        half = residual - alpha * along
        onward = system @ half
        length = _dot(onward, onward)
        omega = _dot(onward, half) / length if length > 0.0 else 0.0
        x += alpha * direction + omega * half
        residual = half - omega * onward
        if omega == 0.0 or not np.abs(residual).max() > goal:
            break
        rho, before = _dot(shadow, residual), rho
        direction = residual + (rho / before) * (alpha / omega) * (direction - omega * along)
    return x


def _dot(left: Floats, right: Floats) -> float:
    return float(np.einsum("i,i", left, right))  # no BLAS


def _sweep(transition: Any, system: Any, right: Floats, gamma: float, start: Floats, atol: float) -> Floats:
    """Sweep x = right + gamma P x, which always converges: by gamma a sweep, 60 / (1 - gamma) of them by e^-60."""
    best, size = start, np.inf
    n_sweeps = _MAX_SWEEPS if gamma == 1.0 else int(min(60.0 / (1.0 - gamma), _MAX_SWEEPS))
    for sweep in range(n_sweeps):
        if sweep % 16 == 0:
            size = _residual(system, right, best)
            if size <= max(atol, _floor(right, best)):
                return best
        best = right + gamma * (transition @ best)
    if gamma == 1.0 and size > 1e3 * max(atol, _floor(right, best)):
        msg = f"gamma=1.0: the sum of rewards did not converge (residual {size:.2g}); use gamma below 1 such as 0.999"
        raise InvalidInput(msg)
    return best


def _residual(system: Any, right: Floats, total: Floats) -> float:
    return float(np.abs(right - system @ total).max())


def _floor(right: Floats, total: Floats) -> float:
    """The residual that rounding leaves behind, with a margin."""
    return 64.0 * float(np.finfo(np.float64).eps) * float(np.abs(right).max() + np.abs(total).max())

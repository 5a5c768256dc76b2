"""Problems with continuous states as tables: cells as states, outcomes sampled from points of each cell."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import array_of, explained, is_whole, shown, whole
from qfast.errors import Interrupted, InvalidInput
from qfast.model.mdp import MDP
from qfast.model.mdp_checks import episode_limit
from qfast.problems import outcomes
from qfast.problems.environments.random_streams import Streams, global_streams_kept
from qfast.problems.environments.simulator import Environment, Simulator, opened
from qfast.problems.environments.spaces import actions_of
from qfast.progress import Work, WorkReporter, work_reporter

if TYPE_CHECKING:
    import gymnasium

__all__ = ["Bins", "Cells", "discretise"]

_ACTIONS_CHECKED: Final = 20

Bins = int | Sequence[int | Sequence[float]]
"""Cells a variable: a number of equal ones, or edges."""


class Cells:
    """The cells that a continuous state is cut into, and the state of an environment as a point in them.

    Parameters
    ----------
    env : gymnasium.Env
    bins : int or sequence
        See `discretise`.
    get_state, set_state : callable, optional
        See `discretise`.
    """

    def __init__(
        self,
        env: Any,
        bins: Bins,
        *,
        get_state: Callable[[Any], ArrayLike] | None = None,
        set_state: Callable[[Any, NDArray[np.float64]], object] | None = None,
    ) -> None:
        self._get = _state_of if get_state is None else get_state
        self._set = _set_state if set_state is None else set_state
        self.edges = _edges(bins, self.point(env).size, env)
        self.shape = tuple(len(edges) - 1 for edges in self.edges)

    def point(self, env: Any) -> NDArray[np.float64]:
        """Read the state of an environment as a vector."""
        try:
            state = self._get(env)
        except AttributeError as error:
            msg = f"{type(env.unwrapped).__name__} has no attribute `state` as classic control has"
            raise InvalidInput(f"{msg}; give get_state= and set_state=") from error
        given = array_of("the state", [] if state is None else state, "biuf", "discretise needs numbers")
        point: NDArray[np.float64] = given.ravel().astype(np.float64)
        if point.size == 0 or not np.isfinite(point).all():
            raise InvalidInput(f"the state of the environment is {shown(state)}; give a get_state= that gives numbers")
        return point

    def put(self, env: Any, point: NDArray[np.float64]) -> None:
        """Set the state of an environment."""
        self._set(env, point)

    def label(self, env: Any) -> tuple[int, ...]:
        """Give the cell that an environment is in; beyond the outermost edges it is the outermost one."""
        return tuple(
            [
                min(max(int(np.searchsorted(edges, x, side="right")) - 1, 0), len(edges) - 2)
                for edges, x in zip(self.edges, self.point(env).tolist(), strict=True)
            ]
        )

    def points(self, cell: tuple[int, ...], n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw n points (n, n_variables) of a cell, uniformly."""
        low: NDArray[np.float64] = np.array([edges[i] for edges, i in zip(self.edges, cell, strict=True)])
        high = np.array([edges[i + 1] for edges, i in zip(self.edges, cell, strict=True)])
        return low + (high - low) * rng.random((n, len(cell)))


def _state_of(env: Any) -> ArrayLike:
    return env.unwrapped.state  # type: ignore[no-any-return]


def _set_state(env: Any, point: NDArray[np.float64]) -> None:
    """Set the state as the environments of classic control have it."""
    inner = env.unwrapped
    before = inner.state
    inner.state = point.astype(before.dtype) if isinstance(before, np.ndarray) else point.copy()
    if hasattr(inner, "steps_beyond_terminated"):  # of CartPole, which warns of steps after the end
        inner.steps_beyond_terminated = None


def _edges(bins: Any, n_variables: int, env: Any) -> list[NDArray[np.float64]]:
    """Turn what `bins` says into the edges of each variable's cells."""
    rule = f"give a number of cells, or for each of the {n_variables} variables a number or a list of edges"
    if is_whole(bins):
        bins = [bins] * n_variables
    if not isinstance(bins, (Sequence, np.ndarray)) or isinstance(bins, str) or len(bins) != n_variables:
        raise InvalidInput(f"bins is {shown(bins)}; {rule}")
    space = getattr(env, "observation_space", None)
    ranges: list[Any] = [getattr(space, "low", None), getattr(space, "high", None)]
    found = []
    for i, given in enumerate(bins):
        name = f"bins[{i}]"
        if is_whole(given):
            n = whole(name, given, fix="use a number of cells such as 10")
            low, high = (float(ends[i]) if np.shape(ends) == (n_variables,) else math.nan for ends in ranges)
            if not (math.isfinite(high - low) and high - low < 1e30):
                msg = f"{name}={n}, but nothing says from where to where variable {i} goes ({low:g} to {high:g})"
                raise InvalidInput(f"{msg}; give its edges, for example numpy.linspace(-2, 2, {n + 1})")
            found.append(np.linspace(low, high, n + 1))
            continue
        edges = array_of(name, given, "iuf", rule).astype(np.float64)
        if edges.ndim != 1 or edges.size < 2 or not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
            raise InvalidInput(f"{name} is no list of two or more increasing edges; {rule}")
        found.append(edges)
    return found


@explained
def discretise(
    env: Environment,
    bins: Bins,
    *,
    samples: int = 100,
    resets: int = 1_000,
    get_state: "Callable[[gymnasium.Env[Any, Any]], ArrayLike] | None" = None,
    set_state: "Callable[[gymnasium.Env[Any, Any], NDArray[np.float64]], object] | None" = None,
    max_states: int = 100_000,
    max_episode_steps: int | None = None,
    seed: int = 0,
    env_options: Mapping[str, Any] | None = None,
    progress: bool | WorkReporter | None = None,
) -> MDP:
    """Approximate an environment with continuous states by a table whose states are cells.

    From every cell that can be reached, and for every action, `samples` steps are taken from points drawn uniformly
    from the cell. The table is an approximation: an agent in the real environment is not at a uniform point of its
    cell, and what it did before tells more about where it is than the cell does. `qfast.replay` shows what that costs.

    Parameters
    ----------
    env : str, gymnasium.Env or callable
        As in `qfast.from_env`; its state must be one that can be set, as that of classic control.
    bins : int or sequence
        The number of cells of each variable of the state; or for each variable a number of equal cells over the range
        of the observation space, or increasing edges, n + 1 for n cells. Values beyond the outermost edges belong to
        the outermost cells.
    samples : int, default 100
        Steps for each pair of cell and action; ``mdp.counts`` keeps them.
    resets : int, default 1,000
        Resets that estimate the distribution of the start.
    get_state, set_state : callable, optional
        ``get_state(env)`` gives the variables as numbers, ``set_state(env, point)`` sets them, a vector of float64. By
        default they read and set ``env.unwrapped.state``.
    max_states : int, default 100,000
        More cells than this are refused, as they are found.
    max_episode_steps, seed, env_options, progress
        As in `qfast.from_env`.

    Returns
    -------
    MDP
        ``mdp.states`` are tuples of the positions of cells, one of each variable, in sorted order. Rewards of outcomes
        that lead to the same cell are averaged.

    Raises
    ------
    InvalidInput
        If the state cannot be read or set, `bins` does not fit it, or a variable has no finite range.
    Interrupted
        On Ctrl-C.

    Examples
    --------
    >>> import qfast
    >>> mdp = qfast.discretise("MountainCar-v0", 8, samples=20, progress=False)
    >>> mdp.name, mdp.n_actions, mdp.max_episode_steps
    ('MountainCar-v0 in 8 x 8 cells', 3, 200)
    """
    limit = episode_limit(max_episode_steps)
    samples, resets = whole("samples", samples), whole("resets", resets)
    max_states, seed = whole("max_states", max_states), whole("seed", seed, 0, 2**63)
    if (get_state is None) != (set_state is None):
        raise InvalidInput("get_state and set_state belong together; give both, or none")
    table: _CellTable | None = None
    try:
        with (
            opened(env, dict(env_options or {})) as made,
            global_streams_kept(),
            work_reporter(progress) as report,
        ):
            rng = np.random.default_rng(seed)
            actions_of(made.action_space)  # refused before all else
            made.reset(seed=int(rng.integers(2**32)))
            cells = Cells(made, bins, get_state=get_state, set_state=set_state)
            simulator = Simulator(made, cells.label, action_mask=False)
            with simulator.without_limit():
                Streams(made).seed(made, seed)
                table = _CellTable(simulator, cells, rng, samples=samples, max_states=max_states)
                table.check_set()
                table.reset(resets)
                table.fill(report)
    except KeyboardInterrupt:
        n = 0 if table is None else len(table.rows)
        raise Interrupted(f"stopped; {n:,} cells were done") from None
    return table.mdp(limit if limit is not None else simulator.limit)


class _CellTable:
    """Outcomes of the cells that can be reached."""

    def __init__(
        self, simulator: Simulator, cells: Cells, rng: np.random.Generator, *, samples: int, max_states: int
    ) -> None:
        self.simulator, self.cells, self.rng = simulator, cells, rng
        self.samples, self.max_states = samples, max_states
        self.starts: Counter[Any] = Counter()
        self.found: dict[Any, None] = {}  # in the order in which they were found
        self.rows: dict[Any, list[dict[tuple[Any, bool], list[float]]]] = {}  # rewards by cell and end

    def check_set(self) -> None:
        """Make sure that a state that is set is there, and that it is all there is of the state."""
        env, cells = self.simulator.env, self.cells
        point = cells.point(env)
        for action in range(min(len(self.simulator.actions.labels), _ACTIONS_CHECKED)):
            points = []
            for _ in range(2):
                cells.put(env, point)
                if not np.allclose(cells.point(env), point, rtol=1e-5, atol=1e-8):
                    raise InvalidInput("set_state does not set what get_state reads; correct them")
                Streams(env).seed(env, 0)
                self.simulator.step(env, action)
                points.append(cells.point(env))
            if not np.array_equal(points[0], points[1]):
                msg = "one step from one state led to two states: get_state and set_state do not hold all of it"
                raise InvalidInput(f"{msg}; correct them")

    def _meet(self, cell: Any) -> None:
        if cell not in self.found:
            if len(self.found) >= self.max_states:
                msg = f"more than max_states={self.max_states:,} cells can be reached"
                raise InvalidInput(f"{msg}; use fewer bins, or raise max_states")
            self.found[cell] = None

    def reset(self, n: int) -> None:
        """Estimate where episodes begin."""
        for _ in range(n):
            seen = self.simulator.reset(self.simulator.env, int(self.rng.integers(2**32)))
            self.starts[seen.label] += 1
            self._meet(seen.label)

    def fill(self, report: WorkReporter) -> None:
        """Take steps from points of every cell that is met."""
        env, simulator, began = self.simulator.env, self.simulator, time.monotonic()
        queue = list(self.found)
        n_actions = len(simulator.actions.labels)
        for done, cell in enumerate(queue):
            row: list[dict[tuple[Any, bool], list[float]]] = []
            for action in range(n_actions):
                rewards = defaultdict(list)
                for point in self.cells.points(cell, self.samples, self.rng):
                    self.cells.put(env, point)
                    seen = simulator.step(env, action)
                    rewards[seen.label, seen.terminated].append(seen.reward)
                    if not seen.terminated and seen.label not in self.found:
                        self._meet(seen.label)
                        queue.append(seen.label)
                row.append(dict(rewards))
            self.rows[cell] = row
            report(Work("exploring", done + 1, len(queue), "cells", simulator.steps, time.monotonic() - began))

    def mdp(self, limit: int | None) -> MDP:
        """Make the table."""
        ends = {to for row in self.rows.values() for tried in row for to, _ in tried}
        labels = sorted({*self.rows, *ends})
        place = {label: i for i, label in enumerate(labels)}
        rows: list[list[list[outcomes.Outcome]]] = []
        n_actions = len(self.simulator.actions.labels)
        for i, label in enumerate(labels):
            tried = self.rows.get(label)
            if tried is None:
                rows.append([[(1.0, i, 0.0, True)]] * n_actions)  # never read, but a table has no holes
                continue
            rows.append(
                [
                    [
                        (len(rewards) / self.samples, place[to], math.fsum(rewards) / len(rewards), ended)
                        for (to, ended), rewards in outcome.items()
                    ]
                    for outcome in tried
                ]
            )
        start = np.zeros(len(labels))
        for label, count in self.starts.items():
            start[place[label]] = count / self.starts.total()
        counts = np.array([[self.samples if label in self.rows else 0] * n_actions for label in labels])
        cells = " x ".join(map(str, self.cells.shape))
        return outcomes.tables_of_rows(rows).mdp(
            start=start, max_episode_steps=limit, states=labels, actions=self.simulator.actions.labels,
            counts=counts, name=f"{self.simulator.name} in {cells} cells"[:80],
        )  # fmt: skip

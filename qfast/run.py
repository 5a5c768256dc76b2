"""The result of training: every agent's Q, what was recorded on the way, and every setting that made it."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.arguments import path_of, shown
from qfast.engine.agent_arrays import diverged_agents
from qfast.engine.curve import Curve
from qfast.engine.tables import forbidden_pairs
from qfast.errors import InvalidInput
from qfast.model.learner import Learner
from qfast.model.mdp import MDP
from qfast.model.rates import Rate
from qfast.model.seeding import seed_as_given, seed_to_json
from qfast.model.settings import RATES
from qfast.storage.archive import write_npz

if TYPE_CHECKING:
    from qfast.truth import Census, Checkpoints, Distance, FirstOptimal

__all__ = ["FILE", "KIND", "NotKept", "Run", "check_run"]

KIND = "run"
FILE = "run.npz"  # in a folder


class NotKept:
    """Stands for arrays that were not kept: whatever is asked of it, it says so.

    Examples
    --------
    >>> import qfast
    >>> run = qfast.train(n_agents=3, episodes=5, seed=0, keep_q=False, progress=False)
    >>> run.policy()
    Traceback (most recent call last):
        ...
    qfast.errors.InvalidInput: the agents' Q was not kept (keep_q=False); train with keep_q=True, or with out='folder'
    """

    __slots__ = ("n_agents",)

    def __init__(self, n_agents: int) -> None:
        self.n_agents = n_agents

    def __getattr__(self, name: str) -> Any:
        """Refuse; names of the interpreter's own protocols are only missing, as everywhere."""
        if name.startswith("__") and name != "__array__":
            raise AttributeError(name)
        msg = "the agents' Q was not kept (keep_q=False); train with keep_q=True, or with out='folder'"
        raise InvalidInput(msg)

    def __getitem__(self, key: object) -> Any:
        """Refuse."""
        return self.shape[key]

    def __len__(self) -> int:
        """Refuse."""
        return int(self.shape[0])

    def __repr__(self) -> str:
        """Say so."""
        return "not kept"


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """What `qfast.train` gives.

    Attributes
    ----------
    q : ndarray of float32 or float64, shape (n_agents, S, A)
        Every agent's action values, in units of reward.  Actions that are not allowed have -inf; rows of terminal
        states keep the initial value.  With ``out="folder"`` it is memory-mapped, read-only, and so are the other
        arrays of all agents; with ``keep_q=False`` using it raises InvalidInput.
    q_tables : ndarray, shape (n_agents, 2, S, A), or None
        The two tables of double Q-learning; ``q`` is their mean.
    visits : ndarray of int32, shape (n_agents, S, A), or None
        How often each pair was taken, with UCB or a step size by visits; at most 2**31 - 1.
    returns : ndarray, shape (n_agents, episodes), or None
        Undiscounted sum of rewards of each episode, with ``record="returns"``.
    lengths : ndarray of int32, shape (n_agents, episodes), or None
        Steps of each episode, with ``record="returns"``; at most 2**31 - 1.
    curve : Curve or None
        Their summary over agents for each episode, with ``record="summary"``.
    mdp : MDP
        The problem.
    learner : Learner
        Rates, ties, dtype.
    seed_sequence : numpy.random.SeedSequence
        What the agents' random streams come from.
    first_agent : int
        Number of the first agent: ``q[i]`` belongs to agent ``first_agent + i`` of the seed.
    episodes : int
        Episodes that each agent went through.
    record : {None, "returns", "summary"}
    n_steps : int
        Agent-steps in all: environment transitions, each with one update of Q.
    seconds : float
        Wall-clock time of the training, without compiling.
    rng : ndarray of uint32, shape (4, n_agents)
        Where each agent's random stream stands, for `qfast.resume`.
    state : ndarray of int32, shape (n_agents,)
        The state in which each agent's next episode begins.
    checkpoints : Checkpoints or None
        How far each agent was from the truth on its way, with ``checkpoints=``.
    n_diverged : int
        How many agents have diverged: their Q holds inf or NaN; see `diverged`.
    work : str
        Digest of the settings that a training with ``out=`` was made with, by which it knows its own result; else "".
    """

    q: NDArray[Any]
    q_tables: NDArray[Any] | None
    visits: NDArray[np.int32] | None
    returns: NDArray[Any] | None
    lengths: NDArray[np.int32] | None
    curve: Curve | None
    mdp: MDP
    learner: Learner
    seed_sequence: SeedSequence
    first_agent: int
    episodes: int
    record: str | None
    n_steps: int
    seconds: float
    rng: NDArray[np.uint32]
    state: NDArray[np.int32]
    checkpoints: "Checkpoints | None" = None
    n_diverged: int = 0
    work: str = ""

    @property
    def n_agents(self) -> int:
        """Number of agents."""
        return self.q.n_agents if isinstance(self.q, NotKept) else int(self.q.shape[0])

    @property
    def seed(self) -> Any:
        """The seed, as `qfast.train` takes it: a number, or a SeedSequence where a number would not do."""
        return seed_as_given(self.seed_sequence)

    @property
    def alpha(self) -> Rate:
        """Step size."""
        return self.learner.alpha

    @property
    def gamma(self) -> Rate:
        """Discount."""
        return self.learner.gamma

    @property
    def epsilon(self) -> Rate:
        """Exploration rate."""
        return self.learner.epsilon

    @property
    def initial_q(self) -> Rate:
        """What Q started with."""
        return self.learner.initial_q

    @property
    def rule(self) -> str:
        """Learning rule."""
        return self.learner.rule

    @property
    def explore(self) -> str:
        """How actions were chosen."""
        return self.learner.explore

    @property
    def ties(self) -> str:
        """Which of several greedy actions is taken."""
        return self.learner.ties

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of Q."""
        return self.learner.dtype

    @property
    def steps_per_second(self) -> float:
        """Agent-steps a second of the training."""
        return self.n_steps / self.seconds if self.seconds > 0 else float("nan")

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Which agents have diverged: Q of an allowed action is inf or NaN; shape (n_agents,).

        What such an agent does afterwards means nothing.  Training warns of it with
        `qfast.errors.DivergedWarning`; ``n_diverged`` is known with ``keep_q=False`` as well.

        Examples
        --------
        >>> import qfast
        >>> qfast.train(n_agents=3, episodes=5, seed=0, progress=False).diverged.tolist()
        [False, False, False]
        """
        return diverged_agents(self.q, forbidden_pairs(self.mdp))

    def policy(self) -> NDArray[np.int64]:
        """Each agent's greedy action in each state; of several the last one with ``ties="last"``, else the first.

        Returns
        -------
        ndarray of int64, shape (n_agents, S)
            An action number each; in terminal states it means nothing.

        Examples
        --------
        >>> import qfast
        >>> run = qfast.train(n_agents=3, episodes=200, seed=0, progress=False)
        >>> run.policy()[0, :4].tolist()
        [1, 1, 1, 1]
        """
        return self._greedy(self.q)

    def _greedy(self, q: NDArray[Any]) -> NDArray[np.int64]:
        # One pass over each action's column: NumPy's argmax over a short last axis is ten times slower.
        best, action = q[:, :, 0], np.zeros(q.shape[:2], np.int64)
        beats = np.greater_equal if self.ties == "last" else np.greater
        for a in range(1, self.mdp.n_actions):
            better = beats(q[:, :, a], best)
            best = np.where(better, q[:, :, a], best)
            action[better] = a
        if self.mdp.allowed is not None:  # where Q has diverged, no allowed action may exceed -inf
            first = self.mdp.allowed.argmax(axis=1)
            action = np.where(self.mdp.allowed[np.arange(self.mdp.n_states), action], action, first)
        return action

    def policy_of(self, agent: int = 0) -> dict[Any, Any]:
        """One agent's greedy policy as a dict from your states to your actions, to act on in your own environment.

        Parameters
        ----------
        agent : int
            Position in ``q``, from 0; negative ones count from the end.

        Returns
        -------
        dict
            Action by state, as ``mdp.actions`` and ``mdp.states`` call them.  Of several greedy actions it is the one
            that `policy` gives: the first, or the last one with ``ties="last"``; an agent with ``ties="random"`` takes
            any of them.  Only states in which an agent can act are there: terminal ones and those that no episode can
            reach are left out.  A state where the agent has never been has an action all the same, by its first Q.

        Raises
        ------
        InvalidInput
            If there is no such agent, or Q was not kept.

        Examples
        --------
        >>> import qfast
        >>> run = qfast.train(n_agents=3, episodes=200, seed=0, progress=False)
        >>> run.policy_of(0)
        {0: 1, 1: 1, 2: 1, 3: 1}
        """
        position = self.position(agent)
        actions = self._greedy(self.q[position : position + 1])[0].tolist()
        states = np.flatnonzero(self.mdp.decision_states).tolist()
        return {self.mdp.states[state]: self.mdp.actions[actions[state]] for state in states}

    def policies(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Tell the distinct greedy policies apart: those of `census`, in its order, without what they are worth.

        Two agents have the same policy if they do the same in every state that their policy meets from the start.
        What Q says of states to which it never leads makes no difference.

        Returns
        -------
        policies : ndarray of bool, shape (n, S, A)
            The greedy actions of each distinct policy, the most frequent first: several in a state where they tie and
            ``ties="random"``, and none in states that the policy does not meet, or that are terminal.
        agents : ndarray of int64, shape (n,)
            How many agents have each.

        Raises
        ------
        InvalidInput
            If the agents' Q was not kept.

        Examples
        --------
        >>> import qfast
        >>> policies, agents = qfast.train(n_agents=100, episodes=300, seed=0, progress=False).policies()
        >>> policies[0].astype(int).tolist(), int(agents.sum())
        ([[0, 1], [0, 1], [0, 1], [0, 1], [0, 0]], 100)
        """
        from qfast.truth.behaviour import distinct_policies

        found = distinct_policies(self)
        return found.sets(self), found.agents

    def table(self, agent: int = 0) -> dict[str, dict[str, float]]:
        """One agent's Q-table as the article prints it, ready for JSON.

        Parameters
        ----------
        agent : int
            Position in ``q``, from 0; negative ones count from the end.

        Returns
        -------
        dict of str to dict of str to float
            Value by state and action name; actions that are not allowed are left out.

        Raises
        ------
        InvalidInput
            If there is no such agent.

        Examples
        --------
        >>> import qfast
        >>> qfast.train(n_agents=1, seed=0, progress=False).table()["3"]["1"]
        1.9999995
        """
        q = self.q[self.position(agent)]
        return {
            state: {action: float(str(value)) for action, value in zip(self.mdp.action_names, row, strict=True)
                    if value > -np.inf}
            for state, row in zip(self.mdp.state_names, q, strict=True)
        }  # fmt: skip

    def position(self, agent: Any) -> int:
        """Check the position of an agent in ``q``."""
        if isinstance(agent, (bool, np.bool_)) or not isinstance(agent, (int, np.integer)):
            msg = f"agent={agent!r} is not a whole number; use 0 … {self.n_agents - 1:,}"
            raise InvalidInput(msg)
        if not -self.n_agents <= agent < self.n_agents:
            msg = f"agent={agent} does not exist: the run has {self.n_agents:,} agents; use 0 … {self.n_agents - 1:,}"
            raise InvalidInput(msg)
        return int(agent) % self.n_agents

    def error(self, *, weight: str = "all", gamma: float | None = None) -> "Distance":
        """Measure each agent's distance to Q*: sup-norm and root mean square; see `qfast.truth.error`."""
        from qfast.truth import error

        return error(self, weight=weight, gamma=gamma)

    def regret(self, *, gamma: float | None = None) -> NDArray[np.float64]:
        """V* minus the exact value of each agent's greedy policy, from the start; see `qfast.truth.regret`."""
        from qfast.truth import regret

        return regret(self, gamma=gamma)

    def is_optimal(self, *, gamma: float | None = None) -> NDArray[np.bool_]:
        """Tell whether each agent's greedy policy is optimal where it matters; see `qfast.truth.is_optimal`."""
        from qfast.truth import is_optimal

        return is_optimal(self, gamma=gamma)

    def census(self, *, gamma: float | None = None) -> "Census":
        """Count the distinct greedy policies, and compute what each is worth; see `qfast.truth.census`."""
        from qfast.truth import census

        return census(self, gamma=gamma)

    def first_optimal(self) -> "FirstOptimal":
        """Find from which checkpoint on each agent stayed optimal; see `qfast.truth.first_optimal`."""
        from qfast.truth import first_optimal

        return first_optimal(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the run to one ``.npz``, whole or not at all.

        NumPy alone can read it: ``numpy.load(path)["q"]``.  There is no pickle in it.

        Parameters
        ----------
        path : path-like
            The file; an existing one is replaced.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> import qfast
        >>> run = qfast.train(n_agents=2, episodes=5, seed=0, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = qfast.load(run.save(folder + "/run.npz"))
        >>> bool((run.q == again.q).all()), again.seed
        (True, 0)
        """
        about = np.asarray(json.dumps(self.about()))
        return write_npz(path_of(path, to_write=True), {"about": about, **self.to_arrays()}, KIND)

    def save_beside(self, folder: Path, checksums: dict[str, int]) -> None:
        """Write what all agents have in common into a folder that holds the arrays of agents."""
        arrays = self.to_arrays(of_agents=False)
        if self.checkpoints is not None:
            arrays |= replace(self.checkpoints, q=None).to_arrays("checkpoints_")
        about = np.asarray(json.dumps(self.about() | {"columns": checksums}))
        write_npz(folder / FILE, {"about": about, **arrays}, KIND)

    def about(self) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON."""
        return {
            "n_agents": self.n_agents,
            "work": self.work,
            "episodes": self.episodes,
            "first_agent": self.first_agent,
            "record": self.record,
            "n_steps": self.n_steps,
            "n_diverged": self.n_diverged,
            "seconds": self.seconds,
            "learner": self.learner.options(),
            "rates": {name: [getattr(self.learner, name).kind, getattr(self.learner, name).text] for name in RATES},
            "seed": seed_to_json(self.seed_sequence),
        }

    def to_arrays(self, *, of_agents: bool = True) -> dict[str, NDArray[Any]]:
        """Everything as named arrays, as files need it; without ``of_agents`` only what all agents have in common."""
        arrays: dict[str, NDArray[Any]] = {}
        if of_agents and not isinstance(self.q, NotKept):
            arrays |= {"q": self.q, "rng": self.rng, "state": self.state}
        arrays |= {name: getattr(self.learner, name).values for name in RATES}
        arrays |= {f"mdp_{name}": array for name, array in self.mdp.to_arrays().items()}
        if self.curve is not None:
            arrays |= self.curve.to_arrays("curve_")
        if of_agents:
            for name in ("q_tables", "visits", "returns", "lengths"):
                if getattr(self, name) is not None:
                    arrays[name] = getattr(self, name)
            if self.checkpoints is not None:
                arrays |= self.checkpoints.to_arrays("checkpoints_")
        return arrays

    def __repr__(self) -> str:
        """Describe the run on one screen."""
        from qfast.describe import describe_run
        from qfast.truth.behaviour import distinct_policies

        return describe_run(self, None if isinstance(self.q, NotKept) else distinct_policies(self).agents)


def check_run(run: Any, name: str = "run") -> Run:
    """Refuse anything but a Run, with what makes one out of what was given."""
    if isinstance(run, Run):
        return run
    fix = "use what qfast.train or qfast.load gave"
    if isinstance(run, (str, os.PathLike)):
        fix = f"use qfast.load({os.fspath(run)!r:.60})"
    elif isinstance(run, MDP):
        fix = "train agents on it first: qfast.train(mdp)"
    elif hasattr(run, "configurations"):
        fix = "a study answers through its own methods, such as study.summary() or study.plot_curves()"
    msg = f"{name} is {shown(run)}, not a Run; {fix}"
    raise InvalidInput(msg)

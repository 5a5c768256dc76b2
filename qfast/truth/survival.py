"""From when on agents were optimal for good: durations, some of which did not end."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import number
from qfast.errors import InvalidInput
from qfast.text import percent
from qfast.truth.checkpoints import first_lasting

if TYPE_CHECKING:
    from qfast.run import Run

__all__ = ["FirstOptimal", "first_optimal"]

_LEVELS: Final = {0.1: "a tenth", 0.25: "a quarter", 0.5: "half", 0.75: "three quarters", 0.9: "nine tenths"}


@dataclass(frozen=True, eq=False, repr=False)
class FirstOptimal:
    """From which checkpoint on each agent's greedy policy stayed optimal, up to the last checkpoint.

    What happens between two checkpoints is not seen, so that an agent's episode lies in the interval from ``after``
    (exclusive) to ``episodes`` (inclusive).  Agents that are not optimal at the last checkpoint are censored: all that
    is known is that they need longer.  Since everyone is watched for equally long, the share of agents of `share` is
    the Kaplan-Meier estimate, and `quantile` counts the censored agents, too.

    Attributes
    ----------
    episodes : ndarray of float64, shape (n_agents,)
        The first checkpoint of the stretch that lasts to the end; inf where the agent is censored.
    after : ndarray of float64, shape (n_agents,)
        The checkpoint before it; 0 if there is none, and the last checkpoint where the agent is censored.
    checkpoints : ndarray of int64, shape (C,)
    share : ndarray of float64, shape (C,)
        Share of all agents that are optimal for good from each checkpoint on, in [0, 1].
    """

    episodes: NDArray[np.float64]
    after: NDArray[np.float64]
    checkpoints: NDArray[np.int64]
    share: NDArray[np.float64]

    @property
    def censored(self) -> NDArray[np.bool_]:
        """The agents that did not get there, shape (n_agents,)."""
        return np.isinf(self.episodes)

    def quantile(self, level: float) -> float:
        """Find the first checkpoint from which on a share of all agents are optimal for good.

        Parameters
        ----------
        level : float
            The share, in (0, 1].

        Returns
        -------
        float
            Episodes; inf if so many agents did not get there.

        Raises
        ------
        InvalidInput
            If the level is out of range.
        """
        level = number("level", level, "(0, 1]", "use 0.5 for the median")
        enough = np.flatnonzero(self.share >= level - 1e-12)
        return float(self.checkpoints[enough[0]]) if enough.size else float("inf")

    def between(self, checkpoint: float) -> str:
        """Say what a checkpoint tells of a time: it lies after the checkpoint before, and not after this one."""
        before = int(self.checkpoints[self.checkpoints < checkpoint].max(initial=0))
        return f"from an episode after {before:,} and up to {int(checkpoint):,} on"

    def __repr__(self) -> str:
        """Sum up over agents."""
        share, last = percent(float(self.share[-1])), self.checkpoints[-1]
        lines = [f"FirstOptimal of {self.episodes.size:,} agents: {share} optimal at the end, episode {last:,}"]
        for level, name in _LEVELS.items():
            at = self.quantile(level)
            told = "not by then" if np.isinf(at) else self.between(at)
            lines.append(f"  {name:<15} {told}")
        return "\n".join(lines)


def first_optimal(run: "Run") -> FirstOptimal:
    """Find from which checkpoint on each agent's greedy policy stayed optimal.

    Parameters
    ----------
    run : Run
        Trained with ``checkpoints=``.

    Returns
    -------
    FirstOptimal

    Raises
    ------
    InvalidInput
        If the run has no checkpoints.

    Examples
    --------
    >>> import qfast
    >>> run = qfast.train(n_agents=100, episodes=300, seed=0, checkpoints=20, progress=False)
    >>> run.first_optimal().quantile(0.5)
    15.0
    """
    from qfast.run import check_run

    check_run(run)
    if run.checkpoints is None:
        raise InvalidInput("the run has no checkpoints; train with checkpoints=20, a list of episodes, or 'log'")
    optimal, when = run.checkpoints.optimal, run.checkpoints.episodes
    episodes = first_lasting(optimal, when)
    before = np.concatenate([[0], when]).astype(np.float64)[np.searchsorted(when, episodes)]
    return FirstOptimal(episodes, before, when, (episodes[:, None] <= when).mean(axis=0))

"""Agents measured on the way: when, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.text import percent

if TYPE_CHECKING:
    from qfast.model.learner import Learner
    from qfast.model.mdp import MDP
    from qfast.truth.behaviour import Behaviour
    from qfast.truth.judge import Judge

__all__ = [
    "COLUMNS", "MEASURES", "Checkpoints", "Measurer", "checkpoint_episodes", "checkpoint_measurer", "first_lasting",
]  # fmt: skip

#: Distances of Q to Q*.
ERRORS: Final = ("error_sup", "error_rms")
#: What is measured of a training's agents at a checkpoint.
COLUMNS: Final = ("regret", "optimal", *ERRORS)
#: What can be measured.
MEASURES: Final = (*COLUMNS, "greedy_return")

_SERIES: Final = (1, 2, 5)
_PILE: Final = 2**24  # bytes of policies that wait to be valued


@dataclass(frozen=True, eq=False, repr=False)
class Checkpoints:
    """How far each agent was from the truth after some of its episodes.

    Attributes
    ----------
    episodes : ndarray of int64, shape (C,)
        The checkpoints: how many episodes each agent had gone through; 0 is before the first one.
    regret : ndarray of float64, shape (n_agents, C)
        V* minus the exact value of the greedy policy, from the start, in units of reward (see `qfast.Run.regret`).
    optimal : ndarray of bool, shape (n_agents, C)
        Whether the greedy policy was optimal (see `qfast.Run.is_optimal`).
    error_sup, error_rms : ndarray of float64, shape (n_agents, C)
        Distance of Q to Q*, the largest and the root mean square over all pairs (see `qfast.Run.error`).
    q : ndarray, shape (n_agents, C, S, A), or None
        Q itself, if it was asked for.
    """

    episodes: NDArray[np.int64]
    regret: NDArray[np.float64]
    optimal: NDArray[np.bool_]
    error_sup: NDArray[np.float64]
    error_rms: NDArray[np.float64]
    q: NDArray[Any] | None

    @property
    def share_optimal(self) -> NDArray[np.float64]:
        """Share of the agents whose greedy policy was optimal, at each checkpoint; shape (C,), in [0, 1]."""
        share: NDArray[np.float64] = self.optimal.mean(axis=0)
        return share

    def extended(self, other: "Checkpoints") -> "Checkpoints":
        """These checkpoints and behind them those of further episodes of the same agents."""
        parts = {name: np.concatenate([getattr(self, name), getattr(other, name)], axis=1) for name in COLUMNS}
        q = None if self.q is None or other.q is None else np.concatenate([self.q, other.q], axis=1)
        return Checkpoints(np.concatenate([self.episodes, other.episodes]), q=q, **parts)

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Everything as named arrays, as files need it."""
        arrays = {f"{prefix}{name}": getattr(self, name) for name in ("episodes", *COLUMNS)}
        return arrays if self.q is None else arrays | {f"{prefix}q": self.q}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], prefix: str) -> "Checkpoints | None":
        """Make them from what `to_arrays` gave; None if there is nothing."""
        if f"{prefix}episodes" not in arrays:
            return None
        parts = {name: arrays[f"{prefix}{name}"] for name in ("episodes", *COLUMNS)}
        return cls(**parts, q=arrays.get(f"{prefix}q"))

    def __repr__(self) -> str:
        """Sum up over agents, a line a checkpoint."""
        n, count = self.regret.shape
        heads = f"  {'episodes':>10} {'optimal':>9} {'regret':>10} {'error (rms)':>12}"
        lines = [f"Checkpoints: {n:,} agents measured {count} time{'s' * (count > 1)}", heads]
        for i, episode in enumerate(self.episodes):
            share = percent(float(self.share_optimal[i]))
            lines.append(
                f"  {episode:>10,} {share:>9} {self.regret[:, i].mean():>10.4g} {self.error_rms[:, i].mean():>12.4g}"
            )
        return "\n".join([*lines, "  (regret and error: means over agents, in units of reward)"])


class _Changes(NamedTuple):
    """The agents of a block whose behaviour was another one at a checkpoint, and what it was."""

    column: int
    agents: NDArray[np.int64]
    behaviour: "Behaviour"


@dataclass(frozen=True, eq=False)
class Measurer:
    """Measures agents against the truth at checkpoints; picklable, and the same for trainings and studies.

    `episodes` are counted from the beginning of a stretch of training, behind the `done` of an earlier one.  `measures`
    are any of `MEASURES`; "greedy_return" is measured at the last checkpoint alone, and NaN before.
    """

    judge: "Judge"
    episodes: tuple[int, ...]
    measures: tuple[str, ...]
    keep_q: bool = False
    done: int = 0

    @property
    def group(self) -> NDArray[np.int64] | None:
        """Which of the judge's discounts each agent has; None where there is one for all."""
        return self.judge.group

    def shared(self) -> "Measurer":
        """The same without `group`: a block travels with its own agents' alone."""
        return self if self.group is None else replace(self, judge=replace(self.judge, group=None))

    def results(self, measures: NDArray[np.float64], q: NDArray[Any] | None) -> Checkpoints:
        """Name what was measured (n_agents, C, M), and Q (n_agents, C, S, A) where it was kept."""
        named: dict[str, Any] = {
            name: np.ascontiguousarray(measures[:, :, i]) for i, name in enumerate(self.measures)
        }
        named["optimal"] = named["optimal"] == 1.0
        return Checkpoints(self.done + np.array(self.episodes, np.int64), q=q if self.keep_q else None, **named)

    def begin(
        self, group: NDArray[np.int64] | None, out: NDArray[np.float64]
    ) -> Callable[[int, NDArray[Any]], None]:
        """Begin with some agents, which have these discounts; all of `out` (n, C, M) is valid at the last checkpoint.

        What it gives takes the number of a checkpoint, one after the other, and the agents' Q (n, S, A).
        """
        from qfast.truth.behaviour import Behaviour

        judge, count = self.judge, len(out)
        group, masks = np.zeros(count, np.int64) if group is None else group, judge.no_masks(count)
        last, results = np.zeros((2, count)), np.full((out.shape[1], len(self.measures), count), np.nan)
        place = {name: i for i, name in enumerate(self.measures)}
        verdicts, errors = [place["regret"], place["optimal"]], [place[name] for name in ERRORS if name in place]
        pile: list[_Changes] = []

        def settle() -> None:
            # What an agent does changes less often than its values: the rest is known from the last time.  Policies of
            # all checkpoints are valued at once, since a call for each costs as much as valuing them.
            together = Behaviour(*(np.concatenate(parts) for parts in zip(*(c.behaviour for c in pile), strict=True)))
            owner = np.concatenate([c.agents for c in pile])
            verdict = judge.verdict(together, np.arange(owner.size), group[owner])
            done = 0
            for change in pile:
                part = slice(done, done + change.agents.size)
                last[0, change.agents], last[1, change.agents] = verdict.regret[part], verdict.is_optimal[part]
                results[change.column, verdicts] = last
                done = part.stop
            pile.clear()

        def measure(column: int, q: NDArray[Any]) -> None:
            behaviour = judge.behave(q, group, masks)
            which = np.flatnonzero(behaviour.changed)
            pile.append(_Changes(column, which, Behaviour(*(part[which] for part in behaviour))))
            if errors:
                results[column, errors] = judge.distances(q, group)
            at_end = column == len(results) - 1
            if at_end or sum(c.behaviour.masks.nbytes for c in pile) > _PILE:
                settle()
            if at_end:
                if count and "greedy_return" in place:
                    example, index = _distinct(masks)
                    results[-1, place["greedy_return"]] = judge.outcomes(masks[example])[0][index]
                out[...] = results.transpose(2, 0, 1)

        if not count:  # compile what an empty block would leave out
            judge.values(masks, np.zeros(0, np.int64), group)
            if "greedy_return" in place:
                judge.outcomes(masks)

        return measure


def first_lasting(optimal: NDArray[np.bool_], episodes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The checkpoint from which on each agent stayed optimal up to the last one, of optimal (n, C); inf for never."""
    lasting = np.logical_and.accumulate(optimal[:, ::-1], axis=1).sum(axis=1)
    return np.where(lasting > 0, episodes[np.minimum(episodes.size - lasting, episodes.size - 1)], np.inf)


def _distinct(masks: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """An example of each distinct one of n masks, and which of them each is."""
    rows = np.ascontiguousarray(masks).reshape(len(masks), -1).view(np.uint8)
    if rows.shape[1] > 8:
        from qfast.truth.behaviour import distinct_masks

        _, example, index, _ = distinct_masks(masks)
        return example, index
    keys = np.zeros((len(rows), 8), np.uint8)  # numbers are sorted ten times as fast as rows of bytes
    keys[:, : rows.shape[1]] = rows
    _, example, index = np.unique(keys.view(np.uint64)[:, 0], return_index=True, return_inverse=True)
    return example, index


def checkpoint_measurer(
    mdp: "MDP", learner: "Learner", checkpoints: Any, episodes: int, done: int, *, keep_q: bool
) -> Measurer:
    """Prepare the checkpoints of a training; parameters as in `checkpoint_episodes`."""
    when = checkpoint_episodes(checkpoints, episodes, done)
    from qfast.truth.judge import make_judge

    judge = make_judge(mdp, learner.gamma, learner.ties)
    return Measurer(judge, tuple(episode - done for episode in when), COLUMNS, keep_q, done)


def checkpoint_episodes(checkpoints: Any, episodes: int, done: int = 0) -> tuple[int, ...]:
    """Turn what the user gave into checkpoints, counted from the very first episode, also of the `done` ones before.

    They are episodes, strictly increasing; or how many, evenly spaced up to the end; or "log": 1, 2, 5, 10, 20, … and
    the end.
    """
    end = done + episodes
    if isinstance(checkpoints, str):
        if checkpoints != "log":
            msg = f"checkpoints={checkpoints!r} is unknown; use 'log', a number of checkpoints, or a list of episodes"
            raise InvalidInput(msg)
        series = {m * 10**k for k in range(len(str(end))) for m in _SERIES} | {end}
        return tuple(sorted(episode for episode in series if done < episode <= end))
    if isinstance(checkpoints, (int, np.integer)) and not isinstance(checkpoints, (bool, np.bool_)):
        if not 1 <= checkpoints <= episodes:
            msg = f"checkpoints={checkpoints} is outside [1, {episodes:,}], the episodes to train; use one such as 20"
            raise InvalidInput(msg)
        return tuple(done + round(i * episodes / int(checkpoints)) for i in range(1, int(checkpoints) + 1))
    try:
        given = np.asarray(checkpoints)
    except ValueError:
        given = np.array(None)
    if given.ndim != 1 or given.dtype.kind not in "iu" or not given.size:
        msg = f"checkpoints={checkpoints!r:.60} are no episodes; use a list such as [10, {end}], a number, or 'log'"
        raise InvalidInput(msg)
    low = done + 1 if done else 0
    if (np.diff(given.astype(np.int64)) <= 0).any() or given.min() < low or given.max() > end:
        msg = f"checkpoints={checkpoints!r:.60} must increase from at least {low:,} to at most {end:,} episodes"
        raise InvalidInput(msg)
    return tuple(given.tolist())

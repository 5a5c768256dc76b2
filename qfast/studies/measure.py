"""How the agents of a study are measured against the truth, at checkpoints and at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qfast.truth.judge import Judge

__all__ = ["Watch"]

_PILE: Final = 2**24  # bytes of policies that wait to be valued


@dataclass(frozen=True, eq=False)
class Watch:
    """What a block of agents has to do at its checkpoints; a `qfast.engine.plan.Checks`, and picklable.

    Attributes
    ----------
    judge : Judge
    episodes : tuple of int
        The checkpoints and the end, increasing.
    """

    judge: "Judge"
    episodes: tuple[int, ...]
    keep_q: bool = False

    def split(self) -> "tuple[Watch, None]":
        """Tell apart what all agents share and values of single ones: a study has none."""
        return self, None

    def joined(self, of_agents: NDArray[Any] | None) -> "Watch":  # noqa: ARG002
        """Put values of single agents back, of which there are none."""
        return self

    def watch(self, first: int, out: NDArray[np.float64]) -> Callable[[int, NDArray[Any]], None]:
        """Begin to watch the agents ``first`` … of a configuration.

        Parameters
        ----------
        first : int
        out : ndarray of float64, shape (count, C, 4)
            Where regret, whether optimal, and at the end the return of the greedy policy go.  All of it is valid after
            the last checkpoint.

        Returns
        -------
        callable
            Takes the number of a checkpoint, one after the other, and the agents' Q (count, S, A).
        """
        from qfast.truth.behaviour import Behaviour

        judge, count = self.judge, len(out)
        group, masks = judge.groups(first, count), judge.no_masks(count)
        last, results = np.zeros((3, count)), np.zeros((out.shape[1], 3, count))
        pile: list[tuple[int, NDArray[np.int64], NDArray[Any], NDArray[np.bool_]]] = []

        def settle() -> None:
            # What an agent does changes less often than its values: the rest is known from the last time.  Policies of
            # all checkpoints are valued at once, since a call for each costs as much as valuing them.
            agents, met, fine = (np.concatenate(parts) for parts in list(zip(*pile, strict=True))[1:])
            verdict = judge.verdict(Behaviour(met, fine, fine), np.arange(agents.size), group[agents])
            done = 0
            for column, which, _, _ in pile:
                part = slice(done, done + which.size)
                last[0, which], last[1, which] = verdict.regret[part], verdict.is_optimal[part]
                results[column] = last
                done = part.stop
            pile.clear()

        def measure(column: int, q: NDArray[Any]) -> None:
            behaviour = judge.behave(q, group, masks)
            which = np.flatnonzero(behaviour.changed)
            pile.append((column, which, masks[which], behaviour.is_optimal[which]))
            at_end = column == len(results) - 1
            if at_end or sum(met.nbytes for _, _, met, _ in pile) > _PILE:
                settle()
            if at_end:
                if count:
                    example, index = _distinct(masks)
                    results[-1, 2] = judge.outcomes(masks[example])[0][index]
                out[:, :, :3] = results.transpose(2, 0, 1)

        if not count:  # compile what an empty block would leave out
            judge.values(masks, np.zeros(0, np.int64), group)
            judge.outcomes(masks)

        return measure


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

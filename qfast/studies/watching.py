"""How the agents of a study are measured against the truth, at checkpoints and at the end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qfast.truth.judge import Judge

__all__ = ["Watch"]


@dataclass(frozen=True, eq=False)
class Watch:
    """What a block of agents has to do at its checkpoints; a `qfast.blocks.Checks`, and picklable.

    Attributes
    ----------
    judge : Judge
    episodes : tuple of int
        The checkpoints and the end, increasing.
    """

    judge: "Judge"
    episodes: tuple[int, ...]
    keep_q: bool = False

    def watch(self, first: int, count: int) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
        """Begin to watch agents.

        Returns
        -------
        callable
            Takes their Q (count, S, A), one checkpoint after the other, and gives regret, whether optimal, and at the
            end the return of the greedy policy; shape (count, 4).
        """
        from qfast.truth.judge import distinct_masks

        judge, group = self.judge, self.judge.groups(first, count)
        masks, last = judge.no_masks(count), np.zeros((count, 4))
        left = len(self.episodes)

        def measure(q: NDArray[Any]) -> NDArray[np.float64]:
            nonlocal left
            left -= 1
            behaviour = judge.behave(q, group, masks)
            # What an agent does changes less often than its values: the rest is known from the last time.
            which = np.flatnonzero(behaviour.changed)
            last[which, 0], last[which, 1] = judge.verdict(behaviour, which, group)
            if count and not left:
                distinct, _, index, _ = distinct_masks(masks)
                last[:, 2] = judge.outcomes(distinct)[0][index]
            return last

        if not count:  # compile what an empty block would leave out
            judge.values(masks, np.zeros(0, np.int64), group)
            judge.outcomes(masks)

        return measure

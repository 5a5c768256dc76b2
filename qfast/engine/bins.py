"""How many agents had which value in which episode: counts in a bounded number of bins, for quantiles.

A bin holds the values whose float32 forms agree in their upper bits: sign, exponent and 7 bits behind the leading one.
Where more than `MOST` bins are filled, the last of those bits is dropped, and the next, until they are few enough.  How
many bits that takes depends on the set of values alone: the bins of a part of the agents are never more than those of
all, so a part never drops more.  The counts are thus the same in whatever order agents come in.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "Bins", "count_type"]

#: Bins that are filled at most; more of them cost more memory than they are worth.
MOST: Final = 2048

_BOXES: Final = 2**16
_ROOM: Final = 64  # rows that a table begins with
_STRETCH: Final = 128  # episodes whose quantiles are looked up at a time


def count_type(n_agents: int) -> np.dtype[Any]:
    """The smallest type that counts so many agents."""
    return np.min_scalar_type(max(n_agents, 2**8))


class Bins:
    """Counts of one quantity's values over a stretch of episodes, a row of `counts` a bin.

    `boxes` are the upper 16 bits of what the bins hold, less `dropped`; `raw` are agents that take less memory as they
    are, and the bins that they will fill: those of a block with more bins than agents.
    """

    def __init__(self, episodes: int) -> None:
        self.n_agents = self.dropped = 0
        self.boxes = np.empty(0, np.uint16)
        self.counts: NDArray[Any] = np.zeros((0, episodes), np.uint16)
        self.raw: list[tuple[NDArray[np.uint16], NDArray[np.uint16]]] = []

    def __getstate__(self) -> dict[str, Any]:
        """Leave out empty rows: this travels from workers."""
        return self.__dict__ | {"counts": self.counts[: self.boxes.size]}

    def add(self, values: NDArray[Any]) -> None:
        """Count further agents; values (n, episodes)."""
        if self.n_agents:
            part = Bins(values.shape[1])
            part.add(values)
            self.merge(part)
            return
        self.n_agents = len(values)
        if not self._count(values):
            with np.errstate(over="ignore"):  # what float32 does not hold is in the bin of infinity
                singles = np.ascontiguousarray(values, np.float32)
            boxes = (singles.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
            filled = np.zeros(_BOXES, np.bool_)
            filled[boxes] = True
            self.raw.append((boxes, np.flatnonzero(filled).astype(np.uint16)))

    def _count(self, values: NDArray[Any]) -> bool:
        """Count the first agents; False if more bins are filled than there are agents, or than there may be."""
        from qfast.kernel.summarize import count_values

        n, episodes = values.shape
        most, kind = min(MOST, max(_ROOM, n)), count_type(n)
        counts, slot_of = np.zeros((_ROOM, episodes), kind), np.full(_BOXES, -1, np.int32)
        row, done, used = np.empty(episodes, np.float32), 0, 0
        while True:
            done, used = count_values(values, row, row.view(np.uint32), done, slot_of, used, counts)
            if done == values.size:
                break
            if used >= most:
                return False
            counts = _taller(counts, used, min(2 * used, most))
        boxes = np.flatnonzero(slot_of >= 0)
        self.boxes, self.counts = np.empty(used, np.uint16), counts[:used].copy()
        self.boxes[slot_of[boxes]] = boxes
        return True

    def merge(self, other: "Bins") -> None:
        """Add other agents."""
        self._take(other.dropped, other.boxes, other.counts, other.raw, other.n_agents)

    def settle(self) -> None:
        """Count what was kept raw."""
        if self.raw:
            raw, self.raw = self.raw, []
            self._take(self.dropped, self.boxes[:0], self.counts[:0], raw, 0)

    def _take(
        self,
        dropped: int,
        boxes: NDArray[np.uint16],
        counts: NDArray[Any],
        raw: Sequence[tuple[NDArray[np.uint16], NDArray[np.uint16]]],
        n_agents: int,
    ) -> None:
        self.settle()
        self.n_agents += n_agents
        self.counts = self.counts.astype(count_type(self.n_agents), copy=False)
        met = np.unique(np.concatenate([self.boxes, boxes, *(filled for _, filled in raw)]))
        dropped = max(dropped, self.dropped)
        while (whole := np.unique(_cut(met, dropped))).size > MOST:
            dropped += 1
        if dropped > self.dropped:
            old_boxes, old_counts = self.boxes, self.counts
            self.dropped, self.boxes = dropped, whole
            self.counts = np.zeros((whole.size, old_counts.shape[1]), old_counts.dtype)
            self._add_rows(old_boxes, old_counts)
        else:
            new = np.setdiff1d(whole, self.boxes, assume_unique=True)
            if self.boxes.size + new.size > len(self.counts):
                room = min(_ROOM, MOST - self.boxes.size - new.size)
                self.counts = _taller(self.counts, self.boxes.size, self.boxes.size + new.size + room)
            self.boxes = np.concatenate([self.boxes, new])
        self._add_rows(boxes, counts)
        if raw:
            from qfast.kernel.summarize import count_boxes

            slot_of = self._slots()
            for agents, _ in raw:
                count_boxes(agents, np.uint16(dropped), slot_of, self.counts)

    def _slots(self) -> NDArray[np.int32]:
        slot_of = np.full(_BOXES, -1, np.int32)
        slot_of[self.boxes] = np.arange(self.boxes.size)
        return slot_of

    def _add_rows(self, boxes: NDArray[np.uint16], counts: NDArray[Any]) -> None:
        slots = self._slots()[_cut(boxes, self.dropped)].tolist()
        for slot, row in zip(slots, counts, strict=False):
            self.counts[slot] += row

    def quantiles(self, levels: Sequence[float]) -> NDArray[np.float64]:
        """The smallest values that given shares of the agents do not exceed, cut towards zero; (levels, episodes)."""
        self.settle()
        values = (self.boxes.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
        order = np.argsort(values, kind="stable")
        values, episodes = values[order], self.counts.shape[1]
        wanted = [max(1, np.ceil(level * self.n_agents - 1e-9)) for level in levels]
        found = np.empty((len(levels), episodes))
        for begin in range(0, episodes, _STRETCH):
            part = slice(begin, min(begin + _STRETCH, episodes))
            running = self.counts[order, part].cumsum(axis=0, dtype=np.int64)
            for row, rank in zip(found, wanted, strict=True):
                row[part] = values[(running < rank).sum(axis=0)]
        return found


def _cut(boxes: NDArray[np.uint16], dropped: int) -> NDArray[np.uint16]:
    return boxes >> np.uint16(dropped) << np.uint16(dropped)


def _taller(counts: NDArray[Any], used: int, rows: int) -> NDArray[Any]:
    """The same counts with room for more; rows that are never used never take memory."""
    taller = np.zeros((rows, counts.shape[1]), counts.dtype)
    taller[:used] = counts[:used]
    return taller

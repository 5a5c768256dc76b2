"""Sums over agents whose bits depend on the agents alone, not on how they were divided over blocks.

Floating-point addition is not associative, so partial results are combined along a binary tree over the agents' numbers
whose leaves are 64 agents: whatever the blocks were and in whatever order they came, the same numbers are added in the
same order.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAF", "Moments", "Tree", "add_sums", "combine_moments"]

#: Agents in a leaf of the tree; blocks begin at multiples of it.
LEAF: Final = 64

Node = TypeVar("Node")

#: Mean and sum of squared deviations from it, each of the same shape.
Moments = tuple[NDArray[np.float64], NDArray[np.float64]]


class Tree(Generic[Node]):
    """Partial results of stretches of agents, combined as soon as two siblings are there.

    `combine` takes the agents and the partial result of a stretch, then those of the stretch behind it.
    """

    def __init__(self, combine: Callable[[int, Node, int, Node], Node]) -> None:
        self._combine = combine
        self._nodes: dict[tuple[int, int], tuple[int, Node]] = {}

    def insert(self, first: int, n: int, node: Node, level: int = 0) -> None:
        """Put in the agents from number ``first`` on, a node of at most ``LEAF << level`` agents."""
        index = first // (LEAF << level)
        sibling = self._nodes.get((level, index ^ 1))
        # Only the last node of all may have fewer agents; it is combined at the very end.
        if sibling is None or min(sibling[0], n) < LEAF << level:
            self._nodes[level, index] = n, node
            return
        del self._nodes[level, index ^ 1]
        node = self._combine(*sibling, n, node) if index % 2 else self._combine(n, node, *sibling)
        self.insert(first // (LEAF << level + 1) * (LEAF << level + 1), n + sibling[0], node, level + 1)

    def merge(self, other: "Tree[Node]") -> None:
        """Put in what another tree holds of other agents."""
        for (level, index), (n, node) in other._nodes.items():
            self.insert(index * (LEAF << level), n, node, level)

    def nodes(self) -> Iterator[tuple[int, int, int, Node]]:
        """Give what has not been combined yet: level, number of the first agent, agents, partial result."""
        for (level, index), (n, node) in self._nodes.items():
            yield level, index * (LEAF << level), n, node

    def total(self) -> tuple[int, Node]:
        """Combine everything: the agents, and the result."""
        # Which nodes are left depends on the agents alone; they are combined from the last to the first.
        left_over = sorted(self.nodes(), key=lambda node: node[1], reverse=True)
        _, _, n, result = left_over[0]
        for _, _, count, node in left_over[1:]:
            n, result = n + count, self._combine(count, node, n, result)
        return n, result


def combine_moments(n: int, left: Moments, m: int, right: Moments) -> Moments:
    """Combine the moments of n and of m agents (Chan, Golub & LeVeque 1979)."""
    delta = right[0] - left[0]
    mean = left[0] + delta * (m / (n + m))
    return mean, left[1] + right[1] + delta * delta * (n * m / (n + m))


def add_sums(_n: int, left: NDArray[Any], _m: int, right: NDArray[Any]) -> NDArray[Any]:
    """Combine sums."""
    total: NDArray[Any] = left + right
    return total

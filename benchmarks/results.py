"""What a run measured: the JSON file, and the ratios that are read out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from benchmarks.timing import Ratio, ratio
from benchmarks.workloads import BUILDERS

__all__ = ["ENOUGH_ROUNDS", "Results", "merge"]

#: Two times five rounds of the same thing lie apart by chance once in 126 pairs, two times three once in 10.
ENOUGH_ROUNDS = 5


def merge(first: Any, second: Any) -> Any:
    """Put two sessions of a section together: measurements one behind the other, all else as it was first.

    >>> merge({"ns": [1.0], "x": 5}, {"ns": [2.0, None], "x": 5})
    {'ns': [1.0, 2.0, None], 'x': 5}
    """
    if isinstance(first, dict):
        return {key: merge(value, second[key]) for key, value in first.items()}
    if isinstance(first, list) and first and isinstance(first[0], dict):
        return [merge(one, other) for one, other in zip(first, second, strict=True)]
    return first + second if isinstance(first, list) else first


@dataclass(frozen=True, eq=False)
class Results:
    """The measurements of a run; sections that were not run are missing.

    Attributes
    ----------
    data : dict
        As in the JSON file: ``about``, ``mode``, ``seconds``, and what `benchmarks.sections` and
        `benchmarks.processes` give, by section.
    """

    data: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        return cls(json.loads(path.read_text("utf-8")))

    def save(self, path: Path) -> None:
        """Write the JSON file, whole or not at all."""
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".json", delete=False) as file:
            json.dump(self.data, file, indent=1)
        Path(file.name).replace(path)

    def has(self, section: str) -> bool:
        """Whether a section was measured."""
        return bool(self.data.get(section))

    def contenders(self, name: str) -> dict[str, list[float | None]]:
        """Agent-steps a second of Q-learning ("q_learning") and of the peers on a workload, by round."""
        rates: dict[str, list[float | None]] = self.data.get("throughput", {}).get(name, {}).get("rates", {})
        return rates

    def rate(self, name: str, contender: str) -> Ratio | None:
        """Million agent-steps a second on a workload."""
        values = [value / 1e6 for value in self.contenders(name).get(contender, []) if value is not None]
        return Ratio.of(values) if values else None

    def versus(self, name: str, peer: str) -> Ratio | None:
        """How many times faster than a peer on a workload."""
        rates = self.contenders(name)
        return _over(rates.get("q_learning"), rates.get(peer))

    def share(self, name: str, variant: str, base: str = "q_learning") -> Ratio | None:
        """Throughput of a rule or option as a share of another's, by default Q-learning's, on a workload."""
        rates = self.data.get("variants", {}).get(name, {}).get("rates", {})
        return _over(rates.get(variant), rates.get(base))

    def rate_of_variant(self, name: str, variant: str) -> Ratio | None:
        """Million agent-steps a second of a rule or option on a workload."""
        values = self.data.get("variants", {}).get(name, {}).get("rates", {}).get(variant)
        return Ratio.of(value / 1e6 for value in values) if values else None

    def curve(self, axis: str) -> dict[str, list[tuple[int, Ratio, int]]]:
        """Cost of an agent-step, ns, by series: (size, cost, bytes of the tables in flight)."""
        found: dict[str, list[tuple[int, Ratio, int]]] = {}
        for point in self.data.get("growth", {}).get(axis, []):
            found.setdefault(point["series"], []).append((point["x"], Ratio.of(point["ns"]), point["working_set"]))
        return found

    def growth_points(self, axis: str, series: str) -> dict[int, list[float]]:
        """Cost of an agent-step by size and round."""
        return {p["x"]: p["ns"] for p in self.data.get("growth", {}).get(axis, []) if p["series"] == series}

    def flatness(self, axis: str, series: str, first: int, last: int) -> Ratio | None:
        """Highest over lowest cost among the sizes from `first` to `last`, by the medians; spread over the rounds."""
        costs = [ns for x, ns in self.growth_points(axis, series).items() if first <= x <= last]
        if len(costs) < 2:
            return None
        middles = [Ratio.of(ns).middle for ns in costs]
        high, low = max(middles), min(middles)
        spread = ratio(costs[middles.index(high)], costs[middles.index(low)])
        return Ratio(high / low, min(spread.low, high / low), max(spread.high, high / low), spread.rounds)

    def speed_up(self, name: str) -> Ratio | None:
        """One thread's time over two threads' on a workload."""
        by_threads = self.growth_points("threads", name)
        return ratio(by_threads[1], by_threads[2]) if {1, 2} <= set(by_threads) else None

    def start_up(self, process: str, base: str | None = None) -> Ratio | None:
        """Seconds of a whole process, or its ratio to another one."""
        found = self.data.get("start_up", {})
        if base is not None:
            return _over(found.get(process), found.get(base))
        return Ratio.of(found[process]) if process in found else None

    def whole(self, name: str, contender: str = "jax_batched") -> Ratio | None:
        """How many times faster than a peer with everything from the start of the process, compiled before."""
        found = self.data.get("whole", {}).get(name, {}).get("seconds", {})
        return _over(found.get(contender), found.get("qfast"))

    def ratios(self) -> Iterator[tuple[str, Ratio]]:
        """Every ratio that a second run should give again, with its name; those with a spread worth the name."""
        yield from ((name, found) for name, found in self._all_ratios() if found.rounds >= ENOUGH_ROUNDS)

    def _all_ratios(self) -> Iterator[tuple[str, Ratio]]:
        for name in BUILDERS:
            for peer in self.contenders(name):
                if peer != "q_learning" and (found := self.versus(name, peer)):
                    yield f"{name}: qfast / {peer}", found
            for variant in self.data.get("variants", {}).get(name, {}).get("rates", {}):
                if variant != "q_learning" and (found := self.share(name, variant)):
                    yield f"{name}: {variant} / Q-learning", found
            if found := self.speed_up(name):
                yield f"{name}: 2 threads / 1", found
            if found := self.whole(name):
                yield f"{name}: JAX / qfast, whole processes", found
        if found := self.start_up("train", "trivial"):
            yield "qfast train / trivial numba process", found


def _over(numerator: list[float | None] | None, denominator: list[float | None] | None) -> Ratio | None:
    """Divide round by round, where both were measured."""
    if not numerator or not denominator:
        return None
    pairs = [(a, b) for a, b in zip(numerator, denominator, strict=False) if a is not None and b is not None]
    return Ratio.of(a / b for a, b in pairs) if pairs else None

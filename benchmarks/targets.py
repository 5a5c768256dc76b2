"""What was asked for, against what was measured.  Printed, never asserted: machines differ, and noise is noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.results import Results
from benchmarks.timing import Ratio
from benchmarks.variants import BOTH, VARIANTS
from benchmarks.workloads import BUILDERS

__all__ = ["MEGABYTE", "Verdict", "verdicts"]

MEGABYTE = 10**6
_FASTER = {"W1": 15, "W2": 12, "W3": 12, "W4": 12, "W5": 6}
_THIRD = 1 / 3


@dataclass(frozen=True)
class Verdict:
    """One number that was asked for.

    Attributes
    ----------
    what, asked, measured : str
    met : bool
        Whether the median over the rounds meets it.
    sure : bool
        Whether every round says the same.
    """

    what: str
    asked: str
    measured: str
    met: bool
    sure: bool = True

    @property
    def word(self) -> str:
        """Yes or no, and whether the noise leaves it open."""
        return ("yes" if self.met else "NO") + ("" if self.sure else ", within the noise")


def _least(what: str, found: Ratio | None, least: float, unit: str = " times") -> Iterator[Verdict]:
    if found is not None:
        met, sure = found.middle >= least, (found.low >= least) == (found.high >= least)
        yield Verdict(what, f"at least {least:g}{unit}", str(found), met, sure)


def _most(what: str, found: Ratio | None, most: float, unit: str = " times") -> Iterator[Verdict]:
    if found is not None:
        met, sure = found.middle <= most, (found.low <= most) == (found.high <= most)
        yield Verdict(what, f"at most {most:g}{unit}", str(found), met, sure)


def _inverse(found: Ratio | None) -> Ratio | None:
    return found and Ratio(1 / found.middle, 1 / found.high, 1 / found.low, found.rounds)


def verdicts(results: Results) -> list[Verdict]:
    """Compare a run with everything that was asked for and that it measured."""
    return [*_throughput(results), *_variants(results), *_growth(results), *_start_up(results), *_memory(results)]


def _throughput(results: Results) -> Iterator[Verdict]:
    for name, least in _FASTER.items():
        yield from _least(f"{name}: plain numba, one thread each", results.versus(name, "plain_numba"), least)
    yield from _least("W1: plain numba, aimed for", results.versus("W1", "plain_numba"), 20)
    rate = results.rate("W1", "q_learning")
    yield from _least("W1: million agent-steps a second on one core, aimed for", rate, 1_000, "")
    for name in BUILDERS:
        yield from _least(f"{name}: JAX's best form, compiled before", results.versus(name, "jax_batched"), 4)
    for name in BUILDERS:
        yield from _least(f"{name}: JAX, from process start to exit", results.whole(name), 2)


def _variants(results: Results) -> Iterator[Verdict]:
    for variant in VARIANTS.values():
        for name in BOTH if variant.least else ():
            found = results.share(name, variant.name)
            yield from _least(f"{name}: {variant.title}, of Q-learning's throughput", found, variant.least or 0, "")
    for name in BOTH:
        yield from _most(f"{name}: recording returns", _inverse(results.share(name, "returns")), 1.15)
        ties = results.share(name, "ties_random", "ties_first")
        yield from _most(f"{name}: random ties over first", _inverse(ties), 1.15)
    if results.has("variants"):
        slow: dict[str, list[str]] = {}
        for variant in VARIANTS.values():
            for name in BUILDERS:
                found = results.share(name, variant.name)
                if found and found.middle < _THIRD:
                    slow.setdefault(variant.name, []).append(f"{name} {found.middle:.2g}")
        texts = [f"{VARIANTS[name].title}: {', '.join(shares)}" for name, shares in slow.items()]
        met = all(VARIANTS[name].note for name in slow)
        yield Verdict("below a third of Q-learning, unexplained", "none", "; ".join(texts) or "none", met)


def _growth(results: Results) -> Iterator[Verdict]:
    agents = results.flatness("agents", "W1", 1_000, 1_000_000)
    yield from _most("cost of a step, 1,000 to 1,000,000 agents, highest over lowest", agents, 1.2)
    for series in results.curve("states"):
        found = results.flatness("states", series, 5, 1_000)
        yield from _most(f"cost of a step, 5 to 1,000 states ({series}), highest over lowest", found, 1.2)
    for name in BUILDERS:
        yield from _least(f"{name}: two threads over one", results.speed_up(name), 1.85)


def _start_up(results: Results) -> Iterator[Verdict]:
    found = results.start_up("train", "trivial")
    yield from _most("second `qfast train` process over a trivial numba one", found, 1.6)
    if results.has("compile"):
        seconds = results.data["compile"]["seconds"]
        slowest = max(seconds, key=lambda key: seconds[key][0])
        wall, processor = seconds[slowest]
        measured = f"{wall:.2g} s ({slowest}; {processor:.2g} s of processor time)"
        sure = (wall <= 5) == (processor <= 5)
        yield Verdict(f"first compile of any of {len(seconds)} variants", "at most 5 s", measured, wall <= 5, sure)
        added = results.data["compile"]["added"]
        what = "compiled for new numbers of states, agents, episodes"
        yield Verdict(what, "nothing", f"{added} functions", added == 0)
    if results.data["mode"] == "full" and all(map(results.has, ("compile", "variants", "memory"))):
        minutes = results.data["seconds"] / 60
        yield Verdict("the suite itself", "at most 15 minutes", f"{minutes:.1f} minutes", minutes <= 15)


def _memory(results: Results) -> Iterator[Verdict]:
    for case in results.data.get("memory", []):
        above = case["above"] / MEGABYTE
        yield Verdict(
            f"memory above Q and records: {case['title']}", "at most 250 MB",
            f"{above:.0f} MB above {case['results'] / MEGABYTE:.0f} MB", above <= 250,
        )  # fmt: skip

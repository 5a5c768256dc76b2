"""How often the intervals of `qfast.stats` hold the truth: ``python tests/statistical/coverage_table.py [STUDIES]``.

Prints the table that stands in the documentation of `qfast.stats`: for every kind of interval, population and number of
agents the share of studies in which a 95 % interval holds the truth.
"""

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import integrate
from scipy import stats as sp

from qfast.stats import compare, seeds_for_width, summarize

Draw = Callable[[np.random.Generator, int], np.ndarray]
HALF_WIDTH = 0.05


@dataclass(frozen=True)
class Population:
    draw: Draw
    truth: dict[str, float]


def law_of(law: object, **options: float) -> Population:
    truth = {"mean": law.mean(), "std": law.std(), "median": law.ppf(0.5), "90 % quantile": law.ppf(0.9)}
    truth["IQM"] = 2 * integrate.quad(law.ppf, 0.25, 0.75)[0]
    return Population(lambda rng, n: law.rvs(size=n, random_state=rng), {k: float(v) for k, v in truth.items()})


def values_of(values: list[float], shares: list[float]) -> Population:
    """A population of few scores, in ascending order."""
    x, p = np.array(values), np.array(shares)
    mean, steps = float(p @ x), np.cumsum(p)
    middle = np.clip(np.minimum(steps, 0.75) - np.maximum(steps - p, 0.25), 0, None)
    truth = {"mean": mean, "std": math.sqrt(float(p @ (x - mean) ** 2)), "IQM": 2 * float(middle @ x)}
    truth |= {"median": x[np.searchsorted(steps, 0.5)], "90 % quantile": x[np.searchsorted(steps, 0.9)]}
    return Population(lambda rng, n: x[np.searchsorted(steps, rng.random(n), side="right").clip(max=x.size - 1)], truth)


def tied() -> Population:
    """Seven in ten agents score 0, the others are exponential."""
    # Quantiles up to 0.7 are 0: the IQM counts those from 0.7 to 0.75.
    iqm = 2 * integrate.quad(lambda u: -math.log(1 - (u - 0.7) / 0.3), 0.7, 0.75)[0]
    truth = {"mean": 0.3, "std": math.sqrt(0.6 - 0.09), "median": 0.0, "90 % quantile": math.log(3), "IQM": iqm}
    return Population(lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)), truth)


POPULATIONS = {
    "normal": law_of(sp.norm()),
    "exponential": law_of(sp.expon()),
    "lognormal, 1": law_of(sp.lognorm(1.0)),
    "lognormal, 1.5": law_of(sp.lognorm(1.5)),
    "t, 3": law_of(sp.t(3)),
    "Pareto, 2.5": law_of(sp.pareto(2.5)),
    "yes or no, 0.5": values_of([0.0, 1.0], [0.5, 0.5]),
    "yes or no, 0.9": values_of([0.0, 1.0], [0.1, 0.9]),
    "70 % ties": tied(),
    "fails 1 in 1000": values_of([-100.0, 0.0], [0.001, 0.999]),
}
SIZES = (5, 30, 1000)


@dataclass
class Count:
    """Of many studies: intervals that hold the truth, carry a caution, and are unbounded."""

    held: int = 0
    cautioned: int = 0
    unbounded: int = 0
    n: int = 0

    def add(self, held: bool, caution: str, bounded: bool) -> None:
        self.n += 1
        self.held += bool(held)
        self.cautioned += bool(caution)
        self.unbounded += not bounded

    @property
    def coverage(self) -> float:
        return self.held / self.n


def measure(name: str, n: int, studies: int, seed: int = 0) -> dict[str, Count]:
    """Count for every kind of interval."""
    population = POPULATIONS[name]
    truth = population.truth
    rng = np.random.default_rng([seed, n, list(POPULATIONS).index(name)])
    found: dict[str, Count] = {}
    needed = (1.959964 * truth["std"] / HALF_WIDTH) ** 2
    for _ in range(studies):
        x, y = population.draw(rng, n), population.draw(rng, n)
        one, two = summarize(x, quantiles=(0.9,)), compare(x, y, paired=False)
        pairs = compare(x, y, paired=True)
        other = compare(x, population.draw(rng, n) / 10, paired=False)
        rows = [("mean", one.mean, truth["mean"]), ("IQM", one.iqm, truth["IQM"]), ("std", one.std, truth["std"])]
        rows += [("median", one.median, truth["median"])]
        rows += [("90 % quantile", one.quantiles[0].estimate, truth["90 % quantile"])]
        rows += [("difference", two.difference, 0.0), ("difference, paired", pairs.difference, 0.0)]
        rows += [("difference, unequal", other.difference, 0.9 * truth["mean"])]
        rows += [("P(a better)", two.probability_of_improvement, 0.5)]
        rows += [("P(a better), paired", pairs.probability_of_improvement, 0.5)]
        rows += [("effect size", two.effect_size, 0.0)]
        for kind, estimate, value in rows:
            i = estimate.interval
            tiny = 1e-12 * abs(value)
            held = not estimate.defined or i.low - tiny <= value <= i.high + tiny
            found.setdefault(kind, Count()).add(held, estimate.caution, math.isfinite(i.half_width))
        tests = found.setdefault("test, a against a", Count())
        tests.add(two.p_value >= 0.05, two.difference.caution, True)
        seeds = seeds_for_width(x, HALF_WIDTH)
        low, high = seeds.n_low or 2, seeds.n_high or math.inf
        found.setdefault("seeds for a width", Count()).add(
            low - 3 <= needed <= high + 3, seeds.caution, math.isfinite(high)
        )
    return found


def table(studies: int) -> Iterator[str]:
    """Lines of the table."""
    for n in SIZES:
        counts = {name: measure(name, n, studies) for name in POPULATIONS}
        yield f"{n} agents".ljust(21) + "".join(name.rjust(16) for name in POPULATIONS)
        for kind in counts["normal"]:
            cells = []
            for name in POPULATIONS:
                c = counts[name][kind]
                mark = "!" if c.cautioned >= c.n / 2 else "~" if c.cautioned else " "
                cells.append(f"{c.coverage:.3f}{mark}{f'({c.unbounded / c.n:.2f})' if c.unbounded else ''}".rjust(16))
            yield kind.ljust(21) + "".join(cells)
        yield ""


if __name__ == "__main__":
    for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000):
        print(line)  # noqa: T201

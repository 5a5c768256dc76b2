"""How pytest runs the benchmarks: once each and small, unless timing is asked for.

``pytest benchmarks --benchmark-only`` times them (also ``--benchmark-enable``, ``--benchmark-autosave``,
``--benchmark-compare`` and the like); a plain ``pytest``, as in CI, only checks that every answer is right.
"""

from __future__ import annotations

import pytest

from benchmarks.growth import AXES
from benchmarks.peers import PEERS
from benchmarks.processes import MEMORY, START_UP
from benchmarks.variants import BOTH, DEFAULT, VARIANTS, cases
from benchmarks.workloads import BUILDERS

_TIMING = ("enable", "only", "autosave", "save", "json", "compare", "compare_fail", "histogram")


def pytest_configure(config: pytest.Config) -> None:
    """Turn timing off before pytest-benchmark looks, unless an option speaks of it."""
    asked = any(config.getoption(f"benchmark_{name}", default=None) for name in _TIMING)
    config.option.benchmark_disable = not asked


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, object]) -> None:  # noqa: ARG001
    """Leave the machine's name out of saved files."""
    machine_info.pop("node", None)


def _mode(config: pytest.Config) -> str:
    return "once" if config.getoption("benchmark_disable", default=True) else "quick"


@pytest.fixture
def mode(pytestconfig: pytest.Config) -> str:
    """Give the sizes to take: "quick" with timing, "once" without."""
    return _mode(pytestconfig)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose what is measured.  With timing off, most rules run, on W1: each further pair compiles for seconds."""
    once = _mode(metafunc.config) == "once"
    names = metafunc.fixturenames
    if {"name", "variant"} <= set(names):
        pairs = [
            (name, VARIANTS[variant])
            for name, variant in cases(everywhere=not once)
            if not once or VARIANTS[variant] is DEFAULT or (name == BOTH[0] and not VARIANTS[variant].twin)
        ]
        metafunc.parametrize(("name", "variant"), pairs, ids=[f"{name}-{variant.name}" for name, variant in pairs])
    if {"name", "peer"} <= set(names):
        peers = [(name, peer) for name in BUILDERS for peer in PEERS.values() if peer.workloads in (None, (name,))]
        metafunc.parametrize(("name", "peer"), peers, ids=[f"{name}-{peer.name}" for name, peer in peers])
    if "axis" in names:
        sizes = [(axis.name, *size) for axis in AXES.values() for size in axis.chosen("once" if once else "quick")]
        metafunc.parametrize(("axis", "series", "x"), sizes, ids=[f"{a}-{s.split()[0]}-{x}" for a, s, x in sizes])
    if "process" in names:
        metafunc.parametrize("process", START_UP.values(), ids=list(START_UP))
    if "case" in names:
        chosen = MEMORY["once" if once else "quick"]
        metafunc.parametrize("case", chosen, ids=[f"{c.workload}-{c.n_agents}-{c.record}" for c in chosen])

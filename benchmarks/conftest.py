"""How pytest runs the benchmarks: once each and small, unless timing is asked for.

``pytest benchmarks --benchmark-only`` times them (also ``--benchmark-enable``, ``--benchmark-autosave``,
``--benchmark-compare`` and the like); a plain ``pytest``, as in CI, only checks that every answer is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def _parametrize(metafunc: pytest.Metafunc, names: Any, cases: Sequence[Any], ids: list[str], smoke: set[str]) -> None:
    """Measure all cases; with timing off all but those of the smoke run are `long`."""
    once = _mode(metafunc.config) == "once"
    marks = [(pytest.mark.long,) if once and name not in smoke else () for name in ids]
    several = isinstance(names, tuple)
    values = [
        pytest.param(*(case if several else (case,)), id=name, marks=mark)
        for case, name, mark in zip(cases, ids, marks, strict=True)
    ]
    metafunc.parametrize(names, values)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose what is measured.  With timing off, few cases run: each further variant compiles for seconds."""
    once = _mode(metafunc.config) == "once"
    names = metafunc.fixturenames
    if {"name", "variant"} <= set(names):
        pairs = [(name, VARIANTS[variant]) for name, variant in cases(everywhere=not once)]
        smoke = {f"{BOTH[0]}-{DEFAULT.name}"}
        _parametrize(metafunc, ("name", "variant"), pairs, [f"{name}-{variant.name}" for name, variant in pairs], smoke)
    if {"name", "peer"} <= set(names):
        peers = [(name, peer) for name in BUILDERS for peer in PEERS.values() if peer.workloads in (None, (name,))]
        ids = [f"{name}-{peer.name}" for name, peer in peers]
        _parametrize(metafunc, ("name", "peer"), peers, ids, {name for name in ids if name.startswith(BOTH[0])})
    if "axis" in names:
        sizes = [(axis.name, *size) for axis in AXES.values() for size in axis.chosen("once" if once else "quick")]
        ids = [f"{a}-{s.split()[0]}-{x}" for a, s, x in sizes]
        corridor = [axis for axis, given in AXES.items() if BOTH[0] in given.series]  # the variant of the smoke run
        firsts = {next(name for name, size in zip(ids, sizes, strict=True) if size[0] == axis) for axis in corridor}
        _parametrize(metafunc, ("axis", "series", "x"), sizes, ids, firsts)
    if "process" in names:
        kept = {name for name, process in START_UP.items() if not process.fresh}
        _parametrize(metafunc, "process", list(START_UP.values()), list(START_UP), kept)
    if "case" in names:
        chosen = MEMORY["once" if once else "quick"]
        ids = [f"{c.workload}-{c.n_agents}-{c.record}" for c in chosen]
        _parametrize(metafunc, "case", chosen, ids, set(ids[:1]))

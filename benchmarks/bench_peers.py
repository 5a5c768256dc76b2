"""What people use instead of qfast.  For ratios use ``python -m benchmarks``, where all take turns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.peers import Peer
from benchmarks.sections import FAST_PEERS, check_peer
from benchmarks.variants import FEW_EPISODES
from benchmarks.workloads import workload


def test_peer(benchmark: BenchmarkFixture, mode: str, name: str, peer: Peer) -> None:
    if missing := peer.missing():
        pytest.skip(f"needs {', '.join(missing)}")
    given = workload(name)
    n_agents = peer.n_agents(given, quick=mode == "once", scale=FAST_PEERS.get(peer.name, 0.1))
    if mode == "once" and name in FEW_EPISODES:
        given = replace(given, episodes=FEW_EPISODES[name])
    benchmark.group = f"peers: {given.title}"
    result = benchmark.pedantic(peer.train, (given, n_agents, 1), rounds=3 if peer.name in FAST_PEERS else 1)
    check_peer(peer, given, result)
    benchmark.extra_info["million steps a second"] = round(result.steps_per_second / 1e6, 3)
    benchmark.extra_info["agents"] = n_agents

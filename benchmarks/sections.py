"""The sections of a run, each in processes of its own: ``python -m benchmarks.sections NAME MODE SESSION``.

Started with ``NUMBA_NUM_THREADS=1`` in the environment (`benchmarks.__main__` does), or numba and the pinning quarrel.
A section is measured in several sessions, each a new process: what differs from one process to the next (where memory
lies, what else the machine does) then shows in the spread that is reported.  A session prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numba import njit

import qfast
from benchmarks.growth import AXES, Point, points
from benchmarks.peers import PEERS, Peer, PeerResult, pin_to_one_core
from benchmarks.timing import at_least, interleave, touch
from benchmarks.variants import DEFAULT, FEW_EPISODES, VARIANTS, Trained, Variant, cases, check_trained, problem, train
from benchmarks.workloads import BUILDERS, Workload, workload

__all__ = ["FAST_PEERS", "SECTIONS", "check_peer", "contenders_of", "n_agents_for"]

_ROUNDS = 3  # in a session
_SLOW_ROUNDS = {"full": 2, "quick": 1}  # of these, where all contenders but the slow peers go on
_GROWTH_ROUNDS = {"full": 5, "quick": 3}
_SECONDS = {"full": 0.2, "quick": 0.1}  # of one measurement, about
_MOST_BYTES = 2**29  # of Q and records in one measurement
#: Peers that are run in every round, with the share of their usual agents that makes a run of about 0.3 s.
FAST_PEERS = {"plain_numba": 0.3, "jax_batched": 1.0}


def bytes_of(run: qfast.Run) -> int:
    """Memory that the results of a run take while it is trained."""
    kept = (run.q, run.q_tables, run.returns, run.lengths, run.visits)
    return sum(array.nbytes for array in kept if array is not None)


def n_agents_for(probe: Trained, seconds: float) -> int:
    """Agents that take about `seconds`, by a probe of a few, a multiple of 256, in bounded memory."""
    wanted = probe.n_agents * min(seconds / probe.seconds, _MOST_BYTES / bytes_of(probe.run))
    return max(256, round(wanted / 256) * 256)


def contenders_of(
    given: Workload, variants: list[Variant], seconds: float, *, checked: bool
) -> tuple[dict[str, Callable[[], float]], dict[str, int], int]:
    """Make the measurements of some variants on one workload, each with enough agents for about `seconds`.

    Returns
    -------
    contenders : dict of str to callable
        Each gives agent-steps a second.
    agents : dict of str to int
    memory : int
        Bytes of the largest of them.
    """
    contenders: dict[str, Callable[[], float]] = {}
    agents: dict[str, int] = {}
    memory = 0
    for variant in variants:
        train(replace(given, episodes=1), variant, n_agents=1)  # compile or load
        probe = train(given, variant, n_agents=256)
        n_agents = n_agents_for(probe, seconds)
        memory = max(memory, bytes_of(probe.run) * n_agents // probe.n_agents)
        if checked:
            done = train(given, variant, n_agents=n_agents)
            check_trained(given, variant, done.run.q, done.agent_steps)
            del done

        def measure(variant: Variant = variant, n_agents: int = n_agents) -> float:
            return train(given, variant, n_agents=n_agents).steps_per_second

        contenders[variant.name], agents[variant.name] = measure, n_agents
    return contenders, agents, memory


def throughput(mode: str, session: int) -> dict[str, Any]:
    """Q-learning on every workload against the peers; agent-steps a second, by round."""
    pin_to_one_core()
    found: dict[str, Any] = {}
    for name in BUILDERS:
        given = workload(name)
        contenders, agents, memory = contenders_of(given, [DEFAULT], _SECONDS[mode], checked=session == 0)
        for peer in PEERS.values():
            if peer.missing() or not peer.can_train(given):
                continue
            shown = given
            if mode == "quick" and peer.name == "numpy_batched" and name in ("W4", "W5"):  # else 10 s, for 1,024 agents
                shown = replace(given, episodes=FEW_EPISODES[name])
            agents[peer.name] = peer.n_agents(given, scale=FAST_PEERS.get(peer.name, 0.1))
            contenders[peer.name] = _peer_measure(peer, shown, agents[peer.name], mode, checked=session == 0)
            memory = max(memory, 4 * given.n_states * given.n_actions * agents[peer.name])
        values = interleave(contenders, _ROUNDS, memory=memory)
        found[name] = {"rates": values, "agents": agents}
    return found


def _peer_measure(
    peer: Peer, given: Workload, n_agents: int, mode: str, *, checked: bool
) -> Callable[[], float | None]:
    """Measure a peer: fast ones in every round, others in fewer, since they take seconds."""
    calls = 0

    def measure() -> float | None:
        nonlocal calls
        calls += 1
        if calls > _SLOW_ROUNDS[mode] and peer.name not in FAST_PEERS:
            return None
        result = peer.train(given, n_agents, calls)
        if checked and calls == 1:
            check_peer(peer, given, result)
        return result.steps_per_second

    return measure


def check_peer(peer: Peer, given: Workload, result: PeerResult) -> None:
    """Hold a peer against the known answer, also where it had few episodes only."""
    if given.episodes == workload(given.name).episodes:
        peer.check(given, result)
    else:
        check_trained(given, DEFAULT, result.q, result.agent_steps)


def variants(mode: str, session: int) -> dict[str, Any]:
    """Every rule and option; agent-steps a second, by round, taking turns with Q-learning."""
    pin_to_one_core()
    found: dict[str, Any] = {}
    for name in BUILDERS:
        chosen = [VARIANTS[variant] for where, variant in cases(everywhere=mode == "full") if where == name]
        if len(chosen) > 1:
            contenders, agents, memory = contenders_of(workload(name), chosen, _SECONDS[mode], checked=session == 0)
            found[name] = {"rates": interleave(contenders, _ROUNDS, memory=memory), "agents": agents}
    return found


def growth(mode: str, session: int) -> dict[str, Any]:
    """Measure the cost of an agent-step at every size but threads; ns, by round."""
    pin_to_one_core()
    return {axis: _curves(axis, mode, session) for axis in AXES if axis != "threads"}


def threads(mode: str, session: int) -> dict[str, Any]:
    """Measure one thread and two, on two cores; ns of an agent-step, by round."""
    return {"threads": _curves("threads", mode, session)}


def _cost(point: Point) -> float:
    """Measure ns of an agent-step at one size."""
    touch(point.n_agents * point.table)
    return 1e9 / at_least(0.05, point.run)


def _curves(axis: str, mode: str, session: int) -> list[dict[str, Any]]:
    chosen, contenders = points(axis, mode), {}
    for i, point in enumerate(chosen):
        if session == 0:
            point.check()
        point.run()
        contenders[str(i)] = partial(_cost, point)
    values = interleave(contenders, _GROWTH_ROUNDS[mode])
    return [
        {"series": p.series, "x": p.x, "agents": p.n_agents, "working_set": p.working_set, "ns": values[str(i)]}
        for i, p in enumerate(chosen)
    ]


def compile_all(mode: str, session: int) -> dict[str, Any]:
    """Compile every variant, beginning with nothing: seconds and processor seconds each; files that new sizes added."""
    assert session == 0
    njit(lambda x: x + 1)(1)  # numba's own start-up is in the start-up figures
    found = {}
    for name, variant in cases(everywhere=mode == "full"):
        given, chosen = replace(workload(name), episodes=1), VARIANTS[variant]
        problem(name, masked=chosen.masked)
        began = perf_counter(), process_time()
        train(given, chosen, n_agents=1)
        found[f"{name}, {variant}"] = [perf_counter() - began[0], process_time() - began[1]]
    _corridor(1, 20, 1)  # its table no longer fits into a register, which is a variant of its own
    before = _compiled_files()
    for n_agents, length, episodes in ((1, 5, 3), (3, 7, 11), (1_000, 9, 50), (2, 300, 2)):
        _corridor(n_agents, length, episodes)
    return {"seconds": found, "added": _compiled_files() - before}


def _corridor(n_agents: int, length: int, episodes: int) -> None:
    """Train on a corridor of any length."""
    run = qfast.train(
        qfast.corridor(length), n_agents=n_agents, episodes=episodes, ties="first", seed=1, threads=1, record=None,
        progress=False,
    )  # fmt: skip
    assert np.isfinite(run.q).all()


def _compiled_files() -> int:
    return sum(1 for _ in Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbc"))


SECTIONS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "compile": compile_all,
    "throughput": throughput,
    "variants": variants,
    "growth": growth,
    "threads": threads,
}

if __name__ == "__main__":
    print(json.dumps(SECTIONS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))))

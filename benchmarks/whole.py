"""``python -m benchmarks.whole CONTENDER WORKLOAD N_AGENTS [RECORD]``: one training as a process of its own.

Everything that a user waits for is in it: the interpreter, imports, compiling or loading what was compiled, training,
exit.  It prints one line of JSON: agent-steps, the learned value of the start, the peak of memory, the results' bytes.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS, pin_to_one_core
from benchmarks.workloads import workload

__all__ = ["peak_memory"]


def peak_memory() -> int:
    """Bytes of memory that this process held at most.

    ``getrusage`` would be wrong where a large process started this one: Linux counts what the parent held until the
    program began.  ``VmHWM`` belongs to this program alone; other systems have no such line and no such fault.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1_024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024


def main(contender: str, name: str, n_agents: int, record: str | None) -> dict[str, Any]:
    """Train and say what came out."""
    pin_to_one_core()
    given = workload(name)
    if contender == "qfast":
        from benchmarks.variants import train

        run = train(given, n_agents=n_agents, record=record).run
        q, steps, kept = run.q, run.n_steps, [run.q, run.returns, run.lengths]
    else:
        result = PEERS[contender].train(given, n_agents, 1)
        q, steps, kept = result.q, result.agent_steps, [result.q]
    peak = peak_memory()  # before the mean below needs any
    return {
        "steps": steps,
        "start_value": float(q[:, given.start].max(axis=2).mean(dtype="float64")),
        "peak": peak,
        "results": sum(array.nbytes for array in kept if array is not None),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)))

"""``python -m benchmarks.peers [SCALE] [PEER ...]``: every peer on every workload, on one core, in one table.

SCALE multiplies the suggested number of agents (default 0.2, about two minutes).
"""

from __future__ import annotations

import sys

from benchmarks.peers import PEERS, pin_to_one_core
from benchmarks.workloads import BUILDERS, WrongAnswer, workload


def main(scale: float, names: list[str]) -> None:
    pin_to_one_core()
    print("million agent-steps a second".ljust(32) + "".join(name.rjust(9) for name in BUILDERS))
    for name in names:
        peer = PEERS[name]
        if peer.missing():
            print(f"{peer.title:32}skipped: {', '.join(peer.missing())} not installed")
            continue
        line = f"{peer.title:32}"
        for problem in map(workload, BUILDERS):
            if not peer.can_train(problem):
                line += "-".rjust(9)
                continue
            result = peer.train(problem, peer.n_agents(problem, scale=scale), 1)
            try:
                peer.check(problem, result)
                mark = ""
            except WrongAnswer as error:
                mark = "!"
                print(error, file=sys.stderr)
            line += f"{result.steps_per_second / 1e6:.3g}{mark}".rjust(9)
        print(line, flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.2, sys.argv[2:] or list(PEERS))

"""What a study costs beside training the same agents alone: ``python -m benchmarks.study_cost [CONFIGURATIONS]``.

The corridor, 10,000 agents of each configuration, 1,000 episodes, everything kept (curves, metrics, 20 checkpoints),
or curves and the metrics of records alone.  Processor time, since other work may share the machine.
"""

from __future__ import annotations

import resource
import sys
from time import process_time

import numpy as np

import qfast
from benchmarks.timing import interleave, ratio

N_AGENTS, EPISODES, ROUNDS = 10_000, 1_000, 3
OF_RECORDS = ("auc", "final_return", "steps")


def main(arguments: list[str]) -> None:
    """Measure in turn, and print the ratios."""
    count = int(arguments[0]) if arguments else 100
    alphas = np.linspace(0.01, 0.5, count).tolist()
    common = {"n_agents": N_AGENTS, "episodes": EPISODES, "seed": 1, "progress": False}

    def bare() -> float:
        began = process_time()
        for alpha in alphas:
            qfast.train(alpha=alpha, record=None, **common)
        return process_time() - began

    def everything() -> float:
        began = process_time()
        study = qfast.study(vary={"alpha": alphas}, **common)
        assert study.dataset.sizes["configuration"] == count
        return process_time() - began

    def records() -> float:
        began = process_time()
        qfast.study(vary={"alpha": alphas}, checkpoints=None, metrics=OF_RECORDS, **common)
        return process_time() - began

    qfast.train(record=None, **(common | {"n_agents": 64}))  # compile
    for options in ({}, {"checkpoints": None, "metrics": OF_RECORDS}):
        qfast.study(vary={"alpha": [0.1]}, **(common | {"n_agents": 64}), **options)
    found = interleave({"bare": bare, "everything": everything, "records": records}, ROUNDS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{count} configurations of {N_AGENTS:,} agents, {EPISODES:,} episodes: a study over bare training")
    print(f"  everything kept             {ratio(found['everything'], found['bare'])}")
    print(f"  curves and returns alone    {ratio(found['records'], found['bare'])}")
    print(f"  peak of memory              {peak:,} MB")


if __name__ == "__main__":
    main(sys.argv[1:])

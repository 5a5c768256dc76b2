"""``python -m benchmarks``: measure everything, write JSON, pictures and a report, and README's table and figure.

See ``python -m benchmarks --help``.  Everything compiled is compiled anew, in a folder of the run's own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.machine import about, environment
from benchmarks.peers import PEERS
from benchmarks.processes import MEMORY, START_UP, measure_memory, time_process, train_process
from benchmarks.results import ENOUGH_ROUNDS, Results, merge
from benchmarks.tables import put_into_readme, readme_block, report
from benchmarks.targets import verdicts
from benchmarks.timing import interleave
from benchmarks.workloads import BUILDERS, WrongAnswer

ROOT = Path(__file__).parents[1]
#: Sessions of each section: new processes, whose measurements are put together.
SESSIONS = {
    "full": {"compile": 1, "throughput": 2, "variants": 2, "growth": 1, "threads": 2, "processes": 1, "memory": 1},
    "quick": {"compile": 1, "throughput": 1, "variants": 1, "growth": 1, "threads": 1, "processes": 1, "memory": 1},
}
_TWO_CORES = ("threads",)  # all other sections have one core to themselves
_WHOLE_AGENTS = {"W1": 10_000, "W2": 10_000, "W3": 10_000, "W4": 2_000, "W5": 1_000}


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 1 if an answer was wrong."""
    options = _parser().parse_args(arguments)
    if options.compare:
        return compare(*(Results.load(path) for path in options.compare))
    options.out.mkdir(parents=True, exist_ok=True)
    mode = "quick" if options.quick else "full"
    if options.draw:
        results, failed = Results.load(options.draw), False
    else:
        results, failed = measure(mode, options.only or list(SESSIONS[mode]), options.out / "results.json")
    publish(results, options.out, readme=not (options.quick or options.only or options.no_readme or failed))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure qfast and what people use instead.")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, sessions and rules; leaves README alone")
    sections = list(SESSIONS["full"])
    parser.add_argument("--only", nargs="+", choices=sections, metavar="SECTION", help=", ".join(sections))
    folder = ROOT / "benchmarks" / "results"
    parser.add_argument("--out", type=Path, default=folder, metavar="FOLDER", help="default: benchmarks/results")
    parser.add_argument("--no-readme", action="store_true", help="leave README alone")
    parser.add_argument("--draw", type=Path, metavar="JSON", help="measure nothing; make the files from these results")
    parser.add_argument("--compare", type=Path, nargs=2, metavar="JSON", help="tell whether two runs' ratios agree")
    return parser


# ---------------------------------------------------------------------------------------------------------- measuring
def measure(mode: str, sections: list[str], path: Path) -> tuple[Results, bool]:
    """Run sections, and write what is there after each of them.  The results, and whether one failed."""
    began, failed = perf_counter(), False
    data: dict[str, Any] = {"about": about(), "mode": mode}
    results = Results(data)
    sessions = SESSIONS[mode]
    with TemporaryDirectory(prefix="qfast-benchmarks-") as folder:
        cache = Path(folder)
        for session in range(max(sessions[name] for name in sections)):
            for name in sections:
                if session >= sessions[name] or name in data.get("failed", []):
                    continue
                print(f"{perf_counter() - began:5.0f} s  {name}, session {session + 1} of {sessions[name]}", flush=True)
                try:
                    found = _WORK.get(name, partial(_in_a_process, name))(mode, session, cache)
                except WrongAnswer as error:
                    print(f"{name} failed: {error}", file=sys.stderr, flush=True)
                    data.setdefault("failed", []).append(name)
                    failed = True
                    continue
                for key, value in found.items():
                    merge_in(data, key, value, again=session > 0)
                data["seconds"] = perf_counter() - began
                results.save(path)
    return results, failed


def merge_in(data: dict[str, Any], key: str, value: Any, *, again: bool) -> None:
    """Add a session's findings: a later session behind the earlier, curves of growth beside each other."""
    if again and key == "growth":
        for axis, curves in value.items():
            data["growth"][axis] = merge(data["growth"][axis], curves)
    elif again:
        data[key] = merge(data[key], value)
    elif key == "growth":
        data.setdefault("growth", {}).update(value)
    else:
        data[key] = value


def _in_a_process(name: str, mode: str, session: int, cache: Path) -> dict[str, Any]:
    """Run a session of `benchmarks.sections` in a process of its own."""
    env = environment(cache)
    if name not in _TWO_CORES:
        env["NUMBA_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "benchmarks.sections", name, mode, str(session)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise WrongAnswer(f"exit code {done.returncode}; its message stands above")
    key = "growth" if name == "threads" else name
    return {key: json.loads(done.stdout.splitlines()[-1])}


def _processes(mode: str, session: int, cache: Path) -> dict[str, Any]:
    """Start-up, and whole trainings against JAX."""
    assert session == 0
    folder = cache / "start-up"
    folder.mkdir()
    rounds = 7 if mode == "full" else 3
    many = {name: p for name, p in START_UP.items() if not p.fresh}
    for process in many.values():
        time_process(process, folder, cache)  # so that files are in memory, and what is cached is cached
    seconds = interleave({name: partial(time_process, p, folder, cache) for name, p in many.items()}, rounds)
    fresh = {name: partial(time_process, p, folder, cache) for name, p in START_UP.items() if p.fresh}
    seconds |= interleave(fresh, 3 if mode == "full" else 1)
    return {
        "start_up": seconds,
        "titles": {name: process.title for name, process in START_UP.items()},
        "whole": {name: _whole(name, mode, cache) for name in (BUILDERS if mode == "full" else ("W1", "W3"))},
    }


def _whole(name: str, mode: str, cache: Path) -> dict[str, Any]:
    """Seconds of a training from process start to exit: qfast, and JAX where it is installed."""
    n_agents = _WHOLE_AGENTS[name]
    who = ["qfast"] if PEERS["jax_batched"].missing() else ["qfast", "jax_batched"]

    def once(contender: str, *, fresh: bool = False) -> float:
        return train_process(contender, name, n_agents, cache, fresh=fresh)[0]

    once("qfast")
    seconds = interleave({contender: partial(once, contender) for contender in who}, 5 if mode == "full" else 1)
    return {"agents": n_agents, "seconds": seconds | {"qfast_first": [once("qfast", fresh=True)]}}


def _memory(mode: str, session: int, cache: Path) -> dict[str, Any]:
    """Peaks of memory; each process once to compile, once to be measured."""
    assert session == 0
    found = []
    for case in MEMORY[mode]:
        measure_memory(type(case)(case.workload, 256, case.record), cache)
        found.append(measure_memory(case, cache))
    return {"memory": found}


_WORK = {"processes": _processes, "memory": _memory}


# --------------------------------------------------------------------------------------------------------- publishing
def publish(results: Results, folder: Path, *, readme: bool) -> None:
    """Write the report and the pictures, README's part of them if asked, and print the verdicts."""
    (folder / "report.md").write_text(report(results), "utf-8")
    try:
        from benchmarks.figures import draw_all

        draw_all(results, folder)
    except ModuleNotFoundError as error:
        print(f"no pictures: {error.name} is not installed", file=sys.stderr)
        readme = False
    if readme:
        shutil.copyfile(folder / "throughput.svg", ROOT / "benchmarks" / "throughput.svg")
        if not put_into_readme(ROOT / "README.md", readme_block(results, "benchmarks/throughput.svg")):
            print("README.md has no place for the table: <!-- benchmark table --> … <!-- end -->", file=sys.stderr)
    for line in _columns(results):
        print(line)
    print(f"\nmore in {folder}: report.md, results.json, pictures")


def _columns(results: Results) -> Iterator[str]:
    found = verdicts(results)
    width = max((len(v.what) for v in found), default=0)
    for v in found:
        yield f"{v.what:{width}}  {v.asked:>18}   {v.measured}   {v.word}"


def compare(first: Results, second: Results) -> int:
    """Print the ratios whose spreads have nothing in common; 1 if there are any."""
    others = dict(second.ratios())
    both = [(name, found, others[name]) for name, found in first.ratios() if name in others]
    apart = [(name, one, other) for name, one, other in both if not one.agrees(other)]
    for name, one, other in apart:
        print(f"{name}: {one}, then {other}")
    print(
        f"{len(both) - len(apart)} of {len(both)} ratios agree within the spread that the runs report "
        f"(those with at least {ENOUGH_ROUNDS} rounds)"
    )
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())

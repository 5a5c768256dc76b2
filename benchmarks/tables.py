"""Results in words: README's table, and the report with every number.  Nothing in them is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.growth import AXES
from benchmarks.machine import describe
from benchmarks.peers import PEERS
from benchmarks.results import Results
from benchmarks.targets import MEGABYTE, verdicts
from benchmarks.timing import Ratio
from benchmarks.variants import BOTH, VARIANTS
from benchmarks.workloads import BUILDERS, workload

__all__ = ["BEGIN", "END", "contender_titles", "explain", "put_into_readme", "readme_block", "report"]

BEGIN, END = "<!-- benchmark table -->", "<!-- end -->"
_BEND = 1.2
NONE = "-"


def contender_titles() -> dict[str, str]:
    """The rows of the throughput table."""
    return {"q_learning": "qfast"} | {peer.name: peer.title for peer in PEERS.values()}


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join([_row(head), _row(["---"] + ["---:"] * (len(head) - 1)), *map(_row, rows)])


def _number(found: Ratio | None, *, bold: bool = False) -> str:
    text = NONE if found is None else f"{found.middle:.3g}" if found.middle < 1_000 else f"{found.middle:,.0f}"
    return f"**{text}**" if bold else text


def _spread(found: Ratio | None) -> str:
    return NONE if found is None else str(found)


def throughput_table(results: Results) -> str:
    """Million agent-steps a second of qfast and the peers; two rows of ratios."""
    measured = [name for name in BUILDERS if results.contenders(name)]
    head = ["million agent-steps a second, one thread", *(f"{workload(n).title} ({n})" for n in measured)]
    rows = [
        [f"**{title}**" if key == "q_learning" else title]
        + [_number(results.rate(name, key), bold=key == "q_learning") for name in measured]
        for key, title in contender_titles().items()
        if any(results.rate(name, key) for name in measured)
    ]
    rows += [
        [f"qfast over {PEERS[peer].title}", *(_spread(results.versus(name, peer)) for name in measured)]
        for peer in ("plain_numba", "jax_batched")
        if any(results.versus(name, peer) for name in measured)
    ]
    return _table(head, rows)


def _conditions(results: Results) -> str:
    rounds = max((len(results.contenders(name).get("q_learning", [])) for name in BUILDERS), default=0)
    return (
        f"Median of {rounds} rounds in which all took turns, in brackets the lowest and the highest. Every answer was "
        f"checked. Measured on {describe(results.data['about'])}."
    )


_HOW = (
    "A step is one transition of one agent with its update of Q. [benchmarks/NOTES.md](benchmarks/NOTES.md) tells what "
    "bounds the kernel. `python -m benchmarks` measures everything again, and writes this table and "
    "`benchmarks/results`. To see a regression: `pytest benchmarks --benchmark-only "
    "--benchmark-autosave` before a change, the same with `--benchmark-compare` after it."
)


def readme_block(results: Results, figure: str) -> str:
    """Everything between README's markers."""
    missing = [f"{peer.title} (not installed)" for peer in PEERS.values() if not _was_run(results, peer.name)]
    left_out = f" Left out: {', '.join(missing)}." if missing else ""
    return "\n\n".join(
        [
            f"![Agent-steps a second of qfast and of what people use instead, on five problems]({figure})",
            throughput_table(results),
            _conditions(results) + left_out,
            _HOW,
        ]
    )


def _was_run(results: Results, peer: str) -> bool:
    return any(peer in results.contenders(name) for name in BUILDERS)


def put_into_readme(readme: Path, block: str) -> bool:
    """Write the block between the markers; whether the file has them."""
    text = readme.read_text("utf-8") if readme.exists() else ""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        return False
    readme.write_text(f"{head}{BEGIN}\n{block}\n{END}{tail}", "utf-8")
    return True


def variants_table(results: Results) -> str:
    """Rules and options as shares of Q-learning's throughput."""
    measured = [name for name in BUILDERS if results.share(name, "sarsa")]
    rows = []
    for variant in VARIANTS.values():
        cells = [_number(results.rate_of_variant(name, variant.name)) for name in measured if name in BOTH]
        cells += [_spread(results.share(name, variant.name)) for name in measured]
        rows.append([variant.title, *cells, f"{variant.least:.2g}" if variant.least else "", variant.note])
    rates = [f"{name}, million/s" for name in measured if name in BOTH]
    return _table(["rule or option", *rates, *(f"{name}, share" for name in measured), "asked", "why"], rows)


def explain(results: Results, axis: str, series: str) -> str:
    """Say where a curve bends, and why: size, cost, and which cache the tables in flight outgrow there."""
    curve = results.curve(axis)[series]
    sizes = [f"{name} of {size >> 10:,} KiB" for name, size in results.data["about"]["machine"]["caches"].items()]
    limits = list(results.data["about"]["machine"]["caches"].values())
    bends = []
    for (x, cost, working_set), (_, before, fitted) in zip(curve[1:], curve, strict=False):
        if cost.middle > _BEND * before.middle:
            outgrown = [size for size, limit in zip(sizes, limits, strict=True) if fitted <= limit < working_set]
            tables = f"; the tables of 64 agents, {working_set >> 10:,} KiB, outgrow "
            why = tables + " and ".join(outgrown) if outgrown else ""
            bends.append(f"{x:,} ({cost.middle / before.middle:.2f} times the cost before it{why})")
    text = "bends up at " + ", at ".join(bends) if bends else "no step up of more than a fifth"
    first = curve[0][1].middle / min(cost.middle for _, cost, _ in curve)
    fixed = {"agents": "the fixed cost of a call", "episodes": "the cost of beginning an agent, its stream and table,"}
    if axis in fixed and first > _BEND:
        text += f"; at {curve[0][0]:,} {fixed[axis]} shows ({first:.2f} times the lowest)"
    return text


def growth_tables(results: Results) -> Iterator[str]:
    """Cost of an agent-step on every axis."""
    for axis in AXES:
        for series, curve in results.curve(axis).items():
            head = [f"{axis} ({series})", *(f"{x:,}" for x, _, _ in curve)]
            yield _table(head, [["ns an agent-step", *(_spread(cost) for _, cost, _ in curve)]])
            if axis != "threads":
                yield explain(results, axis, series) + "."


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *(part for part in parts if part)])


def report(results: Results) -> str:
    """Every number of a run, as Markdown."""
    data = results.data
    load = data["about"]["machine"]["load"]
    took = f"{data.get('seconds', 0) / 60:.1f} minutes"
    about = f"{_conditions(results)} The machine's load was {load} when the run began; the run took {took}."
    parts = [f"# Benchmarks, {data['mode']} run\n\n{about}"]
    rows = [[v.what, v.asked, v.measured, v.word] for v in verdicts(results)]
    parts.append(_section("Asked and measured", _table(["what", "asked", "measured", "met"], rows)))
    if results.has("throughput"):
        parts.append(_section("Throughput", throughput_table(results)))
    if results.has("variants"):
        parts.append(_section("Rules and options, one thread, as a share of Q-learning", variants_table(results)))
    if results.has("growth"):
        parts.append(_section("Growth, one thread (but for threads)", *growth_tables(results)))
    if results.has("start_up"):
        rows = [[data["titles"][name], _spread(results.start_up(name))] for name in data["start_up"]]
        parts.append(_section("Whole processes", _table(["process", "seconds"], rows), _whole_table(results)))
    if results.has("compile"):
        rows = [[key, f"{wall:.2f}", f"{cpu:.2f}"] for key, (wall, cpu) in data["compile"]["seconds"].items()]
        parts.append(_section("First compile of each variant", _table(["variant", "s", "s of processor time"], rows)))
    if results.has("memory"):
        rows = [
            [case["title"], *(f"{case[key] / MEGABYTE:.0f}" for key in ("peak", "results", "above"))]
            for case in data["memory"]
        ]
        parts.append(_section("Memory", _table(["training", "peak, MB", "Q and records, MB", "above, MB"], rows)))
    return "\n\n".join(parts) + "\n"


def _whole_table(results: Results) -> str:
    found = results.data.get("whole", {})
    rows = [
        [f"{name}, {case['agents']:,} agents"]
        + [
            _spread(Ratio.of(values) if (values := case["seconds"].get(who)) else None)
            for who in ("qfast", "qfast_first", "jax_batched")
        ]
        + [_spread(results.whole(name))]
        for name, case in found.items()
    ]
    head = ["from process start to exit, seconds", "qfast", "qfast, nothing compiled", "JAX", "JAX / qfast"]
    return _table(head, rows) if rows else ""

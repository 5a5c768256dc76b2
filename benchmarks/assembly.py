"""What the compiled kernel does in a step: ``python -m benchmarks.assembly [WORKLOAD [VARIANT]]``.

Counts the instructions of the kernel's inner loop as they stand in the assembly, by what they do, for one agent's
step.  The counts are the same in every run on the same kind of processor, however busy it is.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass

from numba.core.caching import NullCache

import qfast.kernel.loop
from benchmarks.variants import VARIANTS, train
from benchmarks.workloads import BUILDERS, workload

__all__ = ["InnerLoop", "inner_loop", "kind_of", "main"]

_LABEL = re.compile(r"^(\.L\w+):")
_JUMP = re.compile(r"^(?:j\w+|b(?:\.\w+)?|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\d+,)\s+(\.L\w+)")
_VECTOR = re.compile(r"[xyz]mm|\bv\d+\.|%k\d")
_MEMORY = re.compile(r"\(|\[")


@dataclass(frozen=True)
class InnerLoop:
    """The loop over groups of lanes.

    Attributes
    ----------
    counts : Counter of str
        Instructions by kind.
    lanes : int
        Agents that go one step in it.
    """

    counts: Counter[str]
    lanes: int

    @property
    def total(self) -> int:
        """All instructions."""
        return sum(self.counts.values())


def kind_of(instruction: str) -> str:
    """Say what an instruction does, as far as its text tells.

    >>> kind_of("vscatterdps %zmm1, (%rax,%zmm0,4) {%k1}"), kind_of("movl (%rdi), %eax"), kind_of("vpaddd %zmm1, %zmm0")
    ('scatter', 'scalar load', 'vector arithmetic')
    """
    name, _, operands = instruction.partition(" ")
    if "scatter" in name:
        return "scatter"
    if "gather" in name:
        return "gather"
    vector = bool(_VECTOR.search(operands))
    if re.search(r"perm|shuf|unpck|insert|extract|movlh|movhl|vpins|vpext|broadcast|pack|zip|trn|\bins\b", name):
        return "shuffle, insert or extract" + (" from memory" if _MEMORY.search(operands) else "")
    if re.match(r"v?p?mov|ldr|ld1|str|st1|vmovh|vmovs", name) and _MEMORY.search(operands):
        last = operands.split(",")[-1] if not re.search(r"\)\s*,|\]\s*,", operands) else ""
        stores = bool(_MEMORY.search(last)) or name.startswith(("str", "st1"))
        return f"{'vector' if vector else 'scalar'} {'store' if stores else 'load'}"
    return ("vector" if vector else "scalar") + " arithmetic"


def inner_loop(assembly: str, lanes: int) -> InnerLoop:
    """Find the loop with the most vector instructions that holds no other loop with a fifth as many.

    Raises
    ------
    LookupError
        If there is no loop with vector instructions.
    """
    code: list[str] = []
    label: dict[str, int] = {}
    for line in assembly.splitlines():
        if found := _LABEL.match(line):
            label[found[1]] = len(code)
        elif line.startswith("\t") and not line.startswith(("\t.", "\t#")):
            code.append(" ".join(line.split("#")[0].split()))
    vector = [0]
    for instruction in code:
        vector.append(vector[-1] + bool(_VECTOR.search(instruction)))
    loops = {
        (label[found[1]], end + 1)
        for end, instruction in enumerate(code)
        if (found := _JUMP.match(instruction)) and label.get(found[1], end + 1) <= end
    }

    def weight(loop: tuple[int, int]) -> int:
        return vector[loop[1]] - vector[loop[0]]

    def holds_another(loop: tuple[int, int]) -> bool:
        return any(
            loop[0] <= other[0] and other[1] <= loop[1] and other != loop and weight(other) > weight(loop) / 5
            for other in loops
        )

    inner = [loop for loop in loops if weight(loop) and not holds_another(loop)]
    if not inner:
        raise LookupError("the assembly has no loop with vector instructions")
    begin, end = max(inner, key=weight)
    return InnerLoop(Counter(map(kind_of, code[begin:end])), lanes)


def measure(name: str, variant: str) -> InnerLoop:
    """Compile a variant, away from numba's cache, which keeps no assembly, and read its inner loop."""
    kernel = qfast.kernel.loop.train_block
    kernel._cache = NullCache()
    known = set(kernel.overloads)
    train(workload(name), VARIANTS[variant], n_agents=1)
    signature = next(s for s in kernel.overloads if s not in known)
    return inner_loop(kernel.inspect_asm(signature), signature[0].width)


def main(arguments: list[str]) -> None:
    """Print a table for one workload or all, one variant or Q-learning."""
    names = arguments[:1] or list(BUILDERS)
    variant = arguments[1] if len(arguments) > 1 else "q_learning"
    for name in names:
        found = measure(name, variant)
        print(f"{name} {variant}: {found.total / found.lanes:.1f} instructions a step ({found.lanes} agents at once)")
        for kind, count in found.counts.most_common():
            print(f"  {count / found.lanes:6.2f}  {kind}")


if __name__ == "__main__":
    main(sys.argv[1:])

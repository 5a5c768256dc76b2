"""What the machine, or the container, has: memory, processors, a compiler."""

import os
from pathlib import Path

from qfast.errors import InvalidInput

__all__ = ["available_memory", "check_compiler", "default_threads"]


def available_memory() -> int:
    """Bytes that a program may still use; a very large number where the system does not say."""
    return min(_free_memory(), _free_in_container())


def _free_in_container(group: Path = Path("/sys/fs/cgroup")) -> int:
    """What a container leaves: beyond it the kernel kills, whatever the machine has."""
    try:
        most, used = (int((group / f"memory.{name}").read_text("ascii")) for name in ("max", "current"))
        pages = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
    except (OSError, ValueError):  # no such group, or "max"
        return 2**62
    return max(0, most - used + int(pages.get("inactive_file", 0)))


def _free_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 2**62


def default_threads() -> int:
    """Count the processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def check_compiler() -> None:
    """Refuse to go on without numba's compiler: the kernel's vector operations exist as machine code alone."""
    from numba.core import config

    if getattr(config, "DISABLE_JIT", 0):
        raise InvalidInput(
            "NUMBA_DISABLE_JIT is set, and qfast's kernel cannot run without numba's compiler; unset it, or set "
            "NUMBA_DISABLE_JIT=0"
        )

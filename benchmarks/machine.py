"""Where and with what the numbers were measured: stands beside them wherever they are shown."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import qfast

__all__ = ["CACHES", "about", "cache_sizes", "describe", "environment"]

CACHES = ("L1", "L2", "L3")
_PACKAGES = ("numba", "llvmlite", "numpy", "scipy", "gymnasium", "jax", "jaxlib")


def about() -> dict[str, Any]:
    """Describe machine, versions and date; ready for JSON, and without the machine's name or any path."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": {
            "processor": _processor(),
            "vectors": _vectors(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "caches": cache_sizes(),
            "system": f"{platform.system()} {platform.machine()}",
            "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        },
        "versions": {"python": platform.python_version(), "qfast": qfast.__version__}
        | {name: found for name in _PACKAGES if (found := _version(name))},
    }


def describe(facts: dict[str, Any]) -> str:
    """Put `about` on one line."""
    machine, versions = facts["machine"], facts["versions"]
    sizes = ", ".join(f"{name} {size >> 10:,} KiB" for name, size in machine["caches"].items())
    text = f"{machine['processor']}, {machine['vectors']}" + (f" ({sizes})" if sizes else "")
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{text}, {machine['cores']} cores, {machine['system']}; {packages}; {facts['date']}"


def cache_sizes() -> dict[str, int]:
    """Bytes of the data caches that one core sees; empty where the system does not say."""
    sizes: dict[str, int] = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            level, kind, size = ((index / name).read_text("ascii").strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction" and re.fullmatch(r"\d+K", size):
            sizes[f"L{level}"] = int(size[:-1]) << 10
    return dict(sorted(sizes.items()))


def environment(cache: Path | None = None) -> dict[str, str]:
    """Give the environment for a process to be measured: the repository importable, numba's cache where it is told."""
    root = str(Path(__file__).parents[1])
    path = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    own = {"NUMBA_CACHE_DIR": str(cache)} if cache is not None else {}
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)} | own


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpuinfo(field: str) -> str | None:
    try:
        found = re.search(rf"^{field}\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _processor() -> str:
    """The model; a virtual machine may hide it, so family and model number stand beside it."""
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    family, model = _cpuinfo("cpu family"), _cpuinfo("model")
    return f"{name} (family {family}, model {model})" if family and model else name


def _vectors() -> str:
    flags = (_cpuinfo("flags") or _cpuinfo("Features") or "").split()
    for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON")):
        if flag in flags:
            return name
    return "vector width unknown"

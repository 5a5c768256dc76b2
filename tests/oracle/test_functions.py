"""The kernel's exp and log: the same bits as the oracle's, and as near to the truth as their docstrings say."""

import platform
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from processes import run_python

from oracle.functions import exp32, log32
from qfast.kernel import lanes as functions
from qfast.kernel.jit import kernel
from qfast.kernel.lanes import exp, log
from qfast.kernel.memory import flatten, load, store
from qfast.kernel.spec import Spec

LARGEST = float(np.finfo(np.float32).max)


class Numbers(NamedTuple):
    """What goes into a function, and what comes out."""

    x: Any
    y: Any


@kernel
def exp_of_lanes(spec, numbers):
    numbers = flatten(spec, numbers)
    for at in range(0, numbers.x.size, spec.width):
        store(spec, numbers.y, at, exp(load(spec, numbers.x, at)))


@kernel
def log_of_lanes(spec, numbers):
    numbers = flatten(spec, numbers)
    for at in range(0, numbers.x.size, spec.width):
        store(spec, numbers.y, at, log(load(spec, numbers.x, at)))


KERNELS = {"exp": exp_of_lanes, "log": log_of_lanes}


def by_lanes(name, x):
    """What the kernel's function makes of float32 numbers, 64 lanes at a time."""
    numbers = Numbers(np.append(x, np.full(-x.size % 64, x[-1])), np.empty(x.size + -x.size % 64, np.float32))
    KERNELS[name](Spec(n_actions=2), numbers)
    return numbers.y[: x.size]


def between(low, high, step):
    """Every `step`-th float32 from low up to high, both above 0, and all of the 100,000 at each end."""
    first, last = (int(np.float32(end).view(np.uint32)) for end in (low, high))
    bits = np.concatenate([
        np.arange(first, last, step), np.arange(first, first + 100_000), np.arange(last - 100_000, last + 1)
    ])  # fmt: skip
    return bits.astype(np.uint32).view(np.float32)


def samples(name, step=97):
    """Numbers of a function's domain: all magnitudes, down to the smallest subnormal where there is one."""
    return -between(1e-45, 87, step) if name == "exp" else between(1, LARGEST, step)


def stated_bound(name):
    """The bound that a docstring gives, in units of the last place of the result."""
    found = re.search(r"error at most ([0-9.]+) ulp", getattr(functions, name).__doc__)
    assert found, f"the docstring of {name} states no bound"
    return float(found[1])


@pytest.mark.parametrize(("name", "exact"), [("exp", np.exp), ("log", np.log)])
def test_the_error_is_below_the_bound_of_the_docstring(name, exact):
    x = samples(name)
    x = x[x > -87]
    truth = exact(x.astype(np.float64))
    ulp = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
    worst = float((np.abs(by_lanes(name, x) - truth) / ulp).max())
    assert worst <= stated_bound(name)
    assert worst > 0.9 * stated_bound(name), f"{worst:.3f} ulp: the bound could be stated more sharply"


@pytest.mark.parametrize(("name", "oracle"), [("exp", exp32), ("log", log32)])
def test_the_oracle_has_the_same_bits(name, oracle):
    x = samples(name, step=1009)
    np.testing.assert_array_equal(by_lanes(name, x).view(np.uint32), oracle(x).view(np.uint32))


@pytest.mark.parametrize(
    ("x", "y"), [(0.0, 1.0), (-0.0, 1.0), (-87.0, 0.0), (-88.0, 0.0), (-1e30, 0.0), (-np.inf, 0.0), (-1e-45, 1.0)]
)
def test_exp_at_the_ends(x, y):
    x = np.array([x], np.float32)
    assert by_lanes("exp", x).tolist() == exp32(x).tolist() == [y]


def test_log_of_whole_numbers():
    # Counts of visits are what it is for: 0 at one, and never falling.
    y = by_lanes("log", np.arange(1, 2**20, dtype=np.float32))
    assert y[0] == 0
    assert (np.diff(y) >= 0).all()


def digest():
    """The bits of both functions on a few hundred thousand numbers, in a short form."""
    return [
        int(np.bitwise_xor.reduce(y * np.arange(1, 2 * y.size, 2, dtype=np.uint32)))
        for y in (by_lanes(name, samples(name, step=9973)).view(np.uint32) for name in KERNELS)
    ]


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="names processors of this family")
@pytest.mark.parametrize(("processor", "features"), [("haswell", "+avx2,+fma"), ("x86-64", "+sse2")])
def test_narrower_processors_give_the_same_bits(processor, features):
    code = "from oracle.test_functions import digest; print(digest())"
    assert run_python("-c", code, NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES=features) == f"{digest()}\n"

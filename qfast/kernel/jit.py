"""How the kernel's functions are compiled, and how a variant chooses among them."""

from typing import Any

from numba import njit
from numba.extending import overload

# Inside the kernel no array is made or kept, so reference counting (_nrt) is off, and helpers get no entry points of
# their own: both together cut the compile time of a variant from 4.5 to 2.1 s.  No fast-math: results are bits.
_LEAN: dict[str, Any] = {"no_cfunc_wrapper": True, "_nrt": False, "error_model": "numpy"}
KERNEL: dict[str, Any] = {**_LEAN, "nogil": True, "cache": True}
INLINED: dict[str, Any] = {**_LEAN, "forceinline": True, "no_cpython_wrapper": True}
inlined = njit(**INLINED)


def by_variant(choose):
    """Make a kernel function out of one that chooses it.

    `choose` has the kernel function's parameters, runs at compile time with their types (the first one is the spec),
    and returns the function that the variant uses.  What is not chosen is never compiled.
    """

    def chosen(*args):
        raise NotImplementedError

    chosen.__name__, chosen.__doc__ = choose.__name__, choose.__doc__
    overload(chosen, jit_options=INLINED)(choose)
    return chosen

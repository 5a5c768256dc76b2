"""How the kernel's functions are compiled, and how a variant chooses among them.

numba compiles each function that another one calls as if it were to be called from Python, too: it optimizes it, makes
machine code of it, and tries some thirty passes that the kernel needs nothing of.  Here a helper is only lowered to
LLVM's language; the one function that Python calls has all of them inlined, and is optimized once.
"""

import gc
import hashlib
import os
import pickle
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from types import CodeType
from typing import Any, ClassVar

from numba import types
from numba.core import analysis, config, ir, typed_passes, typing, untyped_passes
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.imputils import user_function
from numba.core.registry import CPUDispatcher
from numba.core.typing.templates import Signature

_OFF = getattr(config, "DISABLE_JIT", 0)  # NUMBA_DISABLE_JIT
_DIGEST = 32  # bytes of SHA-256

# Inside the kernel no array is made or kept, so reference counting (_nrt) is off.  No fast-math: results are bits.
_LEAN: dict[str, Any] = {"nopython": True, "no_cfunc_wrapper": True, "_nrt": False, "error_model": "numpy"}
_WHOLE: dict[str, Any] = {**_LEAN, "nogil": True}
_INLINED: dict[str, Any] = {**_LEAN, "forceinline": True, "no_cpython_wrapper": True}


@register_pass(mutates_CFG=True, analysis_only=False)
class _FillIn(FunctionPass):
    """Put the spec's choices into a function, and leave out the branches that they decide."""

    _name = "qfast_fill_in"

    def __init__(self):
        FunctionPass.__init__(self)

    def run_pass(self, state):
        """As numba's passes have it."""
        function = state.func_ir
        specs = {name: t for name, t in zip(function.arg_names, state.args, strict=True) if isinstance(t, Choices)}
        if not specs:
            return False
        filled = False
        for block in function.blocks.values():
            for assign in block.find_insts(ir.Assign):
                value = assign.value
                if isinstance(value, ir.Expr) and value.op == "getattr" and value.value.name in specs:
                    assign.value = ir.Const(getattr(specs[value.value.name], value.attr), value.loc)
                    function._definitions[assign.target.name] = [assign.value]
                    filled = True
        if filled:
            analysis.dead_branch_prune(function, state.args)
        return filled


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lower(typed_passes.NativeLowering):
    """Lower a helper, and stop there."""

    _name = "qfast_lower"

    def run_pass(self, state):
        """As numba's passes have it."""
        state.library = _Helpers(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        return super().run_pass(state)


class _Helpers(JITCodeLibrary):
    """LLVM's form of a helper, and the libraries of those that it calls; whoever calls it needs them all."""

    def add_linking_library(self, library):
        """Remember a library that is needed."""
        if library not in self._linking_libraries:
            self._linking_libraries.append(library)

    def finalize(self):
        """Nothing is linked, optimized or translated before all are together."""
        self._finalized = True


class _Passes(CompilerBase):
    """What of numba's passes the kernel needs."""

    lowering: type = typed_passes.NativeLowering

    def define_pipelines(self):
        """As numba's compilers have it."""
        passes = PassManager("qfast")
        for each in (
            untyped_passes.TranslateByteCode, untyped_passes.FixupArgs, untyped_passes.IRProcessing, _FillIn,
            untyped_passes.GenericRewrites, untyped_passes.ReconstructSSA, typed_passes.NopythonTypeInference,
            typed_passes.PreLowerStripPhis, typed_passes.IRLegalization, self.lowering, typed_passes.NoPythonBackend,
        ):  # fmt: skip
            passes.add_pass(each, each.__name__)
        passes.finalize()
        return [passes]


class _HelperPasses(_Passes):
    lowering = _Lower


class Choices(types.Type):
    """A numba type that stands for the choices of a variant, and notes which of them are looked at."""

    noting: ClassVar[list[set[str]]] = []  # by each of the helpers that are being compiled, the outermost first
    always: ClassVar[tuple[str, ...]] = ()  # what intrinsics look at; numba does not ask them twice

    def __init__(self, choices, name):
        self.choices = choices
        super().__init__(name=name)

    def __getattr__(self, name):
        """Give a choice, by its name."""
        if name.startswith("_") or name == "choices":
            raise AttributeError(name)
        value = getattr(self.choices, name)
        if self.noting:
            self.noting[-1].add(name)
        return value

    def agrees(self, seen):
        """Whether choices that were seen in another variant are the same here."""
        return all(getattr(self.choices, name) == value for name, value in seen.items())


class _Helper(CPUDispatcher):
    """A function that only kernel functions call, compiled once for all variants that agree in what it looks at."""

    def __init__(self, function):
        super().__init__(function, None, _INLINED, _HelperPasses)
        self._compiled = defaultdict(list)  # by the other types: what was looked at and found, and the result

    def get_call_template(self, args, kws):
        """Compile the function for these types, if it was not yet; literal numbers are numbers like others."""
        pysig, args = self.fold_argument_types(args, kws)
        args = tuple(map(types.unliteral, args))
        spec = next((t for t in args if isinstance(t, Choices)), None)
        compiled = self._compiled[tuple(t for t in args if t is not spec)]
        found = next((each for each in compiled if spec is None or spec.agrees(each[0])), None)
        if found is None:
            Choices.noting.append(set(spec.always if spec else ()))
            try:
                self.compile(args)
            finally:
                names = Choices.noting.pop()
            found = {name: getattr(spec.choices, name) for name in names}, self.overloads[args]
            compiled.append(found)
        seen, result = found
        if Choices.noting:
            Choices.noting[-1].update(seen)
        if args not in self.overloads:
            self._callable(result, args)
        name = self.py_func.__name__
        signature = typing.signature(result.signature.return_type, *args)
        return typing.make_concrete_template(name, key=name, signatures=[signature]), pysig, args, {}

    def add_overload(self, cres):
        """Keep what was compiled; Python cannot call it."""
        self._callable(cres, tuple(cres.signature.args))

    def _callable(self, result, args):
        libraries = [result.library, *result.library._linking_libraries]
        self.overloads[args] = result
        self.targetctx._defns[result.fndesc].append(user_function(result.fndesc, libraries), args)

    def get_overload(self, sig):
        """What numba's lowering looks the call up by."""
        return self.overloads[tuple(sig)].fndesc


class _Choice(CPUDispatcher):
    """A helper that is another one for each variant."""

    def __init__(self, choose):
        super().__init__(choose, None, _INLINED, _HelperPasses)
        self._chosen = {}

    def get_call_template(self, args, kws):
        """Choose, and compile what was chosen."""
        self._chosen[args[0]] = helper = inlined(self.py_func(*args))
        return helper.get_call_template(args, kws)

    def get_overload(self, sig):
        """What numba's lowering looks the call up by."""
        return self._chosen[sig[0]].get_overload(sig)


class _Kernel(CPUDispatcher):
    """A function that Python calls; compiled code is kept on disk."""

    def __init__(self, function, locals_=None, options=None):
        super().__init__(function, locals_, options or _WHOLE, _Passes)
        self._cache = _CarefulCache(function)
        file = self._cache._cache_file
        name = file._index_name.removesuffix(".nbi")
        self._cache._cache_file = CarefulFile(file._cache_path, name, file._source_stamp)

    def compile(self, sig):
        """Compile without looking for garbage: that takes a tenth of the time, and there is little."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return super().compile(sig)
        finally:
            if collects:
                gc.enable()


class _CarefulCache(FunctionCache):
    """numba's cache of one function; a folder that is gone or full in the middle of a run does not stop it."""

    def save_overload(self, sig, data):
        """Keep compiled code, unless the disk does not want it."""
        with suppress(OSError):
            super().save_overload(sig, data)

    def load_overload(self, sig, target_context):
        """Give compiled code, or None."""
        try:
            return super().load_overload(sig, target_context)
        except OSError:
            return None


class CarefulFile(IndexDataCacheFile):
    """numba's cache on disk of one function, made safe: nothing in it can stop a run or change a result.

    numba's own trusts what it finds.  A file cut short raises whatever pickle makes of it; two processes that compile
    two variants at the same moment may leave an index that gives one the other's machine code.  Here every entry
    carries its checksum and the types that it was compiled for, and what does not fit is compiled again.
    """

    def load(self, key):
        """Give the entry of a key, or None."""
        try:
            entry = super().load(key)
        except Exception:  # noqa: BLE001 - pickle raises anything on bytes that are none of its own
            return None
        signature = next((part for part in entry or () if isinstance(part, Signature)), None)
        return entry if signature is not None and tuple(signature.args) == tuple(key[0]) else None

    def save(self, key, data):
        """Write an entry, unless the disk does not want it."""
        try:
            try:
                super().save(key, data)
            except Exception:  # noqa: BLE001 - an index that cannot be read
                self.flush()
                super().save(key, data)
        except OSError:
            return

    def _load_data(self, name):
        with open(self._data_path(name), "rb") as stream:  # noqa: PTH123 - as in the class above
            digest, content = stream.read(_DIGEST), stream.read()
        if hashlib.sha256(content).digest() != digest:
            raise pickle.UnpicklingError(name)
        return pickle.loads(content)  # noqa: S301 - written by numba, in a folder of the user's own

    def _save_data(self, name, data):
        content = self._dump(data)
        with self._open_for_write(self._data_path(name)) as stream:
            stream.write(hashlib.sha256(content).digest() + content)


def _find_folder(function: Callable[..., Any]) -> None:
    """Make sure that there is a folder to cache a function in; a temporary one where no other may be written to."""
    try:
        CompileResultCacheImpl(function)
    except RuntimeError:
        import atexit
        import shutil

        folder = os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="qfast-")
        setattr(config, "CACHE_DIR", folder)  # noqa: B010 - numba makes its settings at run time
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        text = (
            "no folder for compiled code may be written to, so every process compiles anew; "
            "set NUMBA_CACHE_DIR to a folder of your own"
        )
        warnings.warn(text, UserWarning, stacklevel=2)


_find_folder(_find_folder)
_helpers: dict[tuple[str, CodeType], Any] = {}  # functions made anew by each call of `choose` have the same code


def kernel(function: Callable[..., Any]) -> Any:
    """Make a function one that Python calls."""
    return function if _OFF else _Kernel(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Make a function one that kernel functions call."""
    if _OFF:
        return function
    key = function.__module__, function.__code__
    if function.__closure__ or key not in _helpers:
        _helpers[key] = _Helper(function)
    return _helpers[key]


def by_variant(choose: Callable[..., Any]) -> Any:
    """Make a kernel function out of one that chooses it.

    `choose` has the kernel function's parameters, runs at compile time with their types, looks at the first one, which
    is the spec, and returns the function that the variant uses.  What is not chosen is never compiled.
    """
    return choose if _OFF else _Choice(choose)

"""numba's cache on disk, made safe: nothing in it can stop a run or change a result.

numba's own cache trusts what it finds.  A file cut short raises whatever pickle makes of it; two processes that compile
two variants at the same moment may leave an index that gives one the other's machine code; and where no folder may be
written to, a cached function cannot even be defined.  Here every entry carries its checksum and the types that it was
compiled for, and what does not fit is compiled again.
"""

import hashlib
import os
import pickle
import tempfile
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile
from numba.core.typing.templates import Signature

_DIGEST = 32  # bytes of SHA-256


class CarefulFile(IndexDataCacheFile):
    """The files of one function's cache; what cannot be read or written is as if it were not there."""

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


def careful(*modules: ModuleType) -> None:
    """Let the cached functions of kernel modules use `CarefulFile`."""
    for module in modules:
        for function in vars(module).values():
            cache = getattr(function, "_cache", None)
            if isinstance(cache, FunctionCache) and type(cache._cache_file) is IndexDataCacheFile:
                file = cache._cache_file
                cache._cache_file = CarefulFile(
                    file._cache_path, file._index_name.removesuffix(".nbi"), file._source_stamp
                )


def find_folder(function: Callable[..., Any]) -> None:
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

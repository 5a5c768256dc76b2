"""How much the tests search: HYPOTHESIS_PROFILE=thorough looks at twenty times as many examples as the default.

And what they compile: see `house`.
"""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# A shell starts what runs in the background with Ctrl-C ignored, and children would inherit that.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path.insert(0, str(Path(__file__).parent))  # for `import oracle`

# Compiling a variant takes seconds, once: no example has a deadline, and a slow first one is no failure.
settings.register_profile(
    "default", max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=400, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@contextlib.contextmanager
def one_at_a_time(path):
    """Let one of the suite's processes after the other compile a variant: the second one finds it in the cache."""
    if fcntl is None:
        yield
        return
    with path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class Budget:
    """Fails a test, or an example in a docstring, that trains another variant of the kernel than those of the house."""

    def __init__(self, folder):
        self.used, self.house, self.folder = set(), None, folder

    def pytest_runtest_setup(self):
        """Begin to watch."""
        self.used.clear()
        if self.house is None:
            import house

            from qfast.engine import blocks

            self.house, train_block, met = house.specs(), blocks.train_block, set()

            def watched(spec, *arguments):
                self.used.add(spec)
                if spec in met:
                    return train_block(spec, *arguments)
                met.add(spec)
                with one_at_a_time(self.folder / f"qfast-{zlib.crc32(repr(spec).encode())}"):
                    return train_block(spec, *arguments)

            blocks.train_block = watched

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        """Look at what was used, by the test's fixtures as well."""
        result = yield
        free = "oracle" in item.path.parts or item.get_closest_marker("long") or "benchmarks" in item.path.parts
        if not free and self.used - self.house:
            strangers = "\n".join(map(str, self.used - self.house))
            pytest.fail(f"compiled for this test alone (see tests/house.py):\n{strangers}", pytrace=False)
        return result


def pytest_configure(config):
    """Watch all tests, those of the package's docstrings too."""
    config.pluginmanager.register(Budget(Path(tempfile.gettempdir())))

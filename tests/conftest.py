"""How much the tests search: HYPOTHESIS_PROFILE=thorough looks at twenty times as many examples as the default.

And what they compile: see `house`.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


class Budget:
    """Fails a test, or an example in a docstring, that trains another variant of the kernel than those of the house."""

    def __init__(self):
        self.used, self.house = set(), None

    def pytest_runtest_setup(self):
        """Begin to watch."""
        self.used.clear()
        if self.house is None:
            import house

            from qfast.engine import blocks

            self.house, train_block = house.specs(), blocks.train_block

            def watched(spec, *arguments):
                self.used.add(spec)
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
    config.pluginmanager.register(Budget())

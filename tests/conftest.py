"""How much the tests search: HYPOTHESIS_PROFILE=thorough looks at twenty times as many examples as the default."""

import os
import signal
import sys
import threading
from pathlib import Path

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

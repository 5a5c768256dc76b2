"""The same as the command ``qfast``, for ``python -m qfast``."""

import sys

from qfast.cli import main

if __name__ == "__main__":
    sys.exit(main())

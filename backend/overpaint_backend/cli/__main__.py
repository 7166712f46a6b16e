"""`python -m overpaint_backend.cli` is the `overpaint` command."""

import sys

from overpaint_backend.cli import main

if __name__ == "__main__":
    sys.exit(main())

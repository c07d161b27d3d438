"""`python -m syncserver` is the command `syncsphere`."""

from __future__ import annotations

import sys

from syncserver import cli

if __name__ == "__main__":  # a worker process that is started fresh imports this file too
    sys.exit(cli.main())

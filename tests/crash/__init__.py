"""Crash tests: SIGKILL under load, then an empty client reads what was acknowledged."""

"""`python -m benchmarks`: the same as `python -m benchmarks.run`."""

from __future__ import annotations

from benchmarks import run

if __name__ == "__main__":
    raise SystemExit(run.main())

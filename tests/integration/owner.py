"""A process that owns embedded servers, for tests that end it in every way.

    python owner.py DATA [--no-death-signal] [--fork]

Prints one line of JSON once both servers are up, then waits; when its standard input ends, it stops
them and ends. `--no-death-signal`: as on systems where children do not learn of our death.
`--fork`: leave a forked worker behind, as a pool of processes does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from base import embedded, log
from base.embedded import child


def main() -> None:
    log.configure()  # to stderr: our one line is all that goes to stdout
    data = Path(sys.argv[1])
    if "--no-death-signal" in sys.argv:
        asking = "libc.prctl(1, int(number), 0, 0, 0)"
        assert asking in child._LAUNCHER
        child._LAUNCHER = child._LAUNCHER.replace(asking, "pass")  # pyright: ignore[reportAttributeAccessIssue, reportConstantRedefinition] (on purpose)
    postgres, redis = embedded.EmbeddedPostgres(data), embedded.EmbeddedRedis(data)
    facts: dict[str, object] = {"postgres": postgres.start(), "redis": redis.start()}
    facts |= {"pids": [postgres.pid, redis.pid], "worker": None}
    if "--fork" in sys.argv:
        facts["worker"] = os.fork()
        if facts["worker"] == 0:
            signal.pause()
    print(json.dumps(facts), flush=True)
    sys.stdin.read()
    redis.stop()
    postgres.stop()


if __name__ == "__main__":
    main()

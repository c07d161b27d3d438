"""A real PostgreSQL and a real Redis inside the data folder, for who has none.

Both run as children of this process and stop with it. Whatever an earlier process left behind
(it may have been killed at any moment) is put in order by the next start: a server still running
there is stopped, stale pid and socket files are removed, PostgreSQL replays its journal.
Everything here is synchronous and may take seconds: call it in a worker thread.

    data/postgres/       the cluster        data/postgres.lock   held while a process serves it
    data/redis/          append-only files  data/redis.lock
    data/postgres.log    data/redis.log     what the two print

They listen on Unix sockets only, in a folder that nobody else may enter. Each runs as the owner of
its folder. PostgreSQL refuses root: a cluster that root makes belongs to the account `postgres`,
else `nobody`, which need not be able to reach the data folder by its path (`places.py`).

`server.py` is what both have in common, `postgres.py` and `redis.py` what each needs of its own; the
rest is what they stand on. The names below are all that the rest of SyncSphere needs to run them.
"""

from __future__ import annotations

from base.embedded.postgres import EmbeddedPostgres
from base.embedded.redis import EmbeddedRedis
from base.embedded.server import Embedded

__all__ = ["Embedded", "EmbeddedPostgres", "EmbeddedRedis"]

"""The process's connection to Redis: opened once, handed down, closed once.

Values are bytes. Keys belong to the module that writes them and are named in its docstring.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import redis.asyncio
import redis.asyncio.retry
import redis.backoff
import redis.exceptions

from base import settings
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
CONNECTIONS = 16
RETRIES = 1
"""One, at once: a connection that Redis closed while idle is replaced; an outage is answered, not sat out."""

Error = redis.exceptions.RedisError
Client = redis.asyncio.Redis


class RedisUnavailable(AppError):
    """Redis cannot be reached right now; try again in a moment."""

    code = "redis_unavailable"


class Redis:
    """Owns one client, which owns a pool of connections."""

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url

    @classmethod
    async def connect(cls, url: str) -> Redis:
        """Connect and ask once; RedisUnavailable, which says where and why, when nobody answers."""
        # A pool that waits: when a thousand clients reconnect at once, the last ones are asked about later, not refused.
        pool = redis.asyncio.BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] (library leaves **kwargs untyped)
            url,
            max_connections=CONNECTIONS,
            timeout=ANSWER_SECONDS,
            decode_responses=False,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            health_check_interval=30,
            retry=redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), RETRIES),
        )
        client: Client = redis.asyncio.Redis.from_pool(pool)
        try:
            await client.ping()  # pyright: ignore[reportUnknownMemberType] (as above)
        except (redis.exceptions.RedisError, OSError) as error:
            await client.aclose()
            why = " ".join(str(error).split()) or type(error).__name__
            raise RedisUnavailable(
                f"cannot reach Redis at {settings.mask_url(url)} ({why}); "
                f"start it, or correct {settings.variable('redis_url')}"
            ) from error
        return cls(client, url)

    async def close(self) -> None:
        """Give all connections back to the system."""
        await self.client.aclose()

    async def script(self, text: str, keys: Sequence[str], *values: str | int) -> Any:  # noqa: ANN401 (what Lua gives)
        """Run Lua in Redis, where nothing comes between its lines. Raises RedisUnavailable."""
        with translated():
            # Redis keeps compiled scripts by their text: sending it costs its bytes and no more.
            ran = self.client.eval(text, len(keys), *keys, *values)  # pyright: ignore[reportArgumentType] (the library says str, and takes numbers)
            return await cast("Any", ran)


@contextlib.contextmanager
def translated() -> Generator[None]:
    """Turn the driver's errors into RedisUnavailable; a timeout is one of them."""
    try:
        yield
    except (Error, OSError) as error:  # a TimeoutError is an OSError
        raise RedisUnavailable from error

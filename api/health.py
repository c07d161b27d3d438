"""How the server is: alive, ready, and in numbers."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api.errors import NotReady
from api.shapes import operating as shapes
from base import log, metrics
from docstore import migrate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from api.requests import Call
    from api.services import Services

CHECK_SECONDS: Final = 3.0
"""A part that takes longer to answer than this counts as away."""

_log = log.get(__name__)


def _version() -> str:
    try:
        return importlib.metadata.version("syncsphere")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


VERSION: Final = _version()


async def health(call: Call) -> shapes.Health:
    """The process answers; nothing else is asked."""
    now = call.services.rooms.statistics()
    return shapes.Health("ok", VERSION, now.rooms, now.connections)


async def ready(call: Call) -> shapes.Ready:
    """Database, Redis and migrations, asked at once; 503 names what fails."""
    checks: dict[str, str] = {}
    async with anyio.create_task_group() as group:
        for name, check in CHECKS.items():
            group.start_soon(_ask, checks, name, check, call.services)
    checks = {name: checks[name] for name in CHECKS}
    if any(found != "ok" for found in checks.values()):
        raise NotReady(checks=checks)
    return shapes.Ready("ready", checks)


async def numbers(_call: Call) -> Response:
    """Every metric of the process, as Prometheus reads them."""
    return Response(
        generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


async def _ask(
    checks: dict[str, str], name: str, check: Callable[[Services], Awaitable[str]], of: Services
) -> None:
    checks[name] = "unreachable"
    # Whatever a driver raises: the answer says which part, the log says why.
    try:
        with anyio.move_on_after(CHECK_SECONDS):
            checks[name] = await check(of)
    except Exception as error:  # noqa: BLE001
        _log.warning("not_ready", part=name, error=repr(error))


async def _database(of: Services) -> str:
    async with of.database.connection() as tx:
        await tx.execute("SELECT 1")
    return "ok"


async def _redis(of: Services) -> str:
    await of.redis.client.ping()  # pyright: ignore[reportUnknownMemberType] (untyped **kwargs)
    return "ok"


async def _migrations(of: Services) -> str:
    found = await anyio.to_thread.run_sync(migrate.current, of.database.url, abandon_on_cancel=True)
    return "ok" if found == migrate.head() else "behind"


CHECKS: Final[dict[str, Callable[[Services], Awaitable[str]]]] = {
    "database": _database,
    "redis": _redis,
    "migrations": _migrations,
}

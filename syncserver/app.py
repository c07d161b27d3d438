"""The composition root: builds every part, runs them in one uvicorn process, takes them down in order.

Start: PostgreSQL and Redis (embedded unless configured), migrations, the journal, rooms, REST and sockets on one
port. Stop: no new connections, sockets told 1012, rooms emptied into the journal, the journal made durable, and
only then the databases. Knows every part and decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc as garbage
import resource
import signal
import socket
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import uvicorn
import uvloop

from api import app as rest
from api import services
from auth import closing, pruning
from base import clock, db, embedded, errors, log, redis, settings, tasks
from docstore import journal, migrate
from docstore.history import gc, keeping, retention
from syncserver import admission, http_protocol, hub, session, transport, upgrade, watch
from syncserver.contained import contained

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_log = log.get("syncserver.app")

_TICK_SECONDS: Final = 0.25
_KEEPALIVE_SECONDS: Final = 12.0
_SWEEP_SECONDS: Final = 30.0
_ERASE_SECONDS: Final = 3600.0
_COLLECT_SECONDS: Final = 3600.0
_GRACE_SECONDS: Final = 5
_HEAD_SECONDS: Final = 10.0
"""How long a client may take to send what it asks for, without a body."""
_FILES: Final = 1 << 20
_STACK_BYTES: Final = 256 * 1024 * 1024
_THREAD_STACK_BYTES: Final = 128 * 1024 * 1024
_PAGE: Final = Path(__file__).parent.parent / "examples" / "page" / "dist"


class PortTaken(errors.AppError):
    """The address cannot be listened on; choose another with --host and --port."""

    code = "port_taken"


class Backing(NamedTuple):
    """The two servers everything stands on, and what of them is embedded."""

    database_url: str
    redis_url: str
    embedded: tuple[str, ...]


def run(config: settings.Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `announce` gets the one line that says the server is ready.

    Raises AppError for what a person can mend: a taken port, an unreachable database, a second server on the
    same data folder.
    """
    log.configure(config.log_level, config.log_format)
    _deepen_stack()
    _allow_files()
    with _listening(config) as listener, _backing(config) as backing:
        for revision in migrate.upgrade(backing.database_url):
            _log.info("migrated", revision=revision)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(config, backing, listener, announce))


def _deepen_stack() -> None:
    """Room for yrs, which deletes shared types nested in one another by calling itself.

    Many small updates can nest them deeper than 8 MiB of stack allow (about 32,000 levels), and overflowing it
    ends the process. Each level takes some 300 bytes; `replica.MOST_TYPES` bounds how many there can be.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = _STACK_BYTES if hard == resource.RLIM_INFINITY else min(_STACK_BYTES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
    # Threads have stacks of their own: address space only, until they are used.
    threading.stack_size(_THREAD_STACK_BYTES)


def _allow_files() -> None:
    """As many open files, and so sockets, as we may have; shells start with as few as 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Where there is no hard limit, the kernel may still refuse a number as large as that.
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def _listening(config: settings.Settings) -> Generator[socket.socket]:
    """The port, taken before anything else so that a mistake shows at once."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, config.port))
        except OSError as problem:
            raise PortTaken(
                f"cannot listen on {config.host}:{config.port} ({problem.strerror}); choose another with --port"
            ) from problem
        yield listener


@contextlib.contextmanager
def _backing(config: settings.Settings) -> Generator[Backing]:
    with contextlib.ExitStack() as stack:
        inside: list[str] = []
        database_url, redis_url = config.database_url, config.redis_url
        if database_url is None:
            postgres = embedded.EmbeddedPostgres(config.data)
            stack.callback(postgres.stop)
            database_url = postgres.start()
            inside.append(f"PostgreSQL {postgres.version()}")
        if redis_url is None:
            keeper = embedded.EmbeddedRedis(config.data)
            stack.callback(keeper.stop)
            redis_url = keeper.start()
            inside.append(f"Redis {keeper.version()}")
        yield Backing(database_url, redis_url, tuple(inside))


async def _serve(
    config: settings.Settings,
    backing: Backing,
    listener: socket.socket,
    announce: Callable[[str], None],
) -> None:
    owner = tasks.Tasks()
    database = await db.Database.open(backing.database_url, size=config.database_pool)
    store = await redis.Redis.connect(backing.redis_url)
    writer = journal.Journal(
        backing.database_url,
        linger=config.journal_linger_ms / 1000,
        on_lost=lambda entry, error: rooms.lost(entry, error),
    )
    writing = owner.spawn("journal", writer.run())
    rooms = hub.Hub(settings=config, database=database, writer=writer, owner=owner)
    parts = services.assemble(
        settings=config,
        database=database,
        redis=store,
        rooms=rooms,
        secret=settings.signing_key(config),
        page=_PAGE,
    )
    gate = admission.Gate(
        database=database,
        identities=parts.identities,
        limits=parts.limits,
        proxies=parts.proxies,
        origins=parts.origins,
    )
    watcher = watch.Watch(database=database, identities=parts.identities, owner=owner)
    parts.changes.listen(watcher.hear)
    reception = session.Reception(
        settings=config, gate=gate, rooms=rooms, watcher=watcher, owner=owner
    )
    owner.spawn("changes", parts.changes.run())
    owner.spawn("mail", parts.mail.run())
    owner.spawn("erasing", _erasing(parts, timedelta(days=config.grace_days)))
    owner.spawn("collecting", _collecting(parts))
    owner.spawn("housekeeping", _housekeeping(rooms, reception, watcher))
    protocol = upgrade.protocol_class(
        reception.accept,
        transport.Options(
            frame_bytes=config.max_frame_bytes,
            outbox_bytes=config.outbox_bytes,
            preauth_bytes=config.preauth_bytes,
            frames_per_second=config.updates_per_second,
            bytes_per_second=config.update_bytes_per_second,
        ),
    )
    server = Server(
        uvicorn.Config(
            rest.build(parts),
            loop="none",
            http=http_protocol.protocol_class(_HEAD_SECONDS),
            ws=protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # It would believe whoever calls from this machine; `base.addresses` asks the settings.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        ),
        on_ready=lambda: announce(_ready_line(config, backing, listener)),
    )
    # What lives now lives as long as the server; the collector need not walk it again and again.
    garbage.collect()
    garbage.freeze()
    try:
        async with keeping.opened():
            await server.serve(sockets=[listener])
    finally:
        try:
            await rooms.aclose()
        finally:
            writing.cancel()
            await owner.aclose()
            await store.close()
            await database.close()


async def _housekeeping(rooms: hub.Hub, reception: session.Reception, watcher: watch.Watch) -> None:
    kept_alive = swept = clock.monotonic()
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        now = clock.monotonic()
        # Each on its own: what fails today must not be the end of the others for good.
        with contained("rooms_tick"):
            rooms.tick()
        with contained("watch_tick"):
            watcher.tick()
        if now - kept_alive > _KEEPALIVE_SECONDS:
            kept_alive = now
            with contained("keep_alive"):
                rooms.keep_alive()
        if now - swept > _SWEEP_SECONDS:
            swept = now
            with contained("sweep"):
                reception.sweep()


async def _erasing(parts: services.Services, grace: timedelta) -> None:
    """Every hour, what is kept long enough: closed accounts after their grace, old events, dead invitations.

    What fails is tried again the next hour, and does not keep the other.
    """
    keep = timedelta(days=parts.settings.audit_days)
    while True:
        with contained("erasing"):
            erased = await closing.erase_due(
                parts.database, clock.now(), grace, changes=parts.changes
            )
            if erased:
                _log.info("accounts_erased", accounts=erased)
        with contained("pruning"):
            pruned = await pruning.prune(parts.database, clock.now(), keep)
            if any(pruned):
                _log.info("pruned", events=pruned.events, invitations=pruned.invitations)
        await asyncio.sleep(_ERASE_SECONDS)


async def _collecting(parts: services.Services) -> None:
    """Every hour, what of history nothing needs any more (`docstore/history/gc.py`)."""
    config = parts.settings
    detail = timedelta(days=config.journal_detail_days) if config.journal_detail_days else None
    rules = retention.Rules(timedelta(days=config.history_retention_days), detail)
    while True:
        with contained("collecting"):
            gone = await gc.collect(parts.database, clock.now(), rules)
            if any(gone):
                _log.info("history_collected", **gone._asdict())
        await asyncio.sleep(_COLLECT_SECONDS)


def _ready_line(config: settings.Settings, backing: Backing, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    inside = ", ".join(backing.embedded) or "nothing"
    return f"SyncSphere ready at http://{shown}:{port}  data: {config.data}  embedded: {inside}"


class Server(uvicorn.Server):
    """uvicorn, which says when it is ready and leaves the end of the process to us.

    uvicorn raises a caught signal again once it has stopped; that would end the process before the journal is
    drained and the databases are down.
    """

    def __init__(self, config: uvicorn.Config, *, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets=sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Turn SIGINT and SIGTERM into an orderly stop."""
        loop = asyncio.get_running_loop()
        for caught in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(caught, self._stop, caught)
        try:
            yield
        finally:
            for caught in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(caught)

    def _stop(self, caught: int) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        _log.info("stopping", signal=signal.Signals(caught).name)

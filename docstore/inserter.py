"""One statement for many journal rows, on a connection that the event loop reads directly.

psycopg's own `execute` spends 145 microseconds of Python on a group of one row; this spends 45,
of which most is the kernel's. So psycopg opens the connection (names, passwords, TLS), and then its
libpq handle is driven here: rows become five binary arrays, the prepared statement is sent, and
the loop calls back when the answer is there. docs/decisions/0002-journal.md has the figures.

One statement is in flight at a time; alone, it is its own transaction: one round trip, durable
when it is answered. Decides nothing: what to do about an error is the journal's affair.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final, LiteralString, TypeAlias

import psycopg
from psycopg import conninfo, pq

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from base.db import Tx

INSERT: LiteralString = """
    INSERT INTO journal (document_id, author, payload, created_at, waiting)
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::timestamptz[], $5::bool[])"""

# An acknowledgement says "on disk", whatever somebody set as a default to be faster.
DURABLE: LiteralString = """
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'"""

# The statement's plan never depends on its values; planning it anew would be half its cost.
SESSION: LiteralString = """
    SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
           set_config('statement_timeout', '0', false),
           set_config('idle_session_timeout', '0', false)"""

_DEFAULTS: Final = {
    "application_name": "syncsphere-journal",
    "connect_timeout": 10,
    # A server that vanished without a word is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""What the URL does not say."""

_NAME: Final = b"journal_insert"
_OIDS: Final = (1016, 2951, 1001, 1185, 1000)  # bigint[], uuid[], bytea[], timestamptz[], bool[]
_BINARY: Final = (pq.Format.BINARY,) * 5


Row: TypeAlias = "tuple[int, UUID | None, bytes, float, bool]"
"""Document, author, update, when it was received (seconds on the monotonic clock), and whether it
waits for others."""


class Inserter:
    """A connection and its one prepared statement.

    `on_done(None)` follows each `send` once the rows are committed, `on_done(error)` when
    PostgreSQL refused the statement. `on_broken(error)` comes at most once: the connection is of
    no use any more, and nobody knows whether the rows under way were committed.
    """

    def __init__(
        self,
        connection: Tx,
        *,
        on_done: Callable[[psycopg.Error | None], None],
        on_broken: Callable[[psycopg.Error], None],
    ) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._on_done = on_done
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._socket = self._pgconn.socket
        self._busy = False
        self._error: psycopg.Error | None = None
        self._writing = False
        self._preparing: asyncio.Future[None] | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        on_done: Callable[[psycopg.Error | None], None],
        on_broken: Callable[[psycopg.Error], None],
    ) -> Inserter:
        """Connect and prepare. Raises psycopg.Error."""
        connection = await psycopg.AsyncConnection.connect(
            conninfo.make_conninfo("", **(_DEFAULTS | conninfo.conninfo_to_dict(url))),
            autocommit=True,
        )
        self = cls(connection, on_done=on_done, on_broken=on_broken)
        try:
            await connection.execute(DURABLE)
            await connection.execute(SESSION)
            await self._prepare()
        except BaseException:
            await self.close()
            raise
        return self

    def send(self, rows: Sequence[Row], zero: int) -> None:
        """Write rows, in this order.

        `zero` is when the monotonic clock was zero, in microseconds since 2000. Raises
        struct.error and the like for a row that is none.
        """
        parameters = pack(rows, zero)
        try:
            self._pgconn.send_query_prepared(_NAME, parameters, _BINARY, pq.Format.BINARY)
        except psycopg.Error as error:
            self._break(error)
            return
        self._busy = True
        self._flush()

    async def close(self) -> None:
        """Let go of the connection; nothing is called back afterwards."""
        self._detach()
        await self._connection.close()

    async def _prepare(self) -> None:
        self._pgconn.nonblocking = 1
        self._loop.add_reader(self._socket, self._readable)
        self._preparing = self._loop.create_future()
        self._pgconn.send_prepare(_NAME, INSERT.encode(), _OIDS)
        self._busy = True
        self._flush()
        await self._preparing
        self._preparing = None

    def _flush(self) -> None:
        """Hand to the kernel what it takes; a large group takes several turns of the loop."""
        try:
            unsent = self._pgconn.flush()
        except psycopg.Error as error:
            self._break(error)
            return
        if unsent and not self._writing:
            self._loop.add_writer(self._socket, self._flush)
        elif self._writing and not unsent:
            self._loop.remove_writer(self._socket)
        self._writing = bool(unsent)

    def _readable(self) -> None:
        self._read()
        # uvloop calls a reader once for a socket that broke, and no more. What is behind the data that was just
        # read (a warning, then the end of a backend that crashed) has to be seen in this call or never.
        if self._socket >= 0:
            self._read()

    def _read(self) -> None:
        pgconn = self._pgconn
        try:
            pgconn.consume_input()
            if not self._busy:
                return  # a notice, or news of a changed setting
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    self._finish()
                    return
                if result.status != pq.ExecStatus.COMMAND_OK:
                    self._error = psycopg.errors.error_from_result(result)
        except psycopg.Error as error:
            self._break(error)

    def _finish(self) -> None:
        error, self._error, self._busy = self._error, None, False
        preparing = self._preparing
        if preparing is None:
            self._on_done(error)
        elif not preparing.done():
            if error is None:
                preparing.set_result(None)
            else:
                preparing.set_exception(error)

    def _break(self, error: psycopg.Error) -> None:
        # What the server said last tells more than "the connection was closed".
        cause, self._error = self._error or error, None
        self._detach()
        preparing = self._preparing
        if preparing is None:
            self._on_broken(cause)
        elif not preparing.done():
            preparing.set_exception(cause)

    def _detach(self) -> None:
        self._busy = False
        if self._socket >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = -1


# ---------------------------------------------------------------- binary arrays


class _DocumentIds(dict[int, bytes]):
    """Documents as elements of a bigint[]; the same few come again and again."""

    def __missing__(self, document_id: int) -> bytes:
        if len(self) >= 65_536:
            self.clear()
        element = self[document_id] = _BIGINT(8, document_id)
        return element


_BIGINT: Final = struct.Struct("!iq").pack
_HEAD: Final = struct.Struct("!iiIii").pack
_LENGTH: Final = struct.Struct("!i").pack
_LENGTHS: Final = [_LENGTH(length) for length in range(4096)]
_NULL: Final = _LENGTH(-1)
_UUID: Final = _LENGTH(16)
_FALSE: Final = _LENGTH(1) + b"\x00"
_TRUE: Final = _LENGTH(1) + b"\x01"
_document_ids: Final = _DocumentIds()


def pack(rows: Sequence[Row], zero: int) -> list[bytes]:
    """The statement's five parameters, as binary arrays of one dimension."""
    authors: list[bytes] = []
    payloads: list[bytes] = []
    for _, author, payload, _, _ in rows:
        authors.append(_NULL if author is None else _UUID + author.bytes)
        length = len(payload)
        payloads.append(_LENGTHS[length] if length < 4096 else _LENGTH(length))
        payloads.append(payload)
    return [
        _array(20, rows, [_document_ids[row[0]] for row in rows]),
        _array(2950, rows, authors),
        _array(17, rows, payloads),
        _array(1184, rows, [_BIGINT(8, zero + int(row[3] * 1e6)) for row in rows]),
        _array(16, rows, [_TRUE if row[4] else _FALSE for row in rows]),
    ]


def _array(element_oid: int, rows: Sequence[Row], parts: list[bytes]) -> bytes:
    # Dimensions, "may hold nulls", type of the elements; then the one dimension: how many, from 1.
    return _HEAD(1, 1, element_oid, len(rows), 1) + b"".join(parts)

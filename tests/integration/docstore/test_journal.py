"""The journal on a real database: order, groups, durability, and what happens when it is away."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.lowlevel
import psycopg
import pytest

from base import clock, ids
from docstore.journal import Entry, Journal, JournalStopped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from uuid import UUID

    from base.testing import Servers

AUTHOR = ids.new_id()


@contextlib.asynccontextmanager
async def running(
    url: str, *, linger: float = 0.0, on_lost: Callable[[Entry, Exception], None] | None = None
) -> AsyncGenerator[Journal]:
    journal = Journal(url, linger=linger, on_lost=on_lost)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        yield journal
        group.cancel_scope.cancel()


@pytest.fixture
def sql(database_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Ask the journal's database something, on a connection of our own."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def ask(statement: str, *values: object) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

        yield ask


def entry(payload: bytes = b"\x00\x00", document: int = 1, author: UUID | None = AUTHOR) -> Entry:
    return Entry(document, author, payload, clock.monotonic())


ROWS = "SELECT document_id, author, payload FROM journal ORDER BY seq"
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'syncsphere-journal'"
KILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'syncsphere-journal' AND datname = current_database()"
)


# ---------------------------------------------------------------- what is written


async def test_entries_are_kept_as_they_were_in_their_order(database_url: str, sql: Any) -> None:
    before = clock.now()
    entries = [
        entry(bytes([at]) * at, document=2**40 + at % 3, author=None if at % 4 == 0 else AUTHOR)
        for at in range(200)
    ]
    async with running(database_url) as journal:
        tickets = [journal.append(each) for each in entries]
        await journal.drain()
    assert tickets == list(range(1, 201))
    assert sql(ROWS) == [(each.document_id, each.author, each.payload) for each in entries]
    ((first, last),) = sql("SELECT min(created_at), max(created_at) FROM journal")
    slack = timedelta(milliseconds=5)
    assert before - slack <= first <= last <= clock.now() + slack


async def test_an_entry_that_waits_for_others_is_flagged(database_url: str, sql: Any) -> None:
    async with running(database_url) as journal:
        journal.append(entry(b"applied"))
        journal.append(entry(b"waits")._replace(waiting=True))
        await journal.drain()
    found = sql("SELECT payload, waiting, refused_at FROM journal ORDER BY seq")
    assert found == [(b"applied", False, None), (b"waits", True, None)]


async def test_the_time_of_a_row_is_when_its_update_arrived(database_url: str, sql: Any) -> None:
    arrived = clock.now() - timedelta(hours=2)
    async with running(database_url) as journal:
        journal.append(Entry(1, None, b"late", clock.monotonic() - 7200))
        await journal.drain()
    ((created,),) = sql("SELECT created_at FROM journal")
    assert abs(created - arrived) < timedelta(seconds=1)


async def test_what_is_appended_in_one_turn_is_one_transaction(database_url: str, sql: Any) -> None:
    async with running(database_url) as journal:
        await journal.wait(journal.append(entry()))
        for document in range(50):
            journal.append(entry(document=document))
        await journal.drain()
    assert sql("SELECT count(DISTINCT xmin::text), count(*) FROM journal") == [(2, 51)]


async def test_entries_may_come_before_the_journal_runs(database_url: str, sql: Any) -> None:
    journal = Journal(database_url, linger=0)
    assert journal.append(entry(b"early")) == 1
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        await journal.wait(1)
        group.cancel_scope.cancel()
    assert sql(ROWS) == [(1, AUTHOR, b"early")]


async def test_what_has_piled_up_goes_in_portions(database_url: str, sql: Any) -> None:
    journal = Journal(database_url, linger=0)
    large = b"x" * (9 * 1024 * 1024)
    entries = [entry(b"%d" % at) for at in range(12_000)]
    entries[6_000:6_000] = [entry(large), entry(large)]
    for each in entries:
        journal.append(each)
    assert journal.backlog_rows == 12_002
    assert journal.backlog_bytes == sum(len(each.payload) for each in entries)
    groups: list[int] = []
    journal.add_listener(groups.append)
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        await journal.drain()
        group.cancel_scope.cancel()
    assert (journal.backlog_rows, journal.backlog_bytes) == (0, 0)
    assert groups[-1] == 12_002
    assert len(groups) >= 5
    assert [row[2] for row in sql(ROWS)] == [each.payload for each in entries]


# ---------------------------------------------------------------- when


async def test_somebody_alone_does_not_wait_for_company(database_url: str) -> None:
    async with running(database_url, linger=30) as journal:
        with anyio.fail_after(15):
            await journal.wait(journal.append(entry()))


async def test_groups_start_at_least_a_linger_apart(database_url: str, sql: Any) -> None:
    async with running(database_url, linger=0.25) as journal:
        await journal.wait(journal.append(entry()))
        start = clock.monotonic()
        first = journal.append(entry())
        await anyio.lowlevel.checkpoint()
        second = journal.append(entry())
        assert journal.durable == 1
        await journal.wait(first)
        # The group before began a moment before `start`, and timers count in milliseconds.
        assert clock.monotonic() - start > 0.15
        assert journal.durable == second
    assert sql("SELECT count(DISTINCT xmin::text) FROM journal") == [(2,)]


# ---------------------------------------------------------------- what is promised


async def test_a_ticket_is_durable_only_when_everybody_can_read_it(
    database_url: str, sql: Any
) -> None:
    told: list[tuple[int, int]] = []
    async with running(database_url) as journal:
        journal.add_listener(
            lambda durable: told.append((durable, sql("SELECT count(*) FROM journal")[0][0]))
        )
        for _ in range(20):
            journal.append(entry())
            journal.append(entry())
            await journal.wait(journal.append(entry()))
    assert told
    assert all(durable == rows for durable, rows in told)
    assert told == sorted(told)


async def test_waiting_for_what_is_durable_does_not_wait(database_url: str) -> None:
    async with running(database_url) as journal:
        ticket = journal.append(entry())
        await journal.wait(ticket)
        await journal.wait(ticket)
        await journal.wait(0)
        await journal.drain()


async def test_everybody_who_waits_is_told(database_url: str) -> None:
    reached: list[int] = []

    async def waits(journal: Journal, ticket: int) -> None:
        await journal.wait(ticket)
        assert journal.durable >= ticket
        reached.append(ticket)

    async with running(database_url) as journal:
        tickets = [journal.append(entry()) for _ in range(30)]
        async with anyio.create_task_group() as group:
            for ticket in reversed(tickets):
                group.start_soon(waits, journal, ticket)
    assert sorted(reached) == tickets


async def test_a_listener_that_fails_stops_nobody(database_url: str) -> None:
    told: list[int] = []

    def fails(_durable: int) -> None:
        raise RuntimeError("a listener's own mistake")

    async with running(database_url) as journal:
        journal.add_listener(fails)
        journal.add_listener(told.append)
        await journal.wait(journal.append(entry()))
        await journal.wait(journal.append(entry()))
    assert told == [1, 2]


async def test_an_acknowledgement_means_on_disk_whatever_the_default_is(
    database_url: str, sql: Any
) -> None:
    sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',"
        " current_database()); END $$")  # fmt: skip
    sql("CREATE TABLE seen (setting text)")
    sql("CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen"
        " VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$")  # fmt: skip
    sql("CREATE TRIGGER note BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION note()")
    async with running(database_url) as journal:
        await journal.wait(journal.append(entry()))
    assert sql("SELECT setting FROM seen") == [("on",)]


# ---------------------------------------------------------------- one bad entry


@pytest.mark.parametrize("size", [1, 2, 7, 100])
async def test_an_entry_that_cannot_be_written_is_reported_and_the_others_go_on(
    database_url: str, sql: Any, size: int
) -> None:
    sql("ALTER TABLE journal ADD CHECK (document_id <> 13)")
    lost: list[tuple[Entry, Exception]] = []

    def note(each: Entry, why: Exception) -> None:
        lost.append((each, why))

    entries = [entry(b"%d" % at) for at in range(size)]
    bad = size // 3
    entries[bad] = entry(b"bad", document=13)
    async with running(database_url, on_lost=note) as journal:
        for each in entries:
            journal.append(each)
        await journal.drain()
        assert journal.durable == size
        await journal.wait(journal.append(entry(b"after")))
    assert [each for each, _ in lost] == [entries[bad]]
    assert isinstance(lost[0][1], psycopg.errors.CheckViolation)
    expected = [each.payload for each in entries if each.document_id != 13]
    assert [row[2] for row in sql(ROWS)] == [*expected, b"after"]


async def test_an_entry_that_is_none_is_reported_too(database_url: str, sql: Any) -> None:
    lost: list[Entry] = []
    wrong: Any = "not bytes"
    async with running(database_url, on_lost=lambda each, _: lost.append(each)) as journal:
        journal.append(entry(b"before"))
        journal.append(entry(b"too large a number", document=2**63))
        journal.append(entry(wrong))
        journal.append(entry(b"after"))
        await journal.drain()
        assert journal.backlog_bytes == 0
    assert [each.payload for each in lost] == [b"too large a number", "not bytes"]
    assert [row[2] for row in sql(ROWS)] == [b"before", b"after"]


async def test_entries_of_documents_that_are_gone_are_no_trouble(
    database_url: str, sql: Any
) -> None:
    lost: list[Entry] = []
    async with running(database_url, on_lost=lambda each, _: lost.append(each)) as journal:
        await journal.wait(journal.append(entry(document=123_456)))
    assert not lost
    assert len(sql(ROWS)) == 1


# ---------------------------------------------------------------- the database is away


async def test_a_connection_that_is_cut_between_groups_is_made_again(
    database_url: str, sql: Any
) -> None:
    async with running(database_url) as journal:
        for at in range(3):
            await journal.wait(journal.append(entry(b"%d" % at)))
            assert sql(KILL) == [(True,)]
    assert [row[2] for row in sql(ROWS)] == [b"0", b"1", b"2"]


async def test_a_group_that_is_cut_off_is_written_again(database_url: str, sql: Any) -> None:
    async with running(database_url) as journal:
        await journal.wait(journal.append(entry(b"first")))
        with psycopg.connect(database_url) as other:
            other.execute("LOCK TABLE journal")
            under_way = journal.append(entry(b"under way"))
            while not sql(SESSIONS + " AND wait_event_type = 'Lock'"):
                await anyio.lowlevel.checkpoint()
            queued = journal.append(entry(b"queued"))
            assert sql(KILL) == [(True,)]
            assert journal.durable < under_way
        await journal.wait(queued)
    assert [row[2] for row in sql(ROWS)] == [b"first", b"under way", b"queued"]


async def test_nothing_is_lost_or_acknowledged_while_the_database_is_away(
    database_url: str, sql: Any, servers: Servers
) -> None:
    ((name,),) = sql("SELECT current_database()")
    async with running(database_url) as journal:
        await journal.wait(journal.append(entry(b"before")))
        with psycopg.connect(servers.database_url("postgres"), autocommit=True) as outside:
            outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
            sql(KILL)
            for at in range(5):
                journal.append(entry(b"%d" % at))
            with anyio.move_on_after(0.3) as scope:
                await journal.wait(2)
            assert scope.cancelled_caught
            assert journal.durable == 1
            assert (journal.backlog_rows, journal.backlog_bytes) == (5, 5)
            outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        with anyio.fail_after(30):
            await journal.drain()
    assert [row[2] for row in sql(ROWS)] == [b"before", b"0", b"1", b"2", b"3", b"4"]


async def test_an_error_that_is_the_databases_own_is_waited_out(
    database_url: str, sql: Any
) -> None:
    lost: list[Entry] = []
    async with running(database_url, on_lost=lambda each, _: lost.append(each)) as journal:
        await journal.wait(journal.append(entry(b"before")))
        sql("ALTER TABLE journal RENAME TO elsewhere")
        for at in range(3):
            journal.append(entry(b"%d" % at))
        with anyio.move_on_after(0.3):
            await journal.drain()
        assert journal.durable == 1
        sql("ALTER TABLE elsewhere RENAME TO journal")
        with anyio.fail_after(30):
            await journal.drain()
    assert not lost
    assert [row[2] for row in sql(ROWS)] == [b"before", b"0", b"1", b"2"]


# ---------------------------------------------------------------- the end


async def test_stopping_tells_those_who_wait_and_leaves_no_session(
    database_url: str, sql: Any
) -> None:
    stopped: list[int] = []

    async def waits(journal: Journal, ticket: int) -> None:
        with pytest.raises(JournalStopped):
            await journal.wait(ticket)
        stopped.append(ticket)

    async def stops_under_way(
        group: anyio.abc.TaskGroup, other: psycopg.Connection[Any]
    ) -> Journal:
        async with running(database_url) as journal:
            await journal.wait(journal.append(entry()))
            other.execute("LOCK TABLE journal")
            group.start_soon(waits, journal, journal.append(entry()))
            while not sql(SESSIONS + " AND wait_event_type = 'Lock'"):
                await anyio.lowlevel.checkpoint()
            return journal

    # The table stays locked until the journal has stopped: the second entry cannot be written.
    with psycopg.connect(database_url) as other:
        async with anyio.create_task_group() as group:
            journal = await stops_under_way(group, other)
            with pytest.raises(JournalStopped):
                await journal.wait(2)
        assert stopped == [2]
    with anyio.fail_after(15):
        while sql(SESSIONS):
            await anyio.lowlevel.checkpoint()

"""States come out of the database as they went in, whatever is between."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import psycopg
import pytest

from base import ids
from docstore.errors import SnapshotDamaged
from docstore.history import archive
from tests.integration.docstore import people
from tests.integration.docstore.people import NOW

if TYPE_CHECKING:
    from base.db import Database

SIZE = 4_000


def states(number: int) -> list[bytes]:
    """Each a little different from the one before, and hard to compress by itself."""
    found = [Random(1).randbytes(SIZE)]
    for at in range(1, number):
        last = bytearray(found[-1])
        last[at * 37 % SIZE] ^= 0xFF
        found.append(bytes(last) + at.to_bytes(2, "big"))
    return found


async def test_every_state_comes_back_as_it_was(database: Database) -> None:
    project = await people.song(database)
    given = states(40)
    async with database.transaction() as tx:
        known = [await archive.put(tx, project.id, state, NOW, lineage=1) for state in given]
        for state_id, state in zip(known, given, strict=True):
            assert await archive.get(tx, project.id, state_id) == state
        cursor = await tx.execute("SELECT number, base_id, length(body) FROM states ORDER BY id")
        rows = await cursor.fetchall()
    assert [row[0] for row in rows] == list(range(40))
    assert [row[1] is None for row in rows] == [True] + [False] * 39
    assert sum(row[2] for row in rows[1:]) < SIZE, "what differs is stored, not the whole"


async def test_a_state_is_stored_once(database: Database) -> None:
    project = await people.song(database)
    first, second = states(2)
    async with database.transaction() as tx:
        known = [
            await archive.put(tx, project.id, each, NOW, lineage=1)
            for each in (first, second, first)
        ]
        assert known[0] == known[2] != known[1]
        cursor = await tx.execute("SELECT count(*) FROM states")
        assert await cursor.fetchall() == [(2,)]


async def test_what_has_nothing_in_common_is_stored_whole_and_begins_a_chain(
    database: Database,
) -> None:
    project = await people.song(database)
    given = [Random(at).randbytes(SIZE) for at in range(4)]
    async with database.transaction() as tx:
        for state in given:
            state_id = await archive.put(tx, project.id, state, NOW, lineage=1)
            assert await archive.get(tx, project.id, state_id) == state
        cursor = await tx.execute("SELECT count(*) FROM states WHERE base_id IS NULL")
        assert await cursor.fetchall() == [(4,)]


async def test_an_empty_state_has_a_place_too(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        for state in (b"\0\0", b"", states(1)[0]):
            state_id = await archive.put(tx, project.id, state, NOW, lineage=1)
            assert await archive.get(tx, project.id, state_id) == state


async def test_projects_share_nothing_and_cannot_ask_for_each_others_states(
    database: Database,
) -> None:
    mine, theirs = await people.song(database), await people.song(database, owner="ben")
    (state,) = states(1)
    async with database.transaction() as tx:
        first = await archive.put(tx, mine.id, state, NOW, lineage=1)
        second = await archive.put(tx, theirs.id, state, NOW, lineage=1)
        assert first != second
        with pytest.raises(SnapshotDamaged):
            await archive.get(tx, theirs.id, first)


async def test_states_that_were_taken_away_are_not_missed_by_the_next_one(
    database: Database,
) -> None:
    """Housekeeping may take what nobody is stored against."""
    project = await people.song(database)
    given = states(9)
    async with database.transaction() as tx:
        for state in given[:7]:
            await archive.put(tx, project.id, state, NOW, lineage=1)
        await tx.execute("DELETE FROM states WHERE number = 5")
    async with database.transaction() as tx:
        for state in given[7:]:
            state_id = await archive.put(tx, project.id, state, NOW, lineage=1)
            assert await archive.get(tx, project.id, state_id) == state


async def test_a_state_on_which_others_rest_cannot_be_taken_away(database: Database) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        for state in states(3):
            await archive.put(tx, project.id, state, NOW, lineage=1)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        async with database.transaction() as tx:
            await tx.execute("DELETE FROM states WHERE number = 0")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE states SET body = 'no zstd' WHERE number = 1",
        "UPDATE states SET state_bytes = 1 WHERE number = 1",
        "UPDATE states SET state_bytes = 1000000000000 WHERE number = 1",
        "UPDATE states SET sha256 = 'x' WHERE number = 1",
        "UPDATE states SET base_id = NULL WHERE number = 1",
        "UPDATE states SET body = (SELECT body FROM states WHERE number = 2) WHERE number = 0",
    ],
)
async def test_damage_is_told_and_not_handed_out(database: Database, damage: str) -> None:
    project = await people.song(database)
    async with database.transaction() as tx:
        known = [await archive.put(tx, project.id, state, NOW, lineage=1) for state in states(3)]
        await tx.execute(damage.encode())
        with pytest.raises(SnapshotDamaged):
            await archive.get(tx, project.id, known[1])


async def test_a_state_that_is_not_there_is_told_as_damage(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(SnapshotDamaged):
            await archive.get(tx, ids.new_id(), 1)

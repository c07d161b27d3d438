"""What is stored is proven whole; each kind of damage is found, named, and changes nothing else."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, LiteralString

import pytest
from pycrdt import Doc, Map

from docstore import compaction, segments
from docstore.history import archive, tags, verify
from tests.integration.docstore import people
from tests.integration.docstore.histories import NOW, Song, commit, large
from tests.unit.docstore import writers

if TYPE_CHECKING:
    from collections.abc import Callable

    from base.db import Database
    from docstore.history.commits import Commit
    from docstore.projects import Project


async def findings(database: Database) -> list[tuple[str, str]]:
    return [
        (told.kind, told.where)
        async for told in verify.verify(database)
        if isinstance(told, verify.Finding)
    ]


async def damage(database: Database, statement: LiteralString) -> None:
    """Change what cannot be changed: no trigger and no foreign key is looked at."""
    async with database.transaction() as tx:
        await tx.execute("SET LOCAL session_replication_role = replica")
        done = await tx.execute(statement)
        assert done.rowcount >= 1


@pytest.fixture
async def song(database: Database) -> Project:
    """A project with five commits of four states, a tag, a segment, a snapshot and a tail."""
    project = await people.song(database)
    letters = people.letters("a longer story")
    doc: Doc[Any] = Doc()
    head: Commit | None = None
    for at, letter in enumerate(letters):
        async with database.connection() as tx:
            await people.write(tx, project.document_id, letter, author=project.owner_id)
        doc.apply_update(letter)
        if at in (3, 7):
            assert await compaction.compact(database, project.document_id)
        if at in (2, 5, 8, 11):
            head = await commit(database, project, doc.get_update())
    assert head is not None
    async with database.transaction() as tx:
        await tags.tag(
            tx,
            project.id,
            name="v1",
            commit_id=head.id,
            created_by=project.owner_id,
            now=NOW,
        )
    return project


async def test_what_is_whole_has_no_findings(database: Database, song: Project) -> None:
    told = [each async for each in verify.verify(database, [song.id])]
    assert told == [
        verify.Progress(song.id, "states", 4),
        verify.Progress(song.id, "commits", 4),
        verify.Progress(song.id, "branch main", 14),
    ]


@pytest.mark.parametrize(
    ("statement", "kinds"),
    [
        (
            "UPDATE states SET body = set_byte(body, length(body) - 1, 0) WHERE number = 3",
            {"state_damaged"},
        ),
        (
            "UPDATE states SET sha256 = sha256(sha256) WHERE number = 1",
            {"state_damaged"},
        ),
        ("DELETE FROM states WHERE number = 3", {"state_missing"}),
        ("UPDATE states SET base_id = id WHERE number = 3", {"chain_broken"}),
        (
            "UPDATE commits SET content_sha256 = sha256(content_sha256)"
            " WHERE id = (SELECT min(id::text)::uuid FROM commits)",
            {"content_differs"},
        ),
        (
            "UPDATE commits SET state_id = (SELECT id FROM states WHERE number = 0)"
            " WHERE state_id = (SELECT id FROM states WHERE number = 2)",
            {"content_differs"},
        ),
        (
            "DELETE FROM commits WHERE id = (SELECT min(id::text)::uuid FROM commits)",
            {"parent_missing"},
        ),
        ("UPDATE commit_parents SET position = position + 1", {"parent_missing"}),
        (
            "DELETE FROM commits WHERE id = (SELECT head FROM documents)",
            {"head_missing", "tag_dangling", "parent_missing"},
        ),
        ("UPDATE tags SET commit_id = project_id", {"tag_dangling"}),
        ("UPDATE snapshots SET sha256 = sha256(sha256)", {"snapshot_damaged"}),
        ("DELETE FROM snapshots", {"document_differs", "row_left_out"}),
        (
            "UPDATE journal_segments SET body = set_byte(body, length(body) - 1, 0)",
            {"segment_damaged"},
        ),
        ("UPDATE journal_segments SET rows = rows + 1", {"segment_miscounted"}),
        ("UPDATE journal_segments SET to_time = to_time + '1 s'", {"segment_miscounted"}),
        ("UPDATE journal_segments SET authors = '{}'", {"segment_miscounted"}),
        (
            "DELETE FROM journal_segments WHERE id = (SELECT min(id) FROM journal_segments)",
            {"document_differs", "row_left_out"},
        ),
        (
            "DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal)",
            {"row_left_out"},
        ),
        (
            "INSERT INTO journal_segments (document_id, rows, first_seq, last_seq, from_time,"
            " to_time, authors, client_ids, body, body_bytes, created_at) SELECT document_id, rows,"
            " first_seq, last_seq, from_time, to_time, authors, client_ids, body, body_bytes,"
            " created_at FROM journal_segments",
            {"row_twice"},
        ),
        (
            "UPDATE journal SET payload = '\\x0102030405'"
            " WHERE seq = (SELECT max(seq) FROM journal)",
            {"row_left_out"},
        ),
        ("UPDATE documents SET base_state_id = 999999", {"state_missing"}),
        ("UPDATE documents SET epoch = 2", {"squash_missing"}),
        ("UPDATE documents SET lineage = 2", {"lineage_unknown", "squash_missing"}),
        ("UPDATE documents SET lineage = 0", {"lineage_unknown"}),
        ("UPDATE states SET lineage = 2", {"lineage_unknown"}),
        (
            "INSERT INTO squashes SELECT id, 2, '{}', owner_id, now() FROM projects",
            {"lineage_unknown"},
        ),
        (
            "INSERT INTO project_bundles (id, project_id, version, branch, kind, filename, bytes,"
            " sha256, content_sha256, note, people, created_by, created_at) SELECT id, id, 1, 'main', 'zip',"
            " 'a.zip', 5, '\\x00', '\\x00', '', false, owner_id, now() FROM projects",
            {"bundle_damaged"},
        ),
    ],
)  # fmt: skip
async def test_damage_is_found(
    database: Database, song: Project, statement: LiteralString, kinds: set[str]
) -> None:
    await damage(database, statement)
    found = await findings(database)
    assert {kind for kind, _ in found} == kinds
    assert all(verify.REMEDIES[kind] for kind, _ in found)


async def test_a_state_that_others_rest_on_takes_them_with_it(database: Database) -> None:
    project = await people.song(database)
    song = large(200)
    for at in range(4):
        await commit(database, project, song.stem(f"s{at}").state)
    await damage(database, "UPDATE states SET sha256 = sha256(sha256) WHERE number = 0")
    kinds = [kind for kind, _ in await findings(database)]
    assert kinds == ["state_damaged", "chain_broken", "chain_broken", "chain_broken"]


async def test_what_waits_is_no_damage(database: Database) -> None:
    project = await people.song(database)
    a, b, c, d = people.letters("abcd")
    async with database.connection() as tx:
        await people.write(tx, project.document_id, a)
        await people.write(tx, project.document_id, d, c, waiting=True)
    assert await compaction.compact(database, project.document_id)
    assert await findings(database) == []
    async with database.connection() as tx:
        await people.write(tx, project.document_id, b)
    assert await findings(database) == []
    # What was refused once is known not to be there.
    async with database.connection() as tx:
        await people.write(tx, project.document_id, b"\x09\x09")
        await tx.execute("UPDATE journal SET refused_at = now() WHERE payload = '\\x0909'")
    assert await findings(database) == []


async def test_of_a_project_with_a_base_the_past_begins_there(database: Database) -> None:
    project = await people.song(database)
    first = Song().stem("a")
    async with database.transaction() as tx:
        state_id = await archive.put(tx, project.id, first.state, NOW, lineage=1)
        await tx.execute("UPDATE documents SET base_state_id = %s, base_at = %s", (state_id, NOW))
    # A journal with nothing in it: rooms would open an empty document.
    assert await findings(database) == [("document_differs", "branch main, snapshot and journal")]
    async with database.connection() as tx:
        await people.write(tx, project.document_id, first.state)
    assert await findings(database) == []


async def test_of_many_writers_nothing_is_found(database: Database) -> None:
    project = await people.song(database)
    random = Random(7)
    crew = [writers.Writer(number, random) for number in (1, 2, 3)]
    for step in range(120):
        one = random.choice(crew)
        edit = one.edit()
        if edit is None:
            continue
        for other in crew:
            if other is not one:
                other.receive(edit.data)
        async with database.connection() as tx:
            await people.write(tx, project.document_id, edit.data)
        if step % 25 == 24:
            await compaction.compact(database, project.document_id)
            await commit(
                database, project, crew[0].doc.get_update(), now=NOW + timedelta(seconds=step)
            )
    assert await findings(database) == []


async def test_only_what_was_asked_for_is_looked_at(database: Database, song: Project) -> None:
    other = await people.song(database, owner="ben")
    await damage(database, "UPDATE snapshots SET sha256 = sha256(sha256)")
    assert [each async for each in verify.verify(database, [other.id])] == [
        verify.Progress(other.id, "states", 0),
        verify.Progress(other.id, "commits", 0),
        verify.Progress(other.id, "branch main", 0),
    ]
    assert len(await findings(database)) == 1


def _row(doc: Doc[Any], change: Callable[[Map[Any]], None]) -> bytes:
    before = doc.get_state()
    change(doc.get("m", type=Map))
    return doc.get_update(before)


async def test_a_segment_that_lies_about_its_content_is_found(
    database: Database, song: Project
) -> None:
    """The rows of a segment are replaced by others that say something else, counted correctly."""
    async with database.transaction() as tx:
        found = await tx.execute(
            "SELECT id, body, body_bytes FROM journal_segments ORDER BY id LIMIT 1"
        )
        ((number, body, size),) = await found.fetchall()
        rows = segments.unpack(body, size)
        doc: Doc[Any] = Doc(client_id=99)
        payload = _row(doc, lambda mapping: mapping.update({"x": 1}))
        rows[0] = segments.Row(rows[0].seq, rows[0].author, payload, rows[0].created_at)
        packed = segments.pack(rows)
        await tx.execute(
            "UPDATE journal_segments SET body = %s, body_bytes = %s WHERE id = %s",
            (packed.body, packed.size, number),
        )
    assert "document_differs" in {kind for kind, _ in await findings(database)}

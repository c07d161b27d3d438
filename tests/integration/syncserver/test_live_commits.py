"""Commits of a live room with processes that keep its document: the same as without them."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pycrdt import Array, Doc, Map, Text

from api.live import Live
from base import clock
from docstore.errors import DocumentUnreadable, TooCostly
from docstore.history import commits, content, keeping, work
from docstore.history.errors import NothingToCommit
from docstore.live import Difference
from tests.integration.docstore import people
from tests.integration.syncserver.test_hub import house

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from base.db import Database
    from docstore import projects
    from tests.integration.syncserver.test_hub import House


class Writer:
    """Somebody who edits a live project and commits it."""

    def __init__(self, at: House, project: projects.Project) -> None:
        self.house = at
        self.project = project
        self.doc: Doc[Any] = Doc()
        self.stems = self.doc.get("stems", type=Map)
        self.chat = self.doc.get("chat", type=Array)
        self.notes = self.doc.get("notes", type=Text)
        self._sent = b"\0"
        self._made: commits.Commit | None = None

    async def send(self) -> None:
        update = self.doc.get_update(self._sent)
        self._sent = self.doc.get_state()
        await self.house.rooms.apply(self.project.document_id, update, self.project.owner_id)

    async def commit(self, state: commits.State | None = None) -> commits.Commit:
        """Commit, and hold it against what reading everything says."""
        await self.send()
        made = await commits.make(
            self.house.database,
            project_id=self.project.id,
            document_id=self.project.document_id,
            branch="main",
            state=state or Live(self.house.rooms, self.project.document_id),
            author=self.project.owner_id,
            message="so far",
            now=clock.now(),
        )
        before = None if self._made is None else await self.state(self._made)
        after = await self.state(made)
        assert content.read(after) == content.read_doc(self.doc)
        assert await work.compare(before, after) == (made.content_sha256, made.changes)
        assert made.parents == ([] if self._made is None else [self._made.id])
        self._made = made
        return made

    async def state(self, commit: commits.Commit) -> bytes:
        async with self.house.database.connection() as tx:
            return await commits.state_of(tx, commit)


@asynccontextmanager
async def writing(database: Database) -> AsyncGenerator[tuple[Writer, keeping.Keepers]]:
    project = await people.song(database)
    async with house(database) as opened, keeping.opened(1) as keepers:
        yield Writer(opened, project), keepers


async def test_many_small_changes(database: Database) -> None:
    chosen = random.Random(3)
    async with writing(database) as (writer, _):
        for number in range(200):
            writer.stems[str(number)] = Map({"name": f"Stem {number}", "volume": 0.5})
        await writer.commit()
        for number in range(12):
            writer.stems[str(chosen.randrange(200))]["volume"] = chosen.random()
            if number % 3 == 0:
                writer.chat.append(f"take {number}")
                writer.notes.insert(0, "é🎹")
            if number % 4 == 1:
                del writer.stems[str(200 - number)]
                writer.stems[f"new {number}"] = Map({"stems": Array([1, Map({"a": number})])})
            made = await writer.commit()
            assert made.changes["counts"]
        with pytest.raises(NothingToCommit):
            await writer.commit()


async def test_only_what_was_edited_is_sent(database: Database) -> None:
    """The room encodes its document once; then what came since."""
    sizes: list[int] = []

    class Weighed(Live):
        async def diff(self, state_vector: bytes) -> Difference:
            found = await super().diff(state_vector)
            sizes.append(len(found.update))
            return found

    async with writing(database) as (writer, _):
        for number in range(500):
            writer.stems[str(number)] = Map({"name": f"Stem {number}", "volume": 0.5})
        for number in range(4):
            writer.stems[str(number)]["volume"] = 0.25
            await writer.commit(Weighed(writer.house.rooms, writer.project.document_id))
    assert sizes[0] > 20_000
    assert max(sizes[1:]) < 200
    assert len(sizes) == 4


async def test_a_commit_made_otherwise_comes_between(database: Database) -> None:
    """Those who keep the document do not know what it said at that one."""
    async with writing(database) as (writer, _):
        for number in range(3):
            writer.stems[f"a{number}"] = Map({"name": "Bass"})
            await writer.commit()
            writer.stems[f"b{number}"] = Map({"name": "Drums"})
            await writer.commit(writer.doc.get_update())


async def test_a_commit_that_was_rolled_back_was_never_made(database: Database) -> None:
    async with writing(database) as (writer, keepers):
        writer.stems["a"] = Map({"name": "Bass"})
        await writer.commit()
        writer.stems["b"] = Map({"name": "Drums"})
        await writer.send()
        source = Live(writer.house.rooms, writer.project.document_id)
        assert await keepers.commit(source, before=None, base=None) is not None
        # Nobody wrote that down; what is written down now differs from the commit before.
        made = await writer.commit()
        assert made.changes["summary"] == "1 stem added"


async def test_a_process_that_ended_is_begun_anew(database: Database) -> None:
    async with writing(database) as (writer, keepers):
        writer.stems["a"] = Map({"name": "Bass"})
        await writer.commit()
        keeper = keepers._keepers[0]
        ended = keeper._process
        assert ended is not None
        ended.kill()
        await ended.wait()
        writer.stems["b"] = Map({"name": "Drums"})
        await writer.commit()
        assert keeper._process is not ended


async def test_a_room_that_was_opened_anew_is_another_document(database: Database) -> None:
    """What the one before held may not be in it."""
    async with writing(database) as (writer, keepers):
        writer.stems["a"] = Map({"name": "Bass"})
        await writer.commit()
        async with house(database) as other:
            known = keepers._keepers[0].known[writer.project.document_id]
            found = await other.rooms.diff(writer.project.document_id, b"\0")
            assert found.incarnation != known.incarnation
            writer.house = other
            writer.stems["b"] = Map({"name": "Drums"})
            await writer.commit()


async def test_a_large_document_is_not_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping.residents, "LARGEST", 1_000)
    async with writing(database) as (writer, keepers):
        for number in range(100):
            writer.stems[str(number)] = Map({"name": f"Stem {number}"})
        await writer.commit()
        assert not keepers._keepers[0].known


async def test_a_document_that_cannot_be_read_takes_nobody_with_it(database: Database) -> None:
    class Broken:
        document_id = 77

        async def snapshot(self) -> bytes:
            raise AssertionError("not asked for")

        async def diff(self, state_vector: bytes) -> Difference:
            return Difference(b"\x01\x01", state_vector, 5)

    async with writing(database) as (writer, keepers):
        writer.stems["a"] = Map({"name": "Bass"})
        await writer.commit()
        known = dict(keepers._keepers[0].known)
        with pytest.raises(DocumentUnreadable):
            await keepers.commit(Broken(), before=None, base=None)
        assert keepers._keepers[0].known == known
        writer.stems["b"] = Map({"name": "Drums"})
        await writer.commit()


async def test_a_process_that_does_not_answer_is_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SECONDS", 0.0)
    async with writing(database) as (writer, keepers):
        writer.stems["a"] = Map({"name": "Bass"})
        with pytest.raises(TooCostly):
            await writer.commit()
        assert keepers._keepers[0]._process is None
        monkeypatch.setattr(keeping, "SECONDS", 60.0)
        await writer.commit()

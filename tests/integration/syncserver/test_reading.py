"""Clients are not read while the journal is behind, whatever else happens to them meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pycrdt import Doc, Map

from syncserver.client import Hold
from tests.integration.docstore import people
from tests.integration.syncserver.test_hub import house, until

if TYPE_CHECKING:
    from base.db import Database

KIB = 1024


async def test_a_journal_that_catches_up_takes_back_its_own_reason_only(database: Database) -> None:
    async with house(database, journal_backlog_bytes=KIB) as here:
        project = await people.song(database)
        live, one, wire = await here.enter(project)
        doc: Doc[Map[str]] = Doc()
        doc.get("takes", type=Map[str])["a"] = "x" * 2 * KIB
        live.submit(one, doc.get_update())
        live.turn()
        here.rooms.tick()
        assert wire.held == Hold.JOURNAL
        _, newcomer, waits = await here.enter(project)
        here.rooms.admit_reading(newcomer)
        assert waits.held == Hold.JOURNAL
        waits.hold(Hold.BEHIND)
        await until(lambda: wire.held == Hold(0))
        assert waits.held == Hold.BEHIND

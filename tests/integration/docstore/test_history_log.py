"""The log: newest first, no commit before one that descends from it, page by page."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from base import ids
from docstore.errors import CursorInvalid
from docstore.history import commits, dag
from docstore.history.errors import BranchNotFound
from tests.integration.docstore import histories, people
from tests.integration.docstore.histories import NOW, Song

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.history.commits import Commit
    from docstore.projects import Project


async def history(database: Database, project: Project, parents: list[list[int]]) -> list[Commit]:
    """Commits by the numbers of their parents; the last one is the branch's head."""
    root = await histories.commit(database, project, Song().stem("a").state)
    made = [root]
    authors = [project.owner_id, ids.new_id()]
    async with database.transaction() as tx:
        for at, numbers in enumerate(parents, 1):
            made.append(
                await histories.join(
                    tx,
                    [made[number] for number in numbers],
                    author=authors[at % 2],
                    created_at=NOW + timedelta(minutes=at),
                    message=str(at),
                )
            )
        await tx.execute(commits.ADVANCE, (made[-1].id, project.document_id))
    return made


async def pages(
    tx: Tx, project: Project, *, limit: int, branch: str | None = "main", author: UUID | None = None
) -> list[Commit]:
    """All pages, one behind the other."""
    told: list[Commit] = []
    cursor: str | None = None
    while True:
        items, cursor = await commits.log(
            tx, project.id, branch=branch, author=author, after=cursor, limit=limit
        )
        assert len(items) <= limit
        told += items
        if cursor is None:
            return told


@pytest.mark.parametrize("branch", ["main", None])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_together_are_all_there_is(
    database: Database, branch: str | None, limit: int
) -> None:
    project = await people.song(database)
    made = await history(database, project, [[at] for at in range(6)])
    async with database.connection() as tx:
        assert await pages(tx, project, limit=limit, branch=branch) == made[::-1]


@pytest.mark.parametrize("seed", range(4))
async def test_lines_that_part_and_meet_are_told_as_the_graph_has_them(
    database: Database, seed: int
) -> None:
    project = await people.song(database)
    random = Random(seed)
    parents = [
        random.sample(range(at), k=min(at, random.choice((1, 1, 1, 2, 3)))) for at in range(1, 40)
    ]
    made = await history(database, project, parents)
    graph = {each.id: tuple(each.parents) for each in made}
    wanted = dag.topological(graph, [made[-1].id])
    async with database.connection() as tx:
        for limit in (1, 5, 100):
            told = await pages(tx, project, limit=limit)
            assert [each.id for each in told] == wanted
        assert await pages(tx, project, limit=6, branch=None) == made[::-1]


async def test_a_branch_does_not_tell_what_its_head_does_not_descend_from(
    database: Database,
) -> None:
    project = await people.song(database)
    made = await history(database, project, [[0], [0], [1]])
    async with database.connection() as tx:
        assert await pages(tx, project, limit=9) == [made[3], made[1], made[0]]


@pytest.mark.parametrize("branch", ["main", None])
async def test_the_log_can_be_asked_for_one_author_and_for_what_was_before(
    database: Database, branch: str | None
) -> None:
    project = await people.song(database)
    made = await history(database, project, [[at] for at in range(9)])
    async with database.connection() as tx:
        theirs = await pages(tx, project, limit=2, branch=branch, author=made[1].author)
        assert theirs == made[9:0:-2]
        assert await pages(tx, project, limit=2, branch=branch, author=ids.new_id()) == []
        items, cursor = await commits.log(
            tx,
            project.id,
            branch=branch,
            author=made[1].author,
            before=made[5].created_at,
            limit=9,
        )
        assert (items, cursor) == ([made[3], made[1]], None)


async def test_a_page_looks_only_so_far_and_says_where_to_go_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "MOST_STEPS", 4)
    project = await people.song(database)
    made = await history(database, project, [[at] for at in range(9)])
    async with database.connection() as tx:
        items, cursor = await commits.log(
            tx, project.id, branch="main", author=ids.new_id(), limit=5
        )
        assert items == []
        assert cursor is not None
        assert await pages(tx, project, limit=5, author=made[1].author) == made[9:0:-2]
        assert await pages(tx, project, limit=3) == made[::-1]
        assert await pages(tx, project, limit=4) == made[::-1]


async def test_a_page_is_not_moved_by_what_is_committed_meanwhile(database: Database) -> None:
    project = await people.song(database)
    made = await history(database, project, [[0], [1], [2]])
    async with database.connection() as tx:
        _, cursor = await commits.log(tx, project.id, branch="main", limit=2)
        await histories.commit(database, project, Song().stem("new").state)
        items, _ = await commits.log(tx, project.id, branch="main", after=cursor, limit=2)
        assert items == made[1::-1]


async def test_before_the_first_commit_there_is_nothing(database: Database) -> None:
    project = await people.song(database)
    async with database.connection() as tx:
        for branch in ("main", None):
            assert await commits.log(tx, project.id, branch=branch, limit=5) == ([], None)
        with pytest.raises(BranchNotFound):
            await commits.log(tx, project.id, branch="other", limit=5)


async def test_cursors_that_nobody_gave_out_are_refused(database: Database) -> None:
    project = await people.song(database)
    await history(database, project, [[0], [1]])
    async with database.connection() as tx:
        _, ours = await commits.log(tx, project.id, branch="main", limit=1)
        _, all_ours = await commits.log(tx, project.id, limit=1)
        assert ours
        assert all_ours
        wrong = ["", "x", "é", "=", ours[:-1], ours + "AA", ours + "=", ours + "\n", "A" * 40_000]
        for branch, cursors in (("main", [*wrong, all_ours]), (None, [*wrong, ours])):
            for cursor in cursors:
                with pytest.raises(CursorInvalid):
                    await commits.log(tx, project.id, branch=branch, after=cursor, limit=1)


async def test_a_cursor_made_of_anothers_commits_shows_nothing_of_theirs(
    database: Database,
) -> None:
    mine, theirs = await people.song(database), await people.song(database, owner="ben")
    await history(database, mine, [[0]])
    await history(database, theirs, [[0], [1], [2]])
    async with database.connection() as tx:
        for branch in ("main", None):
            _, cursor = await commits.log(tx, theirs.id, branch=branch, limit=2)
            assert cursor is not None
            items, _ = await commits.log(tx, mine.id, branch=branch, after=cursor, limit=5)
            assert all(each.project_id == mine.id for each in items)

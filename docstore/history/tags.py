"""Tags: names for commits that last until somebody takes them away. The table is `tags`.

Who may do what is not decided here; whoever looks may do so in their own transaction (migration
0005), writing is the server's own work.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

from docstore.history import commits
from docstore.history.errors import TagInvalid, TagNotFound, TagTaken, TooManyTags

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from base.db import Tx

LONGEST: Final = 100
"""Characters of a name."""

MOST: Final = 1_000
"""Tags of a project."""


class Tag(NamedTuple):
    """A name for a commit."""

    name: str
    commit_id: UUID
    created_by: UUID
    created_at: datetime


INSERT: LiteralString = """
    INSERT INTO tags (project_id, name, commit_id, created_by, created_at)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"""

COUNT: LiteralString = "SELECT count(*) FROM tags WHERE project_id = %s"

DELETE: LiteralString = "DELETE FROM tags WHERE project_id = %s AND name = %s"

BY_NAME: LiteralString = "SELECT commit_id FROM tags WHERE project_id = %s AND name = %s"

LIST: LiteralString = """
    SELECT name, commit_id, created_by, created_at FROM tags WHERE project_id = %s
    ORDER BY created_at DESC, name"""


def named(name: str) -> str:
    """A tag's name in its one spelling (NFC). Raises TagInvalid.

    Printable, so that it looks like what it is; nothing that a command line or an address would
    read as something else.
    """
    name = unicodedata.normalize("NFC", name)
    if not 0 < len(name) <= LONGEST:
        raise TagInvalid(f"The name of a tag has 1 to {LONGEST} characters.")
    if not name.isprintable():
        raise TagInvalid("The name of a tag has only characters that can be seen.")
    if name != name.strip():
        raise TagInvalid("The name of a tag has no spaces at its ends.")
    if name.startswith("-") or ".." in name or name == ".":
        raise TagInvalid("The name of a tag does not begin with `-`, has no `..`, and is not `.`.")
    return name


async def tag(
    tx: Tx, project_id: UUID, *, name: str, commit_id: UUID, created_by: UUID, now: datetime
) -> Tag:
    """Give a commit a name. Raises TagInvalid, TagTaken, TooManyTags, CommitNotFound.

    tx holds `archive.lock`: the commit must not be taken away meanwhile.
    """
    made = Tag(named(name), commit_id, created_by, now)
    await commits.get(tx, project_id, commit_id)
    row = await (await tx.execute(COUNT, (project_id,))).fetchone()
    cursor = await tx.execute(INSERT, (project_id, *made))
    if cursor.rowcount == 0:
        raise TagTaken
    if row is not None and row[0] >= MOST:
        raise TooManyTags(limit=MOST)  # which takes the row back
    return made


async def untag(tx: Tx, project_id: UUID, name: str) -> None:
    """Take a name away; the commit stays. Raises TagNotFound."""
    cursor = await tx.execute(DELETE, (project_id, _known(name)))
    if cursor.rowcount == 0:
        raise TagNotFound


async def tags(tx: Tx, project_id: UUID) -> list[Tag]:
    """All of a project, the youngest first."""
    return [Tag(*row) for row in await (await tx.execute(LIST, (project_id,))).fetchall()]


async def by_tag(tx: Tx, project_id: UUID, name: str) -> commits.Commit:
    """The commit of this name. Raises TagNotFound."""
    row = await (await tx.execute(BY_NAME, (project_id, _known(name)))).fetchone()
    if row is None:
        raise TagNotFound
    return await commits.get(tx, project_id, row[0])


def _known(name: str) -> str:
    try:
        return named(name)
    except TagInvalid as wrong:
        raise TagNotFound from wrong

"""A bundle made into a project, or into a branch of one: what `syncsphere import` does.

Only adds rows, all of them or none, so a server may be running beside it. Whoever is named as the
owner is the author of all that comes, as if they had sent it over REST. Prints nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import anyio.to_thread

from auth import accounts
from base import clock
from docstore import projects
from docstore.bundles import importing, reading
from docstore.history import archive, branches, render
from syncserver import history_states
from syncserver.history_reading import project
from syncserver.users import NoSuchAccount

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database
    from docstore.bundles.importing import Found
    from docstore.history.branches import Branch
    from syncserver.history_reading import Action

LARGEST: Final = 64 * 1024**3
"""Bytes that a bundle of the operator's own may unpack to."""

_UNNAMED: Final = "Imported"


class Target(NamedTuple):
    """A branch to be, of a project that there is."""

    project: str
    """Its id, room id or name."""
    branch: str


class Brought(NamedTuple):
    """What was made."""

    project_id: UUID
    room: str
    """What clients connect to."""
    said: str
    """What came, in words."""


def bring(
    file: BinaryIO,
    *,
    owner: str,
    name: str | None,
    into: Target | None,
    document_bytes: int,
) -> Action[Brought]:
    """Import a bundle, or a project file of openDAW's.

    owner: a user name or an address. name: of the project; else the bundle's own.
    Raises NoSuchAccount, BundleUnknown, BundleDamaged, BundleTooLarge, DocumentTooDeep, and for a
    branch ProjectUnknown, NameAmbiguous and what `importing.as_branch` raises.
    """

    async def action(database: Database) -> Brought:
        async with database.connection() as tx:
            who = await accounts.by_name(tx, owner)
        if who is None or not who.active:
            raise NoSuchAccount
        with tempfile.TemporaryDirectory(prefix="syncsphere-") as home:
            await anyio.to_thread.run_sync(_copy, file, Path(home) / reading.UPLOAD)
            found = await importing.check(
                Path(home), clock.now(), document_bytes=document_bytes, unpacked_bytes=LARGEST
            )
            if into is None:
                return await _as_project(database, found, who.id, name)
            return await _as_branch(database, found, who.id, into)

    return action


def _copy(file: BinaryIO, target: Path) -> None:
    with target.open("wb") as copied:
        shutil.copyfileobj(file, copied)


async def _as_project(database: Database, found: Found, owner: UUID, name: str | None) -> Brought:
    chosen = name or found.history.project.name or _UNNAMED
    async with database.transaction() as tx:
        made = await importing.as_project(tx, found, owner=owner, name=chosen, now=clock.now())
    counts = (
        _counted(len(found.history.commits), "commit", "commits"),
        _counted(len(found.history.branches), "branch", "branches"),
        _counted(len(found.history.tags), "tag", "tags"),
    )
    said = f"project {render.clean(made.name)!r} with {', '.join(counts)}{_left_out(found)}"
    return Brought(made.id, made.room_id, said)


async def _as_branch(database: Database, found: Found, owner: UUID, into: Target) -> Brought:
    async with database.transaction() as tx:
        home = await project(tx, into.project)
        await archive.lock(tx, home.id)
        main = await branches.get(tx, home.id, projects.MAIN)
        live = await history_states.state(database, history_states.Place(main))
        made: Branch = await importing.as_branch(
            tx, found, main=main, live=live, name=into.branch, author=owner, now=clock.now()
        )
    said = f"branch {made.name} of project {render.clean(home.name)!r}{_left_out(found)}"
    return Brought(home.id, f"{home.room_id}@{made.name}", said)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _left_out(found: Found) -> str:
    if not found.left_out:
        return ""
    return f"; {_counted(found.left_out, 'file', 'files')} (samples, pictures) left out"

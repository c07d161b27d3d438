"""A project as a file: what `syncsphere export` writes.

Reads the database and changes nothing in it. A bundle is written for the operator: with the names
of those who made its commits. Prints nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, LiteralString, TypeAlias, get_args

import anyio.to_thread

from auth import accounts
from base import clock
from base.db import one_instant
from base.errors import AppError
from docstore.bundles import export as bundles
from docstore.bundles.errors import BundleUnwritable
from docstore.history import work
from syncserver import history_states
from syncserver.history_reading import project

if TYPE_CHECKING:
    from uuid import UUID

    from base.db import Database, Tx
    from docstore.projects import Project
    from syncserver.history_reading import Action
    from syncserver.history_states import Place
    from syncserver.points import Point

Bundle: TypeAlias = Literal["odb", "zip"]
Form: TypeAlias = Literal["odb", "zip", "yjs", "json"]

FORMS: Final[tuple[Form, ...]] = get_args(Form)

LARGEST: Final = 64 * 1024**3
"""Bytes of a bundle on the operator's own disk; a server's setting bounds what it keeps itself."""

AUTHORS: LiteralString = "SELECT DISTINCT author FROM commits WHERE project_id = %s"


class NoBundleOfMoments(AppError):
    """A bundle is of a commit or of what is live; a moment is exported as yjs or json."""

    code = "no_bundle_of_moments"


def form_of(name: str) -> Form | None:
    """The form that a file's name tells."""
    ending = name.rpartition(".")[2].lower()
    return next((form for form in FORMS if form == ending), None)


def export(name: str, wanted: Point, *, branch: str, form: Form, file: BinaryIO) -> Action[str]:
    """Write a project, or a state of it, into a file; what that was, in words.

    Raises NoBundleOfMoments, and what finding, reading and packing raise.
    """

    async def action(database: Database) -> str:
        if wanted.time is not None and form in ("odb", "zip"):
            raise NoBundleOfMoments
        async with database.transaction() as tx:
            await one_instant(tx)
            found = await project(tx, name)
            place = await history_states.find(tx, found.id, wanted, branch)
            names = await _names(tx, found.id)
        state = await history_states.state(database, place)
        if form in ("odb", "zip"):
            await _bundle(database, found, place, state, names, form, file)
        else:
            file.write(state if form == "yjs" else await work.as_json(state))
        return _said(place)

    return action


async def _names(tx: Tx, project_id: UUID) -> dict[UUID, str]:
    rows = await (await tx.execute(AUTHORS, (project_id,))).fetchall()
    return await accounts.names(tx, [row[0] for row in rows])


async def _bundle(
    database: Database,
    found: Project,
    place: Place,
    state: bytes,
    names: dict[UUID, str],
    kind: Bundle,
    file: BinaryIO,
) -> None:
    commit = None if place.commit is None else place.commit.id
    subject = bundles.Subject(found, place.branch, commit, state, names)
    with tempfile.TemporaryDirectory(prefix="syncsphere-") as home:
        try:
            made = await bundles.write(
                database, Path(home), subject, kind=kind, limit=LARGEST, now=clock.now()
            )
        except BundleUnwritable as error:
            raise BundleUnwritable(f"{error} `--format zip` takes every project.") from error
        await anyio.to_thread.run_sync(_copy, made.path, file)


def _copy(source: Path, file: BinaryIO) -> None:
    with source.open("rb") as packed:
        shutil.copyfileobj(packed, file)


def _said(place: Place) -> str:
    if place.commit is not None:
        return f"commit {place.commit.id}"
    if place.time is not None:
        return f"{place.branch.name} at {place.time.isoformat()}"
    return f"{place.branch.name} as it is stored"

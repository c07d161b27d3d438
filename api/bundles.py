"""Bundles over REST: make, list, download, delete; and bring one in.

What is made is written in a folder of its own and stored in parts; what is downloaded is read in
parts. What is brought in is checked to the end before anything of it is kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from api import documents, points
from api import projects as project_handlers
from api.errors import PreconditionFailed, RangeNotSatisfiable
from api.route import OCTETS, VERSION, ZIP
from api.shapes import bundles as shapes
from api.shapes import projects as project_shapes
from auth import access, accounts
from auth.errors import NotAllowed
from auth.permissions import Right, facts_of
from base.places import FairPlaces
from docstore.bundles import export, importing, reading, scratch, store
from docstore.bundles.errors import BundleNotFound
from docstore.history import branches, commits, writers
from docstore.projects import MAIN

if TYPE_CHECKING:
    from uuid import UUID

    from api.requests import Authorised, Call
    from base.db import Tx
    from docstore.bundles.importing import Found
    from docstore.projects import Project

AT_ONCE: Final = 2
"""Bundles being made in this process; each may hold a whole document."""

UPLOADS: Final = 16
"""Bundles that are coming in at one time, one of each account: each fills the disk up to
`bundle_bytes`."""

UNPACKED: Final = 4
"""How many times as large as a bundle may be what is in it."""

_exports: Final = FairPlaces("exports", AT_ONCE)
_uploads: Final = FairPlaces("uploads", UPLOADS)
_imports: Final = FairPlaces("imports", AT_ONCE)

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_VERSION: Final = re.compile(r"[1-9][0-9]{0,9}")


# ---------------------------------------------------------------- making


async def create(call: Call) -> shapes.Bundle:
    """Write a project down as a file, which is the project's next version."""
    wanted = call.body(shapes.NewBundle)
    services, settings = call.services, call.services.settings
    async with call.acting() as tx:
        found = await _authorised(call, tx, wanted)
        at = await points.find(call, tx, found, wanted.point, MAIN)
        await store.check_room(tx, found.project.id, settings.bundles_per_project)
    kind = wanted.kind or ("odb" if found.project.kind == "opendaw" else "zip")
    commit = None if at.commit is None else at.commit.id
    async with _exports(), scratch.folder(settings.data) as home:
        state = await points.state(call, at)
        names = await _names(call, found.project.id) if wanted.authors else None
        subject = export.Subject(found.project, at.branch, commit, state, names)
        made = await export.write(
            services.database,
            home,
            subject,
            kind=kind,
            limit=settings.bundle_bytes,
            now=services.now(),
        )
        # With the lock: its commit is not taken away while it is being named.
        async with writers.writing(services.database, found.project.id) as locked:
            async with call.acting() as tx:
                # Again: it may have taken long, and what was true before is no more.
                found = await _authorised(call, tx, wanted)
            if commit is not None:
                await commits.get(locked, found.project.id, commit)
            bundle = await store.keep(
                locked,
                found.project.id,
                made,
                branch=at.branch.name if at.commit is None else at.commit.branch,
                commit_id=commit,
                kind=kind,
                name=found.project.name,
                note=wanted.note,
                people=wanted.authors,
                created_by=call.user.user_id,
                most=settings.bundles_per_project,
                now=services.now(),
            )
    call.answer_headers["Location"] = f"/api/projects/{found.project.id}/bundles/{bundle.version}"
    return shapes.Bundle.of(bundle, people=found.sees_people)


async def index(call: Call) -> shapes.Bundles:
    """Which bundles there are, the newest first."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
        items = await store.listing(tx, found.project.id)
    people = found.sees_people
    return shapes.Bundles([shapes.Bundle.of(each, people=people) for each in items])


async def delete(call: Call) -> None:
    """Take a bundle away for good."""
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EDIT)
    async with call.services.database.transaction() as tx:
        await store.delete(tx, found.project.id, _version(call))


# ---------------------------------------------------------------- downloading


async def download(call: Call) -> Response:
    """A bundle, or a part of it."""
    asked = call.request.headers
    async with call.acting() as tx:
        found = await call.project(tx, Right.DOCUMENT_EXPORT)
        bundle = await store.get(tx, found.project.id, _version(call))
    if bundle.people and not found.sees_people:
        raise NotAllowed("People are named in this bundle.", right=Right.ACCESS_READ.value)
    tag = f'"{bundle.sha256.hex()}"'
    if not is_meant(asked.get("if-match"), tag):
        raise PreconditionFailed
    kept = {"ETag": tag, "Cache-Control": "private, no-cache", "Accept-Ranges": "bytes"}
    if documents.is_current(asked.get("if-none-match"), tag):
        return Response(status_code=304, headers=kept)
    name, _, extension = bundle.filename.rpartition(".")
    kept["Content-Disposition"] = documents.disposition(name, extension)
    if call.request.method == "HEAD":
        kept["Content-Length"] = str(bundle.bytes)
        return Response(headers=kept, media_type=ZIP)
    start, stop, status = 0, bundle.bytes, 200
    # A part is only good beside what is there already if that is of the same file.
    if asked.get("if-range", tag).strip() == tag:
        part = ranged(asked.get("range"), bundle.bytes)
        if part is not None:
            start, stop, status = *part, 206
            kept["Content-Range"] = f"bytes {start}-{stop - 1}/{bundle.bytes}"
    kept["Content-Length"] = str(stop - start)
    content = store.read(call.services.database, bundle, start, stop)
    return StreamingResponse(content, status, kept, ZIP)


def is_meant(if_match: str | None, tag: str) -> bool:
    """Whether a request is about this file, by its If-Match (RFC 9110, 13.1.1); weak tags are none."""
    return if_match is None or not {"*", tag}.isdisjoint(map(str.strip, if_match.split(",")))


def ranged(header: str | None, size: int) -> tuple[int, int] | None:
    """The part that is asked for, from its first byte until before its end (RFC 9110, 14.2).

    None: all of it; so also for several parts at once, and for what nobody understands.
    Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch((header or "").strip().lower())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), size
        if match[2] != "":
            stop = int(match[2]) + 1
            if stop <= start:
                return None
    if start >= size:
        raise RangeNotSatisfiable(bytes=size)
    return start, min(stop, size)


# ---------------------------------------------------------------- bringing in


async def bring(call: Call) -> shapes.Imported:
    """Make a project of a bundle, with its history; or a branch of a project."""
    wanted = call.query(shapes.ImportQuery)
    settings = call.services.settings
    if wanted.project is None:
        project_handlers.within(call, Right.PROJECT_CHANGE)
    else:
        branches.named(wanted.branch or "")
        await _editable(call, wanted.project)
    async with _uploads(), scratch.folder(settings.data) as home:
        await call.spool(home / reading.UPLOAD, (OCTETS, ZIP), limit=settings.bundle_bytes)
        async with _imports():
            found = await importing.check(
                home,
                call.services.now(),
                document_bytes=settings.max_document_bytes,
                unpacked_bytes=UNPACKED * settings.bundle_bytes,
            )
            if wanted.project is None or wanted.branch is None:
                return await _as_project(call, found, wanted.name)
            return await _as_branch(call, found, wanted.project, wanted.branch)


async def _as_project(call: Call, found: Found, name: str | None) -> shapes.Imported:
    name = name or found.history.project.name or "Imported"
    async with writers.reading(call.services.database) as tx:
        project = await importing.as_project(
            tx, found, owner=call.user.user_id, name=name, now=call.services.now()
        )
    call.answer_headers["Location"] = f"/api/projects/{project.id}"
    history = found.history
    counts = len(history.commits), len(history.branches), len(history.tags)
    return _imported(call, project, found, history.branch, counts)


async def _as_branch(call: Call, found: Found, project_id: UUID, name: str) -> shapes.Imported:
    async with writers.writing(call.services.database, project_id) as locked:
        main = await branches.get(locked, project_id, MAIN)
        live = await call.services.rooms.snapshot(main.document_id)
        # Again: it may have taken long, and what was true before is no more.
        project = await _editable(call, project_id)
        made = await importing.as_branch(
            locked,
            found,
            main=main,
            live=live,
            name=name,
            author=call.user.user_id,
            now=call.services.now(),
        )
    call.answer_headers["Location"] = f"/api/projects/{project_id}/branches/{quote(made.name)}"
    return _imported(call, project.project, found, made.name, (0, 1, 0), project)


async def _editable(call: Call, project_id: UUID) -> Authorised:
    async with call.acting() as tx:
        return await call.project_of(tx, project_id, Right.DOCUMENT_EDIT)


def _imported(
    call: Call,
    project: Project,
    found: Found,
    branch: str,
    counts: tuple[int, int, int],
    authorised: Authorised | None = None,
) -> shapes.Imported:
    reach = access.access_of(call.user, project.id, facts_of(project), None)
    reach = reach if authorised is None else authorised.access
    shown = project_shapes.Project.of(project, reach)
    digest = found.content_sha256.hex()
    return shapes.Imported(shown, branch, digest, *counts, found.left_out)


# ---------------------------------------------------------------- what they share


async def _authorised(call: Call, tx: Tx, wanted: shapes.NewBundle) -> Authorised:
    found = await call.project(tx, Right.DOCUMENT_EDIT)
    needed = [Right.DOCUMENT_EXPORT, *([Right.ACCESS_READ] if wanted.authors else [])]
    for right in needed:
        if right not in found.access.rights:
            raise NotAllowed(f"This needs the right {right.value} here.", right=right.value)
    return found


async def _names(call: Call, project_id: UUID) -> dict[UUID, str]:
    """What the authors of commits are called, as far as they have accounts."""
    async with call.services.database.connection() as tx:
        return await accounts.shown_names(tx, await export.authors(tx, project_id))


def _version(call: Call) -> int:
    text: str = call.request.path_params[VERSION]
    if not _VERSION.fullmatch(text):
        raise BundleNotFound
    return int(text)

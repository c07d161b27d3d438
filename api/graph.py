"""The picture of a project's commits over REST."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import anyio.to_thread
from starlette.responses import Response

from api import aside, documents
from api.route import SVG
from api.shapes import graph as shapes
from api.shapes.common import utc
from auth import accounts
from auth.permissions import Right
from docstore.bundles import layout
from docstore.history import branches, graph_svg
from docstore.history import commits as store
from docstore.history import tags as labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from api.requests import Authorised, Call
    from base.db import Tx

# Opened by itself an SVG is a page: this one may do nothing but look like something.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


async def graph(call: Call) -> Response:
    """The commits of a project as an SVG, youngest first; `Link` names the older ones."""
    wanted = call.query(shapes.GraphQuery)
    async with call.acting() as tx:
        found = await call.project(tx, Right.PROJECT_READ)
        branch = None
        if wanted.branch is not None:
            branch = (await branches.get(tx, found.project.id, wanted.branch)).name
        commits, cursor = await store.log(
            tx, found.project.id, branch=branch, after=wanted.cursor, limit=wanted.limit
        )
        dots = await _dots(tx, found, commits)
    # Some milliseconds for two hundred commits, during which rooms go on.
    drawing = partial(graph_svg.draw, dots, name=found.project.name, more=cursor is not None)
    drawn = (await anyio.to_thread.run_sync(drawing)).encode()
    tag = f'"{await aside.digest(drawn)}"'
    kept = {"ETag": tag, "Cache-Control": "private, no-cache", "Content-Security-Policy": POLICY}
    if cursor is not None:
        kept["Link"] = _next(found.project.id, wanted, cursor)
    if documents.is_current(call.request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=kept)
    return Response(drawn, headers=kept, media_type=SVG)


async def _dots(tx: Tx, found: Authorised, commits: Sequence[store.Commit]) -> list[graph_svg.Dot]:
    project_id = found.project.id
    standing = graph_svg.labels_by_commit(
        [(line.name, line.head) for line in await branches.listing(tx, project_id)],
        [(tag.name, tag.commit_id) for tag in await labels.tags(tx, project_id)],
    )
    names: dict[UUID, str] | None = None
    if Right.ACCESS_READ in found.access.rights:
        names = await accounts.shown_names(tx, {commit.author for commit in commits})
    return [
        graph_svg.Dot(
            commit.id,
            commit.parents,
            utc(commit.created_at),
            commit.message,
            standing.get(commit.id, ()),
            _author(commit, names),
        )
        for commit in commits
    ]


def _author(commit: store.Commit, names: Mapping[UUID, str] | None) -> str | None:
    """Who made it; None where people are not told of, and for who is not there any more."""
    if names is None:
        return None
    # Who brought it in a bundle is not who made it.
    name = commit.changes.get(layout.AUTHOR, names.get(commit.author))
    return name if isinstance(name, str) else None


def _next(project_id: UUID, wanted: shapes.GraphQuery, cursor: str) -> str:
    asked = {"limit": str(wanted.limit), "cursor": cursor}
    if wanted.branch is not None:
        asked["branch"] = wanted.branch
    return f'</api/projects/{project_id}/graph.svg?{urlencode(asked)}>; rel="next"'

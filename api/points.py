"""Which state of a document is meant: a commit, a tag, a moment, a branch as it is now.

Named in a request (`api/shapes/points.py`), looked up in the name of who asks, and read by the
server, since states are nobody's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from api.errors import ValidationFailed
from auth.permissions import Right
from docstore.history import branches, past
from docstore.history import commits as store
from docstore.history import tags as labels
from docstore.history.errors import BranchProtected

if TYPE_CHECKING:
    from datetime import datetime

    from api.requests import Authorised, Call
    from api.shapes.points import Point
    from base.db import Tx
    from docstore.history.branches import Branch


class Found(NamedTuple):
    """A state that there is. commit: None for a moment, and for what is live."""

    branch: Branch
    commit: store.Commit | None = None
    time: datetime | None = None


async def find(call: Call, tx: Tx, found: Authorised, point: Point, branch: str) -> Found:
    """What a point means. branch: whose `live` and whose moments, where the point names none.

    tx: of `acting`. Raises CommitNotFound, TagNotFound, BranchNotFound, and ValidationFailed for a
    moment that has not come.
    """
    if point.time is not None:
        check_past(call, point.where, point.time)
    project_id = found.project.id
    line = await branches.get(tx, project_id, branch if point.branch is None else point.branch)
    if point.tag is not None:
        return Found(line, await labels.by_tag(tx, project_id, point.tag))
    if point.commit is not None:
        return Found(line, await store.get(tx, project_id, point.commit))
    return Found(line, time=point.time)


async def state(call: Call, at: Found) -> bytes:
    """The state there, as one full update. Raises SnapshotDamaged, TooLongAgo, RoomUnavailable."""
    if at.commit is not None:
        async with call.services.database.connection() as tx:
            return await store.state_of(tx, at.commit)
    if at.time is not None:
        return await past.state_at(call.services.database, at.branch, at.time)
    return await call.services.rooms.snapshot(at.branch.document_id)


def check_past(call: Call, path: str, moment: datetime) -> None:
    """Whether a moment has come. path: where it stands in the request. Raises ValidationFailed.

    Nobody can say yet what will be, and what is asked for now would be another thing later.
    """
    if moment > call.services.now():
        raise ValidationFailed("Expected a time that has come", path=path)


def check_open(found: Authorised, branch: Branch) -> None:
    """Whether who asks may commit, merge and restore here. Raises BranchProtected."""
    if branch.protected and Right.BRANCH_KEEP not in found.access.rights:
        raise BranchProtected(branch=branch.name)

"""Judged once more: whoever waited in a queue, or for long work, may not be who they were.

Everything that writes a project's history asks here, within `writers.writing`, before it changes
anything: for the right, and for the branch as it was read with the lock held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from api import points

if TYPE_CHECKING:
    from api.requests import Authorised, Call
    from auth.permissions import Right
    from docstore.history.branches import Branch


async def judged(call: Call, *rights: Right, branch: Branch | None = None) -> Authorised:
    """The project, for who may still do all of this with it.

    branch: one that is changed, read under the lock. Raises what `call.project` raises, and
    BranchProtected.
    """
    async with call.acting() as tx:
        found = [await call.project(tx, right) for right in rights][-1]
    if branch is not None:
        points.check_open(found, branch)
    return found

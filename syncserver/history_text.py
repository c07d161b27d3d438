"""Commits and branches as text for a terminal, and as JSON for programs.

Messages and names are other people's: as text they are cleaned (`render.clean`), as JSON all that
is not plain ASCII is escaped, so neither steers the terminal of who reads it. Times are in UTC.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from docstore.bundles import layout
from docstore.history import dag, render
from docstore.projects import MAIN
from syncserver import colours
from syncserver.history_reading import Now

if TYPE_CHECKING:
    from datetime import datetime

    from docstore.history.commits import Commit
    from syncserver.history_reading import Standing, Told

_LONGEST: Final = 1_000
"""Characters of a line of a message."""

_NOTHING_NEW: Final = "everything is committed."


def log(told: Told, *, graph: bool, colour: bool) -> str:
    """Commits, newest first, with the picture of how they hang together if it is wanted."""
    entries = [
        render.LogEntry(
            commit.id,
            commit.created_at.astimezone(UTC),
            _author(told, commit),
            commit.message,
            tuple(told.labels.get(commit.id, ())),
            commit.changes.get("summary"),
        )
        for commit in told.commits
    ]
    lines = None
    if graph:
        parents = {commit.id: commit.parents for commit in told.commits}
        lines = {line.commit: line for line in dag.lanes(parents, parents)}
    if colour:
        return render.log_text(entries, lines, colours.commit).rstrip("\n")
    return render.log_text(entries, lines).rstrip("\n")


def shown(told: Told | Now, *, colour: bool) -> str:
    """A commit, or a branch as it is stored."""
    return _now(told) if isinstance(told, Now) else commit(told, told.commits[0], colour=colour)


def shown_json(told: Told | Now) -> dict[str, Any]:
    """The same for programs; `uncommitted` tells the two apart."""
    if not isinstance(told, Now):
        return commit_json(told, told.commits[0])
    head = None if told.head is None else str(told.head.id)
    return {"branch": told.branch.name, "head": head, "uncommitted": told.uncommitted}


def _now(now: Now) -> str:
    head, said = "no commit yet", _NOTHING_NEW
    if now.head is not None:
        head = f"{now.head.id} {_when(now.head.created_at)}"
    if now.uncommitted:
        said = "this is not committed:"
    facts = (("live", f"{render.clean(now.branch.name, 100)}, as it is stored"), ("head", head))
    return "\n".join([*(f"{name:<8}{value}" for name, value in facts), "", f"    {said}"])


def commit(told: Told, found: Commit, *, colour: bool) -> str:
    """All that is known of one commit."""
    named = str(found.id)
    stands = ", ".join(render.clean(label) for label in told.labels.get(found.id, ()))
    stands = f"({stands})" if stands else ""
    if colour:
        named = colours.commit(named, "id")
        stands = colours.commit(stands, "labels") if stands else ""
    facts = [("commit", f"{named} {stands}".rstrip())]
    facts += [("parent", str(parent)) for parent in found.parents]
    facts += [
        ("branch", render.clean(found.branch, 100)),
        ("author", render.clean(_author(told, found) or "somebody")),
        ("date", _when(found.created_at)),
        ("content", found.content_sha256.hex()),
    ]
    message = [f"    {render.clean(line, _LONGEST)}".rstrip() for line in found.message.split("\n")]
    return "\n".join([*(f"{name:<8}{value}" for name, value in facts), "", *message])


def commit_json(told: Told, found: Commit) -> dict[str, Any]:
    """A commit as REST tells it, with its author's name and the labels that stand at it."""
    return {
        "id": str(found.id),
        "branch": found.branch,
        "author": str(found.author),
        "username": _author(told, found),
        "message": found.message,
        "createdAt": _exactly(found.created_at),
        "contentHash": found.content_sha256.hex(),
        "parents": [str(parent) for parent in found.parents],
        "changes": dict(found.changes),
        "labels": list(told.labels.get(found.id, ())),
    }


def branch(standing: Standing) -> str:
    """A branch, on one line."""
    line, apart, uncommitted = standing
    facts = [
        str(line.head) if line.head is not None else "no commit yet",
        f"since {_when(line.base_at or line.created_at)}",
    ]
    if line.name != MAIN:
        facts.append(f"{apart.ahead} ahead, {apart.behind} behind")
    if uncommitted is None:
        facts.append("unreadable (see `syncsphere verify`)")
    elif uncommitted:
        facts.append("uncommitted changes")
    if line.protected:
        facts.append("protected")
    return f"{render.clean(line.name, 100)}  {', '.join(facts)}"


def branch_json(standing: Standing) -> dict[str, Any]:
    """A branch for programs. `pastFrom`: the earliest moment that can be told of.

    `ahead`, `behind`: commits, beside main. `uncommitted`: null where it cannot be read.
    """
    line = standing.branch
    return {
        "name": line.name,
        "head": None if line.head is None else str(line.head),
        "protected": line.protected,
        "ahead": standing.apart.ahead,
        "behind": standing.apart.behind,
        "uncommitted": standing.uncommitted,
        "createdAt": _exactly(line.created_at),
        "pastFrom": _exactly(line.base_at or line.created_at),
        "sourceCommit": None if line.origin_commit is None else str(line.origin_commit),
    }


def dumped(found: object) -> str:
    """JSON in plain ASCII."""
    return json.dumps(found, indent=2).replace("\x7f", "\\u007f")


def _author(told: Told, found: Commit) -> str | None:
    """Who made a commit. One that came in a bundle says that itself: its author only brought it."""
    brought = found.changes.get(layout.AUTHOR)
    return brought if isinstance(brought, str) else told.names.get(found.author)


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _exactly(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

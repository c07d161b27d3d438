"""Branches and merges as the tests of merging want them. Not a test."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, LiteralString

from pycrdt import Doc, Map, Text

from api.route import OCTETS

from .crew import at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from uuid import UUID

    import pytest

    from api import ports

    from .rest import Person, Rest


INSERT: LiteralString = """
    INSERT INTO journal (document_id, author, payload, created_at, waiting)
    VALUES (%s, %s, %s, %s, false)"""


def journaling(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down what the rooms apply, as a journal does."""
    apply = rest.rooms.apply

    async def applied(document_id: int, update: bytes, author: UUID | None) -> ports.Applied:
        became = await apply(document_id, update, author)
        await rest.run(INSERT, document_id, author, update, rest.time.now())
        return became

    monkeypatch.setattr(rest.rooms, "apply", applied)


@contextlib.asynccontextmanager
async def commits_break(rest: Rest, message: str) -> AsyncGenerator[None]:
    """PostgreSQL is shut down at the moment when a commit of this message is written."""
    await rest.run(
        """CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END $$"""
    )
    # One that says this and no other: what comes before it is written.
    await rest.run("CREATE TABLE breaking (message text)")
    await rest.run("INSERT INTO breaking VALUES (%s)", message)
    await rest.run(
        """CREATE FUNCTION chosen(given text) RETURNS boolean LANGUAGE sql STABLE AS
        'SELECT EXISTS (SELECT FROM breaking WHERE message = given)'"""
    )
    await rest.run(
        """CREATE TRIGGER breaks BEFORE INSERT ON commits FOR EACH ROW
        WHEN (chosen(NEW.message)) EXECUTE FUNCTION breaks()"""
    )
    try:
        yield
    finally:
        await rest.run("DROP TRIGGER breaks ON commits")
        await rest.run("DROP FUNCTION chosen(text)")
        await rest.run("DROP FUNCTION breaks()")
        await rest.run("DROP TABLE breaking")


async def branched(who: Person, project: dict[str, Any], name: str, **source: str) -> None:
    """A new branch, of main as it is unless told otherwise."""
    made = await who("POST", at(project, "/branch"), json={"name": name} | source)
    assert made.status_code == 201, made.text


async def edit(
    who: Person, project: dict[str, Any], branch: str, change: Callable[[Doc[Any]], None]
) -> None:
    """Change a branch's live document."""
    of = {"branch": branch}
    doc: Doc[Any] = Doc()
    doc.apply_update((await who("GET", at(project, "/snapshot"), params=of)).content)
    before = doc.get_state()
    with doc.transaction():
        change(doc)
    headers = {"Content-Type": OCTETS}
    done = await who(
        "POST", at(project, "/updates"), content=doc.get_update(before), headers=headers, params=of
    )
    assert done.status_code == 200, done.text


async def says(who: Person, project: dict[str, Any], branch: str = "main") -> dict[str, Any]:
    """All that a branch says now."""
    asked = {"format": "json", "branch": branch}
    found = await who("GET", at(project, "/snapshot"), params=asked)
    assert found.status_code == 200, found.text
    return found.json()


async def merged(
    who: Person, project: dict[str, Any], source: str, into: str = "main", **wish: object
) -> dict[str, Any]:
    """The answer to a merge."""
    path = at(project, f"/branches/{source}/merge")
    done = await who("POST", path, json={"into": into} | wish)
    assert done.status_code == 200, done.text
    return done.json()


async def picked(
    who: Person, project: dict[str, Any], commit: dict[str, Any], into: str, **wish: object
) -> dict[str, Any]:
    """The answer to a cherry-pick."""
    body = {"commitId": commit["id"], "into": into} | wish
    done = await who("POST", at(project, "/cherry-pick"), json=body)
    assert done.status_code == 200, done.text
    return done.json()


async def reverted(
    who: Person, project: dict[str, Any], commit: dict[str, Any], **wish: object
) -> dict[str, Any]:
    """The answer to a revert."""
    done = await who("POST", at(project, "/revert"), json={"commitId": commit["id"]} | wish)
    assert done.status_code == 200, done.text
    return done.json()


async def committed(
    who: Person, project: dict[str, Any], branch: str = "main", message: str = "A take"
) -> dict[str, Any]:
    """Commit what a branch says now."""
    body = {"message": message, "branch": branch}
    made = await who("POST", at(project, "/commit"), json=body)
    assert made.status_code == 201, made.text
    return made.json()


async def log(who: Person, project: dict[str, Any], branch: str = "main") -> list[dict[str, Any]]:
    """A branch's commits, newest first."""
    found = await who("GET", at(project, "/commits"), params={"branch": branch, "limit": "100"})
    assert found.status_code == 200, found.text
    return found.json()["items"]


def stems(doc: Doc[Any]) -> Map[Any]:
    return doc.get("stems", type=Map)


def segments(doc: Doc[Any]) -> Map[Any]:
    return doc.get("segments", type=Map)


async def untouched(who: Person, project: dict[str, Any], rest: Rest) -> tuple[Any, ...]:
    """All that a merge could change."""
    names = [each["name"] for each in (await who("GET", at(project, "/branches"))).json()["items"]]
    async with rest.services.database.connection() as tx:
        states = await (await tx.execute("SELECT count(*) FROM states")).fetchall()
        heads = await (await tx.execute("SELECT id, head FROM documents ORDER BY id")).fetchall()
    logs = [await log(who, project, name) for name in names]
    contents = [await says(who, project, name) for name in names]
    return states, heads, logs, contents, len(rest.rooms.applied)


async def torn(anna: Person, project: dict[str, Any]) -> None:
    """Two branches that disagree in every way."""

    def begin(doc: Doc[Any]) -> None:
        doc["notes"] = Text("slow song")
        stems(doc).update(
            {
                "bass": Map({"name": "Bass", "volume": 1}),
                "drums": Map({"name": "Drums"}),
                "lead": Map({"name": "Lead"}),
            }
        )

    def ours(doc: Doc[Any]) -> None:
        stems(doc)["bass"]["volume"] = 0.5
        del stems(doc)["drums"]
        del stems(doc)["lead"]
        doc.get("notes", type=Text).insert(0, "very ")

    def theirs(doc: Doc[Any]) -> None:
        stems(doc)["bass"]["volume"] = 0.2
        stems(doc)["drums"]["name"] = "Kit"
        segments(doc)["g1"] = Map({"stemId": "lead", "start": 0})
        doc.get("notes", type=Text).insert(9, " in D")

    await edit(anna, project, "main", begin)
    await committed(anna, project)
    await branched(anna, project, "intro")
    await edit(anna, project, "main", ours)
    await edit(anna, project, "intro", theirs)

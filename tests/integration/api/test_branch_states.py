"""States of branches over REST: commit, diff and restore where `branch` says, and to a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pycrdt
import pytest

from .crew import at, joined, proven
from .rest import refused
from .takes import commit, live, write

if TYPE_CHECKING:
    from .rest import Person, Rest


async def branched(who: Person, project: dict[str, Any], name: str = "side") -> None:
    made = await who("POST", at(project, "/branch"), json={"name": name})
    assert made.status_code == 201, made.text


async def diffed(who: Person, project: dict[str, Any], **query: str) -> dict[str, Any]:
    found = await who("GET", at(project, "/diff"), params=query)
    assert found.status_code == 200, found.text
    return found.json()


async def test_a_branch_is_brought_back_and_main_stays(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await commit(anna, project, bpm=121)
    await branched(anna, project)
    await write(anna, project, "side", bpm=90)
    body = {"commitId": first["id"], "branch": "side"}
    done = await anna("POST", at(project, "/restore"), json=body)
    assert done.json()["applied"] is True, done.text
    assert await live(anna, project, "side") == {"bpm": 120}
    assert await live(anna, project) == {"bpm": 121}
    # A branch takes its state from any commit of the project, also from another branch's.
    theirs = await commit(anna, project, "side", bpm=90, swing=1)
    done = await anna("POST", at(project, "/restore"), json={"commitId": theirs["id"]})
    assert done.json()["applied"] is True, done.text
    assert await live(anna, project) == {"bpm": 90, "swing": 1}


async def test_each_branch_has_its_own_newest_commit(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await branched(anna, project)
    side = await commit(anna, project, "side", bpm=90)
    main = await commit(anna, project, bpm=121)
    assert side["parents"] == main["parents"] == [first["id"]]
    body = {"message": "Again", "branch": "side"}
    refused(await anna("POST", at(project, "/commit"), json=body), 409, "nothing_to_commit")
    for name, ids in (("side", [side, first]), ("main", [main, first])):
        page = await anna("GET", at(project, "/commits"), params={"branch": name})
        assert [each["id"] for each in page.json()["items"]] == [each["id"] for each in ids]


async def test_a_diff_names_branches(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await branched(anna, project)
    await write(anna, project, "side", swing=1)
    one = await diffed(anna, project, **{"from": "live", "to": "branch:side"})
    assert "swing" in str(one["changes"])
    other = await diffed(anna, project, **{"from": first["id"], "to": "live", "branch": "side"})
    assert other["changes"] == one["changes"]
    same = await diffed(anna, project, **{"from": "branch:main", "to": first["id"]})
    assert same["changes"] == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"from": "branch:nobody's"}, 404, "branch_not_found"),
        ({"from": "branch:"}, 404, "branch_not_found"),
        ({"from": "branch:a\x00b"}, 404, "branch_not_found"),
        ({"from": "live", "branch": "side"}, 404, "branch_not_found"),
        ({"from": "time:1999-01-01T00:00:00Z"}, 410, "too_long_ago"),
        ({"from": "time:0001-01-01T00:00:00+23:59"}, 410, "too_long_ago"),
        ({"from": "time:"}, 422, "validation_failed"),
        ({"from": "time:now"}, 422, "validation_failed"),
        ({"from": "time:2026-01-01T00:00:00"}, 422, "validation_failed"),
        ({"from": "main"}, 422, "validation_failed"),
        ({"from": "live", "branch": ""}, 422, "validation_failed"),
        ({"from": "live", "branch": "x" * 101}, 422, "validation_failed"),
    ],
)
async def test_what_is_no_state_is_refused(
    rest: Rest, query: dict[str, str], status: int, code: str
) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("GET", at(project, "/diff"), params=query), status, code)


async def test_the_last_moment_of_all_has_not_come(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    for moment in ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-23:59"):
        asked = {"from": f"time:{moment}", "to": "live"}
        answer = await anna("GET", at(project, "/diff"), params=asked)
        assert refused(answer, 422, "validation_failed")["path"] == "$.from"


async def test_a_branch_is_brought_back_to_a_time_of_its_own(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await write(anna, project, bpm=120)
    early = (rest.time.now() - timedelta(seconds=1)).isoformat()
    await branched(anna, project)
    begun = (rest.time.now() + timedelta(seconds=1)).isoformat()
    await _journaled(rest, project, "side", minutes=1, bpm=90)
    between = (rest.time.now() + timedelta(minutes=2)).isoformat()
    await _journaled(rest, project, "side", minutes=3, bpm=80)
    await write(anna, project, "side", bpm=70)
    rest.time.ahead += timedelta(minutes=4)

    async def back(to: str) -> dict[str, Any]:
        body = {"time": to, "branch": "side"}
        done = await anna("POST", at(project, "/restore"), json=body)
        assert done.status_code == 200, done.text
        return await live(anna, project, "side")

    assert (await back(between))["bpm"] == 90
    assert (await back(begun))["bpm"] == 120
    body = {"time": early, "branch": "side"}
    refused(await anna("POST", at(project, "/restore"), json=body), 410, "too_long_ago")
    assert await live(anna, project) == {"bpm": 120}


async def _journaled(
    rest: Rest, project: dict[str, Any], name: str, *, minutes: int, **values: object
) -> None:
    """What a branch's room would have journaled, so many minutes from now."""
    async with rest.services.database.connection() as tx:
        row = await (
            await tx.execute(
                "SELECT id FROM documents WHERE project_id = %s AND branch = %s",
                (project["id"], name),
            )
        ).fetchone()
        assert row is not None
        doc: pycrdt.Doc[Any] = pycrdt.Doc()
        doc.apply_update(await rest.rooms.snapshot(row[0]))
        before = doc.get_state()
        for key, value in values.items():
            doc.get("project", type=pycrdt.Map)[key] = value
        update = doc.get_update(before)
        await rest.rooms.apply(row[0], update, None)
        await tx.execute(
            "INSERT INTO journal (document_id, payload, created_at) VALUES (%s, %s, %s)",
            (row[0], update, rest.time.now() + timedelta(minutes=minutes)),
        )


async def test_who_reads_restores_nothing_on_any_branch(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await branched(anna, project)
    await write(anna, project, "side", bpm=90)
    viewer = await joined(rest, anna, project, "viewer")
    body = {"commitId": first["id"], "branch": "side"}
    refused(await viewer("POST", at(project, "/restore"), json=body), 403, "not_allowed")
    unknown = body | {"branch": "nobody's"}
    refused(await anna("POST", at(project, "/restore"), json=unknown), 404, "branch_not_found")
    assert await live(anna, project, "side") == {"bpm": 90}


async def test_a_protected_branch_is_not_even_looked_at(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    editor = await joined(rest, anna, project, "editor")
    first = await commit(anna, project, bpm=120)
    await branched(anna, project)
    await write(anna, project, "side", bpm=90)
    keep = await anna("PATCH", at(project, "/branches/side"), json={"protected": True})
    assert keep.status_code == 200
    body = {"commitId": first["id"], "branch": "side"}
    edits = len(rest.rooms.applied)
    monkeypatch.setattr(rest.rooms, "refuse", AssertionError("nobody asks the room"))
    refused(await editor("POST", at(project, "/restore"), json=body), 403, "branch_protected")
    assert len(rest.rooms.applied) == edits


async def test_what_is_written_while_a_branch_is_being_deleted_keeps_it(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project)
    look = rest.rooms.snapshot

    async def looked(document_id: int) -> bytes:
        said = await look(document_id)
        monkeypatch.setattr(rest.rooms, "snapshot", look)
        await write(anna, project, "side", bpm=90)
        return said

    monkeypatch.setattr(rest.rooms, "snapshot", looked)
    kept = await anna("DELETE", at(project, "/branches/side"))
    assert (kept.status_code, kept.json()["code"]) == (409, "branch_unmerged")
    assert (await anna("DELETE", at(project, "/branches/side?force=true"))).status_code == 204

"""Documents over REST: snapshots come out, updates go in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import pytest
from pycrdt import Doc, Map, Text

from api import documents, ports
from base.db import DatabaseUnavailable

from .crew import joined, linked, proven
from .rest import refused

if TYPE_CHECKING:
    import httpx

    from base.errors import AppError

    from .rest import Rest


def edit(**values: object) -> bytes:
    """An update that sets values of the root `project`."""
    doc: Doc[Any] = Doc()
    doc["project"] = root = Map[object]()
    for name, value in values.items():
        root[name] = value
    return doc.get_update()


def at(project: dict[str, Any], rest: str) -> str:
    return f"/api/projects/{project['id']}/{rest}"


async def test_an_update_that_is_posted_is_in_the_snapshot(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    headers = {"Content-Type": "application/octet-stream"}
    response = await anna("POST", at(project, "updates"), content=edit(bpm=120), headers=headers)
    assert response.status_code == 200
    assert response.json() == {"applied": True, "pending": False, "durable": True}
    assert [author for _, author in rest.rooms.applied] == [UUID(anna.user["id"])]

    snapshot = await anna("GET", at(project, "snapshot"))
    assert snapshot.headers["content-type"] == "application/octet-stream"
    doc: Doc[Any] = Doc()
    doc.apply_update(snapshot.content)
    assert doc.get("project", type=Map).to_py() == {"bpm": 120}

    as_json = await anna("GET", at(project, "snapshot"), params={"format": "json"})
    assert as_json.headers["content-type"] == "application/json"
    # Compared as text: a number that was whole must come back whole, 120 and not 120.0.
    assert as_json.text == '{"project":{"bpm":120}}'


@pytest.mark.parametrize(
    ("role", "permissions", "edits", "exports"),
    [
        ("admin", {}, 200, 200),
        ("editor", {}, 200, 200),
        ("editor", {"canEdit": False}, 403, 200),
        ("editor", {"canExport": False}, 200, 403),
        ("viewer", {}, 403, 200),
        ("viewer", {"canExport": False}, 403, 403),
    ],
)
async def test_a_collaborator_does_what_the_permissions_say(
    rest: Rest, role: str, permissions: dict[str, bool], edits: int, exports: int
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, role, **permissions)
    posted = await bert("POST", at(project, "updates"), content=edit(bpm=120))
    assert posted.status_code == edits
    assert len(rest.rooms.applied) == (1 if edits == 200 else 0)
    for query in ("", "?format=json"):
        assert (await bert("GET", at(project, f"snapshot{query}"))).status_code == exports


async def test_a_share_link_reads_and_an_account_with_one_edits(rest: Rest) -> None:
    anna, bert = await proven(rest), await rest.person()
    project = await anna.project()
    token = (await linked(anna, project, role="editor"))["token"]
    guest = {"Authorization": f"Bearer {token}"}
    answer = await rest.client.get(at(project, "snapshot"), headers=guest)
    assert answer.status_code == 200
    refused(await bert("POST", at(project, "updates"), content=edit(a=1)), 404, "project_not_found")
    both = {"Share-Link": token}
    posted = await bert("POST", at(project, "updates"), content=edit(a=1), headers=both)
    assert posted.status_code == 200
    assert rest.rooms.applied[-1][1] == UUID(bert.user["id"])


async def test_who_may_edit_by_the_door_does_so_over_rest_too(rest: Rest) -> None:
    anna = await proven(rest)
    project, open_to_all = await anna.project(), await anna.project(guestRole="editor")
    token = (await linked(anna, project, role="editor"))["token"]
    for made, headers in (
        (project, {"Authorization": f"Bearer {token}"}),
        (project, {"Share-Link": token}),
        (open_to_all, {}),
    ):
        rest.rooms.applied.clear()
        answer = await rest.client.post(at(made, "updates"), content=edit(a=1), headers=headers)
        assert answer.status_code == 200, answer.text
        assert [author for _, author in rest.rooms.applied] == [None]
    bert = await rest.person()
    by_account = await bert("POST", at(open_to_all, "updates"), content=edit(b=1))
    assert by_account.status_code == 200


async def test_who_may_only_look_is_told_what_would_help(rest: Rest) -> None:
    anna, bert = await proven(rest), await rest.person()
    private, public = await anna.project(), await anna.project(isPublic=True)
    token = (await linked(anna, private, role="viewer"))["token"]

    async def post(project: dict[str, Any], **headers: str) -> httpx.Response:
        return await rest.client.post(at(project, "updates"), content=edit(a=1), headers=headers)

    refused(await post(public), 401, "token_missing")
    refused(await post(private), 404, "project_not_found")
    for shown in ({"Authorization": f"Bearer {token}"}, {"Share-Link": token}):
        refused(await post(private, **shown), 403, "not_allowed")
        # Elsewhere the link is nothing; but something was shown.
        refused(await post(public, **shown), 403, "not_allowed")
    refused(await bert("POST", at(public, "updates"), content=edit(a=1)), 403, "not_allowed")
    refused(await post(public, Authorization="Bearer nobody's"), 401, "token_invalid")
    assert rest.rooms.applied == []


async def test_an_update_that_comes_twice_changes_nothing(rest: Rest) -> None:
    anna = await rest.person()
    project, update = await anna.project(), edit(bpm=120)
    assert (await anna("POST", at(project, "updates"), content=update)).json()["applied"] is True
    again = await anna("POST", at(project, "updates"), content=update)
    assert again.json() == {"applied": False, "pending": False, "durable": True}


async def test_every_project_has_a_document_of_its_own(rest: Rest) -> None:
    anna = await rest.person()
    one, two = await anna.project(), await anna.project()
    await anna("POST", at(one, "updates"), content=edit(bpm=120))
    assert (await anna("GET", at(two, "snapshot?format=json"))).json() == {}


async def test_a_snapshot_is_downloaded_only_when_it_has_changed(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project(name="Ночь")
    await anna("POST", at(project, "updates"), content=edit(bpm=120))
    first = await anna("GET", at(project, "snapshot"))
    assert first.headers["content-disposition"].startswith("attachment; filename=")
    assert first.headers["cache-control"] == "private, no-cache"
    held = {"If-None-Match": first.headers["etag"]}
    current = await anna("GET", at(project, "snapshot"), headers=held)
    assert (current.status_code, current.content) == (304, b"")
    assert current.headers["etag"] == first.headers["etag"]
    as_json = await anna("GET", at(project, "snapshot?format=json"), headers=held)
    assert as_json.status_code == 200
    await anna("POST", at(project, "updates"), content=edit(bpm=121))
    changed = await anna("GET", at(project, "snapshot"), headers=held)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("parts", [1, 3, 7])
async def test_a_large_snapshot_comes_out_whole(rest: Rest, parts: int) -> None:
    anna = await rest.person()
    project = await anna.project()
    for number in range(parts):
        doc: Doc[Any] = Doc()
        doc[f"text{number}"] = Text("x" * 50_000)
        await anna("POST", at(project, "updates"), content=doc.get_update())
    found = (await anna("GET", at(project, "snapshot?format=json"))).json()
    assert {name: len(text) for name, text in found.items()} == {
        f"text{number}": 50_000 for number in range(parts)
    }
    assert (await anna("GET", at(project, "snapshot"))).status_code == 200


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 20, b"\x01", b"garbage", b"{}"])
async def test_what_is_no_update_is_malformed(rest: Rest, content: bytes) -> None:
    anna = await rest.person()
    project = await anna.project()
    response = await anna("POST", at(project, "updates"), content=content)
    refused(response, 400, "malformed_update")
    assert rest.rooms.applied == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ports.MalformedUpdate, 400),
        (ports.PoisonUpdate, 400),
        (ports.DocumentTooLarge, 413),
        (ports.PendingTooMany, 429),
        (ports.RoomUnavailable, 503),
        (DatabaseUnavailable, 503),
    ],
)
async def test_what_the_room_refuses_is_answered_with_its_code(
    rest: Rest, error: type[AppError], status: int
) -> None:
    anna = await rest.person()
    project = await anna.project()
    rest.rooms.refuse = error()
    refused(await anna("POST", at(project, "updates"), content=edit(a=1)), status, error.code)


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data"])
async def test_an_update_of_another_type_is_refused(rest: Rest, kind: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    headers = {"Content-Type": kind}
    response = await anna("POST", at(project, "updates"), content=edit(a=1), headers=headers)
    refused(response, 415, "unsupported_media_type")


async def test_an_update_larger_than_a_frame_is_refused(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    limit = rest.services.settings.max_frame_bytes
    response = await anna("POST", at(project, "updates"), content=b"x" * (limit + 1))
    assert refused(response, 413, "body_too_large")["limitBytes"] == limit
    response = await anna("POST", at(project, "updates"), content=b"\xff" * limit)
    refused(response, 400, "malformed_update")


async def test_a_journal_that_does_not_answer_is_not_waited_for_without_end(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def apply(_document_id: int, _update: bytes, _author: UUID) -> ports.Applied:
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(documents, "DURABLE_SECONDS", 0.01)
    monkeypatch.setattr(rest.rooms, "apply", apply)
    anna = await rest.person()
    project = await anna.project()
    response = await anna("POST", at(project, "updates"), content=edit(a=1))
    refused(response, 503, "not_yet_durable")
    assert "retry-after" in response.headers


@pytest.mark.parametrize("query", ["format=als", "format=", "format=YJS"])
async def test_a_snapshot_of_another_format_is_refused(rest: Rest, query: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("GET", at(project, f"snapshot?{query}")), 422, "validation_failed")

"""History over REST: commits, the log, tags, what changed. Restoring: `test_restore`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from pycrdt import Doc, Map

from api import ports
from base import ids

from .crew import at, joined, linked, proven
from .rest import refused
from .takes import commit, live, tagged, write

if TYPE_CHECKING:
    from .rest import Person, Rest


async def test_a_commit_tells_who_when_what_and_of_which_content(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await write(anna, project, bpm=120)
    response = await anna("POST", at(project, "/commit"), json={"message": " One\ntwo "})
    assert response.status_code == 201
    made = response.json()
    assert response.headers["location"] == at(project, f"/commits/{made['id']}")
    assert (made["message"], made["branch"], made["parents"]) == ("One\ntwo", "main", [])
    assert made["author"] == anna.user["id"]
    assert len(made["contentHash"]) == 64
    assert made["changes"]["counts"][0]["kind"] == "added"
    assert (await anna("GET", at(project, f"/commits/{made['id']}"))).json() == made
    second = await commit(anna, project, bpm=121)
    assert second["parents"] == [made["id"]]
    assert second["contentHash"] != made["contentHash"]


async def test_what_says_the_same_as_the_newest_commit_is_not_committed(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    body = {"message": "Again"}
    refused(await anna("POST", at(project, "/commit"), json=body), 409, "nothing_to_commit")
    await write(anna, project, bpm=121)
    await write(anna, project, bpm=120)
    refused(await anna("POST", at(project, "/commit"), json=body), 409, "nothing_to_commit")
    await commit(anna, project, bpm=122)
    # Not the newest one, but one before: that is a commit, of a content that is known.
    back = await commit(anna, project, bpm=120)
    assert back["contentHash"] == first["contentHash"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": " \n "},
        {"message": "x" * 2001},
        {"message": "a\x00b"},
        {"message": 7},
        {"message": "x", "author": str(ids.new_id())},
    ],
)
async def test_a_commit_without_a_proper_message_is_refused(
    rest: Rest, body: dict[str, object]
) -> None:
    anna = await rest.person()
    project = await anna.project()
    await write(anna, project, bpm=120)
    refused(await anna("POST", at(project, "/commit"), json=body), 422, "validation_failed")
    whole = await anna("POST", at(project, "/commit"), json={"message": "x" * 2000})
    assert whole.status_code == 201


async def pages(who: Person, project: dict[str, Any], **query: str) -> list[list[str]]:
    """The ids of a log, page by page."""
    found: list[list[str]] = []
    while True:
        page = await who("GET", at(project, "/commits"), params=query)
        assert page.status_code == 200, page.text
        found.append([each["id"] for each in page.json()["items"]])
        if page.json()["nextCursor"] is None:
            return found
        query["cursor"] = page.json()["nextCursor"]


async def test_the_log_comes_in_pages_newest_first(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    assert await pages(anna, project) == [[]]
    made = [(await commit(anna, project, bpm=bpm))["id"] for bpm in range(100, 105)]
    newest_first = made[::-1]
    assert await pages(anna, project) == [newest_first]
    assert await pages(anna, project, limit="2") == [
        newest_first[:2],
        newest_first[2:4],
        newest_first[4:],
    ]


async def test_the_log_is_of_an_author_or_before_a_time(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    first = await commit(anna, project, bpm=100)
    between = (rest.time.now() + timedelta(minutes=1)).isoformat()
    rest.time.ahead += timedelta(minutes=2)
    second = await commit(bert, project, bpm=101)
    assert await pages(anna, project, author=bert.user["id"]) == [[second["id"]]]
    assert await pages(anna, project, before=between) == [[first["id"]]]
    assert await pages(anna, project, before=between, author=bert.user["id"]) == [[]]
    assert await pages(anna, project, author=str(ids.new_id())) == [[]]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"cursor": "nobody's"}, "cursor_invalid"),
        ({"cursor": "b" + "A" * 40}, "cursor_invalid"),
        ({"limit": "0"}, "validation_failed"),
        ({"limit": "101"}, "validation_failed"),
        ({"author": "anna"}, "validation_failed"),
        ({"before": "yesterday"}, "validation_failed"),
        ({"before": "2026-01-01T00:00:00"}, "validation_failed"),
    ],
)
async def test_a_log_is_asked_for_properly(rest: Rest, query: dict[str, str], code: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("GET", at(project, "/commits"), params=query), 422, code)


async def test_a_commit_is_downloaded_as_it_was(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    made = await commit(anna, project, bpm=120)
    await commit(anna, project, bpm=121, key="D")
    path = at(project, f"/commits/{made['id']}/snapshot")
    snapshot = await anna("GET", path)
    assert snapshot.headers["content-type"] == "application/octet-stream"
    assert snapshot.headers["content-disposition"].startswith("attachment; filename=")
    doc: Doc[Any] = Doc()
    doc.apply_update(snapshot.content)
    assert doc.get("project", type=Map).to_py() == {"bpm": 120}
    as_json = await anna("GET", path, params={"format": "json"})
    assert as_json.text == '{"project":{"bpm":120}}'
    held = {"If-None-Match": snapshot.headers["etag"]}
    current = await anna("GET", path, headers=held)
    assert (current.status_code, current.content) == (304, b"")
    assert (await anna("GET", path + "?format=json", headers=held)).status_code == 200


async def test_a_commit_of_another_project_is_none_of_this_one(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    project, other, foreign = await anna.project(), await anna.project(), await bert.project()
    await commit(anna, project, bpm=120)
    for stranger, owner in ((other, anna), (foreign, bert)):
        made = await commit(owner, stranger, bpm=99)
        await tagged(owner, stranger, made, "theirs")
        unknown = (made["id"], str(ids.new_id()), "nobody's", "{" + made["id"] + "}")
        for commit_id in unknown:
            for path in (f"/commits/{commit_id}", f"/commits/{commit_id}/snapshot"):
                refused(await anna("GET", at(project, path)), 404, "commit_not_found")
        for commit_id in unknown[:2]:
            for query in ({"from": commit_id}, {"from": "live", "to": commit_id}):
                answer = await anna("GET", at(project, "/diff"), params=query)
                refused(answer, 404, "commit_not_found")
            body = {"commitId": commit_id}
            answer = await anna("POST", at(project, "/restore"), json=body)
            refused(answer, 404, "commit_not_found")
            answer = await anna("POST", at(project, "/tags"), json=body | {"name": "mine"})
            refused(answer, 404, "commit_not_found")
        answer = await anna("POST", at(project, "/restore"), json={"tag": "theirs"})
        refused(answer, 404, "tag_not_found")
        refused(await anna("DELETE", at(project, "/tags/theirs")), 404, "tag_not_found")
    assert await live(anna, project) == {"bpm": 120}
    assert (await anna("GET", at(project, "/tags"))).json() == {"items": []}


@pytest.mark.parametrize(
    "name", ["v1", "release/1.0", "a b", "Größe", "100%?", "#1 & more", "日本", "a+b", "x" * 100]
)
async def test_a_tag_is_given_found_and_taken_away(rest: Rest, name: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    made = await commit(anna, project, bpm=120)
    tag = await tagged(anna, project, made, name)
    assert (tag["name"], tag["commitId"]) == (name, made["id"])
    assert tag["createdBy"] == anna.user["id"]
    assert (await anna("GET", at(project, "/tags"))).json() == {"items": [tag]}
    again = {"name": name, "commitId": made["id"]}
    refused(await anna("POST", at(project, "/tags"), json=again), 409, "tag_taken")
    found = await anna("GET", at(project, "/diff"), params={"from": f"tag:{name}"})
    assert found.json()["changes"] == []
    path = at(project, f"/tags/{quote(name, safe='')}")
    assert (await anna("DELETE", path)).status_code == 204
    refused(await anna("DELETE", path), 404, "tag_not_found")
    assert (await anna("GET", at(project, f"/commits/{made['id']}"))).status_code == 200


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "-x", "a..b", ".", "a\nb", "a\x00b", "\u202ea", "x" * 101]
)
async def test_a_name_that_a_tag_cannot_have_is_refused(rest: Rest, name: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    made = await commit(anna, project, bpm=120)
    body = {"name": name, "commitId": made["id"]}
    refused(await anna("POST", at(project, "/tags"), json=body), 422, "tag_invalid")
    answer = await anna("GET", at(project, "/diff"), params={"from": f"tag:{name}"})
    refused(answer, 404, "tag_not_found")


async def test_a_diff_is_between_commits_tags_and_the_live_document(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    second = await commit(anna, project, bpm=121)
    await tagged(anna, project, second, "take 2")
    await write(anna, project, bpm=122)

    async def between(**query: str) -> tuple[object, object] | None:
        found = await anna("GET", at(project, "/diff"), params=query)
        assert found.status_code == 200, found.text
        assert found.headers["content-type"] == "application/json"
        changes = found.json()["changes"]
        return (changes[0]["before"], changes[0]["after"]) if changes else None

    assert await between(**{"from": first["id"], "to": second["id"]}) == (120, 121)
    assert await between(**{"from": second["id"], "to": first["id"]}) == (121, 120)
    assert await between(**{"from": first["id"], "to": "tag:take 2"}) == (120, 121)
    assert await between(**{"from": "tag:take 2"}) == (121, 122)
    assert await between(**{"from": "live", "to": first["id"]}) == (122, 120)
    assert await between(**{"from": "live"}) is None
    text = await anna("GET", at(project, "/diff"), params={"from": first["id"], "format": "text"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "120 → 122" in text.text


@pytest.mark.parametrize(
    "query",
    [{}, {"to": "live"}, {"from": ""}, {"from": "main"}, {"from": "live", "format": "xml"}],
)
async def test_a_diff_is_asked_for_properly(rest: Rest, query: dict[str, str]) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("GET", at(project, "/diff"), params=query), 422, "validation_failed")


async def test_who_may_not_see_the_people_is_not_told_who_committed(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project(isPublic=True)
    made = await commit(anna, project, bpm=120)
    await tagged(anna, project, made, "v1")
    guest = {"Authorization": f"Bearer {(await linked(anna, project))['token']}"}
    for headers, status, code in (({}, 401, "token_missing"), (guest, 403, "not_allowed")):
        log = await rest.client.get(at(project, "/commits"), headers=headers)
        assert log.json()["items"] == [made | {"author": None}]
        one = await rest.client.get(at(project, f"/commits/{made['id']}"), headers=headers)
        assert one.json() == made | {"author": None}
        tags = await rest.client.get(at(project, "/tags"), headers=headers)
        assert tags.json()["items"][0]["createdBy"] is None
        # Nor by asking for everybody in turn.
        asked = {"author": anna.user["id"]}
        answer = await rest.client.get(at(project, "/commits"), headers=headers, params=asked)
        refused(answer, status, code)


async def test_what_cannot_be_had_is_said(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    made = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    rest.rooms.refuse = ports.RoomUnavailable()
    for method, path, body in (
        ("POST", "/commit", {"message": "x"}),
        ("GET", f"/diff?from={made['id']}", None),
        ("POST", "/restore", {"commitId": made["id"]}),
    ):
        refused(await anna(method, at(project, path), json=body), 503, "room_unavailable")
    # What was committed needs no room.
    path = at(project, f"/commits/{made['id']}/snapshot")
    assert (await anna("GET", path)).status_code == 200
    await rest.run("UPDATE states SET body = '\\x00'")
    refused(await anna("GET", path), 500, "snapshot_damaged")

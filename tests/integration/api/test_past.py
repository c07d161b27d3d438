"""The past over REST, told from a real journal: activity, moments, changes, blame. Rollback: `test_rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from pycrdt import Doc, Map

from base import clock, ids
from docstore.history import strokes

from .crew import at, joined, linked, proven
from .lived import compacted, edit, lived, removed, stem
from .rest import refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from base.db import Database
    from base.redis import Redis

    from .rest import Person, Rest


@pytest.fixture
async def rest(database: Database, redis: Redis, tmp_path: Path) -> AsyncGenerator[Rest]:
    async with lived(database, redis, tmp_path / "page") as here:
        yield here


def now() -> str:
    return clock.now().isoformat()


async def got(who: Person, project: dict[str, Any], path: str, **query: str) -> Any:
    found = await who("GET", at(project, path), params=query)
    assert found.status_code == 200, found.text
    return found.json()


async def items(who: Person, project: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    return (await got(who, project, "/history", **query))["items"]


async def duet(rest: Rest) -> tuple[Person, Person, dict[str, Any]]:
    anna = await proven(rest)
    project = await anna.project()
    return anna, await joined(rest, anna, project, "editor"), project


# ---------------------------------------------------------------- activity


@pytest.mark.parametrize("folded", [False, True])
async def test_activity_is_told_by_author_together_and_singly(rest: Rest, *, folded: bool) -> None:
    anna, bert, project = await duet(rest)
    before = now()
    for who, pan in ((anna, 1), (bert, 2), (anna, 3)):
        await edit(who, project, stem("bass", pan=pan))
    if folded:
        await compacted(rest)
    each = await items(anna, project, group="none", **{"from": before})
    ids_ = [anna.user["id"], bert.user["id"], anna.user["id"]]
    assert [one["authors"] for one in each] == [[one] for one in ids_]
    assert [one["updates"] for one in each] == [1, 1, 1]
    assert "touched" not in each[0]
    by_author = await items(anna, project, **{"from": before})
    assert [(one["authors"], one["updates"]) for one in by_author] == [
        ([anna.user["id"]], 2),
        ([bert.user["id"]], 1),
    ]
    assert by_author[0]["from"] == each[2]["from"]
    assert by_author[0]["to"] == each[0]["to"]
    assert by_author[0]["bytes"] == each[0]["bytes"] + each[2]["bytes"]
    (together,) = await items(anna, project, group="time", **{"from": before})
    assert together["authors"] == [anna.user["id"], bert.user["id"]]
    assert (together["updates"], together["branch"]) == (3, "main")
    (his,) = await items(anna, project, by=bert.user["id"])
    assert (his["authors"], his["updates"]) == ([bert.user["id"]], 1)
    upto = await items(anna, project, to=each[1]["to"], group="none", **{"from": before})
    assert upto == each[1:]
    assert await items(anna, project, by=str(ids.new_id())) == []


@pytest.mark.parametrize("narrow", [False, True])
async def test_activity_comes_in_pages_that_meet(
    rest: Rest, monkeypatch: pytest.MonkeyPatch, *, narrow: bool
) -> None:
    anna, bert, project = await duet(rest)
    for number in range(7):
        await edit(bert if number % 3 else anna, project, stem("bass", pan=number))
        if number in (1, 3):
            await compacted(rest)
    if narrow:
        # As if there were more than is looked at once.
        monkeypatch.setattr(strokes, "_TAIL", 1)
        monkeypatch.setattr(strokes, "_BATCH_BYTES", 1)
    for group in ("none", "author", "time"):
        whole = await items(anna, project, group=group)
        assert sum(each["updates"] for each in whole) >= 7
        found: list[dict[str, Any]] = []
        query = {"group": group, "limit": "1"}
        while True:
            page = await got(anna, project, "/history", **query)
            found += page["items"]
            if page["nextCursor"] is None:
                break
            query["cursor"] = page["nextCursor"]
        assert found == whole


async def test_activity_says_what_was_touched(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    before = now()
    await edit(anna, project, stem("bass", pan=1))
    await edit(anna, project, stem("drums/kick", pan=1))
    await edit(bert, project, stem("bass", pan=2))
    found = await items(anna, project, details="true", **{"from": before})
    assert [[each["path"] for each in one["touched"]] for one in found] == [
        [["stems", "bass"]],
        [["stems", "bass"], ["stems", "drums/kick"]],
    ]
    assert found[0]["touched"] == [{"type": "stem", "id": "bass", "path": ["stems", "bass"]}]
    assert found[0]["more"] == 0
    (kick,) = await items(anna, project, entity="stems/drums%2Fkick", **{"from": before})
    assert (kick["authors"], kick["updates"]) == ([anna.user["id"]], 1)
    bass = await items(anna, project, entity="stems/bass/pan", group="none")
    assert [one["authors"] for one in bass] == [[bert.user["id"]], [anna.user["id"]]]
    assert await items(anna, project, entity="stems/bass", by=str(ids.new_id())) == []


async def test_things_of_openDAW_are_told_as_people_know_them(rest: Rest) -> None:
    anna, _, project = await duet(rest)
    channel, tape = "01c0ffee-0000-4000-8000-000000000001", "01c0ffee-0000-4000-8000-000000000002"
    before = now()

    def channels(doc: Doc[Any]) -> None:
        boxes = doc.get("boxes", type=Map)
        both: tuple[tuple[str, str, dict[str, Any]], ...] = (
            (channel, "AudioUnitBox", {"12": -3}),
            (tape, "TapeDeviceBox", {"1": f"{channel}/22", "2": "Bass"}),
        )
        for uuid, name, fields in both:
            boxes[uuid] = Map({"name": name, "fields": Map(fields)})

    def louder(doc: Doc[Any]) -> None:
        doc.get("boxes", type=Map)[channel]["fields"]["12"] = 0

    def gone(doc: Doc[Any]) -> None:
        del doc.get("boxes", type=Map)[tape]

    bass = {"type": "box", "id": channel, "path": ["boxes", channel], "name": "Bass"}
    bass["box"] = "AudioUnitBox"
    device = {"type": "box", "id": tape, "path": ["boxes", tape], "name": "Bass"}
    device |= {"box": "TapeDeviceBox", "in": bass}
    await edit(anna, project, channels)
    await edit(anna, project, louder)
    found = await items(anna, project, details="true", group="none", **{"from": before})
    assert found[0]["touched"] == [bass]
    assert sorted(found[1]["touched"], key=lambda each: each["id"]) == [bass, device]
    blamed = await got(anna, project, "/blame", entity=f"boxes/{channel}/fields/12")
    (knob,) = blamed["items"]
    assert (knob["entity"], knob["field"]) == (bass, "volume")
    assert knob["path"] == ["boxes", channel, "fields", "12"]
    made = await anna("POST", at(project, "/commit"), json={"message": "Bass"})
    counts = {each["noun"]: each for each in made.json()["changes"]["counts"]}
    assert counts["device"]["in"] == bass
    shown = await got(anna, project, "/diff", **{"from": f"time:{before}", "to": "live"})
    assert all(counts[each["noun"]] == each for each in shown["counts"])
    assert [each["noun"] for each in shown["counts"]] == ["channel", "device"]
    assert device in [each["entity"] for each in shown["changes"]]
    await edit(anna, project, gone)
    # What is not there any more is known by its place alone.
    blamed = await got(anna, project, "/blame", entity=f"boxes/{tape}")
    assert blamed["items"][0]["entity"] == {"type": "box", "id": tape, "path": ["boxes", tape]}


# ---------------------------------------------------------------- moments


@pytest.mark.parametrize("folded", [False, True])
async def test_a_document_is_told_as_it_was_at_any_moment(rest: Rest, *, folded: bool) -> None:
    anna, bert, project = await duet(rest)
    moments = [now()]
    for who, pan in ((anna, 1), (bert, 2), (anna, 3)):
        await edit(who, project, stem("bass", pan=pan))
        moments.append(now())
        if folded and pan == 2:
            await compacted(rest)
    for pan, moment in enumerate(moments):
        said = await got(bert, project, "/at", time=moment)
        assert said.get("stems", {}) == ({"bass": {"pan": pan}} if pan else {})
    raw = await bert("GET", at(project, "/at"), params={"time": moments[2], "format": "yjs"})
    doc: Doc[Any] = Doc()
    doc.apply_update(raw.content)
    assert doc.get("stems", type=Map).to_py() == {"bass": {"pan": 2}}
    held = {"If-None-Match": raw.headers["etag"]}
    path = at(project, f"/at?time={quote(moments[2])}")
    assert (await bert("GET", path + "&format=yjs", headers=held)).status_code == 304
    assert (await bert("GET", path, headers=held)).status_code == 200


async def test_a_moment_must_have_come_and_be_known(rest: Rest) -> None:
    anna, _, project = await duet(rest)
    long_ago = {"time": "2001-01-01T00:00:00Z"}
    refused(await anna("GET", at(project, "/at"), params=long_ago), 410, "too_long_ago")
    late = {"from": "2001-01-01T00:00:00Z"}
    refused(await anna("GET", at(project, "/changes"), params=late), 410, "too_long_ago")
    body = late | {"entities": ["stems/bass"]}
    refused(await anna("POST", at(project, "/rollback"), json=body), 410, "too_long_ago")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/at", {}),
        ("/at", {"time": "2100-01-01T00:00:00Z"}),
        ("/at", {"time": "2026-01-01T00:00:00"}),
        ("/at", {"time": "1767225600"}),
        ("/at", {"time": "0001-01-01T00:00:00+14:00"}),
        ("/at", {"time": "99999-01-01T00:00:00Z"}),
        ("/at", {"time": "2026-01-01T00:00:00Z", "format": "xml"}),
        ("/changes", {}),
        ("/changes", {"from": "2100-01-01T00:00:00Z"}),
        ("/changes", {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
        ("/changes", {"from": "2026-02-01T00:00:00Z", "format": "yjs", "by": str(ids.new_id())}),
        ("/history", {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
        ("/history", {"pause": "0"}),
        ("/history", {"group": "day"}),
        ("/history", {"by": "anna"}),
        ("/history", {"limit": "101"}),
        ("/history", {"entity": ""}),
        ("/blame", {}),
        ("/blame", {"entity": ""}),
        ("/blame", {"entity": "/"}),
        ("/blame", {"entity": "stems//pan"}),
        ("/blame", {"entity": "stems/%ff"}),
        ("/blame", {"entity": "x" * 1001}),
        ("/blame", {"entity": "/".join("x" * 17)}),
        ("/blame", {"entity": "stems", "branch": ""}),
    ],
)
async def test_the_past_is_asked_for_properly(rest: Rest, path: str, query: dict[str, str]) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("GET", at(project, path), params=query), 422, "validation_failed")


async def test_a_cursor_is_one_that_was_given_out(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    for cursor in ("x", "AAAA", "f" * 22, "_" * 21 + "8"):
        answer = await anna("GET", at(project, "/history"), params={"cursor": cursor})
        refused(answer, 422, "cursor_invalid")


# ---------------------------------------------------------------- changes


async def test_changes_between_two_moments_and_of_one_person(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0, gain=0))
    first = now()
    await edit(anna, project, stem("bass", pan=1))
    await edit(bert, project, stem("bass", gain=2))
    second = now()
    await edit(anna, project, stem("bass", pan=3))

    async def fields(**query: str) -> dict[str, tuple[object, object]]:
        found = await got(anna, project, "/changes", **{"from": first} | query)
        return {
            field["path"][-1]: (field["before"], field["after"])
            for change in found["changes"]
            for field in change["fields"]
        }

    assert await fields(to=second) == {"pan": (0, 1), "gain": (0, 2)}
    assert await fields() == {"pan": (0, 3), "gain": (0, 2)}
    assert await fields(to=second, by=bert.user["id"]) == {"gain": (0, 2)}
    assert await fields(by=anna.user["id"]) == {"pan": (0, 3)}
    assert await fields(to=first) == {}
    text = await anna("GET", at(project, "/changes"), params={"from": first, "format": "text"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "0 → 3" in text.text
    there = await anna("GET", at(project, "/at"), params={"time": first, "format": "yjs"})
    way = {"from": first, "to": second, "format": "yjs"}
    doc: Doc[Any] = Doc()
    doc.apply_update(there.content)
    doc.apply_update((await anna("GET", at(project, "/changes"), params=way)).content)
    assert doc.get("stems", type=Map).to_py() == {"bass": {"pan": 1, "gain": 2}}


# ---------------------------------------------------------------- blame


@pytest.mark.parametrize("folded", [False, True])
async def test_blame_says_who_when_and_in_which_commit(rest: Rest, *, folded: bool) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0, gain=0))
    await edit(bert, project, stem("bass", pan=1))
    made = await anna("POST", at(project, "/commit"), json={"message": "One"})
    await edit(anna, project, stem("drums", pan=0))
    await edit(bert, project, removed("drums"))
    if folded:
        await compacted(rest)

    async def told(entity: str) -> dict[str, tuple[str, bool, str | None]]:
        found = await got(anna, project, "/blame", entity=entity)
        assert found["more"] is False
        return {
            "/".join(each["path"]): (each["author"], each["removed"], each["commit"])
            for each in found["items"]
        }

    commit = made.json()["id"]
    hers, his = anna.user["id"], bert.user["id"]
    assert await told("stems/bass") == {
        "stems/bass": (his, False, commit),
        "stems/bass/gain": (hers, False, commit),
        "stems/bass/pan": (his, False, commit),
    }
    assert await told("stems/bass/gain") == {"stems/bass/gain": (hers, False, commit)}
    assert await told("stems/drums") == {"stems/drums": (his, True, None)}
    assert (await told("stems"))["stems"] == (his, False, None)
    for unknown in ("stems/nobody", "nothing", "a%00b", "stems/" + quote("\U0001f3b9" * 50)):
        assert await told(unknown) == {}


async def test_who_may_not_see_the_people_is_not_told_of_them(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(bert, project, stem("bass", pan=0))
    token = (await linked(anna, project))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    path = at(project, "/blame?entity=stems/bass")
    told = (await rest.client.get(path, headers=headers)).json()["items"]
    assert [(each["path"], each.get("field"), each["author"]) for each in told] == [
        (["stems", "bass"], None, None),
        (["stems", "bass", "pan"], "pan", None),
    ]
    activity = (await rest.client.get(at(project, "/history"), headers=headers)).json()["items"]
    assert activity
    assert all(each["authors"] is None for each in activity)
    for which in ("/history?", f"/changes?from={quote(project['createdAt'])}&"):
        answer = await rest.client.get(at(project, f"{which}by={bert.user['id']}"), headers=headers)
        refused(answer, 403, "not_allowed")


async def test_a_branch_goes_on_with_the_past_of_where_it_came_from(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0, gain=0))
    body = {"name": "wild", "sourceBranch": "main"}
    made = await anna("POST", at(project, "/branch"), json=body)
    assert made.status_code == 201, made.text
    await edit(bert, project, stem("bass", pan=1), branch="wild")
    await edit(anna, project, stem("bass", gain=9))
    found = await got(anna, project, "/blame", entity="stems/bass", branch="wild")
    told = {"/".join(each["path"]): (each["author"], each["branch"]) for each in found["items"]}
    assert told == {
        "stems/bass": (bert.user["id"], "wild"),
        "stems/bass/gain": (anna.user["id"], "main"),
        "stems/bass/pan": (bert.user["id"], "wild"),
    }
    activity = await items(anna, project, branch="wild", group="none", entity="stems/bass")
    assert [(each["branch"], each["updates"]) for each in activity] == [("wild", 1), ("main", 1)]
    whole = await items(anna, project, branch="wild", group="none")
    assert [each["branch"] for each in whole][:2] == ["wild", "main"]
    answer = await anna("GET", at(project, "/history"), params={"branch": "no"})
    refused(answer, 404, "branch_not_found")

"""Bundles over REST: made, listed, downloaded whole and in parts, brought in again."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pycrdt import Doc, Map

from api.bundles import ranged
from api.errors import RangeNotSatisfiable
from api.route import OCTETS, ZIP
from docstore import documents
from docstore.bundles import store
from docstore.history import content, verify

from .crew import at, joined, proven
from .rest import refused
from .takes import commit, live, tagged, write

if TYPE_CHECKING:
    from .rest import Person, Rest


async def made(who: Person, project: dict[str, Any], **body: object) -> dict[str, Any]:
    answer = await who("POST", at(project, "/bundles"), json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == at(project, f"/bundles/{answer.json()['version']}")
    return answer.json()


async def downloaded(who: Person, project: dict[str, Any], bundle: dict[str, Any]) -> bytes:
    answer = await who("GET", at(project, f"/bundles/{bundle['version']}"))
    assert answer.status_code == 200, answer.text
    return answer.content


async def brought(who: Person, data: bytes, **params: str) -> dict[str, Any]:
    headers = {"Content-Type": ZIP}
    answer = await who("POST", "/api/projects/import", content=data, headers=headers, params=params)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def log(who: Person, project: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await who("GET", at(project, "/commits"), params={"limit": "100"})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def said(rest: Rest, document_id: int) -> content.Content:
    """What is stored of a document, the newest edits included."""
    async with rest.services.database.connection() as tx:
        stored = await documents.load(tx, document_id)
    doc: Doc[Any] = Doc()
    for update in (stored.snapshot, *stored.tail):
        if update is not None:
            doc.apply_update(update)
    return content.read(doc.get_update())


async def document_of(rest: Rest, project: dict[str, Any], branch: str) -> int:
    async with rest.services.database.connection() as tx:
        cursor = await tx.execute(
            "SELECT id FROM documents WHERE project_id = %s AND branch = %s AND deleted_at IS NULL",
            (project["id"], branch),
        )
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def sound(rest: Rest) -> None:
    """Everything that is stored is proven whole."""
    told = [each async for each in verify.verify(rest.services.database)]
    assert [each for each in told if isinstance(each, verify.Finding)] == []


async def worked_on(who: Person) -> dict[str, Any]:
    """A project with a history that parts: four commits, a branch, two tags, and something new."""
    project = await who.project(name="Ночной драйв", description="In D")
    first = await commit(who, project, tempo=90)
    await commit(who, project, tempo=91)
    answer = await who(
        "POST", at(project, "/branch"), json={"name": "idea", "sourceCommit": first["id"]}
    )
    assert answer.status_code == 201, answer.text
    third = await commit(who, project, name="Third")
    await tagged(who, project, first, "v1")
    await tagged(who, project, third, "v3/final")
    await commit(who, project, key="Dm")
    await write(who, project, flavour="not committed")
    return project


def shape(items: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """A log without its ids: what was done, and after what."""
    place = {each["id"]: number for number, each in enumerate(items)}
    return [
        (
            each["message"],
            each["branch"],
            each["contentHash"],
            each["createdAt"],
            each["changes"],
            [place[parent] for parent in each["parents"]],
        )
        for each in items
    ]


# ---------------------------------------------------------------- round trips


async def test_what_goes_out_comes_in_with_its_whole_history(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    project = await worked_on(anna)
    bundle = await made(anna, project, note="before the mix")
    data = await downloaded(anna, project, bundle)
    assert hashlib.sha256(data).hexdigest() == bundle["fileHash"]
    assert len(data) == bundle["bytes"]
    answer = await brought(bert, data)
    again = answer["project"]
    assert again["id"] != project["id"]
    assert (again["name"], again["description"], again["kind"]) == (
        project["name"],
        "In D",
        "studio",
    )
    assert (answer["commits"], answer["tags"], answer["branches"]) == (4, 2, 2)
    assert answer["contentHash"] == bundle["contentHash"]
    assert again["ownerId"] == bert.user["id"]
    assert await live(bert, again) == await live(anna, project)
    before, after = await log(anna, project), await log(bert, again)
    assert shape(after) == shape(before)
    assert {each["author"] for each in after} == {bert.user["id"]}
    names = {
        tag["name"]: next(c["message"] for c in after if c["id"] == tag["commitId"])
        for tag in (await bert("GET", at(again, "/tags"))).json()["items"]
    }
    assert names == {"v1": "Now {'tempo': 90}", "v3/final": "Now {'name': 'Third'}"}
    idea = await said(rest, await document_of(rest, again, "idea"))
    assert content.to_json(idea)["project"]["tempo"] == 90  # type: ignore[index, call-overload] # pyright: ignore[reportIndexIssue, reportOptionalSubscript, reportArgumentType, reportCallIssue]
    await sound(rest)
    # And it goes on from there.
    new = await commit(bert, again, tempo=99)
    assert new["parents"] == [after[0]["id"]]
    assert new["changes"]["summary"]


async def test_a_history_that_was_squashed_comes_in_as_well(rest: Rest) -> None:
    anna = await rest.person()
    project = await worked_on(anna)
    squashed = await anna("POST", at(project, "/squash"), json={})
    assert squashed.status_code == 200, squashed.text
    await commit(anna, project, tempo=77)
    data = await downloaded(anna, project, await made(anna, project))
    again = (await brought(anna, data))["project"]
    assert shape(await log(anna, again)) == shape(await log(anna, project))
    await commit(anna, again, tempo=78)
    await sound(rest)


async def test_a_second_trip_makes_the_same_of_it(rest: Rest) -> None:
    anna = await rest.person()
    project = await worked_on(anna)
    first = await downloaded(anna, project, await made(anna, project))
    again = (await brought(anna, first))["project"]
    second = await downloaded(anna, again, await made(anna, again))
    third = (await brought(anna, second))["project"]
    assert shape(await log(anna, third)) == shape(await log(anna, project))


async def test_a_bundle_of_a_commit_holds_what_led_there_and_no_more(rest: Rest) -> None:
    anna = await rest.person()
    project = await worked_on(anna)
    second = (await log(anna, project))[2]
    by_id = await made(anna, project, commitId=second["id"])
    assert (by_id["commitId"], by_id["contentHash"]) == (second["id"], second["contentHash"])
    answer = await brought(anna, await downloaded(anna, project, by_id), name="Then")
    assert (answer["commits"], answer["tags"], answer["branches"]) == (2, 1, 1)
    assert answer["project"]["name"] == "Then"
    assert (await live(anna, answer["project"]))["tempo"] == 91
    by_tag = await made(anna, project, tag="v3/final", kind="zip")
    assert by_tag["commitId"] == (await log(anna, project))[1]["id"]


async def test_the_entries_can_be_read_by_any_program(rest: Rest) -> None:
    anna = await rest.person("anna")
    project = await worked_on(anna)
    data = await downloaded(anna, project, await made(anna, project))
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.testzip() is None
        held = {name: packed.read(name) for name in packed.namelist()}
    manifest = json.loads(held.pop("manifest.json"))
    assert manifest["format"] == "syncsphere-bundle"
    assert {name: hashlib.sha256(body).hexdigest() for name, body in held.items()} == {
        name: entry["sha256"] for name, entry in manifest["entries"].items()
    }
    assert json.loads(held["project.json"])["project"]["flavour"] == "not committed"
    doc: Doc[Any] = Doc()
    doc.apply_update(held["project.yjs"])
    assert doc.get("project", type=Map)["key"] == "Dm"
    history = json.loads(held["history.json"])
    assert [each["author"] for each in history["commits"]] == [None] * 4


async def test_names_are_told_only_where_they_are_wanted_and_to_who_may_know(rest: Rest) -> None:
    anna = await proven(rest, "anna")
    project = await anna.project(isPublic=True)
    await commit(anna, project, tempo=90)
    editor = await joined(rest, anna, project, "editor")
    with_names = await made(editor, project, authors=True)
    assert with_names["authors"]
    data = await downloaded(editor, project, with_names)
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert json.loads(packed.read("history.json"))["commits"][0]["author"] == "anna"
    stranger = await rest.person()
    path = at(project, f"/bundles/{with_names['version']}")
    refused(await stranger("GET", path), 403, "not_allowed")
    refused(await stranger("GET", path, headers={"If-None-Match": "*"}), 403, "not_allowed")
    without = await made(anna, project)
    assert await downloaded(stranger, project, without)
    seen = (await stranger("GET", at(project, "/bundles"))).json()["items"]
    assert [each["createdBy"] for each in seen] == [None, None]
    # Whoever brings it in is the author; the name goes on with it.
    again = (await brought(stranger, data))["project"]
    onwards = await downloaded(stranger, again, await made(stranger, again, authors=True))
    with zipfile.ZipFile(io.BytesIO(onwards)) as packed:
        assert json.loads(packed.read("history.json"))["commits"][0]["author"] == "anna"


# ---------------------------------------------------------------- into a branch


async def test_a_bundle_of_the_same_project_becomes_a_branch_that_merges(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, tempo=90)
    there = await brought(anna, await downloaded(anna, project, await made(anna, project)))
    await commit(anna, there["project"], name="Elsewhere", key="Em")
    data = await downloaded(anna, there["project"], await made(anna, there["project"]))
    await commit(anna, project, tempo=120)
    answer = await brought(anna, data, project=project["id"], branch="theirs")
    assert (answer["branch"], answer["commits"]) == ("theirs", 0)
    theirs = await said(rest, await document_of(rest, project, "theirs"))
    assert content.digest(theirs).hex() == answer["contentHash"]
    assert (await live(anna, project))["tempo"] == 120


async def test_a_state_that_is_known_becomes_a_branch_as_it_is(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, tempo=90)
    await commit(anna, project, tempo=91)
    data = await downloaded(anna, project, await made(anna, project, commitId=first["id"]))
    await brought(anna, data, project=project["id"], branch="then")
    shown = await anna("GET", at(project, "/branches/then"))
    assert shown.status_code == 200, shown.text
    assert shown.json()["head"] == first["id"]


async def test_a_branch_that_is_there_is_not_overwritten(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    data = await downloaded(anna, project, await made(anna, project))
    headers, params = {"Content-Type": ZIP}, {"project": project["id"], "branch": "main"}
    answer = await anna(
        "POST", "/api/projects/import", content=data, headers=headers, params=params
    )
    refused(answer, 409, "branch_taken")


async def test_only_who_may_edit_brings_a_branch_in(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    viewer = await joined(rest, anna, project, "viewer")
    data = await downloaded(anna, project, await made(anna, project))
    headers, params = {"Content-Type": ZIP}, {"project": project["id"], "branch": "mine"}
    for who, answer in (
        (viewer, (403, "not_allowed")),
        (await rest.person(), (404, "project_not_found")),
    ):
        got = await who(
            "POST", "/api/projects/import", content=data, headers=headers, params=params
        )
        refused(got, *answer)


# ---------------------------------------------------------------- versions


async def test_bundles_are_numbered_also_when_they_are_made_at_once(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(made, anna, project)
    items = (await anna("GET", at(project, "/bundles"))).json()["items"]
    assert [each["version"] for each in items] == [4, 3, 2, 1]
    # The same project at the same moment is the same file but for the time in it.
    assert len({each["contentHash"] for each in items}) == 1


async def test_a_number_is_not_given_out_twice(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await made(anna, project)
    gone = at(project, "/bundles/1")
    assert (await anna("DELETE", gone)).status_code == 204
    refused(await anna("DELETE", gone), 404, "bundle_not_found")
    refused(await anna("GET", gone), 404, "bundle_not_found")
    assert (await made(anna, project))["version"] == 2
    async with rest.services.database.connection() as tx:
        cursor = await tx.execute("SELECT count(DISTINCT bundle_id) FROM bundle_parts")
        assert await cursor.fetchone() == (1,)


@pytest.mark.parametrize("version", ["0", "-1", "2", "x", "9999999999", "1" * 40, "%00", "٣"])
async def test_a_version_that_is_none_is_not_found(rest: Rest, version: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    await made(anna, project)
    for method in ("GET", "DELETE"):
        refused(await anna(method, at(project, f"/bundles/{version}")), 404, "bundle_not_found")


async def test_a_project_has_only_so_many(rest: Rest) -> None:
    object.__setattr__(rest.services.settings, "bundles_per_project", 2)
    anna = await rest.person()
    project = await anna.project()
    await made(anna, project)
    await made(anna, project)
    refused(await anna("POST", at(project, "/bundles"), json={}), 409, "too_many_bundles")
    await anna("DELETE", at(project, "/bundles/1"))
    assert (await made(anna, project))["version"] == 3


async def test_a_bundle_is_no_larger_than_allowed(rest: Rest) -> None:
    object.__setattr__(rest.services.settings, "bundle_bytes", 1024)
    anna = await rest.person()
    project = await worked_on(anna)
    refused(await anna("POST", at(project, "/bundles"), json={}), 413, "bundle_too_large")
    assert (await anna("GET", at(project, "/bundles"))).json() == {"items": []}
    headers = {"Content-Type": OCTETS}
    answer = await anna("POST", "/api/projects/import", content=b"x" * 1025, headers=headers)
    refused(answer, 413, "body_too_large")
    assert left(rest) == []


def left(rest: Rest) -> list[str]:
    """What is left in the folder where bundles are worked on."""
    home = rest.services.settings.data / "bundles"
    return [str(path) for path in home.iterdir()] if home.exists() else []


# ---------------------------------------------------------------- downloads


async def test_a_download_can_be_asked_for_again_and_in_parts(rest: Rest) -> None:
    anna = await rest.person()
    project = await worked_on(anna)
    bundle = await made(anna, project)
    path = at(project, f"/bundles/{bundle['version']}")
    whole = await anna("GET", path)
    data, tag = whole.content, whole.headers["etag"]
    assert tag == f'"{bundle["fileHash"]}"'
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-length"] == str(len(data))
    assert whole.headers["content-type"] == ZIP
    assert "filename*=UTF-8''%D0%9D" in whole.headers["content-disposition"]
    assert (await anna("GET", path, headers={"If-None-Match": tag})).status_code == 304
    for match in (tag, "*", f'"another", {tag}'):
        assert (await anna("GET", path, headers={"If-Match": match})).content == data
    for match in ('"another"', f"W/{tag}", "", tag.strip('"')):
        for more in ({}, {"Range": "bytes=0-0"}, {"If-None-Match": tag}):
            answer = await anna("GET", path, headers={"If-Match": match} | more)
            refused(answer, 412, "precondition_failed")
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-99", 10, 100),
        ("bytes=100-", 100, len(data)),
        ("bytes=-7", len(data) - 7, len(data)),
        (f"bytes=5-{10**15}", 5, len(data)),
    ):
        for more in ({}, {"If-Range": tag}):
            part = await anna("GET", path, headers={"Range": asked} | more)
            assert part.status_code == 206, asked
            assert part.content == data[start:stop]
            assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(data)}"
    for asked in ("bytes=0-1,5-6", "lines=1-2", "bytes=9-5", "bytes=-", "bytes=a-b"):
        assert (await anna("GET", path, headers={"Range": asked})).content == data
    other = {"Range": "bytes=0-0", "If-Range": '"another"'}
    assert (await anna("GET", path, headers=other)).content == data
    beyond = await anna("GET", path, headers={"Range": f"bytes={len(data)}-"})
    refused(beyond, 416, "range_not_satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(data)}"
    head = await anna("HEAD", path, headers={"Range": "bytes=0-0"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(data))


def test_the_last_of_nothing_is_nothing() -> None:
    with pytest.raises(RangeNotSatisfiable):
        ranged("bytes=-0", 10)


async def test_parts_are_put_together_wherever_one_begins(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PART_BYTES", 100)
    anna = await rest.person()
    project = await worked_on(anna)
    bundle = await made(anna, project)
    data = await downloaded(anna, project, bundle)
    assert hashlib.sha256(data).hexdigest() == bundle["fileHash"]
    path = at(project, f"/bundles/{bundle['version']}")
    for start, stop in ((0, 100), (99, 101), (100, 200), (50, 350), (199, 200)):
        part = await anna("GET", path, headers={"Range": f"bytes={start}-{stop - 1}"})
        assert part.content == data[start:stop]


async def test_a_bundle_that_goes_meanwhile_ends_the_download(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await made(anna, project)
    async with rest.services.database.connection() as tx:
        (bundle,) = await store.listing(tx, project["id"])
        await store.delete(tx, project["id"], 1)
    with pytest.raises(store.BundleDamaged):
        async for _ in store.read(rest.services.database, bundle):
            pass


async def test_parts_are_nobodys_to_read_and_bundles_are_members(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    project = await anna.project()
    await made(anna, project)
    for who, seen in ((anna, 1), (bert, 0)):
        async with rest.services.database.acting(who.user["id"]) as tx:
            cursor = await tx.execute("SELECT count(*) FROM project_bundles")
            assert await cursor.fetchone() == (seen,)
    with pytest.raises(Exception, match="permission denied"):
        async with rest.services.database.acting(anna.user["id"]) as tx:
            await tx.execute("SELECT body FROM bundle_parts")

"""Branches over REST: made, found, named, protected, deleted. Their rooms: `syncserver`."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pycrdt
import pytest

from base import ids

from .crew import at, joined, linked, proven
from .rest import refused
from .takes import commit, live, tagged, write

if TYPE_CHECKING:
    from .rest import Person, Rest


async def branched(
    who: Person, project: dict[str, Any], name: str = "side", **source: object
) -> dict[str, Any]:
    made = await who("POST", at(project, "/branch"), json={"name": name} | source)
    assert made.status_code == 201, made.text
    return made.json()


def of(project: dict[str, Any], name: str) -> str:
    return at(project, f"/branches/{quote(name, safe='')}")


async def listed(who: Person, project: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = await who("GET", at(project, "/branches"))
    assert found.status_code == 200, found.text
    return {each["name"]: each for each in found.json()["items"]}


# ---------------------------------------------------------------- made


async def test_a_project_begins_with_main(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    main = (await listed(anna, project))["main"]
    assert main["room"] == f"{project['roomId']}@main"
    assert (main["head"], main["protected"], main["mayEdit"]) == (None, False, True)
    assert (main["ahead"], main["behind"], main["createdBy"]) == (0, 0, None)


async def test_a_branch_begins_with_what_main_says_now(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    response = await anna("POST", at(project, "/branch"), json={"name": "side"})
    made = response.json()
    assert response.headers["location"] == of(project, "side")
    assert (made["head"], made["originCommit"]) == (first["id"], None)
    assert made["createdBy"] == anna.user["id"]
    assert await live(anna, project, "side") == await live(anna, project)
    shown = (await anna("GET", response.headers["location"])).json()
    assert shown == made | {"uncommitted": True}
    # What was committed when it was made is where it comes from.
    await commit(anna, project, bpm=122)
    other = await branched(anna, project, "other", sourceBranch="main")
    assert other["originCommit"] == other["head"]
    assert (await anna("GET", of(project, "other"))).json()["uncommitted"] is False


async def test_a_branch_from_a_commit_says_what_was_committed(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    second = await commit(anna, project, bpm=121)
    made = await branched(anna, project, "back", sourceCommit=first["id"])
    assert (made["head"], made["originCommit"]) == (first["id"], first["id"])
    assert (made["ahead"], made["behind"]) == (0, 1)
    assert (await live(anna, project, "back"))["bpm"] == 120
    on = await commit(anna, project, "back", bpm=99)
    assert (on["branch"], on["parents"]) == ("back", [first["id"]])
    found = await listed(anna, project)
    assert list(found) == ["main", "back"]
    assert (found["back"]["ahead"], found["back"]["behind"]) == (1, 1)
    assert found["main"]["head"] == second["id"]
    log = await anna("GET", at(project, "/commits?branch=back"))
    assert [each["id"] for each in log.json()["items"]] == [on["id"], first["id"]]


async def test_what_is_written_to_a_branch_stays_there_and_can_be_merged(rest: Rest) -> None:
    """The two share their operations: together they say everything once."""
    anna = await rest.person()
    project = await anna.project()
    await write(anna, project, one=1)
    await branched(anna, project)
    await write(anna, project, "side", two=2)
    await write(anna, project, three=3)
    assert await live(anna, project) == {"one": 1, "three": 3}
    assert await live(anna, project, "side") == {"one": 1, "two": 2}
    both: pycrdt.Doc[Any] = pycrdt.Doc()
    for name in ("main", "side"):
        state = await anna("GET", at(project, "/snapshot"), params={"branch": name})
        both.apply_update(state.content)
    assert both.get("project", type=pycrdt.Map).to_py() == {"one": 1, "two": 2, "three": 3}
    assert len(both.get_state()) > 0


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a ",
        " a",
        "a/b",
        "../etc",
        "..",
        ".",
        "a..b",
        "-rf",
        "a\\b",
        "a@b",
        "100%",
        "why?",
        "#1",
        "tag:x",
        "x" * 101,
        "é" * 101,
        "a\x00b",
        "a\nb",
        "a\u200bb",
        "a\u202eb",
        "\ufeffa",
        "x" * 100_000,
    ],
)
async def test_a_branch_is_not_called_anything(rest: Rest, name: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    body = {"name": name}
    refused(await anna("POST", at(project, "/branch"), json=body), 422, "branch_name_invalid")
    await branched(anna, project)
    renamed = await anna("PATCH", of(project, "side"), json=body)
    refused(renamed, 422, "branch_name_invalid")
    assert list(await listed(anna, project)) == ["main", "side"]


@pytest.mark.parametrize(
    "name",
    ["x", "x" * 100, "e\u0301" * 100, "a b", "🎹", "Größe", "низ", "a.b", "main2", "+&=;'\"<>"],
)
async def test_a_branch_is_found_by_every_spelling_of_its_name(rest: Rest, name: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    made = await branched(anna, project, name)
    assert made["name"] == unicodedata.normalize("NFC", name)
    for form in ("NFC", "NFD"):
        asked = unicodedata.normalize(form, name)  # type: ignore[arg-type]
        assert (await anna("GET", of(project, asked))).json()["name"] == made["name"]
        again = await anna("POST", at(project, "/branch"), json={"name": asked})
        assert refused(again, 409, "branch_taken")["branch"] == made["name"]
    deleted = await anna("DELETE", of(project, made["name"]))
    assert deleted.status_code == 204, deleted.text


@pytest.mark.parametrize("name", ["nobody's", "a%00b", "%ED%A0%80", "a@b", "x" * 500])
async def test_a_branch_that_is_not_there_is_not_found(rest: Rest, name: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    for method in ("GET", "PATCH", "DELETE"):
        body = {"protected": True} if method == "PATCH" else None
        answer = await anna(method, at(project, f"/branches/{name}"), json=body)
        refused(answer, 404, "branch_not_found")
    body = {"name": "side", "sourceBranch": "x" * 100}
    refused(await anna("POST", at(project, "/branch"), json=body), 404, "branch_not_found")
    for path in ("/commits", "/snapshot"):
        asked = await anna("GET", at(project, path), params={"branch": "a\x00b"})
        refused(asked, 404, "branch_not_found")


@pytest.mark.parametrize(
    "more",
    [
        {"sourceCommit": str(ids.new_id()), "sourceBranch": "main"},
        {"sourceCommit": "main"},
        {"sourceBranch": ""},
        {"sourceBranch": "x" * 101},
        {"sourceBranch": None},
        {"protected": True},
    ],
)
async def test_a_branch_has_one_source(rest: Rest, more: dict[str, object]) -> None:
    anna = await rest.person()
    project = await anna.project()
    body = {"name": "side"} | more
    refused(await anna("POST", at(project, "/branch"), json=body), 422, "validation_failed")


async def test_a_foreign_projects_commit_is_unknown(rest: Rest) -> None:
    anna = await rest.person()
    project, other = await anna.project(), await anna.project()
    made = await commit(anna, other, bpm=120)
    body = {"name": "side", "sourceCommit": made["id"]}
    refused(await anna("POST", at(project, "/branch"), json=body), 404, "commit_not_found")
    await branched(anna, other)
    refused(await anna("GET", of(project, "side")), 404, "branch_not_found")


async def test_a_project_has_a_hundred_branches_at_most(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await rest.run(
        "INSERT INTO documents (project_id, branch, created_at)"
        " SELECT %s, 'side ' || n, now() FROM generate_series(1, 99) n",
        project["id"],
    )
    full = await anna("POST", at(project, "/branch"), json={"name": "more"})
    assert refused(full, 409, "branches_full")["limit"] == 100
    assert (await anna("DELETE", of(project, "side 1"))).status_code == 204
    await branched(anna, project, "more")


# ---------------------------------------------------------------- renamed, deleted


async def test_a_renamed_branch_keeps_what_it_is(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await branched(anna, project)
    made = await commit(anna, project, "side", bpm=90)
    renamed = await anna("PATCH", of(project, "side"), json={"name": "slow"})
    assert (renamed.status_code, renamed.json()["head"]) == (200, made["id"])
    assert list(await listed(anna, project)) == ["main", "slow"]
    assert (await live(anna, project, "slow"))["bpm"] == 90
    shown = (await anna("GET", at(project, f"/commits/{made['id']}"))).json()
    assert shown["branch"] == "side", "a commit says what its branch was called then"
    refused(await anna("GET", of(project, "side")), 404, "branch_not_found")
    for name in ("main", "Main", "MAIN"):
        taken = await anna("PATCH", of(project, "slow"), json={"name": name})
        assert refused(taken, 409, "branch_taken")["branch"] == "main"
        again = await anna("POST", at(project, "/branch"), json={"name": name})
        assert refused(again, 409, "branch_taken")["branch"] == "main"
    large = await anna("PATCH", of(project, "slow"), json={"name": "Slow"})
    assert (large.status_code, large.json()["name"]) == (200, "Slow")
    back = await anna("PATCH", of(project, "Slow"), json={"name": "slow"})
    assert back.status_code == 200
    same = await anna("PATCH", of(project, "slow"), json={"name": "slow"})
    assert same.status_code == 200
    # The name is free for another one.
    await branched(anna, project, "side")


async def test_main_stays(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    renamed = await anna("PATCH", of(project, "main"), json={"name": "other"})
    refused(renamed, 409, "branch_stays")
    for query in ("", "?force=true"):
        refused(await anna("DELETE", of(project, "main") + query), 409, "branch_stays")


async def test_what_is_nowhere_else_is_deleted_by_force_only(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)

    async def kept(name: str) -> None:
        refused(await anna("DELETE", of(project, name)), 409, "branch_unmerged")

    async def gone(name: str, query: str = "") -> None:
        answer = await anna("DELETE", of(project, name) + query)
        assert answer.status_code == 204, answer.text
        refused(await anna("GET", of(project, name)), 404, "branch_not_found")

    await branched(anna, project, "untouched")
    await gone("untouched")
    await branched(anna, project, "edited")
    await write(anna, project, "edited", bpm=121)
    await kept("edited")
    await gone("edited", "?force=true")
    await branched(anna, project, "committed")
    await commit(anna, project, "committed", bpm=122)
    await kept("committed")
    await branched(anna, project, "another", sourceBranch="committed")
    await gone("committed")  # the other one leads there
    await kept("another")
    made = (await listed(anna, project))["another"]["head"]
    await tagged(anna, project, {"id": made}, "v1")
    await gone("another")
    assert (await anna("GET", at(project, f"/commits/{made}"))).status_code == 200
    asked = await anna("DELETE", of(project, "main") + "?force=perhaps")
    refused(asked, 422, "validation_failed")


async def test_who_deletes_a_branch_is_written_down(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await branched(anna, project)
    await anna("PATCH", of(project, "side"), json={"protected": True})
    await anna("PATCH", of(project, "side"), json={"protected": True})
    await anna("PATCH", of(project, "side"), json={"protected": False})
    await anna("DELETE", of(project, "side") + "?force=true")
    for kind in ("branch.protected", "branch.opened", "branch.deleted"):
        told = await rest.events(kind)
        assert [(str(one["actor"]), one["detail"]) for one in told] == [
            (anna.user["id"], {"branch": "side"})
        ]


# ---------------------------------------------------------------- protected


async def test_nobody_edits_a_protected_branch_and_admins_keep_it(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    admin = await joined(rest, anna, project, "admin")
    editor = await joined(rest, anna, project, "editor")
    first = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    keep = {"protected": True}
    refused(await editor("PATCH", of(project, "main"), json=keep), 403, "not_allowed")
    kept = await admin("PATCH", of(project, "main"), json=keep)
    assert (kept.json()["protected"], kept.json()["mayEdit"]) == (True, False)
    edit = _update(bpm=7)
    for who in (anna, admin, editor):
        answer = await who("POST", at(project, "/updates"), content=edit, headers=OCTET)
        assert refused(answer, 403, "branch_protected")["branch"] == "main"
    for path, body in (
        ("/commit", {"message": "Mine"}),
        ("/restore", {"commitId": first["id"]}),
    ):
        refused(await editor("POST", at(project, path), json=body), 403, "branch_protected")
        assert (await admin("POST", at(project, path), json=body)).status_code in (200, 201)
    assert await live(anna, project) == {"bpm": 120}
    # Other branches are nobody's but who works there.
    await branched(editor, project)
    await write(editor, project, "side", bpm=99)
    await admin("PATCH", of(project, "side"), json=keep)
    for body in ({"name": "mine"}, {"protected": False}):
        code = "branch_protected" if "name" in body else "not_allowed"
        refused(await editor("PATCH", of(project, "side"), json=body), 403, code)
    for query in ("", "?force=true"):
        for who in (editor, anna):
            refused(await who("DELETE", of(project, "side") + query), 403, "branch_protected")
    renamed = await admin("PATCH", of(project, "side"), json={"name": "kept", "protected": False})
    assert (renamed.json()["name"], renamed.json()["protected"]) == ("kept", False)
    assert (await editor("DELETE", of(project, "kept") + "?force=true")).status_code == 204


# ---------------------------------------------------------------- who sees what


async def test_who_does_not_see_people_does_not_see_who_made_a_branch(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project(isPublic=True)
    await branched(anna, project)
    token = (await linked(anna, project))["token"]
    for headers in ({}, {"Authorization": f"Bearer {token}"}):
        for path in (at(project, "/branches"), of(project, "side")):
            found = await rest.client.get(path, headers=headers)
            assert found.status_code == 200, found.text
            assert anna.user["id"] not in found.text
            assert '"mayEdit":true' not in found.text.replace(" ", "")
    other = await rest.person()
    refused(await other("POST", at(project, "/branch"), json={"name": "x"}), 403, "not_allowed")
    hidden = await anna.project()
    refused(await other("GET", at(hidden, "/branches")), 404, "project_not_found")


async def test_who_was_sent_away_meanwhile_makes_and_deletes_nothing(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project)
    look = rest.rooms.snapshot
    for method, path, body in (
        ("POST", at(project, "/branch"), {"name": "mine"}),
        ("DELETE", of(project, "side"), None),
    ):
        bert = await joined(rest, anna, project, "editor")

        async def snapshot(document_id: int, bert: Person = bert) -> bytes:
            left = at(project, f"/collaborators/{bert.user['id']}")
            assert (await anna("DELETE", left)).status_code == 204
            return await look(document_id)

        with monkeypatch.context() as patched:
            patched.setattr(rest.rooms, "snapshot", snapshot)
            answer = await bert(method, path, json=body)
        refused(answer, 404, "project_not_found")
    assert list(await listed(anna, project)) == ["main", "side"]


OCTET = {"Content-Type": "application/octet-stream"}


def _update(**values: object) -> bytes:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    root = doc.get("project", type=pycrdt.Map)
    for name, value in values.items():
        root[name] = value
    return doc.get_update()

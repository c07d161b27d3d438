"""What history says to those who ask for what is not there, not theirs, or not meant seriously.

Every answer is a problem with a code, none is a failure of the server, and nothing is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import uuid4

import anyio
import pytest

from api.route import OCTETS
from tests.unit.docstore.test_letters import hostile

from .crew import at, joined, proven
from .rest import refused
from .takes import commit, live, tagged, write

if TYPE_CHECKING:
    import httpx

    from .rest import Person, Rest

ODD_NAMES: Final = [
    "",
    ".",
    "..",
    "../main",
    "a/b",
    "a\\b",
    "a\x00b",
    "a\nb",
    " a",
    "a ",
    "-a",
    "a@b",
    "a%2Fb",
    "a?b",
    "a#b",
    "a:b",
    "a" * 101,
    "\u202eniam",
    "a\u200bb",
    "\ud800",
]
"""No branch can be called that."""

FINE_NAMES: Final = ["b", "slow & süß", "🎹", "a.b", "日本", "a" * 100, "Mains", "é", "live"]

LONG_AGO = "0001-01-01T00:00:00Z"
ENDS: Final = [
    LONG_AGO,
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:60Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
]
"""The last two are of the years 0 and 10,000 in UTC."""

ODD_TIMES: Final = [
    "yesterday",
    "2026-01-01",
    "2026-01-01T00:00:00",
    "2026-13-01T00:00:00Z",
    "1",
    "",
]


async def asked(
    who: Person, method: str, path: str, body: object = None, **params: str
) -> httpx.Response:
    """The answer, which is no failure of the server's."""
    done = await who(method, path, json=body, params=params or None)
    assert done.status_code < 500, (method, path, body, params, done.text)
    if done.status_code >= 400:
        assert done.json()["code"], done.text
    return done


def everything(project: dict[str, Any], commit: str, branch: str, tag: str) -> list[Any]:
    """Every route that takes a commit, a branch or a tag, with these."""
    name = quote(branch, safe="")
    to = {"from": commit}
    return [
        ("GET", at(project, f"/commits/{commit}"), None, {}),
        ("GET", at(project, f"/commits/{commit}/snapshot"), None, {}),
        ("POST", at(project, "/tags"), {"name": "mine", "commitId": commit}, {}),
        ("GET", at(project, "/diff"), None, to),
        ("GET", at(project, "/diff"), None, {"from": f"tag:{tag}"}),
        ("GET", at(project, "/diff"), None, {"from": f"branch:{branch}"}),
        ("POST", at(project, "/restore"), {"commitId": commit}, {}),
        ("POST", at(project, "/restore"), {"tag": tag}, {}),
        ("POST", at(project, "/branch"), {"name": "mine", "sourceCommit": commit}, {}),
        ("POST", at(project, "/branch"), {"name": "mine", "sourceBranch": branch}, {}),
        ("POST", at(project, "/cherry-pick"), {"commitId": commit, "into": "main"}, {}),
        ("POST", at(project, "/revert"), {"commitId": commit}, {}),
        ("POST", at(project, "/bundles"), {"commitId": commit, "kind": "zip"}, {}),
        ("POST", at(project, "/bundles"), {"tag": tag, "kind": "zip"}, {}),
        ("POST", at(project, "/bundles"), {"branch": branch, "kind": "zip"}, {}),
        *of_branch(project, branch),
        ("GET", at(project, f"/branches/{name}"), None, {}),
        ("PATCH", at(project, f"/branches/{name}"), {"protected": True}, {}),
        ("DELETE", at(project, f"/branches/{name}"), None, {}),
        ("POST", at(project, f"/branches/{name}/merge"), {"into": "main"}, {}),
        ("POST", at(project, "/branches/main/merge"), {"into": branch}, {}),
        ("DELETE", at(project, f"/tags/{quote(tag, safe='')}"), None, {}),
    ]


def of_branch(project: dict[str, Any], branch: str) -> list[Any]:
    """Every route that works on a branch whose name is in the query or in the body."""
    of = {"branch": branch}
    return [
        ("GET", at(project, "/snapshot"), None, of),
        ("POST", at(project, "/commit"), {"message": "m", **of}, {}),
        ("GET", at(project, "/commits"), None, of),
        ("GET", at(project, "/history"), None, of),
        ("GET", at(project, "/at"), None, {"time": "2026-01-01T00:00:00Z", **of}),
        ("GET", at(project, "/blame"), None, {"entity": "project", **of}),
        ("GET", at(project, "/changes"), None, {"from": "2026-01-01T00:00:00Z", **of}),
        ("POST", at(project, "/rollback"), {"by": None, **of}, {}),
    ]


async def test_what_belongs_to_another_project_is_not_there(rest: Rest) -> None:
    anna = await proven(rest)
    mine = await anna.project()
    theirs = await anna.project(name="Another")
    kept = await commit(anna, mine, bpm=1)
    foreign = await commit(anna, theirs, bpm=2)
    await tagged(anna, theirs, foreign, "final")
    made = await anna("POST", at(theirs, "/branch"), json={"name": "side"})
    assert made.status_code == 201
    for unknown in (foreign["id"], str(uuid4()), "0" * 8 + "-0000-0000-0000-" + "0" * 12):
        for method, path, body, params in everything(mine, unknown, "side", "final"):
            done = await asked(anna, method, path, body, **params)
            found = (method, path, body, params, done.text)
            assert done.status_code == 404, found
            assert done.json()["code"] in {
                "commit_not_found",
                "branch_not_found",
                "tag_not_found",
            }, found
    assert await live(anna, mine) == {"bpm": 1}
    log = (await anna("GET", at(mine, "/commits"))).json()["items"]
    assert [each["id"] for each in log] == [kept["id"]]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_names_of_branches_are_refused_and_name_nothing(rest: Rest, name: str) -> None:
    anna = await proven(rest)
    project = await anna.project()
    await commit(anna, project, bpm=1)
    quoted = name.encode("utf-8", "surrogatepass")
    # JSON as bytes: httpx would not write a lone surrogate.
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
    headers = {"Content-Type": "application/json"}
    path = at(project, "/branch")
    body = f'{{"name": "{escaped}"}}'.encode()
    done = await anna("POST", path, content=body, headers=headers)
    assert done.status_code in {400, 422}, done.text
    assert done.json()["code"] in {"branch_name_invalid", "invalid_request", "malformed_json"}
    body = f'{{"name": "mine", "sourceBranch": "{escaped}"}}'.encode()
    done = await anna("POST", path, content=body, headers=headers)
    assert done.status_code in {400, 404, 422}, done.text
    written = quote(quoted, safe="")
    for method, sub, sent in (
        ("GET", "", None),
        ("PATCH", "", {"protected": True}),
        ("PATCH", "", {"name": "other"}),
        ("DELETE", "", None),
        ("POST", "/merge", {"into": "main"}),
    ):
        if name in {"", ".", ".."}:
            continue  # a client makes another path of these
        done = await asked(anna, method, at(project, f"/branches/{written}{sub}"), sent)
        assert done.status_code in {400, 404, 405, 422}, (method, sub, done.text)
    listed = (await anna("GET", at(project, "/branches"))).json()["items"]
    assert [(each["name"], each["protected"]) for each in listed] == [("main", False)]


@pytest.mark.parametrize("name", FINE_NAMES)
async def test_a_branch_with_a_fine_name_works_everywhere(rest: Rest, name: str) -> None:
    anna = await proven(rest)
    project = await anna.project()
    first = await commit(anna, project, bpm=1)
    made = await asked(anna, "POST", at(project, "/branch"), {"name": name})
    assert made.status_code == 201, made.text
    assert made.headers["location"].isascii()
    assert (await anna("GET", made.headers["location"])).json()["name"] == name
    await write(anna, project, name, key="D")
    for method, path, body, params in of_branch(project, name):
        done = await asked(anna, method, path, body, **params)
        # Only the time is too long ago.
        assert done.status_code < 300 or done.json()["code"] == "too_long_ago", done.text
    escaped = quote(name, safe="")
    done = await asked(anna, "POST", at(project, f"/branches/{escaped}/merge"), {"into": "main"})
    assert done.status_code == 200, done.text
    done = await asked(anna, "GET", at(project, "/diff"), **{"from": f"branch:{name}"})
    assert done.json()["changes"] == []
    done = await asked(
        anna, "POST", at(project, "/restore"), {"commitId": first["id"], "branch": name}
    )
    assert done.status_code == 200, done.text
    path = at(project, f"/branches/{escaped}")
    assert (await asked(anna, "DELETE", path, force="true")).status_code == 204


@pytest.mark.parametrize("time", ODD_TIMES)
async def test_odd_times_are_refused(rest: Rest, time: str) -> None:
    anna = await proven(rest)
    project = await anna.project()
    await commit(anna, project, bpm=1)
    for method, path, body, params in (
        ("GET", "/at", None, {"time": time}),
        ("GET", "/changes", None, {"from": time}),
        ("GET", "/changes", None, {"from": LONG_AGO, "to": time}),
        ("GET", "/history", None, {"from": time}),
        ("GET", "/history", None, {"to": time}),
        ("GET", "/diff", None, {"from": f"time:{time}"}),
        ("GET", "/commits", None, {"before": time}),
        ("POST", "/restore", {"time": time}, {}),
        ("POST", "/rollback", {"from": time}, {}),
        ("POST", "/rollback", {"by": None, "to": time}, {}),
    ):
        done = await asked(anna, method, at(project, path), body, **params)
        assert done.status_code in {410, 422}, (method, path, body, params, done.text)
    assert await live(anna, project) == {"bpm": 1}


async def test_times_at_the_ends_of_the_calendar_are_no_failure(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    await commit(anna, project, bpm=1)
    for time in ENDS:
        for method, path, body, params in (
            ("GET", "/at", None, {"time": time}),
            ("GET", "/changes", None, {"from": time}),
            ("GET", "/history", None, {"from": time}),
            ("GET", "/history", None, {"to": time}),
            ("GET", "/diff", None, {"from": f"time:{time}"}),
            ("GET", "/commits", None, {"before": time}),
            ("POST", "/restore", {"time": time}, {}),
            ("POST", "/rollback", {"from": time}, {}),
        ):
            await asked(anna, method, at(project, path), body, **params)


@pytest.mark.parametrize(
    "entity", ["", "/", "a//b", "%", "%ff", "a\x00b", "a/" * 2_000, "\ud800", "%00", "📎" * 300]
)
async def test_odd_things_are_refused_or_nothing_is_known_of_them(rest: Rest, entity: str) -> None:
    anna = await proven(rest)
    project = await anna.project()
    await commit(anna, project, bpm=1)
    written = quote(entity.encode("utf-8", "surrogatepass"), safe="")
    for path in ("/blame", "/history"):
        done = await asked(anna, "GET", at(project, f"{path}?entity={written}"))
        assert done.status_code in {400, 422} or done.json()["items"] == [], done.text
    if entity.isprintable():
        for body in ({"entities": [entity]}, {"entities": [entity], "dryRun": True}):
            done = await asked(anna, "POST", at(project, "/rollback"), body)
            assert done.status_code in {400, 422} or not done.json()["applied"], done.text
    assert await live(anna, project) == {"bpm": 1}


async def test_a_viewer_looks_and_changes_nothing(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    first = await commit(anna, project, bpm=1)
    await commit(anna, project, bpm=2)
    await tagged(anna, project, first, "final")
    await anna("POST", at(project, "/branch"), json={"name": "side"})
    await write(anna, project, "side", bpm=3)
    bert = await joined(rest, anna, project, "viewer")
    for method, path, body, params in everything(project, first["id"], "side", "final"):
        done = await asked(bert, method, path, body, **params)
        if method != "GET":
            refused(done, 403, "not_allowed")
    assert await live(anna, project) == {"bpm": 2}
    assert await live(anna, project, "side") == {"bpm": 3}


async def test_a_merge_into_itself_is_refused_however_it_is_written(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    await commit(anna, project, bpm=1)
    name = "e\u0301te\u0301"  # decomposed: the same name
    made = await asked(anna, "POST", at(project, "/branch"), {"name": name})
    assert made.json()["name"] == "été"
    for source in ("été", name):
        for into in ("été", name):
            path = at(project, f"/branches/{quote(source)}/merge")
            refused(await asked(anna, "POST", path, {"into": into}), 409, "merge_into_itself")
    path = at(project, "/branches/main/merge")
    refused(await asked(anna, "POST", path, {"into": "main"}), 409, "merge_into_itself")


async def test_a_restore_a_merge_and_a_rollback_at_once_follow_one_another(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    first = await commit(anna, project, bpm=1, key="C")
    await commit(anna, project, bpm=2, swing=1)
    await asked(anna, "POST", at(project, "/branch"), {"name": "side"})
    await commit(anna, project, "side", mood="blue")
    for _ in range(3):
        async with anyio.create_task_group() as tasks:
            for method, path, body in (
                ("POST", "/restore", {"commitId": first["id"]}),
                ("POST", "/branches/side/merge", {"into": "main"}),
                ("POST", "/cherry-pick", {"commitId": first["id"], "into": "side"}),
                ("POST", "/rollback", {"by": anna.user["id"], "entities": ["project/swing"]}),
                ("POST", "/restore", {"commitId": first["id"], "branch": "side"}),
            ):
                tasks.start_soon(asked, anna, method, at(project, path), body)
    # Each left a whole state behind, and afterwards all works as before.
    done = await asked(anna, "POST", at(project, "/restore"), {"commitId": first["id"]})
    assert done.status_code == 200, done.text
    assert await live(anna, project) == {"bpm": 1, "key": "C"}


async def test_letters_in_an_array_hold_nobody_up(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    first = await commit(anna, project, bpm=1)
    headers = {"Content-Type": OCTETS}
    with anyio.fail_after(20):
        # yrs alone would read this without end.
        path = at(project, "/updates")
        done = await anna("POST", path, content=hostile("aé🎹"), headers=headers)
        assert done.status_code == 200, done.text
        shown = (await asked(anna, "GET", at(project, "/snapshot"), format="json")).json()
        assert shown["stems"] == {"k": ["a", "é", "\ufffd", "\ufffd"]}
        second = await commit(anna, project, bpm=2)
        path = at(project, f"/diff?from={first['id']}")
        assert "stem" in (await asked(anna, "GET", path)).json()["summary"]
        await asked(anna, "GET", at(project, "/blame"), entity="stems")
        for wanted in (first, second):
            body = {"commitId": wanted["id"]}
            assert (await asked(anna, "POST", at(project, "/restore"), body)).json()["applied"]
        found = (await asked(anna, "GET", at(project, "/snapshot"), format="json")).json()
        assert found == {**shown, "project": {"bpm": 2}}

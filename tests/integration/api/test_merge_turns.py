"""Merges beside other work over REST: at the same time, ended half way, by who may and may not."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

import anyio
import pytest

from api import documents, ports
from base import ids

from .crew import at, joined, linked, proven
from .lines import (
    branched,
    committed,
    log,
    merged,
    says,
    torn,
    untouched,
)
from .rest import refused
from .takes import commit, live, write

if TYPE_CHECKING:
    from base.errors import AppError

    from .rest import Rest


async def test_what_others_do_during_a_merge_stays(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    await commit(anna, project, "intro", bpm=90)
    await commit(anna, project, key="E")
    apply = rest.rooms.apply

    async def beside(document_id: int, update: bytes, author: UUID | None) -> ports.Applied:
        monkeypatch.setattr(rest.rooms, "apply", apply)
        await write(anna, project, meanwhile=7)
        await write(anna, project, "intro", late=8)
        return await apply(document_id, update, author)

    monkeypatch.setattr(rest.rooms, "apply", beside)
    done = await merged(anna, project, "intro")
    assert await live(anna, project) == {"bpm": 90, "key": "E", "meanwhile": 7}
    # The commit is of what everybody sees then.
    path = at(project, f"/commits/{done['commit']['id']}/snapshot?format=json")
    told = (await anna("GET", path)).json()["project"]
    assert told == {"bpm": 90, "key": "E", "meanwhile": 7}
    assert (await merged(anna, project, "intro"))["merged"] is True
    assert await live(anna, project) == {"bpm": 90, "key": "E", "meanwhile": 7, "late": 8}


async def test_two_merges_at_once_follow_one_another(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    for name in ("one", "two", "three"):
        await branched(anna, project, name)
        await commit(anna, project, name, **{name: 1})
    await commit(anna, project, bpm=121)
    async with anyio.create_task_group() as tasks:
        for name in ("one", "two", "three", "one"):
            tasks.start_soon(merged, anna, project, name)
        tasks.start_soon(merged, anna, project, "main", "one")
    assert await live(anna, project) == {"bpm": 121, "one": 1, "two": 1, "three": 1}
    found = await log(anna, project)
    merges = [each for each in found if len(each["parents"]) == 2 and each["branch"] == "main"]
    # However they came about, each has the one before for its first parent.
    assert len(merges) in (3, 4)
    for newer, older in pairwise(merges):
        assert newer["parents"][0] == older["id"]


async def test_a_merge_that_ended_before_its_commit_is_completed_by_the_next(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await rest.person()
    project = await anna.project()
    await torn(anna, project)
    ours = await committed(anna, project)
    apply = rest.rooms.apply

    async def apply_and_end(document_id: int, update: bytes, author: UUID | None) -> ports.Applied:
        await apply(document_id, update, author)
        raise ports.RoomUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(rest.rooms, "apply", apply_and_end)
        body = {"into": "main", "strategy": "theirs"}
        answer = await anna("POST", at(project, "/branches/intro/merge"), json=body)
        refused(answer, 503, "room_unavailable")
    now = await says(anna, project)
    assert now["notes"] == "slow song in D"
    assert (await log(anna, project))[0]["id"] == ours["id"]
    edits = len(rest.rooms.applied)
    done = await merged(anna, project, "intro", strategy="theirs")
    assert done["merged"] is True
    assert (await says(anna, project), len(rest.rooms.applied)) == (now, edits)
    assert done["commit"]["parents"][0] == ours["id"]
    assert [each["message"] for each in await log(anna, project)][:2] == [
        "Merge intro into main",
        "Before merging into main",
    ]


async def test_an_update_that_is_not_durable_yet_is_said(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_document_id: int, _update: bytes, _author: UUID) -> ports.Applied:
        await anyio.sleep_forever()
        raise AssertionError

    anna = await rest.person()
    project = await anna.project()
    await torn(anna, project)
    before = (await untouched(anna, project, rest))[3:]
    path = at(project, "/branches/intro/merge")
    with monkeypatch.context() as patched:
        patched.setattr(documents, "DURABLE_SECONDS", 0.01)
        patched.setattr(rest.rooms, "apply", never)
        refused(await anna("POST", path, json={"into": "main"}), 503, "not_yet_durable")
    assert (await untouched(anna, project, rest))[3:] == before
    assert (await merged(anna, project, "intro"))["merged"] is True


@pytest.mark.parametrize(
    ("error", "status"),
    [(ports.DocumentTooLarge, 413), (ports.PendingTooMany, 429), (ports.RoomUnavailable, 503)],
)
async def test_what_the_room_refuses_is_answered_and_nothing_is_half_done(
    rest: Rest, monkeypatch: pytest.MonkeyPatch, error: type[AppError], status: int
) -> None:
    async def apply(_document_id: int, _update: bytes, _author: UUID) -> ports.Applied:
        raise error

    anna = await rest.person()
    project = await anna.project()
    await torn(anna, project)
    before = (await untouched(anna, project, rest))[3:]
    with monkeypatch.context() as patched:
        patched.setattr(rest.rooms, "apply", apply)
        answer = await anna("POST", at(project, "/branches/intro/merge"), json={"into": "main"})
    refused(answer, status, error.code)
    # What the branches say is untouched; what nobody had committed of them is committed by now.
    assert (await untouched(anna, project, rest))[3:] == before
    for name, first in (("main", "Before merging intro"), ("intro", "Before merging into main")):
        messages = [each["message"] for each in await log(anna, project, name)]
        assert (messages[0], messages.count(first)) == (first, 1)


# ---------------------------------------------------------------- who, and what is refused


async def test_a_merge_is_in_the_name_of_who_asks(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    await torn(anna, project)
    done = await merged(bert, project, "intro")
    assert rest.rooms.applied[-1][1] == UUID(bert.user["id"])
    assert done["commit"]["author"] == bert.user["id"]


async def test_only_admins_merge_into_a_protected_branch_and_all_who_edit_preview(
    rest: Rest,
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    await torn(anna, project)
    protect = await anna("PATCH", at(project, "/branches/main"), json={"protected": True})
    assert protect.status_code == 200, protect.text
    path = at(project, "/branches/intro/merge")
    refused(await bert("POST", path, json={"into": "main"}), 403, "branch_protected")
    assert (await merged(bert, project, "intro", dryRun=True))["merged"] is True
    # Of what is protected, others merge what is committed: they may not commit there.
    assert (await merged(bert, project, "main", "intro"))["merged"] is False
    ours = await committed(anna, project, message="Ours")
    restored = await anna("POST", at(project, "/restore"), json={"commitId": ours["parents"][0]})
    assert restored.json()["applied"] is True
    done = await merged(bert, project, "main", "intro", strategy="theirs")
    assert done["commit"]["parents"][1] == ours["id"]
    assert (await says(anna, project, "intro"))["notes"] == "very slow song"
    assert (await says(anna, project))["notes"] == "slow song"
    assert (await merged(anna, project, "intro"))["merged"] is True


async def test_who_was_sent_away_while_it_was_worked_out_merges_nothing(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    await torn(anna, project)
    before = await untouched(anna, project, rest)
    look = rest.rooms.snapshot

    async def snapshot(document_id: int) -> bytes:
        left = at(project, f"/collaborators/{bert.user['id']}")
        assert (await anna("DELETE", left)).status_code in {204, 404}
        return await look(document_id)

    with monkeypatch.context() as patched:
        patched.setattr(rest.rooms, "snapshot", snapshot)
        answer = await bert("POST", at(project, "/branches/intro/merge"), json={"into": "main"})
    refused(answer, 404, "project_not_found")
    assert await untouched(anna, project, rest) == before


async def test_who_has_no_account_does_not_merge(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project(guestRole="editor")
    await torn(anna, project)
    token = (await linked(anna, project, role="editor"))["token"]
    for headers in ({}, {"Authorization": f"Bearer {token}"}, {"Share-Link": token}):
        for path, body in (
            ("/branches/intro/merge", {"into": "main"}),
            ("/cherry-pick", {"into": "main", "commitId": str(ids.new_id())}),
            ("/revert", {"commitId": str(ids.new_id())}),
        ):
            answer = await rest.client.post(at(project, path), json=body, headers=headers)
            refused(answer, 401, "token_missing")


async def test_what_cannot_be_merged_is_refused(rest: Rest) -> None:
    anna, bert = await rest.person(), await rest.person()
    project, other = await anna.project(), await bert.project()
    await torn(anna, project)
    await branched(bert, other, "theirs")
    before = await untouched(anna, project, rest)
    for source, into in (("intro", "intro"), ("main", "main")):
        path = at(project, f"/branches/{source}/merge")
        for body in ({"into": into}, {"into": into, "dryRun": True}):
            refused(await anna("POST", path, json=body), 409, "merge_into_itself")
    for source, into in (
        ("nowhere", "main"),
        ("intro", "nowhere"),
        ("theirs", "main"),
        ("intro", "theirs"),
        ("%00", "main"),
        ("..", "main"),
        ("intro", "a\x00b"),
        ("%F0%9F%8E%B9", "main"),
    ):
        path = at(project, f"/branches/{source}/merge")
        answer = await anna("POST", path, json={"into": into})
        assert answer.json()["code"] in {"branch_not_found", "not_found"}, answer.text
        assert answer.status_code == 404
    assert await untouched(anna, project, rest) == before


ODD: list[dict[str, object]] = [
    {},
    {"into": 1},
    {"into": ""},
    {"into": "x" * 101},
    {"into": "main", "message": ""},
    {"into": "main", "message": " \n"},
    {"into": "main", "message": "a\x00"},
    {"into": "main", "message": "x" * 2001},
    {"into": "main", "strategy": "mine"},
    {"into": "main", "dryRun": 1},
    {"into": "main", "resolutions": [{"path": [], "take": "ours"}]},
    {"into": "main", "resolutions": [{"path": [1], "take": "ours"}]},
    {"into": "main", "resolutions": [{"path": ["a"], "take": "both"}]},
    {"into": "main", "resolutions": [{"path": ["a"] * 101, "take": "ours"}]},
    {"into": "main", "resolutions": [{"path": ["a"], "take": "ours"}] * 2},
    {"into": "main", "resolutions": [{"path": [str(n)], "take": "ours"} for n in range(1001)]},
    {"into": "main", "force": True},
]


@pytest.mark.parametrize("body", ODD)
async def test_a_merge_is_asked_for_properly(rest: Rest, body: dict[str, object]) -> None:
    anna = await rest.person()
    project = await anna.project()
    await branched(anna, project, "intro")
    answer = await anna("POST", at(project, "/branches/intro/merge"), json=body)
    refused(answer, 422, "validation_failed")

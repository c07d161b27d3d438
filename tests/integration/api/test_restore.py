"""Restoring over REST: forward operations on the live document, one restore after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import pytest
from pycrdt import Array, Doc, Map, Text

from api import documents, ports
from api.route import OCTETS

from .crew import at, joined, linked, proven
from .lines import commits_break, log
from .rest import refused
from .takes import commit, live, tagged, write

if TYPE_CHECKING:
    import httpx

    from base.errors import AppError

    from .rest import Person, Rest


async def restored(
    who: Person, project: dict[str, Any], to: dict[str, Any] | str
) -> dict[str, Any]:
    """The answer to a restore of a commit, or of a tag."""
    body = {"tag": to} if isinstance(to, str) else {"commitId": to["id"]}
    done = await who("POST", at(project, "/restore"), json=body)
    assert done.status_code == 200, done.text
    return done.json()


async def test_a_restore_is_an_edit_in_the_name_of_who_asks(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    first = await commit(anna, project, bpm=120, key="D")
    second = await commit(anna, project, bpm=121, key=None, swing=3)
    done = await restored(bert, project, first)
    assert done["applied"] is True
    assert done["durable"] is True
    assert "project" in done["summary"] or "changed" in done["summary"]
    assert await live(anna, project) == {"bpm": 120, "key": "D"}
    assert rest.rooms.applied[-1][1] == UUID(bert.user["id"])
    # Nothing of the history is lost, and the restore can be undone in the same way.
    log = (await anna("GET", at(project, "/commits"))).json()["items"]
    assert [each["id"] for each in log] == [second["id"], first["id"]]
    assert (await restored(anna, project, second))["applied"] is True
    assert await live(anna, project) == {"bpm": 121, "swing": 3}


async def test_a_restore_to_what_is_there_already_changes_nothing(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    made = await commit(anna, project, bpm=120)
    await tagged(anna, project, made, "first")
    edits = len(rest.rooms.applied)
    answer = {
        "applied": False,
        "summary": "nothing changed",
        "before": None,
        "commit": None,
        "durable": True,
    }
    assert await restored(anna, project, made) == answer
    assert await restored(anna, project, "first") == answer
    assert len(rest.rooms.applied) == edits
    await write(anna, project, bpm=121)
    assert (await restored(anna, project, "first"))["applied"] is True
    assert await restored(anna, project, "first") == answer


async def test_a_restore_is_committed_only_when_somebody_commits(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await commit(anna, project, bpm=121)
    await restored(anna, project, first)
    made = await anna("POST", at(project, "/commit"), json={"message": "Back"})
    assert made.status_code == 201
    assert made.json()["contentHash"] == first["contentHash"]


async def test_a_preview_of_a_restore_says_what_would_change_and_changes_nothing(
    rest: Rest,
) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    body = {"commitId": first["id"], "dryRun": True, "message": "Back"}
    done = (await anna("POST", at(project, "/restore"), json=body)).json()
    assert (done["applied"], done["before"], done["commit"]) == (True, None, None)
    (change,) = done["diff"]["changes"]
    assert (change["kind"], change["before"], change["after"]) == ("changed", 121, 120)
    assert await live(anna, project) == {"bpm": 121}
    assert await _messages(anna, project) == [first["message"]]
    real = (await anna("POST", at(project, "/restore"), json=body | {"dryRun": False})).json()
    assert real["summary"] == done["summary"]
    assert "diff" not in real


async def test_a_restore_with_a_message_says_what_undoes_it(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    body = {"commitId": first["id"], "message": "Back"}
    done = (await anna("POST", at(project, "/restore"), json=body)).json()
    messages = ["Back", "Before restoring", first["message"]]
    assert await _messages(anna, project) == messages
    assert (done["commit"]["message"], done["before"]["message"]) == tuple(messages[:2])
    await restored(anna, project, done["before"])
    assert await live(anna, project) == {"bpm": 121}
    # Where everything was committed, that commit is what was there before.
    last = await commit(anna, project, swing=3)
    done = (await anna("POST", at(project, "/restore"), json=body)).json()
    assert done["before"]["id"] == last["id"]


async def test_a_restore_that_lost_its_commit_makes_it_when_it_is_asked_again(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    body = {"commitId": first["id"], "message": "Back"}
    async with commits_break(rest, "Back"):
        refused(await anna("POST", at(project, "/restore"), json=body), 503, "database_unavailable")
    assert await live(anna, project) == {"bpm": 120}
    assert await _messages(anna, project) == ["Before restoring", first["message"]]
    done = (await anna("POST", at(project, "/restore"), json=body)).json()
    assert (done["applied"], done["commit"]["message"]) == (False, "Back")
    assert await _messages(anna, project) == ["Back", "Before restoring", first["message"]]


async def _messages(who: Person, project: dict[str, Any]) -> list[str]:
    return [each["message"] for each in await log(who, project)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"commitId": "01890000-0000-7000-8000-000000000000", "tag": "v1"},
        {"commitId": "live"},
        {"commitId": None},
        {"tag": 1},
        {"tag": "v1", "time": "2026-01-01T00:00:00Z"},
        {"time": "2026-01-01T00:00:00"},
        {"time": "yesterday"},
        {"time": 1_700_000_000},
        {"tag": "v1", "branch": ""},
        {"tag": "v1", "branch": "x" * 101},
        {"tag": "v1", "branch": None},
        {"tag": "v1", "dryRun": "yes"},
    ],
)
async def test_a_restore_names_exactly_one_state(rest: Rest, body: dict[str, object]) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("POST", at(project, "/restore"), json=body), 422, "validation_failed")


async def test_a_large_document_of_every_kind_comes_back(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    doc: Doc[Any] = Doc()
    takes, lyrics, log = Map[object](), Text(), Array[object]()
    doc["takes"], doc["lyrics"], doc["log"] = takes, lyrics, log
    with doc.transaction():
        for number in range(1500):
            takes[f"take{number}"] = {"start": number, "note": "C4"}
        lyrics += "la " * 1000
        log.extend([1, 2, 3])
    await _post(anna, project, doc.get_update())
    made = (await anna("POST", at(project, "/commit"), json={"message": "All"})).json()
    before = (await anna("GET", at(project, "/snapshot?format=json"))).json()
    vector = doc.get_state()
    with doc.transaction():
        for number in range(0, 1500, 3):
            del takes[f"take{number}"]
        lyrics.insert(30, "no ")
        del log[1]
        takes["other"] = Map({"deep": Text("down")})
    await _post(anna, project, doc.get_update(vector))
    assert (await restored(anna, project, made))["applied"] is True
    assert (await anna("GET", at(project, "/snapshot?format=json"))).json() == before


async def _post(who: Person, project: dict[str, Any], update: bytes) -> None:
    headers = {"Content-Type": OCTETS}
    done = await who("POST", at(project, "/updates"), content=update, headers=headers)
    assert done.status_code == 200, done.text


async def test_what_others_do_during_a_restore_stays(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    look = rest.rooms.snapshot

    async def snapshot(document_id: int) -> bytes:
        seen = await look(document_id)
        monkeypatch.setattr(rest.rooms, "snapshot", look)
        await write(anna, project, meanwhile=7)
        return seen

    monkeypatch.setattr(rest.rooms, "snapshot", snapshot)
    assert (await restored(anna, project, first))["applied"] is True
    assert await live(anna, project) == {"bpm": 120, "meanwhile": 7}


async def test_two_restores_at_once_end_in_one_of_the_two(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    wanted = [{"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 1, "d": 4}]
    one = await commit(anna, project, a=1, b=1, c=1)
    two = await commit(anna, project, a=2, c=None, d=4)
    for turn in range(10):
        await write(anna, project, a=0, b=turn, e=5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(restored, anna, project, one)
            tasks.start_soon(restored, anna, project, two)
        assert await live(anna, project) in wanted


async def test_who_was_sent_away_while_it_was_worked_out_restores_nothing(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    made = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    look = rest.rooms.snapshot

    async def snapshot(document_id: int) -> bytes:
        seen = await look(document_id)
        left = at(project, f"/collaborators/{bert.user['id']}")
        assert (await anna("DELETE", left)).status_code == 204
        return seen

    with monkeypatch.context() as patched:
        patched.setattr(rest.rooms, "snapshot", snapshot)
        answer = await bert("POST", at(project, "/restore"), json={"commitId": made["id"]})
    refused(answer, 404, "project_not_found")
    assert await live(anna, project) == {"bpm": 121}


async def test_who_has_no_account_neither_commits_nor_restores(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project(guestRole="editor")
    made = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    token = (await linked(anna, project, role="editor"))["token"]
    edits = len(rest.rooms.applied)
    for headers in ({}, {"Authorization": f"Bearer {token}"}, {"Share-Link": token}):

        async def post(path: str, body: object) -> httpx.Response:
            asked = rest.client.post(at(project, path), json=body, headers=headers)  # noqa: B023 (called in the loop)
            return await asked

        for path, body in (
            ("/commit", {"message": "mine"}),
            ("/restore", {"commitId": made["id"]}),
            ("/tags", {"name": "mine", "commitId": made["id"]}),
        ):
            refused(await post(path, body), 401, "token_missing")
    assert len(rest.rooms.applied) == edits


@pytest.mark.parametrize(
    ("error", "status"),
    [(ports.DocumentTooLarge, 413), (ports.PendingTooMany, 429), (ports.RoomUnavailable, 503)],
)
async def test_what_the_room_refuses_is_answered_with_its_code(
    rest: Rest, monkeypatch: pytest.MonkeyPatch, error: type[AppError], status: int
) -> None:
    async def apply(_document_id: int, _update: bytes, _author: UUID) -> ports.Applied:
        raise error

    anna = await rest.person()
    project = await anna.project()
    made = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    monkeypatch.setattr(rest.rooms, "apply", apply)
    answer = await anna("POST", at(project, "/restore"), json={"commitId": made["id"]})
    refused(answer, status, error.code)


async def test_a_journal_that_does_not_answer_holds_up_nobody_for_ever(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def apply(_document_id: int, _update: bytes, _author: UUID) -> ports.Applied:
        await anyio.sleep_forever()
        raise AssertionError

    anna = await rest.person()
    project = await anna.project()
    made = await commit(anna, project, bpm=120)
    await write(anna, project, bpm=121)
    with monkeypatch.context() as patched:
        patched.setattr(documents, "DURABLE_SECONDS", 0.01)
        patched.setattr(rest.rooms, "apply", apply)
        answer = await anna("POST", at(project, "/restore"), json={"commitId": made["id"]})
    refused(answer, 503, "not_yet_durable")
    # The next one has its turn.
    assert (await restored(anna, project, made))["applied"] is True

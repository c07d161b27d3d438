"""One commit's change over REST: done again elsewhere, and undone, beside whatever else was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pycrdt import Array, Doc, Map, Text

from base import ids

from .crew import at, joined, proven
from .lines import (
    branched,
    commits_break,
    committed,
    edit,
    journaling,
    log,
    merged,
    picked,
    reverted,
    says,
)
from .rest import refused
from .takes import commit, live, write

if TYPE_CHECKING:
    from uuid import UUID

    from api import ports

    from .rest import Rest


async def test_one_commit_is_picked_and_no_other(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    await commit(anna, project, "intro", key="D")
    wanted = await commit(anna, project, "intro", swing=3, bpm=121)
    await commit(anna, project, "intro", meter=4)
    ours = await commit(anna, project, title="Night")
    done = await picked(anna, project, wanted, "main")
    assert (done["applied"], done["conflicts"]) == (True, [])
    assert await live(anna, project) == {"bpm": 121, "swing": 3, "title": "Night"}
    assert done["commit"]["parents"] == [ours["id"]]
    assert done["commit"]["message"] == wanted["message"]
    assert (done["commit"]["branch"], done["commit"]["author"]) == ("main", anna.user["id"])
    assert done["commit"]["changes"]["summary"] == done["summary"]
    # It is there now: to pick it again changes nothing, and makes no commit.
    again = await picked(anna, project, wanted, "main")
    assert (again["applied"], again["commit"], again["summary"]) == (False, None, "nothing changed")
    assert (await log(anna, project))[0]["id"] == done["commit"]["id"]


async def test_a_revert_undoes_one_commit_and_a_revert_of_that_does_it_again(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120, key="D")
    wrong = await commit(anna, project, bpm=999, swing=3)
    await commit(anna, project, title="Night")
    await write(anna, project, meter=4)
    done = await reverted(anna, project, wrong)
    assert await live(anna, project) == {"bpm": 120, "key": "D", "title": "Night", "meter": 4}
    assert done["commit"]["message"].startswith("Revert “Now {'bpm': 999")
    # What nobody had committed was committed first, and is none of the revert's changes.
    before = (await log(anna, project))[1]
    assert done["commit"]["parents"] == [before["id"]]
    assert before["message"].startswith("Before reverting “Now {'bpm'")
    back = await reverted(anna, project, done["commit"], message="After all")
    assert back["commit"]["message"] == "After all"
    assert await live(anna, project) == {
        "bpm": 999,
        "swing": 3,
        "key": "D",
        "title": "Night",
        "meter": 4,
    }
    assert (await reverted(anna, project, done["commit"]))["applied"] is False


async def test_the_first_commit_is_reverted_to_nothing_and_picked_from_nothing(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await commit(anna, project, key="D")
    assert (await reverted(anna, project, first))["applied"] is True
    assert await live(anna, project) == {"key": "D"}
    assert (await picked(anna, project, first, "main"))["applied"] is True
    assert await live(anna, project) == {"key": "D", "bpm": 120}


@pytest.mark.parametrize("doing", ["pick", "revert", "merge"])
async def test_what_lost_its_commit_makes_it_when_it_is_asked_again(rest: Rest, doing: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    theirs = await commit(anna, project, "intro", swing=3)
    ours = await commit(anna, project, key="D")
    await write(anna, project, title="Night")
    path, body = {
        "pick": ("/cherry-pick", {"commitId": theirs["id"], "into": "main"}),
        "revert": ("/revert", {"commitId": ours["id"]}),
        "merge": ("/branches/intro/merge", {"into": "main"}),
    }[doing]
    body["message"] = "Lost"
    async with commits_break(rest, "Lost"):
        answer = await anna("POST", at(project, path), json=body)
        refused(answer, 503, "database_unavailable")
    became = await live(anna, project)
    assert ("swing" in became, "key" in became) == (doing != "revert", doing != "revert")
    # What nobody had committed is committed for good, so that the change is known by itself.
    before = (await log(anna, project))[0]
    assert before["message"].startswith("Before ")
    done = (await anna("POST", at(project, path), json=body)).json()
    made = done["commit"]
    assert (made["message"], made["parents"][0]) == ("Lost", before["id"])
    assert made["changes"]["summary"] != "nothing changed"
    assert await live(anna, project) == became
    assert (await log(anna, project))[0] == made
    # What somebody else has not committed is none of it.
    await write(anna, project, meter=4)
    again = (await anna("POST", at(project, path), json=body)).json()
    assert again["commit"] is None
    assert (await log(anna, project))[0] == made


async def test_a_merge_is_reverted_against_the_branch_that_it_went_into(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    await commit(anna, project, "intro", key="D")
    await commit(anna, project, title="Night")
    merge = (await merged(anna, project, "intro"))["commit"]
    await reverted(anna, project, merge)
    assert await live(anna, project) == {"bpm": 120, "title": "Night"}


async def test_words_and_elements_beside_the_change_stay(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()

    def begin(doc: Doc[Any]) -> None:
        doc["lyrics"] = Text("a slow song in D")
        doc["log"] = Array([1, 2, 3, 4])
        doc["stems"] = Map({"s1": Map({"name": "Bass", "volume": 1})})

    def change(doc: Doc[Any]) -> None:
        lyrics, found = doc.get("lyrics", type=Text), doc.get("log", type=Array)
        del lyrics[2:6]
        lyrics.insert(2, "fast")
        del found[1]
        doc.get("stems", type=Map)["s1"]["volume"] = 2

    def beside(doc: Doc[Any]) -> None:
        lyrics, found = doc.get("lyrics", type=Text), doc.get("log", type=Array)
        lyrics.insert(16, " or E")
        found.append(5)
        doc.get("stems", type=Map)["s1"]["name"] = "Sub"

    await edit(anna, project, "main", begin)
    await committed(anna, project)
    await branched(anna, project, "intro")
    await edit(anna, project, "intro", change)
    made = await committed(anna, project, "intro")
    await edit(anna, project, "main", beside)
    was = await says(anna, project)
    done = await picked(anna, project, made, "main")
    now = await says(anna, project)
    assert now["lyrics"] == "a fast song in D or E"
    assert now["log"] == [1, 3, 4, 5]
    assert now["stems"]["s1"] == {"name": "Sub", "volume": 2}
    # Prose that both wrote is told, though both stand.
    assert [(each["kind"], each["stands"]) for each in done["conflicts"] if each["kind"] == "text"]
    await reverted(anna, project, done["commit"])
    assert await says(anna, project) == was


@pytest.mark.parametrize(
    ("wish", "bpm", "stands"),
    [
        ({}, 90, "theirs"),
        ({"strategy": "ours"}, 100, "ours"),
        ({"resolutions": [{"path": ["project", "bpm"], "take": "base"}]}, 120, "base"),
        (
            {
                "strategy": "ours",
                "resolutions": [{"path": ["project", "bpm"], "take": "theirs"}],
            },
            90,
            "theirs",
        ),
    ],
)
async def test_where_both_changed_the_same_one_of_them_stands_and_that_is_told(
    rest: Rest, monkeypatch: pytest.MonkeyPatch, wish: dict[str, Any], bpm: int, stands: str
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    journaling(rest, monkeypatch)
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    theirs = await commit(bert, project, "intro", bpm=90, key="D")
    await write(anna, project, bpm=100)
    preview = await picked(anna, project, theirs, "main", dryRun=True, **wish)
    assert (preview["applied"], preview["commit"]) == (True, None)
    assert await live(anna, project) == {"bpm": 100}
    done = await picked(anna, project, theirs, "main", **wish)
    assert await live(anna, project) == {"bpm": bpm, "key": "D"}
    assert done["conflicts"] == preview["conflicts"]
    (conflict,) = done["conflicts"]
    assert (conflict["base"], conflict["ours"], conflict["theirs"]) == (120, 100, 90)
    assert conflict["stands"] == stands
    assert conflict["ourChange"]["by"] == anna.user["id"]
    assert conflict["theirChange"] == {"by": bert.user["id"], "at": theirs["createdAt"]}


async def test_a_segment_whose_stem_is_gone_is_told(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()

    def begin(doc: Doc[Any]) -> None:
        doc["stems"] = Map({"lead": Map({"name": "Lead"})})

    def theirs(doc: Doc[Any]) -> None:
        doc["segments"] = Map({"g1": Map({"stemId": "lead"})})

    def ours(doc: Doc[Any]) -> None:
        del doc.get("stems", type=Map)["lead"]

    await edit(anna, project, "main", begin)
    await committed(anna, project)
    await branched(anna, project, "intro")
    await edit(anna, project, "intro", theirs)
    made = await committed(anna, project, "intro")
    await edit(anna, project, "main", ours)
    (conflict,) = (await picked(anna, project, made, "main", dryRun=True))["conflicts"]
    assert (conflict["kind"], conflict["stands"]) == ("dangling", "both")
    assert [each["path"] for each in conflict["needs"]] == [["stems", "lead"]]
    settle = [{"path": conflict["path"], "take": "theirs"}]
    await picked(anna, project, made, "main", resolutions=settle)
    assert await says(anna, project) == {
        "stems": {"lead": {"name": "Lead"}},
        "segments": {"g1": {"stemId": "lead"}},
    } | {key: value for key, value in (await says(anna, project)).items() if not value}


async def test_what_others_do_meanwhile_stays(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    wrong = await commit(anna, project, bpm=999)
    apply = rest.rooms.apply

    async def beside(document_id: int, update: bytes, author: UUID | None) -> ports.Applied:
        monkeypatch.setattr(rest.rooms, "apply", apply)
        await write(anna, project, meanwhile=7)
        return await apply(document_id, update, author)

    monkeypatch.setattr(rest.rooms, "apply", beside)
    await reverted(anna, project, wrong)
    assert await live(anna, project) == {"bpm": 120, "meanwhile": 7}

    async def changed_back(document_id: int, update: bytes, author: UUID | None) -> ports.Applied:
        monkeypatch.setattr(rest.rooms, "apply", apply)
        became = await apply(document_id, update, author)
        await write(anna, project, bpm=120, other=None)
        return became

    # Who changes it back before the commit leaves nothing to commit.
    await write(anna, project, other=1)
    other = await committed(anna, project)
    await write(anna, project, other=None)
    await committed(anna, project)
    monkeypatch.setattr(rest.rooms, "apply", changed_back)
    done = await picked(anna, project, other, "main")
    assert (done["applied"], done["commit"]) == (True, None)


async def test_the_same_undone_twice_at_once_is_undone_once(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    wrong = await commit(anna, project, bpm=999)
    done: list[bool] = []

    async def undo() -> None:
        done.append((await reverted(anna, project, wrong))["applied"])

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(undo)
    assert sorted(done) == [False, False, False, True]
    assert await live(anna, project) == {"bpm": 120}
    assert len(await log(anna, project)) == 3


async def test_only_admins_pick_and_revert_on_a_protected_branch(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    await commit(anna, project, bpm=120)
    wrong = await commit(anna, project, bpm=999)
    protect = await anna("PATCH", at(project, "/branches/main"), json={"protected": True})
    assert protect.status_code == 200, protect.text
    for path, body in (
        ("/cherry-pick", {"commitId": wrong["id"], "into": "main"}),
        ("/revert", {"commitId": wrong["id"]}),
    ):
        refused(await bert("POST", at(project, path), json=body), 403, "branch_protected")
    assert (await reverted(bert, project, wrong, dryRun=True))["applied"] is True
    assert (await reverted(anna, project, wrong))["applied"] is True


async def test_who_was_sent_away_meanwhile_changes_nothing(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    await commit(anna, project, bpm=120)
    wrong = await commit(anna, project, bpm=999)
    look = rest.rooms.snapshot

    async def snapshot(document_id: int) -> bytes:
        left = at(project, f"/collaborators/{bert.user['id']}")
        assert (await anna("DELETE", left)).status_code in {204, 404}
        return await look(document_id)

    with monkeypatch.context() as patched:
        patched.setattr(rest.rooms, "snapshot", snapshot)
        answer = await bert("POST", at(project, "/revert"), json={"commitId": wrong["id"]})
    refused(answer, 404, "project_not_found")
    assert await live(anna, project) == {"bpm": 999}


async def test_what_is_not_there_is_said(rest: Rest) -> None:
    anna = await rest.person()
    project, other = await anna.project(), await anna.project()
    made = await commit(anna, project, bpm=120)
    foreign = await commit(anna, other, bpm=1)
    for commit_id, branch, code in (
        (str(ids.new_id()), "main", "commit_not_found"),
        (foreign["id"], "main", "commit_not_found"),
        (made["id"], "nowhere", "branch_not_found"),
        (made["id"], "a\x00", "branch_not_found"),
    ):
        body = {"commitId": commit_id, "into": branch}
        refused(await anna("POST", at(project, "/cherry-pick"), json=body), 404, code)
        body = {"commitId": commit_id, "branch": branch}
        refused(await anna("POST", at(project, "/revert"), json=body), 404, code)
    for path, bodies in (
        ("/cherry-pick", [{}, {"into": "main"}, {"commitId": made["id"]}]),
        ("/revert", [{}, {"commitId": "live"}, {"commitId": made["id"], "into": "main"}]),
    ):
        for body in [*bodies, {"commitId": made["id"], "strategy": "crdt", "into": "main"}]:
            answer = await anna("POST", at(project, path), json=body)
            refused(answer, 422, "validation_failed")
    settle = [{"path": ["project", "key"], "take": "ours"}]
    body = {"commitId": made["id"], "resolutions": settle}
    refused(await anna("POST", at(project, "/revert"), json=body), 422, "conflict_unknown")

"""Rollback over REST: exactly what was chosen is taken back, live, and everything else stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pycrdt import Array, Doc, Map, Text

from base import clock, ids

from .crew import at, joined, proven
from .lines import commits_break
from .lived import compacted, edit, lived, removed, stem, stems
from .rest import refused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from base.db import Database
    from base.redis import Redis

    from .rest import Person, Rest


@pytest.fixture
async def rest(database: Database, redis: Redis, tmp_path: Path) -> AsyncGenerator[Rest]:
    async with lived(database, redis, tmp_path / "page") as here:
        yield here


async def duet(rest: Rest) -> tuple[Person, Person, dict[str, Any]]:
    anna = await proven(rest)
    project = await anna.project()
    return anna, await joined(rest, anna, project, "editor"), project


async def rolled_back(who: Person, project: dict[str, Any], **body: object) -> dict[str, Any]:
    if "since" in body:
        body["from"] = body.pop("since")
    done = await who("POST", at(project, "/rollback"), json=body)
    assert done.status_code == 200, done.text
    return done.json()


def now() -> str:
    return clock.now().isoformat()


@pytest.mark.parametrize("folded", [False, True])
async def test_what_one_person_did_goes_and_all_else_stands(rest: Rest, *, folded: bool) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0, gain=0))
    await edit(anna, project, stem("lead", pan=0))
    await edit(bert, project, stem("bass", pan=1))
    await edit(bert, project, stem("drums", pan=1))
    await edit(bert, project, removed("lead"))
    await edit(anna, project, stem("bass", gain=2))
    if folded:
        await compacted(rest)
    preview = await rolled_back(anna, project, by=bert.user["id"], dryRun=True)
    assert preview["applied"] is True
    assert {each["kind"] for each in preview["diff"]["changes"]} == {"added", "removed", "changed"}
    assert "drums" in await stems(anna, project)
    done = await rolled_back(anna, project, by=bert.user["id"])
    assert (done["applied"], done["commit"]) == (True, None)
    assert done["summary"] == preview["summary"]
    assert "diff" not in done
    assert await stems(anna, project) == {"bass": {"pan": 0, "gain": 2}, "lead": {"pan": 0}}
    again = await rolled_back(anna, project, by=bert.user["id"])
    assert again["applied"] is False


async def test_a_rollback_is_itself_rolled_back(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    await edit(bert, project, stem("bass", pan=1))
    before = await stems(anna, project)
    moment = now()
    await rolled_back(anna, project, by=bert.user["id"])
    assert await stems(anna, project) == {"bass": {"pan": 0}}
    await rolled_back(anna, project, by=anna.user["id"], since=moment)
    assert await stems(anna, project) == before


async def test_rollback_of_everything_is_the_state_before(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    await edit(anna, project, lambda doc: doc.get("notes", type=Text).insert(0, "one two"))
    await edit(anna, project, lambda doc: doc.get("chat", type=Array).extend(["a", "b"]))
    moment = now()
    whole = at(project, "/snapshot?format=json")
    before = (await anna("GET", whole)).json()
    made = await anna("POST", at(project, "/commit"), json={"message": "Before"})
    await edit(bert, project, removed("bass"))
    await edit(anna, project, lambda doc: doc.get("notes", type=Text).insert(4, "and a half "))
    await edit(bert, project, lambda doc: doc.get("chat", type=Array).pop(0))
    restored = await anna("POST", at(project, "/restore"), json={"commitId": made.json()["id"]})
    assert restored.json()["applied"] is True
    await edit(bert, project, stem("drums", pan=1))
    await compacted(rest)
    await edit(bert, project, stem("bass", pan=5))
    await rolled_back(bert, project, since=moment)
    assert (await anna("GET", whole)).json() == before


async def test_one_thing_alone_is_rolled_back(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("a/b", pan=0))
    await edit(anna, project, stem("lead", pan=0))
    moment = now()
    await edit(bert, project, stem("a/b", pan=1))
    await edit(bert, project, stem("lead", pan=1))
    await rolled_back(anna, project, since=moment, entities=["stems/a%2Fb"])
    assert await stems(anna, project) == {"a/b": {"pan": 0}, "lead": {"pan": 1}}
    await rolled_back(anna, project, entities=[["stems", "lead"], "stems/nobody"])
    assert await stems(anna, project) == {"a/b": {"pan": 0}}


async def test_only_a_time_is_rolled_back(rest: Rest) -> None:
    anna, _, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    since = now()
    await edit(anna, project, stem("bass", pan=1))
    to = now()
    await edit(anna, project, stem("bass", gain=1))
    await rolled_back(anna, project, since=since, to=to)
    assert await stems(anna, project) == {"bass": {"pan": 0, "gain": 1}}


async def test_what_comes_of_it_can_be_committed(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    await edit(bert, project, stem("bass", pan=1))
    made = await anna("POST", at(project, "/commit"), json={"message": "One"})
    done = await rolled_back(anna, project, by=bert.user["id"], message=" Without Bert ")
    assert done["commit"]["message"] == "Without Bert"
    assert done["commit"]["parents"] == [made.json()["id"]]
    assert done["commit"]["author"] == anna.user["id"]
    log = (await anna("GET", at(project, "/commits"))).json()["items"]
    assert log[0] == done["commit"]
    # What nobody had committed is committed first, so that this can be undone, and nothing with it.
    await edit(anna, project, stem("lead", pan=1))
    await edit(bert, project, stem("drums", pan=1))
    done = await rolled_back(anna, project, by=bert.user["id"], message="Again")
    newest, first = (await anna("GET", at(project, "/commits"))).json()["items"][:2]
    assert (newest, first["message"]) == (done["commit"], "Before rolling back")
    assert newest["parents"] == [first["id"]]
    body = {"commitId": newest["id"]}
    assert (await anna("POST", at(project, "/revert"), json=body)).json()["applied"] is True
    assert await stems(anna, project) == {
        "bass": {"pan": 0},
        "lead": {"pan": 1},
        "drums": {"pan": 1},
    }


async def test_a_rollback_that_lost_its_commit_makes_it_when_it_is_asked_again(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    await edit(bert, project, stem("bass", pan=1))
    body = {"by": bert.user["id"], "message": "Lost"}
    async with commits_break(rest, "Lost"):
        answer = await anna("POST", at(project, "/rollback"), json=body)
        refused(answer, 503, "database_unavailable")
    done = await rolled_back(anna, project, **body)
    assert (done["applied"], done["commit"]["message"]) == (False, "Lost")
    log = (await anna("GET", at(project, "/commits"))).json()["items"]
    assert [each["message"] for each in log] == ["Lost", "Before rolling back"]
    # One that finds nothing, and is another, commits nothing of somebody else's.
    await edit(anna, project, stem("lead", pan=0))
    done = await rolled_back(anna, project, by=str(ids.new_id()), message="None of it")
    assert (done["applied"], done["commit"]) == (False, None)


@pytest.mark.parametrize("by", ["bert", "anna"])
async def test_the_same_rollback_again_moves_nothing(rest: Rest, by: str) -> None:
    anna, bert, project = await duet(rest)
    them = {"anna": anna, "bert": bert}[by]

    def text(at: int, written: str) -> Callable[[Doc[Any]], None]:
        return lambda doc: doc.get("notes", type=Text).insert(at, written)

    await edit(anna, project, text(0, "hello world"))
    since = now()
    await edit(them, project, lambda doc: doc.get("notes", type=Text).__delitem__(slice(0, 5)))
    wish = {"by": them.user["id"], "since": since}
    assert (await rolled_back(anna, project, **wish))["applied"] is True
    await edit({"anna": bert, "bert": anna}[by], project, text(0, "* "))
    whole = at(project, "/snapshot?format=json")
    before = (await anna("GET", whole)).json()["notes"]
    assert before == "* hello world"
    assert (await rolled_back(anna, project, **wish))["applied"] is False
    await compacted(rest)
    assert (await rolled_back(anna, project, **wish))["applied"] is False
    assert (await anna("GET", whole)).json()["notes"] == before


async def test_what_others_do_meanwhile_stays(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    await edit(bert, project, stem("drums", pan=0))

    async def work(who: Person, key: str) -> None:
        for number in range(8):
            await edit(who, project, stem(f"{key}{number}", pan=number))

    before = now()
    async with anyio.create_task_group() as group:
        group.start_soon(work, anna, "x")
        group.start_soon(work, bert, "y")
        for _ in range(3):
            await rolled_back(anna, project, by=bert.user["id"], to=before)
    wanted = {"bass": {"pan": 0}} | {
        f"{key}{number}": {"pan": number} for key in "xy" for number in range(8)
    }
    assert await stems(anna, project) == wanted


async def test_two_rollbacks_at_once_are_one_after_the_other(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, lambda doc: doc.get("notes", type=Text).insert(0, "one"))
    await edit(bert, project, lambda doc: doc.get("notes", type=Text).clear())
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(_quietly, anna, project, bert.user["id"])
    said = await anna("GET", at(project, "/snapshot?format=json"))
    assert said.json()["notes"] == "one"


async def _quietly(who: Person, project: dict[str, Any], by: str) -> None:
    await rolled_back(who, project, by=by)


async def test_a_protected_branch_is_rolled_back_by_who_keeps_it(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    await rest.run("UPDATE documents SET protected = true")
    body = {"by": anna.user["id"]}
    answer = await bert("POST", at(project, "/rollback"), json=body)
    refused(answer, 403, "branch_protected")
    assert await stems(bert, project) == {"bass": {"pan": 0}}
    # To look at what it would do takes no right to do it on this branch.
    assert (await rolled_back(bert, project, **body, dryRun=True))["applied"] is True
    assert (await rolled_back(anna, project, **body))["applied"] is True


async def test_a_branch_is_rolled_back_to_where_it_began(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    await edit(bert, project, stem("lead", pan=0))
    await edit(bert, project, removed("lead"))
    body = {"name": "wild", "sourceBranch": "main"}
    made = await anna("POST", at(project, "/branch"), json=body)
    assert made.status_code == 201, made.text
    await edit(bert, project, stem("bass", pan=1), branch="wild")
    await edit(bert, project, removed("bass"), branch="wild")
    done = await rolled_back(anna, project, by=bert.user["id"], branch="wild")
    assert done["applied"] is True
    found = await anna("GET", at(project, "/snapshot"), params={"branch": "wild"})
    doc: Doc[Any] = Doc()
    doc.apply_update(found.content)
    assert doc.get("stems", type=Map).to_py() == {"bass": {"pan": 0}}
    assert await stems(anna, project) == {"bass": {"pan": 0}}


MANY = [f"stems/{number}" for number in range(1000)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"to": "2026-01-01T00:00:00Z"},
        {"message": "x", "dryRun": True},
        {"by": "anna"},
        {"from": "2026-01-01T00:00:00"},
        {"from": 5},
        {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "9999-12-31T23:59:59-14:00"},
        {"from": "9999-12-31T00:00:00Z"},
        {"by": None, "to": "9999-12-31T00:00:00Z"},
        {"entities": []},
        {"entities": MANY},
        {"entities": [""]},
        {"entities": ["stems/"]},
        {"entities": [["stems", ""]]},
        {"entities": [["stems", 1]]},
        {"entities": [["a"] * 17]},
        {"entities": [["x" * 1001]]},
        {"entities": ["stems/%80"]},
        {"entities": "stems"},
        {"by": None, "message": ""},
        {"by": None, "message": "a\x00b"},
        {"by": None, "dryRun": 1},
        {"by": None, "whole": True},
    ],
)
async def test_a_rollback_is_asked_for_properly(rest: Rest, body: dict[str, object]) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("POST", at(project, "/rollback"), json=body), 422, "validation_failed")


async def test_what_is_odd_but_well_said_finds_nothing(rest: Rest) -> None:
    anna, bert, project = await duet(rest)
    await edit(anna, project, stem("bass", pan=0))
    for body in (
        {"by": str(ids.new_id())},
        {"entities": ["a\x00b", "stems/%00", "\U0001f3b9"]},
        {"entities": ["stems/bass/pan/deep/er"], "by": bert.user["id"]},
    ):
        done = await rolled_back(anna, project, **body)
        assert done == {
            "applied": False,
            "summary": "nothing changed",
            "commit": None,
            "durable": True,
        }
    assert await stems(anna, project) == {"bass": {"pan": 0}}
    empty = await anna.project()
    assert (await rolled_back(anna, empty, by=None))["applied"] in (True, False)

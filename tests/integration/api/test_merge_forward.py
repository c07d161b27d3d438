"""Merging into a branch that is only behind: it is moved forward, and merging there and back ends."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from .crew import at, proven
from .lines import branched, log, merged, untouched
from .lived import edit, lived, stem
from .takes import commit, live, write

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from api import ports
    from base.db import Database
    from base.redis import Redis

    from .rest import Person, Rest


async def head(who: Person, project: dict[str, Any], branch: str) -> str:
    return (await log(who, project, branch))[0]["id"]


async def test_a_branch_that_is_behind_is_moved_forward(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    await commit(anna, project, "intro", bpm=90)
    newest = await commit(anna, project, "intro", key="D")
    before = await untouched(anna, project, rest)
    tried = await merged(anna, project, "intro", dryRun=True)
    assert (tried["merged"], tried["fastForward"], tried["commit"]) == (True, True, None)
    assert await untouched(anna, project, rest) == before
    done = await merged(anna, project, "intro", message="Not needed")
    assert (done["merged"], done["fastForward"], done["commit"]) == (True, True, newest)
    assert done["summary"] == "1 project setting changed, 1 project setting added"
    assert await live(anna, project) == {"bpm": 90, "key": "D"}
    items = await log(anna, project)
    assert (items[0], items[-1]["id"], len(items)) == (newest, first["id"], 3)
    again = await merged(anna, project, "intro")
    assert (again["merged"], again["fastForward"]) == (False, False)
    # And what is committed next follows it.
    assert (await commit(anna, project, swing=1))["parents"] == [newest["id"]]


async def test_what_was_not_committed_of_the_other_one_is_committed_for_both(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    await write(anna, project, "intro", bpm=90)
    done = await merged(anna, project, "intro")
    assert done["fastForward"] is True
    assert done["commit"]["message"] == "Before merging into main"
    assert await head(anna, project, "main") == await head(anna, project, "intro")
    now = (await anna("GET", at(project, "/branches/main"))).json()
    assert (now["uncommitted"], now["head"]) == (False, done["commit"]["id"])


async def test_what_was_done_on_it_makes_a_merge_of_it(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    theirs = await commit(anna, project, "intro", key="D")
    await write(anna, project, swing=2)
    done = await merged(anna, project, "intro")
    assert (done["fastForward"], done["commit"]["parents"][1]) == (False, theirs["id"])
    assert await live(anna, project) == {"bpm": 120, "key": "D", "swing": 2}


async def test_what_was_done_on_it_is_kept_also_where_it_says_the_same(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    await commit(anna, project, "intro", bpm=90)
    await write(anna, project, bpm=90)
    done = await merged(anna, project, "intro")
    assert (done["fastForward"], done["conflicts"]) == (False, [])
    assert await live(anna, project) == {"bpm": 90}


async def test_what_comes_meanwhile_is_not_committed(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    theirs = await commit(anna, project, "intro", bpm=90)
    apply = rest.rooms.apply

    async def beside(document_id: int, update: bytes, author: UUID | None) -> ports.Applied:
        monkeypatch.setattr(rest.rooms, "apply", apply)
        await write(anna, project, meanwhile=7)
        return await apply(document_id, update, author)

    monkeypatch.setattr(rest.rooms, "apply", beside)
    done = await merged(anna, project, "intro")
    assert (done["fastForward"], done["commit"]["id"]) == (True, theirs["id"])
    assert await live(anna, project) == {"bpm": 90, "meanwhile": 7}
    now = (await anna("GET", at(project, "/branches/main"))).json()
    assert now["uncommitted"] is True


@pytest.mark.parametrize("seed", range(6))
async def test_merged_there_and_back_two_branches_have_one_newest_commit(
    rest: Rest, seed: int
) -> None:
    luck = Random(seed)
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    for number in range(4):
        for branch in ("main", "intro"):
            if luck.random() < 0.6:
                await write(anna, project, branch, **{luck.choice("abc"): number})
            if luck.random() < 0.4:
                await commit(anna, project, branch, **{luck.choice("abc"): number + 10})
        ends = luck.sample(("main", "intro"), 2)
        await merged(anna, project, *ends)
        await merged(anna, project, *ends[::-1])
        assert await head(anna, project, "main") == await head(anna, project, "intro")
        assert await live(anna, project) == await live(anna, project, "intro")
        before = await untouched(anna, project, rest)
        for _ in range(2):
            ends.reverse()
            assert (await merged(anna, project, *ends))["merged"] is False
        assert await untouched(anna, project, rest) == before


async def test_blame_knows_the_commits_of_what_was_brought(
    database: Database, redis: Redis, tmp_path: Path
) -> None:
    async with lived(database, redis, tmp_path / "page") as rest:
        anna = await proven(rest)
        project = await anna.project()

        async def blamed(key: str) -> set[str | None]:
            asked = {"entity": f"stems/{key}"}
            found = await anna("GET", at(project, "/blame"), params=asked)
            return {each["commit"] for each in found.json()["items"]}

        async def kept(branch: str, message: str) -> dict[str, Any]:
            body = {"branch": branch, "message": message}
            return (await anna("POST", at(project, "/commit"), json=body)).json()

        await edit(anna, project, stem("bass", pan=0))
        first = await kept("main", "One")
        await branched(anna, project, "intro")
        await edit(anna, project, stem("lead", pan=0), "intro")
        second = await kept("intro", "Two")
        forward = await merged(anna, project, "intro")
        assert forward["commit"]["id"] == second["id"]
        assert (await blamed("bass"), await blamed("lead")) == ({first["id"]}, {second["id"]})
        # Picked, and merged, into a branch that went on meanwhile.
        await edit(anna, project, stem("drums", pan=0), "intro")
        third = await kept("intro", "Three")
        body = {"commitId": third["id"], "into": "main"}
        picked = (await anna("POST", at(project, "/cherry-pick"), json=body)).json()
        assert await blamed("drums") == {picked["commit"]["id"]}
        await edit(anna, project, stem("keys", pan=0), "intro")
        done = await merged(anna, project, "intro")
        assert done["fastForward"] is False
        assert await blamed("keys") == {done["commit"]["id"]}
        assert await blamed("lead") == {second["id"]}

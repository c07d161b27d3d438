"""Merging over REST: everything of both, once, wherever the two have been before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycrdt import Doc, Map, Text

from .crew import at
from .lines import (
    branched,
    committed,
    edit,
    log,
    merged,
    reverted,
    says,
    stems,
    untouched,
)
from .takes import commit, live, write

if TYPE_CHECKING:
    from .rest import Rest


async def test_a_merge_brings_everything_of_both_and_has_two_parents(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120, key="D")
    await branched(anna, project, "intro")
    ours = await commit(anna, project, key="E")
    theirs = await commit(anna, project, "intro", bpm=90, swing=3)
    done = await merged(anna, project, "intro")
    assert (done["merged"], done["conflicts"], done["more"]) == (True, [], 0)
    assert done["summary"] == "1 project setting changed, 1 project setting added"
    assert "changes" not in done
    assert done["commit"]["parents"] == [ours["id"], theirs["id"]]
    assert done["commit"]["message"] == "Merge intro into main"
    assert (done["commit"]["author"], done["commit"]["branch"]) == (anna.user["id"], "main")
    assert await live(anna, project) == {"bpm": 90, "key": "E", "swing": 3}
    assert await live(anna, project, "intro") == {"bpm": 90, "key": "D", "swing": 3}
    assert [each["id"] for each in await log(anna, project)] == [
        done["commit"]["id"],
        theirs["id"],
        ours["id"],
        first["id"],
    ]
    # And again there is nothing to do, and nothing is done.
    before = await untouched(anna, project, rest)
    again = await merged(anna, project, "intro")
    assert (again["merged"], again["commit"], again["summary"]) == (False, None, "nothing changed")
    assert await untouched(anna, project, rest) == before


async def test_what_nobody_had_committed_is_committed_first(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    first = await commit(anna, project, bpm=120)
    await branched(anna, project, "intro")
    await write(anna, project, key="E")
    await write(anna, project, "intro", swing=3)
    done = await merged(anna, project, "intro", message=" Better ")
    assert done["commit"]["message"] == "Better"
    made = {each["message"]: each for each in await log(anna, project)}
    ours, theirs = made["Before merging intro"], made["Before merging into main"]
    assert ours["parents"] == theirs["parents"] == [first["id"]]
    assert (ours["branch"], theirs["branch"]) == ("main", "intro")
    assert done["commit"]["parents"] == [ours["id"], theirs["id"]]
    # So it can be undone.
    undone = await anna("POST", at(project, "/restore"), json={"commitId": ours["id"]})
    assert undone.json()["applied"] is True
    assert await live(anna, project) == {"bpm": 120, "key": "E"}


async def test_branches_without_any_commit_are_merged(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await write(anna, project, bpm=120, key="D")
    await branched(anna, project, "intro")
    assert (await merged(anna, project, "intro"))["merged"] is False
    await write(anna, project, "intro", bpm=90)
    await write(anna, project, bpm=100)
    done = await merged(anna, project, "intro", strategy="theirs")
    # What both were when they parted is what they are compared with.
    (conflict,) = done["conflicts"]
    assert (conflict["base"], conflict["ours"], conflict["theirs"]) == (120, 100, 90)
    assert len(done["commit"]["parents"]) == 2
    assert await live(anna, project) == {"bpm": 90, "key": "D"}


async def test_what_was_not_committed_when_they_parted_is_no_conflict(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120, key="D")
    await write(anna, project, bpm=121)
    await branched(anna, project, "intro")
    await branched(anna, project, "outro")
    await write(anna, project, bpm=122)
    await write(anna, project, "intro", key="E")
    done = await merged(anna, project, "intro")
    assert done["conflicts"] == []
    assert await live(anna, project) == {"bpm": 122, "key": "E"}
    # The same between two that came from a third.
    await write(anna, project, "outro", bpm=99)
    done = await merged(anna, project, "outro", "intro")
    assert done["conflicts"] == []
    assert await live(anna, project, "intro") == {"bpm": 99, "key": "E"}


async def test_merged_both_ways_two_branches_say_the_same(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()

    def begin(doc: Doc[Any]) -> None:
        doc["lyrics"] = Text("la la")
        stems(doc)["s1"] = Map({"name": "Bass", "volume": 1})

    def ours(doc: Doc[Any]) -> None:
        doc.get("lyrics", type=Text).insert(0, "oh ")
        stems(doc)["s1"]["volume"] = 2

    def theirs(doc: Doc[Any]) -> None:
        doc.get("lyrics", type=Text).insert(5, " lu")
        stems(doc)["s1"]["volume"] = 3
        stems(doc)["s2"] = Map({"name": "Lead"})

    await edit(anna, project, "main", begin)
    await branched(anna, project, "intro")
    await edit(anna, project, "main", ours)
    await edit(anna, project, "intro", theirs)
    there = await merged(anna, project, "intro")
    assert (await says(anna, project))["lyrics"] == "oh la la lu"
    assert {each["kind"] for each in there["conflicts"]} == {"text", "value"}
    back = await merged(anna, project, "main", "intro")
    assert back["conflicts"] == []
    assert await says(anna, project) == await says(anna, project, "intro")
    # Nothing was done on intro since: the merge is its newest commit too, and that is all.
    assert (back["fastForward"], back["commit"]) == (True, there["commit"])
    assert (await merged(anna, project, "main", "intro"))["merged"] is False
    assert (await merged(anna, project, "intro"))["merged"] is False
    assert await says(anna, project) == await says(anna, project, "intro")


async def test_after_many_merges_there_and_back_only_the_last_changes_are_compared(
    rest: Rest,
) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=0, key=0)
    await branched(anna, project, "intro")
    for turn in range(1, 5):
        await write(anna, project, bpm=turn)
        await write(anna, project, "intro", key=turn)
        done = await merged(anna, project, "intro")
        assert done["conflicts"] == []
        assert await live(anna, project) == {"bpm": turn, "key": turn}
        if turn % 2:
            assert (await merged(anna, project, "main", "intro"))["conflicts"] == []
    await write(anna, project, bpm=8)
    await write(anna, project, "intro", bpm=9)
    (conflict,) = (await merged(anna, project, "intro", dryRun=True))["conflicts"]
    assert (conflict["base"], conflict["ours"], conflict["theirs"]) == (3, 8, 9)


async def test_lines_that_merged_each_other_crosswise_are_compared_with_all_they_shared(
    rest: Rest,
) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, a=0, b=0)
    await branched(anna, project, "intro")
    one = await commit(anna, project, a=1)
    other = await commit(anna, project, "intro", b=1)
    # Each gets the other's commit, and not its merge.
    for name, source in (("ours", one), ("theirs", other)):
        await branched(anna, project, name, sourceCommit=source["id"])
    await merged(anna, project, "theirs", "main")
    await merged(anna, project, "ours", "intro")
    await write(anna, project, a=2, b=2)
    await write(anna, project, "intro", a=3, b=3)
    found = (await merged(anna, project, "intro", dryRun=True))["conflicts"]
    assert [(each["path"][1], each["base"]) for each in found] == [("a", 1), ("b", 1)]


async def test_after_a_squash_branches_are_still_merged_and_nothing_doubles(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()

    def write_lyrics(doc: Doc[Any]) -> None:
        doc["lyrics"] = Text("la la")

    def sing(doc: Doc[Any]) -> None:
        doc.get("lyrics", type=Text).insert(5, " lu")

    await edit(anna, project, "main", write_lyrics)
    first = await committed(anna, project)
    await branched(anna, project, "intro")
    await commit(anna, project, "intro", key="D")
    assert (await anna("POST", at(project, "/squash"))).status_code == 200
    rest.rooms.documents.clear()  # as rooms that are opened anew
    await edit(anna, project, "intro", sing)
    await commit(anna, project, bpm=120)
    done = await merged(anna, project, "intro")
    assert (done["merged"], done["conflicts"]) == (True, [])
    now = await says(anna, project)
    assert (now["lyrics"], now["project"]["bpm"], now["project"]["key"]) == ("la la lu", 120, "D")
    # What was committed before is undone by what it said.
    await reverted(anna, project, first)
    assert (await says(anna, project))["lyrics"] == " lu"

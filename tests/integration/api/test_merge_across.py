"""Merging where a squash lies between: as if there had been none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pycrdt import Array, Doc, Map, Text

from docstore import documents
from docstore.history import verify

from . import lines
from .crew import at, joined, proven
from .lines import branched, committed, edit, log, merged, stems, untouched
from .takes import commit, live, write
from .test_bundles import brought, document_of, downloaded, made

if TYPE_CHECKING:
    from collections.abc import Callable

    from .rest import Person, Rest


async def squashed(who: Person, project: dict[str, Any]) -> dict[str, Any]:
    done = await who("POST", at(project, "/squash"), json={})
    assert done.status_code == 200, done.text
    return done.json()


async def says(who: Person, project: dict[str, Any], branch: str = "main") -> dict[str, Any]:
    """What a branch says beside what every project begins with."""
    found = await lines.says(who, project, branch)
    found.pop("project", None)
    return found


async def own(who: Person, project: dict[str, Any]) -> dict[str, Any]:
    """The settings of main that these tests make."""
    found = await live(who, project)
    return {key: found[key] for key in ("bpm", "key", "swing") if key in found}


async def opened(rest: Rest, project: dict[str, Any], branch: str) -> None:
    """Rooms in memory begin with snapshots; what came in a bundle is in the journal too."""
    document_id = await document_of(rest, project, branch)
    async with rest.services.database.connection() as tx:
        tail = (await documents.load(tx, document_id)).tail
    await rest.rooms.snapshot(document_id)
    for update in tail:
        rest.rooms.documents[document_id].apply_update(update)


async def sound(rest: Rest) -> None:
    told = [each async for each in verify.verify(rest.services.database)]
    assert [each for each in told if isinstance(each, verify.Finding)] == []


def song(doc: Doc[Any]) -> None:
    doc["lyrics"] = Text("verse")
    doc["log"] = Array([1])
    stems(doc).update({"bass": Map({"name": "Bass", "volume": 1}), "drums": Map({"volume": 1})})


def sung(text: str, at_: int | None = None) -> Callable[[Doc[Any]], None]:
    def change(doc: Doc[Any]) -> None:
        lyrics = doc.get("lyrics", type=Text)
        lyrics.insert(len(str(lyrics)) if at_ is None else at_, text)

    return change


def loud(key: str, volume: float) -> Callable[[Doc[Any]], None]:
    def change(doc: Doc[Any]) -> None:
        stems(doc)[key]["volume"] = volume

    return change


def noted(*numbers: int) -> Callable[[Doc[Any]], None]:
    return lambda doc: doc.get("log", type=Array).extend(numbers)


async def nothing_to_merge(rest: Rest, who: Person, project: dict[str, Any], *names: str) -> None:
    """All of these say the same, and have nothing more for one another."""
    before = await untouched(who, project, rest)
    for source in names:
        for into in names:
            if source != into:
                again = await merged(who, project, source, into)
                assert (again["merged"], again["conflicts"]) == (False, [])
    assert await untouched(who, project, rest) == before


@pytest.mark.parametrize("squashes", [0, 1, 2])
@pytest.mark.parametrize("is_committed", [True, False])
async def test_what_one_side_never_had_stays_on_the_other(
    rest: Rest, squashes: int, is_committed: bool
) -> None:
    anna = await rest.person()
    project = await anna.project()
    await edit(anna, project, "main", song)
    if is_committed:
        await committed(anna, project)
    await branched(anna, project, "side")
    await edit(anna, project, "side", loud("drums", 5))
    await edit(anna, project, "main", sung(" two"))
    await edit(anna, project, "main", noted(2, 3))
    for _ in range(squashes):
        await squashed(anna, project)
    await edit(anna, project, "main", loud("bass", 7))
    done = await merged(anna, project, "side")
    assert (done["merged"], done["conflicts"]) == (True, [])
    main = await says(anna, project)
    assert main == {
        "lyrics": "verse two",
        "log": [1, 2, 3],
        "stems": {"bass": {"name": "Bass", "volume": 7}, "drums": {"volume": 5}},
    }
    assert (await merged(anna, project, "main", "side"))["merged"]
    assert await says(anna, project, "side") == main
    await nothing_to_merge(rest, anna, project, "main", "side")
    await sound(rest)


async def test_siblings_and_a_branch_of_a_branch_merge_after_a_squash(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await edit(anna, project, "main", song)
    await branched(anna, project, "one")
    await branched(anna, project, "two")
    await edit(anna, project, "one", sung(" one"))
    # Never committed, and what both of them begin with.
    await branched(anna, project, "deep", sourceBranch="one")
    await edit(anna, project, "deep", noted(4))
    await edit(anna, project, "one", loud("bass", 3))
    await edit(anna, project, "two", loud("drums", 9))
    await edit(anna, project, "main", sung("The ", 0))
    assert (await squashed(anna, project))["branches"] == 4
    for source, into in (("deep", "one"), ("two", "one"), ("one", "main"), ("main", "deep")):
        done = await merged(anna, project, source, into)
        assert done["merged"], (source, into)
        assert [each["kind"] for each in done["conflicts"]] in ([], ["text"])
    said = await says(anna, project)
    assert said == {
        "lyrics": "The verse one",
        "log": [1, 4],
        "stems": {"bass": {"name": "Bass", "volume": 3}, "drums": {"volume": 9}},
    }
    assert await says(anna, project, "deep") == said
    # Begun after the squash, they share their operations again.
    await branched(anna, project, "late")
    await edit(anna, project, "late", sung("?"))
    await edit(anna, project, "main", sung("!", 0))
    await merged(anna, project, "late")
    assert (await says(anna, project))["lyrics"] == "!The verse one?"
    await sound(rest)


async def test_a_branch_of_something_old_brings_what_was_done_on_it(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await edit(anna, project, "main", song)
    first = await committed(anna, project)
    await edit(anna, project, "main", sung(" two"))
    await squashed(anna, project)
    for name, number in (("old", 7), ("older", 8)):
        await branched(anna, project, name, sourceCommit=first["id"])
        assert (await says(anna, project, name))["lyrics"] == "verse"
        await edit(anna, project, name, noted(number))
        await edit(anna, project, name, loud("bass" if number == 7 else "drums", number))
    await squashed(anna, project)
    for name in ("old", "older"):
        done = await merged(anna, project, name)
        assert done["merged"]
    said = await says(anna, project)
    assert (said["lyrics"], sorted(said["log"])) == ("verse two", [1, 7, 8])
    assert [said["stems"][key]["volume"] for key in ("bass", "drums")] == [7, 8]
    await sound(rest)


async def test_conflicts_across_a_squash_are_told_and_settled(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120, key="D")
    for name in ("intro", "outro", "coda"):
        await branched(anna, project, name)
        await write(anna, project, name, bpm=90, key="F")
    await write(anna, project, bpm=100, key="E")
    await squashed(anna, project)
    done = await merged(anna, project, "intro", dryRun=True)
    assert (done["merged"], done["commit"], done["changes"]) == (True, None, [])
    told = {each["path"][-1]: each for each in done["conflicts"]}
    assert {key: told["bpm"][key] for key in ("base", "ours", "theirs", "stands")} == {
        "base": 120,
        "ours": 100,
        "theirs": 90,
        "stands": "ours",
    }
    assert await own(anna, project) == {"bpm": 100, "key": "E"}
    await merged(anna, project, "intro")
    assert await own(anna, project) == {"bpm": 100, "key": "E"}
    path = told["bpm"]["path"]
    done = await merged(
        anna, project, "outro", strategy="theirs", resolutions=[{"path": path, "take": "base"}]
    )
    assert await own(anna, project) == {"bpm": 120, "key": "F"}
    done = await merged(anna, project, "coda", strategy="ours")
    # Main says what both began with: that is no side of a conflict.
    assert done["conflicts"] == []
    assert await own(anna, project) == {"bpm": 90, "key": "F"}
    assert (await merged(anna, project, "coda", strategy="theirs"))["merged"] is False


async def test_a_protected_branch_of_before_gives_its_newest_commit(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    bert = await joined(rest, anna, project, "editor")
    await commit(anna, project, bpm=120)
    await branched(anna, project, "release")
    await commit(anna, project, "release", key="D")
    kept = await anna("PATCH", at(project, "/branches/release"), json={"protected": True})
    assert kept.status_code == 200
    await write(anna, project, swing=3)
    await squashed(anna, project)
    await merged(bert, project, "release")
    assert await own(anna, project) == {"bpm": 120, "key": "D", "swing": 3}


async def test_a_bundle_from_before_a_squash_becomes_a_branch_that_merges(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await edit(anna, project, "main", song)
    await committed(anna, project)
    data = await downloaded(anna, project, await made(anna, project))
    again = (await brought(anna, data))["project"]
    # Somebody works on it elsewhere, and it comes back; here there was a squash meanwhile.
    await edit(anna, again, "main", loud("bass", 4))
    await edit(anna, again, "main", sung(" elsewhere"))
    theirs = await downloaded(anna, again, await made(anna, again))
    same = await downloaded(anna, project, await made(anna, project))
    await edit(anna, project, "main", loud("drums", 6))
    await edit(anna, project, "main", noted(2))
    await squashed(anna, project)
    await edit(anna, project, "main", sung("Here: ", 0))
    await brought(anna, theirs, project=project["id"], branch="theirs")
    await opened(rest, project, "theirs")
    assert (await says(anna, project, "theirs"))["lyrics"] == "verse elsewhere"
    done = await merged(anna, project, "theirs")
    assert done["merged"]
    expected = {
        "lyrics": "Here: verse elsewhere",
        "log": [1, 2],
        "stems": {"bass": {"name": "Bass", "volume": 4}, "drums": {"volume": 6}},
    }
    assert await says(anna, project) == expected
    # One that brings nothing takes nothing away.
    await brought(anna, same, project=project["id"], branch="same")
    await opened(rest, project, "same")
    await merged(anna, project, "same")
    assert await says(anna, project) == expected
    await sound(rest)


@pytest.mark.parametrize("of", ["main", "side"])
async def test_a_bundle_of_squashed_branches_comes_in_and_they_merge(rest: Rest, of: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    await edit(anna, project, "main", song)
    await committed(anna, project)
    await branched(anna, project, "side")
    await edit(anna, project, "side", loud("drums", 5))
    await edit(anna, project, "main", sung(" two"))
    await squashed(anna, project)
    await branched(anna, project, "late")
    await edit(anna, project, "late", loud("bass", 8))
    await committed(anna, project, "late")
    data = await downloaded(anna, project, await made(anna, project, branch=of))
    again = (await brought(anna, data))["project"]
    for name in ("side", "late"):
        assert (await merged(anna, again, name))["merged"]
    said = await says(anna, again)
    assert said == {
        "lyrics": "verse two",
        "log": [1],
        "stems": {"bass": {"name": "Bass", "volume": 8}, "drums": {"volume": 5}},
    }
    await squashed(anna, again)
    assert await says(anna, again) == said
    await merged(anna, again, "main", "side")
    assert await says(anna, again, "side") == said
    await branched(anna, again, "then", sourceCommit=(await log(anna, again))[-1]["id"])
    await sound(rest)

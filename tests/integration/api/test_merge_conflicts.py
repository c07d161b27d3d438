"""Conflicts of a merge over REST: what each side wanted, who wrote it, what is made to stand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from .crew import at, joined, proven
from .lines import (
    branched,
    journaling,
    merged,
    says,
    torn,
    untouched,
)
from .rest import refused
from .takes import commit, live, write

if TYPE_CHECKING:
    from .rest import Rest


async def test_conflicts_say_what_each_side_wanted_and_what_stands(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await torn(anna, project)
    done = await merged(anna, project, "intro")
    assert done["merged"] is True
    found = {"/".join(each["path"]): each for each in done["conflicts"]}
    assert sorted(found) == ["notes", "segments/g1", "stems/bass/volume", "stems/drums"]
    knob = found["stems/bass/volume"]
    assert (knob["kind"], knob["base"], knob["ours"], knob["theirs"]) == ("value", 1, 0.5, 0.2)
    assert knob["entity"] == {
        "type": "stem",
        "id": "bass",
        "path": ["stems", "bass"],
        "name": "Bass",
    }
    assert knob["field"] == "volume"
    now = await says(anna, project)
    assert knob["stands"] == {0.5: "ours", 0.2: "theirs"}[now["stems"]["bass"]["volume"]]
    drums = found["stems/drums"]
    assert (drums["kind"], drums["stands"], "ours" in drums) == ("deleted", "ours", False)
    assert drums["theirs"] == {"name": "Kit"}
    segment = found["segments/g1"]
    assert (segment["kind"], segment["stands"]) == ("dangling", "both")
    assert [each["path"] for each in segment["needs"]] == [["stems", "lead"]]
    notes = found["notes"]
    assert (notes["kind"], notes["stands"]) == ("text", "both")
    assert now["notes"] == "very slow song in D"
    assert "drums" not in now["stems"]


async def test_conflicts_say_who_wrote_which_side_and_when(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await proven(rest)
    project = await anna.project(guestRole="editor")
    bert = await joined(rest, anna, project, "editor")
    journaling(rest, monkeypatch)
    await write(anna, project, bpm=120, key="D", swing={"by": 1})
    await commit(anna, project, bpm=121)
    await branched(anna, project, "intro")
    times = [rest.time.now() + timedelta(minutes=minute) for minute in (1, 2)]
    rest.time.ahead += timedelta(minutes=1)
    await write(bert, project, bpm=100, key=None)
    rest.time.ahead += timedelta(minutes=1)
    await write(anna, project, "intro", bpm=90, key="E")
    preview = await merged(anna, project, "intro", dryRun=True)
    for each in preview["conflicts"]:
        assert each["ourChange"]["by"] == bert.user["id"]
        assert each["theirChange"]["by"] == anna.user["id"]
        for side, moment in (("ourChange", times[0]), ("theirChange", times[1])):
            off = datetime.fromisoformat(each[side]["at"]) - moment
            assert abs(off) < timedelta(seconds=30)
    assert [each["path"][1] for each in preview["conflicts"]] == ["bpm", "key"]
    # Not to who may not see the people.
    stranger = await rest.person()
    done = await merged(stranger, project, "intro")
    for each in done["conflicts"]:
        assert (each["ourChange"]["by"], each["theirChange"]["by"]) == (None, None)
        assert each["ourChange"]["at"]
    assert done["commit"]["author"] is None


@pytest.mark.parametrize("side", ["ours", "theirs"])
async def test_a_side_can_be_chosen_for_all_of_them(rest: Rest, side: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    await torn(anna, project)
    done = await merged(anna, project, "intro", strategy=side)
    assert {each["stands"] for each in done["conflicts"]} == {side}
    now = await says(anna, project)
    if side == "ours":
        assert now["stems"] == {"bass": {"name": "Bass", "volume": 0.5}}
        assert now["notes"] == "very slow song"
        assert now.get("segments", {}) == {}
    else:
        assert now["stems"] == {
            "bass": {"name": "Bass", "volume": 0.2},
            "drums": {"name": "Kit"},
            "lead": {"name": "Lead"},
        }
        assert now["notes"] == "slow song in D"
        assert now["segments"] == {"g1": {"stemId": "lead", "start": 0}}


async def test_conflicts_are_settled_one_by_one(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await torn(anna, project)
    wish: dict[str, Any] = {
        "strategy": "theirs",
        "resolutions": [
            {"path": ["stems", "bass", "volume"], "take": "base"},
            {"path": ["stems", "drums"], "take": "ours"},
        ],
    }
    preview = await merged(anna, project, "intro", **wish, dryRun=True)
    done = await merged(anna, project, "intro", **wish)
    for answer in (preview, done):
        stands = {"/".join(each["path"]): each["stands"] for each in answer["conflicts"]}
        assert stands == {
            "notes": "theirs",
            "segments/g1": "theirs",
            "stems/bass/volume": "base",
            "stems/drums": "ours",
        }
    now = await says(anna, project)
    assert now["stems"] == {"bass": {"name": "Bass", "volume": 1}, "lead": {"name": "Lead"}}
    # The other branch goes the same way when it gets this one: it was settled once.
    assert (await merged(anna, project, "main", "intro"))["conflicts"] == []
    assert await says(anna, project, "intro") == now


async def test_what_is_no_conflict_cannot_be_settled_and_nothing_happens(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await torn(anna, project)
    before = await untouched(anna, project, rest)
    path = at(project, "/branches/intro/merge")
    body = {"into": "main", "resolutions": [{"path": ["stems", "lead"], "take": "ours"}]}
    problem = refused(await anna("POST", path, json=body), 422, "conflict_unknown")
    assert problem["path"] == ["stems", "lead"]
    assert await untouched(anna, project, rest) == before


async def test_a_preview_changes_nothing_and_tells_what_would_change(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await torn(anna, project)
    before = await untouched(anna, project, rest)
    preview = await merged(anna, project, "intro", dryRun=True)
    assert await untouched(anna, project, rest) == before
    done = await merged(anna, project, "intro")
    assert (preview["merged"], preview["commit"], preview["moreChanges"]) == (True, None, 0)
    assert preview["summary"] == done["summary"]
    assert {each["entity"]["id"] for each in preview["changes"]} >= {"notes", "g1"}
    assert (await merged(anna, project, "intro", dryRun=True))["merged"] is False


async def test_a_great_many_conflicts_are_told_in_part(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    for branch, value in (("main", 0), ("main", 1), ("intro", 2)):
        await write(anna, project, branch, **{f"knob{at}": value for at in range(502)})
        if not value:
            await branched(anna, project, "intro")
    done = await merged(anna, project, "intro", strategy="theirs", dryRun=True)
    assert (len(done["conflicts"]), done["more"]) == (500, 2)
    assert (len(done["changes"]), done["moreChanges"]) == (500, 2)
    await merged(anna, project, "intro", strategy="theirs")
    assert set((await live(anna, project)).values()) == {2}

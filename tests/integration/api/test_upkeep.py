"""Pruning and squashing over REST: who may, what it comes to, what stays."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest

from base import clock
from docstore.history import archive

from .crew import at, joined, proven
from .rest import refused
from .takes import commit, live, write

if TYPE_CHECKING:
    import httpx

    from .rest import Rest


async def test_only_the_owner_gives_up_the_past(rest: Rest) -> None:
    anna = await proven(rest)
    project = await anna.project()
    admin = await joined(rest, anna, project, "admin")
    before = {"before": clock.now().isoformat()}
    refused(await admin("POST", at(project, "/prune"), json=before), 403, "not_allowed")
    refused(await admin("POST", at(project, "/squash")), 403, "not_allowed")
    assert (await anna("POST", at(project, "/prune"), json=before)).status_code == 200
    assert (await anna("POST", at(project, "/squash"))).status_code == 200


async def test_what_was_pruned_is_too_long_ago(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    early = clock.now()
    later = rest.time.now().isoformat()
    tried = await anna("POST", at(project, "/prune"), json={"before": later, "dryRun": True})
    assert tried.status_code == 200
    assert tried.json()["dryRun"] is True
    done = await anna("POST", at(project, "/prune"), json={"before": later})
    assert done.status_code == 200
    told = done.json()
    assert (told["branch"], told["dryRun"]) == ("main", False)
    assert told["begins"] >= early.isoformat()[:19]
    body = {"before": early.isoformat()}
    refused(await anna("POST", at(project, "/prune"), json=body), 410, "too_long_ago")
    body = {"before": later, "branch": "nothing"}
    refused(await anna("POST", at(project, "/prune"), json=body), 404, "branch_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"before": 5},
        {"before": "yesterday"},
        {"before": "2026-01-01T00:00:00"},
        {"before": None},
        {"before": "2026-01-01T00:00:00Z", "branch": ""},
        {"before": "2026-01-01T00:00:00Z", "branch": "x" * 101},
        {"before": "2026-01-01T00:00:00Z", "dryRun": 1},
        {"before": "2026-01-01T00:00:00Z", "more": 1},
    ],
)
async def test_a_prune_says_up_to_when(rest: Rest, body: dict[str, Any]) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("POST", at(project, "/prune"), json=body), 422, "validation_failed")


@pytest.mark.parametrize(
    "before", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T00:00:00Z"]
)
async def test_the_ends_of_time_are_times(rest: Rest, before: str) -> None:
    anna = await rest.person()
    project = await anna.project()
    answer = await anna("POST", at(project, "/prune"), json={"before": before})
    if before.startswith("9"):
        assert refused(answer, 422, "validation_failed")["path"] == "$.before"
    else:
        refused(answer, 410, "too_long_ago")


@pytest.mark.parametrize("body", [{"message": 1}, {"message": "x" * 2001}, {"other": 1}])
async def test_a_squash_has_a_message_or_none(rest: Rest, body: dict[str, Any]) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("POST", at(project, "/squash"), json=body), 422, "validation_failed")


async def test_a_squash_keeps_what_is_said_and_what_was_committed(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project(kind="opendaw")  # nothing in it
    first = await commit(anna, project, bpm=120, key="D")
    await write(anna, project, bpm=121, key=None)
    done = await anna("POST", at(project, "/squash"), json={"message": "So far"})
    assert done.status_code == 200, done.text
    told = done.json()
    assert (told["lineage"], told["branches"]) == (2, 1)
    assert 0 < told["bytesAfter"] < told["bytesBefore"]
    assert await live(anna, project) == {"bpm": 121}
    log = (await anna("GET", at(project, "/commits"))).json()["items"]
    assert [each["message"] for each in log] == ["So far", first["message"]]
    # Back over the squash, by content.
    back = await anna("POST", at(project, "/restore"), json={"commitId": first["id"]})
    assert back.json()["applied"] is True
    assert await live(anna, project) == {"bpm": 120, "key": "D"}
    again = await anna("POST", at(project, "/squash"))
    assert again.json()["lineage"] == 3
    assert await live(anna, project) == {"bpm": 120, "key": "D"}


async def test_who_gave_up_what_is_written_down(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    await commit(anna, project, bpm=120)
    moment = clock.now()
    body = {"before": moment.isoformat()}
    assert (await anna("POST", at(project, "/prune"), json=body | {"dryRun": True})).is_success
    assert await rest.events("history.pruned") == []
    assert (await anna("POST", at(project, "/prune"), json=body)).is_success
    (pruned,) = await rest.events("history.pruned")
    assert pruned["actor"] == UUID(anna.user["id"])
    assert pruned["detail"]["branch"] == "main"
    assert datetime.fromisoformat(pruned["detail"]["before"]) == moment
    assert (await anna("POST", at(project, "/squash"))).is_success
    (squashed,) = await rest.events("history.squashed")
    assert squashed["actor"] == UUID(anna.user["id"])
    assert squashed["detail"] == {"lineage": 2, "branches": 1}


@pytest.mark.parametrize(
    ("path", "more"), [("/tags", {"name": "v1"}), ("/bundles", {"kind": "zip"})]
)
async def test_a_commit_is_named_only_while_nobody_takes_it_away(
    rest: Rest, path: str, more: dict[str, str]
) -> None:
    """Whoever names a commit waits for housekeeping, and hears that it is gone."""
    anna = await rest.person()
    project = await anna.project(kind="opendaw")
    await write(anna, project, bpm=120)
    made = await commit(anna, project, bpm=121)
    answers: list[httpx.Response] = []

    async def named() -> None:
        body = {**more, "commitId": made["id"]}
        answers.append(await anna("POST", at(project, path), json=body))

    async with anyio.create_task_group() as group, rest.services.database.transaction() as tx:
        await archive.lock(tx, project["id"])
        group.start_soon(named)
        with anyio.fail_after(20):
            while not await waiting(rest):
                assert not answers
                await anyio.lowlevel.checkpoint()
        await tx.execute("UPDATE documents SET head = NULL")
        await tx.execute("DELETE FROM commits")
    refused(answers[0], 404, "commit_not_found")


async def waiting(rest: Rest) -> bool:
    async with rest.services.database.connection() as tx:
        found = await tx.execute("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")
        return bool(await found.fetchall())

"""Who is removed while their request waits for the project's turn does nothing any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from docstore.history import archive

from .crew import at, joined, proven
from .takes import commit, write
from .test_upkeep import waiting

if TYPE_CHECKING:
    import httpx

    from .rest import Rest

ASKS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/commit", {"message": "so far", "branch": "side"}),
    ("POST", "/tags", {"name": "v2", "commitId": "HEAD"}),
    ("DELETE", "/tags/v1", None),
    ("POST", "/branch", {"name": "other"}),
    ("PATCH", "/branches/side", {"name": "stolen"}),
    ("PATCH", "/branches/side", {"protected": True}),
    ("DELETE", "/branches/side?force=true", None),
    ("POST", "/branches/side/merge", {"into": "main"}),
    ("POST", "/cherry-pick", {"commitId": "HEAD", "into": "side"}),
    ("POST", "/revert", {"commitId": "HEAD"}),
    ("POST", "/restore", {"commitId": "FIRST"}),
]


@pytest.mark.parametrize(("method", "path", "body"), ASKS)
async def test_rights_are_judged_when_the_turn_comes(
    rest: Rest, method: str, path: str, body: dict[str, Any] | None
) -> None:
    owner = await proven(rest)
    project = await owner.project()
    first = await commit(owner, project, bpm=120)
    head = await commit(owner, project, bpm=121)
    made = {"name": "v1", "commitId": head["id"]}
    assert (await owner("POST", at(project, "/tags"), json=made)).status_code == 201
    side = {"name": "side"}
    assert (await owner("POST", at(project, "/branch"), json=side)).status_code == 201
    await write(owner, project, "side", bpm=90)
    admin = await joined(rest, owner, project, "admin")
    ids = {"HEAD": head["id"], "FIRST": first["id"]}
    asked = None if body is None else {key: ids.get(value, value) for key, value in body.items()}
    answers: list[httpx.Response] = []

    async def ask() -> None:
        answers.append(await admin(method, at(project, path), json=asked))

    async with anyio.create_task_group() as group, rest.services.database.transaction() as tx:
        await archive.lock(tx, project["id"])
        group.start_soon(ask)
        with anyio.fail_after(20):
            while not await waiting(rest):
                assert not answers
                await anyio.lowlevel.checkpoint()
        gone = await owner("DELETE", at(project, f"/collaborators/{admin.user['id']}"))
        assert gone.status_code == 204, gone.text
    [answer] = answers
    assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found"), answer.text
    names = (await owner("GET", at(project, "/branches"))).json()["items"]
    assert [(each["name"], each["protected"]) for each in names] == [
        ("main", False),
        ("side", False),
    ]
    log = (await owner("GET", at(project, "/commits"))).json()["items"]
    assert [each["id"] for each in log] == [head["id"], first["id"]]
    [tag] = (await owner("GET", at(project, "/tags"))).json()["items"]
    assert tag["name"] == "v1"

"""Edits and commits as the tests of history want them. Not a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycrdt import Doc, Map

from api.route import OCTETS

from .crew import at

if TYPE_CHECKING:
    from .rest import Person


async def write(
    who: Person, project: dict[str, Any], branch: str = "main", /, **values: object
) -> None:
    """Set values of the root `project` in the live document; None takes one away."""
    doc: Doc[Any] = Doc()
    of = {"branch": branch}
    doc.apply_update((await who("GET", at(project, "/snapshot"), params=of)).content)
    before = doc.get_state()
    root = doc.get("project", type=Map)
    for name, value in values.items():
        if value is None:
            del root[name]
        else:
            root[name] = value
    headers = {"Content-Type": OCTETS}
    update = doc.get_update(before)
    path = at(project, "/updates")
    done = await who("POST", path, content=update, headers=headers, params=of)
    assert done.status_code == 200, done.text


async def live(who: Person, project: dict[str, Any], branch: str = "main") -> dict[str, Any]:
    """The root `project` of the live document."""
    asked = {"format": "json", "branch": branch}
    found = await who("GET", at(project, "/snapshot"), params=asked)
    assert found.status_code == 200, found.text
    return found.json().get("project", {})


async def commit(
    who: Person, project: dict[str, Any], branch: str = "main", /, **values: object
) -> dict[str, Any]:
    """Write, and commit that."""
    await write(who, project, branch, **values)
    body = {"message": f"Now {values}", "branch": branch}
    made = await who("POST", at(project, "/commit"), json=body)
    assert made.status_code == 201, made.text
    return made.json()


async def tagged(
    who: Person, project: dict[str, Any], commit: dict[str, Any], name: str
) -> dict[str, Any]:
    made = await who("POST", at(project, "/tags"), json={"name": name, "commitId": commit["id"]})
    assert made.status_code == 201, made.text
    return made.json()

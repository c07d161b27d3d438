"""Edits and commits as the tests of history want them. Not a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycrdt import Doc, Map

from api.route import OCTETS

from .crew import at

if TYPE_CHECKING:
    from .rest import Person


async def write(who: Person, project: dict[str, Any], **values: object) -> None:
    """Set values of the root `project` in the live document; None takes one away."""
    doc: Doc[Any] = Doc()
    doc.apply_update((await who("GET", at(project, "/snapshot"))).content)
    before = doc.get_state()
    root = doc.get("project", type=Map)
    for name, value in values.items():
        if value is None:
            del root[name]
        else:
            root[name] = value
    headers = {"Content-Type": OCTETS}
    update = doc.get_update(before)
    done = await who("POST", at(project, "/updates"), content=update, headers=headers)
    assert done.status_code == 200, done.text


async def live(who: Person, project: dict[str, Any]) -> dict[str, Any]:
    """The root `project` of the live document."""
    found = await who("GET", at(project, "/snapshot?format=json"))
    assert found.status_code == 200, found.text
    return found.json().get("project", {})


async def commit(who: Person, project: dict[str, Any], **values: object) -> dict[str, Any]:
    """Write, and commit that."""
    await write(who, project, **values)
    body = {"message": f"Now {values}"}
    made = await who("POST", at(project, "/commit"), json=body)
    assert made.status_code == 201, made.text
    return made.json()


async def tagged(
    who: Person, project: dict[str, Any], commit: dict[str, Any], name: str
) -> dict[str, Any]:
    made = await who("POST", at(project, "/tags"), json={"name": name, "commitId": commit["id"]})
    assert made.status_code == 201, made.text
    return made.json()

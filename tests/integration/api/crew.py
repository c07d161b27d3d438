"""People who work together, as the tests of members want them. Not a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .rest import Person, Rest


def at(project: dict[str, Any], rest: str = "") -> str:
    return f"/api/projects/{project['id']}{rest}"


async def proven(rest: Rest, name: str | None = None) -> Person:
    """Somebody whose address is proven."""
    made = await rest.person(name)
    await rest.run("UPDATE users SET email_verified_at = now() WHERE id = %s", made.user["id"])
    return made


async def joined(
    rest: Rest, owner: Person, project: dict[str, Any], role: str, **permissions: bool
) -> Person:
    """Somebody whom the owner has let in."""
    person = await proven(rest)
    await let_in(owner, project, person, role, **permissions)
    return person


async def let_in(
    owner: Person, project: dict[str, Any], person: Person, role: str, **permissions: bool
) -> dict[str, Any]:
    body = {"userId": person.user["id"], "role": role, "permissions": permissions}
    answer = await owner("POST", at(project, "/collaborators"), json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def invited(
    owner: Person, project: dict[str, Any], email: str, role: str = "editor"
) -> dict[str, Any]:
    """The open invitation of an address that nobody has proven."""
    body = {"email": email, "role": role}
    answer = await owner("POST", at(project, "/collaborators"), json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "invited"
    return answer.json()["invitation"]


async def linked(owner: Person, project: dict[str, Any], **fields: object) -> dict[str, Any]:
    """A share link of the project and its token."""
    answer = await owner("POST", at(project, "/links"), json={"role": "viewer"} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def roles(crew: dict[str, Any]) -> dict[str, str]:
    """Who is what, by user name."""
    return {each["username"]: each["role"] for each in crew["items"]}

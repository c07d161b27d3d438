"""Who gets which answer from which route: the table itself, and the people it is about.

A row is what a person of each kind is answered when the request itself is right. Written by hand,
from what the product promises, and not made from `permissions.RIGHTS`: it is what that is held to.

Fine permissions, keys, doors and links are `variants_table`'s. `canAddStems` and `canDeleteStems`
are recorded and told to clients, and not yet enforced inside a document: no answer depends on them.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pycrdt
from psycopg.types.json import Jsonb

from api.route import OCTETS
from base import clock, ids

from .rest import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from api.route import Route

    from .rest import Person, Rest

KINDS = ("owner", "admin", "editor", "viewer", "link", "stranger", "nobody")
"""In this order a route is asked from right to left: who may do most comes last."""

Answer = tuple[int, str] | int
"""A status; for a refusal also the code."""

NO = (403, "not_allowed")
HIDDEN = (404, "project_not_found")
SIGN_IN = (401, "token_missing")
UNPROVEN = (403, "email_not_verified")


class Request(NamedTuple):
    """What is sent: ids for the path, and a body."""

    ids: dict[str, str]
    json: object = None
    content: bytes | None = None
    params: dict[str, str] | None = None


@dataclass
class World:
    """A project and people of every kind, and things of theirs, fresh for each request."""

    rest: Rest
    project: str
    people: dict[str, Person]
    link: str

    async def collaborator(self, role: str = "viewer", **fine: bool) -> Person:
        """Somebody new who works on the project."""
        someone = await self.rest.person()
        async with self.rest.services.database.transaction() as tx:
            await tx.execute(
                "INSERT INTO project_collaborators"
                " (project_id, user_id, role, fine, joined_at, updated_at)"
                " VALUES (%s, %s, %s, %s, now(), now())",
                (self.project, someone.user["id"], role, Jsonb(fine)),
            )
        return someone

    async def path(self, **more: str) -> dict[str, str]:
        return {"project_id": self.project} | more

    async def ask(self, route: Route, who: Person | None, token: str | None) -> httpx.Response:
        """The right request for this route, made for `who` and sent with this token."""
        sent = await TABLE[route.operation].make(self, who)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if sent.content is not None:
            headers["Content-Type"] = OCTETS
        return await self.rest.client.request(
            route.method,
            route.path.format(**sent.ids) if "{" in route.path else route.path,
            headers=headers,
            params=sent.params,
            json=sent.json,
            content=sent.content,
        )


async def _plain(world: World, _who: Person | None) -> Request:
    return Request(await world.path())


def sending(**body: object) -> Callable[[World, Person | None], Awaitable[Request]]:
    """The project, and this body."""

    async def make(world: World, _who: Person | None) -> Request:
        return Request(await world.path(), body)

    return make


async def _update(world: World, _who: Person | None) -> Request:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("takes", type=pycrdt.Map[int])["one"] = 1
    return Request(await world.path(), content=doc.get_update())


async def _edited(world: World, who: Person | None) -> Request:
    """Something to commit, or to restore from, that was not there before."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("takes", type=pycrdt.Map[int])[uuid.uuid4().hex] = 1
    owner, path = world.people["owner"], f"/api/projects/{world.project}/updates"
    headers = {"Content-Type": OCTETS}
    done = await owner("POST", path, content=doc.get_update(), headers=headers)
    assert done.status_code == 200, done.text
    return Request(await world.path(), {"message": "A take"})


async def _committed(world: World) -> str:
    await _edited(world, None)
    owner, path = world.people["owner"], f"/api/projects/{world.project}/commit"
    made = await owner("POST", path, json={"message": "A take"})
    assert made.status_code == 201, made.text
    return made.json()["id"]


async def _commit(world: World, _who: Person | None) -> Request:
    return Request(await world.path(commit_id=await _committed(world)))


async def _diff(world: World, _who: Person | None) -> Request:
    return Request(await world.path(), params={"from": await _committed(world)})


async def _restore(world: World, who: Person | None) -> Request:
    commit = await _committed(world)
    await _edited(world, who)
    return Request(await world.path(), {"commitId": commit})


async def _merge(world: World, who: Person | None) -> Request:
    """A branch with something on it."""
    owner, name = world.people["owner"], uuid.uuid4().hex
    path = f"/api/projects/{world.project}"
    made = await owner("POST", f"{path}/branch", json={"name": name})
    assert made.status_code == 201, made.text
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.get("takes", type=pycrdt.Map[int])[name] = 1
    headers, of = {"Content-Type": OCTETS}, {"branch": name}
    done = await owner(
        "POST", f"{path}/updates", content=doc.get_update(), headers=headers, params=of
    )
    assert done.status_code == 200, done.text
    return Request(await world.path(branch=name), {"into": "main"})


async def _pick(world: World, _who: Person | None) -> Request:
    return Request(await world.path(), {"commitId": await _committed(world), "into": "main"})


async def _revert(world: World, _who: Person | None) -> Request:
    return Request(await world.path(), {"commitId": await _committed(world)})


async def _at(world: World, _who: Person | None) -> Request:
    return Request(await world.path(), params={"time": clock.now().isoformat()})


async def _prune(world: World, _who: Person | None) -> Request:
    return Request(await world.path(), {"before": clock.now().isoformat()})


async def _blame(world: World, _who: Person | None) -> Request:
    return Request(await world.path(), params={"entity": "stems/bass"})


async def _changes(world: World, _who: Person | None) -> Request:
    return Request(await world.path(), params={"from": clock.now().isoformat()})


async def _tag(world: World, _who: Person | None) -> Request:
    body = {"name": uuid.uuid4().hex, "commitId": await _committed(world)}
    return Request(await world.path(), body)


async def _tagged(world: World, who: Person | None) -> Request:
    tag = await _tag(world, who)
    path = f"/api/projects/{world.project}/tags"
    made = await world.people["owner"]("POST", path, json=tag.json)
    assert made.status_code == 201, made.text
    return Request(await world.path(name=made.json()["name"]))


async def _branch(world: World, _who: Person | None) -> Request:
    # A project has a hundred at most, and is asked more often than that.
    await world.rest.run(
        "UPDATE documents SET deleted_at = now()"
        " WHERE project_id = %s AND branch <> 'main' AND deleted_at IS NULL",
        world.project,
    )
    return Request(await world.path(), {"name": uuid.uuid4().hex})


async def _branched(world: World, who: Person | None) -> Request:
    """A branch that is wherever `main` is, so that nothing is lost with it."""
    await _committed(world)
    branch = await _branch(world, who)
    path = f"/api/projects/{world.project}/branch"
    made = await world.people["owner"]("POST", path, json=branch.json)
    assert made.status_code == 201, made.text
    return Request(await world.path(branch=made.json()["name"]))


async def _renamed(world: World, who: Person | None) -> Request:
    asked = await _branched(world, who)
    return asked._replace(json={"name": uuid.uuid4().hex})


async def _bundled(world: World, _who: Person | None) -> Request:
    path = f"/api/projects/{world.project}/bundles"
    # A project has a hundred at most, and is asked more often than that.
    await world.rest.run("DELETE FROM project_bundles WHERE project_id = %s", world.project)
    made = await world.people["owner"]("POST", path, json={})
    assert made.status_code == 201, made.text
    return Request(await world.path(version=str(made.json()["version"])))


async def _bundle(world: World, _who: Person | None) -> Request:
    await world.rest.run("DELETE FROM project_bundles WHERE project_id = %s", world.project)
    return Request(await world.path(), {})


async def _brought(world: World, who: Person | None) -> Request:
    asked = await _bundled(world, who)
    path = f"/api/projects/{world.project}/bundles/{asked.ids['version']}"
    found = await world.people["owner"]("GET", path)
    assert found.status_code == 200, found.text
    return Request({}, content=found.content)


async def _invite(world: World, _who: Person | None) -> Request:
    return Request(
        await world.path(), {"email": f"{uuid.uuid4().hex}@example.org", "role": "viewer"}
    )


async def _collaborator(world: World, _who: Person | None) -> Request:
    someone = await world.collaborator()
    return Request(await world.path(user_id=someone.user["id"]))


async def _promotion(world: World, who: Person | None) -> Request:
    asked = await _collaborator(world, who)
    return asked._replace(json={"role": "editor"})


async def _heir(world: World, _who: Person | None) -> Request:
    someone = await world.collaborator()
    await prove(world.rest, someone)
    return Request(await world.path(), {"userId": someone.user["id"]})


async def _invitation(world: World, _who: Person | None) -> Request:
    owner = world.people["owner"]
    body = {"email": f"{uuid.uuid4().hex}@example.org", "role": "viewer"}
    made = await owner("POST", f"/api/projects/{world.project}/collaborators", json=body)
    assert made.status_code == 201, made.text
    return Request(await world.path(invitation_id=made.json()["invitation"]["id"]))


async def _offer(world: World, who: Person | None) -> tuple[str, str]:
    """An invitation to somebody's address, by its id and by its letter's token."""
    token = uuid.uuid4().hex
    email = who.user["email"] if who is not None else "nobody@example.org"
    async with world.rest.services.database.transaction() as tx:
        await tx.execute("DELETE FROM project_invitations WHERE email = %s", (email,))
        other = await world.rest.person()
        project = (await other.project())["id"]
        made = ids.new_id()
        await tx.execute(
            "INSERT INTO project_invitations VALUES"
            " (%s, %s, %s, 'viewer', '{}', %s, %s, now(), now() + interval '1 day')",
            (made, project, email, hashlib.sha256(token.encode()).digest(), other.user["id"]),
        )
    return str(made), token


async def _my_offer(world: World, who: Person | None) -> Request:
    made, _ = await _offer(world, who)
    return Request({"invitation_id": made})


async def _my_letter(world: World, who: Person | None) -> Request:
    _, token = await _offer(world, who)
    return Request({}, {"token": token})


async def _link(world: World, _who: Person | None) -> Request:
    owner = world.people["owner"]
    path = f"/api/projects/{world.project}/links"
    made = await owner("POST", path, json={"role": "viewer"})
    assert made.status_code == 201, made.text
    return Request(await world.path(link_id=made.json()["link"]["id"]))


async def _session(world: World, who: Person | None) -> Request:
    if who is None:
        return Request({"session_id": str(ids.new_id())})
    body = {"email": who.user["email"], "password": PASSWORD}
    assert (await world.rest.client.post("/api/auth/login", json=body)).status_code == 200
    found = (await who("GET", "/api/auth/sessions")).json()["items"]
    return Request({"session_id": next(one["id"] for one in found if not one["current"])})


async def _key(world: World, who: Person | None) -> Request:
    if who is None:
        return Request({"key_id": str(ids.new_id())})
    made = await who("POST", "/api/auth/keys", json={"name": "robot", "scopes": ["read"]})
    assert made.status_code == 201, made.text
    return Request({"key_id": made.json()["key"]["id"]})


async def _close(_world: World, _who: Person | None) -> Request:
    return Request({}, {"password": PASSWORD})


async def _returned(_world: World, _who: Person | None) -> Request:
    return Request({}, params={"state": "nobody's", "code": "nobody's"})


class Row(NamedTuple):
    """A request, and its answer for each kind of person."""

    make: Callable[[World, Person | None], Awaitable[Request]]
    owner: Answer
    admin: Answer
    editor: Answer
    viewer: Answer
    link: Answer
    stranger: Answer
    nobody: Answer
    unproven: Answer | None = None
    """An owner whose address is not proven; None: like any owner."""

    def of(self, kind: str) -> Answer:
        return getattr(self, kind)


def everybody(answer: Answer, make: Any = _plain) -> Row:
    return Row(make, *[answer] * len(KINDS))


def accounts(answer: int, make: Any = _plain, unproven: Answer | None = None) -> Row:
    """Whoever has signed in, about themselves."""
    people = (answer, answer, answer, answer, SIGN_IN, answer, SIGN_IN)
    return Row(make, *people, unproven)


def members(
    make: Any,
    owner: Answer,
    admin: Answer,
    editor: Answer,
    viewer: Answer,
    unproven: Answer | None = None,
) -> Row:
    """Only people with an account; a stranger learns nothing."""
    return Row(make, owner, admin, editor, viewer, SIGN_IN, HIDDEN, SIGN_IN, unproven)


NEW = {"email": "new@example.org", "username": "new.one", "password": PASSWORD}
CODE = (422, "code_invalid")

TABLE: dict[str, Row] = {
    "accounts_register": everybody(201, sending(**NEW)),
    "accounts_verify_email": everybody(CODE, sending(email="new@example.org", code="000000")),
    "accounts_resend_code": everybody(202, sending(email="new@example.org")),
    "accounts_forgot_password": everybody(202, sending(email="new@example.org")),
    "accounts_reset_password": everybody(
        (422, "reset_invalid"), sending(token="nobody's", password=PASSWORD)
    ),
    "accounts_change_password": accounts(204, sending(current=PASSWORD, new=PASSWORD + "!")),
    "accounts_reopen": everybody(
        (401, "invalid_credentials"), sending(name="who", password=PASSWORD)
    ),
    "accounts_me": accounts(200),
    "sessions_login": everybody(
        (401, "invalid_credentials"), sending(email="who@example.org", password=PASSWORD)
    ),
    "sessions_refresh": everybody((401, "token_invalid"), sending(refreshToken="nobody's")),
    "sessions_logout": accounts(204),
    "sessions_index": accounts(200),
    "sessions_end_others": accounts(204),
    "sessions_end": accounts(204, _session),
    "tickets_create": Row(sending(), 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "keys_create": accounts(201, sending(name="robot", scopes=["read"])),
    "keys_index": accounts(200),
    "keys_delete": accounts(204, _key),
    "oidc_login": everybody((404, "oidc_not_configured")),
    "oidc_callback": everybody((404, "oidc_not_configured"), _returned),
    "oidc_link": everybody((404, "oidc_not_configured"), sending(link="x", password=PASSWORD)),
    "users_me": accounts(200),
    "users_change": accounts(200, sending(displayName="Somebody")),
    "users_close": accounts(204, _close),
    "users_preferences": accounts(200),
    "users_choose": accounts(200, sending(theme="dark")),
    "projects_create": accounts(201, sending(name="Another")),
    "projects_index": accounts(200),
    "projects_show": Row(_plain, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "projects_change": members(sending(name="Renamed"), 200, 200, NO, NO),
    "projects_delete": members(_plain, 204, NO, NO, NO),
    "members_add": members(_invite, 201, 201, NO, NO, UNPROVEN),
    "members_index": members(_plain, 200, 200, 200, 200),
    "members_change": members(_promotion, 200, 200, NO, NO),
    "members_remove": members(_collaborator, 204, 204, NO, NO),
    "members_transfer": members(_heir, 204, NO, NO, NO),
    "invitations_withdraw": members(_invitation, 204, 204, NO, NO),
    "invitations_index": accounts(200),
    "invitations_accept": accounts(200, _my_offer, (404, "invitation_not_found")),
    "invitations_accept_token": accounts(200, _my_letter),
    "invitations_decline": accounts(204, _my_offer, (404, "invitation_not_found")),
    "links_create": members(sending(role="viewer"), 201, 201, NO, NO, UNPROVEN),
    "links_index": members(_plain, 200, 200, NO, NO),
    "links_revoke": members(_link, 204, 204, NO, NO),
    "documents_snapshot": Row(_plain, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "documents_update": Row(_update, 200, 200, 200, NO, NO, HIDDEN, HIDDEN),
    "history_commit": members(_edited, 201, 201, 201, NO),
    "history_log": Row(_plain, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "history_show": Row(_commit, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "history_snapshot": Row(_commit, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "graph_graph": Row(_plain, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "history_tags": Row(_plain, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "history_tag": members(_tag, 201, 201, 201, NO),
    "history_untag": members(_tagged, 204, 204, 204, NO),
    "history_diff": Row(_diff, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "history_restore": members(_restore, 200, 200, 200, NO),
    "merging_merge": members(_merge, 200, 200, 200, NO),
    "merging_cherry_pick": members(_pick, 200, 200, 200, NO),
    "merging_revert": members(_revert, 200, 200, 200, NO),
    "upkeep_prune": members(_prune, 200, NO, NO, NO),
    "upkeep_squash": members(sending(), 200, NO, NO, NO),
    "branches_create": members(_branch, 201, 201, 201, NO),
    "bundles_index": Row(_plain, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "bundles_create": members(_bundle, 201, 201, 201, NO),
    "bundles_download": Row(_bundled, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "bundles_delete": members(_bundled, 204, 204, 204, NO),
    "bundles_bring": accounts(201, _brought),
    "branches_index": Row(_plain, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "branches_show": Row(_branched, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "branches_change": members(_renamed, 200, 200, 200, NO),
    "branches_delete": members(_branched, 204, 204, 204, NO),
    "past_history": Row(_plain, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "past_at": Row(_at, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "past_blame": Row(_blame, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "past_changes": Row(_changes, 200, 200, 200, 200, 200, HIDDEN, HIDDEN),
    "past_rollback": members(sending(entities=["stems/bass"]), 200, 200, 200, NO),
    "audit_index": accounts(403),
    "health_health": everybody(200),
    "health_ready": everybody(200),
    "health_numbers": everybody(200),
    "routes_specification": everybody(200),
}


async def world(rest: Rest, *, proven: bool = True) -> World:
    """People of every kind around one project."""
    owner = await rest.person("owner")
    made = await owner.project()
    here = World(rest, made["id"], {"owner": owner}, "")
    for role in ("admin", "editor", "viewer"):
        here.people[role] = await here.collaborator(role)
    here.people["stranger"] = await rest.person("stranger")
    await prove(rest, *here.people.values())
    link = await owner("POST", f"/api/projects/{here.project}/links", json={"role": "viewer"})
    assert link.status_code == 201, link.text
    here.link = link.json()["token"]
    if not proven:
        await prove(rest, owner, yes=False)
    return here


async def prove(rest: Rest, *people: Person, yes: bool = True) -> None:
    """Take addresses for proven, or not."""
    async with rest.services.database.transaction() as tx:
        for one in people:
            await tx.execute(
                "UPDATE users SET email_verified_at = %s WHERE id = %s",
                (clock.now() if yes else None, one.user["id"]),
            )

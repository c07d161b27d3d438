"""Every route, asked by every kind of person: allowed, or refused with exactly the documented code."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from api.route import Auth, Route
from api.routes import ROUTES
from auth import accounts
from base import clock

from .access_table import KINDS, TABLE, World, world

if TYPE_CHECKING:
    import httpx

    from .access_table import Answer, Row
    from .rest import Rest

BY_NAME = {route.operation: route for route in ROUTES}


async def ask(here: World, route: Route, kind: str) -> httpx.Response:
    """One right request for this route, by somebody of this kind."""
    who = here.people.get(kind)
    if who is not None:
        return await here.ask(route, who, who.token)
    return await here.ask(route, None, here.link if kind == "link" else None)


def answered(response: httpx.Response, expected: Answer, *, as_whom: str) -> None:
    status, code = expected if isinstance(expected, tuple) else (expected, None)
    said = f"{as_whom}: {response.status_code} {response.text}"
    assert response.status_code == status, said
    if code is not None:
        assert response.json()["code"] == code, said


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert TABLE.keys() == BY_NAME.keys()


@pytest.mark.parametrize("operation", sorted(TABLE))
async def test_everybody_gets_the_answer_of_the_table(rest: Rest, operation: str) -> None:
    row: Row = TABLE[operation]
    here = await world(rest)
    for kind in reversed(KINDS):
        expected = row.of(kind)
        await _forget_the_others(rest)
        answered(await ask(here, BY_NAME[operation], kind), expected, as_whom=kind)


@pytest.mark.parametrize("operation", sorted(TABLE))
async def test_without_a_proven_address_one_works_alone(rest: Rest, operation: str) -> None:
    row: Row = TABLE[operation]
    if operation in {"invitations_withdraw", "links_revoke"}:
        return  # there is nothing to take back
    here = await world(rest, proven=False)
    expected = row.owner if row.unproven is None else row.unproven
    answered(await ask(here, BY_NAME[operation], "owner"), expected, as_whom="unproven")


@pytest.mark.parametrize(
    "operation", [name for name, route in BY_NAME.items() if route.auth is not Auth.NONE]
)
async def test_a_disabled_account_is_signed_out_of_everything(rest: Rest, operation: str) -> None:
    here = await world(rest)
    owner = here.people["owner"]
    sent = await TABLE[operation].make(here, owner)
    async with rest.services.database.transaction() as tx:
        found = await accounts.by_name(tx, owner.user["username"])
        assert found is not None
        await accounts.disable(tx, found.id, clock.now())
    await rest.services.identities.end_all(found.id)
    route = BY_NAME[operation]
    path = route.path.format(**sent.ids) if "{" in route.path else route.path
    response = await owner(route.method, path, json=sent.json, content=sent.content)
    answered(response, (401, "session_ended"), as_whom="disabled")


async def _forget_the_others(rest: Rest) -> None:
    """Registering succeeds once, and who guesses has to wait: not what this is about."""
    async with rest.services.database.transaction() as tx:
        await tx.execute("DELETE FROM users WHERE email = 'new@example.org'")
    store = rest.services.redis.client
    names = cast("list[bytes]", await store.keys("backoff:*"))
    if names:
        await store.delete(*names)

"""Accounts without REST: providers, the operator, and what a name may be signed in with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
import pytest

from auth import accounts
from auth.errors import (
    AccountDisabled,
    EmailTaken,
    InvalidCredentials,
    UsernameInvalid,
    UsernameTaken,
)
from auth.passwords import Passwords
from base import ids

if TYPE_CHECKING:
    from base.db import Database, Tx

NOW = datetime(2026, 8, 21, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse"
ANNA: dict[str, Any] = {"email": "anna@example.org", "username": "Anna", "password": PASSWORD}
GOOGLE: dict[str, Any] = {
    "email": "bert@example.org",
    "email_verified": True,
    "username": "bert",
    "display_name": "Bert B.",
    "provider": "https://accounts.example",
    "subject": "4711",
    "now": NOW,
}


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(cost=4)


async def events(tx: Tx) -> list[str]:
    rows = await (await tx.execute("SELECT kind FROM audit_events ORDER BY id")).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    "name", ["anna@example.org", " Anna@Example.ORG ", "Anna", "anna", " ANNA", "\uff41nna"]
)
async def test_address_and_name_both_sign_in(
    database: Database, passwords: Passwords, name: str
) -> None:
    made = await accounts.register(database, passwords, **ANNA, now=NOW)
    later = NOW + timedelta(hours=1)
    user = await accounts.login(database, passwords, name=name, password=PASSWORD, now=later)
    assert user == made._replace(last_login_at=later)
    async with database.connection() as tx:
        assert await accounts.find(tx, made.id) == user


@pytest.mark.parametrize("name", ["ann", "bert", "", "@", "anna@", "a\x00b", "%", "\u0430nna"])
async def test_no_other_name_does(database: Database, passwords: Passwords, name: str) -> None:
    await accounts.register(database, passwords, **ANNA, now=NOW)
    with pytest.raises(InvalidCredentials):
        await accounts.login(database, passwords, name=name, password=PASSWORD, now=NOW)


async def test_many_may_sign_in_while_the_hash_is_renewed(
    database: Database, passwords: Passwords
) -> None:
    await accounts.register(database, Passwords(cost=5), **ANNA, now=NOW)
    entered: list[str] = []

    async def enter() -> None:
        user = await accounts.login(database, passwords, name="anna", password=PASSWORD, now=NOW)
        entered.append(user.username)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(enter)
    assert entered == ["Anna"] * 8


async def test_a_closed_account_says_when_it_is_erased(
    database: Database, passwords: Passwords
) -> None:
    await accounts.register(database, passwords, **ANNA, now=NOW)
    async with database.connection() as tx:
        await tx.execute("UPDATE users SET closed_at = %s", (NOW,))
    grace = timedelta(days=3)
    with pytest.raises(accounts.AccountClosed) as caught:
        await accounts.login(
            database, passwords, name="anna", password=PASSWORD, now=NOW, grace=grace
        )
    assert caught.value.data["erased_at"] == "2026-08-24T12:00:00Z"


async def test_a_provider_makes_an_account_that_no_password_opens(
    database: Database, passwords: Passwords
) -> None:
    async with database.transaction() as tx:
        made = await accounts.register_from_provider(tx, **GOOGLE)
        assert await accounts.by_provider(tx, "https://accounts.example", "4711") == made
        assert await accounts.by_provider(tx, "https://accounts.example", "4712") is None
        assert await accounts.by_provider(tx, "https://other.example", "4711") is None
        assert await events(tx) == ["account.registered"]
    assert made.email_verified_at == NOW
    assert made.display_name == "Bert B."
    for password in ("", "x", PASSWORD):
        with pytest.raises(InvalidCredentials):
            await accounts.login(database, passwords, name="bert", password=password, now=NOW)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"email": "ANNA@example.org"}, EmailTaken),
        ({"username": "anna"}, UsernameTaken),
        ({"username": "a b"}, UsernameInvalid),
    ],
)
async def test_what_a_provider_says_may_be_refused_and_tried_again(
    database: Database, passwords: Passwords, changes: dict[str, Any], refusal: type[Exception]
) -> None:
    await accounts.register(database, passwords, **ANNA, now=NOW)
    async with database.transaction() as tx:
        with pytest.raises(refusal):
            await accounts.register_from_provider(tx, **GOOGLE | changes)
        await accounts.register_from_provider(tx, **GOOGLE)
    async with database.connection() as tx:
        assert len(await accounts.listing(tx)) == 2


async def test_a_sign_in_of_a_provider_belongs_to_one_account(
    database: Database, passwords: Passwords
) -> None:
    anna = await accounts.register(database, passwords, **ANNA, now=NOW)
    async with database.transaction() as tx:
        await accounts.register_from_provider(tx, **GOOGLE)
        with pytest.raises(accounts.ProviderTaken):
            await accounts.link_provider(tx, anna.id, GOOGLE["provider"], GOOGLE["subject"])
        again: dict[str, Any] = GOOGLE | {"email": "carl@example.org", "username": "carl"}
        with pytest.raises(accounts.ProviderTaken):
            await accounts.register_from_provider(tx, **again)
        await accounts.link_provider(tx, anna.id, GOOGLE["provider"], "another")
        found = await accounts.by_provider(tx, GOOGLE["provider"], "another")
    assert found is not None
    assert found.id == anna.id


async def test_the_operator_makes_bars_and_appoints(
    database: Database, passwords: Passwords
) -> None:
    made = await accounts.create(database, passwords, **ANNA, now=NOW, admin=True)
    assert (made.is_admin, made.email_verified_at) == (True, NOW)
    async with database.transaction() as tx:
        assert await accounts.by_name(tx, "anna") == made
        assert made.active
        assert await accounts.set_admin(tx, made.id, False, NOW)
        assert not await accounts.set_admin(tx, made.id, False, NOW)
        assert await accounts.disable(tx, made.id, NOW)
        assert not await accounts.disable(tx, made.id, NOW)
        found = await accounts.find(tx, made.id)
        assert found is not None
        assert (found.is_admin, found.active) == (False, False)
    with pytest.raises(AccountDisabled):
        await accounts.login(database, passwords, name="anna", password=PASSWORD, now=NOW)
    async with database.transaction() as tx:
        assert await accounts.enable(tx, made.id, NOW)
        assert not await accounts.enable(tx, made.id, NOW)
        assert not await accounts.enable(tx, ids.new_id(), NOW)
        assert await events(tx) == [
            "account.registered",
            "admin.granted",
            "admin.revoked",
            "account.disabled",
            "account.enabled",
        ]
    await accounts.login(database, passwords, name="anna", password=PASSWORD, now=NOW)


async def test_an_administrator_is_made_at_once_or_not_at_all(
    database: Database, passwords: Passwords
) -> None:
    async with database.connection() as tx:
        await tx.execute("ALTER TABLE audit_events ADD CHECK (kind <> 'admin.granted')")
    with pytest.raises(psycopg.errors.CheckViolation):
        await accounts.create(database, passwords, **ANNA, now=NOW, admin=True)
    async with database.connection() as tx:
        assert await accounts.listing(tx) == []
        assert await events(tx) == []


async def test_whatever_zone_the_database_is_in_the_day_of_erasing_is_said_in_one() -> None:
    closed = NOW.astimezone(timezone(timedelta(hours=9)))
    user = accounts.User(ids.new_id(), "anna@example.org", "anna", NOW, closed_at=closed)
    with pytest.raises(accounts.AccountClosed) as told:
        accounts.check_open(user, grace=timedelta(days=1))
    assert told.value.data["erased_at"] == "2026-08-22T12:00:00Z"


async def test_accounts_are_listed_oldest_first_in_parts(
    database: Database, passwords: Passwords
) -> None:
    made = [
        await accounts.register(
            database,
            passwords,
            email=f"{name}@example.org",
            username=name,
            password=PASSWORD,
            now=NOW,
        )
        for name in ("anna", "bert", "carl")
    ]
    async with database.connection() as tx:
        first = await accounts.listing(tx, limit=2)
        rest = await accounts.listing(tx, after=first[-1].id, limit=2)
    assert first + rest == made


async def test_in_somebodys_name_only_their_own_account_is_there(
    database: Database, passwords: Passwords
) -> None:
    anna = await accounts.register(database, passwords, **ANNA, now=NOW)
    async with database.transaction() as tx:
        bert = await accounts.register_from_provider(tx, **GOOGLE)
    async with database.acting(bert.id) as tx:
        assert await accounts.find(tx, bert.id) is not None
        assert await accounts.find(tx, anna.id) is None
        assert await accounts.by_email(tx, anna.email) is None
        await accounts.require_verified(tx, bert.id)
    async with database.acting(anna.id) as tx:
        with pytest.raises(accounts.EmailNotVerified):
            await accounts.require_verified(tx, anna.id)

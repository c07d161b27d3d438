"""Identities over real sessions: two processes, two keys, and an end that is the same for both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

import pytest

from auth.changes import Changes, SessionsEnded
from auth.credentials import Identity
from auth.errors import SessionEnded, TokenInvalid
from auth.identity import Identities
from base import ids, settings

if TYPE_CHECKING:
    from typing import LiteralString
    from uuid import UUID

    from base.db import Database
    from base.redis import Redis

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
OLD, NEW, NEWEST = (
    f"the {word} secret of the servers in this test" for word in ("old", "new", "newest")
)

INSERT: LiteralString = """
    INSERT INTO users (id, email, username, username_key, password_hash, created_at)
    VALUES (%s, 'anna@example.com', 'anna', 'anna', '', now())"""


class Where(TypedDict):
    ip: str
    agent: str


HERE: Where = {"ip": "192.0.2.1", "agent": "a browser"}


class Process:
    """One server of several that share PostgreSQL and Redis."""

    def __init__(
        self, database: Database, redis: Redis, secret: str, previous: str | None = None
    ) -> None:
        self.changes = Changes(redis)
        self.identities = Identities.assemble(
            settings.Settings(secret_previous=previous),
            database=database,
            redis=redis,
            changes=self.changes,
            secret=secret,
            now=lambda: NOW,
        )


@pytest.fixture
async def anna(database: Database) -> UUID:
    user_id = ids.new_id()
    async with database.connection() as tx:
        await tx.execute(INSERT, (user_id,))
    return user_id


async def test_a_secret_is_changed_without_signing_anybody_out(
    database: Database, redis: Redis, anna: UUID
) -> None:
    before = Process(database, redis, OLD)
    during = Process(database, redis, NEW, OLD)
    after = Process(database, redis, NEW)
    signed = await before.identities.sign_in(anna, "anna", **HERE)
    who = await during.identities.identify(signed.token)
    assert isinstance(who, Identity)
    assert during.identities.is_csrf(before.identities.csrf(signed.session_id), signed.session_id)
    ticket = before.identities.ticket(who, ids.new_id(), None).token
    await during.identities.admit(ticket)
    renewed = await during.identities.refresh(signed.refresh_token, **HERE)
    # What the new key signed outlives the old one; what the old one signed does not.
    await after.identities.identify(renewed.token)
    await after.identities.refresh(renewed.refresh_token, **HERE)
    for worthless in (signed.token, ticket):
        with pytest.raises(TokenInvalid):
            await after.identities.admit(worthless)
    with pytest.raises(TokenInvalid):
        await after.identities.refresh(signed.refresh_token, **HERE)
    assert not after.identities.is_csrf(
        before.identities.csrf(signed.session_id), signed.session_id
    )


async def test_a_server_with_another_secret_knows_nobody(
    database: Database, redis: Redis, anna: UUID
) -> None:
    signed = await Process(database, redis, OLD).identities.sign_in(anna, "anna", **HERE)
    stranger = Process(database, redis, NEWEST).identities
    with pytest.raises(TokenInvalid):
        await stranger.identify(signed.token)
    with pytest.raises(TokenInvalid):
        await stranger.refresh(signed.refresh_token, **HERE)
    await stranger.end_of(signed.refresh_token)
    assert await stranger.alive([signed.session_id]) == {signed.session_id}


async def test_what_one_process_ends_is_over_in_the_other(
    database: Database, redis: Redis, anna: UUID
) -> None:
    one, two = Process(database, redis, OLD), Process(database, redis, OLD)
    kept, ended = [await one.identities.sign_in(anna, "anna", **HERE) for _ in range(2)]
    heard: list[object] = []
    two.changes.listen(heard.append)
    assert await two.identities.end_all(anna, but=kept.session_id) == (ended.session_id,)
    assert heard == [SessionsEnded((ended.session_id,))]
    with pytest.raises(SessionEnded):
        await one.identities.identify(ended.token)
    await one.identities.identify(kept.token)
    assert await two.identities.end_all(anna, but=kept.session_id) == ()
    assert len(heard) == 1


async def test_a_new_name_is_shown_at_once(database: Database, redis: Redis, anna: UUID) -> None:
    identities = Process(database, redis, OLD).identities
    signed = await identities.sign_in(anna, "anna", **HERE)
    await identities.renamed(anna, "anne")
    who = await identities.admit(signed.token)
    assert isinstance(who, Identity)
    assert who.username == "anne"


async def test_a_token_for_the_session_of_somebody_else_is_invalid(
    database: Database, redis: Redis, anna: UUID
) -> None:
    identities = Process(database, redis, OLD).identities
    signed = await identities.sign_in(anna, "anna", **HERE)
    bert = await identities.sign_in(ids.new_id(), "bert", **HERE)
    who = await identities.identify(bert.token)
    assert isinstance(who, Identity)
    crossed = who._replace(credential=signed.session_id)
    with pytest.raises(TokenInvalid):
        await identities.admit(identities.ticket(crossed, ids.new_id(), None).token)
    assert not await identities.end(who.user_id, signed.session_id)


async def test_a_session_knows_when_its_newest_access_token_ends(
    database: Database, redis: Redis, anna: UUID
) -> None:
    one, two = Process(database, redis, OLD), Process(database, redis, OLD)
    signed = await one.identities.sign_in(anna, "anna", **HERE)
    assert await two.identities.ends_of([signed.session_id]) == {
        signed.session_id: signed.expires_at
    }
    one.identities._now = lambda: NOW + timedelta(seconds=90, milliseconds=900)
    renewed = await one.identities.refresh(signed.refresh_token, **HERE)
    assert renewed.expires_at > signed.expires_at
    assert await two.identities.ends_of([signed.session_id]) == {
        signed.session_id: renewed.expires_at
    }


@pytest.mark.parametrize("text", ["", "ssk_", "ssl_", "a.b.c", "ssk_" + "A" * 64, "\x00", "é"])
async def test_any_other_text_opens_nothing(database: Database, redis: Redis, text: str) -> None:
    identities = Process(database, redis, OLD).identities
    with pytest.raises(Exception, match=r"token|key|link") as caught:
        await identities.admit(text)
    assert getattr(caught.value, "code", "") in {"token_missing", "token_invalid", "link_invalid"}

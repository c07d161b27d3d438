"""From what an OpenID Connect provider says about somebody to an account of ours.

A sign-in opens the account that it was linked to, or a new one. An account that exists is never
linked because an address is the same: who controls a provider's account need not be who made ours,
so its owner has to prove that too. A link that waits for proof is kept for ten minutes in Redis as
`oidc-link:{id}`. Knows SQL and Redis; not the provider, no requests.
"""

from __future__ import annotations

import contextlib
import hmac
import itertools
import re
import secrets
import unicodedata
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple
from uuid import UUID

import msgspec

from auth import accounts, audit, identifiers, verification
from auth.errors import (
    EmailInvalid,
    EmailTaken,
    UsernameInvalid,
    UsernameTaken,
)
from auth.oidc import fingerprint
from base import redis
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from auth.accounts import User
    from auth.oidc import Claims
    from base.db import Tx

LINK_SECONDS: Final = 600

NAME_TRIES: Final = 20
NAMELESS: Final = "musician"
_ROOM: Final = identifiers.USERNAME_LONGEST - 5
"""Characters of a name that leave space for a dash and a number."""

HELD: LiteralString = "SELECT oauth_provider, oauth_id FROM users WHERE id = %s FOR UPDATE"

VOUCHED: LiteralString = """
    UPDATE users SET oauth_vouched = true WHERE id = %s AND NOT oauth_vouched"""

SIGNED_IN: LiteralString = "UPDATE users SET last_login_at = %s WHERE id = %s"


class OidcEmailMissing(AppError):
    """The provider told no e-mail address that an account could have."""

    code = "oidc_email_missing"


class OidcLinkRequired(AppError):
    """An account has this e-mail address; prove that it is yours to sign in with the provider."""

    code = "oidc_link_required"


class OidcLinkInvalid(AppError):
    """Nothing waits to be linked in this browser any more; sign in with the provider again."""

    code = "oidc_link_invalid"


class OidcAlreadyLinked(AppError):
    """The account is opened by another sign-in of a provider already."""

    code = "oidc_already_linked"


class Entered(NamedTuple):
    """The account that a sign-in opens; made: just now; projects: that invitations opened to it."""

    user: User
    made: bool
    projects: list[UUID]


class NeedsProof(NamedTuple):
    """An account has the address, but nobody has linked it yet."""

    user: User


class Link(msgspec.Struct, frozen=True):
    """A sign-in that waits for proof of the account it would open."""

    user_id: UUID
    issuer: str
    subject: str
    vouched: bool
    """The provider has proven that the account's address is theirs."""
    browser: str
    cookie: bool


class Links:
    """Keeps links until they are proven. Every method may raise RedisUnavailable."""

    def __init__(self, store: redis.Redis) -> None:
        self._store = store

    async def offer(self, link: Link) -> str:
        """Keep it; the id under which its browser finds it."""
        link_id = secrets.token_urlsafe(32)
        with redis.translated():
            await self._store.client.set(_key(link_id), msgspec.json.encode(link), ex=LINK_SECONDS)
        return link_id

    async def find(self, link_id: str, browser: str | None) -> Link:
        """What waits under this id for this browser. Raises OidcLinkInvalid."""
        with redis.translated():
            found = await self._store.client.get(_key(link_id))
        if found is None or browser is None:
            raise OidcLinkInvalid
        link = msgspec.json.decode(found, type=Link)
        if not hmac.compare_digest(link.browser, fingerprint(browser)):
            raise OidcLinkInvalid
        return link

    async def drop(self, link_id: str) -> None:
        """It was proven."""
        with redis.translated():
            await self._store.client.delete(_key(link_id))


async def enter(
    tx: Tx,
    claims: Claims,
    *,
    now: datetime,
    grace: timedelta,
    trusting: bool,
    ip: str | None,
    agent: str | None,
) -> Entered | NeedsProof:
    """The account that this sign-in opens, made if nobody has the address.

    trusting: an address counts as proven although the provider does not say so. Raises
    AccountDisabled, AccountClosed, OidcEmailMissing, UsernameTaken.
    """
    user = await accounts.by_provider(tx, claims.issuer, claims.subject)
    made = user is None
    if user is None:
        email = _address(claims)
        held = await accounts.by_email(tx, email)
        if held is not None:
            return NeedsProof(held)
        user = await _made(tx, claims, email, now)
    if user is None:
        # The same person in another tab, a moment faster: now the account is there.
        return await enter(tx, claims, now=now, grace=grace, trusting=trusting, ip=ip, agent=agent)
    accounts.check_open(user, grace=grace)
    if vouches(claims, user):
        await tx.execute(VOUCHED, (user.id,))
    projects: list[UUID] = []
    if trusting or vouches(claims, user):
        projects = await verification.prove(tx, user, now=now, ip=ip, agent=agent)
        user = user._replace(email_verified_at=user.email_verified_at or now)
    return Entered(user, made, projects)


def vouches(claims: Claims, user: User) -> bool:
    """Whether the provider has proven that this account's address is its owner's."""
    if not claims.email_verified:
        return False
    with contextlib.suppress(OidcEmailMissing):
        return _address(claims) == user.email
    return False


async def signed_in(
    tx: Tx,
    user: User,
    provider: str,
    session_id: UUID,
    *,
    now: datetime,
    ip: str | None,
    agent: str | None,
) -> User:
    """Write down that somebody came in this way."""
    await tx.execute(SIGNED_IN, (now, user.id))
    await audit.record(
        tx,
        audit.Kind.LOGIN,
        at=now,
        user=user.id,
        actor=user.id,
        ip=ip,
        agent=agent,
        provider=provider,
        session=str(session_id),
    )
    return user._replace(last_login_at=now)


async def connect(tx: Tx, link: Link, *, now: datetime, ip: str | None, agent: str | None) -> None:
    """Link an account whose owner has proven both. Raises OidcAlreadyLinked, ProviderTaken."""
    held = await (await tx.execute(HELD, (link.user_id,))).fetchone()
    if held == (link.issuer, link.subject):
        return
    if held is None or held[0] is not None:
        raise OidcAlreadyLinked
    await accounts.link_provider(tx, link.user_id, link.issuer, link.subject)
    if link.vouched:
        await tx.execute(VOUCHED, (link.user_id,))
    await audit.record(
        tx,
        audit.Kind.OIDC_LINKED,
        at=now,
        user=link.user_id,
        actor=link.user_id,
        ip=ip,
        agent=agent,
        provider=link.issuer,
    )


async def _made(tx: Tx, claims: Claims, email: str, now: datetime) -> User | None:
    """A new account; None when it, or its address, has come into being meanwhile."""
    for name in itertools.islice(names(claims), NAME_TRIES):
        with contextlib.suppress(UsernameTaken):
            try:
                return await accounts.register_from_provider(
                    tx,
                    email=email,
                    email_verified=False,  # `enter` looks at that, for every sign-in
                    username=name,
                    display_name=_shown(claims.name),
                    provider=claims.issuer,
                    subject=claims.subject,
                    now=now,
                )
            except (EmailTaken, accounts.ProviderTaken):
                return None
    raise UsernameTaken


def names(claims: Claims) -> Iterator[str]:
    """User names to try: what the provider calls somebody, made to fit, then with numbers."""
    wishes = (claims.username, claims.email, claims.name)
    base = next(filter(None, (_fitted(wish) for wish in wishes if wish)), NAMELESS)
    yield base
    while True:
        yield f"{base}-{secrets.randbelow(10_000):04d}"


def _fitted(wish: str) -> str | None:
    """What is left of a name when all that ours cannot have is gone; None: too little."""
    plain = unicodedata.normalize("NFKC", wish).partition("@")[0].strip()
    kept = re.sub(r"[^\w.-]", "", re.sub(r"\s+", "-", plain))
    # Of mixed writing systems the Latin part; mostly it is the whole name.
    for text in (kept, kept.encode("ascii", "ignore").decode()):
        with contextlib.suppress(UsernameInvalid):
            return identifiers.username(text.lstrip("_.-")[:_ROOM]).shown
    return None


def _shown(name: str | None) -> str:
    """A display name: one line of what draws something."""
    return "".join(filter(str.isprintable, " ".join((name or "").split())))[:100]


def _address(claims: Claims) -> str:
    try:
        return identifiers.email(claims.email or "")
    except EmailInvalid as wrong:
        raise OidcEmailMissing from wrong


def _key(link_id: str) -> str:
    return f"oidc-link:{link_id}"

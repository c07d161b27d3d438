"""Accounts: register, prove a password, look up, bar. The table is `users`.

Uniqueness is the database's promise (two people registering one name at the same instant get one
account), and an unknown name takes as long as a wrong password. What an owner says about
themselves is in `profiles.py`, how an account ends in `closing.py`. Knows SQL and hashing; not
sessions, tokens or requests.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final, LiteralString, NamedTuple

import psycopg
from psycopg.rows import class_row

from auth import audit, identifiers
from auth.errors import (
    AccountDisabled,
    EmailInvalid,
    EmailTaken,
    InvalidCredentials,
    UsernameInvalid,
    UsernameTaken,
)
from base import ids
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from datetime import datetime
    from uuid import UUID

    from auth.passwords import Passwords
    from base.db import Database, Tx

GRACE: Final = timedelta(days=30)
"""Until a closed account is erased, unless a setting says otherwise."""


class AccountClosed(AppError):
    """The account was closed by its owner, who may still open it again."""

    code = "account_closed"


class EmailNotVerified(AppError):
    """Prove your e-mail address first: enter the code that was sent to it."""

    code = "email_not_verified"


class ProviderTaken(AppError):
    """Another account is opened by this sign-in of the provider."""

    code = "provider_taken"


class User(NamedTuple):
    """An account, without its secrets."""

    id: UUID
    email: str
    username: str
    created_at: datetime
    display_name: str = ""
    avatar_url: str | None = None
    bio: str = ""
    email_verified_at: datetime | None = None
    is_admin: bool = False
    last_login_at: datetime | None = None
    disabled_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether the account may act: neither disabled nor closed."""
        return self.disabled_at is None and self.closed_at is None


class Secret(NamedTuple):
    """What proving a password needs to see of an account. password_hash None: it has none."""

    user: User
    password_hash: str | None


_SELECT: LiteralString = """
    SELECT id, email, username, created_at, display_name, avatar_url, bio, email_verified_at,
           is_admin, last_login_at, disabled_at, closed_at
    FROM users"""

INSERT: LiteralString = """
    INSERT INTO users
        (id, email, username, username_key, password_hash, created_at, updated_at,
         email_verified_at, display_name, oauth_provider, oauth_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""

BY_ID: LiteralString = _SELECT + " WHERE id = %s"

BY_EMAIL: LiteralString = _SELECT + " WHERE email = %s"

BY_KEY: LiteralString = _SELECT + " WHERE username_key = %s"

BY_PROVIDER: LiteralString = _SELECT + " WHERE oauth_provider = %s AND oauth_id = %s"

PAGE: LiteralString = _SELECT + " WHERE %s::uuid IS NULL OR id > %s ORDER BY id LIMIT %s"

NAMES: LiteralString = "SELECT id, username FROM people WHERE id = ANY(%s)"

SHOWN: LiteralString = """
    SELECT id, coalesce(nullif(display_name, ''), username) FROM people WHERE id = ANY(%s)"""

HASH: LiteralString = "SELECT password_hash FROM users WHERE id = %s"

ACTIVE: LiteralString = """
    SELECT id FROM users WHERE id = ANY(%s) AND disabled_at IS NULL AND closed_at IS NULL"""

SIGNED_IN: LiteralString = """
    UPDATE users SET last_login_at = %s, password_hash = coalesce(%s, password_hash)
    WHERE id = %s AND password_hash = %s"""

LINK: LiteralString = """
    UPDATE users SET oauth_provider = %s, oauth_id = %s, updated_at = now() WHERE id = %s"""

DISABLE: LiteralString = """
    UPDATE users SET disabled_at = %s WHERE id = %s AND disabled_at IS NULL"""

ENABLE: LiteralString = """
    UPDATE users SET disabled_at = NULL WHERE id = %s AND disabled_at IS NOT NULL"""

ADMIN: LiteralString = "UPDATE users SET is_admin = %s WHERE id = %s AND is_admin <> %s"


async def register(
    database: Database,
    passwords: Passwords,
    *,
    email: str,
    username: str,
    password: str,
    now: datetime,
    verified: bool = False,
    admin: bool = False,
    ip: str | None = None,
    agent: str | None = None,
) -> User:
    """A new account. No connection is held while the password is hashed.

    verified: the address counts as proven at once. admin: an administrator, at once too. Raises EmailInvalid, UsernameInvalid,
    PasswordTooShort, PasswordTooLong, PasswordsBusy, EmailTaken, UsernameTaken.
    """
    address = identifiers.email(email)
    name = identifiers.username(username)
    hashed = await passwords.hash(password)
    proven = now if verified else None
    user = User(ids.new_id(), address, name.shown, now, email_verified_at=proven)
    with _named():
        async with database.transaction() as tx:
            await _insert(tx, user, name.key, hashed)
            await audit.record(
                tx,
                audit.Kind.ACCOUNT_REGISTERED,
                at=now,
                user=user.id,
                actor=user.id,
                ip=ip,
                agent=agent,
            )
            if admin:
                await set_admin(tx, user.id, True, now)
    return user._replace(is_admin=admin)


async def create(
    database: Database,
    passwords: Passwords,
    *,
    email: str,
    username: str,
    password: str,
    now: datetime,
    admin: bool = False,
) -> User:
    """An account made by the operator, who vouches for the address. Raises what `register` does."""
    return await register(
        database,
        passwords,
        email=email,
        username=username,
        password=password,
        now=now,
        verified=True,
        admin=admin,
    )


async def register_from_provider(
    tx: Tx,
    *,
    email: str,
    email_verified: bool,
    username: str,
    display_name: str,
    provider: str,
    subject: str,
    now: datetime,
) -> User:
    """A new account without a password, opened by signing in with a provider.

    What is refused leaves the transaction usable, so that another name can be tried. Raises
    EmailInvalid, UsernameInvalid, EmailTaken, UsernameTaken, ProviderTaken.
    """
    address = identifiers.email(email)
    name = identifiers.username(username)
    proven = now if email_verified else None
    user = User(
        ids.new_id(),
        address,
        name.shown,
        now,
        display_name=display_name,
        email_verified_at=proven,
    )
    with _named():
        async with tx.transaction():
            await _insert(tx, user, name.key, None, provider, subject)
    await audit.record(
        tx, audit.Kind.ACCOUNT_REGISTERED, at=now, user=user.id, actor=user.id, provider=provider
    )
    return user


async def link_provider(tx: Tx, user_id: UUID, provider: str, subject: str) -> None:
    """Let an account be opened by this sign-in of a provider, in place of another one.

    Only for who has proven both. Raises ProviderTaken.
    """
    with _named():
        async with tx.transaction():
            await tx.execute(LINK, (provider, subject, user_id))


async def prove(database: Database, passwords: Passwords, name: str, password: str) -> Secret:
    """The account of this e-mail address or user name, whatever its state, if the password is its.

    Raises InvalidCredentials (of an unknown name after just as long), PasswordsBusy.
    """
    found = await _secret(database, name)
    same = await passwords.matches(password, found.password_hash if found else None)
    if found is None or not same:
        raise InvalidCredentials
    return found


async def login(
    database: Database,
    passwords: Passwords,
    *,
    name: str,
    password: str,
    now: datetime,
    grace: timedelta = GRACE,
) -> User:
    """The account that this password opens; a hash made at another cost is renewed.

    name: e-mail address or user name. Raises InvalidCredentials, PasswordsBusy, and only to who
    knows the password AccountDisabled and AccountClosed(erased_at).
    """
    found = await prove(database, passwords, name, password)
    user, hashed = found
    check_open(user, grace=grace)
    renewed = None if hashed is None else await passwords.rehash(password, hashed)
    async with database.transaction() as tx:
        cursor = await tx.execute(SIGNED_IN, (now, renewed, user.id, hashed))
    if cursor.rowcount == 0:
        # The hash is another one since we looked: renewed by somebody signing in beside us, or
        # the password was changed, and then the old one must not open anything any more.
        await prove(database, passwords, name, password)
    return user._replace(last_login_at=now)


def check_open(user: User, *, grace: timedelta) -> None:
    """For who has proven an account. Raises AccountDisabled, AccountClosed(erased_at)."""
    if user.disabled_at is not None:
        raise AccountDisabled
    if user.closed_at is not None:
        # The database answers in its own zone.
        erased_at = (user.closed_at + grace).astimezone(UTC)
        raise AccountClosed(erased_at=erased_at.isoformat().replace("+00:00", "Z"))


async def find(tx: Tx, user_id: UUID) -> User | None:
    """An account by its id; None: there is none (or, in `acting`, it is somebody else's)."""
    return await _one(tx, BY_ID, (user_id,))


async def by_email(tx: Tx, email: str) -> User | None:
    """The account of an address in any spelling, proven or not; nobody's if it is no address."""
    try:
        return await _one(tx, BY_EMAIL, (identifiers.email(email),))
    except EmailInvalid:
        return None


async def by_name(tx: Tx, name: str) -> User | None:
    """The account of an e-mail address or a user name."""
    # No user name holds an @, so no name is both.
    if "@" in name:
        return await by_email(tx, name)
    try:
        return await _one(tx, BY_KEY, (identifiers.username(name).key,))
    except UsernameInvalid:
        return None


async def by_provider(tx: Tx, provider: str, subject: str) -> User | None:
    """The account that this sign-in of a provider opens."""
    return await _one(tx, BY_PROVIDER, (provider, subject))


async def listing(tx: Tx, *, after: UUID | None = None, limit: int = 100) -> list[User]:
    """Accounts, oldest first, from behind `after`."""
    async with tx.cursor(row_factory=class_row(User)) as cursor:
        await cursor.execute(PAGE, (after, after, limit))
        return await cursor.fetchall()


async def active(tx: Tx, user_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these accounts may act: there, and neither disabled nor closed. tx: the server's own."""
    cursor = await tx.execute(ACTIVE, (list(user_ids),))
    return {row[0] for row in await cursor.fetchall()}


async def names(tx: Tx, user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The user names of those of them that are there. Also in a transaction of somebody's own."""
    cursor = await tx.execute(NAMES, (list(user_ids),))
    return dict(await cursor.fetchall())


async def shown_names(tx: Tx, user_ids: Iterable[UUID]) -> dict[UUID, str]:
    """What they want to be called, or else their user names. Otherwise as `names`."""
    cursor = await tx.execute(SHOWN, (list(user_ids),))
    return dict(await cursor.fetchall())


async def require_verified(tx: Tx, user_id: UUID) -> None:
    """Raises EmailNotVerified until the account's address is proven."""
    found = await find(tx, user_id)
    if found is None or found.email_verified_at is None:
        raise EmailNotVerified


async def hash_of(tx: Tx, user_id: UUID) -> str | None:
    """The hash of an account's password (the server's own work only); None: it has none."""
    row = await (await tx.execute(HASH, (user_id,))).fetchone()
    return None if row is None else row[0]


async def disable(tx: Tx, user_id: UUID, now: datetime, *, actor: UUID | None = None) -> bool:
    """Bar an account until it is enabled; False when it was, or there is none.

    Afterwards: `Identities.end_all` and `Changes.tell(AccountBarred)`.
    """
    cursor = await tx.execute(DISABLE, (now, user_id))
    return await _noted(tx, cursor.rowcount, audit.Kind.ACCOUNT_DISABLED, user_id, actor, now)


async def enable(tx: Tx, user_id: UUID, now: datetime, *, actor: UUID | None = None) -> bool:
    """Let a disabled account in again; False when it was not disabled, or there is none."""
    cursor = await tx.execute(ENABLE, (user_id,))
    return await _noted(tx, cursor.rowcount, audit.Kind.ACCOUNT_ENABLED, user_id, actor, now)


async def set_admin(
    tx: Tx, user_id: UUID, yes: bool, now: datetime, *, actor: UUID | None = None
) -> bool:
    """Make somebody an administrator of the server, or one no more; False when nothing changed."""
    cursor = await tx.execute(ADMIN, (yes, user_id, yes))
    kind = audit.Kind.ADMIN_GRANTED if yes else audit.Kind.ADMIN_REVOKED
    return await _noted(tx, cursor.rowcount, kind, user_id, actor, now)


async def _noted(
    tx: Tx, rows: int, kind: audit.Kind, user: UUID, actor: UUID | None, now: datetime
) -> bool:
    if rows:
        await audit.record(tx, kind, at=now, user=user, actor=actor)
    return rows > 0


async def _insert(
    tx: Tx,
    user: User,
    key: str,
    hashed: str | None,
    provider: str | None = None,
    subject: str | None = None,
) -> None:
    now = user.created_at
    who = (user.id, user.email, user.username, key, hashed, now, now)
    more = (user.email_verified_at, user.display_name, provider, subject)
    await tx.execute(INSERT, (*who, *more))


@contextlib.contextmanager
def _named() -> Generator[None]:
    """Which promise of the table a row would have broken."""
    try:
        yield
    except psycopg.errors.UniqueViolation as taken:
        broken = taken.diag.constraint_name or ""
        if "oauth" in broken:
            raise ProviderTaken from taken
        raise (UsernameTaken if "username" in broken else EmailTaken) from taken


async def _secret(database: Database, name: str) -> Secret | None:
    async with database.connection() as tx:
        user = await by_name(tx, name)
        # Asked for a stranger too, in the same time; nobody has this id.
        hashed = await hash_of(tx, user.id if user else ids.new_id())
    return None if user is None else Secret(user, hashed)


async def _one(tx: Tx, statement: LiteralString, keys: tuple[object, ...]) -> User | None:
    async with tx.cursor(row_factory=class_row(User)) as cursor:
        await cursor.execute(statement, keys)
        return await cursor.fetchone()

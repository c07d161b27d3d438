"""Accounts: register, sign in, look up. The table is `users`.

Uniqueness is the database's promise (two people registering one name at the same instant get one
account), and a wrong address takes as long as a wrong password. Knows SQL and hashing; not
sessions, tokens or requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString, NamedTuple

import psycopg
from psycopg.rows import class_row

from auth import identifiers
from auth.errors import (
    AccountDisabled,
    EmailInvalid,
    EmailTaken,
    InvalidCredentials,
    UsernameTaken,
)
from base import ids

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from auth.passwords import Passwords
    from base.db import Database, Tx


class User(NamedTuple):
    """An account, without its secrets."""

    id: UUID
    email: str
    username: str
    created_at: datetime


class _Stored(NamedTuple):
    """An account as sign-in needs to see it."""

    id: UUID
    email: str
    username: str
    created_at: datetime
    password_hash: str
    disabled_at: datetime | None


INSERT: LiteralString = """
    INSERT INTO users (id, email, username, username_key, password_hash, created_at)
    VALUES (%s, %s, %s, %s, %s, %s)"""

BY_ID: LiteralString = """
    SELECT id, email, username, created_at FROM users WHERE id = %s"""

BY_EMAIL: LiteralString = """
    SELECT id, email, username, created_at, password_hash, disabled_at
    FROM users WHERE email = %s"""

SIGNED_IN: LiteralString = """
    UPDATE users SET last_login_at = %s, password_hash = coalesce(%s, password_hash)
    WHERE id = %s AND password_hash = %s"""


async def register(
    database: Database,
    passwords: Passwords,
    *,
    email: str,
    username: str,
    password: str,
    now: datetime,
) -> User:
    """A new account. No connection is held while the password is hashed.

    Raises EmailInvalid, UsernameInvalid, PasswordTooShort, PasswordTooLong, PasswordsBusy,
    EmailTaken, UsernameTaken.
    """
    address = identifiers.email(email)
    name = identifiers.username(username)
    hashed = await passwords.hash(password)
    user = User(ids.new_id(), address, name.shown, now)
    try:
        async with database.transaction() as tx:
            await tx.execute(INSERT, (user.id, address, name.shown, name.key, hashed, now))
    except psycopg.errors.UniqueViolation as taken:
        of_name = "username" in (taken.diag.constraint_name or "")
        raise (UsernameTaken if of_name else EmailTaken) from taken
    return user


async def login(
    database: Database, passwords: Passwords, *, email: str, password: str, now: datetime
) -> User:
    """The account with this address and password; a hash made at another cost is renewed.

    Raises InvalidCredentials, PasswordsBusy, and AccountDisabled only to who knows the password.
    """
    stored = await _by_email(database, email)
    same = await passwords.matches(password, stored.password_hash if stored else None)
    if stored is None or not same:
        raise InvalidCredentials
    if stored.disabled_at is not None:
        raise AccountDisabled
    renewed = await passwords.rehash(password, stored.password_hash)
    async with database.transaction() as tx:
        await tx.execute(SIGNED_IN, (now, renewed, stored.id, stored.password_hash))
    return User(stored.id, stored.email, stored.username, stored.created_at)


async def find(tx: Tx, user_id: UUID) -> User | None:
    """An account by its id."""
    async with tx.cursor(row_factory=class_row(User)) as cursor:
        await cursor.execute(BY_ID, (user_id,))
        return await cursor.fetchone()


async def _by_email(database: Database, email: str) -> _Stored | None:
    try:
        address = identifiers.email(email)
    except EmailInvalid:
        return None  # nobody's; answered like any unknown address
    async with database.connection() as tx, tx.cursor(row_factory=class_row(_Stored)) as cursor:
        await cursor.execute(BY_EMAIL, (address,))
        return await cursor.fetchone()

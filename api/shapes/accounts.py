"""Accounts, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec

from api.shapes.common import documented, plain, utc

if TYPE_CHECKING:
    from auth.accounts import User as Account

Email = Annotated[str, documented(format="email", maxLength=254)]
Password = Annotated[str, documented(format="password", minLength=8, maxLength=72)]
Username = Annotated[
    str, documented(minLength=3, maxLength=32, examples=["anna", "дрозд", "k.o_2"])
]


class Register(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A new account."""

    email: Email
    username: Username
    password: Password

    def __post_init__(self) -> None:
        for field in ("email", "username", "password"):
            plain(f"$.{field}", getattr(self, field))


class Login(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who wants to sign in."""

    email: Email
    password: Annotated[str, documented(format="password")]


class User(msgspec.Struct, frozen=True, rename="camel"):
    """An account, as its owner sees it."""

    id: UUID
    email: str
    username: str
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> User:
        """From the record."""
        return cls(account.id, account.email, account.username, utc(account.created_at))


class UserAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """One account."""

    user: User


class SignedIn(msgspec.Struct, frozen=True, rename="camel"):
    """A token to send as `Authorization: Bearer …`, and when it ends."""

    token: str
    expires_at: datetime
    user: User

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
Known = Annotated[str, documented(format="password")]
"""A password that is compared, so nothing is demanded of it."""
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


class VerifyEmail(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The proof that an address is one's own."""

    email: Email
    code: Annotated[str, documented(minLength=6, maxLength=6, examples=["042137"])]


class Address(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Where to send a letter. What is no address is answered like one that nobody has."""

    email: Annotated[str, documented(examples=["anna@example.com"])]


class ResetPassword(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A new password, and the token from the letter that lets it be set."""

    token: str
    password: Password

    def __post_init__(self) -> None:
        plain("$.password", self.password)


class ChangePassword(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A new password, and the present one."""

    current: Known
    new: Password

    def __post_init__(self) -> None:
        plain("$.new", self.new)


class Reopen(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Who wants a closed account back; name: e-mail address or user name."""

    name: str
    password: Known


class User(msgspec.Struct, frozen=True, rename="camel"):
    """An account, as its owner sees it."""

    id: UUID
    email: str
    email_verified: bool
    username: str
    display_name: str
    avatar_url: str | None
    bio: str
    is_admin: bool
    last_login_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> User:
        """From the record."""
        seen = account.last_login_at
        return cls(
            id=account.id,
            email=account.email,
            email_verified=account.email_verified_at is not None,
            username=account.username,
            display_name=account.display_name,
            avatar_url=account.avatar_url,
            bio=account.bio,
            is_admin=account.is_admin,
            last_login_at=None if seen is None else utc(seen),
            created_at=utc(account.created_at),
        )


class UserAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """One account."""

    user: User

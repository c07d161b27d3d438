"""What can go wrong when somebody says who they are, or asks for what is not theirs.

Each class is one stable code (docs/errors.md explains it to the user). HTTP statuses and close
codes are chosen at the edges, not here.
"""

from __future__ import annotations

from base.errors import AppError


class TokenMissing(AppError):
    """Sign in first: this needs a token, sent as 'Authorization: Bearer …'."""

    code = "token_missing"


class TokenInvalid(AppError):
    """The token was not made by this server, or was damaged on the way."""

    code = "token_invalid"


class TokenExpired(AppError):
    """The token has expired; sign in again."""

    code = "token_expired"


class SessionEnded(AppError):
    """The session has ended; sign in again."""

    code = "session_ended"


class TokenReused(AppError):
    """The refresh token had been replaced by another: the session has ended; sign in again."""

    code = "token_reused"


class CsrfFailed(AppError):
    """A cookie is not enough here: send the header X-CSRF-Token, from a page of ours."""

    code = "csrf_failed"


class SessionNeeded(AppError):
    """An API key cannot do this; sign in as yourself."""

    code = "session_needed"


class SessionNotFound(AppError):
    """You have no session with this id."""

    code = "session_not_found"


class InvalidCredentials(AppError):
    """No account has this name and password."""

    code = "invalid_credentials"


class AccountDisabled(AppError):
    """The account has been disabled."""

    code = "account_disabled"


class EmailInvalid(AppError):
    """Not an e-mail address."""

    code = "email_invalid"


class EmailTaken(AppError):
    """Another account has this e-mail address."""

    code = "email_taken"


class UsernameInvalid(AppError):
    """The user name cannot be used."""

    code = "username_invalid"


class UsernameTaken(AppError):
    """Another account has this user name."""

    code = "username_taken"


class PasswordTooShort(AppError):
    """The password is too short."""

    code = "password_too_short"


class PasswordTooLong(AppError):
    """The password is too long: bcrypt reads no more than 72 bytes of UTF-8."""

    code = "password_too_long"


class PasswordsBusy(AppError):
    """Too many people are signing in right now; try again in a moment."""

    code = "server_busy"


class NotAllowed(AppError):
    """You may see this, but not do what was asked."""

    code = "not_allowed"

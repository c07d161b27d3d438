"""Accounts: the routes about who you are."""

from __future__ import annotations

from typing import Final

from api import accounts
from api.route import Auth, Route
from api.shapes import accounts as shapes
from auth import errors as auth
from base.db import DatabaseUnavailable
from base.redis import RedisUnavailable

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path="/api/auth/register",
        handler=accounts.register,
        summary="Create an account",
        tag="accounts",
        body=shapes.Register,
        answer=shapes.UserAnswer,
        status=201,
        raises=(
            auth.EmailInvalid,
            auth.UsernameInvalid,
            auth.PasswordTooShort,
            auth.PasswordTooLong,
            auth.EmailTaken,
            auth.UsernameTaken,
            auth.PasswordsBusy,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/login",
        handler=accounts.login,
        summary="Sign in",
        tag="accounts",
        body=shapes.Login,
        answer=shapes.SignedIn,
        raises=(
            auth.InvalidCredentials,
            auth.AccountDisabled,
            auth.PasswordsBusy,
            DatabaseUnavailable,
            RedisUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/logout",
        handler=accounts.logout,
        summary="Sign out: end the session of this token",
        tag="accounts",
        auth=Auth.REQUIRED,
        status=204,
    ),
    Route(
        method="GET",
        path="/api/auth/me",
        handler=accounts.me,
        summary="Who the token belongs to",
        tag="accounts",
        auth=Auth.REQUIRED,
        answer=shapes.UserAnswer,
        raises=(DatabaseUnavailable,),
    ),
)

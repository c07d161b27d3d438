"""Accounts: the routes about who you are."""

from __future__ import annotations

from typing import Final

from api import accounts
from api.route import Auth, Limit, Route
from api.shapes import accounts as shapes
from auth import backoff, resets, verification
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
        limit=Limit.STRICT,
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
        path="/api/auth/verify-email",
        handler=accounts.verify_email,
        summary="Prove an e-mail address by the code that was sent to it",
        tag="accounts",
        auth=Auth.OPTIONAL,
        limit=Limit.STRICT,
        body=shapes.VerifyEmail,
        status=204,
        raises=(
            verification.CodeInvalid,
            backoff.TooManyAttempts,
            DatabaseUnavailable,
            RedisUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/resend-code",
        handler=accounts.resend_code,
        summary="Ask for another code",
        tag="accounts",
        limit=Limit.STRICT,
        body=shapes.Address,
        status=202,
        raises=(DatabaseUnavailable, RedisUnavailable),
    ),
    Route(
        method="POST",
        path="/api/auth/forgot-password",
        handler=accounts.forgot_password,
        summary="Ask for the way to a new password",
        tag="accounts",
        limit=Limit.STRICT,
        body=shapes.Address,
        status=202,
        raises=(DatabaseUnavailable, RedisUnavailable),
    ),
    Route(
        method="POST",
        path="/api/auth/reset-password",
        handler=accounts.reset_password,
        summary="Set a password by the token of a letter",
        tag="accounts",
        limit=Limit.STRICT,
        body=shapes.ResetPassword,
        status=204,
        raises=(
            resets.ResetInvalid,
            auth.PasswordTooShort,
            auth.PasswordTooLong,
            auth.PasswordsBusy,
            DatabaseUnavailable,
            RedisUnavailable,
        ),
    ),
    Route(
        method="PUT",
        path="/api/auth/password",
        handler=accounts.change_password,
        summary="Set another password",
        tag="accounts",
        auth=Auth.SESSION,
        limit=Limit.STRICT,
        body=shapes.ChangePassword,
        status=204,
        raises=(
            resets.PasswordNotSet,
            resets.PasswordWrong,
            auth.PasswordTooShort,
            auth.PasswordTooLong,
            auth.PasswordsBusy,
            backoff.TooManyAttempts,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/reopen",
        handler=accounts.reopen,
        summary="Open a closed account again",
        tag="accounts",
        limit=Limit.STRICT,
        body=shapes.Reopen,
        status=204,
        raises=(
            auth.InvalidCredentials,
            auth.AccountDisabled,
            auth.PasswordsBusy,
            backoff.TooManyAttempts,
            DatabaseUnavailable,
            RedisUnavailable,
        ),
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

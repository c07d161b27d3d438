"""Users: the routes about your own account."""

from __future__ import annotations

from typing import Final

from api import users
from api.route import Auth, Limit, Route
from api.shapes import accounts
from api.shapes import users as shapes
from auth import backoff, closing, resets
from auth import errors as auth
from base.db import DatabaseUnavailable

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/api/users/me",
        handler=users.me,
        summary="Show your account",
        tag="users",
        auth=Auth.REQUIRED,
        answer=accounts.User,
        raises=(DatabaseUnavailable,),
    ),
    Route(
        method="PUT",
        path="/api/users/me",
        handler=users.change,
        summary="Change your account; what the body leaves out stays",
        tag="users",
        auth=Auth.SESSION,
        body=shapes.ProfileChanges,
        answer=accounts.User,
        raises=(auth.UsernameInvalid, auth.UsernameTaken, DatabaseUnavailable),
    ),
    Route(
        method="DELETE",
        path="/api/users/me",
        handler=users.close,
        summary="Close your account; it is erased after the grace",
        tag="users",
        auth=Auth.SESSION,
        limit=Limit.STRICT,
        body=shapes.Closing,
        status=204,
        raises=(
            resets.PasswordWrong,
            closing.SignInAgain,
            auth.PasswordsBusy,
            backoff.TooManyAttempts,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="GET",
        path="/api/users/me/preferences",
        handler=users.preferences,
        summary="Show how you like things",
        tag="users",
        auth=Auth.REQUIRED,
        answer=shapes.Preferences,
        raises=(DatabaseUnavailable,),
    ),
    Route(
        method="PUT",
        path="/api/users/me/preferences",
        handler=users.choose,
        summary="Choose how you like things; what the body leaves out stays",
        tag="users",
        auth=Auth.SESSION,
        body=shapes.PreferenceChanges,
        answer=shapes.Preferences,
        raises=(DatabaseUnavailable,),
    ),
)

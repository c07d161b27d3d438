"""Sessions: the routes about signing in and out, tickets and API keys."""

from __future__ import annotations

from typing import Final

from api import keys, sessions, tickets
from api.route import PROJECT, Auth, Limit, Route
from api.shapes import sessions as shapes
from auth import errors as auth
from auth.accounts import AccountClosed
from auth.backoff import TooManyAttempts
from auth.keys import KeyNotFound, KeysFull
from base.db import DatabaseUnavailable
from base.redis import RedisUnavailable
from docstore.errors import ProjectNotFound

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path="/api/auth/login",
        handler=sessions.login,
        summary="Sign in",
        tag="sessions",
        limit=Limit.STRICT,
        body=shapes.Login,
        answer=shapes.SignedIn,
        raises=(
            auth.InvalidCredentials,
            auth.AccountDisabled,
            AccountClosed,
            auth.CsrfFailed,
            auth.PasswordsBusy,
            TooManyAttempts,
            DatabaseUnavailable,
            RedisUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/refresh",
        handler=sessions.refresh,
        summary="Stay signed in: new tokens for old",
        tag="sessions",
        body=shapes.Refresh,
        answer=shapes.Renewed,
        raises=(
            auth.TokenMissing,
            auth.TokenInvalid,
            auth.TokenReused,
            auth.SessionEnded,
            auth.CsrfFailed,
            DatabaseUnavailable,
            RedisUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/logout",
        handler=sessions.logout,
        summary="Sign out: end the session that asks",
        tag="sessions",
        auth=Auth.SESSION,
        status=204,
    ),
    Route(
        method="GET",
        path="/api/auth/sessions",
        handler=sessions.index,
        summary="List where you are signed in",
        tag="sessions",
        auth=Auth.SESSION,
        answer=shapes.Sessions,
    ),
    Route(
        method="DELETE",
        path="/api/auth/sessions",
        handler=sessions.end_others,
        summary="Sign out everywhere else",
        tag="sessions",
        auth=Auth.SESSION,
        status=204,
    ),
    Route(
        method="DELETE",
        path="/api/auth/sessions/{session_id}",
        handler=sessions.end,
        summary="End one of your sessions",
        tag="sessions",
        auth=Auth.SESSION,
        status=204,
        raises=(auth.SessionNotFound,),
    ),
    Route(
        method="POST",
        path=PROJECT + "/ticket",
        handler=tickets.create,
        summary="Get a ticket for the project's room",
        tag="sessions",
        auth=Auth.OPTIONAL,
        body=shapes.NewTicket,
        answer=shapes.Ticket,
        raises=(ProjectNotFound, auth.NotAllowed),
    ),
    Route(
        method="POST",
        path="/api/auth/keys",
        handler=keys.create,
        summary="Make an API key",
        tag="sessions",
        auth=Auth.SESSION,
        body=shapes.NewKey,
        answer=shapes.MadeKey,
        status=201,
        raises=(ProjectNotFound, auth.NotAllowed, KeysFull),
    ),
    Route(
        method="GET",
        path="/api/auth/keys",
        handler=keys.index,
        summary="List your API keys",
        tag="sessions",
        auth=Auth.SESSION,
        answer=shapes.Keys,
    ),
    Route(
        method="DELETE",
        path="/api/auth/keys/{key_id}",
        handler=keys.delete,
        summary="Revoke an API key",
        tag="sessions",
        auth=Auth.SESSION,
        status=204,
        raises=(KeyNotFound,),
    ),
)

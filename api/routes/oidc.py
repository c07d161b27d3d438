"""OpenID Connect: the routes of signing in with a provider."""

from __future__ import annotations

from typing import Final

from api import oidc
from api.route import Auth, Limit, Route
from api.shapes import oidc as shapes
from api.shapes.sessions import SignedIn
from auth import errors as auth
from auth.accounts import AccountClosed, ProviderTaken
from auth.backoff import TooManyAttempts
from auth.oidc import (
    OidcFailed,
    OidcNotConfigured,
    OidcRefused,
    OidcStateInvalid,
    OidcUnavailable,
)
from auth.providers import (
    OidcAlreadyLinked,
    OidcEmailMissing,
    OidcLinkInvalid,
    OidcLinkRequired,
)
from base.db import DatabaseUnavailable

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/api/auth/oidc/login",
        handler=oidc.login,
        summary="Go to the OpenID Connect provider",
        tag="sessions",
        limit=Limit.STRICT,
        query=shapes.Begin,
        status=303,
        raises=(OidcNotConfigured, OidcFailed, OidcUnavailable),
    ),
    Route(
        method="GET",
        path="/api/auth/oidc/callback",
        handler=oidc.callback,
        summary="Come back from the OpenID Connect provider",
        tag="sessions",
        limit=Limit.STRICT,
        query=shapes.Return,
        answer=SignedIn,
        also=(303,),
        raises=(
            OidcNotConfigured,
            OidcStateInvalid,
            OidcRefused,
            OidcFailed,
            OidcUnavailable,
            OidcEmailMissing,
            OidcLinkRequired,
            auth.AccountDisabled,
            AccountClosed,
            auth.UsernameTaken,
            auth.SessionEnded,
            DatabaseUnavailable,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/oidc/link",
        handler=oidc.link,
        summary="Prove an account and link it with the provider",
        tag="sessions",
        auth=Auth.OPTIONAL,
        limit=Limit.STRICT,
        body=shapes.Proof,
        answer=SignedIn,
        raises=(
            OidcNotConfigured,
            OidcLinkInvalid,
            OidcAlreadyLinked,
            ProviderTaken,
            auth.InvalidCredentials,
            auth.AccountDisabled,
            AccountClosed,
            auth.PasswordsBusy,
            auth.SessionEnded,
            TooManyAttempts,
        ),
    ),
)

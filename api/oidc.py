"""Signing in with a provider over REST: there, back, and proof that an account is one's own.

The browser holds a secret in a cookie while it is on its way, so that nobody can be signed in to
somebody else's account by a link. Knows requests and answers; the provider is `auth/oidc.py`.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from api import cookies, problems
from api.shapes import oidc as shapes
from auth import accounts, attempts, providers, verification
from auth.changes import ProjectChanged
from auth.cookies import value
from auth.credentials import Identity, Kind
from auth.oidc import (
    OidcFailed,
    OidcNotConfigured,
    OidcRefused,
    Provider,
)
from auth.providers import Link, Links, NeedsProof, OidcLinkInvalid, OidcLinkRequired
from base.errors import AppError

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from api.requests import Call
    from auth.accounts import User
    from auth.identity import Signed
    from auth.oidc import Begun

COOKIE: Final = "syncsphere_oidc"
HOME: Final = "/api/auth/oidc"
_AGE_SECONDS: Final = 1200
"""Ten minutes at the provider, and ten more to prove an account."""


async def login(call: Call) -> Response:
    """Go to the provider; it sends the browser back to `/api/auth/oidc/callback`."""
    wanted = call.query(shapes.Begin)
    browser = secrets.token_urlsafe(32)
    url = await _provider(call).begin(
        browser=browser,
        redirect_uri=_site(call) + HOME + "/callback",
        return_to=wanted.return_to,
        cookie=wanted.cookie,
    )
    response = RedirectResponse(url, 303)
    _remember(call, response, browser, _AGE_SECONDS)
    return response


async def callback(call: Call) -> Response:
    """Come back from the provider: signed in, with an account that is made if there is none.

    An address that an account has already is answered `oidc_link_required`: prove that it is yours
    at `/api/auth/oidc/link`. A page that is waiting at `returnTo` is told a problem's code in the
    address (`#error=…&link=…`), since nobody reads JSON that a browser shows.
    """
    given, provider, browser = call.query(shapes.Return), _provider(call), _browser(call)
    begun = await provider.returned(given.state, browser)
    try:
        signed, user = await _enter(call, given, provider, begun)
    except AppError as problem:
        if begun.return_to is None or problem.code not in problems.STATUS:
            raise
        return RedirectResponse(_told(begun.return_to, problem), 303)
    if begun.return_to is None:
        response = cookies.signed_in(call, signed, user, cookie=begun.cookie)
    else:
        response = RedirectResponse(begun.return_to, 303)
        cookies.attach(response, call, signed)
    _remember(call, response, "", 0)
    return response


async def _enter(
    call: Call, given: shapes.Return, provider: Provider, begun: Begun
) -> tuple[Signed, User]:
    """A session of the account that the provider's answer opens."""
    if given.iss is not None and given.iss != provider.issuer:
        raise OidcFailed("Another provider answered.", step="callback")
    if given.code is None:
        raise OidcRefused(reason=_word(given.error))
    since = call.services.now()
    claims = await provider.finish(begun, given.code)

    settings = call.services.settings
    async with call.services.database.transaction() as tx:
        entered = await providers.enter(
            tx,
            claims,
            now=call.services.now(),
            grace=timedelta(days=settings.grace_days),
            trusting=not settings.verify_email,
            ip=call.client.ip,
            agent=call.client.agent,
        )
    if isinstance(entered, NeedsProof):
        held = entered.user
        vouched = providers.vouches(claims, held)
        # A page that we were to come back to with cookies goes on with them after the proof.
        cookie = begun.cookie or begun.return_to is not None
        link = Link(held.id, claims.issuer, claims.subject, vouched, begun.browser, cookie)
        raise OidcLinkRequired(link=await Links(call.services.redis).offer(link))
    if entered.made and entered.user.email_verified_at is None:
        services = call.services
        await verification.send(
            services.database,
            services.codes,
            services.mail,
            entered.user.email,
            ip=call.client.ip,
            first=True,
        )
    await call.services.changes.tell(*map(ProjectChanged, entered.projects))
    return await _sign_in(call, entered.user, claims.issuer, since)


async def link(call: Call) -> Response:
    """Prove an account by its password, or by being signed in to it; then both are one."""
    proof, links, services = call.body(shapes.Proof), Links(call.services.redis), call.services
    _provider(call)
    since = services.now()
    waiting = await links.find(proof.link, _browser(call))
    async with services.database.connection() as tx:
        user = await accounts.find(tx, waiting.user_id)
    if user is None:
        raise OidcLinkInvalid
    grace = timedelta(days=services.settings.grace_days)
    if not _is_signed_in(call, user):
        await _prove(call, user, proof.password, grace)
    accounts.check_open(user, grace=grace)
    now, (ip, agent) = services.now(), call.client
    projects: list[UUID] = []
    async with services.database.transaction() as tx:
        await providers.connect(tx, waiting, now=now, ip=ip, agent=agent)
        if waiting.vouched:
            projects = await verification.prove(tx, user, now=now, ip=ip, agent=agent)
            user = user._replace(email_verified_at=user.email_verified_at or now)
    await links.drop(proof.link)
    await call.services.changes.tell(*map(ProjectChanged, projects))
    signed, user = await _sign_in(call, user, waiting.issuer, since)
    response = cookies.signed_in(call, signed, user, cookie=waiting.cookie)
    _remember(call, response, "", 0)
    return response


def _provider(call: Call) -> Provider:
    if call.services.oidc is None:
        raise OidcNotConfigured
    return call.services.oidc


def _is_signed_in(call: Call, user: User) -> bool:
    """Whether the asker is that account already; an API key is no person."""
    who = call.identity
    return isinstance(who, Identity) and who.kind is Kind.SESSION and who.user_id == user.id


async def _prove(call: Call, user: User, password: str | None, grace: timedelta) -> None:
    """Guarded as signing in is, and counted with it: a second door must not double the guesses."""
    services, (ip, agent) = call.services, call.client
    trying = attempts.attempt(
        services.database,
        services.backoff,
        name=user.email,
        door="oidc_link",
        now=services.now(),
        ip=ip,
        agent=agent,
    )
    async with trying:
        await accounts.login(
            services.database,
            services.passwords,
            name=user.email,
            password=password or "",
            now=services.now(),
            grace=grace,
        )


async def _sign_in(call: Call, user: User, provider: str, since: datetime) -> tuple[Signed, User]:
    """A session, unless all were ended since the proof began: then SessionEnded."""
    ip, agent = call.client
    signed = await call.services.identities.sign_in(
        user.id, user.username, ip=ip, agent=agent, since=since
    )
    await call.services.backoff.learn(str(user.id), ip)
    async with call.services.database.transaction() as tx:
        user = await providers.signed_in(
            tx,
            user,
            provider,
            signed.session_id,
            now=call.services.now(),
            ip=ip,
            agent=agent,
        )
    return signed, user


def _told(return_to: str, problem: AppError) -> str:
    """Where a page learns what went wrong: behind the #, which no server and no log sees."""
    said = {"error": problem.code}
    if isinstance(problem, OidcLinkRequired):
        said["link"] = str(problem.data["link"])
    return f"{return_to.partition('#')[0]}#{urlencode(said)}"


def _site(call: Call) -> str:
    """Where the provider finds us. It sends nobody to an address that it was not told of before."""
    return (call.services.settings.public_url or str(call.request.base_url)).rstrip("/")


def _browser(call: Call) -> str | None:
    return value(call.request.headers.get("cookie"), COOKIE)


def _remember(call: Call, response: Response, browser: str, seconds: int) -> None:
    """Lax, not strict: the provider's page is where the browser comes back from."""
    response.set_cookie(
        COOKIE,
        browser,
        max_age=seconds,
        path=HOME,
        secure=_site(call).startswith("https:"),
        httponly=True,
        samesite="lax",
    )


def _word(text: str | None) -> str:
    """A provider's error code, as far as it looks like one."""
    return text if text and text.isascii() and text.isidentifier() else "unknown"

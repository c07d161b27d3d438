"""A browser's session in cookies: set, cleared, and believed only from pages that may use them.

Tokens are out of reach of scripts (HttpOnly). What a request changes needs, beside the cookie, the
header X-CSRF-Token, which only a page of ours can read. Knows requests and answers; not sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from starlette.responses import Response

from api.route import JSON
from api.shapes import accounts
from api.shapes import sessions as shapes
from api.shapes.common import utc
from auth.cookies import ACCESS, CSRF, REFRESH, value
from auth.errors import CsrfFailed

if TYPE_CHECKING:
    from uuid import UUID

    from api.requests import Call
    from auth.accounts import User
    from auth.identity import Signed

CSRF_HEADER: Final = "x-csrf-token"

REFRESH_PATH: Final = "/api/auth"


def signed_in(call: Call, signed: Signed, user: User, *, cookie: bool) -> Response:
    """The answer to who has signed in: tokens in the body, or (cookie) in cookies only."""
    answer = shapes.SignedIn(*_tokens(call, signed, cookie=cookie), user=accounts.User.of(user))
    return _answer(call, signed, answer, cookie=cookie)


def renewed(call: Call, signed: Signed, *, cookie: bool) -> Response:
    """The answer to who has refreshed, in the way it was asked."""
    answer = shapes.Renewed(*_tokens(call, signed, cookie=cookie))
    return _answer(call, signed, answer, cookie=cookie)


def attach(response: Response, call: Call, signed: Signed) -> None:
    """Put a session's cookies on an answer.

    All live as long as the session: an access token that is late is answered `token_expired`, where
    one that is gone would make a stranger of somebody who has signed in.
    """
    now = call.services.now()
    age = max(1, int((signed.refresh_expires_at - now).total_seconds()))
    csrf = call.services.identities.csrf(signed.session_id)
    _set(response, call, ACCESS, signed.token, age=age, same_site="lax")
    _set(response, call, REFRESH, signed.refresh_token, age=age, path=REFRESH_PATH)
    _set(response, call, CSRF, csrf, age=age, hidden=False)


def clear(response: Response, call: Call) -> None:
    """Take a session's cookies away."""
    _set(response, call, ACCESS, "", age=0, same_site="lax")
    _set(response, call, REFRESH, "", age=0, path=REFRESH_PATH)
    _set(response, call, CSRF, "", age=0, hidden=False)


def held(call: Call, name: str) -> str | None:
    """A cookie of ours, when the page that sends it may use cookies."""
    found = value(call.request.headers.get("cookie"), name)
    return found if found is not None and is_from_our_page(call) else None


def is_from_our_page(call: Call) -> bool:
    """Whether no foreign page made this request. Programs, which are no page, pass."""
    headers = call.request.headers
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none").lower() != "cross-site"
    return call.services.origins.trusts(origin, headers.get("host", ""))


def check_csrf(call: Call, session_id: UUID) -> None:
    """Refuse what a page other than ours may have sent with our cookie. Raises CsrfFailed."""
    given = call.request.headers.get(CSRF_HEADER, "")
    if not call.services.identities.is_csrf(given, session_id):
        raise CsrfFailed


def _tokens(call: Call, signed: Signed, *, cookie: bool) -> shapes.Tokens:
    expires_at, ends = utc(signed.expires_at), utc(signed.refresh_expires_at)
    if not cookie:
        return shapes.Tokens(signed.token, expires_at, signed.refresh_token, ends, None)
    csrf = call.services.identities.csrf(signed.session_id)
    return shapes.Tokens(None, expires_at, None, ends, csrf)


def _answer(call: Call, signed: Signed, answer: msgspec.Struct, *, cookie: bool) -> Response:
    response = Response(msgspec.json.encode(answer), media_type=JSON)
    if cookie:
        attach(response, call, signed)
    return response


def _set(
    response: Response,
    call: Call,
    name: str,
    text: str,
    *,
    age: int,
    path: str = "/",
    same_site: Literal["lax", "strict"] = "strict",
    hidden: bool = True,
) -> None:
    public = call.services.settings.public_url
    scheme = public or str(call.request.url)
    response.set_cookie(
        name,
        text,
        max_age=age,
        path=path,
        secure=scheme.lower().startswith("https:"),
        httponly=hidden,
        samesite=same_site,
    )

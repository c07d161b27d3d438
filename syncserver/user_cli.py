"""`syncsphere user …`: accounts, for the operator, as the command line has them."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, TypeVar

from base.errors import AppError
from syncserver import command
from syncserver.command import say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from base.settings import Settings
    from syncserver.command import Commands, Words
    from syncserver.users import Operation

T = TypeVar("T")


class PasswordsDiffer(AppError):
    """The two passwords are not the same; nothing was done."""

    code = "passwords_differ"


def register(commands: Commands) -> None:
    """Add them to the parser."""
    people = commands.add_parser("user", help="accounts, for the operator", allow_abbrev=False)
    actions = people.add_subparsers(metavar="ACTION", required=True)
    made = command.add(actions, "create", _create)
    made.add_argument("username", metavar="USERNAME")
    made.add_argument("email", metavar="EMAIL")
    made.add_argument("--admin", action="store_true", help="make it an administrator")
    for name, function in (
        ("admin", _admin),
        ("demote", _demote),
        ("disable", _disable),
        ("enable", _enable),
    ):
        one = command.add(actions, name, function)
        one.add_argument("name", metavar="NAME", help="user name or e-mail address")
    command.add(actions, "list", _list)


def _create(config: Settings, words: Words) -> int:
    """Make an account, its address taken as proven; the password is asked for, or read from a pipe."""
    from syncserver import users

    action = users.create(words["username"], words["email"], _password(), admin=words["admin"])
    made = _operate(config, action)
    say(f"Made {made}" + (", an administrator." if words["admin"] else "."))
    return 0


def _admin(config: Settings, words: Words) -> int:
    """Make somebody an administrator, who may read the audit log."""
    from syncserver import users

    say(f"{_operate(config, users.set_admin(words['name'], yes=True))} is an administrator.")
    return 0


def _demote(config: Settings, words: Words) -> int:
    """Make an administrator an ordinary person again."""
    from syncserver import users

    say(f"{_operate(config, users.set_admin(words['name'], yes=False))} is no administrator.")
    return 0


def _disable(config: Settings, words: Words) -> int:
    """Lock an account: it is signed out everywhere at once and cannot sign in."""
    from syncserver import users

    say(f"{_operate(config, users.disable(words['name']))} is disabled and signed out.")
    return 0


def _enable(config: Settings, words: Words) -> int:
    """Unlock an account."""
    from syncserver import users

    say(f"{_operate(config, users.enable(words['name']))} may sign in again.")
    return 0


def _list(config: Settings, _words: Words) -> int:
    """List the accounts, oldest first."""
    from syncserver import users

    for line in _operate(config, users.listing()):
        say(line)
    return 0


def _operate(config: Settings, action: Callable[[Operation], Awaitable[T]]) -> T:
    """Run one action on the databases, those of a server that is running or our own."""
    import asyncio

    from docstore import migrate
    from syncserver import users

    command.check_server(config)
    with command.database(config) as database_url, command.redis(config) as redis_url:
        migrate.upgrade(database_url)
        return asyncio.run(users.run(config, database_url, redis_url, action))


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != first:
        raise PasswordsDiffer
    return first

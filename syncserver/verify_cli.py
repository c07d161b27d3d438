"""`syncsphere verify`: whether all that is stored is whole.

Findings go to stdout, one a line; how far it is goes to stderr. The exit code is 1 if there is a
finding, 2 if it could not look. Works beside a running server, and changes nothing but an old schema.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from base.errors import AppError
from syncserver import arguments, command
from syncserver.command import progress, say

if TYPE_CHECKING:
    from base.settings import Settings
    from syncserver.command import Commands, Words

_CONNECTIONS: Final = 2

NOT_LOOKED: Final = 2
"""Exit code where nothing can be said of what is stored: 1 is for damage only."""


def register(commands: Commands) -> None:
    """Add it to the parser."""
    one = command.add(commands, "verify", _verify, only=command.OF_DATABASE)
    one.add_argument(
        "projects",
        metavar="PROJECT",
        type=arguments.text,
        nargs="*",
        help="its id, room id or name; all if none is named",
    )


def _verify(config: Settings, words: Words) -> int:
    """Prove that what is stored is whole: hashes, chains, journals, bundles."""
    from docstore import migrate

    try:
        command.check_server(config)
        with command.database(config) as url:
            migrate.upgrade(url)
            return asyncio.run(_run(url, words["projects"]))
    except AppError as error:
        progress(f"syncsphere: {error}")
        return NOT_LOOKED


async def _run(url: str, names: list[str]) -> int:
    from base import db
    from docstore.history import verify
    from syncserver import history_reading

    database = await db.Database.open(url, size=_CONNECTIONS)
    found = 0
    try:
        async with database.connection() as tx:
            chosen = [(await history_reading.project(tx, name)).id for name in names]
        async for told in verify.verify(database, chosen or None):
            match told:
                case verify.Finding():
                    found += 1
                    say(f"{told.project_id}  {told.kind}  {told.where}: {told.remedy}")
                case verify.Progress():
                    progress(f"{told.project_id}  {told.part}: {told.looked_at}")
    finally:
        await database.close()
    progress("Nothing is wrong." if not found else f"{found} findings")
    return 1 if found else 0

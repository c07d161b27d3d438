"""`syncsphere log`, `show`, `diff`, `branches`: history on the command line.

Reads the words of the command line and writes for people, or as JSON for programs. What is other
people's is harmless to a terminal: see `docstore/history/render.py`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from base import settings
from syncserver import arguments, colours, command, points
from syncserver.command import say

if TYPE_CHECKING:
    import argparse

    from base.settings import Settings
    from syncserver.command import Commands, Words

_USUAL: Final = 100
"""Commits of a log."""


def register(commands: Commands) -> None:
    """Add them to the parser."""
    log = arguments.of_project(commands, "log", _log)
    which = log.add_mutually_exclusive_group()
    which.add_argument("--branch", metavar="NAME", type=arguments.text, default="main")
    which.add_argument("--all", action="store_true", help="all branches, also deleted ones")
    log.add_argument(
        "--author", metavar="NAME", type=arguments.text, help="user name or e-mail address"
    )
    log.add_argument(
        "--before", metavar="WHEN", type=arguments.moment, help="made earlier than this (UTC)"
    )
    log.add_argument("--graph", action="store_true", help="draw how lines part and meet")
    log.add_argument(
        "--limit", metavar="N", type=arguments.count, default=_USUAL, help="at most so many"
    )
    _as_json(log)
    show = arguments.of_project(commands, "show", _show)
    show.add_argument("commit", metavar="COMMIT", type=arguments.point, help=arguments.POINTS)
    _as_json(show)
    diff = arguments.of_project(commands, "diff", _diff)
    diff.add_argument("from_", metavar="FROM", type=arguments.point, help=arguments.POINTS)
    diff.add_argument("to", metavar="TO", type=arguments.point, nargs="?", default=points.Point())
    diff.add_argument(
        "--branch",
        metavar="NAME",
        type=arguments.text,
        default="main",
        help="whose `live` and whose moments (default: main)",
    )
    _as_json(diff)
    _as_json(arguments.of_project(commands, "branches", _branches))


def _as_json(one: argparse.ArgumentParser) -> None:
    one.add_argument("--json", action="store_true", help="for programs")


# ---------------------------------------------------------------- commands


def _log(config: Settings, words: Words) -> int:
    """Tell the commits of a project, newest first."""
    from syncserver import history_reading, history_text

    told = arguments.read(
        config,
        history_reading.log(
            words["project"],
            branch=None if words["all"] else words["branch"],
            author=words["author"],
            before=words["before"],
            limit=words["limit"],
        ),
    )
    if words["json"]:
        say(history_text.dumped([history_text.commit_json(told, each) for each in told.commits]))
        return 0
    shown = history_text.log(told, graph=words["graph"], colour=_wants_colour())
    if shown:
        say(shown)
    if told.more:
        command.progress(f"There is more; --limit shows more than {words['limit']}.")
    elif not shown:
        command.progress("There are no such commits.")
    return 0


def _show(config: Settings, words: Words) -> int:
    """Show a commit and what changed in it; of what is live, what nobody has committed."""
    from syncserver import history_reading, history_text

    form = "json" if words["json"] else "text"
    told, said = arguments.read(
        config, history_reading.show(words["project"], words["commit"], form)
    )
    if words["json"]:
        say(history_text.dumped(history_text.shown_json(told) | {"diff": json.loads(said)}))
    else:
        say(history_text.shown(told, colour=_wants_colour()))
        say("\n" + _coloured(said.decode()).rstrip("\n"))
    return 0


def _diff(config: Settings, words: Words) -> int:
    """Show what leads from one state to another; without TO, to the document as it is stored."""
    from syncserver import history_reading, history_text

    form = "json" if words["json"] else "text"
    ends = (words["from_"], words["to"])
    said = arguments.read(
        config,
        history_reading.diff(words["project"], ends, branch=words["branch"], form=form),
    )
    if words["json"]:
        say(history_text.dumped(json.loads(said)))
    else:
        say(_coloured(said.decode()).rstrip("\n"))
    return 0


def _branches(config: Settings, words: Words) -> int:
    """List the branches of a project."""
    from syncserver import history_reading, history_text

    found = arguments.read(config, history_reading.lines_of_work(words["project"]))
    if words["json"]:
        say(history_text.dumped([history_text.branch_json(line) for line in found]))
        return 0
    for line in found:
        say(history_text.branch(line))
    return 0


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not settings.colourless()


def _coloured(text: str) -> str:
    return colours.diff(text) if _wants_colour() else text

"""`syncsphere export`, `syncsphere import`: projects as files, on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from syncserver import arguments, command, points
from syncserver.command import say

if TYPE_CHECKING:
    from base.settings import Settings
    from syncserver.command import Commands, Words

_FORMS: Final = ("odb", "zip", "yjs", "json")
"""What can be written: bundles with their history, or one state."""


def register(commands: Commands) -> None:
    """Add them to the parser."""
    export = arguments.of_project(commands, "export", _export)
    export.add_argument(
        "file", metavar="FILE", type=arguments.text, help="what to write; - is the output"
    )
    which = export.add_mutually_exclusive_group()
    which.add_argument(
        "--commit", metavar="ID", type=arguments.commit, help="as it was at this commit"
    )
    which.add_argument("--tag", metavar="NAME", type=arguments.text, help="as it was at this tag")
    which.add_argument(
        "--time", metavar="WHEN", type=arguments.moment, help="as it was at this time (UTC)"
    )
    export.add_argument(
        "--branch",
        metavar="NAME",
        type=arguments.text,
        default="main",
        help="which (default: main)",
    )
    export.add_argument(
        "--format", choices=_FORMS, help="what to write (default: what FILE ends with)"
    )
    export.add_argument("--force", action="store_true", help="replace FILE if it is there")
    one = command.add(
        commands, "import", _import, only=(*command.OF_DATABASE, "max_document_bytes")
    )
    one.add_argument("file", metavar="FILE", type=arguments.text, help="- is the standard input")
    one.add_argument(
        "--owner",
        metavar="NAME",
        type=arguments.text,
        required=True,
        help="who brings it, and whose the project will be: user name or e-mail address",
    )
    one.add_argument("--name", metavar="NAME", type=arguments.name, help="what to call the project")
    one.add_argument(
        "--project", metavar="PROJECT", type=arguments.text, help="put it there, as a branch"
    )
    one.add_argument("--branch", metavar="NAME", type=arguments.text, help="which, with --project")


def _export(config: Settings, words: Words) -> int:
    """Write a project into a file: a bundle with its history, an update of Yjs, or JSON."""
    from syncserver import history_export, output

    name, form = words["file"], words["format"] or history_export.form_of(words["file"])
    if form is None:
        command.progress(
            f"syncsphere: {name!a} tells no format; name it: --format zip, or FILE.zip"
        )
        return command.BAD_USAGE
    output.check(name, force=words["force"])
    wanted = words["commit"] or points.Point(tag=words["tag"], time=words["time"])
    with output.whole(name) as file:
        action = history_export.export(
            words["project"], wanted, branch=words["branch"], form=form, file=file
        )
        said = arguments.read(config, action)
    command.progress(f"Wrote {said}.")
    return 0


def _import(config: Settings, words: Words) -> int:
    """Make a project of a bundle, or a branch of one with --project."""
    from syncserver import history_import, output

    into = None
    if words["project"] is not None and words["branch"] is not None and words["name"] is None:
        into = history_import.Target(words["project"], words["branch"])
    elif words["project"] is not None or words["branch"] is not None:
        command.progress(
            "syncsphere: a branch needs --project and --branch and takes no --name;"
            " a project of its own needs neither"
        )
        return command.BAD_USAGE
    with output.opened(words["file"]) as file:
        command.progress("Checking …")
        made = arguments.read(
            config,
            history_import.bring(
                file,
                owner=words["owner"],
                name=words["name"],
                into=into,
                document_bytes=config.max_document_bytes,
            ),
        )
    say(f"Made {made.said}: id {made.project_id}, room {made.room}")
    return 0

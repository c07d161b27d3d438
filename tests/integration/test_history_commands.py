"""`syncsphere log`, `show`, `diff`, `branches` on a real database: what they say, and what to whom."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from base.db import one_instant
from docstore import migrate
from docstore.history import branches
from syncserver import history_states, points
from tests.integration.docstore.histories import Song
from tests.integration.docstore.people import song
from tests.integration.history_shell import Terminal, branch, commit, parted

if TYPE_CHECKING:
    from base.db import Database
    from docstore.history import commits
    from docstore.projects import Project


@pytest.fixture
def shell(database_url: str, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal.beside(database_url, capsys)


@pytest.fixture
def made(shell: Terminal) -> list[commits.Commit]:
    return shell.does(lambda database: parted(database, shell.project))


def test_a_log_with_its_graph(shell: Terminal, made: list[commits.Commit]) -> None:
    first, drums, keys, both = (each.id for each in made)
    told = shell("log", str(shell.project.id), "--graph")
    assert (told.code, told.err) == (0, "")
    assert told.lines == [
        f"*   {both} (main, tag: v1) 2026-08-21 12:03:00 anna",
        "|\\      Both",
        "| |     1 stem added",
        f"| * {keys} (keys) 2026-08-21 12:02:00 eve",
        "| |     Keys",
        "| |     1 stem added",
        f"* | {drums} 2026-08-21 12:01:00 anna",
        " \\|     Drums",
        "  |     1 stem added",
        f"  * {first} 2026-08-21 12:00:00 anna",
        "        Bass",
        "        1 stem added",
    ]


def test_a_log_of_one_branch_of_one_author_before_a_time(
    shell: Terminal, made: list[commits.Commit]
) -> None:
    first, drums, keys, both = (str(each.id) for each in made)
    song_ = str(shell.project.id)

    def shown(*words: str) -> list[str]:
        told = shell("log", song_, "--json", *words)
        assert told.code == 0, told.err
        return [each["id"] for each in json.loads(told.out)]

    assert shown() == shown("--all") == [both, keys, drums, first]
    assert shown("--branch", "keys") == [keys, first]
    assert shown("--author", "eve") == shown("--author", "EVE@example.org") == [keys]
    assert shown("--author", "nobody") == []
    assert shown("--before", "2026-08-21T12:02") == [drums, first]
    assert shown("--before", "2026-08-21T14:02+02:00") == [drums, first]
    assert shown("--limit", "2") == [both, keys]
    assert "--limit" in shell("log", song_, "--limit", "2").err
    assert shell("log", song_, "--author", "nobody").err == "There are no such commits.\n"


def test_a_commit_is_shown_with_what_changed(shell: Terminal, made: list[commits.Commit]) -> None:
    both = made[3]
    for wanted in (str(both.id), "tag:v1"):
        told = shell("show", shell.project.room_id, wanted)
        assert told.code == 0, told.err
        assert told.lines[:7] == [
            f"commit  {both.id} (main, tag: v1)",
            f"parent  {both.parents[0]}",
            f"parent  {both.parents[1]}",
            "branch  main",
            "author  anna",
            "date    2026-08-21 12:03:00 UTC",
            f"content {both.content_sha256.hex()}",
        ]
        assert "    Both" in told.lines
        assert "  + Keys" in told.lines
    first = json.loads(shell("show", str(shell.project.id), str(made[0].id), "--json").out)
    assert first["parents"] == []
    assert first["diff"]["summary"] == "1 stem added"
    assert shell("show", str(shell.project.id), "time:2026-08-21").code == 1


def test_what_is_live_is_shown_beside_the_newest_commit(
    shell: Terminal, made: list[commits.Commit]
) -> None:
    song_, both = str(shell.project.id), made[3]
    for wanted in ("live", "branch:main"):
        told = shell("show", song_, wanted)
        assert told.code == 0, told.err
        assert told.lines[:4] == [
            "live    main, as it is stored",
            f"head    {both.id} 2026-08-21 12:03:00 UTC",
            "",
            "    this is not committed:",
        ]
        assert "1 stem added" in told.lines
        assert "  + Lead" in told.lines
        assert "  + Keys" not in told.lines
    found = json.loads(shell("show", song_, "live", "--json").out)
    assert (found["head"], found["uncommitted"]) == (str(both.id), True)
    assert found["diff"]["summary"] == "1 stem added"
    live = shell.does(lambda database: _live(database, shell.project))
    shell.does(lambda database: commit(database, shell.project, live, "Lead", minutes=4))
    told = shell("show", song_, "live")
    assert "    everything is committed." in told.lines
    assert "  + Lead" not in told.lines
    assert not json.loads(shell("show", song_, "live", "--json").out)["uncommitted"]


async def _live(database: Database, project: Project) -> bytes:
    async with database.connection() as tx:
        return await history_states.stored(tx, await branches.get(tx, project.id, "main"))


def test_an_id_may_be_cut_short_where_only_one_begins_so(
    shell: Terminal, made: list[commits.Commit]
) -> None:
    song_, first = str(shell.project.id), str(made[0].id)
    whole = shell("show", song_, first)
    shared = max(
        next(at for at, (one, two) in enumerate(zip(first, other, strict=True)) if one != two)
        for other in (str(each.id) for each in made[1:])
    )
    for length in (shared + 1, 35):
        assert shell("show", song_, first[:length].upper()).out == whole.out
    told = shell("show", song_, first[:shared])
    assert (told.code, told.out) == (1, "")
    assert f"  {first}  2026-08-21 12:00:00  Bass" in told.err.splitlines()
    assert len(told.err.splitlines()) > 2
    assert shell("show", song_, "ffffff").err.startswith("syncsphere: There is no such commit")


def test_a_diff_of_commits_branches_and_what_is_stored(
    shell: Terminal, made: list[commits.Commit]
) -> None:
    song_ = str(shell.project.id)
    told = shell("diff", song_, str(made[0].id), "tag:v1")
    assert told.code == 0, told.err
    assert {"  + Drums", "  + Keys"} <= set(told.lines)
    assert "  + Lead" in shell("diff", song_, "tag:v1").lines
    assert "  + Lead" in shell("diff", song_, "tag:v1", "time:2026-08-22").lines
    assert "  - Drums" in shell("diff", song_, "branch:main", "live", "--branch", "keys").lines
    found = json.loads(shell("diff", song_, "tag:v1", "--json").out)
    assert [each["kind"] for each in found["changes"]] == ["added"]


def test_branches_are_listed(shell: Terminal, made: list[commits.Commit]) -> None:
    shell.does(lambda database: _protect(database, shell.project))
    told = shell("branches", str(shell.project.id))
    assert told.lines == [
        f"main  {made[3].id}, since 2026-08-21 12:00:00 UTC, uncommitted changes",
        f"keys  {made[2].id}, since 2026-08-21 12:00:00 UTC, 0 ahead, 2 behind,"
        " uncommitted changes, protected",
    ]
    found = json.loads(shell("branches", str(shell.project.id), "--json").out)
    assert [(each["name"], each["protected"]) for each in found] == [
        ("main", False),
        ("keys", True),
    ]
    assert [(each["ahead"], each["behind"], each["uncommitted"]) for each in found] == [
        (0, 0, True),
        (0, 2, True),
    ]


def test_a_branch_that_is_not_readable_hides_no_other(
    shell: Terminal, made: list[commits.Commit]
) -> None:
    shell.does(lambda database: _damage(database, shell.project))
    told = shell("branches", str(shell.project.id))
    assert told.code == 0, told.err
    assert "unreadable" in told.lines[0]
    assert "unreadable" not in told.lines[1]


async def _damage(database: Database, project: Project) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO snapshots (document_id, epoch, state, state_bytes, sha256, created_at)"
            " VALUES (%s, 1, 'torn', 4, 'not its digest', now())",
            (project.document_id,),
        )


async def _protect(database: Database, project: Project) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            "UPDATE documents SET protected = true WHERE project_id = %s AND branch = 'keys'",
            (project.id,),
        )


def test_a_project_is_found_by_a_name_that_only_it_has(shell: Terminal) -> None:
    assert shell("log", "Song").code == 0
    other = shell.does(lambda database: song(database, owner="bob"))
    told = shell("log", "Song")
    assert told.code == 1
    for one, owner in ((shell.project, "anna"), (other, "bob")):
        assert f"  {one.id}  {owner}, 2026-08-21" in told.err.splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("log", "nothing"), "No project"),
        (("log", "no\x1b[2Jthing"), "No project"),
        (("log", "Song", "--branch", "nowhere"), "syncsphere branches"),
        (("show", "Song", "01980000-0000-7000-8000-000000000000"), "log PROJECT --all"),
        (("show", "Song", "tag:v9"), "There is no tag"),
        (("show", "Song", "abcdef"), "There is no such commit"),
        (("show", "Song", "time:2026-08-21"), "There is no such commit"),
        (("diff", "Song", "branch:gone"), "There is no such branch"),
        (("diff", "Song", "time:2001-01-01"), "does not reach back"),
        (("diff", "Song", "time:0001-01-01T00:00:00+14:00"), "does not reach back"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    shell: Terminal, words: tuple[str, ...], said: str
) -> None:
    told = shell(*words)
    assert told.code == 1
    assert told.out == ""
    assert said in told.err
    assert told.err.startswith("syncsphere: ")
    assert told.err.count("\n") == 1
    assert told.err.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    "words",
    [
        ("log",),
        ("log", "Song", "--limit", "0"),
        ("log", "Song", "--limit", "9" * 5000),
        ("log", "Song", "--limit", "²"),
        ("log", "Song", "--before", "yesterday"),
        ("log", "Song", "--before", "99999-01-01"),
        ("log", "Song", "--branch", "a\udcff"),
        ("log", "a\udcff"),
        ("log", "a\0b"),
        ("log", "Song", "--branch", "a", "--all"),
        ("diff", "Song"),
        ("diff", "Song", "v1"),
        ("diff", "Song", "tag:"),
        ("diff", "Song", "time:soon"),
        ("show", "Song", "{01980000-0000-7000-8000-000000000000}"),
        ("show", "Song", "abcde"),
        ("show", "Song", "abcdef012"),
        ("show", "Song", "abcdef-12"),
        ("show", "Song", "٣٣٣٣٣٣"),
        ("show", "Song", "01980000-0000-7000-8000-000000000000-"),
    ],
)
def test_what_cannot_be_meant_is_bad_usage(shell: Terminal, words: tuple[str, ...]) -> None:
    told = shell(*words)
    assert told.code == 2
    assert told.out == ""
    assert "Traceback" not in told.err


HOSTILE = "\x1b]0;owned\x07 \x9b31m \u202egnp.exe\x7f\nsecond \x1b[2J line"


def test_nothing_that_others_wrote_steers_the_terminal(shell: Terminal) -> None:
    async def wrote(database: Database) -> None:
        state = Song().stem("bass", HOSTILE).state
        await commit(database, shell.project, state, HOSTILE)
        async with database.transaction() as tx:
            await branch(tx, shell.project, HOSTILE[:50], None)
            await tx.execute("UPDATE users SET username = %s", (HOSTILE,))
            # A second one of that name, so that both are listed.
            await tx.execute("UPDATE projects SET name = 'twice'")

    shell.does(wrote)
    shell.does(lambda database: song(database, owner="bob"))
    song_ = str(shell.project.id)
    for words in (
        ("log", song_),
        ("log", song_, "--graph"),
        ("show", song_, "branch:main"),
        ("branches", song_),
        ("diff", song_, "live", "branch:main"),
    ):
        for more in ((), ("--json",)):
            told = shell(*words, *(() if "--graph" in words else more))
            assert told.code == 0, told.err
            assert told.out.replace("\n", "").isprintable()
    assert "\\x1b" in shell("log", song_).out
    assert json.loads(shell("log", song_, "--json").out)[0]["message"] == HOSTILE


def test_colours_only_for_a_terminal_that_wants_them(
    shell: Terminal, made: list[commits.Commit], monkeypatch: pytest.MonkeyPatch
) -> None:
    song_ = str(shell.project.id)
    plain = shell("log", song_, "--graph").out
    assert "\x1b" not in plain
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for words in (("log", song_, "--graph"), ("show", song_, "tag:v1")):
        coloured = shell(*words).out
        assert "\x1b[33m" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", shell("log", song_, "--graph").out) == plain
    assert "\x1b[32m  + Drums\x1b[0m" in shell("diff", song_, str(made[0].id), "tag:v1").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert shell("log", song_, "--graph").out == plain


def test_a_database_of_another_version_is_left_alone(
    empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Terminal(empty_database_url, capsys)("log", "Song")
    assert told.code == 1
    assert "syncsphere migrate" in told.err
    assert migrate.current(empty_database_url) is None


def test_reading_writes_nothing(shell: Terminal, made: list[commits.Commit]) -> None:
    """The transaction itself would refuse it."""

    async def tries(database: Database) -> None:
        async with database.transaction() as tx:
            await one_instant(tx)
            await tx.execute("DELETE FROM commits")

    with pytest.raises(Exception, match="read-only transaction"):
        shell.does(tries)


def test_points_are_read() -> None:
    assert points.point("live") == points.Point()
    assert points.point("tag:a:b") == points.Point(tag="a:b")
    assert points.point("01980000-0A") == points.Point(begins="01980000-0a")
    found: Any = points.point("time:2026-08-21T12:00+02:00").time
    assert found.utcoffset() == timedelta(hours=2)

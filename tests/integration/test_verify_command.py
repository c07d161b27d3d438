"""`syncsphere verify` on a real database: what it says where, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import psycopg
import pytest

from base.db import Database
from syncserver import cli
from tests.integration.docstore import people
from tests.integration.docstore.histories import Song, commit

if TYPE_CHECKING:
    from pathlib import Path

    from docstore.projects import Project


@pytest.fixture
def song(database_url: str) -> Project:
    return _made(database_url)


def _made(database_url: str, owner: str = "anna") -> Project:
    async def make() -> Project:
        database = await Database.open(database_url, size=2)
        try:
            project = await people.song(database, owner=owner)
            state = Song().stem("a").state
            async with database.connection() as tx:
                await people.write(tx, project.document_id, state)
            await commit(database, project, state)
        finally:
            await database.close()
        return project

    return anyio.run(make)


def test_nothing_wrong_is_said_beside_the_output(
    database_url: str, song: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for names in ([], [str(song.id)], [song.room_id], [song.name]):
        assert cli.main(["verify", *names, "--database-url", database_url]) == 0
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.splitlines()[-1] == "Nothing is wrong."
        assert f"{song.id}  states: 1" in said.err.splitlines()


def test_what_is_wrong_is_said_with_what_to_do(
    database_url: str, song: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE states SET sha256 = sha256(sha256)")
    assert cli.main(["verify", "--database-url", database_url]) == 1
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    assert line.startswith(f"{song.id}  state_damaged  state ")
    assert "backup" in line


def test_what_cannot_be_looked_at_is_no_damage(
    database_url: str, song: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("nothing-here", "nothing here"):
        assert cli.main(["verify", name, "--database-url", database_url]) == 2
        assert f"No project has the id, room id or name {name!r}" in capsys.readouterr().err
    other = _made(database_url, "bob")
    assert cli.main(["verify", song.name, "--database-url", database_url]) == 2
    said = capsys.readouterr().err
    assert f"  {other.id}  " in said
    assert f"  {song.id}  " in said


def test_it_has_no_more_options_than_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["verify", "--help"])
    said = capsys.readouterr().out
    assert "--database-url" in said
    assert "--listen-backlog" not in said


def test_a_folder_without_a_server_gets_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", "--data", str(tmp_path / "stray")]) == 2
    assert "is not the data folder of a server" in capsys.readouterr().err
    assert not (tmp_path / "stray").exists()

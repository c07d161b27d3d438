"""Where sockets go and who can reach what, decided from the file system alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from base.embedded import places
from base.embedded.places import Account, ServerFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

STRANGER = Account(uid=4_000_001, gid=4_000_001)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A short path that everybody can pass through."""
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_short_plain_folder_holds_its_own_socket(open_folder: Path) -> None:
    assert places.socket_folder(open_folder, "s", None) == open_folder


@pytest.mark.parametrize("name", ["a" * 100, "a b", "a,b", "ä"])
def test_any_other_folder_gets_a_short_place_that_is_always_the_same(
    open_folder: Path, name: str
) -> None:
    folder = open_folder / name
    folder.mkdir()
    place = places.socket_folder(folder, "s", None)
    assert place.parent == places.SHORT
    assert len(os.fsencode(place / "s")) <= places.SOCKET_PATH_BYTES
    assert places.socket_folder(folder, "s", None) == place


def test_two_folders_never_share_a_place(open_folder: Path) -> None:
    first, second = open_folder / ("a" * 99), open_folder / ("b" * 99)
    first.mkdir()
    second.mkdir()
    assert places.socket_folder(first, "s", None) != places.socket_folder(second, "s", None)


def test_a_folder_below_a_closed_one_cannot_be_reached(open_folder: Path) -> None:
    inner = open_folder / "inner"
    inner.mkdir(mode=0o755)
    assert places.may_enter(inner, STRANGER)
    open_folder.chmod(0o700)
    assert not places.may_enter(inner, STRANGER)
    assert places.may_enter(inner, Account(os.geteuid(), os.getegid()))


def test_the_group_decides_before_everybody_else_does(open_folder: Path) -> None:
    open_folder.chmod(0o701)
    assert places.may_enter(open_folder, STRANGER)
    assert not places.may_enter(open_folder, Account(STRANGER.uid, open_folder.stat().st_gid))


def test_our_own_folder_needs_no_other_account(open_folder: Path) -> None:
    assert places.owner(open_folder) is None


def test_a_private_folder_is_made_once_and_trusted_again(open_folder: Path) -> None:
    place = open_folder / "sockets"
    places.make_socket_folder(place, None)
    places.make_socket_folder(place, None)
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_or_a_link_is_not_trusted(open_folder: Path) -> None:
    writable, link = open_folder / "writable", open_folder / "link"
    writable.mkdir()
    writable.chmod(0o777)
    link.symlink_to(open_folder)
    for place in (writable, link):
        with pytest.raises(ServerFailed, match="not ours"):
            places.make_socket_folder(place, None)


def test_a_data_folder_that_cannot_be_made_is_said(open_folder: Path) -> None:
    (open_folder / "file").touch()
    with pytest.raises(ServerFailed, match="cannot be made"):
        places.make_data_folder(open_folder / "file" / "data")

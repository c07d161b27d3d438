"""Zips that somebody made to hurt, and what is said of each."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from typing import TYPE_CHECKING

import msgspec
import pytest

from docstore.bundles import layout
from docstore.bundles.errors import BundleDamaged, BundleTooLarge, BundleUnknown

from .made import check, damaged, entries, manifest, zipped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG" * 100, b"\0" * 1000, b"OPE"])
def test_what_is_no_zip_is_unknown(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleUnknown):
        check(tmp_path, data)


def test_a_zip_of_something_else_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(BundleUnknown):
        check(tmp_path, zipped({"song.mid": b"MThd"}, signed=False))


def test_a_newer_layout_is_unknown(tmp_path: Path) -> None:
    held = entries()
    newer = manifest(held).replace(b'"version": 1', b'"version": 2')
    with pytest.raises(BundleUnknown):
        check(tmp_path, zipped(held | {"manifest.json": newer}, signed=False))


def test_a_zip_that_was_cut_anywhere_is_damaged(tmp_path: Path) -> None:
    data = zipped(entries())
    for end in range(4, len(data), 37):
        damaged(tmp_path, data[:end])


def test_a_byte_that_was_turned_over_is_found(tmp_path: Path) -> None:
    data = bytearray(zipped(entries()))
    good = msgspec.msgpack.decode(check(tmp_path, bytes(data)).history, type=layout.History)
    for at in range(0, len(data), 11):
        data[at] ^= 0x10
        try:
            found = check(tmp_path, bytes(data))
        except (BundleDamaged, BundleUnknown, BundleTooLarge):
            pass
        else:  # in what nobody reads: times, versions of the program that packed it
            assert msgspec.msgpack.decode(found.history, type=layout.History) == good
        data[at] ^= 0x10


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "C:/x",
        "a\\b",
        "..\\x",
        "./x",
        "a//b",
        "a/./b",
        "x" * 501,
        "a\x01b",
        "..",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    damaged(tmp_path, zipped(entries(more={name: b"x"})))


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    data = zipped(entries(more={"aXb": b"x"}))
    damaged(tmp_path, data.replace(b"aXb", b"a\0b"), entry="a\\x00b")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO(zipped(entries()))
    with zipfile.ZipFile(file, "a") as into:
        into.writestr("project.yjs", b"another")
    damaged(tmp_path, file.getvalue(), entry="project.yjs")


def test_a_symlink_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO(zipped(entries()))
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "a") as into:
        into.writestr(link, "/etc/passwd")
    damaged(tmp_path, file.getvalue(), entry="link")


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped(entries()))
    at = data.index(b"PK\1\2")
    data[at + 8] |= 1
    damaged(tmp_path, bytes(data), entry="history.json")


def test_an_unusual_compression_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as into:
        into.writestr("manifest.json", b"{}")
    damaged(tmp_path, file.getvalue(), entry="manifest.json")


def test_a_bomb_is_refused_by_what_it_says(tmp_path: Path) -> None:
    with pytest.raises(BundleTooLarge):
        check(tmp_path, zipped(entries(more={"assets/x": bytes(2 * 1024 * 1024)})))


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    body = bytes(8 * 1024 * 1024)
    data = bytearray(zipped(entries(more={"assets/x": body})))
    real = struct.pack("<I", len(body))
    while (at := data.find(real)) >= 0:
        data[at : at + 4] = struct.pack("<I", 100)
    damaged(tmp_path, bytes(data), entry="assets/x")


def test_many_entries_of_one_body_are_counted_each(tmp_path: Path) -> None:
    # The central list may name the same bytes again and again: what is taken out counts.
    held = entries(more={f"assets/{n}": bytes(300 * 1024) for n in range(4)})
    with pytest.raises(BundleTooLarge):
        check(tmp_path, zipped(held))


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    held = {f"assets/{number}": b"" for number in range(layout.MOST_ENTRIES + 1)}
    with pytest.raises(BundleTooLarge):
        check(tmp_path, zipped(held))


def test_a_huge_list_of_entries_is_not_read(tmp_path: Path) -> None:
    one = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[0] * 6, *[0] * 3, 1, *[0] * 4, 0, 0) + b"x"
    count = 300_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, count * len(one), 4, 0)
    with pytest.raises(BundleTooLarge):
        check(tmp_path, b"PK\3\4" + one * count + end)


def test_a_wide_list_of_entries_is_refused(tmp_path: Path) -> None:
    data = zipped(entries())
    at = data.index(b"PK\5\6")
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    with pytest.raises(BundleTooLarge):
        check(tmp_path, data[:at] + locator + data[at:])


def test_a_zip_within_a_zip_is_not_opened(tmp_path: Path) -> None:
    inner = zipped(entries())
    with pytest.raises(BundleUnknown):
        check(tmp_path, zipped({"inner.zip": inner}, signed=False))

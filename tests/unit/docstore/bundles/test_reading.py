"""Bundles whose entries lie, and what is said of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pycrdt import Doc, Map

from docstore.bundles import layout
from docstore.bundles.errors import BundleTooLarge
from docstore.history import chain, content

from .made import (
    BOUNDS,
    NOW,
    History,
    check,
    damaged,
    entries,
    manifest,
    packed,
    states,
    uuid,
    written,
    zipped,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .made import Entries


def test_a_good_bundle_is_good(tmp_path: Path) -> None:
    found = check(tmp_path, zipped(entries()))
    said = msgspec.msgpack.decode(found.history, type=layout.History)
    assert [commit.message for commit in said.commits] == [f"Take {n}" for n in range(4)]
    assert said.commits[0].changes["author"] == "Anna"
    assert found.content_sha256 == content.digest(content.read(states()[-1]))
    assert {path.name for path in tmp_path.iterdir()} == {"upload", "project.yjs", "states.bin"}


# ---------------------------------------------------------------- entries


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    held = entries()
    said = manifest(held)
    held["project.json"] = b'{"other": 1}'
    damaged(tmp_path, zipped(held | {"manifest.json": said}, signed=False), entry="project.json")


@pytest.mark.parametrize("name", ["project.yjs", "states.bin", "history.json"])
def test_an_entry_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    held = entries()
    del held[name]
    damaged(tmp_path, zipped(held), entry=name)


def test_an_entry_that_nobody_announced_is_refused(tmp_path: Path) -> None:
    held = entries()
    said = manifest(held)
    held |= {"extra": b"", "manifest.json": said}
    damaged(tmp_path, zipped(held, signed=False), entry="extra")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"null",
        b'"\xff"',
        b'{"project": 1}',
        b'{"commits": [' + b"[]," * 1000 + b"[]]}",
    ],
)
@pytest.mark.parametrize("name", ["history.json", "manifest.json"])
def test_json_that_is_none_or_a_bomb_is_damaged(tmp_path: Path, name: str, body: bytes) -> None:
    if name == "manifest.json":
        data = zipped(entries(more={name: body}), signed=False)
    else:
        data = zipped(entries(more={name: body}))
    damaged(tmp_path, data, entry=name)


def test_a_manifest_that_is_too_long_is_refused(tmp_path: Path) -> None:
    held = entries(more={"manifest.json": b" " * (layout.MANIFEST_BYTES + 1)})
    with pytest.raises(BundleTooLarge):
        check(tmp_path, zipped(held, signed=False), BOUNDS._replace(unpacked_bytes=1 << 30))


# ---------------------------------------------------------------- history


def cycle(said: History) -> None:
    said["commits"][0]["parents"] = [uuid(3)]


def own_parent(said: History) -> None:
    said["commits"][1]["parents"] = [uuid(1)]


def twice(said: History) -> None:
    said["commits"].append(said["commits"][0])


def parent_twice(said: History) -> None:
    said["commits"][1]["parents"] = [uuid(0), uuid(0)]


def headless(said: History) -> None:
    said["branches"][0]["head"] = uuid(77)


def no_main(said: History) -> None:
    said["branches"][0]["name"] = said["branch"] = "other"


def branch_twice(said: History) -> None:
    said["branches"] *= 2


def many_branches(said: History) -> None:
    said["branches"] += [{"name": f"b{n}", "head": None} for n in range(200)]


def odd_branch(said: History) -> None:
    said["branches"].append({"name": "a/../b", "head": None})


def odd_tag(said: History) -> None:
    said["tags"][0]["name"] = "\x00"


def tag_twice(said: History) -> None:
    said["tags"] *= 2


def tag_of_nothing(said: History) -> None:
    said["tags"][0]["commit"] = uuid(77)


def unknown_kind(said: History) -> None:
    said["project"]["kind"] = "spreadsheet"


def squashed(said: History) -> None:
    said["squashes"] = [{"lineage": 5}]


def squashed_twice(said: History) -> None:
    said["project"]["lineage"] = 3
    said["squashes"] = [{"lineage": 2}, {"lineage": 2}]


def squashed_late(said: History) -> None:
    said["project"]["lineage"] = 3
    said["squashes"] = [{"lineage": 3}]


def branch_of_the_future(said: History) -> None:
    said["branches"][0]["lineage"] = 2


def branch_of_another(said: History) -> None:
    squashes_once(said)
    said["branches"][0]["lineage"] = 2


def other_of_another(said: History) -> None:
    squashes_once(said)
    said["branches"].append({"name": "side", "head": uuid(1), "lineage": 2})


def branch_of_none(said: History) -> None:
    said["branches"][0]["lineage"] = 0


def squashes_once(said: History) -> None:
    said["project"]["lineage"] = 2
    said["squashes"] = [{"lineage": 2}]


def unsquashed(said: History) -> None:
    said["project"]["lineage"] = 3


def of_nothing(said: History) -> None:
    said["commits"][0]["state"] = 50


def of_another(said: History) -> None:
    said["commits"][0]["state"] = 1


def false_hash(said: History) -> None:
    said["commits"][2]["contentHash"] = "0" * 64


def no_hash(said: History) -> None:
    said["commits"][2]["contentHash"] = "x"


def negative(said: History) -> None:
    said["commits"][2]["state"] = -1


@pytest.mark.parametrize(
    "change",
    [
        cycle,
        own_parent,
        twice,
        parent_twice,
        headless,
        no_main,
        branch_twice,
        many_branches,
        odd_branch,
        odd_tag,
        tag_twice,
        tag_of_nothing,
        unknown_kind,
        squashed,
        squashed_twice,
        squashed_late,
        unsquashed,
        branch_of_none,
        branch_of_the_future,
        branch_of_another,
        other_of_another,
        of_nothing,
        of_another,
        false_hash,
        no_hash,
        negative,
    ],
)
def test_a_history_that_cannot_be_is_refused(
    tmp_path: Path, change: Callable[[History], object]
) -> None:
    damaged(tmp_path, zipped(entries(change)), entry="history.json")


def test_a_false_promise_names_its_commit(tmp_path: Path) -> None:
    damaged(tmp_path, zipped(entries(false_hash)), commit=uuid(2))


def test_texts_and_times_become_such_as_could_have_been_written_here(tmp_path: Path) -> None:
    def change(said: History) -> None:
        said["project"]["name"] = " A\x00B\u202e\n" + "x" * 500
        first = said["commits"][0]
        first["message"] = "\x00\x1b[31mred\nand \N{FAMILY}\u200d\N{FAMILY}"
        first["time"] = (NOW + timedelta(days=1)).isoformat()
        first["changes"] = {
            "summary": "a\x00b",
            "counts": [
                {"kind": "added", "type": "t\x00", "noun": "n", "number": 3, "in": "x"},
                {
                    "kind": "added",
                    "type": "note",
                    "noun": "notes",
                    "number": 2,
                    "in": {"type": "stem", "id": "s\x00", "path": ["stems", "s\x00"], "name": "B"},
                },
                {"kind": "added", "type": "t", "noun": "n", "number": 1, "in": {"path": 3}},
                {"kind": "exploded", "type": "t", "noun": "n", "number": 3},
                {"kind": "added", "type": "t", "noun": "n", "number": 10**30},
                7,
            ],
            "more": 10**30,
            "extra": ["\x00"],
        }
        said["commits"][1]["changes"] = {"summary": 3, "counts": "x"}
        said["commits"][1]["message"] = " \x00 "
        said["commits"][2]["time"] = "2026-02-01T10:00:00"

    found = check(tmp_path, zipped(entries(change)))
    said = msgspec.msgpack.decode(found.history, type=layout.History)
    assert said.project.name.startswith("ABxxx")
    assert len(said.project.name) < 200
    first, second, third, _ = said.commits
    assert first.message == "[31mred\nand \N{FAMILY}\u200d\N{FAMILY}"
    assert first.time == NOW
    assert first.changes == {
        "summary": "a\\x00b",
        "counts": [
            {"kind": "added", "type": "t\\x00", "noun": "n", "number": 3},
            {
                "kind": "added",
                "type": "note",
                "noun": "notes",
                "number": 2,
                "in": {"type": "stem", "id": "s\\x00", "path": ["stems", "s\\x00"], "name": "B"},
            },
        ],
        "author": "Anna",
    }
    assert second.changes == {"summary": "", "counts": [], "author": "Anna"}
    assert second.message == "-"
    assert third.time == datetime(2026, 2, 1, 10, tzinfo=UTC)


# ---------------------------------------------------------------- states


def lying(change: Callable[[list[layout.State]], list[layout.State] | None]) -> Entries:
    found = packed(states())
    return entries(more={"states.bin": written(change(found) or found)})


def reversed_(found: list[layout.State]) -> list[layout.State]:
    return found[::-1]


def base_of_itself(found: list[layout.State]) -> None:
    found[1] = found[1]._replace(base=1)


def base_behind(found: list[layout.State]) -> None:
    found[2] = found[2]._replace(base=3)


def base_that_is_gone(found: list[layout.State]) -> None:
    found[2] = found[2]._replace(base=1)


def base_missing(found: list[layout.State]) -> list[layout.State]:
    return found[1:]


def other_base(found: list[layout.State]) -> None:
    found[3] = found[3]._replace(base=0)


def size_too_small(found: list[layout.State]) -> None:
    found[1] = found[1]._replace(packed=found[1].packed._replace(size=5))


def size_too_large(found: list[layout.State]) -> None:
    found[1] = found[1]._replace(packed=found[1].packed._replace(size=200_000))


def size_beyond(found: list[layout.State]) -> None:
    found[1] = found[1]._replace(packed=found[1].packed._replace(size=2**63))


def wrong_sha256(found: list[layout.State]) -> None:
    found[1] = found[1]._replace(packed=found[1].packed._replace(sha256=bytes(32)))


def same_twice(found: list[layout.State]) -> None:
    found.append(found[0]._replace(number=4))


def not_zstd(found: list[layout.State]) -> None:
    found[0] = found[0]._replace(packed=found[0].packed._replace(body=b"not zstd"))


def whole_that_is_not(found: list[layout.State]) -> None:
    found[1] = found[1]._replace(base=None)


def far_number(found: list[layout.State]) -> None:
    found[3] = found[3]._replace(number=2**31 - 1, base=0)


def negative_lineage(found: list[layout.State]) -> None:
    found[3] = found[3]._replace(lineage=-1)


def foreign_lineage(found: list[layout.State]) -> None:
    found[3] = found[3]._replace(lineage=2)


@pytest.mark.parametrize(
    "change",
    [
        reversed_,
        base_of_itself,
        base_behind,
        base_that_is_gone,
        base_missing,
        other_base,
        size_too_small,
        size_too_large,
        size_beyond,
        wrong_sha256,
        same_twice,
        not_zstd,
        whole_that_is_not,
        far_number,
        negative_lineage,
        foreign_lineage,
    ],
)
def test_a_chain_that_lies_is_refused(
    tmp_path: Path, change: Callable[[list[layout.State]], list[layout.State] | None]
) -> None:
    damaged(tmp_path, zipped(lying(change)), entry="states.bin")


def test_states_that_end_early_are_refused(tmp_path: Path) -> None:
    whole = written(packed(states()))
    for end in (1, 30, 61, 70, len(whole) - 1):
        damaged(tmp_path, zipped(entries(more={"states.bin": whole[:end]})))


def test_a_state_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleTooLarge):
        check(tmp_path, zipped(entries()), BOUNDS._replace(document_bytes=300))


def poison() -> list[bytes]:
    """Updates that yrs cannot bear, or that would wait for ever."""
    doc: Doc[Any] = Doc(client_id=5)
    root = doc.get("project", type=Map)
    root["one"] = 1
    before = doc.get_state()
    root["one"] = 2
    waiting = doc.get_update(before)
    return [
        b"",
        b"\0",
        b"\xff" * 100,
        b"\1\1\5\0\x28\1\1",
        states()[-1][:-3],
        waiting,
        b"\1\1\5\0\x04\1\1t\0\0",
    ]


@pytest.mark.parametrize("number", range(7))
def test_a_document_that_is_poison_is_refused(tmp_path: Path, number: int) -> None:
    bad = poison()[number]
    damaged(tmp_path, zipped(entries(more={"project.yjs": bad})), entry="project.yjs")
    one = layout.State(0, None, 1, chain.pack(bad, None))
    damaged(tmp_path, zipped(entries(more={"states.bin": written([one])})), entry="states.bin")

"""Letters in arrays: read at once, as Yjs reads them, by everybody who reads."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docstore import crdt, letters
from docstore.history import content
from docstore.history.content import Plain, SharedArray, SharedMap, SharedText
from docstore.history.reach import reach, reach_content
from docstore.numbers import write_var_uint

if TYPE_CHECKING:
    from docstore.history.content import Content

ARRAY, TEXT = 0, 2


def text(value: str) -> bytes:
    raw = value.encode()
    return write_var_uint(len(raw)) + raw


def units(value: str) -> int:
    return len(value.encode("utf-16-le")) // 2


def shared(kind: int) -> bytes:
    """A shared type of this kind under `stems`, `k`; clock 0 of client 1."""
    return b"\x27\x01" + text("stems") + text("k") + bytes([kind])


def update_of(*structs: bytes) -> bytes:
    head = b"\x01" + write_var_uint(len(structs)) + b"\x01\x00"
    return head + b"".join(structs) + b"\x00"


def hostile(*pieces: str, kind: int = ARRAY) -> bytes:
    """A type that holds these pieces of letters, each behind the one before."""
    structs = [shared(kind)]
    clock = 1
    for at, piece in enumerate(pieces):
        beside = b"\x04\x00\x01\x00" if not at else b"\x84\x01" + write_var_uint(clock - 1)
        structs.append(beside + text(piece))
        clock += units(piece)
    return update_of(*structs)


def as_yjs_shows(*pieces: str) -> list[str]:
    return [
        unit
        for letter in "".join(pieces)
        for unit in ([letter] if letter <= "\uffff" else ["\ufffd", "\ufffd"])
    ]


PIECES = [
    ("abc",),
    ("é",),
    ("🎹",),
    ("aé🎹",),
    ("é", "a", "🎹🎹"),
    ("x" * 200 + "é",),
    ("€" * 3, "b"),
]


@pytest.mark.parametrize("pieces", PIECES)
def test_letters_in_an_array_read_as_yjs_reads_them(pieces: tuple[str, ...]) -> None:
    update = hostile(*pieces)
    crdt.read(update)
    shown: Any = as_yjs_shows(*pieces)
    assert crdt.to_json(update) == {"stems": {"k": shown}}
    expected = SharedArray([Plain(unit) for unit in shown])
    assert content.read(update) == {"stems": SharedMap({"k": expected})}


@pytest.mark.parametrize("pieces", PIECES)
def test_what_is_computed_on_the_copy_fits_the_document(pieces: tuple[str, ...]) -> None:
    update = hostile(*pieces)
    elements: list[Any] = [Plain(unit) for unit in as_yjs_shows(*pieces)]
    for wanted_elements in (elements[1:], [*elements, Plain(1)], [], [Plain("é"), *elements[2:]]):
        wanted: Content = {"stems": SharedMap({"k": SharedArray(wanted_elements), "n": Plain(1)})}
        change = reach_content(update, wanted, client_id=9)
        assert change is not None
        live: crdt.Document = pycrdt.Doc()
        live.apply_update(update)
        live.apply_update(change)
        assert content.read(live.get_update()) == wanted


def test_a_state_with_letters_can_be_what_is_wanted() -> None:
    wanted = hostile("aé🎹")
    live: crdt.Document = pycrdt.Doc()
    change = reach(b"\x00\x00", wanted, client_id=9)
    assert change is not None
    live.apply_update(change)
    assert content.read_doc(live) == content.read(wanted)
    assert reach(live.get_update(), wanted, client_id=9) is None


@pytest.mark.parametrize("kind", [TEXT, 6])
def test_letters_in_texts_are_left_alone(kind: int) -> None:
    assert letters.mended(hostile("aé🎹", "é", kind=kind)) is None


def test_letters_of_a_root_are_left_alone() -> None:
    roots: dict[str, Any] = {"notes": pycrdt.Text("aé🎹"), "stems": pycrdt.Map()}
    doc: Any = pycrdt.Doc(roots)
    doc["stems"]["k"] = pycrdt.Array(["é", "🎹", pycrdt.Text("é"), pycrdt.Array(["ü"])])
    state = doc.get_update()
    assert letters.mended(state) is None
    assert crdt.to_json(state)["stems"] == {"k": ["é", "🎹", "é", ["ü"]]}
    node = content.read(state)["stems"]
    assert isinstance(node, SharedMap)
    assert node.entries["k"] == SharedArray(
        [
            Plain("é"),
            Plain("🎹"),
            SharedText((content.Run("é", {}),)),
            SharedArray([Plain("ü")]),
        ]
    )


def test_a_long_array_with_arrays_within_is_not_read_at_once() -> None:
    # 1,001 numbers at a root, then an array in which there are letters.
    numbers = b"\x08\x01" + text("chat") + write_var_uint(1001) + b"\x7d\x05" * 1001
    array = b"\x87\x01" + write_var_uint(1000) + bytes([ARRAY])
    piece = b"\x04\x00\x01" + write_var_uint(1001) + text("🎹")
    update = update_of(numbers, array, piece)
    shown: Any = crdt.to_json(update)["chat"]
    assert shown[1000:] == [5, ["\ufffd", "\ufffd"]]
    assert content.read(update)["chat"] == SharedArray(
        [*[Plain(5)] * 1001, SharedArray([Plain("\ufffd"), Plain("\ufffd")])]
    )


def test_pieces_behind_letters_that_are_deleted_are_found() -> None:
    pieces = hostile("é", "ab", "🎹")
    deletion = b"\x00\x01\x01\x01\x02\x02"
    doc: crdt.Document = pycrdt.Doc()
    doc.apply_update(pieces)
    doc.apply_update(deletion)
    assert crdt.to_json(doc.get_update()) == {"stems": {"k": ["é", "\ufffd", "\ufffd"]}}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="aé€🎹", min_size=1, max_size=5), min_size=1, max_size=6))
def test_any_pieces(pieces: list[str]) -> None:
    update = hostile(*pieces)
    shown: Any = as_yjs_shows(*pieces)
    assert crdt.to_json(update) == {"stems": {"k": shown}}
    if (mended := letters.mended(update)) is not None:
        assert letters.mended(mended) is None
        before, after = pycrdt.Doc[Any](), pycrdt.Doc[Any]()
        before.apply_update(update)
        after.apply_update(mended)
        assert before.get_state() == after.get_state()


def test_yrs_still_needs_this() -> None:
    """When this fails, yrs reads such arrays by itself, and `docstore/letters.py` can go."""
    program = (
        "import sys, pycrdt; doc = pycrdt.Doc(); doc.apply_update(bytes.fromhex(sys.argv[1]));"
        "print(doc.get('stems', type=pycrdt.Map)['k'].to_py())"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", program, hostile("🎹").hex()], timeout=3, check=False)

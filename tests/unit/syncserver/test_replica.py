"""syncserver.replica: what yrs is given, what it is not, and what comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pycrdt import Doc, Map, Text

from docstore import crdt, loading, waiting
from syncserver import connection, replica
from tests.unit.docstore.writers import typed

if TYPE_CHECKING:
    from collections.abc import Sequence

DELETION = bytes.fromhex("0001f607010101")
"""Of a struct that nobody has: client 1014, clock 1."""
BEHIND_A_GAP = bytes.fromhex("0101e8070284ef07070568656c6c6f00")
"""Client 1000 at clock 2, beside clock 7 of client 1007."""


def text_in(document: replica.Replica, root: str = "t") -> str:
    doc: Doc[Any] = Doc()
    doc.apply_update(document.full())
    return str(doc.get(root, type=Text))


def reopened(applied: Sequence[bytes], kept: Sequence[bytes] = ()) -> replica.Replica:
    """The document as its journal would make it."""
    return replica.Replica(
        loading.prepare(None, list(applied), [waiting.Waiting(update) for update in kept])
    )


def kept_by(done: replica.Applied) -> list[int]:
    return [index for index, _ in done.waiting]


# ---------------------------------------------------------------- what waits


def test_a_plain_update_behind_a_gap_is_kept_and_no_delta_tells_of_it() -> None:
    document = reopened(typed("abcdefgh", client=0x3EF))
    done = document.apply([BEHIND_A_GAP])
    assert done.deltas == []
    assert kept_by(done) == [0]
    assert crdt.decode_state_vector(document.state_vector()) == {0x3EF: 8}
    assert crdt.read(document.full())


def test_in_company_it_is_kept_as_well_and_the_others_are_told() -> None:
    letters = typed("abcdefgh", client=0x3EF)
    document = replica.Replica()
    done = document.apply([*letters[:6], BEHIND_A_GAP, *letters[6:]])
    assert kept_by(done) == [6]
    for delta in done.deltas:
        assert crdt.read(delta)
    assert text_in(document) == "abcdefgh"
    again = reopened(done.deltas)
    assert again.state_vector() == document.state_vector()


@pytest.mark.parametrize("alone", [True, False])
def test_a_deletion_of_what_nobody_has_is_kept(alone: bool) -> None:
    letters = typed("ab")
    document = reopened(letters[:1])
    updates = [DELETION] if alone else [letters[1], DELETION]
    done = document.apply(updates)
    assert kept_by(done) == [len(updates) - 1]
    assert list(done.deltas) == ([] if alone else [letters[1]])


def test_a_known_struct_whose_neighbour_is_missing_leaves_nothing_behind_in_yrs() -> None:
    document = reopened(typed("ab"))
    done = document.apply([bytes.fromhex("01010700840500016100")])
    assert done.deltas == []
    # yrs would keep it for ever, and stumble when client 5 comes.
    stranger = typed("xyz", client=5, root="u")
    document.apply(stranger)
    assert text_in(document) == "ab"
    assert text_in(document, "u") == "xyz"


def test_an_update_that_needs_itself_is_malformed() -> None:
    document = reopened(typed("ab"))
    for updates in ([bytes.fromhex("01010900840905016100")], [*typed("c", client=3)] * 2):
        done = document.apply(updates)
        refused = [index for index, why in done.refused if why is connection.MALFORMED]
        assert refused == ([0] if len(updates) == 1 else [])


def test_after_one_had_to_wait_updates_are_read_first_and_come_out_the_same() -> None:
    letters = typed("hello world")
    document = replica.Replica()
    kept = [document.apply([letters[5]]).waiting[0][1]]
    applied: list[bytes] = []
    for letter in letters[:5]:
        applied += document.apply([letter]).deltas
    document.pending += kept
    applied += [loose.update for loose in document.settle()]
    applied += document.apply(letters[6:]).deltas
    assert text_in(document) == "hello world"
    assert text_in(reopened(applied, [letters[5]])) == "hello world"


def test_what_yrs_makes_unreadable_for_others_is_poison() -> None:
    # Text beside an entry of a map takes its key over, which the update itself does not show.
    doc: Doc[Any] = Doc(client_id=7)
    settings: Map[Any] = doc.get("m", type=Map)
    settings["k"] = 1
    document = reopened([doc.get_update()])
    with pytest.raises(replica.Poisoned):
        document.apply([bytes.fromhex("010109008407000361626300")])


# ---------------------------------------------------------------- characters of two units

SONG = "a🥁b🎹c"
"""Clocks 0, 1-2, 3, 4-5, 6."""
IN_DRUM = bytes.fromhex("000107010201")
"""Deletes the second half of the drum."""
IN_PIANO = bytes.fromhex("01010800c4070407050178 00")
"""Types an x between the halves of the piano."""


def song() -> bytes:
    doc: Doc[Any] = Doc({"t": Text(SONG)}, client_id=7)
    return doc.get_update()


def test_a_character_that_is_cut_becomes_what_yjs_makes_of_it() -> None:
    document = reopened([song()])
    done = document.apply([IN_DRUM])
    assert done.deltas == [IN_DRUM]
    assert text_in(document) == "a\ufffdb🎹c"
    document.apply([IN_PIANO])
    assert text_in(document) == "a\ufffdb\ufffdx\ufffdc"
    assert crdt.decode_state_vector(document.state_vector()) == {7: 7, 8: 1}


@pytest.mark.parametrize(
    "updates", [[IN_DRUM, IN_PIANO], [IN_PIANO, IN_DRUM]], ids=["drum first", "piano first"]
)
def test_it_is_the_same_in_one_turn_and_after_a_restart(updates: list[bytes]) -> None:
    document = replica.Replica()
    applied = [*document.apply([song(), *updates]).deltas]
    assert text_in(document) == "a\ufffdb\ufffdx\ufffdc"
    assert text_in(reopened(applied)) == text_in(document)
    # A state that was stored before the cut is mended, too.
    stored = loading.prepare(song(), updates, ())
    assert text_in(replica.Replica(stored)) == text_in(document)


def test_a_cut_that_waits_cuts_when_its_turn_has_come() -> None:
    document = replica.Replica()
    kept = document.apply([IN_DRUM]).waiting
    document.pending += [one for _, one in kept]
    applied = [*document.apply([song()]).deltas]
    assert text_in(document) == SONG
    applied += [loose.update for loose in document.settle()]
    assert text_in(document) == "a\ufffdb🎹c"
    assert text_in(reopened(applied, [IN_DRUM])) == "a\ufffdb🎹c"
    assert text_in(reopened([song()], [IN_DRUM])) == "a\ufffdb🎹c", "also if it stopped before"


def test_characters_that_are_deleted_whole_stay_out_of_it() -> None:
    document = reopened([song()])
    document.apply([bytes.fromhex("000107010102")])
    assert text_in(document) == "ab🎹c"


def test_cuts_of_a_large_document_are_put_off_when_there_are_many() -> None:
    doc: Doc[Any] = Doc({"t": Text("x" * 12_000_000 + "🥁" * 10)}, client_id=7)
    document = reopened([doc.get_update()])
    put_off = 0
    for at in range(5):
        clock = crdt.write_var_uint(12_000_001 + 2 * at)
        done = document.apply([b"\x00\x01\x07\x01" + clock + b"\x01"])
        put_off += len(done.refused)
        assert all(why is connection.BUSY for _, why in done.refused)
    assert put_off == 2
    assert text_in(document).count("\ufffd") == 3


def test_the_first_cut_is_made_however_large_the_document() -> None:
    doc: Doc[Any] = Doc({"t": Text("x" * 34_000_000 + "🥁")}, client_id=7)
    document = reopened([doc.get_update()])
    clock = crdt.write_var_uint(34_000_001)
    assert document.apply([b"\x00\x01\x07\x01" + clock + b"\x01"]).refused == []


# ---------------------------------------------------------------- text under a key


def test_single_letters_beside_an_entry_of_a_map_are_found_out_in_company_too() -> None:
    entry = bytes.fromhex("01010100280101 6d016b017900".replace(" ", ""))
    first, second = bytes.fromhex("010102008401000161 00"), bytes.fromhex("010102018402000162 00")
    document = reopened([entry])
    with pytest.raises(replica.Poisoned):
        document.apply([first, second])


# ---------------------------------------------------------------- nested types


def test_no_more_types_are_made_than_the_stack_can_delete() -> None:
    document = replica.Replica(loading.prepare(None, (), ())._replace(types=replica.MOST_TYPES - 2))
    three: Map[Any] = Map({"a": Map[Any]({"b": Map[Any]({"c": Map[Any]()})})})
    doc: Doc[Any] = Doc({"m": three}, client_id=7)
    done = document.apply([doc.get_update()])
    assert done.refused == [(0, connection.DOCUMENT_FULL)]
    one: Map[Any] = Map({"a": Map[Any]()})
    small: Doc[Any] = Doc({"m": one}, client_id=8)
    assert document.apply([small.get_update()]).refused == []


@pytest.mark.parametrize("levels", [200, 60_000])
def test_types_are_counted_when_a_document_is_loaded(levels: int) -> None:
    made = [
        b"\x07\x01\x01m\x01",
        *(b"\x07\x00\x07" + crdt.write_var_uint(at) + b"\x01" for at in range(levels - 1)),
    ]
    update = b"\x01" + crdt.write_var_uint(levels) + b"\x07\x00" + b"".join(made) + b"\x00"
    stored = loading.prepare(None, [update], ())
    assert levels <= stored.types <= 3 * levels


def test_pycrdt_alone_has_another_text_where_a_character_is_cut() -> None:
    doc: Doc[Any] = Doc()
    doc.apply_update(song())
    doc.apply_update(IN_DRUM)
    copy: Doc[Any] = Doc()
    copy.apply_update(doc.get_update())
    found = {str(one.get("t", type=Text)) for one in (doc, copy)}
    assert found != {"a\ufffdb🎹c"}, "yrs can do it now; docstore/halves.py may go"

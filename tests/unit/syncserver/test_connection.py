"""syncserver.connection: who may say what, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncserver import connection
from syncserver.wire import events, yjs

LIMITS = connection.Limits(preauth_frames=3, preauth_bytes=1000)
EDIT = yjs.update(b"\x01\x02edit")


def opened(*, may_edit: bool) -> connection.Connection:
    one = connection.Connection(yjs.read, LIMITS)
    assert one.admit(may_edit=may_edit) == []
    return one


def test_what_is_said_before_admission_waits_and_comes_out_in_order() -> None:
    one = connection.Connection(yjs.read, LIMITS)
    assert not one.receive(yjs.step1(b"\x00"))
    assert not one.receive(EDIT)
    assert one.admit(may_edit=True) == [(events.STEP1, b"\x00"), (events.UPDATE, b"\x01\x02edit")]


def test_many_frames_before_admission_ask_for_the_socket_to_be_held_back() -> None:
    one = connection.Connection(yjs.read, LIMITS)
    one.receive(EDIT)
    one.receive(EDIT)
    assert not one.enough
    one.receive(EDIT)
    assert one.enough
    assert len(one.admit(may_edit=True)) == 3
    assert not one.enough


def test_frames_that_came_all_the_same_close_the_connection_in_the_end() -> None:
    one = connection.Connection(yjs.read, LIMITS)
    for _ in range(20):
        one.receive(b"")
    assert one.closing is not None
    assert one.closing.code == connection.Code.TRY_LATER
    assert one.admit(may_edit=True) == []


def test_too_many_bytes_before_admission_close_the_connection() -> None:
    one = connection.Connection(yjs.read, LIMITS)
    one.receive(yjs.update(bytes(1001)))
    assert one.closing is not None
    assert not one.receive(EDIT)


def test_an_editor_edits() -> None:
    assert list(opened(may_edit=True).receive(EDIT)) == [(events.UPDATE, b"\x01\x02edit")]


def test_a_readers_edit_comes_out_refused() -> None:
    one = opened(may_edit=False)
    assert list(one.receive(EDIT)) == [(events.REFUSED, b"\x01\x02edit")]
    assert list(one.receive(yjs.step2(b"\x01\x02edit"))) == [(events.REFUSED, b"\x01\x02edit")]
    assert one.closing is None


def test_a_readers_empty_handshake_is_no_edit() -> None:
    assert list(opened(may_edit=False).receive(yjs.step2(b"\x00\x00"))) == []


def test_a_reader_still_asks_and_shows_itself() -> None:
    one = opened(may_edit=False)
    assert list(one.receive(yjs.step1(b"\x00"))) == [(events.STEP1, b"\x00")]
    assert list(one.receive(yjs.awareness(b"\x00"))) == [(events.AWARENESS, b"\x00")]


def test_after_a_refused_edit_nothing_is_acknowledged_any_more() -> None:
    one = opened(may_edit=False)
    assert list(one.receive(yjs.sync_status(b"1"))) == [(events.SYNC_STATUS, b"1")]
    one.receive(EDIT)
    assert list(one.receive(yjs.sync_status(b"2"))) == []


def test_a_reader_who_may_edit_again_is_acknowledged_once_all_it_has_was_asked_for_and_came() -> (
    None
):
    one = opened(may_edit=False)
    one.receive(EDIT)
    one.receive(yjs.sync_status(b"1"))
    one.receive(yjs.sync_status(b"2"))
    one.permit(may_edit=True)
    # What it types now may arrive before the answer to our question; it promises nothing about the rest.
    assert one.quick(EDIT) == b"\x01\x02edit"
    assert list(one.receive(yjs.sync_status(b"3"))) == []
    assert list(one.receive(yjs.step2(b"\x01\x02all"))) == [
        (events.STEP2, b"\x01\x02all"),
        (events.SYNC_STATUS, b"3"),
    ]
    assert list(one.receive(yjs.sync_status(b"4"))) == [(events.SYNC_STATUS, b"4")]


def test_what_a_reader_never_sent_is_waited_for_too() -> None:
    one = opened(may_edit=False)
    one.permit(may_edit=True)
    assert list(one.receive(yjs.sync_status(b"1"))) == []
    assert list(one.receive(yjs.step2(b"\x00\x00"))) == [
        (events.STEP2, b"\x00\x00"),
        (events.SYNC_STATUS, b"1"),
    ]


def test_an_editor_who_becomes_a_reader_is_refused_from_there_on() -> None:
    one = opened(may_edit=True)
    assert one.quick(EDIT) is not None
    one.permit(may_edit=False)
    assert one.quick(EDIT) is None
    # Nothing was refused yet: all that it sent before counts.
    assert list(one.receive(yjs.sync_status(b"1"))) == [(events.SYNC_STATUS, b"1")]
    assert list(one.receive(EDIT)) == [(events.REFUSED, b"\x01\x02edit")]
    assert list(one.receive(yjs.sync_status(b"2"))) == []


def test_an_answer_that_comes_when_it_may_only_read_again_is_not_taken_for_one() -> None:
    one = opened(may_edit=False)
    one.permit(may_edit=True)
    one.permit(may_edit=False)
    assert list(one.receive(yjs.step2(b"\x01\x02all"))) == [(events.REFUSED, b"\x01\x02all")]
    assert list(one.receive(yjs.sync_status(b"1"))) == []


def test_to_be_told_the_same_again_changes_nothing() -> None:
    one = opened(may_edit=True)
    one.permit(may_edit=True)
    assert list(one.receive(yjs.sync_status(b"1"))) == [(events.SYNC_STATUS, b"1")]


@given(st.lists(st.one_of(st.booleans(), st.sampled_from([EDIT, yjs.step2(b"\x01\x02all")]))))
def test_however_often_it_changes_only_an_editor_edits(turns: list[bool | bytes]) -> None:
    one = opened(may_edit=False)
    may_edit = False
    for turn in turns:
        if isinstance(turn, bool):
            may_edit = turn
            one.permit(may_edit=turn)
            continue
        kinds = [kind for kind, _ in one.receive(turn)]
        assert (events.REFUSED in kinds) is not may_edit
        assert (one.quick(turn) is not None) is (may_edit and turn == EDIT)


def test_garbage_closes_with_4400_and_silences_what_follows() -> None:
    one = opened(may_edit=True)
    assert list(one.receive(EDIT + b"\x00\x09")) == [(events.UPDATE, b"\x01\x02edit")]
    assert one.closing == (connection.Code.BAD_DATA, "unknown sync message")
    assert not one.receive(EDIT)


def test_the_first_reason_counts() -> None:
    one = opened(may_edit=True)
    one.close(connection.Code.GONE, "deleted")
    one.close(connection.Code.SERVER_ERROR, "later")
    assert one.closing == (connection.Code.GONE, "deleted")


def test_an_unknown_type_is_ignored() -> None:
    one = opened(may_edit=True)
    assert list(one.receive(b"\x63whatever")) == []
    assert one.closing is None


@given(st.lists(st.binary(max_size=60), max_size=12), st.booleans(), st.integers(0, 12))
def test_no_bytes_at_any_time_raise_or_let_a_reader_edit(
    messages: list[bytes], may_edit: bool, admitted_at: int
) -> None:
    one = connection.Connection(yjs.read, LIMITS)
    out: list[events.Event] = []
    for index, message in enumerate(messages):
        if index == admitted_at:
            out.extend(one.admit(may_edit=may_edit))
        out.extend(one.receive(message))
    assert all(kind != events.MALFORMED for kind, _ in out)
    if not may_edit:
        assert all(kind not in (events.UPDATE, events.STEP2) for kind, _ in out)

"""States and segments at rest come out as they went in, or say that they are damaged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from base import ids
from docstore import segments, snapshots
from docstore.errors import SnapshotDamaged


@given(st.binary(max_size=5_000))
def test_a_state_comes_out_as_it_went_in(state: bytes) -> None:
    packed = snapshots.pack(state)
    assert packed.size == len(state)
    assert snapshots.unpack(*packed) == state


def test_a_state_is_compressed() -> None:
    packed = snapshots.pack(b"boxes and fields" * 1_000)
    assert len(packed.body) < 200


def test_damage_of_every_kind_is_noticed() -> None:
    packed = snapshots.pack(bytes(range(256)) * 10)
    body = bytearray(packed.body)
    body[len(body) // 2] ^= 0xFF
    other = snapshots.pack(b"something else")
    for wrong in (
        packed._replace(body=bytes(body)),
        packed._replace(body=packed.body[:-5]),
        packed._replace(body=b"no zstd at all"),
        packed._replace(body=other.body),
        packed._replace(size=packed.size - 1),
        packed._replace(sha256=other.sha256),
    ):
        with pytest.raises(SnapshotDamaged):
            snapshots.unpack(*wrong)


def test_a_frame_that_claims_to_be_huge_is_refused_without_being_unpacked() -> None:
    huge = zstandard.ZstdCompressor().compress(bytes(50_000_000))
    with pytest.raises(SnapshotDamaged):
        snapshots.unpack(huge, 1_000, bytes(32))


async def test_large_states_are_unpacked_off_the_loop() -> None:
    state = Random(1).randbytes(snapshots.OFF_LOOP_BYTES + 1)
    packed = snapshots.pack(state)
    assert await snapshots.unpack_off_loop(*packed) == state
    with pytest.raises(SnapshotDamaged):
        await snapshots.unpack_off_loop(packed.body, packed.size, bytes(32))


def test_a_segment_keeps_every_row_as_it_was() -> None:
    random = Random(2)
    start = datetime(2026, 8, 21, 12, 0, 0, 123456, tzinfo=UTC)
    rows = [
        segments.Row(
            seq=at * 3,
            author=None if at % 3 else ids.new_id(),
            payload=random.randbytes(random.randrange(100)),
            created_at=start + timedelta(milliseconds=at),
        )
        for at in range(50)
    ]
    packed = segments.pack(rows)
    assert segments.unpack(packed.body, packed.size) == rows


def test_a_segment_of_something_else_is_damaged() -> None:
    wrong = snapshots.compress(b"\xc1")
    with pytest.raises(SnapshotDamaged):
        segments.unpack(wrong, 1)
    with pytest.raises(SnapshotDamaged):
        segments.unpack(b"no zstd", 1)

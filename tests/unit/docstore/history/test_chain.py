"""Chains of states: what comes out is what was put in, and a small change takes little room."""

from __future__ import annotations

import itertools
import time
from random import Random
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map

from docstore.errors import SnapshotDamaged
from docstore.history import chain
from docstore.history.chain import Packed


def packed(states: list[bytes]) -> list[Packed]:
    found: list[Packed] = []
    for number, state in enumerate(states):
        base = chain.base_of(number)
        found.append(chain.pack(state, None if base is None else states[base]))
    return found


def opened(stored: list[Packed], number: int) -> bytes:
    return chain.unpack([stored[step] for step in chain.path_to(number)])


@given(st.integers(0, 2**40))
def test_every_state_is_a_few_steps_from_the_first(number: int) -> None:
    path = chain.path_to(number)
    assert path[0] == 0
    assert path[-1] == number
    assert path == sorted(path)
    assert len(path) <= number.bit_length() + 1
    for base, step in itertools.pairwise(path):
        assert chain.base_of(step) == base


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=2_000), min_size=1, max_size=20), st.randoms())
def test_states_of_any_kind_come_out_as_they_went_in(pieces: list[bytes], random: Random) -> None:
    states = [b"".join(random.sample(pieces, len(pieces))) for _ in range(9)]
    stored = packed(states)
    assert [opened(stored, number) for number in range(len(states))] == states


def test_a_state_with_little_in_common_with_its_base_begins_a_chain() -> None:
    random = Random(3)
    base, other = random.randbytes(20_000), random.randbytes(20_000)
    assert chain.pack(other, base).whole
    near = chain.pack(base + b"more", base)
    assert not near.whole
    assert len(near.body) < 100
    assert chain.unpack([chain.pack(base, None), chain.pack(other, base)]) == other


def test_an_empty_base_is_none() -> None:
    assert chain.pack(b"state", b"").whole
    assert chain.unpack([chain.pack(b"", b"state")]) == b""


def test_damage_of_every_kind_is_noticed() -> None:
    random = Random(4)
    base = random.randbytes(5_000)
    first, second = chain.pack(base, None), chain.pack(base[:4_000] + b"!" + base[4_000:], base)
    assert not second.whole
    body = bytearray(second.body)
    body[len(body) // 2] ^= 0xFF
    stranger = chain.pack(random.randbytes(5_000), None)
    for wrong in (
        [],
        [second],
        [stranger, second],
        [first, second._replace(body=bytes(body))],
        [first, second._replace(body=second.body[:-4])],
        [first, second._replace(body=second.body + b"more")],
        [first, second._replace(body=b"no zstd at all")],
        [first, second._replace(body=b"")],
        [first, second._replace(size=second.size - 1)],
        [first, second._replace(sha256=first.sha256)],
        [first._replace(size=first.size + 1), second],
        [first, second._replace(whole=True)],
    ):
        with pytest.raises(SnapshotDamaged):
            chain.unpack(wrong)


def test_a_frame_never_gives_more_than_was_said() -> None:
    huge = zstandard.ZstdCompressor().compress(bytes(300_000_000))
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(300_000_000))
    for body in (huge, silent):
        bomb = Packed(body, 1_000, bytes(32), whole=True)
        started = time.process_time()
        with pytest.raises(SnapshotDamaged):
            chain.unpack([bomb])
        with pytest.raises(SnapshotDamaged):
            chain.unpack([chain.pack(b"base", None), bomb._replace(whole=False)])
        assert time.process_time() - started < 0.1  # nothing was unpacked


@pytest.mark.slow
def test_a_thousand_small_changes_of_a_large_document_take_little_room() -> None:
    random = Random(5)
    doc: Doc[Any] = Doc(client_id=1)
    boxes = doc.get("boxes", type=Map[Any])
    with doc.transaction():
        for _ in range(4_700):
            fields = Map({str(field): random.random() for field in range(8)})
            boxes[f"{random.getrandbits(128):032x}"] = Map({"name": "Box", "fields": fields})
    keys = list(boxes.keys())
    states: dict[int, bytes] = {}
    stored: list[Packed] = []
    for number in range(1_000):
        boxes[random.choice(keys)]["fields"][str(random.randrange(8))] = random.random()
        base = chain.base_of(number)
        state = states[number] = doc.get_update()
        stored.append(chain.pack(state, None if base is None else states[base]))
        # As few states at a time as their successors need.
        for old in [one for one in states if one not in chain.path_to(number + 1)]:
            if old != number:
                del states[old]
    assert len(states[max(states)]) > 1_000_000
    assert sum(len(one.body) for one in stored) < 3_000_000
    assert max(len(chain.path_to(number)) for number in range(10_000)) <= 14
    started = time.process_time()
    opened(stored, 991)  # ten steps
    assert time.process_time() - started < 0.1

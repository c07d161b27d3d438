"""New names: unique, sorted by age, readable aloud."""

from __future__ import annotations

import threading
import uuid

from base import clock, ids


def test_ids_are_version_7_of_now() -> None:
    before = clock.unix_ms()
    made = ids.new_id()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= clock.unix_ms() + 1


def test_ids_grow_however_many_are_made_in_a_millisecond() -> None:
    made = [ids.new_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_grow_also_when_the_clock_steps_back() -> None:
    source = ids._Version7()
    first, second = source.next(5_000), source.next(1_000)
    assert second > first
    assert second.int >> 80 == 5_000


def test_ids_of_several_threads_never_meet() -> None:
    made: list[uuid.UUID] = []
    makers = [
        threading.Thread(target=lambda: made.extend(ids.new_id() for _ in range(2_000)))
        for _ in range(4)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(set(made)) == 8_000


def test_room_ids_are_twelve_letters_nobody_can_mistake() -> None:
    made = {ids.new_room_id() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(len(room) == 12 for room in made)
    assert not set("".join(made)) & set("aeiou01l")

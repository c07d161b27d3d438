"""Work on whole documents says the same wherever it is done, and does not hold up the loop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_process
import msgspec
import pytest

from base.places import asking
from docstore.errors import DocumentTooDeep, DocumentUnreadable, TooCostly
from docstore.history import content, diff, render, work
from tests.integration.docstore import histories
from tests.integration.docstore.histories import Song

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(params=["in a thread", "in a process"])
def document(request: pytest.FixtureRequest) -> Song:
    """A small one and a large one."""
    song = Song().stem("a") if request.param == "in a thread" else histories.large()
    assert (len(song.state) > work.THREAD_BYTES) == (request.param == "in a process")
    return song


async def test_two_states_are_compared(document: Song) -> None:
    before = document.state
    after = document.stem("x", "Keys").state
    now = content.digest(content.read(after))
    for _ in range(2):  # the second time, what was read last may be there still
        found = await work.compare(before, after)
        assert found.content_sha256 == now
        assert found.changes["summary"] == "1 stem added"
        back = await work.compare(after, before)
        assert back.content_sha256 == content.digest(content.read(before))
        assert back.changes["summary"] == "1 stem removed"
    assert await work.digest(after) == now


async def test_the_first_state_is_compared_with_nothing(document: Song) -> None:
    found = await work.compare(None, document.state)
    number = len(document.stems)
    assert found.changes["summary"] == f"{number:,} stem{'s' * (number > 1)} added"


async def test_a_diff_is_told_to_programs_and_to_people(document: Song) -> None:
    before = document.state
    after = document.stem("x", "Keys").state
    told: dict[str, Any] = msgspec.json.decode(await work.diff(before, after))
    assert told["summary"] == "1 stem added"
    assert [each["entity"]["id"] for each in told["changes"]] == ["x"]
    found = diff.diff(content.read(before), content.read(after))
    assert await work.diff(before, after, "text") == render.diff_text(found).encode()


async def test_the_way_back_is_found(document: Song) -> None:
    before = document.state
    live = document.stem("x", "Keys").state
    found = await work.reach(live, before, client_id=42)
    assert found.update is not None
    assert found.summary == "1 stem removed"
    document.doc.apply_update(found.update)
    assert content.read(document.state) == content.read(before)
    assert await work.reach(document.state, before, client_id=43) == (None, "nothing changed")


@pytest.mark.parametrize("size", [10, 100_000])
async def test_what_is_no_document_is_told(size: int) -> None:
    broken = b"\x01" + b"\xff" * size
    works: list[Callable[[], Any]] = [
        lambda: work.compare(None, broken),
        lambda: work.digest(broken),
        lambda: work.diff(broken, b"\0\0"),
        lambda: work.reach(b"\0\0", broken, client_id=1),
    ]
    for one in works:
        with pytest.raises(DocumentUnreadable):
            await one()


@pytest.mark.parametrize("size", [10, 100_000])
async def test_what_is_too_deep_is_told_with_the_limit(size: int) -> None:
    nested: list[Any] = ["x" * size]
    for _ in range(content.DEEPEST + 5):
        nested = [nested]
    song = Song()
    song.stems["deep"] = nested
    with pytest.raises(DocumentTooDeep) as told:
        await work.compare(None, song.state)
    assert told.value.data == {"limit": content.DEEPEST}


async def test_a_document_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that no Yjs client would write, in which yrs goes round in circles."""
    monkeypatch.setattr(work, "SECONDS", 0.0)
    with pytest.raises(TooCostly):
        await work.compare(None, histories.large().state)
    monkeypatch.undo()
    await work.digest(histories.large().state)


async def test_a_process_that_dies_takes_nobody_along() -> None:
    with pytest.raises(DocumentUnreadable):
        await work._elsewhere(work.THREAD_BYTES + 1, os._exit, 3)
    await work.digest(histories.large().state)


async def test_small_work_does_not_wait_for_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not somebody's own; and large work of others has the other place."""
    release = anyio.Event()
    under_way: list[str] = []
    real = anyio.to_process.run_sync

    async def slow(function: Callable[..., object], *args: object, **options: object) -> object:
        if args[-1] == "hostile":
            under_way.append("hostile")
            await release.wait()
            return None
        return await real(function, *args, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(anyio.to_process, "run_sync", slow)

    async def hostile() -> None:
        asking.set("hostile")
        await work.elsewhere(work.THREAD_BYTES + 1, str, "hostile")

    small, large = Song().state, histories.large().state
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(hostile)
            while not under_way:
                await anyio.lowlevel.checkpoint()
            await work.compare(None, small)
            await work.diff(small, large)
            await work.compare(None, large)
            assert under_way == ["hostile"]
            release.set()
    assert len(under_way) == 6


async def test_a_digest_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    state = histories.large().state
    assert await work.digest(state) == content.digest(content.read(state))
    monkeypatch.setattr(work, "SECONDS", 0.0)
    assert await work.digest(state) == content.digest(content.read(state))


def test_numbers_stay_small_whatever_is_in_a_document() -> None:
    song = Song()
    for at in range(200):
        song.stem(f"s{at}", "\0" * 50_000).segment(f"g{at}", of=f"s{at}")
    kept = work.numbers(diff.diff({}, content.read(song.state)))
    assert len(kept["counts"]) == work.MOST_COUNTS
    assert kept["more"] > 0
    assert len(msgspec.json.encode(kept)) < 50_000
    assert b"\\u0000" not in msgspec.json.encode(kept)

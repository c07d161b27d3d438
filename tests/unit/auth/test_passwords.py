"""Passwords: what is accepted, what matches, and who waits for whom."""

from __future__ import annotations

import threading
import unicodedata

import anyio
import bcrypt
import pytest

from auth import passwords
from auth.errors import PasswordsBusy, PasswordTooLong, PasswordTooShort

COST = 4  # the least bcrypt takes; a millisecond


async def test_a_hash_matches_its_password_and_no_other() -> None:
    keeper = passwords.Passwords(cost=COST)
    hashed = await keeper.hash("correct horse")
    assert await keeper.matches("correct horse", hashed)
    assert not await keeper.matches("correct horsf", hashed)
    assert not await keeper.matches("", hashed)


async def test_nobody_matches_without_a_hash() -> None:
    keeper = passwords.Passwords(cost=COST)
    assert not await keeper.matches("correct horse", None)


async def test_an_unknown_account_costs_one_real_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []
    compare = bcrypt.checkpw

    def checkpw(secret: bytes, against: bytes) -> bool:
        seen.append(against)
        return compare(secret, against)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    keeper = passwords.Passwords(cost=COST)
    hashed = await keeper.hash("correct horse")
    await keeper.matches("whatever", None)
    await keeper.matches("x" * 100, hashed)
    assert len(seen) == 2
    assert {against[:7] for against in seen} == {hashed[:7].encode()}


@pytest.mark.parametrize("password", ["", "short", "1234567", "é" * 7])
async def test_a_short_password_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooShort):
        await passwords.Passwords(cost=COST).hash(password)


@pytest.mark.parametrize("password", ["x" * 73, "é" * 37, "🎹" * 19])
async def test_a_password_longer_than_bcrypt_reads_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooLong) as caught:
        await passwords.Passwords(cost=COST).hash(password)
    assert caught.value.data["most_bytes"] == 72


async def test_seventy_two_bytes_all_count() -> None:
    keeper = passwords.Passwords(cost=COST)
    hashed = await keeper.hash("x" * 72)
    assert await keeper.matches("x" * 72, hashed)
    assert not await keeper.matches("x" * 71 + "y", hashed)
    assert not await keeper.matches("x" * 73, hashed)


async def test_one_password_typed_on_two_keyboards_matches() -> None:
    keeper = passwords.Passwords(cost=COST)
    hashed = await keeper.hash(unicodedata.normalize("NFC", "crème brûlée"))
    assert await keeper.matches(unicodedata.normalize("NFD", "crème brûlée"), hashed)


async def test_a_hash_of_another_cost_is_made_again() -> None:
    hashed = await passwords.Passwords(cost=COST + 1).hash("correct horse")
    keeper = passwords.Passwords(cost=COST)
    renewed = await keeper.rehash("correct horse", hashed)
    assert renewed is not None
    assert await keeper.matches("correct horse", renewed)
    assert await keeper.rehash("correct horse", renewed) is None


async def test_only_a_few_hash_at_a_time_and_only_some_may_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keeper = passwords.Passwords(cost=COST, workers=2, waiting=3)
    go, running, most = threading.Event(), 0, 0
    lock = threading.Lock()

    def hashpw(_secret: bytes, _salt: bytes) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(10)
        with lock:
            running -= 1
        return b"hash"

    monkeypatch.setattr(bcrypt, "hashpw", hashpw)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(keeper.hash, "correct horse")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(PasswordsBusy):
            await keeper.hash("correct horse")
        go.set()
    assert most == 2

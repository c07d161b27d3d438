"""Yjs documents and updates (v1): applied safely, merged, questioned. Pure: bytes and documents.

Promise: whatever bytes come in, nothing but MalformedUpdate or PoisonUpdate comes out. yrs panics
on some broken updates (an exception that is no `Exception`) and leaves others half applied; hence
`guarded()` around every call. A few make it overflow the stack or take all memory, which no
handler catches; hence `screen()` before the first look at foreign bytes.

Knows no database, no loop and no users.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pycrdt

from base.errors import AppError
from docstore import plain, screening

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

Document: TypeAlias = "pycrdt.Doc[Any]"

NOTHING: Final = b"\x00\x00"
"""The update that changes nothing: no structs, no deletions."""

_EVERYTHING: Final = 2**31 - 1
"""A clock above every clock that Yjs can count to in a client's 31 bits."""

_SMALL_STATE: Final = 1024
"""Up to this many bytes yrs reads a state vector faster than we find one client in it."""

_ONE_RANGE: Final = re.compile(
    rb"\x00\x01([\x80-\xff]*[\x00-\x7f])\x01([\x80-\xff]*[\x00-\x7f])([\x80-\xff]*[\x00-\x7f])"
)
"""An update without structs that deletes one range: client, clock, length."""

_TRANSACTION: Final = 1000
"""Updates in one transaction: half the cost of one by one; 260,000 take four times as long."""

_CONTINUED: Final = bytes(range(0x80, 0x100))
"""Bytes that are not the last of their number."""


class MalformedUpdate(ValueError):
    """The bytes cannot be read as an update. No document has been changed."""


class PoisonUpdate(Exception):
    """The update failed half way: the document that it was applied to must be thrown away."""


# ---------------------------------------------------------------- guarding


def is_poison(error: BaseException) -> bool:
    """Whether this came out of yrs, rather than being a way to end the program or a task.

    A panic is a `pyo3_runtime.PanicException`: derived from BaseException, and each extension
    module has a class of its own, so the name is what there is to recognise it by.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


class guarded:
    """`with guarded():` around calls into yrs: translates what may come out of them.

    ValueError becomes MalformedUpdate, other errors and panics become PoisonUpdate. AppErrors,
    cancellation, KeyboardInterrupt and their like pass.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, MalformedUpdate | PoisonUpdate | AppError):
            return
        if isinstance(error, ValueError):
            raise MalformedUpdate(str(error)) from error
        if is_poison(error):
            raise PoisonUpdate(f"{type(error).__name__}: {error}") from error


def screen(update: bytes) -> None:
    """Refuse an update that would take the process down while yrs reads it.

    To be called before anything else looks at foreign bytes. A tenth of a microsecond for most;
    see `docstore/screening.py`. Raises MalformedUpdate.
    """
    if fault := screening.update_fault(update):
        raise MalformedUpdate(f"the update {fault}")


def screen_state(state: bytes) -> None:
    """The same for a foreign state vector. Raises MalformedUpdate."""
    if fault := screening.state_fault(state):
        raise MalformedUpdate(f"the state vector {fault}")


# ---------------------------------------------------------------- documents


def apply_all(doc: Document, updates: Sequence[bytes]) -> None:
    """Apply updates, up to a thousand in one transaction. Raises MalformedUpdate, PoisonUpdate.

    After either the document holds some of the updates; after PoisonUpdate it is not to be used.
    What arrived before what it builds upon may have to be settled.
    """
    for start in range(0, len(updates), _TRANSACTION):
        with guarded(), doc.transaction():
            for update in updates[start : start + _TRANSACTION]:
                screen(update)
                doc.apply_update(update)


def settle(doc: Document, updates: Sequence[bytes]) -> tuple[int, ...]:
    """Apply again, as often as it helps, what of these applied updates still waits.

    yrs keeps what waits, but does not always see that what it waits for has come: of updates that
    arrive in random order, one document in six ends with something left out for good. To be called
    after updates from storage, and when something new has come while others wait.
    Returns the indexes of those that wait on. Raises PoisonUpdate, MalformedUpdate.
    """
    with guarded():
        waiting = range(len(updates))
        state, calm = b"", 0
        while True:
            before, state = state, doc.get_state()
            waiting = [at for at in waiting if not is_integrated(updates[at], state)]
            # Once more when nothing moved: what yrs holds behind a gap does not show in the state.
            calm = calm + 1 if state == before else 0
            if not waiting or calm == 2:
                return tuple(waiting)
            with doc.transaction():
                for at in waiting:
                    doc.apply_update(updates[at])


def merge(updates: Sequence[bytes]) -> bytes:
    """One update with the content of all. Raises MalformedUpdate, PoisonUpdate.

    By applying them, which takes time in proportion to their number; `pycrdt.merge_updates` takes
    its square. What waits for updates that are not among these may be left out: `is_integrated`
    tells of which.
    """
    doc: Document = pycrdt.Doc()
    apply_all(doc, updates)
    settle(doc, updates)
    with guarded():
        return doc.get_update()


def to_json(update: bytes) -> dict[str, plain.Json]:
    """The content of every root of a full state, as plain JSON (see `docstore/plain.py`).

    Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep.
    """
    doc: Document = pycrdt.Doc()
    apply_all(doc, (update,))
    with guarded():
        return plain.roots(doc, shallow=screening.is_shallow(update))


# ---------------------------------------------------------------- questions


def is_integrated(update: bytes, state: bytes) -> bool:
    """Whether all of an update that was applied to a document is in, given its state vector.

    False when something of it still waits for other updates: structs below a parent that is
    missing, or behind a gap in what their client wrote (also when yrs shows them already, as it
    does where they depend on nothing in the gap), or deletions of structs not yet seen. Only for
    updates that were applied: a state vector does not tell of deletions that nobody has sent.
    Raises MalformedUpdate, PoisonUpdate for bytes that are not an update or a state vector.
    """
    try:
        left = pycrdt.get_update(update, _part_for(update, state))
        if left == NOTHING:
            return True
        if left[0]:
            return False
    except BaseException:
        with guarded():
            raise
    one = _ONE_RANGE.fullmatch(left)
    if one is not None:
        client, clock, length = one.groups()
        end = read_var_uint(clock, 0)[0] + read_var_uint(length, 0)[0]
        return end <= _clock_in(state, client)
    return all(
        clock + length <= _clock_in(state, write_var_uint(client))
        for client, clock, length in delete_ranges(left, 1)
    )


def client_ids(update: bytes) -> tuple[int, ...]:
    """The Yjs clients that wrote the structs of an update, in descending order.

    Fast for one client and for full states; others are read once per client. Deletions name whose
    structs are deleted, not who deleted them, and do not count.
    Raises MalformedUpdate, PoisonUpdate.
    """
    with guarded():
        count, at = read_var_uint(update, 0)
        if count <= 1:
            return (_first_client(update, at),) if count else ()
        found: set[int] = set()
        doc: Document = pycrdt.Doc()
        doc.apply_update(update)
        found.update(decode_state_vector(doc.get_state()))
        while True:
            seen = encode_state_vector(dict.fromkeys(found, _EVERYTHING))
            update = pycrdt.get_update(update, seen)
            count, at = read_var_uint(update, 0)
            if not count:
                return tuple(sorted(found, reverse=True))
            found.add(_first_client(update, at))


def delete_ranges(data: bytes, at: int = 0) -> list[tuple[int, int, int]]:
    """The delete set that begins at `at` and ends the data: (client, clock, length) of each range.

    Raises MalformedUpdate.
    """
    ranges: list[tuple[int, int, int]] = []
    clients, at = read_var_uint(data, at)
    for _ in range(clients):
        client, at = read_var_uint(data, at)
        count, at = read_var_uint(data, at)
        for _ in range(count):
            clock, at = read_var_uint(data, at)
            length, at = read_var_uint(data, at)
            ranges.append((client, clock, length))
    if at != len(data):
        raise MalformedUpdate("data behind a delete set")
    return ranges


# ---------------------------------------------------------------- numbers


def read_var_uint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends. Raises MalformedUpdate for one cut short or too long."""
    try:
        byte = data[at]
        at += 1
        if byte < 0x80:
            return byte, at
        number = byte & 0x7F
        shift = 7
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, at
            shift += 7
            if shift > 63:
                raise MalformedUpdate("a number of more than 64 bits")
    except IndexError:
        raise MalformedUpdate("the data ends within a number") from None


def write_var_uint(number: int) -> bytes:
    """A number in lib0's variable length, 7 bits a byte, lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode_state_vector(state: bytes) -> dict[int, int]:
    """What a state vector says: how many structs' clocks are known of each client.

    Raises MalformedUpdate.
    """
    count, at = read_var_uint(state, 0)
    clocks: dict[int, int] = {}
    for _ in range(count):
        client, at = read_var_uint(state, at)
        clocks[client], at = read_var_uint(state, at)
    if at != len(state):
        raise MalformedUpdate("data behind a state vector")
    return clocks


def encode_state_vector(clocks: Mapping[int, int]) -> bytes:
    """The state vector that says this."""
    parts = [write_var_uint(len(clocks))]
    for client, clock in clocks.items():
        parts += (write_var_uint(client), write_var_uint(clock))
    return b"".join(parts)


def _first_client(update: bytes, at: int) -> int:
    _, at = read_var_uint(update, at)  # how many structs
    return read_var_uint(update, at)[0]


def _part_for(update: bytes, state: bytes) -> bytes:
    """A state vector that answers the same question about the structs of an update.

    To read a whole one costs yrs 20 ns for every client that ever wrote to the document, at each
    question. An update of one client needs one line of it.
    """
    if len(state) <= _SMALL_STATE or update[:1] != b"\x01":
        return state
    client = write_var_uint(_first_client(update, 1))
    return b"\x01" + client + write_var_uint(_clock_in(state, client))


@lru_cache(maxsize=32)
def _clock_in(state: bytes, client: bytes) -> int:
    """What a state vector says of one client, without reading the rest number by number.

    Bytes that look like the client may be part of another number, or somebody's clock. A number
    begins behind a byte below 0x80, and the numbers before a client are odd in number: the count
    of lines, and two for each. Remembered, since a burst asks the same state about few clients.
    """
    numbers = counted = 0
    at = state.find(client, 1)
    while at > 0:
        if state[at - 1] < 0x80:
            numbers += len(state[counted:at].translate(None, _CONTINUED))
            counted = at
            if numbers % 2:
                return read_var_uint(state, at + len(client))[0]
        at = state.find(client, at + 1)
    return 0

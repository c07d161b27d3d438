"""Yjs documents and updates (v1): applied safely, and questioned. Pure: bytes and documents.

Promise: whatever bytes come in, nothing but MalformedUpdate or PoisonUpdate comes out. yrs panics
on some broken updates (an exception that is no `Exception`) and leaves others half applied; hence
`guarded()` around every call. Others end the process, or break the document for later, and no
handler catches that; hence `read()` before the first look at foreign bytes.

Knows no database, no loop and no users.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pycrdt

from base.errors import AppError
from docstore import letters, outline, plain, screening
from docstore.numbers import MalformedUpdate as MalformedUpdate
from docstore.numbers import clock_in, read_var_uint, write_var_uint
from docstore.numbers import decode_state_vector as decode_state_vector
from docstore.numbers import encode_state_vector as encode_state_vector

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

Document: TypeAlias = "pycrdt.Doc[Any]"

NOTHING: Final = b"\x00\x00"
"""The update that changes nothing: no structs, no deletions."""

_SMALL_STATE: Final = 1024
"""Up to this many bytes yrs reads a state vector faster than we find one client in it."""

_ONE_RANGE: Final = re.compile(
    rb"\x00\x01([\x80-\xff]*[\x00-\x7f])\x01([\x80-\xff]*[\x00-\x7f])([\x80-\xff]*[\x00-\x7f])"
)
"""An update without structs that deletes one range: client, clock, length."""

_TRANSACTION: Final = 1000
"""Updates in one transaction: half the cost of one by one; 260,000 take four times as long."""


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


def read(update: bytes, witness: outline.Witness | None = None) -> outline.Outline:
    """The outline of a foreign update, to be asked for before anything else looks at it.

    Some updates that no Yjs client would write take the process down while yrs reads them, some the
    document later on; see `docstore/outline.py`. Raises MalformedUpdate for one of those.
    """
    try:
        return outline.outline(update, witness)
    except outline.Unfit as unfit:
        raise MalformedUpdate(f"the update {unfit}") from unfit


def screen_state(state: bytes) -> None:
    """The same for a foreign state vector. Raises MalformedUpdate."""
    if fault := screening.state_fault(state):
        raise MalformedUpdate(f"the state vector {fault}")


# ---------------------------------------------------------------- documents


def apply_all(doc: Document, updates: Sequence[bytes]) -> None:
    """Apply updates, up to a thousand in one transaction. Raises MalformedUpdate, PoisonUpdate.

    After either the document holds some of the updates; after PoisonUpdate it is not to be used.
    For what has been read, or is our own; and for what is ready: yrs must not be left with
    something that waits.
    """
    for start in range(0, len(updates), _TRANSACTION):
        with guarded(), doc.transaction():
            for update in updates[start : start + _TRANSACTION]:
                doc.apply_update(update)


def to_json(update: bytes) -> dict[str, plain.Json]:
    """The content of every root of a full state of ours, as plain JSON (see `docstore/plain.py`).

    Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep.
    """
    shallow = screening.is_shallow(update)
    doc: Document = pycrdt.Doc()
    apply_all(doc, (update,))
    with guarded():
        try:
            return plain.roots(doc, shallow=shallow, wary=True)
        except letters.Suspicious:
            mended = letters.mended(update)
    if mended is not None:
        doc = pycrdt.Doc()
        apply_all(doc, (mended,))
    with guarded():
        return plain.roots(doc, shallow=shallow)


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
        return end <= clock_in(state, client)
    return all(
        clock + length <= clock_in(state, write_var_uint(client))
        for client, clock, length in delete_ranges(left, 1)
    )


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
    return b"\x01" + client + write_var_uint(clock_in(state, client))

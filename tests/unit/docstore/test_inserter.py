"""Journal rows as PostgreSQL's binary arrays."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from docstore import inserter

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTHOR = UUID("01890000-0000-7000-8000-000000000001")


def elements(array: bytes, oid: int) -> list[bytes | None]:
    """A one-dimensional binary array, taken apart in the plainest way."""
    dimensions, _nulls, element_oid, count, first = struct.unpack_from("!iiIii", array)
    assert (dimensions, element_oid, first) == (1, oid, 1)

    def each() -> Iterator[bytes | None]:
        at = 20
        for _ in range(count):
            (length,) = struct.unpack_from("!i", array, at)
            at += 4
            yield None if length < 0 else array[at : at + length]
            at += max(length, 0)
        assert at == len(array)

    return list(each())


def test_rows_become_five_arrays() -> None:
    rows: list[inserter.Row] = [
        (2**40, AUTHOR, b"one", 1.5, False),
        (-1, None, b"", 0.0, True),
        (2**40, AUTHOR, b"x" * 70_000, 2.000001, False),
    ]
    documents, authors, payloads, times, waits = inserter.pack(rows, 1_000_000)
    assert elements(documents, 20) == [struct.pack("!q", row[0]) for row in rows]
    assert elements(authors, 2950) == [AUTHOR.bytes, None, AUTHOR.bytes]
    assert elements(payloads, 17) == [b"one", b"", b"x" * 70_000]
    assert elements(times, 1184) == [
        struct.pack("!q", at) for at in (2_500_000, 1_000_000, 3_000_001)
    ]
    assert elements(waits, 16) == [b"\x00", b"\x01", b"\x00"]


def test_a_row_that_is_none_is_an_error_of_its_sender() -> None:
    for document in (2**63, -(2**63) - 1):
        with pytest.raises(struct.error):
            inserter.pack([(document, None, b"", 0.0, False)], 0)


def test_documents_without_number_do_not_fill_the_memory() -> None:
    for document in range(70_000):
        inserter.pack([(document, None, b"", 0.0, False)], 0)
    assert len(inserter._document_ids) <= 65_536

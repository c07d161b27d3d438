"""What merges and the like come to, worked out where whole documents are.

A past goes there as it is stored, and is unpacked only if somebody is in conflict: most merges
need nobody's name. Knows no database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from docstore.history import joining, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docstore.history.joining import Mark, Outcome, Terms
    from docstore.history.merge import Strategy
    from docstore.history.retelling import Packed
    from docstore.history.threeway import Favour

MOST_TOLD: Final = 32 * 1024 * 1024
"""Bytes of a past up to which it is looked up who wrote what. Beyond, nobody is named: it would
take longer than the merge."""


async def union(
    bases: Sequence[bytes],
    ours: bytes,
    theirs: bytes,
    pasts: tuple[Packed, Packed],
    terms: Terms,
    strategy: Strategy,
) -> Outcome:
    """What a merge comes to, as `joining.union`.

    Raises UnknownConflict, ContentUnreachable, DocumentUnreadable, DocumentTooDeep, SnapshotDamaged.
    """
    sent = _short(pasts[0]), _short(pasts[1])
    size = sum(map(len, bases)) + len(ours) + len(theirs) + sum(map(_size, sent))
    return await work.elsewhere(size, _union, bases, ours, theirs, sent, terms, strategy)


async def across(
    bases: Sequence[bytes],
    ours: bytes,
    theirs: bytes,
    pasts: tuple[Packed, Packed],
    terms: Terms,
    strategy: Strategy,
) -> Outcome:
    """What a merge across lineages comes to, as `joining.across`. Raises the same."""
    sent = _short(pasts[0]), _short(pasts[1])
    size = sum(map(len, bases)) + len(ours) + len(theirs) + sum(map(_size, sent))
    return await work.elsewhere(size, _across, bases, ours, theirs, sent, terms, strategy)


async def carried(
    base: bytes,
    theirs: bytes,
    ours: bytes,
    past: Packed,
    mark: Mark | None,
    terms: Terms,
    favour: Favour,
) -> Outcome:
    """What a commit's change comes to elsewhere, as `joining.carried`. Raises the same."""
    sent = _short(past)
    size = len(base) + len(theirs) + len(ours) + _size(sent)
    return await work.elsewhere(size, _carried, base, theirs, ours, sent, mark, terms, favour)


async def after(state: bytes, update: bytes) -> bytes:
    """The digest of what a state says once an update is applied to it."""
    return await work.elsewhere(len(state) + len(update), joining.digest_after, state, update)


def _short(past: Packed) -> Packed | None:
    return past if past.size <= MOST_TOLD else None


def _size(past: Packed | None) -> int:
    return 0 if past is None else past.size


# ---------------------------------------------------------------- over there


def _union(
    bases: Sequence[bytes],
    ours: bytes,
    theirs: bytes,
    pasts: tuple[Packed | None, Packed | None],
    terms: Terms,
    strategy: Strategy,
) -> Outcome:
    sides = joining.Sides(*map(_told, pasts))
    return joining.union(bases, ours, theirs, sides, terms, strategy)


def _across(
    bases: Sequence[bytes],
    ours: bytes,
    theirs: bytes,
    pasts: tuple[Packed | None, Packed | None],
    terms: Terms,
    strategy: Strategy,
) -> Outcome:
    sides = joining.Sides(*map(_told, pasts))
    return joining.across(bases, ours, theirs, sides, terms, strategy)


def _carried(
    base: bytes,
    theirs: bytes,
    ours: bytes,
    past: Packed | None,
    mark: Mark | None,
    terms: Terms,
    favour: Favour,
) -> Outcome:
    sides = joining.Sides(_told(past), mark)
    return joining.carried(base, theirs, ours, sides, terms, favour)


def _told(past: Packed | None) -> joining.Told | None:
    return None if past is None else joining.Told(past.begin(), past.rows)

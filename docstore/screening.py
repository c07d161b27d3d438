"""Cheap questions about foreign bytes: which of them need a closer look.

Nearly every message on a busy server is one keystroke, one number or one deletion. Their shape is
recognised by a regular expression in a third of a microsecond, and such an update needs no outline
(`docstore/outline.py`, which takes ten times as long). Everything else does.
"""

from __future__ import annotations

import re
from typing import Final

from docstore.numbers import MalformedUpdate, read_var_uint
from docstore.outline import DEEPEST

_CLIENT: Final = rb"[\x80-\xff]{0,4}[\x00-\x7f]"
_CLOCK: Final = rb"[\x80-\xff]{0,3}[\x00-\x7f]"
_ID: Final = _CLIENT + _CLOCK

_PLAIN: Final = re.compile(
    rb"(?s)\x01\x01" + _ID + rb"(?:"
    # Text or a value beside something; for text, how long it is.
    rb"(?:[\x84\x44]" + _ID + rb"|\xc4" + _ID + _ID + rb")([\x01-\x7f])"
    rb"|(?:[\x88\x48\xa8\x68]" + _ID + rb"|[\xc8\xe8]" + _ID + _ID + rb")\x01"
    rb"(?:\x7b.{8}|\x7c.{4}|\x7d[\x80-\xff]{0,7}[\x00-\x7f]|[\x78\x79\x7e\x7f])\x00\Z)"
    rb"|\x00\x01" + _CLIENT + rb"\x01" + _CLOCK + rb"(?:[\x01-\x7f]|[\x80-\xff]{1,3}[\x01-\x7f])\Z"
)  # fmt: skip
"""One short text of one struct, one number, boolean or null, or one deleted range."""

_plain: Final = _PLAIN.match

_SHARED_TYPE_HEADS: Final = bytes(flags | 7 for flags in range(0, 0x100, 0x20))
"""Every first byte that a struct with a shared type in it can have."""

_UNREADABLE: Final = "cannot be checked before it is read"
_TOO_MANY: Final = "announces more than there is in it"


ATOM: Final = 1
"""A plain update that brings one value, or deletes something."""
WORD: Final = 2
"""A plain update that brings text. Beside an entry of a map it takes over its key, which does not
show in it, and text under a key is what yrs cannot cut: what comes of it has to be read."""


def plain_kind(update: bytes) -> int:
    """Whether this is one short edit of the commonest kinds, in which nothing can be wrong.

    ATOM, WORD, or 0 if not. Nothing but what it builds upon: a single struct, of ASCII text or of
    a value of fixed size, or a single deletion. It may have to wait for others.
    """
    match = _plain(update)
    if match is None:
        return 0
    if match.lastindex is None:
        return ATOM
    # The text ends where the deletions begin, and there are none.
    end = match.end()
    size = update[end - 1]
    last = len(update) - 1
    if end + size == last and update[last] == 0 and update[end:].isascii():
        return WORD
    return 0


def is_plain(update: bytes) -> bool:
    """Whether this is an edit of one of those kinds."""
    return plain_kind(update) > 0


def is_shallow(update: bytes) -> bool:
    """Whether there are too few shared types in a full state to be nested dangerously deep.

    A recursion of yrs: shared types within shared types, some 500 bytes of stack each. They can
    be nested by many small updates, so that no update shows it. False says nothing.
    """
    return most_types(update) <= DEEPEST


def most_types(update: bytes) -> int:
    """At most so many shared types are made in an update: bytes that could be the head of one."""
    return len(update) - len(update.translate(None, _SHARED_TYPE_HEADS))


def state_fault(state: bytes) -> str | None:
    """Why yrs should not read this state vector; None when it may.

    yrs makes room at once for as many clients as a state vector announces.
    """
    try:
        lines, _ = read_var_uint(state, 0)
    except MalformedUpdate:
        return _UNREADABLE
    return _TOO_MANY if lines * 2 > len(state) else None

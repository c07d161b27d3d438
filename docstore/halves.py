"""Characters cut in half, as Yjs does it, which yrs cannot.

In Yjs's count a character beyond U+FFFF (emoji, 𝄞) is two units, and takes two clocks. An editor
that replaces one emoji by another with the same first half deletes one unit and inserts one. Yjs
then makes U+FFFD of each half (`ContentString.splice`). yrs keeps the whole character on one side
and nothing on the other; what it encodes from then on has other clocks than everybody else's.

So yrs must never cut there: the character is replaced by two U+FFFD, as long in units, in what
yrs has read of it, before the update that cuts it is applied. The outcome is Yjs's, in any order.

Pure: bytes in, bytes out. Most documents have no such characters in their texts and cost one
search for a byte pattern.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from docstore import outline
from docstore.numbers import write_var_uint

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Place: TypeAlias = "tuple[int, int]"
"""A client, and a clock of its."""

_WIDE: Final = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")
"""A character of four bytes in UTF-8; also the beginning of one client's number in 200."""

_HALVES: Final = "\ufffd\ufffd".encode()


def may_have(update: bytes) -> bool:
    """Whether there may be characters of two units in an update. False is certain."""
    return _WIDE.search(update) is not None


class Seams:
    """Implements `outline.Witness`: where one update could be cut in half, and where it cuts."""

    def __init__(self, update: bytes) -> None:
        self.middles: set[Place] = set()
        """Second halves in the texts of this update."""
        self.cuts: set[Place] = set()
        """Where it inserts or deletes; in its own texts, or in others'."""
        self._update = update

    def text(self, client: int, clock: int, head: int, at: int, end: int) -> None:
        """See `outline.Witness`."""
        self.middles.update(
            (client, clock + offset) for _, offset in _middles(self._update[at:end])
        )

    def cut(self, client: int, clock: int) -> None:
        """See `outline.Witness`."""
        self.cuts.add((client, clock))


def survey(updates: Sequence[bytes]) -> tuple[set[Place], set[Place]]:
    """Of updates that make up a document: the middles that nobody cuts, and those that are cut.

    Nothing that cannot be read is counted: it will not be applied either.
    """
    middles: set[Place] = set()
    cuts: set[Place] = set()
    if not any(map(may_have, updates)):
        return middles, cuts
    for update in updates:
        seams = Seams(update)
        try:
            outline.outline(update, seams, lenient=True)
        except outline.Unfit:
            continue
        middles |= seams.middles
        cuts |= seams.cuts
    return middles - cuts, middles & cuts


def cut_by(update: bytes, middles: set[Place]) -> set[Place]:
    """The characters that an update cuts in half: among these, or of its own.

    When it is none, its own are added to `middles`. Raises outline.Unfit.
    """
    if not middles and not may_have(update):
        return set()
    seams = Seams(update)
    outline.outline(update, seams)
    # Not of the union: there may be very many characters, and a copy of them for each update.
    if cut := (seams.cuts & middles) | (seams.cuts & seams.middles):
        return cut
    middles |= seams.middles
    return set()


def mend(update: bytes, middles: Collection[Place]) -> bytes:
    """The update with two U+FFFD for each character whose second half is among these.

    Raises outline.Unfit.
    """
    if not may_have(update):
        return update
    mender = _Mender(update, middles)
    outline.outline(update, mender, lenient=True)
    return mender.done()


class _Mender:
    """Implements `outline.Witness`: copies an update, but for the characters to be replaced."""

    def __init__(self, update: bytes, middles: Collection[Place]) -> None:
        self._update = update
        self._middles = middles
        self._out: list[bytes] = []
        self._copied = 0

    def text(self, client: int, clock: int, head: int, at: int, end: int) -> None:
        """See `outline.Witness`."""
        text = self._update[at:end]
        out: list[bytes] = []
        copied = 0
        for byte, offset in _middles(text):
            if (client, clock + offset) in self._middles:
                out += (text[copied:byte], _HALVES)
                copied = byte + 4
        if out:
            mended = b"".join([*out, text[copied:]])
            self._out += (self._update[self._copied : head], write_var_uint(len(mended)), mended)
            self._copied = end

    def cut(self, client: int, clock: int) -> None:
        """Of no interest here."""

    def done(self) -> bytes:
        """The copy."""
        return b"".join([*self._out, self._update[self._copied :]])


def _middles(text: bytes) -> list[tuple[int, int]]:
    """Of each character of two units: its byte, and how many units are before its second half."""
    found: list[tuple[int, int]] = []
    units = copied = 0
    for match in _WIDE.finditer(text):
        at = match.start()
        units += len(text[copied:at].decode())
        found.append((at, units + 1))
        units += 2
        copied = at + 4
    return found

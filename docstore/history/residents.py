"""Documents that stay in memory from one commit to the next, in a process of its own. Pure.

To commit, a process needs the document as it is now, what it said at the commit before, and the
state that the new one will be stored against. All three are kept, so that what has to be sent is
what was edited since, and what has to be read is what that touched. What is not here any more is
asked for, and nothing is done meanwhile. A document is known by its number and its incarnation:
while that is the same it only grows, so what we have and what we lack is all of it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, NamedTuple

import msgspec

from docstore import crdt
from docstore.errors import DocumentUnreadable
from docstore.history import chain, content, summary
from docstore.history import diff as diffs
from docstore.history.living import Living, Touched, opened

DOCUMENTS_BYTES: Final = 16 * 1024 * 1024
"""Sizes of the states of documents that are kept; in memory each takes some 20 times as much."""

MOST_DOCUMENTS: Final = 256
"""However small they are."""

STATES_BYTES: Final = 48 * 1024 * 1024
"""States that later ones may be stored against, kept as they are."""

LARGEST: Final = 8 * 1024 * 1024
"""States above this are not for us: they would push all the others out."""


class Ask(msgspec.Struct, array_like=True):
    """A state to be committed."""

    document_id: int
    incarnation: int
    whole: bool
    """Whether the update is the whole document, or what it has beyond what is kept here."""
    update: bytes
    state_vector: bytes
    """What the document holds, per client."""
    before: bytes | None
    """The digest of the content of the commit before; None: there is none."""
    base: bytes | None
    """The SHA-256 of the state to store it against; None: it is stored whole."""
    anyway: bool
    """Whether to store it although it says the same as the commit before."""
    before_chain: list[chain.Packed] = []
    """The state of the commit before, as it is stored, if it was asked for."""
    base_chain: list[chain.Packed] = []


class Made(msgspec.Struct, array_like=True, tag="made"):
    """What is to be written down."""

    content_sha256: bytes
    changes: dict[str, Any]
    """Since the commit before: see `summary.numbers`."""
    packed: chain.Packed | None
    """None: it says the same as the commit before."""


class Missing(msgspec.Struct, array_like=True, tag="missing"):
    """What has to be sent along. Nothing was done."""

    document: bool
    before: bool
    base: bool


class Failed(msgspec.Struct, array_like=True, tag="failed"):
    """The name of the error that it came to."""

    error: str


class Resident(NamedTuple):
    """A document that is kept."""

    incarnation: int
    living: Living
    sha256: bytes
    """The digest of what it says."""
    size: int


class Residents:
    """Everything that is kept here, what was used last at the end."""

    def __init__(self) -> None:
        self._documents: OrderedDict[int, Resident] = OrderedDict()
        self._states: OrderedDict[bytes, bytes] = OrderedDict()

    def answer(self, ask: Ask) -> Made | Missing:
        """Take a document's changes in, and say what its commit is.

        Raises DocumentUnreadable, DocumentTooDeep, SnapshotDamaged; the document is then let go.
        """
        resident = self._documents.pop(ask.document_id, None)
        missing = self._missing(ask, resident)
        if missing.document or missing.before or missing.base:
            if resident is not None:
                self._documents[ask.document_id] = resident
            return missing
        before, within = self._before(ask, resident), None
        living = None
        if resident is not None:
            if resident.incarnation == ask.incarnation:
                living = resident.living
            else:
                resident.living.close()
        try:
            if living is None:
                living = Living(opened(ask.update))
            else:
                same = living.known.content is before
                living.apply(ask.update)
                within = living.touched if same else None
            return self._made(ask, before, living, within)
        except BaseException as problem:
            if living is not None:
                self._documents.pop(ask.document_id, None)
                living.close()
            if isinstance(problem, crdt.MalformedUpdate | crdt.PoisonUpdate):
                raise DocumentUnreadable from problem
            raise

    def _missing(self, ask: Ask, resident: Resident | None) -> Missing:
        here = resident is not None and resident.incarnation == ask.incarnation
        known = resident is not None and resident.sha256 == ask.before
        return Missing(
            document=not here and not ask.whole,
            before=ask.before is not None and not known and not ask.before_chain,
            base=ask.base is not None and ask.base not in self._states and not ask.base_chain,
        )

    def _before(self, ask: Ask, resident: Resident | None) -> content.Content:
        if ask.before is None:
            return {}
        if resident is not None and resident.sha256 == ask.before:
            return resident.living.known.content
        try:
            return content.read(chain.unpack(ask.before_chain))
        except (crdt.MalformedUpdate, crdt.PoisonUpdate) as problem:
            raise DocumentUnreadable from problem

    def _made(
        self, ask: Ask, before: content.Content, living: Living, within: Touched | None
    ) -> Made | Missing:
        if _clocks(living.state_vector) != _clocks(ask.state_vector):
            # Something is in the one and not in the other; with all of it sent, that is no document.
            if ask.whole:
                raise DocumentUnreadable
            living.close()
            return Missing(document=True, before=False, base=False)
        state, sha256 = living.state(), living.known.sha256
        self._keep(ask, Resident(ask.incarnation, living, sha256, len(state)))
        if sha256 == ask.before and not ask.anyway:
            return Made(sha256, {}, None)
        found = diffs.diff(before, living.known.content, within)
        packed = chain.pack(state, self._base(ask))
        self._keep_state(packed.sha256, state)
        return Made(sha256, summary.numbers(found), packed)

    def _base(self, ask: Ask) -> bytes | None:
        if ask.base is None:
            return None
        if ask.base not in self._states:
            self._keep_state(ask.base, chain.unpack(ask.base_chain))
        self._states.move_to_end(ask.base)
        return self._states[ask.base]

    # ---------------------------------------------------------------- keeping

    def _keep(self, ask: Ask, resident: Resident) -> None:
        kept = self._documents
        kept[ask.document_id] = resident
        size = sum(each.size for each in kept.values())
        while size > DOCUMENTS_BYTES or len(kept) > MOST_DOCUMENTS:
            _, gone = kept.popitem(last=False)
            gone.living.close()
            size -= gone.size

    def _keep_state(self, sha256: bytes, state: bytes) -> None:
        kept = self._states
        kept[sha256] = state
        kept.move_to_end(sha256)
        size = sum(map(len, kept.values()))
        while size > STATES_BYTES and len(kept) > 1:
            _, gone = kept.popitem(last=False)
            size -= len(gone)


def _clocks(state_vector: bytes) -> dict[int, int]:
    return crdt.decode_state_vector(state_vector)

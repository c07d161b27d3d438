"""From one content to another by ordinary forward operations. Pure: bytes in, an update out.

Promise: applied to a document in the state that was given, the update makes its content exactly
what is wanted, whatever the shared types. What stands at the same place with the same type in both
is changed inside, never replaced, so that the edits of somebody who is offline now still find
where they belong. Nothing is undone in the history: what is reached can be reached back.

yrs cannot make XML elements and XML texts everywhere that Yjs can. There an empty text is made in
their stead on a copy, and the type is changed in the bytes of that copy's update. All else is made
first, so that where they belong is found by order (`docstore/history/completing.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pycrdt

from docstore import crdt
from docstore.history import content
from docstore.history.content import SharedArray, SharedMap, SharedText, SharedXmlFragment
from docstore.history.overlay import overlay
from docstore.history.writing import ContentUnreachable as ContentUnreachable
from docstore.history.writing import Writer
from docstore.numbers import read_var_uint, write_var_uint

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from docstore.history.content import Content, Path, SharedXmlElement, SharedXmlText

_ROUNDS: Final = 16
"""Levels of types that yrs cannot make, within one another."""


def reach(
    live: bytes, wanted: bytes, *, client_id: int, only: Collection[Path] | None = None
) -> bytes | None:
    """An update that gives a document in state `live` the content of `wanted`; None if it has it.

    only: paths to touch (root, root and key, or deeper); everything else is left as it is.
    client_id: whose operations these are; one that has never written to the document.
    Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep, ContentUnreachable.
    """
    return reach_content(live, content.read(wanted), client_id=client_id, only=only)


def reach_content(
    live: bytes, wanted: Content, *, client_id: int, only: Collection[Path] | None = None
) -> bytes | None:
    """The same, where the wanted content is known."""
    doc: crdt.Document = pycrdt.Doc(client_id=client_id)
    crdt.apply_all(doc, (live,))
    doc, have = content.readable(doc)
    if only is not None:
        wanted = overlay(have, wanted, only)
    wanted = {name: node for name, node in wanted.items() if not is_empty_root(node)}
    if have == wanted:
        return None
    with crdt.guarded():
        before = doc.get_state()
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for whole in (False, True):
        have = _reached(doc, have, wanted, whole=whole)
        if have == wanted:
            doc.unobserve(subscription)
            if len(updates) == 1:
                return updates[0]
            with crdt.guarded():
                return doc.get_update(before)
    raise ContentUnreachable


def is_empty_root(node: content.Node) -> bool:
    """Whether a root that holds this cannot be told from one that is not there."""
    match node:
        case SharedMap(inner) | SharedArray(inner) | SharedText(inner) | SharedXmlFragment(inner):
            return not inner
        case _:
            return False


def _reached(doc: crdt.Document, have: Content, wanted: Content, *, whole: bool) -> Content:
    """Change the document; what it says then."""
    for round_ in range(_ROUNDS):
        left_out = _written(doc, have, wanted, whole=whole, odd=False, completing=round_ > 0)
        have = content.read_doc(doc)
        if not left_out:
            break
        whole = False
        crdt.apply_all(doc, (_stand_ins(doc, have, wanted),))
        have = content.read_doc(doc)
    return have


def _written(
    doc: crdt.Document, have: Content, wanted: Content, *, whole: bool, odd: bool, completing: bool
) -> Sequence[SharedXmlText | SharedXmlElement]:
    with crdt.guarded(), doc.transaction() as transaction:
        inner = doc._doc  # pyright: ignore[reportPrivateUsage]
        txn = transaction._txn  # pyright: ignore[reportPrivateUsage]
        writer = Writer(inner, txn, whole=whole, odd=odd, completing=completing)
        writer.roots(have, wanted)
    return writer.stood_in


def _stand_ins(doc: crdt.Document, have: Content, wanted: Content) -> bytes:
    """An update that makes the types, still empty, which yrs cannot make in their places."""
    with crdt.guarded():
        state = doc.get_update()
    copy: crdt.Document = pycrdt.Doc(client_id=doc.client_id)
    crdt.apply_all(copy, (state,))
    updates: list[bytes] = []
    subscription = copy.observe(lambda event: updates.append(event.update))
    stood_in = _written(copy, have, wanted, whole=False, odd=True, completing=True)
    copy.unobserve(subscription)
    if not updates:
        raise ContentUnreachable
    return _retyped(updates[0], stood_in)


_ORIGIN, _RIGHT_ORIGIN, _PARENT_SUB, _CONTENT = 0x80, 0x40, 0x20, 0x1F
_FORMAT, _TYPE = 6, 7
_TEXT, _XML_ELEMENT, _XML_TEXT = 2, 3, 6


def _retyped(update: bytes, types: Sequence[SharedXmlText | SharedXmlElement]) -> bytes:
    """The update with other types in place of its texts, in order. It holds nothing but those."""
    sections, at = read_var_uint(update, 0)
    structs, at = read_var_uint(update, at)
    _, at = read_var_uint(update, at)  # client
    _, at = read_var_uint(update, at)  # clock
    parts: list[bytes] = []
    start, left = 0, list(types)
    for _ in range(structs):
        info = update[at]
        at = _behind_parents(update, at + 1, info)
        if info & _CONTENT == _FORMAT:
            at = _behind_text(update, _behind_text(update, at))
        elif info & _CONTENT == _TYPE and update[at] == _TEXT and left:
            parts += [update[start:at], _type(left.pop(0))]
            start = at = at + 1
        else:
            raise ContentUnreachable
    if sections != 1 or left:
        raise ContentUnreachable
    return b"".join([*parts, update[start:]])


def _behind_parents(update: bytes, at: int, info: int) -> int:
    numbers = 2 * (bool(info & _ORIGIN) + bool(info & _RIGHT_ORIGIN))
    is_named = False
    if not numbers:
        is_named, at = update[at] == 1, at + 1
        numbers = 0 if is_named else 2
        at = _behind_text(update, at) if is_named else at
    for _ in range(numbers):
        _, at = read_var_uint(update, at)
    has_key = info & _PARENT_SUB and not info & (_ORIGIN | _RIGHT_ORIGIN)
    return _behind_text(update, at) if has_key else at


def _behind_text(update: bytes, at: int) -> int:
    length, at = read_var_uint(update, at)
    return at + length


def _type(node: SharedXmlText | SharedXmlElement) -> bytes:
    if isinstance(node, content.SharedXmlText):
        return bytes([_XML_TEXT])
    tag = node.tag.encode()
    return bytes([_XML_ELEMENT]) + write_var_uint(len(tag)) + tag

"""Changes a document from what it says to what is wanted, with ordinary forward operations. Pure.

One transaction long. A shared type that stays is changed inside, so that what others do in it
meanwhile lands in it. Sequences are changed from right to left, so that places stay valid.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pycrdt import _pycrdt as yrs  # pyright: ignore[reportPrivateUsage] (what the public wrappers wrap)

from base.errors import AppError
from docstore.history import align, completing, passages
from docstore.history.content import (
    Plain,
    Reader,
    Run,
    SharedArray,
    SharedMap,
    SharedText,
    SharedXmlElement,
    SharedXmlFragment,
    SharedXmlText,
    Subdocument,
    node_digest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docstore.history.content import Content, Node, Value

Handle: TypeAlias = "Any"
"""A shared type of yrs."""

_FORMAT_ROUNDS: Final = 3
"""Times that the formatting of a text is compared and mended: to clear one may uncover another."""


class ContentUnreachable(AppError):
    """The document holds, or is to hold, what cannot be written there; download its state instead."""

    code = "content_unreachable"


class Writer:
    """Changes shared types within one transaction.

    `whole`: entries of roots are replaced instead of changed inside; for documents that hold what
    does not show, and is in the way.
    `odd`: only what yrs cannot make in that place is made, as an empty text in its stead; see
    `docstore/history/reach.py`. Without it, just that is left out.
    `completing`: nothing but that is missing; see `docstore/history/completing.py`.
    """

    def __init__(
        self,
        doc: yrs.Doc,
        txn: Any,  # noqa: ANN401
        *,
        whole: bool,
        odd: bool,
        completing: bool,
    ) -> None:
        self._doc = doc
        self._txn = txn
        self._reader = Reader(txn, wary=False)
        self._whole = whole
        self._only_odd = odd
        self._is_completing = completing
        self.stood_in: list[SharedXmlText | SharedXmlElement] = []
        """In the order in which texts were put in their places, or left out."""

    # ------------------------------------------------------------ roots

    def roots(self, have: Content, want: Content) -> None:
        """Change all that differs."""
        for name in sorted({*have, *want}):
            mine, wanted = have.get(name), want.get(name)
            if mine != wanted:
                self._root(name, mine, wanted)

    def _root(self, name: str, have: Node | None, want: Node | None) -> None:
        are_maps = isinstance(have, SharedMap) and isinstance(want, SharedMap)
        if not are_maps and (type(have) is not type(want) or self._whole):
            self._clear(name)
            have = None
        match want:
            case None:
                return
            case SharedMap():
                found = self._doc.get_or_insert_map(self._txn, name)
                have = SharedMap({}) if have is None else have
            case SharedArray():
                found = self._doc.get_or_insert_array(self._txn, name)
                have = SharedArray([]) if have is None else have
            case SharedText():
                found = self._doc.get_or_insert_text(self._txn, name)
                have = SharedText(()) if have is None else have
            case SharedXmlFragment():
                found = self._doc.get_or_insert_xml_fragment(self._txn, name)
                have = SharedXmlFragment([]) if have is None else have
            case _:
                raise ContentUnreachable
        self._inside(found, have, want, top=True)

    def _clear(self, name: str) -> None:
        """Empty a root of everything, also of what does not show."""
        if self._only_odd:
            return
        text: Handle = self._doc.get_or_insert_text(self._txn, name)
        sequence: Handle = text
        if not any(isinstance(part, str) for part, _ in text.diff(self._txn)):
            # Each type counts in its own way; yrs never returns from an array's look at letters.
            sequence = self._doc.get_or_insert_array(self._txn, name)
        if length := sequence.len(self._txn):
            sequence.remove_range(self._txn, 0, length)
        mapping: Handle = self._doc.get_or_insert_map(self._txn, name)
        for key in mapping.keys(self._txn):
            mapping.remove(self._txn, key)

    # ------------------------------------------------------------ what stays, and what is new

    def _inside(self, found: Handle, have: Node, want: Node, *, top: bool = False) -> None:
        """Change a shared type into another of its kind."""
        match have, want:
            case (SharedMap(mine), SharedMap(wanted)):
                self._entries(found, mine, wanted, whole=top and self._whole)
            case (SharedArray(mine), SharedArray(wanted)):
                self._sequence(found, mine, wanted)
            case (SharedText(mine), SharedText(wanted)):
                self._text(found, mine, wanted)
            case (SharedXmlFragment(mine), SharedXmlFragment(wanted)):
                self._sequence(found, mine, wanted)
            case (SharedXmlElement(), SharedXmlElement()):
                self._attributes(found, have.attributes, want.attributes)
                self._sequence(found, have.children, want.children)
            case (SharedXmlText(), SharedXmlText()):
                self._attributes(found, have.attributes, want.attributes)
                self._text(found, have.runs, want.runs)
            case _:
                raise ContentUnreachable

    def _fill(self, made: Handle, want: Node) -> None:
        """Give a new shared type what it is to hold."""
        match want:
            case SharedMap():
                self._inside(made, SharedMap({}), want)
            case SharedArray():
                self._inside(made, SharedArray([]), want)
            case SharedText():
                self._inside(made, SharedText(()), want)
            case SharedXmlFragment():
                self._inside(made, SharedXmlFragment([]), want)
            case SharedXmlElement(tag):
                self._inside(made, SharedXmlElement(tag, {}, []), want)
            case SharedXmlText():
                self._inside(made, SharedXmlText((), {}), want)
            case _:
                raise ContentUnreachable

    # ------------------------------------------------------------ maps and attributes

    def _entries(
        self, found: Handle, have: dict[str, Node], want: dict[str, Node], *, whole: bool
    ) -> None:
        for key in sorted(have.keys() - want.keys()):
            self._remove_key(found, key)
        for key in sorted(want):
            mine, wanted = have.get(key), want[key]
            if mine is None:
                self._put(found, key, wanted)
            elif mine == wanted:
                continue
            elif align.same_kind(mine, wanted) and not whole:
                self._inside(found.get(self._txn, key), mine, wanted)
            else:
                if isinstance(wanted, SharedXmlElement | SharedXmlText):
                    self._remove_key(found, key)
                self._put(found, key, wanted)

    def _remove_key(self, found: Handle, key: str) -> None:
        if not self._only_odd:
            found.remove(self._txn, key)

    def _put(self, found: Handle, place: str | int, want: Node) -> bool:
        """Make something new under a key of a map, or at a place of an array; False if left out."""
        txn = self._txn
        if isinstance(want, SharedXmlElement | SharedXmlText):
            self.stood_in.append(want)
            if self._only_odd:
                found.insert_text_prelim(txn, place)
            return self._only_odd
        if self._only_odd:
            return False
        match want:
            case Plain(value):
                found.insert(txn, place, raw(value))
            case Subdocument(guid):
                found.insert_doc(txn, place, yrs.Doc(None, None, guid))
            case SharedMap():
                self._fill(found.insert_map_prelim(txn, place), want)
            case SharedArray():
                self._fill(found.insert_array_prelim(txn, place), want)
            case SharedText():
                self._fill(found.insert_text_prelim(txn, place), want)
            case SharedXmlFragment():
                self._fill(found.insert_xmlfragment_prelim(txn, place), want)
        return True

    def _attributes(self, found: Handle, have: dict[str, Node], want: dict[str, Node]) -> None:
        for key in sorted(have.keys() - want.keys()):
            if not self._only_odd:
                found.remove_attribute(self._txn, key)
        for key in sorted(want):
            mine, wanted = have.get(key), want[key]
            if mine == wanted:
                continue
            if mine is not None and align.same_kind(mine, wanted):
                self._inside(found.attribute(self._txn, key), mine, wanted)
            elif isinstance(wanted, Plain) and not self._only_odd:
                found.insert_attribute(self._txn, key, raw(wanted.value))

    # ------------------------------------------------------------ arrays and XML's children

    def _sequence(self, found: Handle, have: Sequence[Node], want: Sequence[Node]) -> None:
        for change, stays in reversed(self._differing(found, have, want)):
            olds, news = have[change.start : change.stop], want[change.begin : change.end]
            # What becomes what cuts the change into pieces in which nothing stays.
            borders = [(-1, -1), *stays, (len(olds), len(news))]
            for (i, j), (stop, end) in reversed([*pairwise(borders)]):
                if stop < len(olds) and olds[stop] != news[end]:
                    child = found.get(self._txn, change.start + stop)
                    self._inside(child, olds[stop], news[end])
                if stop > i + 1 and not self._only_odd:
                    found.remove_range(self._txn, change.start + i + 1, stop - i - 1)
                self._insert(found, change.start + i + 1, news[j + 1 : end])

    def _differing(
        self, found: Handle, have: Sequence[Node], want: Sequence[Node]
    ) -> list[tuple[align.Change, list[tuple[int, int]]]]:
        """What to replace, and which of it becomes which."""
        if self._is_completing:
            stays = completing.pairs(have, want, odd=isinstance(found, yrs.Array))
            if stays is not None:
                return [(align.Change(0, len(have), 0, len(want)), stays)]
        differing = align.changes(
            [node_digest(node) for node in have], [node_digest(node) for node in want]
        )
        return [
            (change, align.pairs(have[change.start : change.stop], want[change.begin : change.end]))
            for change in differing
        ]

    def _insert(self, found: Handle, at: int, nodes: Sequence[Node]) -> None:
        if isinstance(found, yrs.Array):
            for node in nodes:
                at += self._put(found, at, node)
            return
        if self._only_odd:
            return
        for node in nodes:
            if isinstance(node, SharedXmlElement):
                self._fill(found.insert_element_prelim(self._txn, at, node.tag), node)
            elif isinstance(node, SharedXmlText):
                self._fill(found.insert_str(self._txn, at, ""), node)
            else:
                raise ContentUnreachable
            at += 1

    # ------------------------------------------------------------ texts

    def _text(self, found: Handle, have: tuple[Run, ...], want: tuple[Run, ...]) -> None:
        if isinstance(found, yrs.Text) and found.len(self._txn) != passages.size(have):
            # It holds what does not show: places in it mean something else than they seem to.
            if not self._only_odd:
                found.remove_range(self._txn, 0, found.len(self._txn))
            have = ()
        edits = None
        if self._is_completing:
            edits = completing.edits(have, want, odd=not _takes_xml(found))
        for edit in reversed(passages.edits(have, want) if edits is None else edits):
            match edit:
                case passages.Within(ordinal, old, new):
                    parts = (part for part, _ in found.diff(self._txn))
                    embedded = [part for part in parts if not isinstance(part, str)]
                    self._inside(embedded[ordinal], old, new)
                case passages.Replace(at, length, runs):
                    if length and not self._only_odd:
                        found.remove_range(self._txn, at, length)
                    for run in runs:
                        at += self._write(found, at, run)
        if not self._only_odd:
            self._format(found, want)

    def _write(self, found: Handle, at: int, run: Run) -> int:
        """Insert a run; how much room it takes."""
        txn = self._txn
        takes_xml = _takes_xml(found)
        formats = iter([(key, raw(value.value)) for key, value in run.attributes.items()])
        match run.insert:
            case str(text):
                if not self._only_odd:
                    found.insert(txn, at, text, formats)
                    return len(text.encode())
                return 0
            case SharedXmlElement() | SharedXmlText() as wanted if not takes_xml:
                self.stood_in.append(wanted)
                if self._only_odd:
                    found.insert_text_prelim(txn, at, formats)
                return int(self._only_odd)
            case _ if self._only_odd:
                return 0
            case Plain(value):
                found.insert_embed(txn, at, raw(value), formats)
            case SharedMap() as wanted:
                self._fill(found.insert_map_prelim(txn, at, formats), wanted)
            case SharedArray() as wanted:
                self._fill(found.insert_array_prelim(txn, at, formats), wanted)
            case SharedText() as wanted:
                self._fill(found.insert_text_prelim(txn, at, formats), wanted)
            case SharedXmlElement(tag) as wanted:
                self._fill(found.insert_xmlelement_prelim(txn, at, tag, formats), wanted)
            case SharedXmlText() as wanted:
                self._fill(found.insert_xmltext_prelim(txn, at, formats), wanted)
            case _ as wanted:
                raise ContentUnreachable
        return 1

    def _format(self, found: Handle, want: tuple[Run, ...]) -> None:
        """Give what is there the formatting that is wanted."""
        for _ in range(_FORMAT_ROUNDS):
            differing = passages.formats(self._reader.runs(found, 1), want)
            if not differing:
                return
            for at, length, attributes in differing:
                found.format(
                    self._txn,
                    at,
                    length,
                    iter([(key, raw(value.value)) for key, value in sorted(attributes.items())]),
                )


def _takes_xml(found: Handle) -> bool:
    return isinstance(found, yrs.XmlText)


def raw(value: Value) -> object:
    """As yrs is to write it: whole numbers as JavaScript has them, where that loses nothing."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return float(value) if int(float(value)) == value else value
    if isinstance(value, list):
        return [raw(part) for part in value]
    if isinstance(value, dict):
        return {key: raw(part) for key, part in value.items()}
    return value

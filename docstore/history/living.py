"""A document whose content is known, and stays known while updates come in. Pure.

Reading a document costs a microsecond for each of its leaves. Here only those entries of a root
are read again that an update touched: yrs tells which. A root that is no map is one entry.
What comes of it is exactly what reading everything would give.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias, cast

import pycrdt

from docstore import crdt, letters
from docstore.history import content
from docstore.history.content import Content, Node, SharedMap

_MOST_EVENTS: Final = 2_000
"""Shared types that an update may change within a root before all of the root is read again: to
find out where in the root one is takes a step for each element that stands before it."""

Touched: TypeAlias = "dict[str, set[str] | None]"
"""By root: which of its entries; None: all of it."""


class Known(NamedTuple):
    """What a document says. Never changed: what comes later is another one."""

    content: Content
    digests: dict[str, dict[str, bytes]]
    """As `content.digests` gives them."""

    @property
    def sha256(self) -> bytes:
        """The digest of the content."""
        return content.digest_of(self.digests)


def opened(state: bytes) -> crdt.Document:
    """The document of a full state. Raises MalformedUpdate, PoisonUpdate."""
    doc: crdt.Document = pycrdt.Doc()
    crdt.apply_all(doc, (state,))
    return doc


class Living:
    """A document of ours, which nobody else may change. After any error it must be closed."""

    def __init__(self, doc: crdt.Document) -> None:
        """Reads all of it. Raises PoisonUpdate, DocumentTooDeep."""
        self.doc = doc
        self._watched: list[pycrdt.Subscription] = []
        self._touched: Touched = {}
        self._problem: BaseException | None = None
        self._roots: set[str] = set()
        self.known = Known({}, {})
        self._read()

    @property
    def state_vector(self) -> bytes:
        """What the document holds, per client."""
        with crdt.guarded():
            return self.doc.get_state()

    def state(self) -> bytes:
        """All of it as one update. Raises PoisonUpdate."""
        with crdt.guarded():
            return self.doc.get_update()

    def close(self) -> None:
        """Let go of the document. Without this yrs keeps it for as long as it keeps what watches."""
        for watching in self._watched:
            watching.drop()
        self._watched.clear()

    def apply(self, update: bytes) -> Known:
        """What the document says after an update, which is then also `known`.

        Raises MalformedUpdate, PoisonUpdate, DocumentTooDeep.
        """
        self._touched = {}
        with crdt.guarded():
            self.doc.apply_update(update)
            if self._problem is not None:
                raise self._problem
        self._read()
        return self.known

    @property
    def touched(self) -> Touched:
        """What the last update may have changed; nothing else differs from before."""
        return self._touched

    # ---------------------------------------------------------------- reading

    def _read(self) -> None:
        """Read what was touched, and roots that are new."""
        with crdt.guarded():
            try:
                self.known = self._read_touched()
            except letters.Suspicious:
                # yrs cannot read it as it is; all is read in a copy.
                found = content.read_doc(self.doc)
                self._touched = dict.fromkeys(self.known.content.keys() | found.keys())
                self.known = Known(found, content.digests(found))

    def _read_touched(self) -> Known:
        found, digests = dict(self.known.content), dict(self.known.digests)
        with self.doc.transaction() as transaction:
            txn = cast("Any", transaction._txn)  # pyright: ignore[reportPrivateUsage] (as in `content`)
            doc = self.doc._doc  # pyright: ignore[reportPrivateUsage]
            reader = content.Reader(txn)
            for name in set(doc.roots(txn)) - self._roots:
                self._watch(name, doc.get_or_insert_map(txn, name))
                self._touched[name] = None
            for name, keys in self._touched.items():
                before = found.get(name)
                read = None
                if keys is not None and isinstance(before, SharedMap):
                    read = reader.entries(doc, name, keys)
                if keys is None or read is None or not isinstance(before, SharedMap):
                    _put(found, digests, name, reader.root(doc, name))
                else:
                    _put_some(found, digests, name, before, keys, read)
        return Known(found, digests)

    # ---------------------------------------------------------------- what yrs tells

    def _watch(self, name: str, root: Any) -> None:  # noqa: ANN401 (yrs's own)
        """Be told of every change within a root.

        yrs gives a root the type as which it is first looked at, and events of that kind: as a map,
        so that they have keys.
        """

        def changed(events: list[Any]) -> None:
            # yrs has nobody to tell what is raised here.
            try:
                self._note(name, events)
            except BaseException as problem:  # noqa: BLE001 (raised again by `apply`)
                self._problem = problem

        self._roots.add(name)
        self._watched.append(root.observe_deep(changed))

    def _note(self, name: str, events: list[Any]) -> None:
        if not isinstance(self.known.content.get(name), SharedMap) or len(events) > _MOST_EVENTS:
            self._touched[name] = None
            return
        keys = self._touched.setdefault(name, set())
        if keys is None:
            return
        for event in events:
            path = event.path
            if path:
                keys.add(path[0])
                continue
            own = getattr(event, "keys", None)
            if not own:  # in order, not by key
                self._touched[name] = None
                return
            keys.update(own)


def _put(
    found: Content, digests: dict[str, dict[str, bytes]], name: str, node: Node | None
) -> None:
    if node is None:
        found.pop(name, None)
        digests.pop(name, None)
        return
    found[name] = node
    digests |= content.digests({name: node})


def _put_some(
    found: Content,
    digests: dict[str, dict[str, bytes]],
    name: str,
    before: SharedMap,
    keys: set[str],
    read: dict[str, Node],
) -> None:
    entries, hashed = dict(before.entries), dict(digests[name])
    for key in keys:
        node = read.get(key)
        if node is None:
            entries.pop(key, None)
            hashed.pop(key, None)
        elif node != entries.get(key):
            entries[key] = node
            hashed[key] = content.node_digest(node)
    if entries:
        found[name], digests[name] = SharedMap(entries), hashed
    else:
        _put(found, digests, name, None)

"""Who last changed what: each entry of a document traced to the row of the journal that set it.

The rows are applied one after the other to one document, and one deep observer for each root says
what each of them changed; nothing is read but the events. An entry's place is the names on the way
to it, from the root's on, to five names at most; lists and texts are one entry each, since the
places in them move. What was in the document before the first row has no answer here.
Pure: bytes and values.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

import pycrdt
from pycrdt import _pycrdt as yrs  # pyright: ignore[reportPrivateUsage] (events and maps as yrs gives them)

from docstore import crdt, loading, plain
from docstore.history.replay import replay, straight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from docstore.history.content import Path
    from docstore.history.replay import Replay, Row

DEEPEST: Final = 5
"""Names in a path: a root, a key, and three more. A change further in counts for what is here."""


class Touch(NamedTuple):
    """The last change of an entry."""

    author: UUID | None
    at: datetime
    seq: int
    removed: bool = False
    """Whether the change was to take it away."""
    past: int = 0
    """In which of several pasts that was."""


def blame(
    base: bytes | None, rows: Iterable[Row], entities: Collection[Path] | None = None
) -> dict[Path, Touch]:
    """Who last changed each entry, or each at and below `entities`, since `base`.

    A change of an entry is a change of all that it is in. A new entry is a change of all that
    came with it; of one that was removed only that is known.
    Raises MalformedUpdate, PoisonUpdate.
    """
    root = told(replay(base, rows))
    found: dict[Path, Touch] = {}
    for path in [()] if entities is None else entities:
        entry = root.at(path[:DEEPEST])
        if entry is not None:
            found.update(entry.all(path[:DEEPEST]))
    return found


def blame_through(
    pasts: Sequence[tuple[bytes | None, Sequence[Row]]], entity: Path
) -> list[tuple[Path, Touch]]:
    """The same for one entry, in the order of paths, through several pasts, the oldest first.

    Each goes on where the one before ends: it begins with a state that holds what that came to.
    Raises MalformedUpdate, PoisonUpdate.
    """
    entity = entity[:DEEPEST]
    root = _heard_straight(pasts, entity)
    if root is None:
        root = Entry()
        for number, (base, rows) in enumerate(pasts):
            told(replay(base, rows), Watch(root, number, entity))
    entry = root.at(entity)
    found = [] if entry is None else list(entry.all(entity))
    return sorted(found, key=lambda each: tuple(map(str, each[0])))


def _heard_straight(
    pasts: Sequence[tuple[bytes | None, Sequence[Row]]], entity: Path
) -> Entry | None:
    """What is known of an entry in one of our roots, if the rows can be applied as they come."""
    name = str(entity[0])
    if name not in plain.ROOTS:
        return None  # of which type it is can be seen in the end only
    root = Entry()
    for number, (base, rows) in enumerate(pasts):
        doc: crdt.Document = pycrdt.Doc()
        watch = Watch(root, number, entity)
        # What the base brings was there before.
        watch.deaf = base is not None
        shared = doc.get(name, type=_TYPES[plain.ROOTS[name]]).integrated
        subscription = shared.observe_deep(watch.listener(name))
        whole = straight(doc, base, sorted(rows, key=lambda row: row.seq), watch.begin)
        subscription.drop()
        if not whole or watch.failed:
            return None
    return root


def told(past: Replay, watch: Watch | None = None) -> Entry:
    """The same of a past that is at hand, as a tree. Raises MalformedUpdate, PoisonUpdate."""
    watch = Watch(Entry()) if watch is None else watch
    for _ in range(loading.MOST_LEFT_OUT):
        try:
            _listen(past, watch)
        except crdt.PoisonUpdate:
            # yrs can apply what it cannot report on: nothing that an honest client writes. So one
            # row is not heard, and nobody can hide the rest of the history behind it.
            watch.next += 1
        else:
            return watch.root
    _listen(past, watch)
    return watch.root


def _listen(past: Replay, watch: Watch) -> None:
    """Go on with the next step to be heard. Raises MalformedUpdate, PoisonUpdate."""
    doc: crdt.Document = pycrdt.Doc()
    heard = [step.update for step in past.steps[: watch.next]]
    crdt.apply_all(doc, heard if past.base is None else [past.base, *heard])
    watch.failed.clear()
    with crdt.guarded():
        subscriptions = [
            root.observe_deep(watch.listener(name)) for name, root in _roots(past.doc, doc)
        ]
        for row, update in past.steps[watch.next :]:
            watch.begin(row)
            with doc.transaction():
                doc.apply_update(update)
            if watch.failed:
                raise watch.failed[0]
            watch.next += 1
        for subscription in subscriptions:
            subscription.drop()


# ---------------------------------------------------------------- entries


class Entry:
    """What is known of one entry, and of those in it."""

    __slots__ = ("below", "touch")

    def __init__(self) -> None:
        self.touch: Touch | None = None
        self.below: dict[str, Entry] = {}

    def reach(self, path: Sequence[str], touch: Touch) -> Entry:
        """The entry at a path below this one, made where it is missing; all on the way is touched."""
        entry = self
        for name in path:
            below = entry.below.get(name)
            if below is None:
                below = entry.below[name] = Entry()
            below.touch = touch
            entry = below
        return entry

    def at(self, path: Path) -> Entry | None:
        """The entry at a path below this one, if anything is known of it."""
        entry: Entry | None = self
        for name in path:
            entry = entry.below.get(str(name)) if entry is not None else None
        return entry

    def all(self, path: Path) -> Iterator[tuple[Path, Touch]]:
        """What is known of an entry at `path` (this one), and of those in it."""
        waiting: list[tuple[Path, Entry]] = [(path, self)]
        while waiting:
            path, entry = waiting.pop()
            if entry.touch is not None:
                yield path, entry.touch
            waiting.extend(((*path, name), below) for name, below in entry.below.items())


# ---------------------------------------------------------------- watching


class _Subscription(Protocol):
    def drop(self) -> None: ...


class _Root(Protocol):
    def observe_deep(self, callback: Callable[[list[Any]], None], /) -> _Subscription: ...


class _Event(Protocol):
    @property
    def path(self) -> list[str | int]: ...
    @property
    def keys(self) -> Mapping[str, Mapping[str, object]]: ...
    @property
    def transaction(self) -> object: ...


class _Map(Protocol):
    def keys(self, txn: object, /) -> list[str]: ...
    def get(self, txn: object, key: str, /) -> object: ...


_TYPES: Final[dict[str, type[Any]]] = {
    "map": pycrdt.Map,
    "array": pycrdt.Array,
    "text": pycrdt.Text,
}


def _roots(whole: crdt.Document, doc: crdt.Document) -> list[tuple[str, _Root]]:
    """The roots to watch in `doc`: ours, and those that there will be in the end."""
    names = {*plain.ROOTS, *whole.keys()}
    return [(name, doc.get(name, type=_type_of(whole, name)).integrated) for name in sorted(names)]


def _type_of(whole: crdt.Document, name: str) -> type[Any]:
    """A root's type: yrs reports nothing of a root that it was not given one for."""
    if name in plain.ROOTS:
        return _TYPES[plain.ROOTS[name]]
    if len(whole.get(name, type=pycrdt.Map)) or not len(whole.get(name, type=pycrdt.Array)):
        return pycrdt.Map
    if str(whole.get(name, type=pycrdt.Text)):
        return pycrdt.Text
    if len(whole.get(name, type=pycrdt.XmlFragment).children):
        return pycrdt.XmlFragment
    return pycrdt.Array


class Watch:
    """Hears what each row changes: of everything, or of one entry and what is in it."""

    def __init__(self, root: Entry, past: int = 0, entity: Path = ()) -> None:
        self.root = root
        self.touch: Touch
        self.deaf = False
        """Until the first row."""
        self.next = 0
        """The step that is to be heard next."""
        self.failed: list[Exception] = []
        self.noted: dict[int, dict[Path, None]] | None = None
        """Where each row changed something, by its number, if that is wanted."""
        self._past = past
        self._entity = tuple(map(str, entity))

    def begin(self, row: Row) -> None:
        """What is heard from now on is of this row."""
        self.deaf = False
        self.touch = Touch(row.author, row.created_at, row.seq, past=self._past)

    def listener(self, name: str) -> Callable[[list[_Event]], None]:
        """What to call with the events of a root."""

        def listen(events: list[_Event]) -> None:
            if self.deaf:
                return
            try:
                for event in events:
                    self._hear(name, event)
            except Exception as error:  # noqa: BLE001 (yrs would drop it; raised behind the transaction)
                self.failed.append(error)

        return listen

    def _hear(self, root: str, event: _Event) -> None:
        path = event.path
        names = [root, *map(str, takewhile(_is_name, path))][:DEEPEST]
        if not self._concerns(names):
            return
        of_map = isinstance(event, yrs.MapEvent) and len(names) > len(path)
        above = len(names) < len(self._entity)
        if above and not of_map:
            return  # a list or a text where there is no such entry
        entry = self.root.at(tuple(names)) if above else None
        if entry is None:
            entry = self.root.reach(names, self.touch)
        if not of_map or len(names) >= DEEPEST:
            self._note(names)
            return
        for key, change in _keys(event).items():
            if above and key != self._entity[len(names)]:
                continue
            self._note([*names, key])
            if change["action"] == "delete":
                entry.reach((key,), self.touch._replace(removed=True)).below = {}
            else:
                self._fill(entry, key, change["newValue"], event.transaction, DEEPEST - len(names))

    def _note(self, names: Sequence[str]) -> None:
        if self.noted is not None:
            self.noted.setdefault(self.touch.seq, {})[tuple(names)] = None

    def _concerns(self, names: Sequence[str]) -> bool:
        """Whether a change at a place may be one of the entry that is asked for."""
        return all(name == wanted for name, wanted in zip(names, self._entity, strict=False))

    def _fill(self, entry: Entry, key: str, value: object, txn: object, levels: int) -> None:
        """A new value under a key, and what came with it."""
        waiting = [(entry, key, value, levels)]
        while waiting:
            entry, key, value, levels = waiting.pop()
            below = entry.reach((key,), self.touch)
            below.below = {}
            if levels > 1 and isinstance(value, yrs.Map):
                found = cast("_Map", value)
                for inner in found.keys(txn):
                    try:
                        content = found.get(txn, inner)
                    except ValueError:
                        continue  # formatting where a value should be: undefined
                    waiting.append((below, inner, content, levels - 1))


def _keys(event: _Event) -> Mapping[str, Mapping[str, object]]:
    """What a map's event says of keys."""
    try:
        return event.keys
    except BaseException as error:
        if not crdt.is_poison(error):
            raise
        # yrs stumbles over what no honest client puts under a key. The map counts as changed, and
        # nobody can hide the rest of a document's history by such a thing.
        return {}


def _is_name(step: str | int) -> bool:
    return isinstance(step, str)

"""Made-up collaborators: they edit documents of every shared type, and each edit is one update.

Not a test. Everything follows from the random generator that is passed in, so that a failure can
be repeated.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple, cast

from pycrdt import Array, Doc, Map, Text, XmlElement, XmlFragment, XmlText

WORDS = ("kick", "snare", "hat", "v", "uvw", "")
NAMES = (*WORDS, "ünder", "🎹 piano")
"""Not for texts that are cut: pycrdt counts their characters in another way than Python."""

Clocks = dict[int, int]


class Update(NamedTuple):
    """One transaction, or several merged."""

    data: bytes
    ends: Clocks
    """Of each client whose structs are in it: the clock after the last one."""


def clocks(doc: Doc[Any]) -> Clocks:
    """A document's state vector, read in the plainest way."""
    numbers: list[int] = []
    value = shift = 0
    for byte in doc.get_state():
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    pairs = iter(numbers[1:])
    return dict(zip(pairs, pairs, strict=True))


class Writer:
    """One client with its own copy."""

    def __init__(self, client: int, random: Random) -> None:
        self.doc: Doc[Any] = Doc(client_id=client)
        self.client = client
        self._random = random
        self._map = self.doc.get("map", type=Map[Any])
        self._array = self.doc.get("array", type=Array[Any])
        self._text = self.doc.get("text", type=Text)
        self._xml = self.doc.get("xml", type=XmlFragment)

    def edit(self) -> Update | None:
        """Change something; None when there was nothing to change."""
        emitted: list[bytes] = []
        subscription = self.doc.observe(lambda event: emitted.append(event.update))
        with self.doc.transaction():
            self._random.choice(_EDITS)(self)
        self.doc.unobserve(subscription)
        if not emitted:
            return None
        end = clocks(self.doc).get(self.client, 0)
        has_structs = emitted[0][:1] != b"\x00"
        return Update(emitted[0], {self.client: end} if has_structs else {})

    def receive(self, *updates: bytes) -> None:
        """Apply what others wrote."""
        for update in updates:
            self.doc.apply_update(update)

    def since(self, state: bytes, known: Clocks) -> Update:
        """Everything that a client with this state lacks, as one update."""
        now = clocks(self.doc)
        return Update(
            self.doc.get_update(state),
            {client: end for client, end in now.items() if end > known.get(client, 0)},
        )

    def value(self, depth: int = 0) -> Any:
        """A plain value."""
        random = self._random
        choice = random.randrange(9 if depth < 3 else 7)
        if choice == 7:
            return [self.value(depth + 1) for _ in range(random.randrange(4))]
        if choice == 8:
            return {f"k{at}": self.value(depth + 1) for at in range(random.randrange(4))}
        return (
            random.choice(NAMES),
            random.randrange(-(2**40), 2**40),
            random.random() * 1e6,
            None,
            random.random() < 0.5,
            random.randbytes(random.randrange(12)),
            random.randrange(100),
        )[choice]

    def shared(self) -> Any:
        """A shared type with something in it."""
        return self._random.choice(
            (
                lambda: Map({"a": self.value(), "deep": Map({"b": 1})}),
                lambda: Array([self.value(), Text("within")]),
                lambda: Text(self._random.choice(WORDS)),
            )
        )()

    def _set(self) -> None:
        key = f"key{self._random.randrange(8)}"
        new = self.shared() if self._random.random() < 0.3 else self.value()
        self._map[key] = new

    def _unset(self) -> None:
        keys = sorted(self._map.keys())
        if keys:
            del self._map[self._random.choice(keys)]

    def _set_within(self) -> None:
        for key in sorted(self._map.keys()):
            inner = self._map[key]
            if isinstance(inner, Map):
                cast("Map[Any]", inner)[f"in{self._random.randrange(3)}"] = self.value()
                return

    def _insert(self) -> None:
        at = self._random.randrange(len(self._array) + 1)
        self._array.insert(at, self.value())

    def _remove(self) -> None:
        if len(self._array):
            at = self._random.randrange(len(self._array))
            del self._array[at]

    def _type(self) -> None:
        at = self._random.randrange(len(self._text) + 1)
        word = self._random.choice(WORDS)
        if self._random.random() < 0.2:
            self._text.insert(at, word, {"bold": True})
        elif self._random.random() < 0.1:
            self._text.insert_embed(at, {"image": 1})
        else:
            self._text.insert(at, word)

    def _erase(self) -> None:
        size = len(self._text)
        if size:
            start = self._random.randrange(size)
            del self._text[start : min(size, start + self._random.randrange(1, 5))]

    def _mark_up(self) -> None:
        self._xml.children.append(XmlElement("p", {"id": "1"}, [XmlText("hello")]))


_EDITS = (
    Writer._set,
    Writer._set,
    Writer._unset,
    Writer._set_within,
    Writer._insert,
    Writer._insert,
    Writer._remove,
    Writer._type,
    Writer._type,
    Writer._erase,
    Writer._mark_up,
)


def session(seed: int, *, writers: int, steps: int) -> tuple[list[Update], Doc[Any]]:
    """What some people write while they hear of one another now and then, and what comes of it.

    The updates are single transactions and, between them, the larger ones that come from catching
    up. Each client's own come in its order.
    """
    random = Random(seed)
    people = [Writer(1000 + 7 * at, random) for at in range(writers)]
    updates: list[Update] = []
    for _ in range(steps):
        person = random.choice(people)
        if random.random() < 0.25:
            other = random.choice(people)
            news = person.since(other.doc.get_state(), clocks(other.doc))
            other.receive(news.data)
            if random.random() < 0.3:
                updates.append(news)
        elif update := person.edit():
            updates.append(update)
    everything: Doc[Any] = Doc()
    for update in updates:
        everything.apply_update(update.data)
    return updates, everything


def typed(words: str, client: int = 7, root: str = "t") -> list[bytes]:
    """An update for each letter typed into a text."""
    doc: Doc[Any] = Doc(client_id=client)
    emitted: list[bytes] = []
    subscription = doc.observe(lambda event: emitted.append(event.update))
    text = doc.get(root, type=Text)
    for letter in words:
        text += letter
    doc.unobserve(subscription)
    return emitted

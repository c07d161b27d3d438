"""References that a merge leaves without what they lead to.

Parents are references in our documents (`segment.stemId`), so that one side can delete a stem
while the other puts a segment into it: the union keeps the segment, and nobody sees it. Reported
is only what costs somebody work: a reference in, or above, what one side wrote. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from docstore.history.content import SharedMap
from docstore.history.directory import Reference, at, references

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docstore.history.content import Content, Node, Path

_ROOTS: Final = ("stems", "segments", "events", "comments", "markers", "boxes")
"""Where something refers to something, or is referred to."""

_HOLDER: Final = ("fields", "1")
"""Of a box's pointers, the one to what it is in. What others lead to is not above it."""


def found(base: Content, ours: Content, theirs: Content) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Each dangling reference: where it is, and what was deleted of what it needs.

    The place is the field that refers, so that the rest of its entry can stay as it is; the whole
    entry where one side has none. What it needs is what it leads to, first, and whatever was
    deleted together with that: a stem's segments, a region's notes.
    """
    told: set[tuple[Path, Path]] = set()
    for keeper, deleter in ((ours, theirs), (theirs, ours)):
        deletion = _Deletion(base, keeper, deleter)
        if not deletion.gone:
            continue
        for entry, node in deletion.written():
            for reference in deletion.dangling(entry, node):
                place = reference.path if at(deleter, reference.path[:2]) else reference.path[:2]
                if (place, reference.target) not in told:
                    told.add((place, reference.target))
                    yield place, deletion.together_with(reference.target)


class _Deletion:
    """What one side deleted and the other still has."""

    def __init__(self, base: Content, keeper: Content, deleter: Content) -> None:
        self._base, self._keeper, self._deleter = base, keeper, deleter
        self.gone: dict[Path, Node] = {}
        for root in _ROOTS:
            left = _entries(deleter, root)
            before = _entries(base, root)
            for key, node in _entries(keeper, root).items():
                if key in before and key not in left:
                    self.gone[root, key] = node
        self._links: dict[Path, set[Path]] | None = None

    def written(self) -> Iterator[tuple[Path, Node]]:
        """Entries that the keeper wrote and that outlive the merge.

        What the other side deleted itself is a conflict of its own, and no dangling reference.
        """
        for root in _ROOTS:
            before = _entries(self._base, root)
            for key, node in _entries(self._keeper, root).items():
                if (root, key) not in self.gone and before.get(key) != node:
                    yield (root, key), node

    def dangling(self, entry: Path, node: Node) -> Iterator[Reference]:
        """References of an entry, and of what it is in, to something that is gone."""
        waiting, seen = [(entry, node)], {entry}
        while waiting:
            path, here = waiting.pop()
            for reference in references(path, here):
                is_holder = path[0] != "boxes" or reference.path[2:] == _HOLDER
                if path != entry and not is_holder:
                    continue
                target = reference.target
                if target in self.gone:
                    if not self._was_led_elsewhere(reference):
                        yield reference
                    continue
                above = at(self._keeper, target)
                if above is not None and is_holder and target not in seen:
                    seen.add(target)
                    waiting.append((target, above))

    def _was_led_elsewhere(self, reference: Reference) -> bool:
        """Whether who deleted also changed the reference, and nobody else did."""
        path = reference.path
        before = at(self._base, path)
        return (
            at(self._deleter, path[:2]) is not None
            and at(self._keeper, path) == before
            and at(self._deleter, path) != before
        )

    def together_with(self, target: Path) -> tuple[Path, ...]:
        """What is gone and hangs together with it, itself first."""
        if self._links is None:
            self._links = defaultdict(set)
            for path, node in self.gone.items():
                for reference in references(path, node):
                    if reference.target in self.gone:
                        self._links[path].add(reference.target)
                        self._links[reference.target].add(path)
        reached = {target: None}
        waiting = [target]
        while waiting:
            for each in sorted(self._links.get(waiting.pop(), ()), key=str):
                if each not in reached:
                    reached[each] = None
                    waiting.append(each)
        return tuple(reached)


def _entries(content: Content, root: str) -> Mapping[str, Node]:
    node = content.get(root)
    return node.entries if isinstance(node, SharedMap) else {}

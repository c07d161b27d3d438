"""What a merge cannot know: where two sides meant different things, and what stands then.

A merge of documents never fails: it is the union of what both sides did, and where both wrote the
same key one of them wins. This tells where that happened, and makes the content in which the
other side stands; the document is brought there by `reach.py`. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from base.errors import AppError
from docstore.history import dangling
from docstore.history.content import (
    Plain,
    SharedArray,
    SharedMap,
    SharedText,
    SharedXmlElement,
    SharedXmlFragment,
    SharedXmlText,
)
from docstore.history.directory import at
from docstore.history.entities import Entity, entity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from docstore.history.content import Content, Node, Path

ConflictKind: TypeAlias = Literal["value", "text", "list", "deleted", "dangling"]
"""`value`: both wrote it. `text`, `list`: both edited it, and the union holds the edits of both.
`deleted`: one side deleted what the other changed. `dangling`: one side deleted what the other
has come to need."""

Side: TypeAlias = Literal["ours", "theirs", "base"]
Strategy: TypeAlias = Literal["crdt", "ours", "theirs"]
Standing: TypeAlias = Literal["ours", "theirs", "base", "both", "neither"]


_TEXTS: Final = (SharedText, SharedXmlFragment, SharedXmlElement, SharedXmlText)


class UnknownConflict(AppError):
    """You settle something that is not in conflict; ask for a preview to see what is."""

    code = "conflict_unknown"


class Needed(NamedTuple):
    """What a dangling reference leads to."""

    path: Path
    base: Node | None
    ours: Node | None
    theirs: Node | None


class Conflict(NamedTuple):
    """A place that both sides changed differently."""

    path: Path
    entity: Entity
    base: Node | None
    """None: there was nothing."""
    ours: Node | None
    theirs: Node | None
    kind: ConflictKind
    needed: tuple[Needed, ...] = ()
    """Of a dangling reference: what it leads to, and what that needs in turn."""


# ---------------------------------------------------------------- finding


def conflicts(base: Content, ours: Content, theirs: Content) -> list[Conflict]:
    """Every place where the sides want different things, ordered by path.

    Maps are looked into; a plain value is one thing, so is a text. Texts and lists to which both
    sides only added are no conflict for lists, and one for texts, since prose has a meaning as a
    whole.
    """
    found: list[Conflict] = []
    for root in sorted(base.keys() | ours.keys() | theirs.keys()):
        was, mine, other = base.get(root), ours.get(root), theirs.get(root)
        # A root that is not there is an empty one of whatever type the others see in it.
        maps = [side for side in (was, mine, other) if isinstance(side, SharedMap)]
        if maps and all(side is None or isinstance(side, SharedMap) for side in (was, mine, other)):
            empty = SharedMap({})
            found.extend(_in_map((root,), _map(was, empty), _map(mine, empty), _map(other, empty)))
        elif mine != other and was not in (mine, other):
            found.extend(_met((root,), was, mine, other, is_root=True))
    for path, needed in dangling.found(base, ours, theirs):
        found.append(
            Conflict(
                path,
                entity_of(path),
                at(base, path),
                at(ours, path),
                at(theirs, path),
                "dangling",
                tuple(
                    Needed(each, at(base, each), at(ours, each), at(theirs, each))
                    for each in needed
                ),
            )
        )
    return found


def _map(node: Node | None, empty: SharedMap) -> SharedMap:
    return node if isinstance(node, SharedMap) else empty


def _in_map(path: Path, was: SharedMap, mine: SharedMap, other: SharedMap) -> Iterator[Conflict]:
    for key in sorted(mine.entries.keys() | other.entries.keys()):
        b, o, t = was.entries.get(key), mine.entries.get(key), other.entries.get(key)
        if o == t or b in (o, t):
            continue
        inner = (*path, key)
        if isinstance(b, SharedMap) and isinstance(o, SharedMap) and isinstance(t, SharedMap):
            yield from _in_map(inner, b, o, t)
        else:
            yield from _met(inner, b, o, t, is_root=False)


def _met(
    path: Path, was: Node | None, mine: Node | None, other: Node | None, *, is_root: bool
) -> Iterator[Conflict]:
    """A conflict where three differ, unless the union of both says what both meant."""
    kind: ConflictKind = "value"
    sides = [side for side in (was, mine, other) if side is not None or not is_root]
    if all(isinstance(side, _TEXTS) for side in sides):
        kind = "text"
    elif all(isinstance(side, SharedArray) for side in sides):
        if _only_added(was, mine) and _only_added(was, other):
            return
        kind = "list"
    elif mine is None or other is None:
        kind = "deleted"
    yield Conflict(path, entity_of(path), was, mine, other, kind)


def _only_added(before: Node | None, after: Node | None) -> bool:
    """Whether every element that a list had is still in it, in the same order.

    A list that is not there is an empty one.
    """
    was = before.elements if isinstance(before, SharedArray) else []
    now = after.elements if isinstance(after, SharedArray) else []
    kept = 0
    for element in now:
        if kept < len(was) and element == was[kept]:
            kept += 1
    return kept == len(was)


# ---------------------------------------------------------------- settling


def stands(conflict: Conflict, merged: Content) -> Standing:
    """Which side a merged content agrees with.

    `both` for a text or a list that holds the edits of both sides, and for a reference that
    stands as well as the deletion of what it leads to.
    """
    here = at(merged, conflict.path)
    if conflict.needed:
        needed = conflict.needed[0]
        keeper, deleter = ("theirs", "ours") if needed.ours is None else ("ours", "theirs")
        is_gone = at(merged, needed.path) is None
        if conflict.ours == conflict.theirs == here:
            return deleter if is_gone else keeper  # who deleted left the reference behind
        reference = conflict.ours if keeper == "ours" else conflict.theirs
        if is_gone and here is not None and (not isinstance(here, Plain) or here == reference):
            return "both"
    if here == conflict.ours:
        return "ours"
    if here == conflict.theirs:
        return "theirs"
    if here == conflict.base:
        return "base"
    return "both" if conflict.kind in {"text", "list"} else "neither"


def settled(
    merged: Content,
    found: Iterable[Conflict],
    strategy: Strategy = "crdt",
    resolutions: Mapping[Path, Side] | None = None,
) -> Content:
    """The merged content with the chosen side written over it, conflict by conflict.

    What a resolution names goes by it, everything else by the strategy; `crdt` leaves the union
    as it is. Raises UnknownConflict for a resolution of what is no conflict.
    """
    chosen: dict[Path, Side | Strategy] = {**(resolutions or {})}
    # Roots first, so that what is inside something that was put back is put into it.
    ordered = sorted(found, key=lambda conflict: len(conflict.path))
    unknown = chosen.keys() - {conflict.path for conflict in ordered}
    if unknown:
        raise UnknownConflict(path=list(min(unknown, key=str)))
    wanted = merged
    needed: list[tuple[Path, Node]] = []
    for conflict in ordered:
        side = chosen.get(conflict.path, strategy)
        if side == "crdt":
            continue
        wanted = put(wanted, conflict.path, _side(conflict, side))
        for place, each in enumerate(conflict.needed):
            node = _side(each, side)
            # What was deleted along with it comes back too, unless somebody decided otherwise.
            if node is not None and (place == 0 or each.path not in chosen):
                needed.append((each.path, node))
    # Last: nothing that one reference needs stays away because of another.
    for path, node in needed:
        if at(wanted, path) is None:
            wanted = put(wanted, path, node)
    return wanted


def _side(sides: Conflict | Needed, side: Side) -> Node | None:
    if side == "ours":
        return sides.ours
    return sides.theirs if side == "theirs" else sides.base


def put(content: Content, path: Path, node: Node | None) -> Content:
    """The content with something else at a path through maps; None takes it away.

    Where the way there ends before its time there is nothing to take away, and a map is made to
    hold what is put.
    """
    root = str(path[0])
    changed = dict(content)
    value = _put(content.get(root), path[1:], node)
    if value is None or (isinstance(value, SharedMap) and not value.entries):
        changed.pop(root, None)  # roots that are empty do not count
    else:
        changed[root] = value
    return changed


def _put(here: Node | None, path: Path, node: Node | None) -> Node | None:
    if not path:
        return node
    if not isinstance(here, SharedMap) and node is None:
        return here
    entries = dict(here.entries) if isinstance(here, SharedMap) else {}
    key = str(path[0])
    value = _put(entries.get(key), path[1:], node)
    if value is None:
        entries.pop(key, None)
    else:
        entries[key] = value
    return SharedMap(entries)

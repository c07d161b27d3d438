"""Contents to compare: by hand, and by luck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pycrdt
from hypothesis import strategies as st

from docstore.history import content
from docstore.history.content import Plain, Run, SharedArray, SharedMap, SharedText

if TYPE_CHECKING:
    from collections.abc import Callable

    from docstore.history.content import Content, Node

Doc = pycrdt.Doc[Any]


def shared(found: Any) -> Node:
    """Dicts are shared maps, lists in tuples shared arrays; everything else is as it is."""
    if isinstance(found, dict):
        entries = cast("dict[str, Any]", found)
        return SharedMap({key: shared(value) for key, value in entries.items()})
    if isinstance(found, tuple):
        return SharedArray([shared(value) for value in cast("tuple[Any, ...]", found)])
    if isinstance(found, Plain | SharedMap | SharedArray | SharedText):
        return found
    return Plain(found)


def of(**roots: Any) -> Content:
    return {name: shared(root) for name, root in roots.items()}


def text(*runs: str | tuple[str, dict[str, Any]]) -> SharedText:
    return SharedText(
        tuple(
            Run(run, {})
            if isinstance(run, str)
            else Run(run[0], {key: Plain(value) for key, value in run[1].items()})
            for run in runs
        )
    )


def box(name: str, **fields: Any) -> dict[str, Any]:
    """`_10=5` is field 10."""
    return {"name": name, "fields": {key.removeprefix("_"): value for key, value in fields.items()}}


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def state(fill: Callable[[Doc], None], onto: bytes | None = None) -> bytes:
    """What a document is after somebody has edited it."""
    doc: Doc = pycrdt.Doc()
    if onto is not None:
        doc.apply_update(onto)
    with doc.transaction():
        fill(doc)
    return doc.get_update()


def together(*states: bytes) -> bytes:
    doc: Doc = pycrdt.Doc()
    for each in states:
        doc.apply_update(each)
    return doc.get_update()


def union(*states: bytes) -> Content:
    return content.read(together(*states))


# ---------------------------------------------------------------- by luck

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, float("nan"), float("inf")]),
    st.text("abcü\u202e", max_size=3),
    st.binary(max_size=2),
)
plain: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=4,
).map(Plain)
texts: st.SearchStrategy[Any] = st.lists(
    st.tuples(st.text("ab\n", min_size=1, max_size=3), st.sampled_from([None, True, "x"])),
    max_size=3,
).map(
    lambda runs: SharedText(
        content.joined(
            Run(part, {} if bold is None else {"bold": Plain(bold)}) for part, bold in runs
        )
    )
)
keys = st.sampled_from(["a", "b", "order", "stemId", "name", "1", "10", "fields"])
nodes: st.SearchStrategy[Any] = st.recursive(
    st.one_of(plain, texts),
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, max_size=4).map(SharedMap),
        st.lists(inner, max_size=4).map(SharedArray),
    ),
    max_leaves=8,
)
entries: st.SearchStrategy[Any] = st.dictionaries(keys, nodes, max_size=5).map(SharedMap)
roots: st.SearchStrategy[Any] = st.one_of(
    entries, texts, st.lists(nodes, max_size=6).map(SharedArray)
)
names = st.sampled_from(
    ["project", "stems", "segments", "events", "pattern", "chat", "boxes", "description", "mine"]
)
pattern: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {}, optional={"steps": st.one_of(entries, plain), "instruments": entries, "bpm": plain}
).map(SharedMap)


def without_empty(found: Content) -> Content:
    """Roots that hold nothing do not count."""
    return {
        name: node
        for name, node in found.items()
        if not (
            (isinstance(node, SharedMap) and not node.entries)
            or (isinstance(node, SharedArray) and not node.elements)
            or (isinstance(node, SharedText) and not node.runs)
        )
    }


contents: st.SearchStrategy[Any] = st.one_of(
    st.dictionaries(names, roots, max_size=4),
    st.fixed_dictionaries({}, optional={"pattern": pattern, "events": entries, "stems": entries}),
).map(without_empty)


@st.composite
def variants(draw: st.DrawFn, found: Content) -> Content:
    """The same with something changed in a few places, most of it left."""
    changed = dict(found)
    for name in draw(st.lists(st.sampled_from(sorted(found)), max_size=3)) if found else []:
        changed[name] = draw(_variant(changed[name]))
    if draw(st.booleans()):
        changed[draw(names)] = draw(roots)
    return without_empty(changed)


@st.composite
def _variant(draw: st.DrawFn, node: Node) -> Node:
    if isinstance(node, SharedMap):
        changed = dict(node.entries)
        for key in draw(st.lists(keys, min_size=1, max_size=2)):
            if key in changed and draw(st.booleans()):
                if draw(st.booleans()):
                    changed[key] = draw(_variant(changed[key]))
                else:
                    del changed[key]
            else:
                changed[key] = draw(nodes)
        return SharedMap(changed)
    if isinstance(node, SharedArray):
        elements = list(node.elements)
        at = draw(st.integers(0, len(elements)))
        elements[at : at + draw(st.integers(0, 2))] = draw(st.lists(nodes, max_size=2))
        return SharedArray(elements)
    if isinstance(node, SharedText):
        return draw(texts)
    return draw(nodes)


def vector(update: bytes) -> bytes:
    """Whose operations a document has, and how many."""
    doc: Doc = pycrdt.Doc()
    doc.apply_update(update)
    return doc.get_state()


def deleted(update: bytes) -> bytes:
    """All that a document has deleted, as an update."""
    doc: Doc = pycrdt.Doc()
    doc.apply_update(update)
    return doc.get_update(doc.get_state())

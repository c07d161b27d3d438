"""Contents and documents made up by hypothesis: every shared type, within every other.

Not a test.
"""

from __future__ import annotations

from typing import Any

import pycrdt
from hypothesis import strategies as st

from docstore.history import content, reach
from docstore.history.content import (
    Content,
    Node,
    Plain,
    Run,
    SharedArray,
    SharedMap,
    SharedText,
    SharedXmlElement,
    SharedXmlFragment,
    SharedXmlText,
    Subdocument,
)

words = st.sampled_from(
    ["kick", "snare ", "hat", "é", "🎹", "a b", "b a", " ", "kick snare", "x\n"]
)
keys = st.sampled_from(["a", "b", "id", "ü"])

numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 2),
    st.sampled_from([0, 1, 2**53, 2**60 + 1]),
    st.floats(allow_nan=False).map(lambda x: int(x) if x.is_integer() and abs(x) < 2**63 else x),
    st.just(float("nan")),
)
simple = st.one_of(st.none(), st.booleans(), numbers, words)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(simple, st.binary(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=4,
)
plain = values.map(Plain)

# Formats and what is embedded travel as JSON: no bytes, no infinities.
json_numbers = st.one_of(st.integers(-1000, 1000), st.just(0.5))
json_values = st.one_of(st.booleans(), json_numbers, words)
formats = st.dictionaries(st.sampled_from(["bold", "color"]), json_values.map(Plain), max_size=2)
embeds: st.SearchStrategy[Any] = st.builds(Plain, st.dictionaries(keys, json_values, max_size=2))


def runs(embedded: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Run, ...]]:
    one = st.builds(Run, st.one_of(words, words, embedded), formats)
    return st.lists(one, max_size=5).map(content.joined)


def maps(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[SharedMap]:
    return st.builds(SharedMap, st.dictionaries(keys, inner, max_size=3))


def arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[SharedArray]:
    return st.builds(SharedArray, st.lists(inner, max_size=5))


texts = st.builds(SharedText, runs(embeds))


def xml_texts(embedded: st.SearchStrategy[Any]) -> st.SearchStrategy[SharedXmlText]:
    return st.builds(SharedXmlText, runs(embedded), st.dictionaries(keys, plain, max_size=2))


def elements(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[SharedXmlElement]:
    return st.builds(
        SharedXmlElement,
        st.sampled_from(["p", "li"]),
        st.dictionaries(keys, plain, max_size=2),
        st.lists(inner, max_size=3),
    )


xml: st.SearchStrategy[Any] = st.recursive(xml_texts(embeds), elements, max_leaves=4)
fragments = st.builds(SharedXmlFragment, st.lists(xml, max_size=3))

nodes: st.SearchStrategy[Any] = st.recursive(
    st.one_of(plain, plain, texts, fragments, st.builds(Subdocument, st.sampled_from(["d", "e"]))),
    lambda inner: st.one_of(
        maps(inner),
        arrays(inner),
        st.builds(SharedText, runs(st.one_of(maps(inner), arrays(inner), texts))),
        st.builds(SharedXmlFragment, st.lists(xml_texts(st.one_of(maps(inner), xml)), max_size=2)),
    ),
    max_leaves=8,
)
"""What pycrdt can make."""

odd_nodes: st.SearchStrategy[Any] = st.recursive(
    st.one_of(plain, texts, xml),
    lambda inner: st.one_of(
        maps(inner), arrays(inner), st.builds(SharedText, runs(st.one_of(maps(inner), xml)))
    ),
    max_leaves=6,
)
"""XML in places where Yjs puts it and pycrdt cannot."""


def _roots(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Content]:
    roots: st.SearchStrategy[Any] = st.fixed_dictionaries(
        {},
        optional={
            "stems": maps(inner),
            "events": maps(inner),
            "chat": arrays(inner),
            "notes": st.builds(SharedText, runs(st.one_of(embeds, maps(inner)))),
            "page": fragments,
            "theirs": st.one_of(
                maps(inner), arrays(inner), st.builds(SharedText, runs(embeds)), fragments
            ),
        },
    )
    return roots.map(settled)


def settled(found: Content) -> Content:
    """Without roots that nobody could tell from missing ones, or from another type."""
    return {name: node for name, node in found.items() if not _ambiguous(name, node)}


def _ambiguous(name: str, node: Node) -> bool:
    if reach.is_empty_root(node):
        return True
    shared = (SharedMap, SharedArray, SharedText)
    match node:
        case SharedArray(inner):
            # Only what an array holds tells it from XML and from text.
            return not any(isinstance(one, Plain) for one in inner) or any(
                isinstance(one, SharedXmlFragment | SharedXmlElement | SharedXmlText)
                for one in inner
            )
        case SharedText(inner):
            return name != "notes" and all(isinstance(run.insert, shared) for run in inner)
        case _:
            return False


contents = _roots(nodes)
odd_contents = _roots(odd_nodes)


def state_of(wanted: Content, client: int = 11) -> bytes:
    """A document with this content, made from nothing."""
    update = reach.reach_content(b"\x00\x00", wanted, client_id=client)
    return b"\x00\x00" if update is None else update


def applied(state: bytes, *updates: bytes | None) -> bytes:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(state)
    for update in updates:
        if update is not None:
            doc.apply_update(update)
    return doc.get_update()

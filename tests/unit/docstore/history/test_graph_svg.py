"""The picture of the graph: well-formed, harmless, and true."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.history import dag
from docstore.history.graph_svg import Dot, Label, draw, initials, labels_by_commit

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def ident(number: int) -> UUID:
    return UUID(int=number)


def dots(graph: dict[int, tuple[int, ...]]) -> list[Dot]:
    known = {ident(key): tuple(map(ident, parents)) for key, parents in graph.items()}
    ordered = dag.topological(known, known)
    return [Dot(each, known[each], AT, f"number {each.int}") for each in ordered]


def read(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)


def said(drawn: str) -> list[str]:
    return [each.text or "" for each in read(drawn).iter(SVG + "text")]


def ends(drawn: str) -> list[tuple[int, int, int, int]]:
    """Where each line begins and ends."""
    found: list[tuple[int, int, int, int]] = []
    for path in read(drawn).iter(SVG + "path"):
        way = path.attrib["d"]
        numbers = [int(each) for each in re.findall(r"\d+", way)]
        x, y = numbers[:2]
        found.append((x, y, x, numbers[2]) if "V" in way else (x, y, *numbers[-2:]))  # pyright: ignore[reportArgumentType]
    return found


MERGE = {4: (2, 3), 3: (1,), 2: (1,), 1: ()}


def test_every_commit_is_there_with_what_is_said_of_it() -> None:
    page = dots(MERGE)
    page[0] = page[0]._replace(
        labels=(Label("branch", "main"), Label("tag", "v1")),
        author="Ada Lovelace",
        message="Both\n\nmore",
    )
    drawn = draw(page, name="Song", more=False)
    root = read(drawn)
    assert root.findtext(SVG + "title") == "History of Song"
    assert root.findtext(SVG + "desc") == "4 commits, the youngest first."
    assert said(drawn)[:4] == ["main", "v1", "Both …", "2026-03-01 12:30 UTC · AL"]
    titles = [each.findtext(SVG + "title") for each in root.iter(SVG + "g")]
    assert f"Both\\n\\nmore (Ada Lovelace, 2026-03-01 12:30 UTC, {ident(4)})" in titles
    assert f"number 1 (2026-03-01 12:30 UTC, {ident(1)})" in titles
    merges = [each for each in root.iter(SVG + "circle") if "merge" in each.attrib["class"]]
    assert len(merges) == 1


def test_lines_lead_from_each_commit_to_its_parents() -> None:
    drawn = draw(dots(MERGE), name="Song", more=False)
    at = {
        number: (int(each.attrib["cx"]), int(each.attrib["cy"]))
        for number, each in zip((4, 3, 2, 1), read(drawn).iter(SVG + "circle"), strict=True)
    }
    lines = ends(drawn)

    def leads(start: tuple[int, int], end: tuple[int, int]) -> bool:
        waiting = [start]
        while waiting:
            here = waiting.pop()
            if here == end:
                return True
            waiting += [(x, y) for a, b, x, y in lines if (a, b) == here]
        return False

    assert all(leads(at[child], at[parent]) for child, of in MERGE.items() for parent in of)
    assert not leads(at[3], at[2])


def test_lines_go_on_where_there_are_older_commits() -> None:
    page = dots(MERGE)[:2]
    assert "on" not in {
        each
        for p in read(draw(page, name="S", more=False)).iter(SVG + "path")
        for each in p.attrib["class"].split()
    }
    drawn = draw(page, name="S", more=True)
    assert sum("on" in p.attrib["class"].split() for p in read(drawn).iter(SVG + "path")) == 2
    assert "there are older ones" in drawn


def test_no_commits_are_a_picture_too() -> None:
    assert "There are no commits yet." in draw([], name="Song", more=False)
    read(draw([], name="Song", more=False))


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "]]><svg onload=alert(1)>",
        '" onmouseover="alert(1)',
        "</style><script>",
        "&lt;b&gt; &amp; &nosuch;",
        "\x00\x08\x1b[31m\x7f\x9b",
        "\u202egnp.exe\u2066",
        "\ufffe\uffff\ud800",
        "a\u2028b\rc",
    ],
)
def test_whatever_others_wrote_is_text(hostile: str) -> None:
    dot = Dot(ident(1), (), AT, hostile, (Label("branch", hostile), Label("tag", hostile)), hostile)
    drawn = draw([dot], name=hostile, more=True)
    drawn.encode()
    allowed = {"svg", "title", "desc", "style", "rect", "g", "circle", "text", "path"}
    for element in read(drawn).iter():
        assert element.tag.removeprefix(SVG) in allowed
        assert not [name for name in element.attrib if name.startswith("on") or "href" in name]
    assert drawn.replace("\n", "").isprintable()
    plain = draw([dot._replace(message="", labels=(), author=None)], name="", more=True)
    assert drawn.count("<style>") == plain.count("<style>") == 1


@given(
    st.dictionaries(
        st.integers(1, 40), st.lists(st.integers(1, 39), max_size=3, unique=True), max_size=25
    )
)
def test_every_graph_can_be_drawn(wild: dict[int, list[int]]) -> None:
    graph = {key: tuple(at for at in parents if at < key) for key, parents in wild.items()}
    page = dots(graph)
    drawn = draw(page, name="Song", more=True)
    assert len(list(read(drawn).iter(SVG + "circle"))) == len(page)
    width, height = (int(read(drawn).attrib[name]) for name in ("width", "height"))
    assert all(0 <= x <= width and 0 <= y <= height for _, _, x, y in ends(drawn))


def test_many_labels_are_counted() -> None:
    dot = Dot(ident(1), (), AT, "m", [Label("tag", f"t{at}") for at in range(1000)])
    assert said(draw([dot], name="S", more=False))[:5] == ["t0", "t1", "t2", "t3", "+996"]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("ada", "AD"),
        ("ada.lovelace", "AL"),
        ("a_b-c", "AB"),
        ("x", "X"),
        ("音楽 家", "音家"),
        ("ß", "SS"),
    ],
)
def test_initials(name: str, short: str) -> None:
    assert initials(name) == short


def test_a_name_without_letters_has_no_initials() -> None:
    drawn = draw([Dot(ident(1), (), AT, "m", (), "…")], name="S", more=False)
    assert said(drawn) == ["m", "2026-03-01 12:30 UTC"]


def test_branches_stand_before_tags() -> None:
    found = labels_by_commit([("main", ident(1)), ("new", None)], [("v1", ident(1))])
    assert found == {ident(1): [Label("branch", "main"), Label("tag", "v1")]}

"""The picture of the commits over REST: who sees what in it, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from .crew import at
from .takes import commit, tagged

if TYPE_CHECKING:
    from .rest import Rest

SVG = "{http://www.w3.org/2000/svg}"


def said(drawn: str) -> list[str]:
    return [each.text or "" for each in ET.fromstring(drawn).iter(SVG + "text")]


async def test_the_picture_shows_commits_with_tags_and_branches(rest: Rest) -> None:
    ada = await rest.person("ada")
    project = (await ada("POST", "/api/projects", json={"name": "<Song>"})).json()
    first = await commit(ada, project, tempo=90)
    await commit(ada, project, tempo=100)
    await tagged(ada, project, first, "demo")
    drawn = await ada("GET", at(project, "/graph.svg"))
    assert drawn.status_code == 200
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert drawn.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in drawn.headers["content-security-policy"]
    assert "script-src" not in drawn.headers["content-security-policy"]
    assert "link" not in drawn.headers
    texts = said(drawn.text)
    assert texts[0] == "main"
    assert texts[3] == "demo"
    assert texts[2].endswith(" · AD")
    assert "History of &lt;Song&gt;" in drawn.text
    again = await ada(
        "GET", at(project, "/graph.svg"), headers={"If-None-Match": drawn.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_older_commits_are_behind_a_link(rest: Rest) -> None:
    ada = await rest.person("ada")
    project = (await ada("POST", "/api/projects", json={"name": "Song"})).json()
    for tempo in range(5):
        await commit(ada, project, tempo=tempo)
    page, seen = at(project, "/graph.svg?limit=2&branch=main"), 0
    for count in (2, 2, 1):
        drawn = await ada("GET", page)
        assert drawn.status_code == 200, drawn.text
        seen += len(list(ET.fromstring(drawn.text).iter(SVG + "circle")))
        link = drawn.headers.get("link")
        assert (link is not None) == (count == 2)
        page = "" if link is None else link.partition(">")[0].removeprefix("<")
    assert seen == 5


async def test_who_made_a_commit_is_told_to_who_may_see_the_people(rest: Rest) -> None:
    ada, eve = await rest.person("ada"), await rest.person("eve")
    made = await ada("POST", "/api/projects", json={"name": "Song", "isPublic": False})
    project = made.json()
    await commit(ada, project, tempo=90)
    await rest.run("UPDATE projects SET is_public = true")
    drawn = await eve("GET", at(project, "/graph.svg"))
    assert drawn.status_code == 200, drawn.text
    assert "AD" not in " ".join(said(drawn.text))
    assert "(ada, " not in drawn.text
    await rest.run("UPDATE users SET display_name = 'Ada Lovelace' WHERE username = 'ada'")
    own = await ada("GET", at(project, "/graph.svg"))
    assert "AL" in " ".join(said(own.text))
    assert "(Ada Lovelace, " in own.text


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("branch=nowhere", "branch_not_found"),
        ("branch=%00", "branch_not_found"),
        (f"branch={quote(chr(0x1F3B9))}", "branch_not_found"),
        ("branch=", "validation_failed"),
        ("limit=201", "validation_failed"),
        ("limit=0", "validation_failed"),
        ("cursor=x", "cursor_invalid"),
    ],
)
async def test_odd_questions_are_refused(rest: Rest, asked: str, code: str) -> None:
    ada = await rest.person("ada")
    project = (await ada("POST", "/api/projects", json={"name": "Song"})).json()
    answer = await ada("GET", at(project, f"/graph.svg?{asked}"))
    assert answer.json()["code"] == code

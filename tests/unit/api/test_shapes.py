"""Requests as types: what is trimmed, what is refused, and where the refusal points."""

from __future__ import annotations

import contextlib
import json
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import MalformedJson, ValidationFailed
from api.requests import decoded, parameters
from api.shapes import accounts, common, documents, projects


def project(**fields: object) -> bytes:
    return json.dumps({"name": "Night drive"} | fields).encode()


def test_a_project_needs_only_a_name() -> None:
    made = decoded(project(), projects.NewProject)
    assert (made.name, made.kind, made.description, made.is_public) == (
        "Night drive",
        "studio",
        "",
        False,
    )


def test_text_is_trimmed_and_composed_before_it_counts() -> None:
    name = "  " + unicodedata.normalize("NFD", "é" * 200) + " \n"
    made = decoded(project(name=name, description="\n a\n\tb \n"), projects.NewProject)
    assert made.name == "é" * 200
    assert made.description == "a\n\tb"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": ""}, "$.name"),
        ({"name": " \t "}, "$.name"),
        ({"name": "x" * 201}, "$.name"),
        ({"name": 5}, "$.name"),
        ({"name": None}, "$.name"),
        ({"name": "a\x00b"}, "$.name"),
        ({"name": "a\nb"}, "$.name"),
        ({"name": "a\x7fb"}, "$.name"),
        ({"name": "a\x85b"}, "$.name"),
        ({"name": "a\u202eb"}, "$.name"),
        ({"name": "a\u2028b"}, "$.name"),
        ({"description": "x" * 5001}, "$.description"),
        ({"description": "a\x00b"}, "$.description"),
        ({"description": "a\x1bb"}, "$.description"),
        ({"kind": "mixtape"}, "$.kind"),
        ({"isPublic": "yes"}, "$.isPublic"),
        ({"isPublic": 1}, "$.isPublic"),
        ({"is_public": True}, "$"),
        ({"ownerId": "somebody"}, "$"),
    ],
)
def test_a_wrong_project_is_refused_where_it_is_wrong(fields: dict[str, object], path: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        decoded(project(**fields), projects.NewProject)
    assert caught.value.data["path"] == path


def test_a_project_without_a_name_is_refused() -> None:
    with pytest.raises(ValidationFailed, match="name"):
        decoded(b"{}", projects.NewProject)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b'{"name": "x"',
        b'{"name": "x"} {}',
        b"{'name': 'x'}",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"\x00",
        b"name=x",
    ],
)
def test_what_is_not_json_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedJson):
        decoded(content, projects.NewProject)


@pytest.mark.parametrize("content", [b"[]", b"5", b"null", b'"x"'])
def test_json_of_another_kind_is_invalid(content: bytes) -> None:
    with pytest.raises(ValidationFailed) as caught:
        decoded(content, projects.NewProject)
    assert caught.value.data["path"] == "$"


def test_json_of_bottomless_brackets_is_refused() -> None:
    with pytest.raises((ValidationFailed, MalformedJson)):
        decoded(b'{"name":' + b"[" * 100_000, projects.NewProject)


@pytest.mark.parametrize("shape", [projects.NewProject, accounts.Register, projects.ProjectChanges])
@given(content=st.binary(max_size=50))
def test_any_bytes_are_read_or_refused(shape: type[msgspec.Struct], content: bytes) -> None:
    with contextlib.suppress(ValidationFailed, MalformedJson):
        decoded(content, shape)


def test_what_a_change_leaves_out_is_unset() -> None:
    made = decoded(b'{"isPublic": true}', projects.ProjectChanges)
    assert (made.name, made.description, made.is_public) == (msgspec.UNSET, msgspec.UNSET, True)


@pytest.mark.parametrize("field", ["email", "username", "password"])
@pytest.mark.parametrize("unwanted", ["\x00", "\n", "\x1b"])
def test_no_control_character_gets_into_an_account(field: str, unwanted: str) -> None:
    fields = {"email": "anna@example.com", "username": "anna", "password": "long enough"}
    fields[field] += unwanted + "x"
    with pytest.raises(ValidationFailed) as caught:
        decoded(json.dumps(fields).encode(), accounts.Register)
    assert caught.value.data["path"] == f"$.{field}"


@pytest.mark.parametrize("limit", ["0", "-1", "101", "abc", "", "1.5", "9" * 30, "null"])
def test_a_page_has_a_sensible_size(limit: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        parameters({"limit": limit}, common.Page)
    assert caught.value.data["path"] == "$.limit"


def test_other_query_parameters_are_ignored() -> None:
    assert parameters({"limit": "7", "utm": "x"}, common.Page).limit == 7
    assert parameters({}, common.Page).limit == common.PAGE_USUAL


def test_a_snapshot_is_yjs_or_json() -> None:
    assert parameters({}, documents.SnapshotQuery).format == "yjs"
    assert parameters({"format": "json"}, documents.SnapshotQuery).format == "json"
    with pytest.raises(ValidationFailed):
        parameters({"format": "als"}, documents.SnapshotQuery)

"""From an error to an HTTP answer: statuses, headers, and what must not leak."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from api import errors, ports, problems
from auth import errors as auth
from base.db import DatabaseUnavailable
from base.errors import AppError

if TYPE_CHECKING:
    from starlette.responses import Response


class Unmapped(AppError):
    """The password of the database is hunter2."""

    code = "nobody_mapped_this"


def content(response: Response) -> dict[str, Any]:
    return json.loads(bytes(response.body))


def test_a_problem_has_every_standard_member() -> None:
    response = problems.response(auth.EmailTaken())
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert content(response) == {
        "type": "urn:syncsphere:problem:email_taken",
        "title": auth.EmailTaken.message,
        "status": 409,
        "detail": auth.EmailTaken.message,
        "code": "email_taken",
    }


def test_the_detail_is_of_the_occurrence_and_the_title_is_not() -> None:
    found = problems.body(errors.ValidationFailed("Expected `int`", path="$.limit"))
    assert found["title"] == errors.ValidationFailed.message
    assert found["detail"] == "Expected `int`"
    assert found["path"] == "$.limit"


def test_data_becomes_camel_case_members_and_survives_json() -> None:
    problem = errors.BodyTooLarge(limit_bytes=5, owner_id=UUID(int=1))
    found = content(problems.response(problem))
    assert found["limitBytes"] == 5
    assert found["ownerId"] == str(UUID(int=1))


def test_data_never_replaces_a_standard_member() -> None:
    found = content(problems.response(auth.EmailTaken(status=200, code="fine", type="x", title=1)))
    assert (found["status"], found["code"]) == (409, "email_taken")
    assert found["title"] == auth.EmailTaken.message


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        (auth.TokenMissing, 'Bearer realm="SyncSphere"'),
        (auth.InvalidCredentials, 'Bearer realm="SyncSphere"'),
        (auth.TokenInvalid, 'Bearer realm="SyncSphere", error="invalid_token"'),
        (auth.TokenExpired, 'Bearer realm="SyncSphere", error="invalid_token"'),
        (auth.SessionEnded, 'Bearer realm="SyncSphere", error="invalid_token"'),
    ],
)
def test_every_401_says_how_to_sign_in(error: type[AppError], challenge: str) -> None:
    response = problems.response(error())
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == challenge


def test_a_405_lists_what_is_allowed() -> None:
    response = problems.response(errors.MethodNotAllowed(allow=["GET", "PUT"]))
    assert response.headers["allow"] == "GET, PUT"
    assert problems.response(errors.MethodNotAllowed()).headers["allow"] == ""


@pytest.mark.parametrize("error", [DatabaseUnavailable, auth.PasswordsBusy, ports.RoomUnavailable])
def test_every_503_says_when_to_come_back(error: type[AppError]) -> None:
    response = problems.response(error())
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0


def test_an_error_that_nobody_mapped_is_internal_and_tells_nothing() -> None:
    response = problems.response(Unmapped(secret="hunter2"))
    assert response.status_code == 500
    assert content(response)["code"] == "internal"
    assert b"hunter2" not in bytes(response.body)


def test_the_table_is_ordered_by_status_and_code() -> None:
    ordered = sorted(problems.STATUS.items(), key=lambda item: (item[1], item[0]))
    assert list(problems.STATUS.items()) == ordered

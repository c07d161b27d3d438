"""The OpenAPI document: valid, complete, and true to the table of routes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api import openapi, problems
from api.route import Auth, Limit, Route
from api.routes import ROUTES

DOCUMENT: dict[str, Any] = json.loads(json.dumps(openapi.document(ROUTES, version="1.2.3")))

every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")


def operation(route: Route) -> dict[str, Any]:
    return DOCUMENT["paths"][route.path][route.method.lower()]


def test_the_document_is_valid_openapi_3_1() -> None:
    errors = list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors())
    assert errors == []


def test_nothing_is_described_that_is_no_route() -> None:
    described = {
        (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in ROUTES}


def test_every_operation_has_its_own_name() -> None:
    names = [route.operation for route in ROUTES]
    assert len(set(names)) == len(names)


@every_route
def test_a_route_is_described_with_tag_summary_and_answer(route: Route) -> None:
    found = operation(route)
    assert found["operationId"] == route.operation
    assert found["summary"]
    assert found["tags"] == [route.tag]
    assert route.tag in openapi.TAGS
    assert str(route.status) in found["responses"]


@every_route
def test_a_route_says_whether_it_wants_a_token(route: Route) -> None:
    security = operation(route).get("security")
    signed_in: list[dict[str, Any]] = [{openapi.SECURITY: []}, {openapi.COOKIE: []}]
    match route.auth:
        case Auth.NONE:
            assert security is None
        case Auth.OPTIONAL:
            assert security == [{}, *signed_in, {openapi.LINK: []}]
        case _:
            assert security == signed_in


@every_route
def test_a_route_says_what_it_may_refuse_before_its_handler_runs(route: Route) -> None:
    codes = {error.code for error in openapi.errors_of(route)}
    assert ("token_missing" in codes) >= (route.auth not in (Auth.NONE, Auth.OPTIONAL))
    assert ("session_needed" in codes) >= (route.auth in (Auth.SESSION, Auth.ADMIN))
    assert ("csrf_failed" in codes) >= (route.auth is not Auth.NONE and route.method != "GET")
    assert ("too_many_requests" in codes) == (route.limit is not Limit.NONE)


def test_a_route_that_sees_passwords_or_codes_is_guarded() -> None:
    guarded = {route.path for route in ROUTES if route.limit is Limit.STRICT}
    assert {"/api/auth/login", "/api/auth/register"} <= guarded


@every_route
def test_every_error_of_a_route_is_described_under_its_status(route: Route) -> None:
    responses = operation(route)["responses"]
    for error in openapi.errors_of(route):
        assert error.code in problems.STATUS
        content = responses[str(problems.status(error))]["content"][problems.MEDIA_TYPE]
        assert error.code in content["schema"]["allOf"][1]["properties"]["code"]["enum"]


@every_route
def test_every_parameter_of_a_path_is_described(route: Route) -> None:
    parameters = operation(route).get("parameters", [])
    described = {each["name"] for each in parameters if each["in"] == "path"}
    assert described == set(re.findall(r"{(\w+)}", route.path))


def test_json_members_are_camel_case() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for member in schema["properties"]:
            assert re.fullmatch(r"[a-z][A-Za-z]*", member), f"{name}.{member}"


def test_requests_refuse_unknown_members() -> None:
    for route in ROUTES:
        body = route.body
        if isinstance(body, type):
            assert DOCUMENT["components"]["schemas"][body.__name__]["additionalProperties"] is False


def test_bounds_that_are_checked_after_trimming_are_documented() -> None:
    name = DOCUMENT["components"]["schemas"]["NewProject"]["properties"]["name"]
    assert (name["minLength"], name["maxLength"]) == (1, 200)

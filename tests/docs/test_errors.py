"""docs/errors.md, the table of statuses and the error classes say the same."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest

import api
import auth
import base
import docstore
import syncserver
from api import problems
from api.errors import Internal, ValidationFailed
from base.errors import AppError, every_error

PACKAGES = (base, docstore, auth, api, syncserver)
PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()

ANSWERED = {
    code: int(status)
    for code, status in re.findall(r"^\| `(\w+)` \| (\d{3}) \|", PAGE, re.MULTILINE)
}
AT_START = set(re.findall(r"^\| `(\w+)` \| \D", PAGE, re.MULTILINE))


def all_errors() -> list[type[AppError]]:
    """Every error class of ours, after everything that could define one has been imported."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not re.search(r"__main__|\.migrations", module.name):
                importlib.import_module(module.name)
    ours = {package.__name__ for package in PACKAGES}
    return [error for error in every_error() if error.__module__.partition(".")[0] in ours]


ERRORS = all_errors()


def test_every_error_code_is_documented_and_nothing_else() -> None:
    assert {error.code for error in ERRORS} == ANSWERED.keys() | AT_START


def test_every_code_is_documented_once() -> None:
    codes = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert len(codes) == len(set(codes))


def test_every_documented_status_is_the_one_that_is_answered() -> None:
    assert dict(problems.STATUS) == ANSWERED


def test_no_code_is_shared_by_two_errors() -> None:
    codes = [error.code for error in ERRORS]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_error_has_a_code_and_a_sentence_of_its_own(error: type[AppError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert error.code != AppError.code or error is Internal
    assert error.message != AppError.message
    assert error.message.endswith(".")


def test_the_example_is_a_real_one() -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    problem = ValidationFailed("Expected `int` <= 100", path="$.limit")
    assert json.loads(example[1]) == problems.body(problem)

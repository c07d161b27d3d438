"""From a provider's claims to a name and a proven address."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import identifiers, providers
from auth.accounts import User
from auth.oidc import Claims
from base import ids


def _claims(
    *,
    email: str | None = "anna@example.com",
    verified: bool = True,
    username: str | None = None,
    name: str | None = None,
) -> Claims:
    return Claims("https://accounts.example", "1", email, verified, username, name)


def _first(claims: Claims) -> str:
    return next(providers.names(claims))


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        (_claims(username="Anna_B"), "Anna_B"),
        (_claims(username="anna.b@corp.example"), "anna.b"),
        (_claims(), "anna"),
        (_claims(username="--", email="an+tag@example.com"), "antag"),
        (_claims(username="a", email="b@example.com", name="Anna Blume"), "Anna-Blume"),
        (_claims(username="\u0430nna Blume"), "nna-Blume"),  # a Cyrillic letter first
        (_claims(username="дрозд"), "дрозд"),
        (_claims(username="🎵", email="x@example.com"), "musician"),
        (_claims(username="a" * 99), "a" * 27),
    ],
)
def test_a_name_is_made_to_fit(claims: Claims, name: str) -> None:
    assert _first(claims) == name


def test_further_names_have_numbers() -> None:
    _, *further = itertools.islice(providers.names(_claims()), 20)
    assert all(re.fullmatch(r"anna-\d{4}", name) for name in further)
    assert len(set(further)) > 10


@given(st.text(), st.text(), st.text())
def test_whatever_a_provider_says_every_name_can_be_used(
    username: str, email: str, name: str
) -> None:
    claims = _claims(username=username, email=email, name=name)
    for wish in itertools.islice(providers.names(claims), 3):
        assert identifiers.username(wish).shown == wish


def test_only_a_proven_address_that_is_the_accounts_own_is_vouched_for() -> None:
    user = User(ids.new_id(), "anna@example.com", "anna", datetime(2026, 1, 1, tzinfo=UTC))
    assert providers.vouches(_claims(email="Anna@Example.com"), user)
    assert not providers.vouches(_claims(verified=False), user)
    assert not providers.vouches(_claims(email="eve@example.com"), user)
    assert not providers.vouches(_claims(email=None), user)

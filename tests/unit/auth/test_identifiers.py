"""E-mail addresses and user names: which are taken, which are the same, which are refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import identifiers
from auth.errors import EmailInvalid, UsernameInvalid


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("anna@example.com", "anna@example.com"),
        ("  Anna.Smith+music@Example.COM ", "anna.smith+music@example.com"),
        ("o'neil@sub.domain.example", "o'neil@sub.domain.example"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        ("vic@straße.de", "vic@xn--strae-oqa.de"),
        ("dup@\uff45xample.com", "dup@example.com"),
        ("a@Bücher.example", "a@xn--bcher-kva.example"),
        ("e\u0301va@example.com", "\u00e9va@example.com"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("1@2.example", "1@2.example"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_an_address_has_one_spelling(given: str, kept: str) -> None:
    assert identifiers.email(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "anna",
        "@example.com",
        "anna@",
        "anna@localhost",
        "anna@example..com",
        "anna@.example.com",
        "anna@example.com.",
        "anna@-example.com",
        "anna@example-.com",
        "anna@exam_ple.com",
        "anna@10.0.0.1",
        "anna@[10.0.0.1]",
        ".anna@example.com",
        "anna.@example.com",
        "an..na@example.com",
        "an na@example.com",
        "anna@exam ple.com",
        "anna@@example.com",
        "<anna@example.com>",
        '"anna"@example.com',
        "anna@example.com\r\nBcc: all@example.com",
        "anna\x00@example.com",
        "anna@example.com\x00",
        "anna,bob@example.com",
        "a" * 65 + "@example.com",
        "anna@" + "a" * 64 + ".com",
        "anna@" + ".".join(["a" * 60] * 5),
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(EmailInvalid) as caught:
        identifiers.email(given)
    assert caught.value.data["path"] == "$.email"


@pytest.mark.parametrize(
    ("given", "shown", "key"),
    [
        ("anna", "anna", "anna"),
        (" Anna_B.2-x ", "Anna_B.2-x", "anna_b.2-x"),
        ("\uff21\uff2e\uff2e\uff21", "ANNA", "anna"),
        ("Дрозд", "Дрозд", "дрозд"),
        ("Straße", "Straße", "strasse"),
        ("DJ漢字かな", "DJ漢字かな", "dj漢字かな"),
        ("서울abc", "서울abc", "서울abc"),
        ("हिन्दी", "हिन्दी", "हिन्दी"),
        ("สวัสดี", "สวัสดี", "สวัสดี"),
        ("808", "808", "808"),
        ("a" * 32, "a" * 32, "a" * 32),
    ],
)
def test_a_name_is_shown_as_written_and_kept_once(given: str, shown: str, key: str) -> None:
    assert identifiers.username(given) == (shown, key)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ab",
        "a" * 33,
        "_anna",
        ".anna",
        "-anna",
        "an na",
        "anna!",
        "anna@home",
        "anna/../bob",
        "anna\x00bob",
        "anna\nbob",
        "anna\u200bbob",
        "anna\u202ebob",
        "anna\u2066bob",
        "an\u034fna",
        "an\ufe0fna",
        "\u3164\u3164\u3164",
        "\u0430nna",  # its first letter is Cyrillic
        "Ωmega",
        "z\u0335\u0336\u0337algo",
        "\u0301abc",
        "anna🎹",
        "٣٤٥",
    ],
)
def test_names_that_could_mislead_are_refused(given: str) -> None:
    with pytest.raises(UsernameInvalid) as caught:
        identifiers.username(given)
    assert caught.value.data["path"] == "$.username"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" Anna@Example.com ", "anna@example.com"),
        (" ANNA", "anna"),
        ("\uff41nna", "anna"),
        ("No @ddress", "no @ddress"),
        ("x" * 1000, "x" * 254),
        ("\ud800", "?"),
    ],
)
def test_what_somebody_signs_in_with_has_one_spelling(given: str, kept: str) -> None:
    assert identifiers.spelling(given) == kept


@given(st.text())
def test_any_text_is_kept_or_refused_and_keeping_is_stable(text: str) -> None:
    with contextlib.suppress(EmailInvalid):
        kept = identifiers.email(text)
        assert identifiers.email(kept) == kept
        assert "\x00" not in kept
    with contextlib.suppress(UsernameInvalid):
        name = identifiers.username(text)
        assert identifiers.username(name.shown) == name
        assert "\x00" not in name.shown


@given(st.text(alphabet="abcABCäÄéÉжЖ", min_size=3, max_size=32))
def test_names_that_differ_in_case_only_have_one_key(text: str) -> None:
    with contextlib.suppress(UsernameInvalid):
        key = identifiers.username(text).key
        assert identifiers.username(text.upper()).key == key
        assert identifiers.username(text.lower()).key == key


@pytest.mark.parametrize(
    "name",
    ["\u0251nnax", "\u0261oogle", "anna\u01c3", "\u1d00nna", "ann\u0250"],
    ids=["alpha", "script g", "click", "small capital", "turned a"],
)
def test_phonetic_signs_stand_in_nobodys_name(name: str) -> None:
    with pytest.raises(UsernameInvalid):
        identifiers.username(name)


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("\u0441\u043e\u0441\u043e", "coco"),
        ("\u0440\u043e\u0440\u0435_1", "pope_1"),
        ("\u03bf\u03c1\u03b1", "opa"),
        ("ann\u0131e", "annie"),
        ("\u0415\u0412\u0410", "eba"),
    ],
)
def test_a_name_that_looks_like_another_is_that_other(name: str, twin: str) -> None:
    assert identifiers.username(name).key == identifiers.username(twin).key


@pytest.mark.parametrize("name", ["Дрозд", "Ελένη", "Łukasz", "Zoë", "Ŋgoma", "Ɛdem", "Ásta_þ"])
def test_letters_that_people_write_their_names_with_stay(name: str) -> None:
    assert identifiers.username(name).shown == name

"""E-mail addresses and user names: one spelling for each, and a verdict (no I/O).

Two texts that people would take for the same name become equal here, so that the unique columns
of the table can hold the promise. Knows text; not accounts, not the database.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from auth.errors import EmailInvalid, UsernameInvalid
from base import domains

EMAIL_LONGEST: Final = 254
"""Characters; what SMTP can carry (RFC 5321, 4.5.3.1.3)."""

LOCAL_PART_LONGEST: Final = 64
"""Characters before the @ (RFC 5321, 4.5.3.1.1)."""

USERNAME_SHORTEST: Final = 3
USERNAME_LONGEST: Final = 32

# Before the @: the printable ASCII that needs no quotes, and anything beyond ASCII that is a
# letter, mark or digit. Quoted local parts exist on paper only and are refused.
_ATOM: Final = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+")
_PUNCTUATION: Final = frozenset("_.-")

# Letters and marks that draw nothing: two names would look the same and be different.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0]"
)

# Writing systems that people mix within one name; the sets of Unicode's "highly restrictive"
# profile (UTS 39). Any other mixture is how one name imitates another: a Cyrillic letter in "anna".
_MIXTURES: Final = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
)

# Latin letters beyond A to Z that names are written with, besides those with accents. The other
# ones are phonetic signs: they look like letters that people know, and stand in nobody's name.
_LATIN: Final = frozenset("ßæœøđðþłħŧŋıəɓɗɖɛǝɣƙɔʋƴĸ")

# What looks like a Latin letter in another alphabet, small or capital. A name made of nothing else
# would look like a Latin name and be another one.
_LOOKS_LIKE: Final = str.maketrans(
    "авеіїјкмнопрстухѕԁһԛԝӏ" + "αβεζηικμνορτυχ",
    "abeiijkmhonpctyxsdhqwl" + "abezhikmvoptux",
)
_SAME_LOOK: Final = str.maketrans("\u0131", "i")  # the i without its dot


class Username(NamedTuple):
    """A name as its owner writes it, and the key by which it is unique."""

    shown: str
    key: str


def email(text: str) -> str:
    """The one spelling of an address: trimmed, lower case, the domain as DNS knows it (IDNA 2008).

    RFC 5321 lets a host tell Anna@ from anna@; none that people use does, and two accounts for
    one mailbox are worse. Raises EmailInvalid.
    """
    address = unicodedata.normalize("NFKC", text.strip()).lower()
    local, at, written = address.rpartition("@")
    try:
        domain = domains.ascii_name(written)
    except ValueError as wrong:
        raise EmailInvalid(path="$.email") from wrong
    address = f"{local}@{domain}"
    labels = domain.split(".")
    good = (
        at
        and not domain.endswith(".")
        and len(address) <= EMAIL_LONGEST
        and len(local) <= LOCAL_PART_LONGEST
        and all(_ATOM.fullmatch(atom) for atom in local.split("."))
        and len(labels) > 1
        and not labels[-1].isdigit()  # an IP address is not a home for mail
    )
    if not good:
        raise EmailInvalid(path="$.email")
    return address


def username(text: str) -> Username:
    """A user name: 3 to 32 letters (any one writing system), digits 0-9, `_`, `.` or `-`.

    NFKC makes wide and ligature forms plain; the key is case-folded. Raises UsernameInvalid with
    the reason.
    """
    name = unicodedata.normalize("NFKC", text.strip())
    key = unicodedata.normalize("NFKC", name.casefold()).translate(_SAME_LOOK)
    if not USERNAME_SHORTEST <= len(name) <= USERNAME_LONGEST:
        raise _refused(f"A user name has {USERNAME_SHORTEST} to {USERNAME_LONGEST} characters.")
    if not all(map(_belongs, name)) or _INVISIBLE.search(name):
        raise _refused("A user name is made of letters, digits 0-9, '_', '.' and '-'.")
    if not _starts_a_name(name[0]):
        raise _refused("A user name begins with a letter or a digit.")
    if _marks_in_a_row(name) > 2:
        raise _refused("A user name has too many accents on one letter.")
    if not _one_writing_system(name):
        raise _refused("A user name keeps to the letters of one writing system.")
    return Username(name, _as_latin(key))


def spelling(name: str) -> str:
    """One spelling of what somebody signs in with, so that capitals are no further guesses."""
    try:
        return email(name) if "@" in name else username(name).key
    except (EmailInvalid, UsernameInvalid):
        return name.strip().casefold()[:EMAIL_LONGEST].encode(errors="replace").decode()


def _refused(reason: str) -> UsernameInvalid:
    return UsernameInvalid(reason, path="$.username")


def _belongs(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in _PUNCTUATION
    if _is_mark(character):
        return True
    if unicodedata.category(character)[0] != "L":
        return False
    plain = unicodedata.normalize("NFKD", character)[0].lower()
    return plain.isascii() or plain in _LATIN or not _is_latin(plain)


def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter, "?").startswith(("LATIN", "MODIFIER"))


def _starts_a_name(character: str) -> bool:
    return character not in _PUNCTUATION and not _is_mark(character)


def _is_mark(character: str) -> bool:
    """An accent or a vowel sign: Hindi, Thai and others are not written without them."""
    return unicodedata.category(character) in {"Mn", "Mc"}


def _marks_in_a_row(name: str) -> int:
    longest = run = 0
    for character in name:
        run = run + 1 if _is_mark(character) else 0
        longest = max(longest, run)
    return longest


def _as_latin(key: str) -> str:
    """The Latin name that a name looks like, if every letter of it does; else itself."""
    like = key.translate(_LOOKS_LIKE)
    return like if like.isascii() else key


def _one_writing_system(name: str) -> bool:
    """Python has no table of scripts; the first word of a letter's Unicode name is near enough."""
    found = {
        unicodedata.name(character, "?").split(" ", 1)[0]
        for character in name
        if unicodedata.category(character)[0] == "L"
    }
    return len(found) <= 1 or any(found <= mixture for mixture in _MIXTURES)

"""What our letters say: plain text, one function for each occasion (no I/O).

Names that people chose are put on one line and cut, since they are a stranger's words in our
letter. Knows words; not how letters travel.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from auth.mail import Letter

if TYPE_CHECKING:
    from datetime import datetime

NAME_LONGEST: Final = 60

_POINT: Final = re.compile(r"(?<=\w)\.(?=\w)")

_SIGNATURE: Final = "\n\n--\nSyncSphere\n"


def verification(to: str, code: str, minutes: float) -> Letter:
    """The code that proves an address."""
    return _letter(
        to,
        f"{code} is your SyncSphere code",
        f"Your code is {code}\n\n"
        f"Enter it within {_minutes(minutes)} to prove that this address is yours.\n"
        "We never ask for it by mail or by telephone. If you did not make an account, do nothing.",
    )


def reset(to: str, url: str, minutes: float) -> Letter:
    """The way to a new password; url: a link, or the bare token where we have no page."""
    return _letter(
        to,
        "Choose a new password",
        "Somebody, probably you, asked for a new password. Use this once, within "
        f"{_minutes(minutes)}:\n\n{url}\n\n"
        "If it was not you, do nothing: your password stays as it is.",
    )


def password_changed(to: str, *, keys_revoked: bool = False) -> Letter:
    """A notice, for who did not do it; keys_revoked: that API keys went with the old password."""
    ended = "other devices were signed out"
    if keys_revoked:
        ended = "every device was signed out, and all of its API keys were revoked"
    return _letter(
        to,
        "Your password was changed",
        f"The password of your account was changed; {ended}.\n\n"
        "If it was not you, ask for a new password at once: the account is in somebody else's "
        "hands.",
    )


def closed(to: str, erased_at: datetime) -> Letter:
    """A good-bye, and until when it can be taken back."""
    day = f"{erased_at:%d} {_MONTHS[erased_at.month - 1]} {erased_at:%Y}"
    return _letter(
        to,
        "Your account is closed",
        f"Your account is closed and will be erased on {day}.\n\n"
        "Until then you can open it again with your password. Projects that you share will pass to "
        "your collaborators; those that are yours alone will be erased with the account.",
    )


def invitation(to: str, inviter: str, project: str, role: str, url: str) -> Letter:
    """Somebody wants to make music with whoever reads this; url: a link, or the bare token."""
    who, what = _short(inviter), _short(project)
    return _letter(
        to,
        f"{who} invites you to a project",
        f"{who} invites you to the project “{what}” as {role}.\n\nTo accept:\n\n{url}\n\n"
        "If you do not know them, do nothing.",
        urgent=False,
    )


def key_made(to: str, name: str) -> Letter:
    """A notice, for who did not do it."""
    return _letter(
        to,
        "A new API key for your account",
        f"The API key “{_short(name)}” was made. Programs can use it in your name.\n\n"
        "If it was not you, ask for a new password at once: that revokes every key.",
    )


def added(to: str, inviter: str, project: str, role: str) -> Letter:
    """Somebody works on a project from now on."""
    who, what = _short(inviter), _short(project)
    return _letter(
        to,
        f"{who} added you to a project",
        f"You work on the project “{what}” as {role} now; {who} added you.\n\n"
        "You can leave it at any time.",
        urgent=False,
    )


# Not strftime's %B: that depends on the machine's language.
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def _letter(to: str, subject: str, text: str, *, urgent: bool = True) -> Letter:
    return Letter(to, subject, text + _SIGNATURE, urgent)


def _minutes(count: float) -> str:
    whole = max(1, round(count))
    return "a minute" if whole == 1 else f"{whole} minutes"


def _short(name: str) -> str:
    # Mail programs make links of what looks like one; ours must be the only one in the letter.
    line = _POINT.sub(" . ", " ".join(name.split()).replace("://", ": "))
    return line if len(line) <= NAME_LONGEST else line[: NAME_LONGEST - 1] + "…"

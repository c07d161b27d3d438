"""One client's state of itself: how far its clock may go, and as whom the others see it.

Identity: a signed-in client's state gets `user.id` and `user.name` of its account, in a `user` that
is made if there is none. An anonymous client's `user` loses `id` and gets `guest: true`. If it has
no `user` none is made: clients draw a cursor for whoever has a `user`, and a visitor without
a name would become a nameless cursor on everybody's screen.

Pure functions of one state. Knows nothing of who else is here; what others know of an id's clock is
an argument.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

CLOCK_LIMIT: Final = 2**40
CLOCK_STEP: Final = 2**20
"""A clock may be up to CLOCK_LIMIT (centuries of mouse moves), or up to CLOCK_STEP above the one
that is known. Whoever drives an id's clock up therefore cannot use it up: its owner can always go
one higher."""

_CLOCK_END: Final = 2**52
"""No step leads further: clients read numbers below 2**53, and we go a little beyond theirs."""

EMPTY: Final = "{}"
"""The state every client starts with. To others it would be somebody without a name or a cursor."""


class PresenceUser(NamedTuple):
    """The account behind a signed-in connection."""

    id: str
    name: str


def reach(known: int) -> int:
    """The highest clock accepted for an id of which this one is known."""
    return min(max(CLOCK_LIMIT, known + CLOCK_STEP), _CLOCK_END)


_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NULL: Final = msgspec.Raw(b"null")
_TRUE: Final = msgspec.Raw(b"true")


def stamp(source: str, user: PresenceUser | None) -> str:
    """The state with the identity of its connection written into it.

    `source` is a JSON object. All but `user` keeps its bytes, and its place.
    """
    fields = _FIELDS.decode(source)
    said = fields.get("user", _NULL)
    if user is None and said == _NULL:
        return source if fields else EMPTY
    # What is not an object carries no id, but whoever reads `user` may count on an object.
    about = _FIELDS.decode(said) if bytes(said).startswith(b"{") else {}
    if user is None:
        about.pop("id", None)
        about["guest"] = _TRUE
    else:
        about.pop("guest", None)
        about["id"] = _raw(user.id)
        about["name"] = _raw(user.name)
    fields["user"] = _raw(about)
    return msgspec.json.encode(fields).decode()


def _raw(value: str | dict[str, msgspec.Raw]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def account(user: PresenceUser | None) -> str | None:
    """Whose a connection is; None for everybody who is anonymous."""
    return None if user is None else user.id


def same_account(user: PresenceUser | None, other: PresenceUser | None) -> bool:
    """Whether both may be one person: the same account, or both anonymous."""
    return account(user) == account(other)

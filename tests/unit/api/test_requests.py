"""The way in: headers, media types, and bodies that are counted while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from api import requests
from api.errors import BodyTooLarge, UnsupportedMediaType
from api.route import JSON, OCTETS
from auth.errors import TokenInvalid

if TYPE_CHECKING:
    from starlette.types import Message

MIB = 1024 * 1024


class Sender:
    """A client that sends chunks and knows how many were taken from it."""

    def __init__(self, chunk: bytes, count: int) -> None:
        self._chunk, self._count = chunk, count
        self.taken = 0

    async def receive(self) -> Message:
        self.taken += 1
        more = self.taken < self._count
        return {"type": "http.request", "body": self._chunk, "more_body": more}

    def request(self, **headers: str) -> Request:
        raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
        return Request({"type": "http", "method": "POST", "headers": raw}, self.receive)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   abc ", "abc"),
        ("Bearer", ""),
        ("Bearer ", ""),
    ],
)
def test_a_bearer_header_gives_its_token(header: str | None, token: str | None) -> None:
    assert requests.bearer(header) == token


@pytest.mark.parametrize("header", ["", "Basic YTpi", "abc", "Token abc", "Bearerabc"])
def test_other_schemes_are_refused(header: str) -> None:
    with pytest.raises(TokenInvalid):
        requests.bearer(header)


@pytest.mark.parametrize(
    "given",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json;odata=verbose",
    ],
)
def test_json_may_be_called_so_in_several_ways(given: str) -> None:
    requests.check_media_type(Headers({"content-type": given}), JSON, optional=False)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
        "application/json, text/plain",
    ],
)
def test_other_media_types_are_refused(given: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        requests.check_media_type(Headers({"content-type": given}), JSON, optional=False)
    assert caught.value.data["expected"] == JSON


def test_a_missing_media_type_is_refused_unless_it_is_optional() -> None:
    requests.check_media_type(Headers(), OCTETS, optional=True)
    with pytest.raises(UnsupportedMediaType):
        requests.check_media_type(Headers(), OCTETS, optional=False)


@pytest.mark.parametrize("optional", [True, False])
def test_a_compressed_body_is_refused(optional: bool) -> None:
    headers = Headers({"content-type": OCTETS, "content-encoding": "gzip"})
    with pytest.raises(UnsupportedMediaType):
        requests.check_media_type(headers, OCTETS, optional=optional)


async def test_a_body_up_to_the_limit_is_read() -> None:
    sender = Sender(b"x" * 100, 10)
    assert await requests.bounded(sender.request(), 1000) == b"x" * 1000
    assert await requests.bounded(Sender(b"", 1).request(), 0) == b""


async def test_one_byte_more_is_too_large() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        await requests.bounded(Sender(b"x" * 100, 10).request(), 999)
    assert caught.value.data["limit_bytes"] == 999


async def test_a_body_announced_as_too_large_is_not_read_at_all() -> None:
    sender = Sender(b"x" * MIB, 50)
    with pytest.raises(BodyTooLarge):
        await requests.bounded(sender.request(content_length=str(50 * MIB)), 16 * MIB)
    assert sender.taken == 0


async def test_a_content_length_that_lies_is_found_out() -> None:
    sender = Sender(b"x" * MIB, 50)
    with pytest.raises(BodyTooLarge):
        await requests.bounded(sender.request(content_length="5"), 16 * MIB)
    assert sender.taken == 17


@pytest.mark.parametrize("announced", ["-5", "abc", "1e9", "\u0665", "9" * 5000])
async def test_a_content_length_that_is_no_number_harms_nobody(announced: str) -> None:
    sender = Sender(b"x", 1)
    try:
        assert await requests.bounded(sender.request(content_length=announced), 10) == b"x"
    except BodyTooLarge:
        assert announced == "9" * 5000

"""Letters as a test reads them: without an SMTP server the server prints them to its log."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import structlog.testing

from auth.mail import Letter

if TYPE_CHECKING:
    from collections.abc import Generator, MutableMapping
    from typing import Any

    from .rest import Rest


class Post:
    """What was sent since `opened`."""

    def __init__(self, entries: list[MutableMapping[str, Any]]) -> None:
        self._entries = entries

    def letters(self, to: str | None = None) -> list[Letter]:
        printed = [each for each in self._entries if each["event"] == "mail_printed"]
        found = [Letter(each["to"], each["subject"], each["text"]) for each in printed]
        return [letter for letter in found if to in (None, letter.to)]

    def code(self, to: str) -> str:
        """The last code that went there."""
        return self._last(to, r"Your code is (\d{6})$")

    def token(self, to: str) -> str:
        """The last token, of a reset or an invitation, that went there, in a link or by itself."""
        return self._last(to, r"^(?:https?://\S+/#(?:invite|reset)=)?([\w-]{43})$")

    def _last(self, to: str, pattern: str) -> str:
        found = [
            match[1]
            for letter in self.letters(to)
            if (match := re.search(pattern, letter.text, re.MULTILINE))
        ]
        assert found, f"no such letter to {to}"
        return found[-1]


@contextlib.contextmanager
def opened() -> Generator[Post]:
    with structlog.testing.capture_logs() as entries:
        yield Post(entries)


async def a_minute_later(rest: Rest) -> None:
    """Another letter of each kind may go out."""
    client = rest.services.redis.client
    for pattern in ("*verification-minute:*", "*reset-minute:*", "outreach-minute:*"):
        for key in await client.keys(pattern):
            await client.delete(key)


async def commands(rest: Rest, path: str, email: str) -> dict[str, int]:
    """What Redis is asked to do, also within scripts, for one request about an address."""
    client = rest.services.redis.client
    await client.config_resetstat()
    answer = await rest.client.post(path, json={"email": email})
    assert answer.status_code == 202, answer.text
    done: dict[str, dict[str, int]] = await client.info("commandstats")
    ours = {"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_config"}
    return {name: numbers["calls"] for name, numbers in done.items() if name not in ours}

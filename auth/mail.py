"""Letters on their way to people: queued, sent by SMTP or printed, tried again.

A letter is posted without waiting, because nobody who registers should wait for a mail server, and
nobody should learn from the time it takes whether a letter was written. What is queued is in memory
only: whoever misses a letter asks for another. A letter's text holds codes, so it is never logged,
except where printing it is the only way to deliver it (no SMTP server is set).
"""

from __future__ import annotations

import asyncio
import contextlib
import email.policy
import heapq
import ipaddress
import itertools
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import aiosmtplib

from base import clock, domains, log, metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

QUEUE_MOST: Final = 1000

PAUSES: Final = (5.0, 60.0)
"""Seconds after a failed try; then it is given up."""

ANSWER_SECONDS: Final = 30.0

_PORTS: Final = {"smtp": 587, "smtps": 465}
# One address and nothing that a header would read as a second one, a name or a comment.
_ADDRESS: Final = re.compile(
    r'[^\s@,;:<>()\[\]"\\\x00-\x1f\x7f]+@[^\s@,;:<>()\[\]"\\\x00-\x1f\x7f]+'
)

_log = log.get(__name__)


class Letter(NamedTuple):
    """One e-mail, plain text."""

    to: str
    subject: str
    text: str
    urgent: bool = True
    """Somebody waits for it."""


class Server(NamedTuple):
    """Where letters are handed in."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool
    """From the first byte; otherwise STARTTLS, where it is offered."""

    @classmethod
    def parse(cls, url: str) -> Server:
        """From `smtp://user:password@host:587` or `smtps://…`. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("not an SMTP address")
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        port = parts.port or _PORTS[parts.scheme]
        return cls(parts.hostname, port, user, password, parts.scheme == "smtps")

    @property
    def start_tls(self) -> bool | None:
        """Whether STARTTLS must be; None: if it is offered. A password never travels in the open."""
        if self.tls:
            return False
        return True if self.password and not _is_loopback(self.host) else None


class _Waiting(NamedTuple):
    due: float
    number: int
    letter: Letter
    tries: int


class Mail:
    """Takes letters without waiting and sends them from a task of its own.

    url: of an SMTP server; None prints letters to the log.
    """

    def __init__(self, *, url: str | None, sender: str, pauses: Sequence[float] = PAUSES) -> None:
        """Raises ValueError for a url or a sender that is none."""
        self._server = Server.parse(url) if url else None
        self._sender = sender_of(sender)
        self._pauses = pauses
        self._numbers = itertools.count()
        self._queue: list[_Waiting] = []
        self._posted = asyncio.Event()

    def __len__(self) -> int:
        """Letters that wait."""
        return len(self._queue)

    def post(self, letter: Letter) -> None:
        """Queue a letter; when a thousand wait already, the oldest that nobody waits for is lost."""
        if self._server is None:
            metrics.mail_total.labels(outcome="printed").inc()
            _log.info("mail_printed", to=letter.to, subject=letter.subject, text=letter.text)
            return
        if len(self._queue) >= QUEUE_MOST:
            # A crowd of invitations must not cost somebody the letter that lets them in.
            oldest = min(self._queue, key=lambda each: (each.letter.urgent, each.number))
            self._queue.remove(oldest)
            heapq.heapify(self._queue)
            metrics.mail_total.labels(outcome="dropped").inc()
            _log.error("mail_dropped", waiting=QUEUE_MOST)
        self._put(_Waiting(0.0, next(self._numbers), letter, 0))

    async def run(self) -> None:
        """Send what is queued, until cancelled."""
        if self._server is None:
            return
        try:
            while not _is_cancelled():
                await self._until_due()
                await self._send_due(self._server)
        finally:
            if self._queue:
                _log.warning("mail_unsent", letters=len(self._queue))

    def _is_due(self) -> bool:
        return bool(self._queue) and self._queue[0].due <= clock.monotonic()

    async def _until_due(self) -> None:
        """Wait until a letter may be sent."""
        while not self._is_due():
            self._posted.clear()
            seconds = self._queue[0].due - clock.monotonic() if self._queue else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._posted.wait()

    async def _send_due(self, server: Server) -> None:
        """Over one connection all that is due; the first failure ends the connection."""
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.tls,
            start_tls=server.start_tls,
            # Otherwise the system is asked for its full name, which may take seconds.
            local_hostname=self._sender.domain,
            timeout=ANSWER_SECONDS,
        )
        try:
            whole = True
            while whole and not _is_cancelled() and self._is_due():
                whole = await self._try(smtp, heapq.heappop(self._queue))
            if whole and smtp.is_connected:
                with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                    await smtp.quit()
        finally:
            smtp.close()

    async def _try(self, smtp: aiosmtplib.SMTP, waiting: _Waiting) -> bool:
        """Send one; False when the connection should not be used again."""
        letter = waiting.letter
        try:
            message = written(letter, self._sender)
            if not smtp.is_connected:
                await smtp.connect()
            await smtp.send_message(
                message, sender=self._sender.addr_spec, recipients=[deliverable(letter.to)]
            )
        except asyncio.CancelledError:
            self._put(waiting)  # to be counted as unsent
            raise
        except Exception as error:  # noqa: BLE001 (whatever one letter does, the next ones must go out; logged)
            self._failed(waiting, error)
            return False
        metrics.mail_total.labels(outcome="sent").inc()
        _log.debug("mail_sent", domain=_domain(letter.to))
        return True

    def _failed(self, waiting: _Waiting, error: Exception) -> None:
        told = {
            "domain": _domain(waiting.letter.to),
            "why": _why(error),
            "tries": waiting.tries + 1,
        }
        if is_permanent(error):
            metrics.mail_total.labels(outcome="refused").inc()
            _log.warning("mail_refused", **told)
        elif waiting.tries >= len(self._pauses):
            metrics.mail_total.labels(outcome="failed").inc()
            _log.error("mail_failed", **told)
        else:
            _log.warning("mail_delayed", **told)
            due = clock.monotonic() + self._pauses[waiting.tries]
            self._put(waiting._replace(due=due, tries=waiting.tries + 1))

    def _put(self, waiting: _Waiting) -> None:
        heapq.heappush(self._queue, waiting)
        self._posted.set()


def sender_of(text: str) -> Address:
    """A sender such as `SyncSphere <sync@studio.example>`. Raises ValueError."""
    name, address = parseaddr(text)
    if not _ADDRESS.fullmatch(address) or not text.isprintable():
        raise ValueError(f"{text!r} is not a sender such as SyncSphere <sync@studio.example>")
    user, _, domain = deliverable(address).rpartition("@")
    return Address(name, user, domain)


def deliverable(address: str) -> str:
    """The address with its domain in ASCII, as DNS has it. Raises ValueError for what is none."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError("not one e-mail address")
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain if domain.isascii() else domains.ascii_name(domain)}"


def written(letter: Letter, sender: Address) -> EmailMessage:
    """The letter as it is sent. Raises ValueError: no header can be smuggled into another."""
    to = deliverable(letter.to)
    policy = email.policy.SMTP if to.isascii() else email.policy.SMTPUTF8
    message = EmailMessage(policy=policy)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = make_msgid(domain=sender.domain)
    # So that nobody's holiday notice answers it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


def is_permanent(error: Exception) -> bool:
    """Whether another try would end the same way."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return all(refusal.code >= 500 for refusal in error.recipients)
        case aiosmtplib.SMTPResponseException():
            return error.code >= 500
        case OSError():  # before ValueError: a certificate that is refused is both
            return False
        # An address that the server cannot carry (SMTPUTF8), or that is none.
        case aiosmtplib.SMTPNotSupported() | ValueError():
            return True
        case _:
            return False


def _why(error: Exception) -> str:
    """The server's words; never the letter's."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{each.code} {each.message}" for each in error.recipients)
    return f"{type(error).__name__}: {error}"


def _is_cancelled() -> bool:
    """Whether we were told to stop.

    The library waits with `asyncio.wait_for`, which before Python 3.12 forgets a cancellation that
    comes together with an answer.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

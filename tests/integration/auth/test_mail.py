"""Letters handed to a real SMTP server, which may refuse, falter and go away."""

from __future__ import annotations

import contextlib
import socket
import ssl
from datetime import timedelta
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog.testing
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auth.mail import Letter, Mail
from base import clock
from base.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from email.message import EmailMessage
    from pathlib import Path

    from aiosmtpd.smtp import SMTP, Envelope, Session

SENDER = "SyncSphere <sync@studio.example>"
ANNA = Letter("anna@example.com", "Your code", "It is 123456.\n")


class Mailbox:
    """What a server received; `answers` come first, instead of taking a letter."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.sessions: list[Session] = []
        self.answers: list[str] = []
        self.refused: set[str] = set()
        self.tries = 0

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        if address in self.refused:
            self.tries += 1
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        self.tries += 1
        if self.answers:
            return self.answers.pop(0)
        self.sessions.append(session)
        content = envelope.original_content or b""
        self.letters.append(message_from_bytes(content, policy=policy.default))
        return "250 OK"


@contextlib.contextmanager
def serving(
    mailbox: Mailbox, port: int = 0, host: str = "127.0.0.1", **more: Any
) -> Generator[int]:
    """A server in a thread of its own; its port."""
    controller = Controller(mailbox, hostname=host, port=port or free_port(), **more)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def sending(url: str, *pauses: float) -> AsyncGenerator[Mail]:
    mail, tasks = Mail(url=url, sender=SENDER, pauses=pauses or (0.01, 0.02)), Tasks()
    running = tasks.spawn("mail", mail.run())
    yield mail
    assert not running.done()
    await tasks.aclose()


async def until(true: Callable[[], object]) -> None:
    """A server in another thread tells nobody when it is done."""
    with anyio.fail_after(20):
        while not true():  # noqa: ASYNC110 (as above)
            await anyio.sleep(0.005)


async def test_a_letter_arrives_as_it_was_written() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        async with sending(f"smtp://127.0.0.1:{port}") as mail:
            mail.post(Letter("anna@example.com", "Grüße 🎵", "Dein Code: 123456\n"))
            await until(lambda: mailbox.letters)
    [letter] = mailbox.letters
    assert letter["To"] == "anna@example.com"
    assert letter["From"] == SENDER
    assert letter["Subject"] == "Grüße 🎵"
    assert letter.get_content().strip() == "Dein Code: 123456"


async def test_many_letters_go_over_one_connection_and_their_text_is_nowhere_in_the_log() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port, structlog.testing.capture_logs() as logged:
        async with sending(f"smtp://127.0.0.1:{port}") as mail:
            for number in range(20):
                mail.post(ANNA._replace(to=f"a{number}@example.com"))
            await until(lambda: len(mailbox.letters) == 20)
    assert len({id(session) for session in mailbox.sessions}) == 1
    assert [letter["To"] for letter in mailbox.letters] == [f"a{n}@example.com" for n in range(20)]
    assert "123456" not in str(logged)


async def test_a_server_that_falters_gets_the_letter_again() -> None:
    mailbox = Mailbox()
    mailbox.answers = ["451 later", "451 later"]
    with serving(mailbox) as port:
        async with sending(f"smtp://127.0.0.1:{port}") as mail:
            mail.post(ANNA)
            await until(lambda: mailbox.letters)
    assert mailbox.tries == 3


async def test_after_three_tries_a_letter_is_given_up_and_the_next_one_goes_out() -> None:
    mailbox = Mailbox()
    mailbox.answers = ["451 later"] * 3
    with serving(mailbox) as port, structlog.testing.capture_logs() as logged:
        async with sending(f"smtp://127.0.0.1:{port}") as mail:
            mail.post(ANNA)
            await until(lambda: mailbox.tries == 3 and not len(mail))
            mail.post(ANNA._replace(to="bert@example.com"))
            await until(lambda: mailbox.letters)
    assert [letter["To"] for letter in mailbox.letters] == ["bert@example.com"]
    assert [entry["event"] for entry in logged if entry["log_level"] == "error"] == ["mail_failed"]
    assert "123456" not in str(logged)


async def test_what_is_refused_for_good_is_not_sent_again() -> None:
    mailbox = Mailbox()
    mailbox.refused = {"nobody@example.com"}
    with serving(mailbox) as port, structlog.testing.capture_logs() as logged:
        async with sending(f"smtp://127.0.0.1:{port}") as mail:
            mail.post(ANNA._replace(to="nobody@example.com"))
            mail.post(ANNA)
            await until(lambda: mailbox.letters)
            assert not len(mail)
    assert [entry["event"] for entry in logged if "refused" in entry["event"]] == ["mail_refused"]
    assert mailbox.tries == 2


async def test_a_server_that_was_gone_gets_the_letters_when_it_is_back() -> None:
    mailbox, port = Mailbox(), free_port()
    async with sending(f"smtp://127.0.0.1:{port}", *[0.05] * 200) as mail:
        mail.post(ANNA)
        await until(lambda: mail._queue and mail._queue[0].tries)
        with serving(mailbox, port):
            await until(lambda: mailbox.letters)
        mail.post(ANNA)
        await until(lambda: mail._queue and mail._queue[0].tries)
        with serving(mailbox, port):
            await until(lambda: len(mailbox.letters) == 2)


async def test_a_letter_that_cannot_be_written_stops_nobody_elses() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        async with sending(f"smtp://127.0.0.1:{port}") as mail:
            mail.post(ANNA._replace(to="anna@example.com\r\nBcc: eve@evil.example"))
            mail.post(ANNA._replace(subject="Hi\r\nBcc: eve@evil.example"))
            mail.post(ANNA)
            await until(lambda: mailbox.letters)
            assert not len(mail)
    assert len(mailbox.letters) == 1
    assert "eve" not in str(mailbox.letters[0])


@pytest.mark.parametrize("understood", [True, False])
async def test_an_address_beyond_ascii_is_carried_or_refused(understood: bool) -> None:
    mailbox = Mailbox()
    with serving(mailbox, enable_SMTPUTF8=understood) as port:
        async with sending(f"smtp://127.0.0.1:{port}") as mail:
            mail.post(ANNA._replace(to="jürgen@bücher.example"))
            mail.post(ANNA)
            await until(lambda: any(one["To"] == ANNA.to for one in mailbox.letters))
            assert not len(mail)
    assert len(mailbox.letters) == 1 + understood


async def test_a_password_is_not_told_to_a_server_without_tls() -> None:
    told: list[object] = []

    def overhear(*said: object) -> AuthResult:
        told.append(said)
        return AuthResult(success=True)

    mailbox = Mailbox()
    # 0.0.0.0 is this machine, but not written as what never leaves it.
    login: dict[str, Any] = {"authenticator": overhear, "auth_require_tls": False}
    with (
        serving(mailbox, host="0.0.0.0", **login) as port,
        structlog.testing.capture_logs() as logged,
    ):
        async with sending(f"smtp://ada:hunter2@0.0.0.0:{port}") as mail:
            mail.post(ANNA)
            await until(lambda: any(entry["event"] == "mail_failed" for entry in logged))
        assert not told
        async with sending(f"smtp://ada:hunter2@127.0.0.1:{port}") as mail:
            mail.post(ANNA)
            await until(lambda: mailbox.letters)
    assert told
    assert "hunter2" not in str(logged)


async def test_a_server_whose_certificate_nobody_vouches_for_gets_no_letter(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(self_signed(tmp_path))
    mailbox = Mailbox()
    with (
        serving(mailbox, tls_context=tls) as port,
        structlog.testing.capture_logs() as logged,
    ):
        async with sending(f"smtp://127.0.0.1:{port}") as mail:
            mail.post(ANNA)
            await until(lambda: any(entry["event"] == "mail_failed" for entry in logged))
    assert not mailbox.tries
    assert "certificate" in str(logged).lower()


def self_signed(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that only it itself has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path

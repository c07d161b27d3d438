"""A letter as it is written: no header can be smuggled into another, no second reader added."""

from __future__ import annotations

import aiosmtplib
import pytest
import structlog.testing

from auth import mail
from auth.mail import Letter, Mail, Server

SENDER = mail.sender_of("SyncSphere <sync@studio.example>")


def test_a_letter_says_who_writes_to_whom_and_that_nobody_has_to_answer() -> None:
    message = mail.written(Letter("anna@example.com", "Grüße", "Dein Code: 123456\n"), SENDER)
    assert message["From"] == "SyncSphere <sync@studio.example>"
    assert message["To"] == "anna@example.com"
    assert message["Subject"] == "Grüße"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@studio.example>")
    assert message["Date"]
    assert message.get_content() == "Dein Code: 123456\n"
    assert bytes(message).isascii()


@pytest.mark.parametrize(
    "address",
    [
        "anna@example.com\r\nBcc: eve@evil.example",
        "anna@example.com, eve@evil.example",
        "anna@example.com; eve@evil.example",
        "Anna <anna@example.com>",
        "anna@example.com (eve@evil.example)",
        "anna@example.com eve@evil.example",
        '"a b"@example.com',
        "anna",
        "@example.com",
        "",
    ],
)
def test_an_address_that_is_more_than_one_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not one e-mail address"):
        mail.written(Letter(address, "Hello", "Hello"), SENDER)


def test_a_subject_of_two_lines_is_refused() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        mail.written(Letter("anna@example.com", "Hello\r\nBcc: eve@evil.example", "x"), SENDER)


def test_letters_beyond_ascii_are_carried_before_the_at_and_translated_behind_it() -> None:
    assert mail.deliverable("anna@bücher.example") == "anna@xn--bcher-kva.example"
    message = mail.written(Letter("jürgen@bücher.example", "Hi", "Hi"), SENDER)
    assert message["To"] == "jürgen@xn--bcher-kva.example"


@pytest.mark.parametrize("text", ["", "SyncSphere", "a@b@c", "A <a@b>\r\nBcc: c@d"])
def test_a_sender_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a sender"):
        mail.sender_of(text)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://localhost", Server("localhost", 587, None, None, False)),
        ("smtp://ada:p%40ss@mail.example:25", Server("mail.example", 25, "ada", "p@ss", False)),
        ("smtps://ada:x@mail.example", Server("mail.example", 465, "ada", "x", True)),
        ("smtp://[::1]:2525", Server("::1", 2525, None, None, False)),
    ],
)
def test_an_address_of_a_server(url: str, server: Server) -> None:
    assert Server.parse(url) == server


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://"])
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an SMTP address"):
        Server.parse(url)


@pytest.mark.parametrize(
    ("url", "needed"),
    [
        ("smtp://ada:x@mail.example", True),
        ("smtp://ada:x@127.0.0.1", None),
        ("smtp://ada:x@localhost", None),
        ("smtp://mail.example", None),
        ("smtps://ada:x@mail.example", False),
    ],
)
def test_a_password_leaves_this_machine_under_tls_only(url: str, needed: bool | None) -> None:
    assert Server.parse(url).start_tls is needed


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (aiosmtplib.SMTPDataError(554, "no"), True),
        (aiosmtplib.SMTPDataError(451, "later"), False),
        (aiosmtplib.SMTPRecipientsRefused([aiosmtplib.SMTPRecipientRefused(550, "", "a")]), True),
        (aiosmtplib.SMTPRecipientsRefused([aiosmtplib.SMTPRecipientRefused(450, "", "a")]), False),
        (aiosmtplib.SMTPAuthenticationError(535, "no"), True),
        (aiosmtplib.SMTPNotSupported("SMTPUTF8"), True),
        (aiosmtplib.SMTPServerDisconnected("gone"), False),
        (ConnectionRefusedError(), False),
        (ValueError(), True),
    ],
)
def test_only_what_may_change_is_tried_again(error: Exception, permanent: bool) -> None:
    assert mail.is_permanent(error) is permanent


def test_without_a_server_a_letter_is_printed_whole() -> None:
    printing = Mail(url=None, sender="SyncSphere <sync@studio.example>")
    with structlog.testing.capture_logs() as logged:
        printing.post(Letter("anna@example.com", "Your code", "123456"))
    [entry] = logged
    assert entry == {
        "event": "mail_printed",
        "log_level": "info",
        "to": "anna@example.com",
        "subject": "Your code",
        "text": "123456",
    }
    assert len(printing) == 0


def test_of_too_many_letters_the_oldest_is_lost_and_that_is_said() -> None:
    full = Mail(url="smtp://localhost", sender="SyncSphere <sync@studio.example>")
    for number in range(mail.QUEUE_MOST):
        full.post(Letter(f"a{number}@example.com", "Hi", "Hi"))
    with structlog.testing.capture_logs() as logged:
        full.post(Letter("last@example.com", "Hi", "Hi"))
    assert [entry["event"] for entry in logged] == ["mail_dropped"]
    assert len(full) == mail.QUEUE_MOST
    left = {waiting.letter.to for waiting in full._queue}
    assert "last@example.com" in left
    assert "a0@example.com" not in left

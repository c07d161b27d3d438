"""Settings: where a value comes from, what is refused, what is never shown."""

from __future__ import annotations

import dataclasses
import re
import threading
from typing import TYPE_CHECKING

import pytest

from base import settings
from base.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def test_without_anything_every_setting_has_its_default() -> None:
    assert Settings.load({}) == Settings()


def test_an_option_beats_the_environment_which_beats_the_default() -> None:
    environ = {"SYNCSPHERE_PORT": "9000", "SYNCSPHERE_HOST": "0.0.0.0"}
    loaded = Settings.load(environ, port="9001", host=None)
    assert (loaded.port, loaded.host, loaded.session_days) == (9001, "0.0.0.0", 7)


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.load({"SYNCSPHERE_PORT": "", "SYNCSPHERE_REDIS_URL": "  "}) == Settings()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("65536", 65536),
        ("512 KiB", 512 << 10),
        ("16mb", 16 << 20),
        ("1G", 1 << 30),
        ("2048b", 2048),
    ],
)
def test_sizes_may_carry_a_unit(text: str, size: int) -> None:
    assert Settings.load({"SYNCSPHERE_OUTBOX_BYTES": text}).outbox_bytes == size


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SYNCSPHERE_PORT", "http"),
        ("SYNCSPHERE_PORT", "65536"),
        ("SYNCSPHERE_PORT", "-1"),
        ("SYNCSPHERE_PORT", "1 KiB"),
        ("SYNCSPHERE_LOG_LEVEL", "loud"),
        ("SYNCSPHERE_OUTBOX_BYTES", "much"),
        ("SYNCSPHERE_OUTBOX_BYTES", "1"),
        ("SYNCSPHERE_JOURNAL_LINGER_MS", "nan"),
        ("SYNCSPHERE_JOURNAL_LINGER_MS", "fast"),
        ("SYNCSPHERE_ROOM_IDLE_SECONDS", "inf"),
        ("SYNCSPHERE_BCRYPT_COST", "3"),
        ("SYNCSPHERE_SECRET", "too short"),
        ("SYNCSPHERE_DATABASE_URL", "localhost"),
        ("SYNCSPHERE_DATABASE_URL", "postgresql://db:70000/music"),
        ("SYNCSPHERE_DATABASE_URL", "postgresql://db/music?colour=blue"),
        ("SYNCSPHERE_REDIS_URL", "cache:6379"),
        ("SYNCSPHERE_REDIS_URL", "redis://cache:port"),
        ("SYNCSPHERE_TRUSTED_PROXIES", "localhost"),
        ("SYNCSPHERE_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("SYNCSPHERE_ALLOWED_ORIGINS", "studio.example"),
        ("SYNCSPHERE_ALLOWED_ORIGINS", "null"),
        ("SYNCSPHERE_ALLOWED_ORIGINS", "https://studio.example/path"),
        ("SYNCSPHERE_PUBLIC_URL", "sync.example"),
        ("SYNCSPHERE_PUBLIC_URL", "https://sync.example/music"),
        ("SYNCSPHERE_PUBLIC_URL", "ftp://sync.example"),
        ("SYNCSPHERE_MAIL_URL", "mail.example:587"),
        ("SYNCSPHERE_MAIL_URL", "smtp://mail.example:port"),
        ("SYNCSPHERE_MAIL_URL", "smtp://mail.example/path"),
        ("SYNCSPHERE_MAIL_FROM", "SyncSphere"),
        ("SYNCSPHERE_MAIL_FROM", "sync@studio.example\nBcc: eve@evil.example"),
        ("SYNCSPHERE_OIDC_ISSUER", "http://accounts.example"),
        ("SYNCSPHERE_OIDC_ISSUER", "accounts.example"),
    ],
)
def test_a_bad_value_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.load({variable: value})


def test_a_refused_secret_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load({"SYNCSPHERE_SECRET": "hunter2"})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SYNCSPHERE_DATABASE_URL", "mysql://ada:hunter2@db/music"),
        ("SYNCSPHERE_DATABASE_URL", "postgresql:/ada:hunter2@db/music"),
        ("SYNCSPHERE_DATABASE_URL", "ada:hunter2@db/music"),
        ("SYNCSPHERE_DATABASE_URL", "postgresql://ada:hunter2/x@db/music"),
        ("SYNCSPHERE_DATABASE_URL", "postgresql://ada:12/hunter2@db/music"),
        ("SYNCSPHERE_DATABASE_URL", "postgresql://ada:x@hunter2@db/music"),
        ("SYNCSPHERE_DATABASE_URL", "postgresql://ada:hunter2%zz@db/music"),
        ("SYNCSPHERE_DATABASE_URL", "hostess=db password=hunter2"),
        ("SYNCSPHERE_REDIS_URL", "http://:hunter2@cache"),
        ("SYNCSPHERE_REDIS_URL", "redis://:hunter2#x@cache"),
        ("SYNCSPHERE_REDIS_URL", "redis://:hunter2/x@cache"),
        ("SYNCSPHERE_REDIS_URL", "redis://:12#hunter2@cache"),
        ("SYNCSPHERE_REDIS_URL", ":hunter2@cache"),
        ("SYNCSPHERE_MAIL_URL", "smtp://ada:hunter2@mail:port"),
        ("SYNCSPHERE_MAIL_URL", "smtp://ada:hunter2/x@mail"),
        ("SYNCSPHERE_MAIL_URL", "ada:hunter2@mail"),
    ],
)
def test_a_refused_address_is_told_without_its_password(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable) as refused:
        Settings.load({variable: value})
    assert "hunter2" not in str(refused.value)
    assert "such as" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "postgresql://ada:p%40ss@db:5432,other:5433/music?sslmode=require"),
        ("database_url", "postgres://ada@[::1]/music?application_name=a%40b"),
        ("database_url", "postgresql:///music?host=/run/postgresql&user=ada"),
        ("database_url", "host=db user=ada password='a b' dbname=music"),
        ("redis_url", "redis://:p%40ss@cache:6379/0"),
        ("redis_url", "rediss://ada:pass@cache"),
        ("redis_url", "unix:///run/redis.sock?db=1"),
        ("mail_url", "smtps://ada:p%40ss@mail.example"),
        ("public_url", "https://sync.example/"),
    ],
)
def test_an_address_that_its_driver_understands_is_taken(name: str, value: str) -> None:
    assert getattr(Settings.load({}, **{name: value}), name) == value


def test_a_provider_is_set_whole_or_not_at_all() -> None:
    with pytest.raises(SettingsError, match=r"OIDC_CLIENT_SECRET must be set too"):
        Settings.load({}, oidc_issuer="https://accounts.example", oidc_client_id="us")
    whole = Settings.load(
        {}, oidc_issuer="http://localhost:9000", oidc_client_id="us", oidc_client_secret="hush"
    )
    assert "hush" not in repr(whole)


def test_an_override_that_is_no_setting_is_our_mistake() -> None:
    with pytest.raises(TypeError, match="colour"):
        Settings.load({}, colour="blue")


def test_passwords_and_keys_are_never_shown() -> None:
    loaded = Settings.load(
        {
            "SYNCSPHERE_SECRET": "s" * 32,
            "SYNCSPHERE_DATABASE_URL": "postgresql://ada:pass%40word@db/music?sslmode=require",
            "SYNCSPHERE_REDIS_URL": "redis://:pass@word@cache:6379/0",
        }
    )
    assert loaded.masked()["database_url"] == "postgresql://ada:***@db/music?sslmode=require"
    assert loaded.masked()["redis_url"] == "redis://:***@cache:6379/0"
    assert "pass" not in repr(loaded)
    assert "sss" not in repr(loaded)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "postgresql:///music?host=%2Ftmp&password=x&port=1",
            "postgresql:///music?host=%2Ftmp&password=***&port=1",
        ),
        ("postgresql://ada@db/music?sslpassword=x", "postgresql://ada@db/music?sslpassword=***"),
        ("postgresql://ada:a#b?c/d@db/music", "postgresql://ada:***@db/music"),
        ("host=db password = 'a \\' b' user=ada", "host=db password = *** user=ada"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("data/here", "data/here"),
    ],
)
def test_only_the_password_of_a_url_is_hidden(url: str, shown: str) -> None:
    assert settings.mask_url(url) == shown


def test_variables_that_nothing_reads_are_found() -> None:
    environ = {"SYNCSPHERE_POTR": "1", "SYNCSPHERE_PORT": "1", "HOME": "x"}
    assert settings.unknown_variables(environ) == ["SYNCSPHERE_POTR"]


def test_every_setting_says_what_it_means() -> None:
    for field in dataclasses.fields(Settings):
        assert re.match(r"\S.{10,}[^.]$", field.metadata["meaning"]), field.name


def test_the_signing_key_is_made_once_and_only_we_can_read_it(tmp_path: Path) -> None:
    config = Settings(data=tmp_path / "data")
    key = settings.signing_key(config)
    assert len(key) >= settings.SECRET_LEAST
    assert settings.signing_key(config) == key
    assert (tmp_path / "data" / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_who_asks_for_the_key_at_once_gets_the_same_one(tmp_path: Path) -> None:
    config = Settings(data=tmp_path)
    keys: list[str] = []
    askers = [
        threading.Thread(target=lambda: keys.append(settings.signing_key(config))) for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_a_configured_key_leaves_no_file(tmp_path: Path) -> None:
    config = Settings(data=tmp_path / "data", secret="k" * 40)
    assert settings.signing_key(config) == "k" * 40
    assert not (tmp_path / "data").exists()


def test_a_damaged_key_file_is_said_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(SettingsError, match=r"secret\.key"):
        settings.signing_key(Settings(data=tmp_path))

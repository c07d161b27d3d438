"""docker-compose.yml and the Dockerfile, read with parsers: they fit together and our settings."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from base import settings
from base.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
VARIABLES = {settings.variable(field.name) for field in dataclasses.fields(Settings)}
SECRETS = {"POSTGRES_PASSWORD": "f00d", "SYNCSPHERE_SECRET": "s" * 48}


def interpolated(text: str) -> str:
    """As compose does it, with our secrets; an unknown variable without a default fails."""

    def value(match: re.Match[str]) -> str:
        return SECRETS.get(match["name"]) or match["default"]

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)\}", value, text)


def test_the_three_services_are_the_ones_we_promise() -> None:
    images = {name: service.get("image") for name, service in SERVICES.items()}
    assert images == {"server": None, "postgres": "postgres:18", "redis": "valkey/valkey:8"}
    assert SERVICES["server"]["build"] == "."


def test_every_variable_of_the_server_is_a_setting_with_a_usable_value() -> None:
    environ = {
        name: interpolated(value) for name, value in SERVICES["server"]["environment"].items()
    }
    assert set(environ) <= VARIABLES
    loaded = Settings.load(environ)
    assert loaded.database_url == "postgresql://syncsphere:f00d@postgres/syncsphere"
    assert loaded.redis_url == "redis://redis:6379/0"
    assert loaded.secret == SECRETS["SYNCSPHERE_SECRET"]


def test_the_addresses_lead_to_services_that_are_there_with_the_same_credentials() -> None:
    environ = SERVICES["server"]["environment"]
    postgres = SERVICES["postgres"]["environment"]
    assert environ["SYNCSPHERE_DATABASE_URL"] == (
        f"postgresql://{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}"
        f"@postgres/{postgres['POSTGRES_DB']}"
    )
    assert set(SERVICES["server"]["depends_on"]) == {"postgres", "redis"}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_has_no_default(secret: str) -> None:
    uses = re.findall(rf"\$\{{{secret}(\W\W?)", (ROOT / "docker-compose.yml").read_text())
    assert uses
    assert set(uses) == {":?"}


def test_what_is_kept_lies_in_a_volume_and_is_written_to_disk() -> None:
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert {mount.partition(":")[0] for mount in mounts} == set(COMPOSE["volumes"])
    assert "--appendonly yes" in " ".join(SERVICES["redis"]["command"])
    assert "fsync=off" not in " ".join(SERVICES["postgres"]["command"])


def test_every_service_says_whether_it_is_well() -> None:
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name


def test_the_published_port_is_the_one_the_server_listens_on() -> None:
    [published] = SERVICES["server"]["ports"]
    inside = interpolated(published).rpartition(":")[2]
    assert inside == SERVICES["server"]["environment"]["SYNCSPHERE_PORT"]
    assert f"127.0.0.1:{inside}/api/ready" in SERVICES["server"]["healthcheck"]["test"][-1]
    assert re.search(rf"^EXPOSE {inside}$", DOCKERFILE, re.MULTILINE)


def test_the_image_copies_what_exists_and_nothing_less_than_every_package() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert all((ROOT / source).exists() for source in sources)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "benchmarks"} <= set(sources)
    ignored = (ROOT / ".dockerignore").read_text()
    for source in sources:
        allowed = [f"!{parent}" for parent in (source, *map(str, Path(source).parents))]
        assert any(line in ignored.splitlines() for line in allowed), source


def test_the_image_runs_our_command_as_an_ordinary_user() -> None:
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)[0])
    command = json.loads(re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[0])
    assert [*entry, *command] == ["python", "-m", "syncserver", "serve"]
    assert re.search(r"^USER syncsphere$", DOCKERFILE, re.MULTILINE)
    set_here = set(re.findall(r"(SYNCSPHERE_\w+)=", DOCKERFILE))
    assert set_here <= VARIABLES

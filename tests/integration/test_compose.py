"""What docker-compose.yml would run, run here: without containers, on the session's servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import redis
import yaml

from base.embedded.redis import program

if TYPE_CHECKING:
    import pytest

    from base.testing import Servers

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_the_server_starts_with_urls_becomes_healthy_and_stops_when_asked(
    empty_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    service = SERVICES["server"]
    port = str(free_port())
    # What nobody has set is empty, as compose has it.
    given = {
        name: "" if ":-}" in value else value for name, value in service["environment"].items()
    }
    environ = given | {
        "SYNCSPHERE_HOST": "127.0.0.1",
        "SYNCSPHERE_PORT": port,
        "SYNCSPHERE_DATABASE_URL": empty_database_url,
        "SYNCSPHERE_REDIS_URL": redis_url,
        "SYNCSPHERE_SECRET": "s" * 48,
        "SYNCSPHERE_DATA": str(tmp_path / "data"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "syncserver", "serve"],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            ready = server.stdout.readline()
            assert ready.startswith(f"SyncSphere ready at http://127.0.0.1:{port} ")
            assert ready.rstrip().endswith("embedded: nothing")
            check = [part.replace(":8000/", f":{port}/") for part in service["healthcheck"]["test"]]
            assert check[:2] == ["CMD", "python"]
            subprocess.run([sys.executable, *check[2:]], check=True, timeout=30)
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
        finally:
            server.kill()
    # With everything given from outside, the server keeps nothing itself.
    assert not (tmp_path / "data").exists()


def test_the_options_for_postgresql_are_ones_it_knows(servers: Servers) -> None:
    command = SERVICES["postgres"]["command"]
    options = [command[at + 1] for at, part in enumerate(command) if part == "-c"]
    assert options
    with psycopg.connect(servers.database_url("postgres"), autocommit=True) as connection:
        for option in options:
            name, _, value = option.partition("=")
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])


def test_the_command_of_redis_starts_one_that_writes_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the whole path may be too long for a socket
    arguments = SERVICES["redis"]["command"][1:]
    with subprocess.Popen(
        [str(program()), *arguments, "--port", "0", "--unixsocket", "s"],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            while "ready to accept connections at" not in (line := server.stdout.readline()):
                assert line, "it ended"
            with redis.Redis(unix_socket_path="s") as client:
                assert client.config_get("appendonly") == {"appendonly": "yes"}
                assert client.config_get("save") == {"save": ""}
        finally:
            server.kill()

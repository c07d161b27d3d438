"""The embedded servers come up, go down, and come back, whatever was done to them."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import psycopg.conninfo
import pytest
import redis

from base.embedded import EmbeddedPostgres, EmbeddedRedis, claim, places
from base.embedded.claim import DataFolderInUse
from base.embedded.places import Account, ServerFailed
from base.embedded.programs import Programs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds until something that must happen counts as not happening."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells children of our death")


@pytest.fixture
def data() -> Iterator[Path]:
    """A short path that every account can reach; pytest's own is long and closed."""
    folder = Path(tempfile.mkdtemp(prefix="syncsphere-test-"))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(data: Path) -> Generator[tuple[EmbeddedPostgres, EmbeddedRedis]]:
    """Both servers, in this process."""
    postgres, keeper = EmbeddedPostgres(data), EmbeddedRedis(data)
    try:
        postgres.start()
        keeper.start()
        yield postgres, keeper
    finally:
        keeper.stop()
        postgres.stop()


def remember(postgres_url: str, redis_url: str, word: str) -> None:
    """Leave a word in both, as durable as either promises."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [word])
    with redis.Redis.from_url(redis_url) as client:
        client.rpush("kept", word)


def remembered(postgres_url: str, redis_url: str) -> tuple[list[str], list[str]]:
    with psycopg.connect(postgres_url) as connection:
        words = [row[0] for row in connection.execute("SELECT word FROM kept").fetchall()]
    with redis.Redis.from_url(redis_url) as client:
        listed: Any = client.lrange("kept", 0, -1)
    return words, [word.decode() for word in listed]


class Owner:
    """A process of its own that runs both servers (owner.py)."""

    def __init__(self, data: Path, *options: str, python: str = sys.executable, **how: Any) -> None:
        """Start it and wait until both are up. `how`: more for Popen."""
        script = str(Path(__file__).with_name("owner.py"))
        # One environment for all: what an ordinary user's own interpreter needs, ours does not mind.
        path = os.pathsep.join([str(ROOT), *sys.path])
        self.pids: list[int] = []
        self.worker: int | None = None
        self.process = subprocess.Popen(
            [python, script, str(data), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": path, "PATH": os.environ["PATH"]},
            **how,
        )
        try:
            assert self.process.stdout is not None
            facts: dict[str, Any] = json.loads(self.process.stdout.readline())
        except ValueError:
            self.kill()
            raise
        self.postgres, self.redis = str(facts["postgres"]), str(facts["redis"])
        self.pids, self.worker = facts["pids"], facts["worker"]

    def kill(self) -> None:
        """SIGKILL: no handler runs."""
        self.process.kill()
        self._collect()

    def stop(self) -> int:
        """The orderly end; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self._collect()

    def _collect(self) -> int:
        code = self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return code


class Owners:
    """Makes owners, and leaves nothing of them behind, however the test ends."""

    def __init__(self) -> None:
        self._made: list[Owner] = []

    def start(self, data: Path, *options: str, **how: Any) -> Owner:
        owner = Owner(data, *options, **how)
        self._made.append(owner)
        return owner

    def clear(self) -> None:
        for owner in self._made:
            for pid in (owner.worker, *owner.pids):
                with contextlib.suppress(ProcessLookupError):
                    if pid is not None:
                        os.kill(pid, signal.SIGKILL)
            owner.kill()


@pytest.fixture
def owners() -> Iterator[Owners]:
    made = Owners()
    yield made
    made.clear()


def gone(pids: list[int]) -> bool:
    """Whether these processes end within our patience (a zombie has ended)."""

    def ended(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    alive = [psutil.Process(pid) for pid in pids if not ended(pid)]
    return all(ended(one.pid) for one in psutil.wait_procs(alive, timeout=PATIENCE)[1])


def test_a_fresh_folder_gets_servers_that_only_we_can_reach(data: Path) -> None:
    with running(data) as (postgres, keeper):
        assert (postgres.version()[:3], keeper.version()[:1]) >= ("18.", "6")
        with psycopg.connect(postgres.url) as connection:
            rows = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)",
                [["fsync", "synchronous_commit", "full_page_writes", "data_checksums"]],
            ).fetchall()
            assert {value for _, value in rows} == {"on"}
            assert len(rows) == 4
        for pid in (postgres.pid, keeper.pid):
            assert pid is not None
            assert psutil.Process(pid).net_connections("inet") == []
        for url in (postgres.url, keeper.url):
            assert _socket_folder(url).stat().st_mode & 0o777 == 0o700


def _socket_folder(url: str) -> Path:
    if url.startswith("unix://"):
        return Path(url.removeprefix("unix://")).parent
    return Path(str(psycopg.conninfo.conninfo_to_dict(url)["host"]))


def test_stopping_ends_the_processes_and_starting_again_finds_the_data(data: Path) -> None:
    with running(data) as (postgres, keeper):
        remember(postgres.url, keeper.url, "first")
        pids = [pid for pid in (postgres.pid, keeper.pid) if pid is not None]
    assert len(pids) == 2
    assert gone(pids)
    assert postgres.pid is keeper.pid is None
    with running(data) as (postgres, keeper):
        assert remembered(postgres.url, keeper.url) == (["first"], ["first"])


@on_linux
def test_servers_end_with_a_killed_owner(data: Path, owners: Owners) -> None:
    owner = owners.start(data)
    remember(owner.postgres, owner.redis, "before")
    owner.kill()
    assert gone(owner.pids)
    with running(data) as (postgres, keeper):
        assert remembered(postgres.url, keeper.url) == (["before"], ["before"])


def test_servers_that_outlive_a_killed_owner_are_replaced(data: Path, owners: Owners) -> None:
    owner = owners.start(data, "--no-death-signal")
    remember(owner.postgres, owner.redis, "before")
    owner.kill()
    assert all(psutil.pid_exists(pid) for pid in owner.pids)
    with running(data) as (postgres, keeper):
        assert {postgres.pid, keeper.pid}.isdisjoint(owner.pids)
        assert gone(owner.pids)
        assert remembered(postgres.url, keeper.url) == (["before"], ["before"])


def test_all_killed_at_once_leaves_what_was_committed(data: Path, owners: Owners) -> None:
    owner = owners.start(data, "--no-death-signal")
    remember(owner.postgres, owner.redis, "before")
    # Redis promises its file within a second; the word must not be younger than that.
    with redis.Redis.from_url(owner.redis) as client:
        client.bgrewriteaof()
        wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
    workers = [one.pid for pid in owner.pids for one in psutil.Process(pid).children()]
    for pid in (owner.process.pid, *owner.pids, *workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    owner.process.wait(PATIENCE)
    assert (data / "postgres" / "postmaster.pid").exists()
    with running(data) as (postgres, keeper):
        assert remembered(postgres.url, keeper.url) == (["before"], ["before"])


def test_a_server_that_somebody_killed_is_started_again(data: Path) -> None:
    with running(data) as (postgres, keeper):
        remember(postgres.url, keeper.url, "before")
        with redis.Redis.from_url(keeper.url) as client:
            client.config_set("appendfsync", "always")
            client.rpush("kept", "synced")
        killed = postgres.pid, keeper.pid
        for pid in killed:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: postgres._ready() and keeper._ready())
        assert remembered(postgres.url, keeper.url) == (["before"], ["before", "synced"])
        again = [pid for pid in (postgres.pid, keeper.pid) if pid is not None]
        assert set(again).isdisjoint(killed)
    assert gone(again)


def wait_until(condition: Callable[[], bool]) -> None:
    waiter = subprocess.Popen(["sleep", str(PATIENCE)])
    try:
        while not condition():
            assert waiter.poll() is None, "it never happened"
    finally:
        waiter.kill()
        waiter.wait()


def test_a_stranger_with_the_recorded_process_id_is_left_alone(data: Path) -> None:
    with running(data) as (postgres, _):
        url = postgres.url
    account = places.owner(data / "postgres")
    uid = None if account is None else account.uid
    with subprocess.Popen(["sleep", "600"], user=uid) as stranger:
        try:
            lines = [stranger.pid, data / "postgres", 1700000000, 5432, _socket_folder(url), "", ""]
            pid_file = data / "postgres" / "postmaster.pid"
            pid_file.write_text("".join(f"{line}\n" for line in lines))
            shutil.chown(pid_file, uid or os.geteuid())
            lock = _socket_folder(url) / ".s.PGSQL.5432.lock"
            shutil.copy(pid_file, lock)
            with running(data) as (postgres, _):
                assert postgres.pid != stranger.pid
                assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("name", ["deep/" * 60, "odd, 'names' and ümläute"])
def test_any_folder_will_do(data: Path, name: str) -> None:
    folder = data / name
    with running(folder) as (postgres, keeper):
        remember(postgres.url, keeper.url, "here")
        elsewhere = {_socket_folder(postgres.url), _socket_folder(keeper.url)}
        assert all(place.parent == places.SHORT for place in elsewhere)
    assert not any(place.exists() for place in elsewhere)
    with running(folder) as (postgres, keeper):
        assert remembered(postgres.url, keeper.url) == (["here"], ["here"])


def test_a_socket_folder_made_by_somebody_else_is_not_trusted(data: Path) -> None:
    folder = data / ("deep/" * 30)
    with running(folder) as (_, keeper):
        place = _socket_folder(keeper.url)
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    try:
        with pytest.raises(ServerFailed, match="not ours"):
            EmbeddedRedis(folder).start()
    finally:
        place.rmdir()


def test_a_second_owner_is_refused_and_can_ask_the_first(data: Path) -> None:
    with running(data) as (postgres, keeper):
        remember(postgres.url, keeper.url, "first")
        for second in (EmbeddedPostgres(data), EmbeddedRedis(data)):
            with pytest.raises(DataFolderInUse, match=f"process {os.getpid()}"):
                second.start()
            second.stop()
        urls = EmbeddedPostgres(data).running_url(), EmbeddedRedis(data).running_url()
        assert urls == (postgres.url, keeper.url)
        assert remembered(postgres.url, keeper.url) == (["first"], ["first"])
    assert EmbeddedPostgres(data).running_url() is None
    assert EmbeddedRedis(data).running_url() is None


def test_a_forked_worker_that_outlives_its_owner_does_not_hold_the_folder(
    data: Path, owners: Owners
) -> None:
    owner = owners.start(data, "--fork")
    owner.kill()
    assert owner.worker is not None
    assert psutil.pid_exists(owner.worker)
    with running(data):
        assert claim.claimed(data / "postgres.lock")


def test_a_cluster_that_was_only_half_made_is_made_again(data: Path) -> None:
    half = data / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with running(data) as (postgres, keeper):
        remember(postgres.url, keeper.url, "whole")
    assert not half.exists()


def test_a_cluster_of_another_version_is_refused_with_advice(data: Path) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServerFailed, match=r"16.*18"):
        EmbeddedPostgres(data).start()
    assert not claim.claimed(data / "postgres.lock")


def test_a_server_that_gives_up_says_why_and_lets_go_of_the_folder(data: Path) -> None:
    with running(data):
        pass
    (data / "postgres" / "global" / "pg_control").unlink()
    (data / "redis" / "appendonly.aof").write_text("not a command\n" * 10)
    with pytest.raises(ServerFailed, match=r"could not find.*postgres\.log"):
        EmbeddedPostgres(data).start()
    with pytest.raises(ServerFailed, match=r"AOF.*redis\.log|redis\.log"):
        EmbeddedRedis(data).start()
    assert not claim.claimed(data / "postgres.lock")
    assert not claim.claimed(data / "redis.lock")


@as_root
def test_root_may_keep_its_data_where_nobody_else_can_look(data: Path) -> None:
    data.parent.chmod(0o700)
    with running(data) as (postgres, keeper):
        remember(postgres.url, keeper.url, "private")
        assert postgres.pid is not None
        assert psutil.Process(postgres.pid).uids().real != 0
    with running(data) as (postgres, keeper):
        assert remembered(postgres.url, keeper.url) == (["private"], ["private"])
    assert data.parent.stat().st_mode & 0o777 == 0o700


@as_root
def test_nothing_of_ours_need_be_reachable_for_the_account(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a checkout below root's home: neither the packages nor the data folder.
    data.parent.chmod(0o700)

    def closed(folder: Path, account: Account) -> bool:
        return False

    monkeypatch.setattr(places, "may_enter", closed)
    monkeypatch.setattr(places, "SHORT", Path(tempfile.mkdtemp(prefix="syncsphere-test-")))
    places.SHORT.chmod(0o755)
    try:
        with running(data) as (postgres, keeper):
            remember(postgres.url, keeper.url, "private")
            assert postgres.pid is not None
            assert places.SHORT in Path(psutil.Process(postgres.pid).exe()).parents
    finally:
        shutil.rmtree(places.SHORT)


@as_root
def test_programs_that_the_account_cannot_reach_are_copied_and_the_copy_is_kept_whole(
    data: Path,
) -> None:
    source = data.parent / "venv"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "tool").write_text("#!/bin/sh\n")
    (source / "bin" / "tool").chmod(0o755)
    (source / "share").mkdir()
    (source / "share" / "words").write_text("words")
    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid)
    parts = ("bin/tool", "share")
    programs = Programs()
    assert programs.folder(source, parts, account) == source
    data.parent.chmod(0o700)
    copy = programs.folder(source, parts, account)
    try:
        assert places.may_enter(copy / "bin", account)
        assert (copy / "bin" / "tool").stat().st_mode & 0o777 == 0o755
        programs.release()
        (copy / "share" / "words").unlink()
        assert programs.folder(source, parts, account) == copy
        assert (copy / "share" / "words").read_text() == "words"
    finally:
        programs.release()
        shutil.rmtree(copy)


@as_root
def test_an_ordinary_user_runs_everything_as_itself(data: Path, owners: Owners) -> None:
    nobody = pwd.getpwnam("nobody")
    python = _python_for(Account(nobody.pw_uid, nobody.pw_gid))
    data.parent.chmod(0o777)
    ordinary: dict[str, Any] = {
        "user": nobody.pw_uid,
        "group": nobody.pw_gid,
        "extra_groups": [],
        "cwd": "/",
    }
    owner = owners.start(data, python=python, **ordinary)
    remember(owner.postgres, owner.redis, "mine")
    assert {psutil.Process(pid).uids().real for pid in owner.pids} == {nobody.pw_uid}
    assert owner.stop() == 0
    assert gone(owner.pids)
    # Root may serve such a folder too, and leaves everything to its owner.
    with running(data) as (postgres, keeper):
        assert remembered(postgres.url, keeper.url) == (["mine"], ["mine"])
        for pid in (postgres.pid, keeper.pid):
            assert pid is not None
            assert psutil.Process(pid).uids().real == nobody.pw_uid
    owner = owners.start(data, python=python, **ordinary)
    assert remembered(owner.postgres, owner.redis) == (["mine"], ["mine"])
    assert owner.stop() == 0


def _python_for(account: Account) -> str:
    """An interpreter of our version that the account can reach, with our packages."""
    own = Path(sys.executable)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (own.resolve(), Path(shutil.which(version, path="/usr/bin") or own)):
        reachable = (python.resolve().parent, Path(psycopg.__file__).parent, ROOT)
        if all(places.may_enter(place, account) for place in reachable):
            return str(python)
    pytest.skip("no interpreter with our packages that an ordinary user could run")

"""The whole of history on documents that real people made: committed, branched, merged, restored, exported.

The files are not part of the product. `SYNCSPHERE_REALDATA` names a folder with `opendaw/*.update`
(Yjs v1 updates), `opendaw/*.odb`, `opendaw/*.od`, and `traces/*.trace.gz` (records of a
little-endian u32 length and that many bytes, one Yjs v1 update each); without it these tests are
skipped. Run with `-s`, they print what everything took.
"""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import httpx
import pycrdt
import pytest

from tests.e2e import harness, rest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tests.e2e.harness import Server
    from tests.e2e.rest import Account, Project

FOLDER = os.environ.get("SYNCSPHERE_REALDATA")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),
    pytest.mark.skipif(FOLDER is None, reason="SYNCSPHERE_REALDATA names no folder of real files"),
]

FILES = sorted(Path(FOLDER).rglob("*")) if FOLDER is not None else []
UPDATES = [path for path in FILES if path.suffix == ".update"]
TRACES = [path for path in FILES if path.name.endswith(".trace.gz")]
BUNDLES = [path for path in FILES if path.suffix in {".odb", ".od"}]

TOGETHER = 1_000
"""Updates of a trace that are posted as one."""

PLACES = 20
"""Edits on each branch."""

Doc = pycrdt.Doc[Any]
Edit = Callable[[Doc, str, int], None]


def records(path: Path) -> Iterator[bytes]:
    data = gzip.decompress(path.read_bytes())
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def read(path: Path) -> list[bytes]:
    """What to post, one after the other."""
    return [path.read_bytes()] if path.suffix == ".update" else list(chunks(path))


def chunks(path: Path) -> Iterator[bytes]:
    """The trace, a thousand updates in one."""
    doc = Doc()
    every = list(records(path))
    for start in range(0, len(every), TOGETHER):
        before = doc.get_state()
        with doc.transaction():
            for update in every[start : start + TOGETHER]:
                doc.apply_update(update)
        yield doc.get_update(before)


class Bench:
    """One project on a started server; knows how long everything took."""

    def __init__(self, http: httpx.AsyncClient, owner: Account, name: str) -> None:
        self._http = http
        self._owner = owner
        self.name = name
        self.took: list[tuple[str, float, str]] = []

    async def ask(
        self,
        what: str,
        method: str,
        path: str,
        body: object = None,
        *,
        content: bytes | None = None,
        status: int = 200,
    ) -> httpx.Response:
        """A request that is timed; `what` is what the table calls it."""
        headers = dict(self._owner.headers)
        if content is not None:
            headers["Content-Type"] = "application/octet-stream"
        started = time.perf_counter()
        answer = await self._http.request(
            method, path, json=body if content is None else None, content=content, headers=headers
        )
        seconds = time.perf_counter() - started
        assert answer.status_code == status, f"{what}: {answer.status_code} {answer.text[:1000]}"
        if what:
            self.took.append((what, seconds, f"{len(answer.content):,} bytes"))
        return answer

    def note(self, what: str, seconds: float, size: str) -> None:
        self.took.append((what, seconds, size))

    def table(self) -> str:
        rows = [f"{self.name:<44} {'seconds':>8}  answer"]
        rows += [f"  {what:<42} {seconds:>8.3f}  {size}" for what, seconds, size in self.took]
        return "\n".join(rows)


@pytest.fixture(scope="module")
async def real_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[Server, None]:
    """A server; of everything that was done there, `verify` finds nothing wrong in the end."""
    async with harness.running(tmp_path_factory.mktemp("real")) as started:
        yield started
        await started.stop()
        await anyio.to_thread.run_sync(_verify, started.data)


def _verify(data: Path) -> None:
    command = [sys.executable, "-m", "syncserver", "verify", "--data", str(data)]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=harness.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"\nverify took {time.perf_counter() - begun:.1f} s")  # noqa: T201 (what it is for)


@pytest.fixture
async def http(real_server: Server) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=real_server.url, timeout=300) as client:
        yield client


async def posted(bench: Bench, where: str, updates: list[bytes], branch: str = "main") -> None:
    started = time.perf_counter()
    for update in updates:
        path = f"{where}/updates?branch={branch}"
        await bench.ask("", "POST", path, content=update)
    size = sum(map(len, updates))
    bench.note(
        f"{len(updates)} updates to {branch}", time.perf_counter() - started, f"{size:,} bytes"
    )


async def live(bench: Bench, where: str, branch: str = "main", what: str = "") -> Any:
    return (await bench.ask(what, "GET", f"{where}/snapshot?format=json&branch={branch}")).json()


async def edited(bench: Bench, where: str, branch: str, edit: Edit) -> None:
    """What a client that knows a branch does on it, in many places."""
    answer = await bench.ask("", "GET", f"{where}/snapshot?format=yjs&branch={branch}")
    doc = Doc()
    doc.apply_update(answer.content)
    before = doc.get_state()
    with doc.transaction():
        edit(doc, branch, PLACES)
    await posted(bench, where, [doc.get_update(before)], branch)


def in_text(doc: Doc, words: str, places: int) -> None:
    """Words all over the longest text; each branch has its own places."""
    name = max(doc.keys(), key=lambda each: len(str(doc.get(each, type=pycrdt.Text))))
    text = doc.get(name, type=pycrdt.Text)
    length = len(str(text).encode())
    step = length // (2 * places + 2)
    for place in range(places, 0, -1):
        text.insert(step * (2 * place + (words == "main")), f" {words} ")


def in_boxes(doc: Doc, words: str, places: int) -> None:
    """A label for some of the boxes, from the first on, or from the last on."""
    boxes = doc.get("boxes", type=pycrdt.Map)
    keys = sorted(boxes.keys())
    for key in keys[:places] if words == "main" else keys[-places:]:
        boxes[key]["syncsphere"] = words


@pytest.mark.parametrize("path", [*UPDATES, *TRACES], ids=lambda path: path.name)
async def test_it_goes_through_all_of_history_and_stays_whole(
    real_server: Server, http: httpx.AsyncClient, path: Path
) -> None:
    is_studio = path.suffix == ".update"
    edit = in_boxes if is_studio else in_text
    updates = await anyio.to_thread.run_sync(read, path)
    async with rest.Rest(real_server.url) as api:
        owner = await api.account("real")
        project: Project = await api.project(owner, kind="opendaw" if is_studio else None)
    bench = Bench(http, owner, path.name)
    where = f"/api/projects/{project.id}"
    await posted(bench, where, updates)
    doc = Doc()
    for update in updates:
        doc.apply_update(update)
    begun = await live(bench, where, what="live as JSON")

    async def commit(message: str, branch: str = "main") -> Any:
        body = {"message": message, "branch": branch}
        answer = await bench.ask(f"commit {message}", "POST", f"{where}/commit", body, status=201)
        return answer.json()

    async def at(commit: Any, what: str = "") -> Any:
        path = f"{where}/commits/{commit['id']}/snapshot?format=json"
        return (await bench.ask(what, "GET", path)).json()

    first = await commit("first")
    assert await at(first, "open a commit as JSON") == begun
    await bench.ask("branch", "POST", f"{where}/branch", {"name": "side"}, status=201)
    assert await live(bench, where, "side") == begun
    await edited(bench, where, "side", edit)
    await edited(bench, where, "main", edit)
    second, aside = await commit("second"), await commit("aside", "side")
    await bench.ask("diff", "GET", f"{where}/diff?from={first['id']}&to={second['id']}")
    there = f"{where}/branches/side/merge"
    preview = await bench.ask("merge, preview", "POST", there, {"into": "main", "dryRun": True})
    assert preview.json()["merged"]
    merge = (await bench.ask("merge", "POST", there, {"into": "main"})).json()
    assert merge["merged"]
    both = await live(bench, where)
    assert both == await at(merge["commit"])
    back = f"{where}/branches/main/merge"
    await bench.ask("merge back", "POST", back, {"into": "side"})
    assert await live(bench, where, "side") == both
    again = await bench.ask("merge back again", "POST", back, {"into": "side"})
    assert not again.json()["merged"]

    await bench.ask("restore", "POST", f"{where}/restore", {"commitId": first["id"]})
    assert await live(bench, where) == begun
    await bench.ask("restore of that", "POST", f"{where}/restore", {"commitId": second["id"]})
    assert await live(bench, where) == await at(second)
    body = {"commitId": aside["id"], "into": "main"}
    await bench.ask("cherry-pick", "POST", f"{where}/cherry-pick", body)
    assert await live(bench, where) == both
    await bench.ask("revert", "POST", f"{where}/revert", {"commitId": aside["id"]})
    assert await live(bench, where) == await at(second)
    await bench.ask("activity", "GET", f"{where}/history")
    await bench.ask("changes", "GET", f"{where}/changes?from={first['createdAt']}&format=text")
    then = await bench.ask("at the first commit", "GET", f"{where}/at?time={first['createdAt']}")
    assert then.json() == begun
    name = next(iter(begun if is_studio else sorted(begun)))
    await bench.ask("blame", "GET", f"{where}/blame?entity={name}")
    await exported(bench, where, is_studio=is_studio)
    print(f"\n{bench.table()}")  # noqa: T201 (what it is for)


async def exported(bench: Bench, where: str, *, is_studio: bool) -> None:
    """To files and back: what comes of them says the same, with all the commits."""
    log = (await bench.ask("log", "GET", f"{where}/commits?limit=100")).json()["items"]
    for kind in ("zip", "odb") if is_studio else ("zip",):
        made = await bench.ask(
            f"make {kind}", "POST", f"{where}/bundles", {"kind": kind}, status=201
        )
        bundle = made.json()
        path = f"{where}/bundles/{bundle['version']}"
        file = (await bench.ask(f"download {kind}", "GET", path)).content
        assert len(file) == bundle["bytes"]
        answer = await bench.ask(
            f"import {kind}", "POST", "/api/projects/import", content=file, status=201
        )
        imported = answer.json()
        assert imported["contentHash"] == bundle["contentHash"]
        copy = f"/api/projects/{imported['project']['id']}"
        assert await live(bench, copy) == await live(bench, where)
        theirs = (await bench.ask("", "GET", f"{copy}/commits?limit=100")).json()["items"]
        assert [each["contentHash"] for each in theirs] == [each["contentHash"] for each in log]
        query = f"/api/projects/import?project={where.rpartition('/')[2]}&branch=back{kind}"
        await bench.ask(f"import {kind} as a branch", "POST", query, content=file, status=201)
        merge = f"{where}/branches/back{kind}/merge"
        before = await live(bench, where)
        await bench.ask(f"merge what came in the {kind}", "POST", merge, {"into": "main"})
        assert await live(bench, where) == before


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
async def test_what_opendaw_wrote_can_be_brought_in_and_taken_out(
    real_server: Server, http: httpx.AsyncClient, path: Path
) -> None:
    async with rest.Rest(real_server.url) as api:
        owner = await api.account("real")
    bench = Bench(http, owner, path.name)
    file = await anyio.to_thread.run_sync(path.read_bytes)
    answer = await bench.ask("import", "POST", "/api/projects/import", content=file, status=201)
    where = f"/api/projects/{answer.json()['project']['id']}"
    said = await live(bench, where)
    made = await bench.ask("make odb", "POST", f"{where}/bundles", {"kind": "odb"}, status=201)
    path_of_it = f"{where}/bundles/{made.json()['version']}"
    file = (await bench.ask("download", "GET", path_of_it)).content
    again = await bench.ask(
        "import again", "POST", "/api/projects/import", content=file, status=201
    )
    assert again.json()["contentHash"] == answer.json()["contentHash"]
    assert await live(bench, f"/api/projects/{again.json()['project']['id']}") == said
    print(f"\n{bench.table()}")  # noqa: T201 (what it is for)

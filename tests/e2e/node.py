"""Stock Yjs clients in one Node process, as typed async calls.

One `Driver` is one process of `clients/driver.mjs`; a `Client` is a name in it. Waiting happens in
Node, by events; every wait has a deadline whose error says how far things had come.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import anyio
import msgspec
from anyio.streams.text import TextReceiveStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from anyio.abc import Process

CLIENTS = Path(__file__).parent / "clients"
DEADLINE_MS = 15_000

Op = dict[str, object]
Answer = TypeVar("Answer")


class Close(msgspec.Struct, frozen=True):
    code: int
    reason: str


class Facts(msgspec.Struct, frozen=True, rename="camel"):
    """What a client has seen so far."""

    client_id: int
    connected: bool
    synced: bool
    updates: int
    closes: list[Close]
    ended: Close | None
    """Set once a close code told the client to stop reconnecting."""
    presence: list[dict[str, list[int]]]
    """Every change of presence that came from the server, oldest first."""
    states: dict[str, dict[str, object] | None]


class Reading(msgspec.Struct, frozen=True):
    state: dict[str, object]
    hash: str


class _Reply(msgspec.Struct, frozen=True):
    id: int
    ok: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None


class ClientError(AssertionError):
    """A command failed in Node, or its condition did not come about in time."""


class Driver:
    """The process. Commands may overlap; each waits for its own answer only."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._numbers = itertools.count(1)
        self._names = itertools.count(1)
        self._waiting: dict[int, anyio.Event] = {}
        self._replies: dict[int, _Reply] = {}

    async def client(
        self,
        url: str,
        room: str,
        token: str | None,
        *,
        connect: bool = True,
        database: str | None = None,
        protocols: Sequence[str] = (),
    ) -> Client:
        """A new document with a provider; `database` names its y-indexeddb store."""
        more = {"connect": connect, "database": database, "protocols": protocols}
        [made] = await self.clients([options(url, room, token) | more])
        return made

    async def clients(self, options: Sequence[dict[str, object]]) -> list[Client]:
        """Many at the same instant: see `options`."""
        named: list[dict[str, object]] = [
            {**each, "name": f"client{next(self._names)}"} for each in options
        ]
        ids = await self.call(list[int], "openAll", options=named)
        return [
            Client(self, str(each["name"]), number) for each, number in zip(named, ids, strict=True)
        ]

    async def room(self, url: str, room: str, token: str | None, count: int) -> list[Client]:
        """`count` clients of one room, all synced."""
        members = await self.clients([options(url, room, token)] * count)
        for member in members:
            await member.wait(synced=True)
        return members

    async def edit_all(self, edits: Sequence[tuple[Client, Sequence[Op]]]) -> None:
        """Everybody edits before anybody can hear of it."""
        named = [{"name": one.name, "ops": ops} for one, ops in edits]
        await self.tell("editAll", edits=named)

    async def converged(self, *members: Client, timeout: int = DEADLINE_MS) -> dict[str, object]:
        """Wait until all hold the same operations; what they agree on."""
        names = [member.name for member in members]
        await self.tell("converged", names=names, timeout=timeout)
        return await members[0].state()

    async def read(self, *updates: bytes) -> Reading:
        """What a stock Yjs document makes of these updates."""
        encoded = [base64.b64encode(update).decode() for update in updates]
        return await self.call(Reading, "read", updates=encoded)

    async def faults(self) -> list[str]:
        """Exceptions that no command was waiting for, since the last time."""
        return await self.call(list[str], "faults")

    async def tell(self, verb: str, /, **request: object) -> None:
        """A command without an answer."""
        await self.call(object, verb, **request)

    async def call(self, kind: type[Answer], verb: str, /, **request: object) -> Answer:
        """One command; ClientError with Node's words when it fails."""
        number = next(self._numbers)
        done = self._waiting[number] = anyio.Event()
        line = msgspec.json.encode({"id": number, "do": verb, **request}) + b"\n"
        assert self._process.stdin is not None
        await self._process.stdin.send(line)
        await done.wait()
        reply = self._replies.pop(number)
        if reply.error is not None:
            raise ClientError(f"{verb}: {reply.error}")
        return msgspec.json.decode(reply.ok, type=kind)

    async def listen(self) -> None:
        """Hand out answers until the process ends; then fail everyone who still waits."""
        assert self._process.stdout is not None
        rest = ""
        async for text in TextReceiveStream(self._process.stdout):
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                self._deliver(msgspec.json.decode(line, type=_Reply))
        for number in list(self._waiting):
            self._deliver(_Reply(number, error="the Node process has ended"))

    def _deliver(self, reply: _Reply) -> None:
        self._replies[reply.id] = reply
        self._waiting.pop(reply.id).set()


class Client:
    """One stock client; conditions of `wait` are those of `clients/conditions.mjs`."""

    def __init__(self, driver: Driver, name: str, client_id: int) -> None:
        self._driver = driver
        self.name = name
        self.id = client_id

    async def edit(self, *ops: Op, apart: bool = False) -> None:
        """Apply edits in one transaction, or each in its own."""
        await self._driver.tell("edit", name=self.name, ops=ops, apart=apart)

    async def edit_and_close(self, *ops: Op) -> None:
        await self._driver.tell("editAndClose", name=self.name, ops=ops)

    async def burst(self, root: str, count: int) -> None:
        """`count` small transactions in one turn of Node's loop."""
        await self._driver.tell("burst", name=self.name, root=root, count=count)

    async def wait(self, *, timeout: int = DEADLINE_MS, **wants: object) -> None:
        await self._driver.tell("wait", name=self.name, wants=wants, timeout=timeout)

    async def has(self, *path: str, value: object, timeout: int = DEADLINE_MS) -> None:
        await self.wait(equals={"path": path, "value": value}, timeout=timeout)

    async def sees(self, other: Client, timeout: int = DEADLINE_MS, **has: object) -> None:
        """Wait for somebody's presence, with these values in it."""
        await self.wait(sees={"clientId": other.id, "has": has}, timeout=timeout)

    async def misses(self, other: Client, timeout: int = DEADLINE_MS) -> None:
        await self.wait(misses=other.id, timeout=timeout)

    async def acknowledged(self, timeout: int = DEADLINE_MS) -> None:
        """Wait until the server has everything of this client on disk."""
        await self._driver.call(int, "acknowledge", name=self.name, timeout=timeout)

    async def presence(self, state: dict[str, object] | None) -> None:
        await self._driver.tell("presence", name=self.name, state=state)

    async def connect(self, *, url: str | None = None, token: str | None = None) -> None:
        changes = {"url": url, "token": token}
        given = {key: value for key, value in changes.items() if value is not None}
        await self._driver.tell("connect", name=self.name, **given)

    async def disconnect(self) -> None:
        """An orderly goodbye; the document stays and may be edited."""
        await self._driver.tell("disconnect", name=self.name)

    async def cut(self) -> None:
        """The network drops the socket; the provider reconnects by itself."""
        await self._driver.tell("cut", name=self.name)

    async def vanish(self) -> None:
        """The socket dies without a goodbye and nobody comes back."""
        await self._driver.tell("vanish", name=self.name)

    async def close(self) -> None:
        await self._driver.tell("close", name=self.name)

    async def send(self, raw: bytes) -> None:
        """Put bytes on the provider's own socket."""
        body = base64.b64encode(raw).decode()
        await self._driver.tell("send", name=self.name, body=body)

    async def facts(self) -> Facts:
        return await self._driver.call(Facts, "facts", name=self.name)

    async def state(self) -> dict[str, object]:
        return await self._driver.call(dict[str, object], "state", name=self.name)

    async def hash(self) -> str:
        return await self._driver.call(str, "hash", name=self.name)

    async def update(self) -> bytes:
        """The whole document as a Yjs v1 update."""
        return base64.b64decode(await self._driver.call(str, "update", name=self.name))


def put(*path: str, value: object) -> Op:
    """Set a key of a map; the path is the root, nested maps, and the key."""
    return {"op": "set", "path": path[:-1], "key": path[-1], "value": value}


def new_map(*path: str) -> Op:
    return {"op": "map", "path": path[:-1], "key": path[-1]}


def drop(*path: str) -> Op:
    return {"op": "delete", "path": path[:-1], "key": path[-1]}


def write(root: str, text: str, index: int | None = None) -> Op:
    """Insert into a text, at its end when no index is given."""
    return {"op": "insert", "path": [root], "text": text, "index": index}


def cut(root: str, index: int, length: int) -> Op:
    """Delete from a text, counted in UTF-16 units as editors do."""
    return {"op": "cut", "path": [root], "index": index, "length": length}


def push(root: str, *values: object) -> Op:
    return {"op": "push", "path": [root], "values": values}


def size(state: object, *path: str) -> int:
    """How many entries the list or map at a path has; 0 where there is none."""
    found = at(state, *path)
    if not isinstance(found, (dict, list)):
        return 0
    return len(cast("dict[str, object] | list[object]", found))


def options(url: str, room: str, token: str | None) -> dict[str, object]:
    """A client to be, for `Driver.clients`."""
    return {"url": url, "room": room, "token": token}


def at(state: object, *path: str) -> object:
    """The value at a path of a canonical state, None where there is nothing."""
    for key in path:
        state = cast("dict[str, object]", state).get(key) if isinstance(state, dict) else None
    return state


@contextlib.asynccontextmanager
async def driver() -> AsyncGenerator[Driver, None]:
    """A Node process for the length of a block; faults nobody asked about fail it."""
    command = ["node", str(CLIENTS / "driver.mjs")]
    async with await anyio.open_process(command, stdout=subprocess.PIPE, stderr=None) as process:
        made = Driver(process)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.listen)
            try:
                yield made
                unseen = await made.faults()
                assert not unseen, "\n".join(unseen)
            finally:
                process.kill()
                tasks.cancel_scope.cancel()

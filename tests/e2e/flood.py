"""Sends one HTTP request many times at once, from a process of its own.

    python flood.py HOST PORT COUNT < the request, as bytes

Where the request says NUMBER, each has a number of its own instead. Prints how often each status was
answered, as JSON. Knows sockets and status lines only: what is measured meanwhile must not wait for
a client library.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys

NUMBER = "0number0"


async def once(host: str, port: int, request: bytes) -> str:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        line = await reader.readline()
        await reader.read()
        writer.close()
        return line.split()[1].decode()
    except (OSError, IndexError) as problem:
        return type(problem).__name__


async def main(host: str, port: int, count: int, request: bytes) -> dict[str, int]:
    answers: collections.Counter[str] = collections.Counter()
    async with asyncio.TaskGroup() as group:
        requests = (request.replace(NUMBER.encode(), b"%08d" % each) for each in range(count))
        tasks = [group.create_task(once(host, port, each)) for each in requests]
    answers.update(task.result() for task in tasks)
    return dict(answers)


if __name__ == "__main__":
    given = sys.stdin.buffer.read()
    sys.stdout.write(
        json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), given)))
    )

"""SyncSphere over REST alone: register, create a project, post a Yjs update, read it back.

    python examples/rest_client.py [URL]

Needs pycrdt, which the server has as well. Who has the project open in a browser sees the change at
once: an update over REST goes through the live room.
"""

from __future__ import annotations

import json
import secrets
import sys
import urllib.request
from typing import Any

import pycrdt


def main(url: str) -> None:
    name = f"visitor{secrets.token_hex(3)}"
    email, password = f"{name}@band.example", secrets.token_urlsafe(12)
    send(
        url, "POST", "/api/auth/register", {"email": email, "username": name, "password": password}
    )
    token = send(url, "POST", "/api/auth/login", {"email": email, "password": password})["token"]
    project = send(url, "POST", "/api/projects", {"name": "From a script"}, token)
    print(f"{name} made project {project['id']}, room {project['roomId']}")

    # Start from what the server has: an update should carry only what is new.
    path = f"/api/projects/{project['id']}"
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(fetch(url, "GET", f"{path}/snapshot?format=yjs", token=token))
    before = doc.get_state()
    with doc.transaction():
        doc.get("project", type=pycrdt.Map)["tempo"] = 96
        doc.get("stems", type=pycrdt.Map)["bass"] = pycrdt.Map({"name": "Bass", "volume": 0.8})
        doc.get("notes", type=pycrdt.Text).insert(0, "Slower than yesterday.")

    answer = fetch(url, "POST", f"{path}/updates", doc.get_update(before), token)
    print("posted:", json.loads(answer))  # "durable": true means that it is on disk

    document = json.loads(fetch(url, "GET", f"{path}/snapshot?format=json", token=token))
    print(json.dumps(document, indent=2))


def send(
    url: str, method: str, path: str, body: object, token: str | None = None
) -> dict[str, Any]:
    """One JSON request, one JSON answer."""
    return json.loads(
        fetch(url, method, path, json.dumps(body).encode(), token, "application/json")
    )


def fetch(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    token: str | None = None,
    kind: str = "application/octet-stream",
) -> bytes:
    """One request. A refusal raises urllib.error.HTTPError; its body is the problem as JSON."""
    # (the address is the caller's own: S310)
    request = urllib.request.Request(url + path, data=body, method=method)  # noqa: S310
    if body is not None:
        request.add_header("Content-Type", kind)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return answer.read()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")

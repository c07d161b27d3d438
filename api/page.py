"""The page at `/`: the built example, or a few lines that say how to build it.

Looks at the folder on every visit, so that building the page needs no restart. Files come with
an ETag and never from outside the folder (Starlette's StaticFiles sees to both).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from api.middleware import TEMPLATE

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

# The page loads only what is beside it; its sockets may go to another port or host of yours.
POLICY: Final = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
)

HOW_TO_BUILD: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>SyncSphere</title>
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem}</style>
<h1>SyncSphere is running</h1>
<p>The page to try it on has not been built yet. With Node.js and npm installed, run</p>
<pre>make page</pre>
<p>in the folder of SyncSphere and load this page again.</p>
<p>The REST interface is described at <a href="/api/openapi.json">/api/openapi.json</a>;
Yjs clients connect to <code>/sync/{room}</code>.</p>
</html>
"""


class ExamplePage:
    """An ASGI app for `/` and everything below it that is not a route."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files = None if folder is None else StaticFiles(directory=folder, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        response = await self._response(scope)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Cache-Control"] = "no-cache"  # ask each time; the ETag answers quickly
        await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        asked = scope["path"].lstrip("/") or "index.html"
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(
                405 if asked == "index.html" else 404, headers={"Allow": "GET, HEAD"}
            )
        built = self._folder is not None and (self._folder / "index.html").is_file()
        if self._files is not None and built:
            scope[TEMPLATE] = "/"
            path = self._files.get_path({**scope, "path": f"/{asked}"})
            return await self._files.get_response(path, scope)
        if asked != "index.html":
            raise HTTPException(404)
        scope[TEMPLATE] = "/"
        return HTMLResponse(HOW_TO_BUILD)

"""The page at `/`: as built, or how to build it; and nothing from outside its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .rest import refused

if TYPE_CHECKING:
    from pathlib import Path

    from .rest import Rest

INDEX = "<!doctype html><title>Try it</title>"


@pytest.fixture
def built(rest: Rest, tmp_path: Path) -> Path:
    """The folder of a page that has been built, beside a file that is nobody's business."""
    folder = rest.services.page
    assert folder is not None
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "app.js").write_text("export {}")
    (tmp_path / "secret.key").write_text("hunter2")
    (folder / "link.txt").symlink_to(tmp_path / "secret.key")
    return folder


async def test_a_page_that_is_not_built_says_how(rest: Rest) -> None:
    response = await rest.client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "make page" in response.text
    refused(await rest.client.get("/assets/app.js"), 404, "not_found")


@pytest.mark.usefixtures("built")
async def test_a_page_that_is_built_is_served_at_once(rest: Rest) -> None:
    response = await rest.client.get("/")
    assert response.text == INDEX
    assert "default-src 'self'" in response.headers["content-security-policy"]
    script = await rest.client.get("/assets/app.js")
    assert script.text == "export {}"
    assert "javascript" in script.headers["content-type"]
    assert script.headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("built")
async def test_a_file_is_sent_again_only_when_it_has_changed(rest: Rest) -> None:
    first = await rest.client.get("/assets/app.js")
    held = {"If-None-Match": first.headers["etag"]}
    again = await rest.client.get("/assets/app.js", headers=held)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "path",
    [
        "/secret.key",
        "/../secret.key",
        "/..%2fsecret.key",
        "/%2e%2e/secret.key",
        "/assets/../../secret.key",
        "/assets/..%2f..%2fsecret.key",
        "/..%5csecret.key",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/link.txt",
        "/assets",
        "/assets/",
        "/%00",
        "/" + "x" * 5000,
    ],
)
async def test_nothing_else_is_served(rest: Rest, path: str) -> None:
    response = await rest.client.get("http://syncsphere.test" + path)
    refused(response, 404, "not_found")
    assert "hunter2" not in response.text


@pytest.mark.usefixtures("built")
async def test_the_page_does_not_hide_what_is_not_there(rest: Rest) -> None:
    refused(await rest.client.get("/api/nothing"), 404, "not_found")
    refused(await rest.client.post("/assets/app.js"), 404, "not_found")

"""Bundles of openDAW's over REST, and bundles that somebody made to hurt: nothing of them is kept."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from pycrdt import Doc, Map

from api.route import OCTETS, ZIP
from docstore.bundles import importing, opendaw
from docstore.history import content

from .crew import at
from .rest import refused
from .takes import commit

if TYPE_CHECKING:
    from .rest import Person, Rest

UUID = "01234567-89ab-cdef-0123-456789abcdef"


async def fill(
    who: Person, project: dict[str, Any], boxes: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    doc: Doc[Any] = Doc()
    doc.apply_update((await who("GET", at(project, "/snapshot"))).content)
    before = doc.get_state()
    root = doc.get("boxes", type=Map)
    for key, (name, fields) in boxes.items():
        held: dict[str, Any] = {"name": name, "fields": Map(fields)}
        root[key] = Map(held)
    headers = {"Content-Type": OCTETS}
    update = doc.get_update(before)
    done = await who("POST", at(project, "/updates"), content=update, headers=headers)
    assert done.status_code == 200, done.text


async def shown(who: Person, project: dict[str, Any]) -> dict[str, Any]:
    return (await who("GET", at(project, "/snapshot?format=json"))).json()


async def sent(who: Person, data: bytes, kind: str = OCTETS, **params: str) -> Any:
    headers = {"Content-Type": kind}
    return await who("POST", "/api/projects/import", content=data, headers=headers, params=params)


async def nothing(rest: Rest, who: Person) -> None:
    """No project, and no file."""
    assert (await who("GET", "/api/projects")).json()["items"] == []
    home = rest.services.settings.data / "bundles"
    assert list(home.iterdir()) == []


async def test_a_project_of_opendaws_goes_out_and_comes_in(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project(kind="opendaw", name="Zeitgeist")
    await fill(anna, project, {UUID: ("AudioRegionBox", {"15": "Kick", "10": 960})})
    answer = await anna("POST", at(project, "/bundles"), json={})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["kind"], answer.json()["filename"]) == ("odb", "Zeitgeist v1.odb")
    data = (await anna("GET", at(project, "/bundles/1"))).content
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        assert packed.read("version") == b"1"
        assert packed.read("uuid").hex() == project["id"].replace("-", "")
        assert json.loads(packed.read("meta.json"))["name"] == "Zeitgeist"
        od = packed.read("project.od")
        names = set(packed.namelist())
    assert od[:4] == b"OPEN"
    assert {"syncsphere/project.yjs", "syncsphere/history.json"} <= names
    ours = await sent(anna, data, ZIP)
    assert ours.status_code == 201, ours.text
    assert await shown(anna, ours.json()["project"]) == await shown(anna, project)
    # As openDAW would write it, with a sample that is not kept here; and without its bundle.
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as into:
        into.writestr("version", "1")
        into.writestr("uuid", bytes(16))
        into.writestr("project.od", od)
        into.writestr("meta.json", json.dumps({"name": "Theirs", "tags": []}))
        into.writestr(f"samples/{UUID}/audio.wav", b"RIFF")
    theirs = await sent(anna, file.getvalue())
    assert theirs.status_code == 201, theirs.text
    assert (theirs.json()["project"]["name"], theirs.json()["project"]["kind"]) == (
        "Theirs",
        "opendaw",
    )
    assert (theirs.json()["leftOut"], theirs.json()["commits"]) == (1, 0)
    found = (await shown(anna, theirs.json()["project"]))["boxes"][UUID]["fields"]
    assert (found["15"], found["10"], found["4"]) == ("Kick", 960, "musical")
    bare = await sent(anna, od, name="Bare")
    assert bare.json()["project"]["name"] == "Bare"
    assert bare.json()["contentHash"] == theirs.json()["contentHash"]
    await commit(anna, bare.json()["project"], name="goes on")


async def test_what_opendaw_could_not_open_is_not_written_for_it(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project(kind="opendaw")
    body: dict[str, Any] = {}
    refused(await anna("POST", at(project, "/bundles"), json=body), 409, "bundle_unwritable")
    await fill(anna, project, {UUID: ("FluxCapacitorBox", {"1": 1})})
    problem = refused(
        await anna("POST", at(project, "/bundles"), json=body), 409, "bundle_unwritable"
    )
    assert problem["box"] == UUID
    answer = await anna("POST", at(project, "/bundles"), json={"kind": "zip"})
    assert answer.status_code == 201
    studio = await anna.project()
    asked = {"kind": "odb"}
    refused(await anna("POST", at(studio, "/bundles"), json=asked), 409, "bundle_unwritable")


def zipped(**held: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as into:
        for name, body in held.items():
            into.writestr(name.replace("_", "."), body)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "bundle_unknown"),
        (b"no zip", 422, "bundle_unknown"),
        (b"PK\3\4 and then nothing", 422, "bundle_damaged"),
        (zipped(song_mid=b"MThd"), 422, "bundle_unknown"),
        (zipped(manifest_json=b"{}"), 422, "bundle_damaged"),
        (zipped(project_od=b"OPEN", version=b"7"), 422, "bundle_unknown"),
        (zipped(project_od=b"OPEN\0\0\0\2\xff\xff\xff\xff", version=b"1"), 422, "bundle_damaged"),
        (zipped(project_od=b"", version=b"1", meta_json=b"[]"), 422, "bundle_damaged"),
        (b"OPEN", 422, "bundle_unknown"),
        (b"OPEN\0\0\0\2\0\0\0\4\x7f\xff\xff\xff", 422, "bundle_damaged"),
    ],
)
async def test_what_is_no_good_bundle_leaves_nothing(
    rest: Rest, data: bytes, status: int, code: str
) -> None:
    anna = await rest.person()
    refused(await sent(anna, data), status, code)
    await nothing(rest, anna)


async def test_a_bomb_leaves_nothing(rest: Rest) -> None:
    object.__setattr__(rest.services.settings, "bundle_bytes", 64 * 1024)
    anna = await rest.person()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as into:
        into.writestr("manifest.json", bytes(8 * 1024 * 1024))
    refused(await sent(anna, file.getvalue()), 413, "bundle_too_large")
    await nothing(rest, anna)


async def test_a_check_that_takes_too_long_is_ended_and_leaves_nothing(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "SECONDS", 0.0)
    anna = await rest.person()
    refused(await sent(anna, b"OPEN"), 422, "bundle_damaged")
    await nothing(rest, anna)


async def test_a_failure_while_it_is_stored_leaves_nothing(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await rest.person()
    od = opendaw.write(_one_box())
    monkeypatch.setattr(importing, "INSERT_BRANCH", "SELECT 1 / 0")
    refused(await sent(anna, od), 500, "internal")
    monkeypatch.undo()
    await nothing(rest, anna)


def _one_box() -> content.Content:
    doc: Doc[Any] = Doc()
    fields: Map[Any] = Map()
    held: dict[str, Any] = {"name": "RootBox", "fields": fields}
    doc.get("boxes", type=Map)[UUID] = Map(held)
    return content.read(doc.get_update())


@pytest.mark.parametrize(
    "params",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\x00b"},
        {"project": UUID},
        {"branch": "x"},
        {"project": "x", "branch": "x"},
        {"name": "x", "project": UUID, "branch": "y"},
    ],
)
async def test_where_it_goes_must_make_sense(rest: Rest, params: dict[str, str]) -> None:
    anna = await rest.person()
    refused(await sent(anna, b"OPEN", **params), 422, "validation_failed")


async def test_a_branch_cannot_be_called_anything(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    od = opendaw.write(_one_box())
    answer = await sent(anna, od, project=project["id"], branch="a/../b")
    refused(answer, 422, "branch_name_invalid")


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data; boundary=x"])
async def test_only_bytes_are_taken(rest: Rest, kind: str) -> None:
    anna = await rest.person()
    refused(await sent(anna, b"OPEN", kind), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "body",
    [
        {"branch": ""},
        {"branch": "main", "tag": "x"},
        {"kind": "rar"},
        {"note": "x" * 2001},
        {"note": "\x00"},
        {"commitId": "x"},
        {"extra": 1},
    ],
)
async def test_what_to_write_down_must_make_sense(rest: Rest, body: dict[str, object]) -> None:
    anna = await rest.person()
    project = await anna.project()
    refused(await anna("POST", at(project, "/bundles"), json=body), 422, "validation_failed")


async def test_what_is_not_there_is_not_written_down(rest: Rest) -> None:
    anna = await rest.person()
    project = await anna.project()
    for body, code in (
        ({"branch": "nowhere"}, "branch_not_found"),
        ({"commitId": UUID}, "commit_not_found"),
        ({"tag": "v9"}, "tag_not_found"),
    ):
        refused(await anna("POST", at(project, "/bundles"), json=body), 404, code)

"""Small bundles that would take much: memory, time, disk. Each is refused before it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pycrdt import Array, Doc

from docstore.bundles import layout, reading
from docstore.bundles.errors import BundleTooLarge

from .made import BOUNDS, History, check, damaged, entries, states, zipped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("lineage", [3_000, 2**24, 2**31 - 1, 2**63])
def test_a_lineage_that_was_never_reached_costs_nothing(tmp_path: Path, lineage: int) -> None:
    def change(said: History) -> None:
        said["project"]["lineage"] = lineage

    damaged(tmp_path, zipped(entries(change)), entry="history.json")


def test_states_are_bounded_together_however_small_they_are_packed(tmp_path: Path) -> None:
    size = sum(map(len, states()))
    check(tmp_path, zipped(entries()), BOUNDS._replace(states_bytes=size))
    with pytest.raises(BundleTooLarge) as caught:
        check(tmp_path, zipped(entries()), BOUNDS._replace(states_bytes=size - 1))
    assert caught.value.data == {"entry": "states.bin", "limit_bytes": size - 1}


def test_what_a_commit_says_of_itself_is_bounded(tmp_path: Path) -> None:
    def change(said: History) -> None:
        said["commits"][1]["changes"] = {"a": [[]] * (layout.COMMIT_BYTES // 3)}

    held = zipped(entries(change))
    with pytest.raises(BundleTooLarge) as caught:
        check(tmp_path, held, BOUNDS._replace(unpacked_bytes=1 << 30))
    assert caught.value.data == {"entry": "history.json", "limit_bytes": layout.COMMIT_BYTES}


def test_a_state_of_very_many_values_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_VALUES", 1_000)
    doc: Doc[Array[int]] = Doc(client_id=5)
    doc.get("chat", type=Array).extend([0] * 1_001)
    held = zipped(entries(more={"project.yjs": doc.get_update()}))
    with pytest.raises(BundleTooLarge) as caught:
        check(tmp_path, held)
    assert caught.value.data == {"entry": "project.yjs", "limit_values": 1_000}

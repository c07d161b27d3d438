"""A claim excludes everybody else, and ends with its process at the latest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from base.embedded import claim
from base.embedded.claim import Claim, DataFolderInUse


def test_a_claim_excludes_every_other_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not claim.claimed(path)
    ours = Claim(path)
    assert claim.claimed(path)
    with pytest.raises(DataFolderInUse, match="--data"):
        Claim(path)
    ours.release()
    ours.release()
    assert not claim.claimed(path)
    Claim(path).release()


def test_a_claim_dies_with_its_process(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from base.embedded.claim import Claim;"
        "claim = Claim(Path(sys.argv[1])); print('claimed', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a.lock")],
        cwd=Path(__file__).parents[4],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        with pytest.raises(DataFolderInUse, match=str(other.pid)):
            Claim(tmp_path / "a.lock")
        other.kill()
        other.wait()
        Claim(tmp_path / "a.lock").release()

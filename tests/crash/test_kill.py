"""Nothing that was acknowledged is lost, whatever is killed and whenever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crash import history, rounds
from tests.e2e import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.crash


@pytest.mark.timeout(240)
async def test_acknowledged_markers_survive_every_way_to_die(tmp_path: Path) -> None:
    async with harness.running(tmp_path / "data") as server:
        campaign = rounds.Campaign(server, seed=4)
        await campaign.prepare()
        for death in (rounds.Death.SERVER, rounds.Death.DATABASE, rounds.Death.EVERYTHING):
            result = await campaign.round(death)
            assert result.acknowledged > 0
            assert result.missing == [], f"lost after killing {death}"
            assert result.holes == [], f"damaged after killing {death}"
        # Whatever was left behind by the dead was taken over or put away.
        await server.stop()
        assert server.embedded() == []


async def test_the_server_lives_through_a_crash_of_postgresql_and_acknowledges_nothing_early(
    tmp_path: Path,
) -> None:
    async with harness.running(tmp_path / "data") as server:
        campaign = rounds.Campaign(server, seed=5)
        await campaign.prepare()
        result = await campaign.round(rounds.Death.BACKENDS)
        assert result.missing == []
        assert result.holes == []


@pytest.mark.timeout(240)
async def test_history_is_whole_after_every_way_to_die(tmp_path: Path) -> None:
    for one in await history.campaign(tmp_path / "data", rounds=3, seed=11):
        assert one.acknowledged > 0
        assert sum(one.done.values()) > 0
        assert one.missing == [], f"lost after killing {one.death} during {one.under_way}"
        assert one.findings == [], f"damaged after killing {one.death} during {one.under_way}"
        assert one.odd == []

"""What all tests share: the fixtures of `base/testing.py`, the event loop, the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from base.testing import Migrate

pytest_plugins = ["base.testing"]

# How long one example takes says nothing on a machine that has other work to do.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Tests run on the loop that the server runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def migrate() -> Migrate:
    """How a test database gets its tables."""

    def upgrade(url: str) -> list[str]:
        # Not at the top: most unit tests need no database, and none of its imports.
        from docstore import migrate as migrations

        return migrations.upgrade(url)

    return upgrade

"""The list of revisions, without a database."""

from __future__ import annotations

import subprocess
import sys

from alembic.config import Config
from alembic.script import ScriptDirectory

from docstore import migrate


def test_the_revisions_are_those_that_alembic_finds_in_the_order_that_it_finds() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    walked = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(walked)) == migrate.revisions()
    assert scripts.get_current_head() == migrate.head()
    assert len(scripts.get_heads()) == 1


def test_an_ordinary_start_loads_no_alembic() -> None:
    program = (
        "import sys; from docstore import migrate; migrate.head();"
        "print([name for name in ('alembic', 'sqlalchemy') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"

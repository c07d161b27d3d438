"""Names of hosts in the letters that DNS knows."""

from __future__ import annotations

import pytest

from base import domains


@pytest.mark.parametrize(
    ("name", "ascii_name"),
    [
        ("studio.example", "studio.example"),
        ("STUDIO.example", "studio.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("müsik.example", "xn--msik-0ra.example"),
    ],
)
def test_a_name_has_one_spelling(name: str, ascii_name: str) -> None:
    assert domains.ascii_name(name) == ascii_name


@pytest.mark.parametrize("name", ["", "a..b", "-a.example", "a b.example", "x" * 64 + ".example"])
def test_what_no_host_is_called_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        domains.ascii_name(name)

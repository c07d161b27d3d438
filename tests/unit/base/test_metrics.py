"""Metrics: one registry, one prefix, and what an operator asks for first."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from base import metrics


def _families() -> dict[str, str]:
    text = generate_latest(metrics.REGISTRY).decode()
    return {one.name: one.documentation for one in text_string_to_metric_families(text)}


def test_everything_of_ours_has_the_prefix_and_a_meaning() -> None:
    foreign = ("process_", "python_")
    for name, meaning in _families().items():
        assert name.startswith(("syncsphere_", *foreign)), name
        assert meaning, name


def test_the_memory_of_the_process_is_among_them() -> None:
    assert "process_resident_memory_bytes" in _families()

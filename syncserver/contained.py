"""What fails is said and counted, and whoever comes next has their turn all the same."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from base import log, metrics
from docstore import crdt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

_log = log.get("syncserver.contained")

T = TypeVar("T")


@contextlib.contextmanager
def contained(event: str) -> Generator[None]:
    """Go on after whatever fails within, also a panic in a Rust library; cancelling goes through."""
    try:
        yield
    except BaseException as problem:
        if not crdt.is_poison(problem):
            raise
        metrics.task_failures_total.labels(task=event).inc()
        _log.exception(event)


def each(event: str, many: Iterable[T], do: Callable[[T], None]) -> list[T]:
    """`do` for everyone, each on their own; those with whom it failed."""
    failed: list[T] = []
    for one in many:
        failed.append(one)
        with contained(event):
            do(one)
            failed.pop()
    return failed

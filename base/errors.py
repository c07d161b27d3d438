"""The root of every error that a user may see.

An error is a stable code, a sentence, and data. Which HTTP status or close code it becomes is
decided at the edge (`api/problems.py`, the connection), never here. Subclasses live beside the
functions that raise them.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class AppError(Exception):
    """Something went wrong that has a name."""

    code: str = "internal"
    """Stable, snake_case, documented; clients branch on it."""

    message: str = "Something went wrong that has a name."
    """One sentence for the user. A subclass that sets none gets its docstring's first line."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "message" not in cls.__dict__ and cls.__doc__:
            cls.message = inspect.cleandoc(cls.__doc__).partition("\n")[0]

    def __init__(self, message: str | None = None, **data: object) -> None:
        """`data` is what a program needs to react (limits, names); it must survive JSON."""
        if message is not None:
            self.message = message
        self.data: dict[str, object] = data
        super().__init__(self.message)


def every_error() -> Iterator[type[AppError]]:
    """Every subclass of AppError that has been imported, each once, parents first."""
    seen: set[type[AppError]] = set()
    waiting = AppError.__subclasses__()
    while waiting:
        error = waiting.pop(0)
        if error not in seen:
            seen.add(error)
            waiting.extend(error.__subclasses__())
            yield error

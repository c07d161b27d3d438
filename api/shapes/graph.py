"""The picture of a project's commits: which of them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MOST = 200
USUAL = 100


class GraphQuery(msgspec.Struct, rename="camel"):
    """Which commits are drawn."""

    branch: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=100,
                description="What its newest commit descends from; all of the project if absent.",
            ),
        ]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=MOST, description="Most commits to draw.")] = USUAL
    cursor: Annotated[
        str | None,
        Meta(description="As in the `Link` of the picture before; left out: the youngest."),
    ] = None

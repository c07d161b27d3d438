"""Percentiles and medians of samples. Nearest rank, no interpolation, no dependencies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def percentiles(samples: Sequence[float], *shares: float) -> tuple[float, ...]:
    """The sample at each share (0.5, 0.99, …) of the sorted samples; NaN when there are none."""
    if not samples:
        return tuple(math.nan for _ in shares)
    ranked = sorted(samples)
    return tuple(
        ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)] for share in shares
    )


def median(samples: Sequence[float]) -> float:
    """The middle sample; the mean of the two middle ones when their number is even."""
    ranked = sorted(samples)
    middle = len(ranked) // 2
    if not ranked:
        return math.nan
    return ranked[middle] if len(ranked) % 2 else (ranked[middle - 1] + ranked[middle]) / 2

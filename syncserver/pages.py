"""Memory that a buffer of somebody else's has grown to and no longer needs, given back to the system.

For buffers that never shrink and that cannot be replaced. The pages stay addressable: they are taken from the
system again, zeroed, when somebody writes to them. Knows nothing of what the buffers are for.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Final

_PAGE: Final = mmap.PAGESIZE
_DISCARDS: Final = sys.platform == "linux"
"""Only there MADV_DONTNEED frees the pages at once; elsewhere it is a hint, or missing."""


def give_back(spare: memoryview) -> None:
    """Free the whole pages inside a writable buffer whose contents mean nothing; they read as zero from now on."""
    if not _DISCARDS or len(spare) < 2 * _PAGE:
        return
    start = ctypes.addressof(ctypes.c_char.from_buffer(spare))
    first = -(-start // _PAGE) * _PAGE
    size = (start + len(spare) - first) // _PAGE * _PAGE
    # It only advises: a kernel that declines leaves everything as it was.
    _madvise(first, size, mmap.MADV_DONTNEED)


if _DISCARDS:
    _madvise = ctypes.CDLL(None).madvise
    _madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    _madvise.restype = ctypes.c_int

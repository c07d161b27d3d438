"""Colours for a terminal, for who wants them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docstore.history.render import Part

_RESET: Final = "\x1b[0m"
_GREEN, _RED, _YELLOW, _CYAN, _BOLD = (f"\x1b[{code}m" for code in (32, 31, 33, 36, 1))
_OF_SIGN: Final[Mapping[str, str]] = {"+": _GREEN, "-": _RED, "~": _YELLOW, ">": _CYAN}
_OF_PART: Final[Mapping[Part, str]] = {"id": _YELLOW, "labels": _GREEN}


def commit(text: str, part: Part) -> str:
    """A part of a commit's line."""
    return f"{_OF_PART[part]}{text}{_RESET}"


def diff(text: str) -> str:
    """What `render.diff_text` wrote: things by what became of them, kinds of things bold."""
    return "\n".join(map(_line, text.split("\n")))


def _line(line: str) -> str:
    if not line:
        return line
    if not line.startswith(" "):
        return f"{_BOLD}{line}{_RESET}"
    # Two spaces, a sign, a space: a thing. What is said of it stands further in.
    colour = _OF_SIGN.get(line[2:3]) if line[3:4] == " " else None
    return line if colour is None else f"{colour}{line}{_RESET}"

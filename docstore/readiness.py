"""How much of an update a document can take now, and that part as an update of its own.

An update that builds upon others may arrive before them. yrs keeps such updates aside by itself,
but loses some of them (one document in six of those that get everything in random order), and
when something overlaps with what it keeps, the document breaks or the process ends. So nothing
that has to wait is given to yrs: it gets the part that is ready, and `docstore/waiting.py` keeps
the update until the rest is.

Pure: outlines and numbers.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from docstore.numbers import write_var_uint

if TYPE_CHECKING:
    from collections.abc import Callable

    from docstore.outline import Need, Outline


class Reached(NamedTuple):
    """How far an update can be integrated."""

    clocks: dict[int, int]
    """For each section's client what is known once all that is ready is integrated."""
    stops: dict[int, Need]
    """What the sections that stop halfway, or do not start, are waiting for, if it is a need."""
    whole: bool
    """Whether nothing has to wait, deletions included."""


def reached(found: Outline, known: Callable[[int], int]) -> Reached:
    """How much of an update a document can take, of which `known` tells a client's next clock.

    In time proportional to the outline (times a logarithm), however its sections are entangled.
    """
    sections = {section.client: section for section in found.sections}
    clocks = {client: known(client) for client in sections}
    others: dict[int, int] = {}
    stops: dict[int, Need] = {}
    done = dict.fromkeys(sections, 0)  # needs that are met, by section
    waiting: dict[int, list[tuple[int, int]]] = {}  # by client: (clock, whose section waits for it)
    ready = list(sections)
    while ready:
        client = ready.pop()
        section = sections[client]
        at = clocks[client]
        stops.pop(client, None)
        if at < section.clock or at >= section.end:
            continue
        goal = section.end
        needs = section.needs
        while done[client] < len(needs):
            need = needs[done[client]]
            if need.client == client:
                met = at > need.clock
            else:
                # Also for structs that the document has: what they need it has too, if they are the same.
                upto = clocks.get(need.client)
                if upto is None:
                    upto = others.get(need.client)
                    if upto is None:
                        upto = others[need.client] = known(need.client)
                met = upto > need.clock
                if not met and need.client in clocks:
                    heapq.heappush(waiting.setdefault(need.client, []), (need.clock, client))
            if not met:
                goal = max(at, need.at)
                stops[client] = need
                break
            done[client] += 1
        if goal > at:
            clocks[client] = goal
            sleepers = waiting.get(client)
            while sleepers and sleepers[0][0] < goal:
                ready.append(heapq.heappop(sleepers)[1])
    whole = all(clocks[client] >= section.end for client, section in sections.items()) and all(
        clock + length <= (clocks[client] if client in clocks else known(client))
        for client, clock, length in found.deletions
    )
    return Reached(clocks, stops, whole)


def part(update: bytes, found: Outline, upto: Reached, known: Callable[[int], int]) -> bytes:
    """The part of an update that is ready, as an update: structs and deletions that need not wait.

    Sections of which everything is known are left out.
    """
    if upto.whole and all(known(section.client) < section.end for section in found.sections):
        return update
    sections: list[bytes] = []
    for section in found.sections:
        clock = upto.clocks[section.client]
        if clock <= known(section.client):
            continue  # nothing new of it is ready
        count, stop = section.structs, section.stop
        if clock < section.end:
            need = upto.stops[section.client]
            count, stop = need.structs, need.offset
        head = b"".join(map(write_var_uint, (count, section.client, section.clock)))
        sections.append(head + update[section.start : stop])
    deletions: dict[int, list[bytes]] = {}
    for client, clock, length in found.deletions:
        end = upto.clocks[client] if client in upto.clocks else known(client)
        length = min(length, end - clock)
        if length > 0:
            ranges = deletions.setdefault(client, [])
            ranges.append(write_var_uint(clock) + write_var_uint(length))
    out = [write_var_uint(len(sections)), *sections, write_var_uint(len(deletions))]
    for client, ranges in deletions.items():
        out += (write_var_uint(client), write_var_uint(len(ranges)), *ranges)
    return b"".join(out)

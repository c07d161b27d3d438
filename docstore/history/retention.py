"""What of a project's history may go, and what has to stay. Pure: facts in, decisions out.

A commit stays while a branch, a tag or a bundle leads to it, and for `keep` after it was made; a
state while a commit, a branch's journal, a squash or another state rests on it, likewise.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from uuid import UUID

_HOUR: Final = timedelta(hours=1)


class Rules(NamedTuple):
    """For how long what nobody leads to is kept, and the journal in all its detail."""

    keep: timedelta
    detail: timedelta | None
    """None: for ever."""

    def drop_before(self, now: datetime) -> datetime:
        """What nobody leads to goes if it is older than this."""
        return now - self.keep

    def thin_before(self, now: datetime) -> datetime | None:
        """Detail older than this goes. The start of a day: a journal is looked at once a day."""
        if self.detail is None:
            return None
        return (now - self.detail).replace(hour=0, minute=0, second=0, microsecond=0)


class Collected(NamedTuple):
    """What was taken away."""

    branches: int = 0
    commits: int = 0
    states: int = 0
    rows: int = 0
    """Of journals: of branches that are gone, and those that were joined with others."""
    bytes: int = 0
    """As they were stored."""
    projects: int = 0
    """Erased."""

    def and_also(self, other: Collected) -> Collected:
        """Both together."""
        return Collected(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class State(NamedTuple):
    """A state at rest."""

    id: int
    base_id: int | None
    created_at: datetime


class Commits(NamedTuple):
    """What is to become of commits."""

    drop: list[UUID]
    """Children before their parents."""
    loose_from: datetime | None
    """When the oldest was made that nothing leads to, and that is too young to go."""


class States(NamedTuple):
    """What is to become of states."""

    drop: list[int]
    """Those that rest on others first."""
    loose_from: datetime | None
    """As of commits."""


def judge_commits(
    commits: Mapping[UUID, datetime],
    parents: Iterable[tuple[UUID, UUID]],
    roots: Iterable[UUID],
    before: datetime,
) -> Commits:
    """Which commits go, made when: those that nothing leads to.

    parents: pairs of child and parent. Nothing younger than `before` goes, nor what it descends
    from.
    """
    above: dict[UUID, list[UUID]] = {}
    for child, parent in parents:
        above.setdefault(child, []).append(parent)
    kept: set[UUID] = set()
    _reach(roots, above, kept)
    young = [each for each, made in commits.items() if made >= before and each not in kept]
    _reach(young, above, kept)
    drop = sorted(commits.keys() - kept, reverse=True)
    return Commits(drop, min((commits[each] for each in young), default=None))


def _reach(open_: Iterable[UUID], above: Mapping[UUID, Sequence[UUID]], kept: set[UUID]) -> None:
    left = list(open_)
    while left:
        one = left.pop()
        if one not in kept:
            kept.add(one)
            left += above.get(one, ())


def judge_states(states: Sequence[State], held: Collection[int], before: datetime) -> States:
    """Which states go: those that nothing holds and nothing that stays rests on.

    states: by number, so that each comes behind the one that it rests on.
    """
    firm = set(held)
    young: set[int] = set()
    drop: list[int] = []
    loose_from: datetime | None = None
    for state in reversed(states):
        if state.id in firm:
            resting = firm
        elif state.id in young or state.created_at >= before:
            resting = young
            if state.created_at >= before:
                loose_from = min(state.created_at, loose_from or state.created_at)
        else:
            drop.append(state.id)
            continue
        if state.base_id is not None:
            resting.add(state.base_id)
    return States(drop, loose_from)


class Stretch(NamedTuple):
    """A segment of a journal."""

    id: int
    from_time: datetime
    to_time: datetime
    size: int
    """Bytes, unpacked."""
    due: bool


def parts(journal: Sequence[Stretch], size: int) -> list[list[Stretch]]:
    """A journal, by number, in parts of about `size`, up to the last in which something is due.

    Nothing in a part is older than anything of the part before.
    """
    earliest: list[datetime | None] = [None]
    for each in reversed(journal):
        last = earliest[-1]
        earliest.append(each.from_time if last is None else min(each.from_time, last))
    earliest.reverse()
    found: list[list[Stretch]] = []
    part: list[Stretch] = []
    held = 0
    latest: datetime | None = None
    for each, following in zip(journal, earliest[1:], strict=True):
        part.append(each)
        held += each.size
        latest = each.to_time if latest is None else max(latest, each.to_time)
        if following is None or (held >= size and latest <= following):
            found.append(part)
            part, held = [], 0
    while found and not any(each.due for each in found[-1]):
        found.pop()
    return found


def hour_of(moment: datetime) -> datetime:
    """The end of the hour that a moment belongs to; the end itself belongs to it.

    So what was stored up to a full hour is just what belongs to the hours until then.
    """
    start = moment.replace(minute=0, second=0, microsecond=0)
    return start if start == moment else start + _HOUR

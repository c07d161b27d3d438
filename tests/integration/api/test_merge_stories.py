"""Stories of branches, told twice: with squashes in between, and without. Both end the same."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import pytest
from pycrdt import Doc, Map

from .lines import branched, committed, edit, log, merged
from .test_merge_across import nothing_to_merge, says, sound, squashed

if TYPE_CHECKING:
    from collections.abc import Callable

    from .rest import Person, Rest

STEPS: Final = 30
STORIES: Final = range(4)
KINDS: Final = (
    "add",
    "add",
    "add",
    "remove",
    "commit",
    "branch",
    "old",
    "merge",
    "merge",
    "squash",
)


class Teller:
    """One telling: a project of its own, and what to leave out."""

    def __init__(self, who: Person, project: dict[str, Any], seed: int, *, squashes: bool) -> None:
        self._who = who
        self._project = project
        self._random = random.Random(seed)
        self._squashes = squashes
        self._commits: list[str] = []
        self.names = ["main"]
        self.squashed = 0

    async def told(self) -> dict[str, dict[str, Any]]:
        """What all branches say at the end."""
        for step in range(STEPS):
            await self._step(step, self._random.choice(KINDS))
        return {name: await says(self._who, self._project, name) for name in self.names}

    async def _step(self, step: int, kind: str) -> None:
        """Each thing is made by one hand, and removed by any: nobody is in conflict."""
        name = self._random.choice(self.names)
        other = self._random.choice(self.names)
        place = self._random.random()
        if kind == "add":
            await self._edit(name, lambda things: things.update({f"s{step}": Map({"at": step})}))
        elif kind == "remove":
            await self._edit(name, lambda things: _remove(things, place))
        elif kind == "commit":
            await self._edit(name, lambda things: things.update({f"c{step}": step}))
            made = await committed(self._who, self._project, name)
            self._commits.append(made["id"])
        elif kind == "branch" and len(self.names) < 5:
            await branched(self._who, self._project, f"b{step}", sourceBranch=name)
            self.names.append(f"b{step}")
        elif kind == "old" and self._commits and len(self.names) < 5:
            commit = self._commits[int(place * len(self._commits))]
            await branched(self._who, self._project, f"b{step}", sourceCommit=commit)
            self.names.append(f"b{step}")
        elif kind == "merge" and name != other:
            done = await merged(self._who, self._project, name, other)
            assert done["conflicts"] == []
        elif kind == "squash" and self._squashes:
            await squashed(self._who, self._project)
            self.squashed += 1

    async def _edit(self, name: str, change: Callable[[Map[Any]], None]) -> None:
        def within(doc: Doc[Any]) -> None:
            change(doc.get("things", type=Map))

        await edit(self._who, self._project, name, within)


def _remove(things: Map[Any], place: float) -> None:
    keys = sorted(things.keys())
    if keys:
        del things[keys[int(place * len(keys))]]


@pytest.mark.parametrize("seed", STORIES)
async def test_a_squash_changes_nothing_of_what_merges_come_to(rest: Rest, seed: int) -> None:
    anna = await rest.person()
    plain, again = await anna.project(), await anna.project()
    without = Teller(anna, plain, seed, squashes=False)
    with_ = Teller(anna, again, seed, squashes=True)
    said = await without.told()
    assert await with_.told() == said
    # At last everything comes to main, and from there to all.
    for name in with_.names[1:]:
        await merged(anna, again, name)
        await merged(anna, plain, name)
    for name in with_.names[1:]:
        await merged(anna, again, "main", name)
    assert await says(anna, again) == await says(anna, plain)
    await nothing_to_merge(rest, anna, again, *with_.names)
    assert len(await log(anna, again)) > 0 or with_.names == ["main"]
    await sound(rest)

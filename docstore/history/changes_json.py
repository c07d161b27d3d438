"""A diff as plain JSON, from which the second content can be made out of the first.

Maps: set or remove what a change names. Lists: first take out what was removed, from the end on,
then put in what was added, in order; what changed is then in its place. Absent is not null: a
field without `before` was not there. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, cast

import msgspec

from docstore.history.content import Plain, SharedArray, SharedMap, SharedText, json_of
from docstore.history.directory import UNIT, Directory

if TYPE_CHECKING:
    from docstore.history.content import Node
    from docstore.history.counting import Count
    from docstore.history.diff import Change, Diff, Field
    from docstore.history.directory import Thing
    from docstore.history.entities import Entity
    from docstore.history.merge import Conflict, Standing

Json: TypeAlias = "dict[str, object]"

_TYPES: Final[dict[type, str]] = {
    Plain: "value",
    SharedMap: "map",
    SharedArray: "array",
    SharedText: "text",
}


LONGEST_VALUE: Final = 2000
"""Characters of JSON up to which a conflict, or a preview, tells a side whole."""


MOST_FIELDS: Final = 50
"""Fields of one change that a preview tells."""


def diff_json(found: Diff) -> Json:
    """A whole diff."""
    return {
        "summary": found.summary,
        "counts": [_count(each) for each in found.counts],
        "changes": [change_json(each) for each in found.changes],
    }


def entity_json(
    entity: Entity,
    name: str | None = None,
    *,
    box: str | None = None,
    holder: Entity | None = None,
    holder_name: str | None = None,
) -> Json:
    """A thing, by what can be asked for it again, and as people know it.

    `name`, `box` (the class of an openDAW box) and `in` (the stem, instrument or channel it is in)
    are there where it has them.
    """
    shown: Json = {"type": entity.type, "id": entity.id, "path": list(entity.path)}
    if name is not None:
        shown["name"] = name
    if box is not None:
        shown["box"] = box
    if holder is not None:
        shown["in"] = holder_json(holder, holder_name)
    return shown


def holder_json(holder: Entity, name: str | None) -> Json:
    """What holds a thing."""
    return entity_json(holder, name, box=UNIT if holder.type == "box" else None)


def thing_json(thing: Thing) -> Json:
    """A thing that was looked up."""
    return entity_json(
        thing.entity,
        thing.name,
        box=thing.box,
        holder=thing.holder,
        holder_name=thing.holder_name,
    )


def change_json(change: Change) -> Json:
    """One change. Where only fields changed, these; else the whole before and after."""
    entity = entity_json(
        change.entity,
        change.name,
        box=change.box,
        holder=change.holder,
        holder_name=change.holder_name,
    )
    shown: Json = {"kind": change.kind, "entity": entity}
    if change.parent is not None:
        shown["parent"] = entity_json(change.parent)
    if change.counts:
        shown["counts"] = dict(change.counts)
    if change.fields:
        shown["fields"] = [_field(each) for each in change.fields]
    else:
        shown.update(_sides(change.before, change.after))
    return shown


def short_change_json(change: Change) -> Json:
    """The same for who looks before they choose: of what is long only the beginning (`cut`).

    Of a change of more than `MOST_FIELDS` fields the first, and how many more (`moreFields`).
    """
    shown = _shortened(change_json(change))
    fields = shown.get("fields")
    if isinstance(fields, list):
        every = cast("list[Json]", fields)
        shown["fields"] = [_shortened(each) for each in every[:MOST_FIELDS]]
        if len(every) > MOST_FIELDS:
            shown["moreFields"] = len(every) - MOST_FIELDS
    return shown


def _shortened(shown: Json) -> Json:
    found = dict(shown)
    for side in ("before", "after", "formatting"):
        if side in found:
            found[side], is_cut = _short(found[side])
            if is_cut:
                found["cut"] = True
    return found


def conflict_json(
    conflict: Conflict, standing: Standing | None = None, names: Directory | None = None
) -> Json:
    """One conflict of a merge; what is absent of base, ours and theirs was not there.

    names: where to look things up; without, they are told of by their paths alone. `field`: what
    the place is called within the entity; absent, it is the entity. Of what is long only the
    beginning is told (`cut`): who has to choose reads the rest elsewhere.
    """
    names = names or Directory()
    place = names.place(conflict.path)
    shown: Json = {
        "kind": conflict.kind,
        "path": list(conflict.path),
        "entity": thing_json(place.thing),
    }
    if place.field is not None:
        shown["field"] = place.field
    for side in ("base", "ours", "theirs"):
        node: Node | None = getattr(conflict, side)
        if node is not None:
            shown[side], is_cut = _short(json_of(node))
            if is_cut:
                shown["cut"] = True
    if conflict.needed:
        needed = (names.place(each.path).thing for each in conflict.needed)
        shown["needs"] = [thing_json(each) for each in needed]
    if standing is not None:
        shown["stands"] = standing
    return shown


def _short(value: object) -> tuple[object, bool]:
    """A value, and False; or the beginning of a long one, as a text, and True."""
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return value[: LONGEST_VALUE - 1] + "…", True
    said = msgspec.json.encode(value).decode()
    if len(said) <= LONGEST_VALUE:
        return value, False
    begin = value if isinstance(value, str) else said
    return begin[: LONGEST_VALUE - 1] + "…", True


def _field(field: Field) -> Json:
    return {"path": list(field.path), "name": field.name, **_sides(field.before, field.after)}


def _sides(before: Node | None, after: Node | None) -> Json:
    shown: Json = {}
    if before is not None:
        shown["before"] = json_of(before)
    if after is not None:
        shown["after"] = json_of(after)
    if before is None or after is None or shown["before"] != shown["after"]:
        return shown
    # What differs is not in plain JSON: of what type it is, or how a text is formatted.
    if type(before) is not type(after):
        shown["types"] = [_TYPES.get(type(side), "xml") for side in (before, after)]
    elif isinstance(before, SharedText) and isinstance(after, SharedText):
        shown["formatting"] = [_runs(before), _runs(after)]
    return shown


def _runs(text: SharedText) -> list[Json]:
    return [
        {
            "insert": run.insert if isinstance(run.insert, str) else json_of(run.insert),
            "attributes": {key: json_of(value) for key, value in run.attributes.items()},
        }
        for run in text.runs
    ]


def _count(count: Count) -> Json:
    shown: Json = {
        "kind": count.kind,
        "type": count.type,
        "noun": count.noun,
        "number": count.number,
    }
    if count.holder is not None:
        shown["in"] = holder_json(count.holder, count.holder_name)
    return shown

"""A diff as plain JSON, from which the second content can be made out of the first.

Maps: set or remove what a change names. Lists: first take out what was removed, from the end on,
then put in what was added, in order; what changed is then in its place. Absent is not null: a
field without `before` was not there. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from docstore.history.content import Plain, SharedArray, SharedMap, SharedText, json_of

if TYPE_CHECKING:
    from docstore.history.content import Node
    from docstore.history.diff import Change, Count, Diff, Field
    from docstore.history.entities import Entity
    from docstore.history.merge import Conflict, Standing

Json: TypeAlias = "dict[str, object]"

_TYPES: Final[dict[type, str]] = {
    Plain: "value",
    SharedMap: "map",
    SharedArray: "array",
    SharedText: "text",
}


def diff_json(found: Diff) -> Json:
    """A whole diff."""
    return {
        "summary": found.summary,
        "counts": [_count(each) for each in found.counts],
        "changes": [change_json(each) for each in found.changes],
    }


def entity_json(entity: Entity, name: str | None = None) -> Json:
    """A thing, by what can be asked for it again."""
    shown: Json = {"type": entity.type, "id": entity.id, "path": list(entity.path)}
    if name is not None:
        shown["name"] = name
    return shown


def change_json(change: Change) -> Json:
    """One change. Where only fields changed, these; else the whole before and after."""
    shown: Json = {"kind": change.kind, "entity": entity_json(change.entity, change.name)}
    if change.box is not None:
        shown["box"] = change.box
    if change.parent is not None:
        shown["parent"] = entity_json(change.parent)
    if change.holder is not None:
        shown["in"] = entity_json(change.holder, change.holder_name)
    if change.counts:
        shown["counts"] = dict(change.counts)
    if change.fields:
        shown["fields"] = [_field(each) for each in change.fields]
    else:
        shown.update(_sides(change.before, change.after))
    return shown


def conflict_json(conflict: Conflict, standing: Standing | None = None) -> Json:
    """One conflict of a merge; what is absent of base, ours and theirs was not there."""
    shown: Json = {
        "kind": conflict.kind,
        "path": list(conflict.path),
        "entity": entity_json(conflict.entity),
    }
    for side in ("base", "ours", "theirs"):
        node: Node | None = getattr(conflict, side)
        if node is not None:
            shown[side] = json_of(node)
    if conflict.needed:
        shown["needs"] = [list(each.path) for each in conflict.needed]
    if standing is not None:
        shown["stands"] = standing
    return shown


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
        shown["in"] = entity_json(count.holder, count.holder_name)
    return shown

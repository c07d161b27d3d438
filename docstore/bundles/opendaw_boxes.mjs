// Writes opendaw_boxes.json: which fields the boxes of openDAW have, by their numbers, and what is in them.
//
// Facts only (names, numbers, types, what a new box holds), read off the objects that openDAW's own
// packages make; their code stays where it is. To be run again when openDAW has new boxes, outside of
// the repository:
//
//   npm i @opendaw/studio-boxes @opendaw/lib-box @opendaw/lib-std @opendaw/studio-enums esbuild
//   npx esbuild opendaw_boxes.mjs --bundle --platform=node --format=esm --outfile=run.mjs
//   node run.mjs >opendaw_boxes.json
//
// A field is ["b" | "i" | "f" | "s", what it holds at first], "p" for a pointer,
// "h" for what others point at, {number: field} for an object, ["a", fields] for an array; fields that
// openDAW reads no more are null.
import * as boxes from "@opendaw/studio-boxes"
import { ArrayField, BoxGraph, ObjectField, PointerField, PrimitiveField } from "@opendaw/lib-box"
import { Option, UUID } from "@opendaw/lib-std"

const letters = { boolean: "b", int32: "i", float32: "f", string: "s" }

const described = field => {
    if (field.deprecated) {return null}
    if (field instanceof ArrayField) {return ["a", field.fields().map(described)]}
    if (field instanceof ObjectField) {return record(field.record())}
    if (field instanceof PointerField) {return "p"}
    if (!(field instanceof PrimitiveField)) {return "h"}
    if (!(field.type in letters)) {throw new Error(`${field.address} holds ${field.type}: teach the reader`)}
    return [letters[field.type], Number.isFinite(field.initValue) || typeof field.initValue !== "number" ? field.initValue : String(field.initValue)]
}

const record = fields => Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, described(field)]))

const table = {}
for (const type of Object.values(boxes).filter(each => each?.ClassName).sort((a, b) => a.ClassName < b.ClassName ? -1 : 1)) {
    const graph = new BoxGraph(Option.wrap(boxes.BoxIO.create))
    graph.beginTransaction()
    table[type.ClassName] = record(type.create(graph, UUID.generate()).record())
}
const lines = Object.entries(table).map(([name, fields]) => `${JSON.stringify(name)}: ${JSON.stringify(fields)}`)
console.log(`{\n${lines.join(",\n")}\n}`)

/**
 * The stems of the song: `stems`, a map id -> {name, color, volume, muted, order}.
 *
 * Each property is one key, so two people may rename and turn down the same stem at once. A row
 * that stays is never rebuilt: whoever types into it keeps the caret.
 */
import * as Y from 'yjs'
import { fill, h, setText } from './dom.js'

const COLORS = ['#ff6b81', '#ffc857', '#4fd6c4', '#4fb3ff', '#8f9bff', '#d98bff']
const NAMES = ['Drums', 'Bass', 'Keys', 'Lead', 'Vocals', 'Pads', 'Strings', 'Noise']

export class Stems {
  constructor (doc, editable) {
    this.doc = doc
    this.map = doc.getMap('stems')
    this.editable = editable
    this.rows = new Map()
    this.list = h('ul', { class: 'stems' })
    this.empty = h('p', { class: 'quiet' }, editable ? 'No stems yet. Add the first one.' : 'No stems yet.')
    this.element = h('section', { class: 'panel', 'aria-label': 'Stems' },
      h('header', {}, h('h2', {}, 'Stems'), editable ? h('button', { class: 'small', type: 'button', onclick: () => this.add() }, 'Add stem') : null),
      this.empty,
      this.list
    )
    this.map.observeDeep(() => this.draw())
    this.draw()
  }

  /** By order, ties by id, so that every window shows the same. */
  sorted () {
    return [...this.map.entries()]
      .filter(([, stem]) => stem instanceof Y.Map)
      .sort(([a, one], [b, other]) => String(one.get('order')).localeCompare(String(other.get('order'))) || a.localeCompare(b))
  }

  add () {
    const last = this.sorted().at(-1)?.[1].get('order')
    const stem = new Y.Map()
    const count = this.map.size
    const facts = {
      name: NAMES[count % NAMES.length],
      color: COLORS[count % COLORS.length],
      volume: 0.8,
      muted: false,
      order: after(last)
    }
    for (const [key, value] of Object.entries(facts)) stem.set(key, value)
    this.map.set(uuid(), stem)
  }

  draw () {
    const sorted = this.sorted()
    this.empty.hidden = sorted.length > 0
    for (const id of this.rows.keys()) if (!(this.map.get(id) instanceof Y.Map)) this.rows.delete(id)
    for (const [id] of sorted) if (!this.rows.has(id)) this.rows.set(id, this.row(id))
    const rows = sorted.map(([id]) => this.rows.get(id).element)
    if (rows.length !== this.list.children.length || rows.some((row, at) => row !== this.list.children[at])) fill(this.list, rows)
    for (const [id, stem] of sorted) this.rows.get(id).show(stem)
  }

  row (id) {
    const change = (key, value) => this.map.get(id)?.set(key, value)
    const disabled = !this.editable
    const name = h('input', { class: 'name', maxlength: 60, 'aria-label': 'Name of the stem', disabled, oninput: () => change('name', name.value) })
    const volume = h('input', { type: 'range', min: 0, max: 1, step: 0.01, 'aria-label': 'Volume', disabled, oninput: () => change('volume', Number(volume.value)) })
    const level = h('output', { class: 'level' })
    const mute = h('button', { class: 'mute', type: 'button', disabled, title: 'Mute', onclick: () => change('muted', this.map.get(id)?.get('muted') !== true) }, 'M')
    const remove = this.editable ? h('button', { class: 'remove', type: 'button', title: 'Remove the stem', onclick: () => this.map.delete(id) }, '×') : null
    const element = h('li', { class: 'stem' }, h('span', { class: 'swatch' }), name, mute, remove, h('div', { class: 'fader' }, volume, level))
    const show = (stem) => {
      element.style.setProperty('--color', COLORS.includes(stem.get('color')) ? stem.get('color') : COLORS[0])
      if (name.value !== stem.get('name')) name.value = stem.get('name') ?? ''
      const value = Number(stem.get('volume') ?? 0)
      if (Number(volume.value) !== value) volume.value = value
      volume.style.setProperty('--filled', `${value * 100}%`)
      setText(level, String(Math.round(value * 100)))
      mute.setAttribute('aria-pressed', String(stem.get('muted') === true))
      element.classList.toggle('muted', stem.get('muted') === true)
    }
    return { element, show }
  }
}

/** A random UUID; `crypto.randomUUID` is missing on plain http. */
const uuid = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** A fractional index behind `last`, with luck in it so that two new stems do not meet. */
const after = (last) => {
  const head = last === undefined ? 'a0' : last.slice(0, 1) + String(Number.parseInt(last.slice(1, 2), 36) + 1).slice(-1)
  const grown = last !== undefined && head <= last.slice(0, 2) ? `${last}a` : head
  return grown + Math.floor(Math.random() * 46656).toString(36).padStart(3, '0')
}

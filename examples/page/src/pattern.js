/**
 * The beat in the document: `pattern.bpm` and `pattern.steps`, a map "instrument:step" -> velocity.
 *
 * One key per cell: two people who toggle different cells never overwrite each other.
 * Knows Yjs, not the page.
 */
import * as Y from 'yjs'

export const STEPS = 16
export const VELOCITY = 100
export const BPM = { least: 60, usual: 120, most: 200 }

export const INSTRUMENTS = [
  { id: 'kick', name: 'Kick', color: '#ff6b81' },
  { id: 'snare', name: 'Snare', color: '#ff9a5c' },
  { id: 'clap', name: 'Clap', color: '#ffc857' },
  { id: 'hat', name: 'Hi-hat', color: '#b7e36b' },
  { id: 'open', name: 'Open hat', color: '#4fd6c4' },
  { id: 'tom', name: 'Tom', color: '#4fb3ff' },
  { id: 'bell', name: 'Cowbell', color: '#8f9bff' },
  { id: 'bass', name: 'Bass', color: '#c98bff' }
]

/** Who wrote the groundwork below: a fixed author, so that two pages write the very same thing. */
const GROUNDWORK_CLIENT = 2

/**
 * A project of another kind has no pattern yet. Created by two pages at once, one of the two maps
 * would replace the other with everything in it; written by one fixed author, both are the same.
 */
const groundwork = () => {
  const doc = new Y.Doc()
  doc.clientID = GROUNDWORK_CLIENT
  const pattern = doc.getMap('pattern')
  pattern.set('bpm', BPM.usual)
  pattern.set('instruments', new Y.Map())
  pattern.set('steps', new Y.Map())
  return Y.encodeStateAsUpdate(doc)
}

export class Pattern {
  constructor (doc) {
    this.doc = doc
    this.root = doc.getMap('pattern')
  }

  get bpm () {
    return this.root.get('bpm') ?? BPM.usual
  }

  set bpm (value) {
    this.root.set('bpm', Math.min(BPM.most, Math.max(BPM.least, Math.round(value))))
  }

  /** 0 is off; 1 to 127 is how hard. */
  velocity (instrument, step) {
    return this.root.get('steps')?.get(`${instrument}:${step}`) ?? 0
  }

  set (instrument, step, on) {
    if (on === this.velocity(instrument, step) > 0) return
    if (!(this.root.get('steps') instanceof Y.Map)) Y.applyUpdate(this.doc, groundwork(), 'groundwork')
    const steps = this.root.get('steps')
    if (on) steps.set(`${instrument}:${step}`, VELOCITY)
    else steps.delete(`${instrument}:${step}`)
  }

  clear () {
    this.doc.transact(() => {
      const steps = this.root.get('steps')
      for (const key of [...(steps?.keys() ?? [])]) steps.delete(key)
    })
  }

  observe (listener) {
    this.root.observeDeep(listener)
  }
}

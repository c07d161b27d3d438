/**
 * The grid of pads: instruments down, sixteen steps across.
 *
 * Draws the pattern and everybody's cursors; a press toggles a pad, a drag paints, arrows walk.
 * What a pad means is `pattern.js`; where others are is `people.js`.
 */
import { h } from './dom.js'
import { INSTRUMENTS, STEPS } from './pattern.js'

export class Grid {
  /** `onPoint(cell)`: the pointer or the focus is at a cell (null: left). `onHear(instrument)`. */
  constructor (pattern, { editable, onPoint, onHear }) {
    this.pattern = pattern
    this.editable = editable
    this.onPoint = onPoint
    this.onHear = onHear
    this.pads = new Map()
    this.painting = null
    this.element = h('section', {
      class: 'grid',
      'aria-label': 'Pattern',
      onpointerleave: () => onPoint(null),
      onfocusout: () => onPoint(null)
    }, INSTRUMENTS.map((instrument) => this.row(instrument)))
    window.addEventListener('pointerup', () => { this.painting = null })
    window.addEventListener('pointercancel', () => { this.painting = null })
    this.element.addEventListener('pointermove', (event) => this.drag(event))
    pattern.observe(() => this.draw())
    this.draw()
  }

  row ({ id, name, color }) {
    return h('div', { class: 'row', style: { '--color': color } },
      h('button', { class: 'instrument', type: 'button', title: `Hear ${name}`, onclick: () => this.onHear(id) }, name),
      h('div', { class: 'steps' }, Array.from({ length: STEPS }, (_, step) => this.pad(id, name, step)))
    )
  }

  pad (instrument, name, step) {
    const pad = h('button', {
      class: 'pad',
      type: 'button',
      disabled: !this.editable,
      'aria-label': `${name}, step ${step + 1}`,
      data: { instrument, step },
      onpointerdown: (event) => {
        // Touch captures the pointer; the drag has to reach the neighbours.
        event.target.releasePointerCapture?.(event.pointerId)
        if (event.button === 0) this.paint(instrument, step, this.pattern.velocity(instrument, step) === 0)
      },
      onpointerenter: () => this.onPoint({ instrument, step }),
      onfocus: () => this.onPoint({ instrument, step }),
      onkeydown: (event) => this.key(event, instrument, step)
    }, h('span', { class: 'who', hidden: true }))
    this.pads.set(`${instrument}:${step}`, pad)
    return pad
  }

  paint (instrument, step, on) {
    if (!this.editable) return
    this.painting = on
    this.pattern.set(instrument, step, on)
  }

  drag (event) {
    if (this.painting === null || event.buttons === 0) return
    const pad = document.elementFromPoint(event.clientX, event.clientY)?.closest('.pad')
    if (pad) this.pattern.set(pad.dataset.instrument, Number(pad.dataset.step), this.painting)
  }

  key (event, instrument, step) {
    if (event.key === ' ' || event.key === 'Enter') {
      event.preventDefault()
      this.pattern.set(instrument, step, this.pattern.velocity(instrument, step) === 0)
      return
    }
    const row = INSTRUMENTS.findIndex(({ id }) => id === instrument)
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0]
    const next = this.pads.get(`${INSTRUMENTS[row + down]?.id}:${step + right}`)
    if (next === undefined || (down === 0 && right === 0)) return
    event.preventDefault()
    next.focus()
  }

  draw () {
    for (const pad of this.pads.values()) {
      const velocity = this.pattern.velocity(pad.dataset.instrument, Number(pad.dataset.step))
      pad.setAttribute('aria-pressed', String(velocity > 0))
      pad.style.setProperty('--velocity', velocity / 127)
    }
  }

  /** Show where the others are: [{instrument, step, name, color}]. */
  show (others) {
    for (const pad of this.element.querySelectorAll('.pad.visited')) {
      pad.classList.remove('visited')
      pad.firstChild.hidden = true
    }
    for (const { instrument, step, name, color } of others) {
      const pad = this.pads.get(`${instrument}:${step}`)
      if (pad === undefined) continue
      pad.classList.add('visited')
      pad.style.setProperty('--visitor', color)
      pad.firstChild.textContent = name
      pad.firstChild.hidden = false
    }
  }

  /** Light up the step that sounds; -1 for none. */
  sound (step) {
    for (const pad of this.pads.values()) pad.classList.toggle('sounding', Number(pad.dataset.step) === step)
  }
}

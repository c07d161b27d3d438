/**
 * Who is here: one avatar per window, and what each of them points at.
 *
 * The server writes `user.id` and `user.name` into every presence state, so a name here is a name
 * that somebody signed in with. A window adds its colour and the cell it is at.
 */
import { fill, h } from './dom.js'

const COLORS = ['#ff6b81', '#ffb454', '#b7e36b', '#4fd6c4', '#4fb3ff', '#8f9bff', '#d98bff', '#ff8ad1']

export class People {
  /** `onMove(cells)` gets [{instrument, step, name, color}] of everybody else. */
  constructor (awareness, name, onMove) {
    this.awareness = awareness
    this.element = h('ul', { class: 'people', 'aria-label': 'People here' })
    this.color = COLORS[awareness.clientID % COLORS.length]
    awareness.setLocalState({ user: { name, color: this.color }, cell: null })
    awareness.on('change', () => this.draw(onMove))
    this.draw(onMove)
  }

  /** Where this window's pointer or keyboard is; null for nowhere. */
  point (cell) {
    const before = this.awareness.getLocalState()?.cell ?? null
    if (before?.instrument === cell?.instrument && before?.step === cell?.step) return
    this.awareness.setLocalStateField('cell', cell)
  }

  draw (onMove) {
    const everybody = [...this.awareness.getStates()]
      .filter(([, state]) => state.user !== undefined)
      .map(([id, state]) => ({
        me: id === this.awareness.clientID,
        name: String(state.user.name ?? (state.user.guest ? 'Guest' : '?')),
        color: COLORS.includes(state.user.color) ? state.user.color : COLORS[id % COLORS.length],
        cell: state.cell ?? null
      }))
      .sort((a, b) => Number(b.me) - Number(a.me))
    fill(this.element, everybody.slice(0, 6).map(avatar), everybody.length > 6 ? h('li', { class: 'avatar more' }, `+${everybody.length - 6}`) : null)
    this.element.dataset.count = everybody.length
    onMove(everybody.filter(({ me, cell }) => !me && cell !== null).map(({ cell, ...who }) => ({ ...who, ...cell })))
  }
}

const avatar = ({ me, name, color }) => h(
  'li',
  { class: me ? 'avatar me' : 'avatar', style: { '--color': color }, title: me ? `${name} (this window)` : name, 'data-name': name },
  [...name][0]?.toUpperCase() ?? '?'
)

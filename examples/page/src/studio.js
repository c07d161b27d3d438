/**
 * An open project on the screen: header, transport, grid, stems, versions.
 *
 * Puts the parts together and keeps the two indicators honest: whether we are connected, and
 * whether what was done here is on the server's disk.
 */
import { changeProject, project as showProject, ticket, verifyEmail } from './api.js'
import { h, setText } from './dom.js'
import { Grid } from './grid.js'
import { BPM, Pattern } from './pattern.js'
import { People } from './people.js'
import { Room } from './room.js'
import { Player } from './sound.js'
import { Stems } from './stems.js'
import { Versions } from './versions.js'

/**
 * Open a project. `project` is what REST says of it; `onEnd(code, sentence)` when the server closes
 * for good later on. Returns `{element, close}` once the document is here; throws an Ended if it
 * was refused.
 */
export const openStudio = async ({ session, project, onHome, onEnd, onAccess }) => {
  const editable = project.permissions.canEdit
  const indicators = makeIndicators(editable)
  const look = () => showProject(session, project.id).then((now) => { if (now.permissions.canEdit !== editable) onAccess() }, () => {})
  const room = new Room({ id: project.id, ticket: () => ticket(session, project.id), onStatus: indicators.show, onEnd, onAsked: look })
  try {
    await room.loaded()
  } catch (error) {
    room.close()
    throw error
  }

  const { doc } = room
  const pattern = new Pattern(doc)
  const player = new Player(pattern, (step) => {
    grid.sound(step)
    playing.setAttribute('aria-pressed', String(player.playing))
    setText(playing.lastChild, player.playing ? 'Stop' : 'Play')
  })
  const grid = new Grid(pattern, {
    editable,
    onPoint: (cell) => people.point(cell),
    onHear: (instrument) => player.preview(instrument)
  })
  const people = new People(room.awareness, session?.user.username ?? 'Guest', (others) => grid.show(others))
  const playing = h('button', { class: 'play', type: 'button', 'aria-pressed': 'false', onclick: () => player.toggle() },
    h('span', { class: 'glyph', 'aria-hidden': 'true' }), h('span', {}, 'Play'))

  const element = h('main', { class: 'studio' },
    h('header', { class: 'bar' },
      h('button', { class: 'home', type: 'button', title: 'All projects', onclick: onHome }, h('img', { src: './icon.svg', alt: 'All projects', width: 28, height: 28 })),
      makeTitle(doc, project, editable, session),
      h('div', { class: 'state' }, indicators.element),
      people.element,
      makeShare(session, project)
    ),
    h('div', { class: 'transport' },
      playing,
      makeTempo(pattern, editable),
      editable ? h('button', { class: 'ghost', type: 'button', onclick: () => pattern.clear() }, 'Clear') : h('span', { class: 'badge' }, 'View only')
    ),
    h('div', { class: 'desk' },
      grid.element,
      h('div', { class: 'side' }, new Stems(doc, editable).element, new Versions(session, project, editable).element))
  )
  return {
    element,
    close: () => {
      if (player.playing) player.stop()
      room.close()
    }
  }
}

const makeIndicators = (editable) => {
  const connection = h('span', { class: 'pill connection', role: 'status' }, 'Connecting')
  const saved = h('span', { class: 'pill saved', role: 'status', hidden: !editable }, 'Not saved yet')
  const words = { online: 'Live', connecting: 'Connecting', offline: 'Offline' }
  return {
    element: [connection, saved],
    show: ({ connection: state, saved: done, unsaved }) => {
      connection.dataset.state = state
      setText(connection, words[state])
      saved.dataset.state = done ? 'saved' : 'pending'
      const waiting = state === 'online' ? 'Saving' : unsaved > 0 ? `${unsaved} not sent yet` : 'Waiting'
      setText(saved, done ? 'Saved on disk' : waiting)
      saved.title = done
        ? 'Everything you did is in the server’s database.'
        : 'The server has not said yet that your last change is on its disk.'
    }
  }
}

/** The song's name: in the document for everybody here, and in the list of projects when done. */
const makeTitle = (doc, project, editable, session) => {
  const facts = doc.getMap('project')
  const name = h('input', {
    class: 'title',
    'aria-label': 'Name of the song',
    maxlength: 100,
    disabled: !editable,
    oninput: () => facts.set('name', name.value),
    onchange: () => { if (name.value.trim() !== '') changeProject(session, project.id, { name: name.value.trim() }).catch(() => {}) }
  })
  const draw = () => {
    const told = facts.get('name') ?? project.name
    if (name.value !== told) name.value = told
    document.title = `${told} – SyncSphere`
  }
  facts.observe(draw)
  draw()
  return name
}

const makeTempo = (pattern, editable) => {
  const set = (value) => { pattern.bpm = value }
  const slider = h('input', { type: 'range', min: BPM.least, max: BPM.most, 'aria-label': 'Tempo', disabled: !editable, oninput: () => set(Number(slider.value)) })
  const number = h('output', { class: 'bpm' })
  const nudge = (by, sign) => h('button', { class: 'nudge', type: 'button', disabled: !editable, 'aria-label': by < 0 ? 'Slower' : 'Faster', onclick: () => set(pattern.bpm + by) }, sign)
  const draw = () => {
    slider.value = pattern.bpm
    slider.style.setProperty('--filled', `${((pattern.bpm - BPM.least) / (BPM.most - BPM.least)) * 100}%`)
    setText(number, String(pattern.bpm))
  }
  pattern.observe(draw)
  draw()
  return h('div', { class: 'tempo' }, nudge(-1, '−'), h('div', { class: 'number' }, number, h('small', {}, 'BPM')), nudge(1, '+'), slider)
}

/** The link, and for the owner whether it lets others listen in. */
const makeShare = (session, project) => {
  const done = (button, text) => {
    setText(button, text)
    setTimeout(() => setText(button, 'Copy link'), 1600)
  }
  const copy = h('button', {
    class: 'small share',
    type: 'button',
    onclick: async () => {
      // The clipboard is there only on https and on this very machine.
      const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false)
      done(copy, copied ? 'Copied' : 'It is in the address bar')
    }
  }, 'Copy link')
  if (project.role !== 'owner') return h('div', { class: 'sharing' }, copy)
  const box = h('div', { class: 'sharing' })
  const open = h('input', {
    type: 'checkbox',
    onchange: () => changeProject(session, project.id, { isPublic: open.checked }).catch((error) => {
      open.checked = !open.checked
      if (error.code === 'email_not_verified' && box.querySelector('.proof') === null) box.append(makeProof(session))
    })
  })
  open.checked = project.isPublic
  box.append(h('label', { class: 'switch', title: 'Anyone with the link may watch; only you may edit.' }, open, h('span', {}, 'Public')), copy)
  return box
}

/** Who publishes must have proven an address: the code from the mail. */
const makeProof = (session) => {
  const code = h('input', { name: 'code', inputmode: 'numeric', maxlength: 6, size: 6, 'aria-label': `The code that was sent to ${session.user.email}`, placeholder: 'Code', required: true })
  const proof = h('form', {
    class: 'proof',
    title: `Enter the code that was sent to ${session.user.email} (without a mail server: that the server printed).`,
    onsubmit: async (event) => {
      event.preventDefault()
      await verifyEmail(session, code.value).then(() => proof.remove(), (error) => { code.setCustomValidity(error.message); code.reportValidity() })
    }
  }, code, h('button', { class: 'small', type: 'submit' }, 'Confirm'))
  code.addEventListener('input', () => code.setCustomValidity(''))
  return proof
}

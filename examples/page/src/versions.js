/**
 * The versions of the song: commits of its main branch, the newest first, and the way back to each.
 *
 * Bringing one back is an edit that everybody here sees at once. What there was before is kept as a
 * version of its own, so nobody is asked whether they are sure, and for a while one button undoes it.
 * Others' versions show up when the list is loaded again.
 */
import { bringBack, keepVersion, versions } from './api.js'
import { fill, h } from './dom.js'

/** How long the button is there, in milliseconds. */
const UNDO_FOR = 60_000
/** Characters of what a version is called that are said again. */
const SAID_AGAIN = 200

export class Versions {
  /** `session` may be null for a public project: then one may look. */
  constructor (session, project, editable) {
    this.session = session
    this.project = project
    this.editable = editable && session !== null
    this.list = h('ol', { class: 'versions', reversed: true })
    this.notice = h('p', { class: 'notice', role: 'status' })
    this.undo = h('button', { class: 'small', type: 'button', hidden: true, onclick: () => this.bring(this.before, 'Undone') }, 'Undo')
    this.name = h('input', { name: 'version', 'aria-label': 'Name of the version', placeholder: 'What is new', maxlength: 200, required: true })
    this.element = h('section', { class: 'panel', 'aria-label': 'Versions' },
      h('header', {}, h('h2', {}, 'Versions'), h('button', { class: 'small', type: 'button', title: 'See what others have kept', onclick: () => this.load() }, 'Reload')),
      this.editable ? h('form', { class: 'keep', onsubmit: (event) => { event.preventDefault(); this.keep() } }, this.name, h('button', { class: 'small', type: 'submit' }, 'Keep')) : null,
      this.notice,
      this.undo,
      this.list
    )
    this.load()
  }

  /** Do something on the server, say how it went, and show what there is then. */
  async ask (action, done) {
    const buttons = [...this.element.querySelectorAll('button')]
    for (const each of buttons) each.disabled = true
    try {
      const answer = await action()
      this.notice.textContent = done(answer)
      return true
    } catch (error) {
      this.notice.textContent = error.code === 'nothing_to_commit' ? 'Nothing has changed since the newest version.' : error.message
      return false
    } finally {
      for (const each of buttons) each.disabled = false
    }
  }

  async keep () {
    const kept = await this.ask(() => keepVersion(this.session, this.project.id, this.name.value), () => 'Kept.')
    if (!kept) return
    this.name.value = ''
    this.offer(undefined)
    await this.load()
  }

  async load () {
    await this.ask(async () => this.draw(await versions(this.session, this.project.id)), () => this.notice.textContent)
  }

  draw (commits) {
    fill(this.list, commits.map((commit) => h('li', { class: 'version' },
      h('span', { class: 'message', title: commit.message }, commit.message),
      h('time', { datetime: commit.createdAt, title: commit.changes.summary }, new Date(commit.createdAt).toLocaleString([], { dateStyle: 'short', timeStyle: 'short' })),
      this.editable ? h('button', { class: 'small', type: 'button', 'aria-label': `Bring back ${commit.message}`, onclick: () => this.bring(commit.id, `Back to: ${[...commit.message].slice(0, SAID_AGAIN).join('')}`) }, 'Bring back') : null
    )))
    if (commits.length === 0) fill(this.list, h('li', { class: 'quiet' }, 'None yet.'))
  }

  async bring (commitId, message) {
    let before
    const brought = await this.ask(() => bringBack(this.session, this.project.id, commitId, message), ({ applied, summary, commit }) => {
      // Its first parent is what there was: what nobody had kept was committed just before.
      before = commit?.parents[0]
      return applied ? `Brought back: ${summary}.` : 'The song says that already.'
    })
    if (!brought) return
    this.offer(before)
    await this.load()
  }

  /** Offer the way back to a commit for a while; without one, none. */
  offer (commitId) {
    clearTimeout(this.offered)
    this.before = commitId
    this.undo.hidden = commitId === undefined
    if (!this.undo.hidden) this.offered = setTimeout(() => this.offer(undefined), UNDO_FOR)
  }
}

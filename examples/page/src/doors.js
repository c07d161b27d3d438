/**
 * The screens before the studio: sign in or register, and the list of projects.
 */
import { createProject, forget, forgotPassword, login, logout, projects, register, remembered, resetPassword } from './api.js'
import { fill, h } from './dom.js'
import { INSTRUMENTS } from './pattern.js'

/** `onSession(session)` once somebody is known; `message` says why they are asked. */
export const signIn = ({ message, onSession }) => {
  const known = remembered()
  const again = known === null ? null : h('div', { class: 'again' },
    h('button', { class: 'primary wide', type: 'button', onclick: () => onSession(known) }, `Continue as ${known.user.username}`),
    h('button', { class: 'link', type: 'button', onclick: (event) => { forget(); event.target.parentElement.remove() } }, 'Use another account'))
  const notice = h('p', { class: 'notice', role: 'status' }, message ?? '')
  const problem = h('p', { class: 'problem', role: 'alert' })
  const box = h('div', { class: 'card' })
  const show = (creating) => {
    problem.textContent = ''
    fill(box, notice, again, tabs(creating, show), form(creating, problem, onSession), problem)
  }
  // Whoever follows a link into a project more likely has an account than not.
  show(known === null && message === undefined)
  return h('main', { class: 'doors' }, hero(), box)
}

const hero = () => h('div', { class: 'hero' },
  h('div', { class: 'brand' }, h('img', { src: './icon.svg', alt: '', width: 36, height: 36 }), 'SyncSphere'),
  h('h1', {}, 'Make a beat together.'),
  h('p', {}, 'Open the same song in two windows. Every tap arrives at once, works offline, and is on disk before the light turns green.'),
  h('div', { class: 'art', 'aria-hidden': 'true' }, INSTRUMENTS.slice(0, 6).flatMap(({ color }, row) =>
    Array.from({ length: 12 }, (_, step) => h('i', { style: { '--color': color }, class: (step * (row + 2) + row) % 5 < 2 ? 'on' : '' }))))
)

const tabs = (creating, show) => h('div', { class: 'tabs' },
  h('button', { type: 'button', 'aria-pressed': String(creating), onclick: () => show(true) }, 'Create account'),
  h('button', { type: 'button', 'aria-pressed': String(!creating), onclick: () => show(false) }, 'Sign in'))

const form = (creating, problem, onSession) => {
  const email = h('input', { name: 'email', type: creating ? 'email' : 'text', autocomplete: creating ? 'email' : 'username', required: true })
  const username = h('input', { name: 'username', autocomplete: 'nickname', required: true, minlength: 3, maxlength: 32 })
  const password = h('input', { name: 'password', type: 'password', required: true, minlength: creating ? 8 : 1, autocomplete: creating ? 'new-password' : 'current-password' })
  const button = h('button', { class: 'primary wide', type: 'submit' }, creating ? 'Create account' : 'Sign in')
  const submit = async (event) => {
    event.preventDefault()
    button.disabled = true
    problem.textContent = ''
    try {
      const session = creating ? await register(email.value, username.value, password.value) : await login(email.value, password.value)
      onSession(session)
    } catch (error) {
      problem.textContent = error.message
      button.disabled = false
    }
  }
  return h('form', { onsubmit: submit },
    h('label', {}, creating ? 'E-mail' : 'E-mail or name', email),
    creating ? h('label', {}, 'Name that others see', username) : null,
    h('label', {}, 'Password', password),
    button,
    creating ? null : h('button', { class: 'link', type: 'button', onclick: () => { if (email.reportValidity()) forgotPassword(email.value).then(() => { problem.textContent = 'If there is such an account, a letter is on its way.' }, (error) => { problem.textContent = error.message }) } }, 'Forgot your password?'))
}

/** Who followed the link in a letter sets a new password. */
export const newPassword = ({ token, onDone }) => {
  const problem = h('p', { class: 'problem', role: 'alert' })
  const password = h('input', { name: 'password', type: 'password', required: true, minlength: 8, autocomplete: 'new-password' })
  const submit = (event) => {
    event.preventDefault()
    resetPassword(token, password.value).then(onDone, (error) => { problem.textContent = error.message })
  }
  return h('main', { class: 'doors' }, hero(), h('div', { class: 'card' },
    h('form', { onsubmit: submit }, h('label', {}, 'New password', password), h('button', { class: 'primary wide', type: 'submit' }, 'Set password')),
    problem))
}

/** The account's projects, and a new one. */
export const projectList = ({ session, message, onOpen, onSignOut }) => {
  const problem = h('p', { class: 'problem', role: 'alert' }, message ?? '')
  const list = h('ul', { class: 'projects' }, h('li', { class: 'quiet' }, 'Loading'))
  const fail = (error) => {
    if (error.status === 401) onSignOut()
    else problem.textContent = error.message
  }
  const name = h('input', { name: 'project', 'aria-label': 'Name of the new song', placeholder: 'Name of a new song', maxlength: 100, required: true })
  const create = async (event) => {
    event.preventDefault()
    try {
      onOpen(await createProject(session, name.value))
    } catch (error) {
      fail(error)
    }
  }
  projects(session).then((items) => fill(list, items.length === 0 ? h('li', { class: 'quiet' }, 'Nothing here yet: name your first song above.') : items.map((project) => entry(project, onOpen))), fail)
  return h('main', { class: 'doors' }, hero(), h('div', { class: 'card' },
    h('header', { class: 'whoami' }, h('span', {}, 'Signed in as ', h('b', {}, session.user.username)),
      h('button', { class: 'link', type: 'button', onclick: () => { logout(session); onSignOut() } }, 'Sign out')),
    h('form', { class: 'new', onsubmit: create }, name, h('button', { class: 'primary', type: 'submit' }, 'Create')),
    problem,
    list))
}

const entry = (project, onOpen) => h('li', {},
  h('button', { type: 'button', onclick: () => onOpen(project) },
    h('span', { class: 'name' }, project.name),
    h('time', { datetime: project.updatedAt }, new Date(project.updatedAt).toLocaleDateString(undefined, { day: 'numeric', month: 'short' }))))

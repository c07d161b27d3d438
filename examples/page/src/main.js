/**
 * Which screen is shown: `#room=…` opens a project, `#invite=…` and `#reset=…` come from letters,
 * anything else leads to the doors.
 */
import { acceptInvitation, forget, project as showProject, remembered } from './api.js'
import { newPassword, projectList, signIn } from './doors.js'
import { fill, h } from './dom.js'
import { openStudio } from './studio.js'

const app = document.getElementById('app')
let session = null
let studio = null
let turn = 0

const inHash = (name) => new URLSearchParams(location.hash.slice(1)).get(name)

const show = (element) => fill(app, element)

const start = (message) => {
  turn++
  studio?.close()
  studio = null
  document.title = 'SyncSphere'
  const room = inHash('room')
  const invitation = inHash('invite')
  if (inHash('reset') !== null) return show(newPassword({ token: inHash('reset'), onDone: () => { history.replaceState(null, '', location.pathname); start('The password is set: sign in with it.') } }))
  session ??= room === null && invitation === null ? null : remembered()
  if (invitation !== null && session !== null) return accept(invitation)
  if (invitation !== null) message ??= 'Sign in, or create an account, to take the invitation.'
  if (room !== null && message === undefined) return enter(room)
  if (session === null) show(signIn({ message, onSession: (known) => { session = known; start() } }))
  else show(projectList({ session, message, onOpen: ({ id }) => { location.hash = `room=${id}` }, onSignOut: signOut }))
}

const signOut = () => {
  forget()
  session = null
  location.hash = ''
  start()
}

const accept = async (invitation) => {
  try {
    location.hash = `room=${(await acceptInvitation(session, invitation)).projectId}`
  } catch (error) {
    history.replaceState(null, '', location.pathname)
    start(error.message)
  }
}

/** What one may do here has changed: the same room, drawn anew. */
const changed = () => {
  if (inHash('room') !== null) start()
}

const enter = async (room) => {
  const mine = turn
  show(h('p', { class: 'loading' }, 'Tuning in'))
  try {
    const project = await showProject(session, room)
    const opened = await openStudio({ session, project, onHome: () => { location.hash = '' }, onEnd: ended, onAccess: changed })
    // Somebody may have gone elsewhere while it loaded.
    if (mine !== turn) return opened.close()
    studio = opened
    show(opened.element)
  } catch (error) {
    if (mine === turn) ended(error.status === 401 ? 4401 : error.code, refusal(error))
  }
}

const refusal = (error) => {
  if (error.status === 404 && session === null) return 'Sign in to open this project.'
  return error.message
}

/** The server said no for good: to the doors, with its reason. */
const ended = (code, sentence) => {
  if (code === 4401) {
    forget()
    session = null
  }
  // For whoever still has to sign in, the link stays in the address.
  if (session !== null) history.replaceState(null, '', location.pathname)
  start(sentence)
}

window.addEventListener('hashchange', () => start())
start()

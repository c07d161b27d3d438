/**
 * SyncSphere's REST interface, as far as this page needs it, and the account that is remembered.
 *
 * Every refusal of the server is an ApiError with its stable `code` and its sentence for people.
 */

const REMEMBERED = 'syncsphere.account'

export class ApiError extends Error {
  constructor (status, problem) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`)
    this.status = status
    this.code = problem.code ?? 'unknown'
  }
}

const ask = async (method, path, { token, body } = {}) => {
  const headers = {}
  if (token) headers.Authorization = `Bearer ${token}`
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let answer
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
  } catch {
    throw new ApiError(0, { code: 'offline', detail: 'The server cannot be reached.' })
  }
  const text = await answer.text()
  const value = text === '' ? {} : JSON.parse(text)
  if (!answer.ok) throw new ApiError(answer.status, value)
  return value
}

/** Access tokens are short: one that is about to end is refreshed first. Windows share the account. */
const fresh = async (session) => {
  const stored = JSON.parse(localStorage.getItem(REMEMBERED) ?? 'null')
  if (stored?.user.id === session.user.id) Object.assign(session, stored)
  if (new Date(session.expiresAt) - Date.now() > 30_000) return session.token
  const renewed = await ask('POST', 'api/auth/refresh', { body: { refreshToken: session.refreshToken } })
  const { token, expiresAt, refreshToken, refreshExpiresAt } = renewed
  remember(Object.assign(session, { token, expiresAt, refreshToken, refreshExpiresAt }))
  return token
}

const call = async (method, path, { session, body } = {}) =>
  ask(method, path, { body, token: session ? await fresh(session) : undefined })

const remember = (session) => localStorage.setItem(REMEMBERED, JSON.stringify(session))

/** Sign in by address or name; remembers the account. Returns `{token, expiresAt, refreshToken, user, …}`. */
export const login = async (email, password) => {
  const session = await ask('POST', 'api/auth/login', { body: { email, password } })
  remember(session)
  return session
}

/** Create an account and sign in with it. */
export const register = async (email, username, password) => {
  await ask('POST', 'api/auth/register', { body: { email, username, password } })
  return login(email, password)
}

/** Prove the account's address with the code that was sent to it. */
export const verifyEmail = (session, code) => call('POST', 'api/auth/verify-email', { session, body: { email: session.user.email, code } })

/** Set a new password with the token from the letter; every session ends. */
export const resetPassword = (token, password) => ask('POST', 'api/auth/reset-password', { body: { token, password } })

/** Have the way to a new password sent, if the address has an account. */
export const forgotPassword = (email) => ask('POST', 'api/auth/forgot-password', { body: { email } })

/** Take the invitation from a letter. Returns `{projectId, role}`. */
export const acceptInvitation = (session, token) => call('POST', 'api/invitations/accept', { session, body: { token } })

export const logout = async (session) => {
  forget()
  // The server may have ended the session already; this page has forgotten it either way.
  await call('POST', 'api/auth/logout', { session }).catch(() => {})
}

/** The account of an earlier visit, if its session has not run out. */
export const remembered = () => {
  const session = JSON.parse(localStorage.getItem(REMEMBERED) ?? 'null')
  return session !== null && new Date(session.refreshExpiresAt) > new Date() ? session : null
}

export const forget = () => localStorage.removeItem(REMEMBERED)

export const projects = async (session) => (await call('GET', 'api/projects?limit=50', { session })).items

export const createProject = (session, name) =>
  call('POST', 'api/projects', { session, body: { name, kind: 'pattern', isPublic: false } })

/** One project with the asker's `role`; session may be null for a public one. */
export const project = (session, id) => call('GET', `api/projects/${encodeURIComponent(id)}`, { session })

export const changeProject = (session, id, changes) => call('PUT', `api/projects/${id}`, { session, body: changes })

/** What opens the project's room, once, within a minute. */
export const ticket = async (session, id) => (await call('POST', `api/projects/${id}/ticket`, { session, body: {} })).ticket

/** The newest commits; session may be null for a public project. */
export const versions = async (session, id) => (await call('GET', `api/projects/${id}/commits?limit=20`, { session })).items

/** Commit the song as everybody here sees it now. */
export const keepVersion = (session, id, message) => call('POST', `api/projects/${id}/commit`, { session, body: { message } })

/**
 * Bring the song to what it was at a commit, for everybody here, and commit that with what nobody had
 * committed before it. Returns `{applied, summary, commit}`.
 */
export const bringBack = (session, id, commitId, message) => call('POST', `api/projects/${id}/restore`, { session, body: { commitId, message } })

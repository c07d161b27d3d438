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

const call = async (method, path, { token, body } = {}) => {
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

/** Sign in; remembers the account. Returns `{token, user, expiresAt}`. */
export const login = async (email, password) => {
  const session = await call('POST', 'api/auth/login', { body: { email, password } })
  localStorage.setItem(REMEMBERED, JSON.stringify(session))
  return session
}

/** Create an account and sign in with it. */
export const register = async (email, username, password) => {
  await call('POST', 'api/auth/register', { body: { email, username, password } })
  return login(email, password)
}

export const logout = async (session) => {
  forget()
  // The server may have ended the session already; this page has forgotten it either way.
  await call('POST', 'api/auth/logout', { token: session.token }).catch(() => {})
}

/** The account of an earlier visit, if its session has not run out. */
export const remembered = () => {
  const session = JSON.parse(localStorage.getItem(REMEMBERED) ?? 'null')
  return session !== null && new Date(session.expiresAt) > new Date() ? session : null
}

export const forget = () => localStorage.removeItem(REMEMBERED)

export const projects = async (session) => (await call('GET', 'api/projects?limit=50', { token: session.token })).items

export const createProject = (session, name) =>
  call('POST', 'api/projects', { token: session.token, body: { name, kind: 'pattern', isPublic: false } })

/** One project with the asker's `role`; session may be null for a public one. */
export const project = (session, id) => call('GET', `api/projects/${encodeURIComponent(id)}`, { token: session?.token })

export const changeProject = (session, id, changes) => call('PUT', `api/projects/${id}`, { token: session.token, body: changes })

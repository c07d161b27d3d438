/**
 * The example page in real windows: register, make a song, and see each other edit it.
 *
 *     node browser.mjs <server url> <chromium> [<folder for screenshots>]
 *
 * Every step waits for what a person would see. Prints one JSON report on stdout; ends with 1 and
 * the reason on stderr when a step does not come about.
 */
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [url, executablePath, shots] = process.argv.slice(2)
const DESK = { width: 1280, height: 860 }
const PHONE = { width: 390, height: 844 }
const PERSON = { email: `ann${process.pid}@band.example`, name: `ann${process.pid}`, password: 'seven silent cymbals' }

const complaints = []
const foreign = []

const browser = await chromium.launch({
  executablePath,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking']
})

/** A window with a profile of its own: nothing but the server connects it to the others. */
const open = async (name, viewport, hash = '') => {
  const context = await browser.newContext({ viewport, hasTouch: viewport === PHONE })
  context.setDefaultTimeout(10_000)
  const page = await context.newPage()
  page.on('pageerror', (error) => complaints.push(`${name}: ${error.stack}`))
  page.on('console', (message) => {
    const { url: source } = message.location()
    // Asking for a project that one may not see yet is part of the story.
    const refused = message.text().includes('404') && source.includes('/api/projects/')
    if (message.type() === 'error' && !refused) complaints.push(`${name}: ${message.text()} ${source}`)
  })
  page.on('request', (request) => { if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).host !== new URL(url).host) foreign.push(request.url()) })
  await page.goto(`${url}/${hash}`)
  return page
}

const shoot = async (page, name) => { if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true }) }
const pad = (page, instrument, step) => page.locator(`.pad[data-instrument="${instrument}"][data-step="${step}"]`)
const pressed = (page, instrument, step, on = true) => page.locator(`.pad[data-instrument="${instrument}"][data-step="${step}"][aria-pressed="${on}"]`).waitFor()
const people = (page, count) => page.locator(`.people[data-count="${count}"]`).waitFor()
const saved = (page) => page.locator('.saved[data-state="saved"]').waitFor()
const sideways = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth)

const story = async () => {
  const ann = await open('ann', DESK)
  await shoot(ann, '1-doors')
  await ann.fill('[name=email]', PERSON.email)
  await ann.fill('[name=username]', PERSON.name)
  await ann.fill('[name=password]', PERSON.password)
  await ann.click('button[type=submit]')
  await ann.fill('[name=project]', 'Night drive')
  await shoot(ann, '2-projects')
  await ann.click('.new button')
  await ann.locator('.connection[data-state="online"]').waitFor()
  const hash = new URL(ann.url()).hash

  // The same account on a phone, elsewhere.
  const phone = await open('phone', PHONE, hash)
  await phone.getByText('Sign in to open this project.').waitFor()
  await shoot(phone, '3-phone-doors')
  await phone.fill('[name=email]', PERSON.email)
  await phone.fill('[name=password]', PERSON.password)
  await phone.click('button[type=submit]')
  await people(ann, 2)
  await people(phone, 2)

  // A beat from both sides.
  for (const step of [0, 4, 8, 12]) await pad(ann, 'kick', step).click()
  await pressed(phone, 'kick', 12)
  for (const step of [4, 12]) await pad(phone, 'snare', step).tap()
  await pressed(ann, 'snare', 12)
  await pad(ann, 'hat', 2).click()
  await pad(ann, 'hat', 2).click()
  await pressed(phone, 'hat', 2, false)
  // Dragged over, pads are painted.
  await pad(ann, 'open', 2).hover()
  await ann.mouse.down()
  for (const step of [3, 4, 5, 6]) await pad(ann, 'open', step).hover()
  await ann.mouse.up()
  for (const step of [2, 3, 4, 5, 6]) await pressed(phone, 'open', step)
  // Walked to and pressed, without a mouse.
  await pad(ann, 'bass', 0).focus()
  await ann.keyboard.press('ArrowRight')
  await ann.keyboard.press('Space')
  await pressed(phone, 'bass', 1)
  await saved(ann)
  await saved(phone)

  // Where the other one is.
  await pad(phone, 'clap', 3).focus()
  await ann.locator('.pad[data-instrument="clap"][data-step="3"].visited .who').waitFor()
  await shoot(ann, '4-cursor')

  // Tempo, name and stems.
  await ann.getByRole('button', { name: 'Faster' }).click()
  await phone.locator('.bpm', { hasText: '121' }).waitFor()
  await phone.fill('.title', 'Night drive, slower')
  await ann.waitForFunction(() => document.querySelector('.title').value === 'Night drive, slower')
  await ann.getByRole('button', { name: 'Add stem' }).click()
  await ann.getByRole('button', { name: 'Add stem' }).click()
  await phone.locator('.stem').nth(1).waitFor()
  await phone.locator('.stem .name').first().fill('Talking drum')
  await ann.waitForFunction(() => document.querySelector('.stem .name').value === 'Talking drum')
  await ann.locator('.stem .mute').nth(1).click()
  await phone.locator('.stem.muted').waitFor()
  await ann.getByRole('button', { name: 'Play' }).click()
  await ann.locator('.pad.sounding').first().waitFor()
  await shoot(ann, '5-studio')
  await shoot(phone, '6-phone-studio')
  await ann.getByRole('button', { name: 'Stop' }).click()

  // A version is kept; what comes after it goes when it is brought back, in both windows.
  await ann.fill('[name=version]', 'Before the crash')
  await ann.getByRole('button', { name: 'Keep' }).click()
  await ann.locator('.version', { hasText: 'Before the crash' }).waitFor()
  await pad(phone, 'tom', 0).tap()
  await pressed(ann, 'tom', 0)
  const bring = ann.getByRole('button', { name: 'Bring back Before the crash', exact: true })
  const undo = ann.getByRole('button', { name: 'Undo' })
  await undo.waitFor({ state: 'hidden' })
  await bring.click()
  await pressed(ann, 'tom', 0, false)
  await pressed(phone, 'tom', 0, false)
  await pressed(phone, 'snare', 12)
  await ann.locator('.version', { hasText: 'Back to: Before the crash' }).waitFor()
  // And undone: nothing was lost by it.
  await undo.click()
  await pressed(ann, 'tom', 0)
  await pressed(phone, 'tom', 0)
  await ann.locator('.version', { hasText: 'Undone' }).waitFor()
  await bring.click()
  await pressed(phone, 'tom', 0, false)
  await phone.getByRole('button', { name: 'Reload' }).click()
  await phone.getByRole('button', { name: 'Bring back Before the crash', exact: true }).waitFor()
  await shoot(ann, '6-versions')

  // Somebody without an account watches, once that is allowed.
  const early = await open('early', DESK, hash)
  await early.getByText('Sign in to open this project.').waitFor()
  await ann.locator('.switch').click()
  await ann.waitForFunction(async (id) => (await fetch(`api/projects/${id}`)).ok, new URLSearchParams(hash.slice(1)).get('room'))
  const guest = await open('guest', DESK, hash)
  await pressed(guest, 'kick', 0)
  await people(guest, 3)
  const guestMayEdit = await pad(guest, 'kick', 1).isEnabled()
  await pad(ann, 'tom', 15).click()
  await pressed(guest, 'tom', 15)
  await shoot(guest, '7-guest')
  const sidewaysOnPhone = await sideways(phone)

  // A closed window leaves; a reload brings back everything.
  await phone.context().close()
  await people(ann, 2)
  await ann.reload()
  await pressed(ann, 'snare', 4)
  await saved(ann)
  return { complaints, foreign, guestMayEdit, sidewaysOnPhone }
}

try {
  process.stdout.write(JSON.stringify(await story()))
} catch (error) {
  console.error(String(error.stack ?? error), complaints)
  process.exitCode = 1
} finally {
  await browser.close()
}

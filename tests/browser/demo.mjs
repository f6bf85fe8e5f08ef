// The demo in a folder of its own, and a browser with a virtual authenticator.

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { chromium } from 'playwright-core'

const program = process.env.CAREKEY ?? new URL('../../target/debug/carekey', import.meta.url).pathname

/** Starts the demo; its three addresses. */
export const startDemo = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'carekey-browser-'))
  const child = spawn(program, ['demo', '--data', folder], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stderr.on('data', text => (output += text))
  const links = await new Promise((resolve, reject) => {
    child.once('exit', code => reject(new Error(`the demo ended with ${code}:\n${output}`)))
    child.stdout.on('data', text => {
      output += text
      const link = words => output.match(new RegExp(`${words}\\s+(http://localhost:\\S+)`))?.[1]
      const found = { desk: link('Hospital desk'), wallet: link("Patient's wallet"), portal: link('Portal') }
      if (Object.values(found).every(Boolean) && output.includes('Ctrl-C')) resolve(found)
    })
  })
  const stop = async () => {
    child.removeAllListeners('exit')
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGINT')
    const code = await ended
    await rm(folder, { recursive: true })
    return code
  }
  return { links, folder, stop, output: () => output }
}

/** Headless Chromium. */
export const startBrowser = () =>
  chromium.launch({
    executablePath: process.env.CHROME ?? '/usr/bin/chromium',
    // As root, in a container, there is no sandbox to have.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : []
  })

/** Puts a virtual authenticator behind a page; counts what its user was asked. */
export const authenticator = async (page, { prf = true, userVerification = true } = {}) => {
  const session = await page.context().newCDPSession(page)
  await session.send('WebAuthn.enable', { enableUI: false })
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      ctap2Version: 'ctap2_1',
      transport: userVerification ? 'internal' : 'usb',
      hasResidentKey: userVerification,
      hasUserVerification: userVerification,
      isUserVerified: userVerification,
      automaticPresenceSimulation: true,
      hasPrf: prf
    }
  })
  const prompts = { created: 0, asserted: 0 }
  session.on('WebAuthn.credentialAdded', () => prompts.created++)
  session.on('WebAuthn.credentialAsserted', () => prompts.asserted++)
  return {
    prompts,
    userVerified: isUserVerified => session.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
    credentials: async () => (await session.send('WebAuthn.getCredentials', { authenticatorId })).credentials
  }
}

/** The element with that test id. */
export const id = (page, name) => page.locator(`[data-test="${name}"]`)

/** A page that may load nothing from elsewhere and say nothing on its console but what is expected. */
export const watchedPage = async (context, complaints) => {
  const page = await context.newPage()
  page.on('request', request => {
    const { protocol, hostname } = new URL(request.url())
    if (protocol.startsWith('http') && hostname !== 'localhost') complaints.push(`loads ${request.url()}`)
  })
  page.on('console', message => {
    // The browser itself reports answers of 4xx, which some steps expect.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      complaints.push(`${page.url()}: ${message.text()}`)
    }
  })
  page.on('pageerror', error => complaints.push(`${page.url()}: ${error}`))
  return page
}

/** What reaches beyond the right edge of the window. */
export const tooWide = page =>
  page.evaluate(() => {
    const width = document.documentElement.clientWidth
    const wide = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > width + 0.5)
    const beyond = document.documentElement.scrollWidth - width
    return beyond > 0 ? [`${beyond} px`, ...wide.map(e => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`)] : []
  })
